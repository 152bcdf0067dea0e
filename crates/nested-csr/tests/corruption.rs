//! Damaged files: each is an error, or, with the checksums made to fit, an in-bounds decode that the naive reader shares.
//! The numbers of cases are printed: `cargo test --test corruption -- --nocapture`.
mod agree;
mod naive;

use nested_csr::{Kind, Layers, Level, Model, NestedCsr};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

fn golden() -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 7);
    files
}

/// Whether any reader accepts the bytes.
fn accepts(bytes: &[u8]) -> bool {
    match Kind::of(bytes) {
        Ok(Kind::Matrix) => NestedCsr::parse(bytes).is_ok(),
        Ok(Kind::Layers) => Layers::parse(bytes).is_ok(),
        Ok(_) => Model::parse(bytes).is_ok(),
        Err(_) => false,
    }
}

/// Cases tried and accepted.
#[derive(Default)]
struct Tally {
    cases: usize,
    accepted: usize,
}

impl Tally {
    /// Both readers must agree about a mutated file whose checksums were made to fit.
    fn resealed(&mut self, file: &mut [u8]) {
        naive::reseal(file);
        self.count(agree::readers(file));
    }

    fn count(&mut self, accepted: bool) {
        self.cases += 1;
        self.accepted += usize::from(accepted);
    }

    fn print(&self, what: &str) {
        println!("{what}: {} cases, {} accepted", self.cases, self.accepted);
    }
}

#[test]
fn every_truncation_is_refused_but_at_the_end_of_a_section() {
    let mut tally = Tally::default();
    for (name, file) in golden() {
        let naive = naive::decode(&file).unwrap();
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let mut end = 20 + 8 * naive.stated + word(8);
        let ends: Vec<usize> = (0..naive.stated).map(|k| (end += word(16 + 8 * k), end).1).collect();
        for len in 0..=file.len() {
            tally.count(accepts(&file[..len]));
            assert_eq!(accepts(&file[..len]), ends.contains(&len), "{name} cut at {len}");
            assert_eq!(agree::readers(&file[..len]), ends.contains(&len), "{name} cut at {len}");
        }
        let mut longer = file.clone();
        for extra in 1..=9 {
            longer.push(0);
            tally.count(accepts(&longer));
            assert!(!accepts(&longer), "{name} with {extra} bytes more");
        }
    }
    tally.print("truncations and extensions");
}

#[test]
fn every_flip_of_a_bit_is_refused() {
    let mut tally = Tally::default();
    for (name, file) in golden() {
        for bit in 0..file.len() * 8 {
            let mut file = file.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            tally.count(accepts(&file));
            assert!(!accepts(&file), "{name}, bit {bit}");
        }
    }
    tally.print("flips of a bit");
}

#[test]
fn every_flip_of_a_bit_with_checksums_made_to_fit_is_read_alike_by_both_readers() {
    let mut tally = Tally::default();
    for (_, file) in golden() {
        for bit in 0..file.len() * 8 {
            let mut file = file.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            tally.resealed(&mut file);
        }
    }
    tally.print("flips of a bit, resealed");
    assert!(tally.accepted > 1000);
}

