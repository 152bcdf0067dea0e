//! Property-tests one's own code against the format: here a matrix–vector product that reads rows in place.
//!
//!     cargo run --example property_test --features proptest
use nested_csr::testing::nested;
use nested_csr::{FormatError, Level, MatrixView, Profile};
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

/// The code under test.
fn product(matrix: MatrixView<'_>, level: Level, vector: &[i8]) -> Result<Vec<i32>, FormatError> {
    let mut rows = matrix.rows(level)?;
    let mut out = Vec::new();
    while let Some(row) = rows.row() {
        let terms = row.map(|(column, weight)| i32::from(weight) * vector.get(column).map_or(0, |a| i32::from(*a)));
        out.push(terms.sum());
    }
    Ok(out)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut runner = TestRunner::default();
    let result = runner.run(&nested(), |matrix| {
        let file = matrix.compress(Profile::Size)?;
        let vector: Vec<i8> = (0..matrix.shape.columns).map(|column| (column * 37 % 256) as u8 as i8).collect();
        for level in file.levels().up_to() {
            let dense = matrix.at(level);
            let rows = dense.chunks(matrix.shape.columns);
            let dot = |row: &[i8]| row.iter().zip(&vector).map(|(w, a)| i32::from(*w) * i32::from(*a)).sum::<i32>();
            prop_assert_eq!(product(file.view(), level, &vector)?, rows.map(dot).collect::<Vec<_>>());
        }
        Ok(())
    });
    if let Err(TestError::Fail(why, matrix)) = &result {
        println!("smallest matrix that fails: {matrix:?}: {why}");
    }
    result.map_err(|error| error.to_string())?;
    println!("the product holds for 256 random matrices at each of their levels");
    Ok(())
}
