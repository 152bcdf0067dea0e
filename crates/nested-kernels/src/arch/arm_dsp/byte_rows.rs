//! The rows of a matrix whose rings all have byte gaps: their streams as they are stored, with little to do a row.
use crate::{KernelError, rows::RowSource};
use nested_csr::{Block, ByteRing, Level, MAX_LEVELS, MatrixView, Sink};

/// Rows in order, each decoded whole, as [`nested_csr::Rows`] does.
#[derive(Clone, Debug)]
pub(super) struct ByteRows<'a> {
    first: ByteRing<'a>,
    /// The rings after the first.
    others: [Option<ByteRing<'a>>; MAX_LEVELS - 1],
    levels: usize,
    block: Block,
    columns: usize,
    left: usize,
}

impl<'a> ByteRows<'a> {
    /// `None` when some ring up to the level is not of bytes, or a row's last block is not whole.
    pub(super) fn new(matrix: &MatrixView<'a>, level: Level) -> Result<Option<Self>, KernelError> {
        let (shape, block) = (matrix.shape(), matrix.block());
        let Some(first) = matrix.byte_ring(Level::FIRST)? else { return Ok(None) };
        let mut others = [None; MAX_LEVELS - 1];
        for (slot, level) in others.iter_mut().zip(level.up_to().skip(1)) {
            *slot = matrix.byte_ring(level)?;
            if slot.is_none() {
                return Ok(None);
            }
        }
        let whole = shape.columns.is_multiple_of(block.width());
        let (columns, left) = (shape.columns, shape.rows);
        Ok(whole.then_some(ByteRows { first, others, levels: level.number(), block, columns, left }))
    }

    #[inline(always)]
    fn row<const WIDTH: usize>(&mut self, sink: &mut impl Sink) {
        // A full ring is the only one with weights in its row.
        let met = one_ring::<WIDTH>(&mut self.first, self.columns, sink);
        if self.levels > 1 {
            more_rings::<WIDTH>(&mut self.others, if met == 0 { self.columns } else { 0 }, sink);
        }
    }
}

