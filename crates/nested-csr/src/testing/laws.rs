//! What holds for every file and matrix; each names the first thing that does not.
//!
//! Files from elsewhere can be held to them too:
//!
//! ```
//! use nested_csr::testing::laws;
//! use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
//!
//! # let shape = Shape { rows: 1, columns: 4 };
//! # let made = NestedCsr::compress(shape, Block::OneByOne, Level::new(2)?, &[7, 0, -3, 5], &[2, 0, 1, 1], Profile::Size)?;
//! # let bytes = made.into_bytes();
//! let file = NestedCsr::parse(bytes)?; // for instance of a writer of your own
//! laws::levels_nest(file.view())?;
//! laws::prefixes_are_files(&file)?;
//! laws::encoding_is_canonical(&file)?;
//! laws::bytes_add_up(&file)?;
//! # Ok::<(), proptest::test_runner::TestCaseError>(())
//! ```
use super::Nested;
use crate::header::{ENTRY_LEN, FIXED_LEN, header_len};
use crate::{FormatError, IndexCode, Layers, Level, MatrixView, Model, NestedCsr, Operation, Weights, prefix_lens};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::vec::Vec;

type Law = Result<(), TestCaseError>;

/// The file holds the matrix: dense at each level, and row by row in the specified order, by both iterators.
///
/// # Errors
/// The first difference.
pub fn file_holds_matrix<B: AsRef<[u8]>>(matrix: &Nested, file: &NestedCsr<B>) -> Law {
    prop_assert_eq!(file.shape(), matrix.shape);
    prop_assert_eq!(file.view().block(), matrix.block);
    for level in file.levels().up_to() {
        prop_assert_eq!(file.to_dense(level)?, matrix.at(level));
        let (mut whole, mut single) = (file.rows(level)?, file.rows(level)?);
        let mut stored = 0;
        for row in 0..matrix.shape.rows {
            let expected = matrix.row(row, level);
            let mut found = Vec::new();
            prop_assert!(whole.next_row(|column, weight| found.push((column, weight))).is_some());
            prop_assert_eq!(&found, &expected, "level {}, row {}", level.number(), row);
            let lent: Option<Vec<_>> = single.row().map(Iterator::collect);
            prop_assert_eq!(lent, Some(expected), "level {}, row {}", level.number(), row);
            stored += found.len();
        }
        prop_assert!(whole.next_row(|_, _| ()).is_none() && single.row().is_none());
        prop_assert_eq!(file.view().stored(level)?, stored);
    }
    Ok(())
}

/// The support of a level contains the one below, with the same weights.
///
/// # Errors
/// The first level and weight for which it does not.
pub fn levels_nest(matrix: MatrixView<'_>) -> Law {
    let mut inner: Option<Vec<i8>> = None;
    for level in matrix.levels().up_to() {
        let outer = matrix.to_dense(level)?;
        let below = inner.iter().flatten().zip(&outer);
        for (at, (inner, outer)) in below.enumerate() {
            prop_assert!(*inner == 0 || inner == outer, "weight {} changes at level {}", at, level.number());
        }
        inner = Some(outer);
    }
    Ok(())
}

/// Matrices that are equal at each level that both hold.
///
/// # Errors
/// The first level at which they differ.
pub fn same_matrix(left: MatrixView<'_>, right: MatrixView<'_>) -> Law {
    prop_assert_eq!(left.shape(), right.shape());
    prop_assert_eq!(left.block(), right.block());
    for level in left.levels().min(right.levels()).up_to() {
        prop_assert_eq!(left.to_dense(level)?, right.to_dense(level)?, "level {}", level.number());
        prop_assert_eq!(left.stored(level)?, right.stored(level)?);
    }
    Ok(())
}

/// Each prefix is a file of that many levels, as long as the header tells, and grows into the whole by an upgrade; a wrong upgrade changes nothing.
///
/// # Errors
/// The first prefix for which it does not hold.
pub fn prefixes_are_files<B: AsRef<[u8]>>(file: &NestedCsr<B>) -> Law {
    for level in file.levels().up_to() {
        let mut prefix = NestedCsr::parse(file.prefix(level)?.to_vec())?;
        prop_assert_eq!(prefix.levels(), level);
        let told = prefix_lens(prefix.as_bytes())?.nth(level.number() - 1);
        prop_assert_eq!(told, Some(prefix.as_bytes().len()));
        same_matrix(prefix.view(), file.view())?;
        let sections = file.sections_after(level)?;
        if level < file.levels() {
            prop_assert!(prefix.upgrade(sections.get(1..).unwrap_or(&[])).is_err());
            prop_assert_eq!(prefix.as_bytes(), file.prefix(level)?);
        }
        prefix.upgrade(sections)?;
        prop_assert_eq!(prefix.as_bytes(), file.as_bytes());
    }
    Ok(())
}

/// As [`prefixes_are_files`], for a set of layers.
///
/// # Errors
/// The first prefix for which it does not hold.
pub fn layers_prefixes_are_files<B: AsRef<[u8]>>(file: &Layers<B>) -> Law {
    for level in file.levels().up_to() {
        let mut prefix = Layers::parse(file.prefix(level)?.to_vec())?;
        prop_assert_eq!(prefix.levels(), level);
        for index in 0..file.len() {
            prop_assert_eq!(prefix.name(index), file.name(index));
            let views = prefix.layer(index).zip(file.layer(index));
            views.map_or(Ok(()), |(left, right)| same_matrix(left, right))?;
        }
        prefix.upgrade(file.sections_after(level)?)?;
        prop_assert_eq!(prefix.as_bytes(), file.as_bytes());
    }
    Ok(())
}