#[test]
fn every_field_at_its_extremes_is_read_alike_by_both_readers() {
    let mut tally = Tally::default();
    for (_, file) in golden() {
        for at in 0..file.len() {
            for value in [0, 1, u32::MAX - 1, u32::MAX, 1 << 31, u32::MAX - 3] {
                for width in [1, 2, 4] {
                    let mut file = file.clone();
                    let end = (at + width).min(file.len());
                    file[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                    tally.resealed(&mut file);
                }
            }
        }
    }
    tally.print("fields of 1, 2 and 4 bytes at 0, 1, max − 1, max and more, resealed");
}

#[test]
fn lengths_that_add_up_past_32_bits_are_refused() {
    let mut tally = Tally::default();
    for (name, file) in golden() {
        let levels = usize::from(file[7]);
        let lengths: Vec<usize> = std::iter::once(8).chain((0..levels).map(|k| 16 + 8 * k)).collect();
        for &first in &lengths {
            for &second in &lengths {
                for (one, other) in [(u32::MAX - 3, 8), (1 << 31, 1 << 31), (u32::MAX - 3, u32::MAX - 3)] {
                    let mut file = file.clone();
                    file[first..first + 4].copy_from_slice(&u32::to_le_bytes(one));
                    file[second..second + 4].copy_from_slice(&u32::to_le_bytes(other));
                    if first == second {
                        continue;
                    }
                    naive::reseal(&mut file);
                    tally.count(accepts(&file));
                    assert!(!agree::readers(&file), "{name}");
                }
            }
        }
        // The stated counts of blocks and weights, too: each ring's end, blocks and weights.
        let mut start = 20 + 8 * levels + u32::from_le_bytes(file[8..12].try_into().unwrap()) as usize;
        for k in 0..levels {
            for field in (start..(start + 64).min(file.len() - 8)).step_by(4) {
                let mut file = file.clone();
                file[field..field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
                file[field + 4..field + 8].copy_from_slice(&u32::MAX.to_le_bytes());
                tally.resealed(&mut file);
            }
            start += u32::from_le_bytes(file[16 + 8 * k..20 + 8 * k].try_into().unwrap()) as usize;
        }
    }
    tally.print("sums past 2^32, resealed");
}

#[test]
fn random_damage_is_read_alike_by_both_readers() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut tally = Tally::default();
    let golden = golden();
    for _ in 0..100_000 {
        let mut file = golden[rng.random_range(0..golden.len())].1.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(8..file.len());
            match rng.random_range(0..4) {
                0 => file[at] ^= 1 << rng.random_range(0..8),
                1 => file[at] = rng.random(),
                2 => file[at] = file[at].wrapping_add(1),
                _ => file[at] = file[at].wrapping_sub(1),
            }
        }
        tally.resealed(&mut file);
    }
    tally.print("random damage, resealed");
    assert!(tally.accepted * 10 > tally.cases);
}

#[test]
fn files_are_read_at_any_address() {
    let mut tally = Tally::default();
    for (name, file) in golden() {
        let mut room = vec![0xa5; file.len() + 32];
        let base = room.as_ptr().align_offset(16);
        for offset in 0..16 {
            let place = &mut room[base + offset..base + offset + file.len()];
            place.copy_from_slice(&file);
            assert_eq!(place.as_ptr() as usize % 16, offset);
            tally.count(agree::readers(place));
            assert!(agree::readers(place), "{name} at {offset}");
        }
    }
    tally.print("base offsets 0..15");
}

/// Shapes cost nothing: a file that states 2³¹ positions and holds none is read in no time.
#[test]
fn a_large_empty_shape_takes_no_time() {
    let file = &golden().into_iter().find(|(name, _)| name == "matrix-empty.ncsr").unwrap().1;
    let body = 20 + 8 * usize::from(file[7]);
    for (rows, columns) in [(i32::MAX as u32, 1), (1 << 18, 1 << 12), (127, 1 << 24), (1 << 15, 8192 * 7)] {
        let mut file = file.clone();
        file[body..body + 4].copy_from_slice(&u32::to_le_bytes(rows));
        file[body + 4..body + 8].copy_from_slice(&u32::to_le_bytes(columns));
        // The empty rings in a code that has no counts.
        let mut start = body + 12;
        for k in 0..usize::from(file[7]) {
            let len = u32::from_le_bytes(file[16 + 8 * k..20 + 8 * k].try_into().unwrap()) as usize;
            file[start + 12..start + 16].copy_from_slice(&[1, 0, 0, 0]);
            start += len;
        }
        naive::reseal(&mut file);
        let clock = std::time::Instant::now();
        let matrix = NestedCsr::parse(&file).unwrap();
        assert!(clock.elapsed().as_millis() < 100, "{rows} × {columns}: {:?}", clock.elapsed());
        assert_eq!(matrix.view().stored(Level::FIRST), Ok(0));
        // Nor does walking it, when empty rows are skipped.
        let mut walk = matrix.rows(matrix.levels()).unwrap();
        assert_eq!((walk.skip_empty(), walk.next_row(|_, _| ())), (rows as usize, None));
        assert!(clock.elapsed().as_millis() < 100, "{rows} × {columns}: {:?}", clock.elapsed());
    }
}
