//! The laws of the format, and agreement with the naive reader.
mod agree;
mod naive;

use nested_csr::testing::{Nested, index_codes, laws, model, nested, profile};
use nested_csr::{Block, FormatError, IndexCode, Layers, LayersBuilder, Level, NestedCsr, Profile, Shape};
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
        laws::encoding_is_canonical(&matrix.compress_as(&codes)?)?;
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

/// Rows too wide for the map of free positions: only the other codes, and repeats are still found.
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
    let one = Block::OneByOne;
    assert_eq!(
        compress(one, &[1; 3], &[1; 4]),
        Err(FormatError::LengthMismatch { what: "weights", needed: 4, given: 3 })
    );
    assert_eq!(
        compress(one, &[0, 0, 3, 0], &[0, 0, 3, 0]),
        Err(FormatError::RingAboveLevels { row: 0, column: 2, ring: 3, levels: 2 })
    );
    assert_eq!(
        compress(one, &[0, 9, 0, 0], &[0; 4]),
        Err(FormatError::WeightOutsideLevels { row: 0, column: 1, weight: 9 })
    );
    assert_eq!(
        compress(Block::OneByTwo, &[0, 0, 1, 1], &[0, 0, 1, 2]),
        Err(FormatError::SplitBlock { row: 0, column: 3 })
    );
    let empty = Shape { rows: 0, columns: 4 };
    let result = NestedCsr::compress(empty, one, levels, &[], &[], Profile::Size).map(|_| ());
    assert_eq!(result, Err(FormatError::Shape { layer: 0, rows: 0, columns: 4 }));
    assert!(Level::new(9).is_err() && Level::new(0).is_err());
    assert!(NestedCsr::compress_as(shape, one, &[IndexCode::Gaps { modulus: 0 }], &[0; 4], &[0; 4]).is_err());
}
