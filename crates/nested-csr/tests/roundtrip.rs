//! What is compressed is what is read, at each level, in the specified order.
use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
use proptest::prelude::*;

fn expected_row(level: usize, width: usize, weights: &[i8], rings: &[u8]) -> Vec<(usize, i8)> {
    let mut out = Vec::new();
    for ring in 1..=level {
        for start in (0..weights.len()).step_by(width) {
            let columns = start..(start + width).min(weights.len());
            let holds = columns.clone().any(|c| usize::from(rings[c]) == ring);
            if holds && columns.clone().any(|c| weights[c] != 0) {
                out.extend(columns.map(|c| (c, weights[c])));
            }
        }
    }
    out
}

fn check(shape: Shape, block: Block, levels: Level, weights: &[i8], rings: &[u8], profile: Profile) {
    let matrix = NestedCsr::compress(shape, block, levels, weights, rings, profile).unwrap();
    for level in levels.up_to() {
        let prefix = NestedCsr::parse(matrix.prefix(level).unwrap()).unwrap();
        assert_eq!(prefix.levels(), level);
        let mut rows = prefix.rows(level).unwrap();
        let mut lent = matrix.rows(level).unwrap();
        let mut stored = 0;
        for (weights, rings) in weights.chunks(shape.columns).zip(rings.chunks(shape.columns)) {
            let expected = expected_row(level.number(), block.width(), weights, rings);
            let mut row = Vec::new();
            rows.next_row(|column, weight| row.push((column, weight))).unwrap();
            assert_eq!(row, expected);
            assert_eq!(lent.row().unwrap().collect::<Vec<_>>(), expected);
            stored += row.len();
        }
        assert!(rows.next_row(|_, _| ()).is_none() && lent.row().is_none());
        assert_eq!(matrix.view().stored(level).unwrap(), stored);
    }
}

proptest! {
    #[test]
    fn rows_are_what_was_compressed(
        rows in 1usize..9, columns in 1usize..200, two in any::<bool>(), levels in 1usize..=8,
        speed in any::<bool>(), density in 1u32..100, seed in any::<u64>(),
    ) {
        let (shape, block) = (Shape { rows, columns }, if two { Block::OneByTwo } else { Block::OneByOne });
        let mut state = seed | 1;
        let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; (state >> 20) as u32 };
        let (mut weights, mut rings) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let mut ring = 0;
            for column in 0..columns {
                if column % block.width() == 0 {
                    ring = if next() % 100 < density { 1 + (next() % levels as u32) as u8 } else { 0 };
                }
                rings.push(ring);
                weights.push(if ring == 0 { 0 } else { next() as i8 });
            }
        }
        let profile = if speed { Profile::Speed } else { Profile::Size };
        check(shape, block, Level::new(levels).unwrap(), &weights, &rings, profile);
    }
}