/// As [`prefixes_are_files`], for a model: its graph, weights and parameters are those of the whole.
///
/// # Errors
/// The first prefix for which it does not hold.
pub fn model_prefixes_are_files<B: AsRef<[u8]>>(file: &Model<B>) -> Law {
    for level in file.levels().up_to() {
        let mut prefix = Model::parse(file.prefix(level)?.to_vec())?;
        prop_assert_eq!(prefix.levels(), level);
        prop_assert_eq!(prefix.node_count(), file.node_count());
        for index in 0..file.node_count() {
            prop_assert_eq!(prefix.name(index), file.name(index));
            let nodes = prefix.node(index).zip(file.node(index));
            nodes.map_or(Ok(()), |(left, right)| same_operation(&left.operation, &right.operation))?;
            for level in level.up_to() {
                prop_assert_eq!(parameters(&prefix, level, index), parameters(file, level, index));
            }
        }
        prefix.upgrade(file.sections_after(level)?)?;
        prop_assert_eq!(prefix.as_bytes(), file.as_bytes());
    }
    Ok(())
}

fn same_operation(left: &Operation<'_>, right: &Operation<'_>) -> Law {
    match (left, right) {
        (
            Operation::Convolution { weights: Weights::Sparse(left), .. },
            Operation::Convolution { weights: Weights::Sparse(right), .. },
        ) => same_matrix(*left, *right),
        (
            Operation::Convolution { weights: Weights::Dense(left), .. },
            Operation::Convolution { weights: Weights::Dense(right), .. },
        ) => {
            prop_assert_eq!(left, right);
            Ok(())
        }
        _ => {
            prop_assert_eq!(std::format!("{left:?}"), std::format!("{right:?}"));
            Ok(())
        }
    }
}

fn parameters<B: AsRef<[u8]>>(model: &Model<B>, level: Level, index: usize) -> Option<std::string::String> {
    let found = model.parameters(level, index)?;
    let rows: Vec<_> = found.rows.iter().collect();
    let fixed = (found.output(), found.low, found.high, found.input_weights, found.narrow);
    Some(std::format!("{fixed:?} {rows:?}"))
}

/// The encoding is canonical: what was read, compressed again with the same codes, gives the same bytes. Of a file that is a
/// prefix, it gives the same body, sections and header, but for what the header says of the sections that are not held.
///
/// # Errors
/// The two files differ.
pub fn encoding_is_canonical<B: AsRef<[u8]>>(file: &NestedCsr<B>) -> Law {
    let view = file.view();
    let (mut weights, mut rings) = (Vec::new(), std::vec![0u8; file.shape().len()]);
    let mut codes = Vec::new();
    for level in file.levels().up_to() {
        weights = file.to_dense(level)?;
        codes.push(view.index_code(level)?);
        let mut rows = file.rows(level)?;
        for row in rings.chunks_mut(file.shape().columns) {
            rows.next_row(|column, _| {
                if let Some(ring) = row.get_mut(column).filter(|ring| **ring == 0) {
                    *ring = level.number() as u8;
                }
            });
        }
    }
    // Rings that are not held are written empty.
    codes.resize(file.levels_stated().number(), IndexCode::Nibbles);
    let again = NestedCsr::compress_as(file.shape(), view.block(), &codes, &weights, &rings)?;
    let known = FIXED_LEN + file.levels().number() * ENTRY_LEN;
    let parts = |bytes: &[u8]| (bytes[..known].to_vec(), bytes[header_len(codes.len())..].to_vec());
    prop_assert_eq!(parts(again.prefix(file.levels())?), parts(file.as_bytes()));
    if file.levels() == file.levels_stated() {
        prop_assert_eq!(again.as_bytes(), file.as_bytes());
    }
    Ok(())
}

/// The parts' bytes add up to the file.
///
/// # Errors
/// The sums differ.
pub fn bytes_add_up<B: AsRef<[u8]>>(file: &NestedCsr<B>) -> Law {
    let stats = file.stats();
    prop_assert_eq!(stats.total(), file.as_bytes().len());
    prop_assert_eq!(stats.values, file.view().stored(file.levels())?);
    prop_assert!(stats.padding < 4 * file.levels().number());
    Ok(())
}

/// A file cut anywhere but at a section's end is refused. `O(length²)`: for small files.
///
/// # Errors
/// The first cut that is accepted, or that is refused at a section's end.
pub fn truncations_are_refused<B: AsRef<[u8]>>(file: &NestedCsr<B>) -> Law {
    let ends: Result<Vec<usize>, FormatError> =
        file.levels().up_to().map(|level| Ok(file.prefix(level)?.len())).collect();
    let ends = ends?;
    for len in 0..file.as_bytes().len() {
        let cut = file.as_bytes().get(..len).unwrap_or(&[]);
        prop_assert_eq!(NestedCsr::parse(cut).is_ok(), ends.contains(&len), "cut at {}", len);
    }
    Ok(())
}
