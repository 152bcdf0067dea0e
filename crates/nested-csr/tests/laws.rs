//! The laws of the format, and agreement with the naive reader.
mod agree;
mod naive;

use nested_csr::testing::{Nested, index_codes, laws, model, nested, profile};
use nested_csr::{Block, FormatError, IndexCode, Layers, LayersBuilder, Level, NestedCsr, Place, Profile, Shape};
use proptest::prelude::*;

fn matrix_and_codes() -> impl Strategy<Value = (Nested, Vec<IndexCode>)> {
    nested().prop_flat_map(|matrix| (Just(matrix.clone()), index_codes(matrix.levels)))
}

/// That many cases, or as `PROPTEST_CASES` says (an emulated processor is slow); failures print their smallest input and
/// are kept in no file.
fn cases(cases: u32) -> ProptestConfig {
    let said = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(said.unwrap_or(cases)) }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn a_file_holds_its_matrix(matrix in nested(), profile in profile()) {
        laws::file_holds_matrix(&matrix, &matrix.compress(profile)?)?;
    }

    #[test]
    fn a_file_in_any_codes_holds_its_matrix((matrix, codes) in matrix_and_codes()) {
        let file = matrix.compress_as(&codes)?;
        laws::file_holds_matrix(&matrix, &file)?;
        prop_assert!(agree::readers(file.as_bytes()));
    }

    #[test]
    fn levels_nest((matrix, codes) in matrix_and_codes()) {
        laws::levels_nest(matrix.compress_as(&codes)?.view())?;
    }

    #[test]
    fn prefixes_are_files((matrix, codes) in matrix_and_codes()) {
        laws::prefixes_are_files(&matrix.compress_as(&codes)?)?;
    }

    #[test]
    fn truncations_are_refused(matrix in nested(), profile in profile()) {
        laws::truncations_are_refused(&matrix.compress(profile)?)?;
    }

    #[test]
    fn the_encoding_is_canonical((matrix, codes) in matrix_and_codes()) {
        let file = matrix.compress_as(&codes)?;
        for level in file.levels().up_to() {
            laws::encoding_is_canonical(&NestedCsr::parse(file.prefix(level)?)?)?;
        }
    }

    #[test]
    fn a_row_that_was_left_half_way_is_passed_over(
        (matrix, codes) in matrix_and_codes(),
        taken in prop::collection::vec(0usize..12, 1..6),
    ) {
        let file = matrix.compress_as(&codes)?;
        let mut rows = file.rows(file.levels())?;
        for row in 0..matrix.shape.rows {
            let expected = matrix.row(row, file.levels());
            if row % 2 == 0 {
                let taken = taken[row / 2 % taken.len()].min(expected.len());
                let begun: Option<Vec<_>> = rows.row().map(|row| row.take(taken).collect());
                prop_assert_eq!(begun.as_deref(), Some(&expected[..taken]));
            } else {
                let mut found = Vec::new();
                prop_assert!(rows.next_row(|column, weight| found.push((column, weight))).is_some());
                prop_assert_eq!(found, expected, "row {}", row);
            }
        }
        prop_assert!(rows.next_row(|_, _| ()).is_none());
    }

    #[test]
    fn bytes_add_up((matrix, codes) in matrix_and_codes()) {
        laws::bytes_add_up(&matrix.compress_as(&codes)?)?;
    }

    #[test]
    fn size_is_never_larger_than_other_profiles(matrix in nested(), profile in profile()) {
        let [size, other] = [Profile::Size, profile].map(|profile| matrix.compress(profile));
        prop_assert!(size?.as_bytes().len() <= other?.as_bytes().len());
    }

    #[test]
    fn a_model_reads_the_same_by_both_readers(model in model()) {
        prop_assert!(agree::readers(model.as_bytes()));
        prop_assert_eq!(model.stats().total(), model.as_bytes().len());
    }

    #[test]
    fn model_prefixes_are_files(model in model()) {
        laws::model_prefixes_are_files(&model)?;
    }

    #[test]
    fn a_set_of_layers_holds_its_matrices(matrices in prop::collection::vec(nested(), 1..4), profile in profile()) {
        let levels = matrices.iter().map(|matrix| matrix.levels).max().expect("a matrix");
        let mut builder = LayersBuilder::new(levels, profile);
        for (index, matrix) in matrices.iter().enumerate() {
            builder.push(&"é".repeat(index), matrix.shape, matrix.block, &matrix.weights, &matrix.rings)?;
        }
        let file = builder.finish()?;
        laws::layers_prefixes_are_files(&file)?;
        prop_assert_eq!(file.stats().total(), file.as_bytes().len());
        prop_assert!(agree::readers(file.as_bytes()));
        for (index, matrix) in matrices.iter().enumerate() {
            let view = file.layer(index).expect("the layer is there");
            prop_assert_eq!(view.to_dense(levels)?, matrix.at(levels));
            prop_assert!(file.find(&"é".repeat(index)).is_some());
        }
        prop_assert!(Layers::parse(file.as_bytes()).is_ok());
    }
}

