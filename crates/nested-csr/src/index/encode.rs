//! Choosing and writing the index code of a ring.
use super::bits::BitWriter;
use super::golomb::Golomb;
use super::map::MAP_BLOCKS;
use super::{IndexCode, count_bytes};
use crate::Profile;
use alloc::vec::Vec;

/// The positions of one ring: rows of ascending blocks.
#[derive(Debug)]
pub(crate) struct Positions<'a> {
    /// Blocks of each row, row after row.
    pub blocks: &'a [u32],
    /// For each block, how many of its row's free positions come before it.
    pub free: &'a [u32],
    /// Blocks in each row.
    pub counts: &'a [u32],
    /// Free positions of each row before the ring is added.
    pub rooms: &'a [u32],
    /// Blocks that a row has room for.
    pub width: u32,
}

/// What decoding a block costs on a Cortex-M7, in instructions: `Rows::next_row` into a table of (column, weight), counted in
/// QEMU's `mps2-an500` for three rings of 10 % each on 64 × 576 weights, all of the row's work included.
const BYTES_COST: u64 = 19;
const NIBBLES_COST: u64 = 67;
const GAPS_COST: u64 = 94;
const FREE_COST: u64 = 154;

/// What a ring costs under a profile: bytes, with instructions turned into bytes at the profile's rate.
fn price(profile: Profile, bytes: usize, instructions: u64) -> u64 {
    match profile {
        Profile::Size => bytes as u64,
        Profile::Balanced => bytes as u64 * 160 + instructions,
        Profile::Speed => bytes as u64 * 8 + instructions,
    }
}

/// Writes the ring in the best code for the profile.
pub(crate) fn encode_best(ring: &Positions<'_>, profile: Profile) -> (IndexCode, Vec<u8>) {
    let blocks = ring.blocks.len() as u64;
    let price = |bytes: usize, cost: u64| price(profile, bytes, blocks * cost);
    let gaps = run_on_gaps(ring, false);
    let mut best = keep(price, BYTES_COST, None, write_bytes(ring));
    best = keep(price, NIBBLES_COST, Some(best), (IndexCode::Nibbles, write_nibbles(&gaps)));
    let modulus = best_modulus(&gaps);
    best = keep(price, GAPS_COST, Some(best), (IndexCode::Gaps { modulus }, write_gaps(&gaps, modulus)));
    if ring.width <= MAP_BLOCKS {
        let gaps = run_on_gaps(ring, true);
        let modulus = best_modulus(&gaps);
        best = keep(price, FREE_COST, Some(best), (IndexCode::FreeGaps { modulus }, write_gaps(&gaps, modulus)));
    }
    (best.1, best.2)
}

/// Writes the ring in the code asked for; the width of counts is worked out. `None` for a code that cannot hold it.
pub(crate) fn encode_as(ring: &Positions<'_>, code: IndexCode) -> Option<(IndexCode, Vec<u8>)> {
    let index = match code {
        IndexCode::Bytes { .. } => return Some(write_bytes(ring)),
        IndexCode::Nibbles => write_nibbles(&run_on_gaps(ring, false)),
        IndexCode::Gaps { modulus: 1.. } => write_gaps(&run_on_gaps(ring, false), code.stored().1),
        IndexCode::FreeGaps { modulus: 1.. } if ring.width <= MAP_BLOCKS => {
            write_gaps(&run_on_gaps(ring, true), code.stored().1)
        }
        IndexCode::Gaps { .. } | IndexCode::FreeGaps { .. } => return None,
    };
    Some((code, index))
}

type Priced = (u64, IndexCode, Vec<u8>);

/// The cheaper of two codings; the first, which decodes faster, when they are equal.
fn keep(
    price: impl Fn(usize, u64) -> u64,
    cost: u64,
    best: Option<Priced>,
    (code, index): (IndexCode, Vec<u8>),
) -> Priced {
    let price = price(index.len(), cost);
    match best {
        Some(best) if best.0 <= price => best,
        _ => (price, code, index),
    }
}

fn write_bytes(ring: &Positions<'_>) -> (IndexCode, Vec<u8>) {
    let count_width = count_bytes(ring.counts.iter().copied().max().unwrap_or(0));
    let mut out = Vec::with_capacity(ring.counts.len() * usize::from(count_width) + ring.blocks.len());
    for count in ring.counts {
        out.extend(count.to_le_bytes().iter().take(usize::from(count_width)));
    }
    let mut blocks = ring.blocks.iter();
    for &count in ring.counts {
        let mut next = 0;
        for &block in blocks.by_ref().take(count as usize) {
            let mut gap = block - next;
            while gap >= 255 {
                out.push(255);
                gap -= 255;
            }
            out.push(gap as u8);
            next = block + 1;
        }
    }
    (IndexCode::Bytes { count_width }, out)
}

fn write_nibbles(gaps: &[u32]) -> Vec<u8> {
    let mut out = BitWriter::default();
    for &gap in gaps {
        for _ in 0..gap / 15 {
            out.put(15, 4);
        }
        out.put(gap % 15, 4);
    }
    out.finish()
}

/// The gaps between blocks, counted over all positions or the free ones, run on over the ends of rows.
fn run_on_gaps(ring: &Positions<'_>, free: bool) -> Vec<u32> {
    let mut places = if free { ring.free } else { ring.blocks }.iter();
    let mut gaps = Vec::with_capacity(ring.blocks.len());
    let mut carried = 0u32;
    for (&count, &room) in ring.counts.iter().zip(ring.rooms) {
        let mut next = 0;
        for &place in places.by_ref().take(count as usize) {
            gaps.push(carried + place - next);
            carried = 0;
            next = place + 1;
        }
        carried += if free { room } else { ring.width } - next;
    }
    gaps
}

/// The modulus with the fewest bits, of equal ones the least.
fn best_modulus(gaps: &[u32]) -> u16 {
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable();
    let mut histogram: Vec<(u32, u64)> = Vec::new();
    for gap in sorted {
        match histogram.last_mut() {
            Some((last, count)) if *last == gap => *count += 1,
            _ => histogram.push((gap, 1)),
        }
    }
    let total = |modulus: u16| -> u64 {
        let code = Golomb::new(modulus);
        histogram.iter().map(|&(gap, count)| code.len(gap) * count).sum()
    };
    // The best modulus of a geometric law is near ln 2 · mean; real supports cluster, so look well below it too.
    let mean = gaps.iter().map(|&gap| u64::from(gap)).sum::<u64>() / (gaps.len() as u64).max(1);
    let centre = (mean * 7 / 10).clamp(1, 60_000);
    let reach = (centre / 2).clamp(3, 24);
    let step = (centre / 64).max(1);
    let near = (0..=2 * reach).map(|i| (centre + i * step).saturating_sub(reach * step));
    let powers = (0..16).map(|power| 1u64 << power);
    let candidates = near.chain(powers).filter(|&m| (1..=u64::from(u16::MAX)).contains(&m));
    candidates.map(|modulus| modulus as u16).min_by_key(|&modulus| (total(modulus), modulus)).unwrap_or(1)
}

fn write_gaps(gaps: &[u32], modulus: u16) -> Vec<u8> {
    let code = Golomb::new(modulus);
    let mut out = BitWriter::default();
    for &gap in gaps {
        code.write(gap, &mut out);
    }
    out.finish()
}