/// A row's weights in the rings after the first. `full`: the columns of a row that none of them has met yet, or 0.
#[inline(never)]
fn more_rings<const WIDTH: usize>(rings: &mut [Option<ByteRing<'_>>], mut full: usize, sink: &mut impl Sink) {
    for ring in rings.iter_mut().flatten() {
        if one_ring::<WIDTH>(ring, full, sink) > 0 {
            full = 0;
        }
    }
}

/// A row's weights in a ring; returns the blocks. `full`: the weights that a full row would have, 0 if it cannot be full.
#[inline(always)]
fn one_ring<const WIDTH: usize>(ring: &mut ByteRing<'_>, full: usize, sink: &mut impl Sink) -> usize {
    let count = ring.next_count();
    // A gap of 255 has at least two bytes, so there never are fewer gaps than blocks.
    let Some((gaps, gaps_left)) = ring.gaps.split_at_checked(count) else { return 0 };
    let Some((weights, weights_left)) = ring.weights.split_at_checked(count * WIDTH) else { return 0 };
    if count > 0 && count * WIDTH == full {
        (ring.gaps, ring.weights) = (gaps_left, weights_left);
        sink.all(bytemuck::cast_slice(weights));
        return count;
    }
    let (done, next) = sink.blocks::<WIDTH>(gaps, weights.as_chunks().0);
    if done == count {
        (ring.gaps, ring.weights) = (gaps_left, weights_left);
    } else {
        rest::<WIDTH>(ring, sink, done, next, count);
    }
    count
}

/// The blocks of a row from `done` on, `next` being the number of the block behind the one before.
#[inline(never)]
fn rest<const WIDTH: usize>(ring: &mut ByteRing<'_>, sink: &mut impl Sink, done: usize, next: u32, count: usize) {
    ring.gaps = ring.gaps.get(done..).unwrap_or_default();
    ring.weights = ring.weights.get(done * WIDTH..).unwrap_or_default();
    let mut block = next as usize;
    for _ in done..count {
        block = block.saturating_add(ring.next_gap());
        let Some((weights, left)) = ring.weights.split_first_chunk::<WIDTH>() else { return };
        ring.weights = left;
        for (column, weight) in (block.saturating_mul(WIDTH)..).zip(weights) {
            sink.weight(column, weight.cast_signed());
        }
        block += 1;
    }
}

/// Calls `each` with what `columns` has of each block of a run, and with its weights, as far as gaps have one byte and lead to
/// blocks that there are. Returns how many these are, and the number of the block behind them.
#[inline(always)]
pub(super) fn each_block<T, const WIDTH: usize>(
    gaps: &[u8],
    weights: &[[u8; WIDTH]],
    columns: &[[T; WIDTH]],
    mut each: impl FnMut(&[T; WIDTH], &[u8; WIDTH]),
) -> (usize, u32) {
    let (mut next, mut done) = (0, 0);
    for (gaps, weights) in gaps.as_chunks::<4>().0.iter().zip(weights.as_chunks::<4>().0) {
        let Some(numbers) = four_blocks(*gaps, next, columns.len()) else { break };
        for (number, weights) in numbers.into_iter().zip(weights) {
            // SAFETY: the numbers are below `columns.len()`.
            each(unsafe { columns.get_unchecked(number) }, weights);
        }
        next = numbers[3] + 1;
        done += 4;
    }
    let (gaps, weights) = (gaps.get(done..).unwrap_or_default(), weights.get(done..).unwrap_or_default());
    for (gap, weights) in gaps.iter().zip(weights) {
        let number = next + usize::from(*gap);
        let Some(block) = columns.get(number).filter(|_| *gap != u8::MAX) else { break };
        each(block, weights);
        next = number + 1;
        done += 1;
    }
    (done, next as u32)
}

/// The numbers of four blocks, from their gaps and the number of the block behind the one before them: ascending, and below
/// `end`. `None` when the last would not be, or when some gap may have two bytes.
#[inline(always)]
fn four_blocks(gaps: [u8; 4], next: usize, end: usize) -> Option<[usize; 4]> {
    let [a, b, c, d] = gaps.map(usize::from);
    // Their sum is below 255, and so is each.
    let first = next + a;
    let blocks = [first, first + b + 1, first + b + c + 2, first + b + c + d + 3];
    (blocks[3] < end && blocks[3] - next < 255).then_some(blocks)
}

impl RowSource for ByteRows<'_> {
    #[inline(always)]
    fn next_row_into(&mut self, sink: &mut impl Sink) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        match self.block {
            Block::OneByOne => self.row::<1>(sink),
            Block::OneByTwo => self.row::<2>(sink),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nested_csr::{NestedCsr, Profile, Shape};
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// Far apart for gaps of several bytes, or all there for full rows; in up to three rings.
        #[test]
        fn rows_are_those_of_the_format(
            pairs: bool,
            half_columns in 1..400usize,
            odds in prop_oneof![Just(256u16), Just(1), 1..256u16],
            rings in 1..4u8,
            noise in prop::collection::vec(any::<[u8; 2]>(), 3 * 800),
        ) {
            let block = if pairs { Block::OneByTwo } else { Block::OneByOne };
            let shape = Shape { rows: 3, columns: 2 * half_columns };
            let ring = |[chance, ring]: [u8; 2]| if u16::from(chance) < odds { 1 + ring % rings } else { 0 };
            let width = block.width();
            let rings_of: Vec<u8> = (0..shape.len()).map(|i| ring(noise[i / width * width])).collect();
            let weights: Vec<i8> = (0..shape.len()).map(|i| if rings_of[i] > 0 { (noise[i][1] as i8).max(-127) } else { 0 }).collect();
            let level = Level::new(rings.into()).unwrap();
            let matrix = NestedCsr::compress(shape, block, level, &weights, &rings_of, Profile::Speed).unwrap();
            let Some(mut ours) = ByteRows::new(&matrix.view(), level).unwrap() else { return Ok(()) };
            let mut theirs = matrix.rows(level).unwrap();
            for _ in 0..shape.rows {
                let (mut row, mut expected) = (Vec::new(), Vec::new());
                ours.next_row_into(&mut |column: usize, weight: i8| row.push((column, weight))).unwrap();
                theirs.next_row(|column, weight| expected.push((column, weight))).unwrap();
                prop_assert_eq!(row, expected);
            }
            prop_assert!(ours.next_row_into(&mut |_: usize, _: i8| ()).is_none());
        }
    }
}