/// A row of more than 65,535 blocks counts them in 4 bytes.
#[test]
fn counts_of_four_bytes_are_read() {
    let shape = Shape { rows: 2, columns: 70_001 };
    for (block, width) in [(Block::OneByOne, 4), (Block::OneByTwo, 2)] {
        let rings: Vec<u8> = (0..shape.len()).map(|i| u8::from(i % 16 < 15)).collect();
        let weights = rings.iter().enumerate().map(|(i, ring)| (i % 100 + 1) as i8 * ring.cast_signed()).collect();
        let matrix = Nested { shape, block, levels: Level::FIRST, weights, rings };
        let file = matrix.compress_as(&[IndexCode::Bytes { count_width: 1 }]).unwrap();
        assert_eq!(file.view().index_code(Level::FIRST), Ok(IndexCode::Bytes { count_width: width }));
        laws::file_holds_matrix(&matrix, &file).unwrap();
        assert!(agree::readers(file.as_bytes()));
        let mut ring = file.view().byte_ring(Level::FIRST).unwrap().unwrap();
        let blocks = file.view().ring_stats(Level::FIRST).unwrap().blocks;
        assert_eq!((ring.next_count() + ring.next_count(), ring.next_count()), (blocks, 0));
    }
}

/// Nested Golomb codes in rows as wide as they may be, where the last words of the map count.
#[test]
fn the_widest_rows_that_count_free_positions_hold_their_matrix() {
    let free = |modulus| IndexCode::FreeGaps { modulus };
    let codes = [free(40), free(1), IndexCode::Bytes { count_width: 1 }, free(7)];
    for (block, columns) in [(Block::OneByOne, 8192), (Block::OneByOne, 8191), (Block::OneByTwo, 16_383)] {
        let shape = Shape { rows: 3, columns };
        // Dense at the far end of a row, in turn in each ring, and at the start of the next.
        let far = |block: usize, blocks: usize| block + 70 > blocks || block < 3 || block.is_multiple_of(409);
        let blocks = columns.div_ceil(block.width());
        let ring = |i: usize| {
            let (row, block) = (i / columns, i % columns / block.width());
            if far(block, blocks) { ((row + block * 7) % 5) as u8 } else { 0 }
        };
        let rings: Vec<u8> = (0..shape.len()).map(ring).collect();
        let weights = rings.iter().zip(1..).map(|(ring, i)| if *ring == 0 { 0 } else { (i % 100) as i8 + 1 }).collect();
        let matrix = Nested { shape, block, levels: Level::new(4).unwrap(), weights, rings };
        let file = matrix.compress_as(&codes).unwrap();
        laws::file_holds_matrix(&matrix, &file).unwrap();
        assert!(agree::readers(file.as_bytes()));
    }
    let shape = Shape { rows: 1, columns: 8193 };
    let file = NestedCsr::compress_as(shape, Block::OneByOne, &[free(1)], &[0; 8193], &[0; 8193]).map(|_| ());
    assert_eq!(file, Err(FormatError::IndexCode { layer: 0, level: 1, code: 3, parameter: 1 }));
}

/// Rows too wide for the map of free positions: only the other codes. (`refusals.rs`: repeats are still found.)
#[test]
fn very_wide_rows_hold_their_matrix() {
    let shape = Shape { rows: 3, columns: 40_001 };
    let mut matrix = Nested {
        shape,
        block: Block::OneByOne,
        levels: Level::new(2).unwrap(),
        weights: vec![0; shape.len()],
        rings: vec![0; shape.len()],
    };
    for i in (0..shape.len()).filter(|i| i % 977 < 3 && i / 30_000 % 3 != 1) {
        matrix.weights[i] = (i % 100) as i8 + 1;
        matrix.rings[i] = 1 + (i % 977 % 2) as u8;
    }
    for block in [Block::OneByOne, Block::OneByTwo] {
        if block == Block::OneByTwo {
            matrix.rings.iter_mut().filter(|ring| **ring != 0).for_each(|ring| *ring = 2);
        }
        matrix.block = block;
        let codes = [
            IndexCode::Bytes { count_width: 1 },
            IndexCode::Nibbles,
            IndexCode::Gaps { modulus: 300 },
            IndexCode::Gaps { modulus: 1 },
        ];
        for first in codes {
            for second in codes {
                let file = matrix.compress_as(&[first, second]).unwrap();
                laws::file_holds_matrix(&matrix, &file).unwrap();
                assert!(agree::readers(file.as_bytes()));
            }
        }
        let nested = matrix.compress_as(&[codes[1], IndexCode::FreeGaps { modulus: 5 }]);
        assert!(matches!(nested, Err(FormatError::IndexCode { level: 2, code: 3, .. })));
        laws::file_holds_matrix(&matrix, &matrix.compress(Profile::Size).unwrap()).unwrap();
    }
}

/// What cannot be compressed is refused, and the error says where.
#[test]
fn bad_matrices_are_refused() {
    let shape = Shape { rows: 1, columns: 4 };
    let levels = Level::new(2).unwrap();
    let compress = |block, weights: &[i8], rings: &[u8]| {
        NestedCsr::compress(shape, block, levels, weights, rings, Profile::Size).map(|file| file.as_bytes().len())
    };
    let (one, matrix) = (Block::OneByOne, Place::Layer(0));
    assert_eq!(
        compress(one, &[1; 3], &[1; 4]),
        Err(FormatError::LengthMismatch { what: "weights", needed: 4, given: 3 })
    );
    assert_eq!(
        compress(one, &[0, 0, 3, 0], &[0, 0, 3, 0]),
        Err(FormatError::RingAboveLevels { matrix, row: 0, column: 2, ring: 3, levels: 2 })
    );
    assert_eq!(
        compress(one, &[0, 9, 0, 0], &[0; 4]),
        Err(FormatError::WeightOutsideLevels { matrix, row: 0, column: 1, weight: 9 })
    );
    assert_eq!(
        compress(Block::OneByTwo, &[0, 0, 1, 1], &[0, 0, 1, 2]),
        Err(FormatError::SplitBlock { matrix, row: 0, column: 3 })
    );
    let empty = Shape { rows: 0, columns: 4 };
    let result = NestedCsr::compress(empty, one, levels, &[], &[], Profile::Size).map(|_| ());
    assert_eq!(result, Err(FormatError::Shape { matrix, rows: 0, columns: 4 }));
    assert!(Level::new(9).is_err() && Level::new(0).is_err());
    assert!(NestedCsr::compress_as(shape, one, &[IndexCode::Gaps { modulus: 0 }], &[0; 4], &[0; 4]).is_err());
    // Nothing is allocated for a shape before it is known to be possible.
    let vast = Shape { rows: usize::MAX, columns: 1 };
    let result = NestedCsr::compress(vast, one, levels, &[], &[], Profile::Size).map(|_| ());
    assert_eq!(result, Err(FormatError::Shape { matrix, rows: usize::MAX, columns: 1 }));
}

#[test]
fn a_set_without_layers_is_refused_and_a_layer_is_refused_by_its_number() {
    let new = || LayersBuilder::new(Level::FIRST, Profile::Size);
    assert_eq!(new().finish().map(|_| ()), Err(FormatError::Empty));
    let (mut builder, shape) = (new(), Shape { rows: 1, columns: 2 });
    builder.push("a", shape, Block::OneByOne, &[1, 0], &[1, 0]).unwrap();
    let error = FormatError::RingAboveLevels { matrix: Place::Layer(1), row: 0, column: 1, ring: 2, levels: 1 };
    assert_eq!(builder.push("b", shape, Block::OneByOne, &[1, 2], &[1, 2]), Err(error));
    assert_eq!(builder.finish().unwrap().len(), 1);
}
