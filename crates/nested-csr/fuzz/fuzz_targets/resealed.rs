//! Damaged files with checksums that fit: what parses is walked through every accessor, without allocating.
#![no_main]
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use nested_csr::{Kind, Layers, Level, MatrixView, Model, NestedCsr, Operation, Weights};
use nested_csr_fuzz::{mutate, tally, without_allocating};

/// Rows beyond which a layer is not walked: rows without weights cost no bytes.
const MOST_ROWS: usize = 1 << 9;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, fuzzer_mutate)
});

fuzz_target!(|data: &[u8]| {
    tally(
        without_allocating(|| match Kind::of(data) {
            Ok(Kind::Matrix) => NestedCsr::parse(data).map(|matrix| {
                layer(matrix.view());
                prefixes(matrix.levels(), |level| {
                    matrix.prefix(level).is_ok_and(|prefix| NestedCsr::parse(prefix).is_ok())
                });
                assert_eq!(matrix.stats().total(), data.len());
            }),
            Ok(Kind::Layers) => Layers::parse(data).map(|layers| {
                for index in 0..layers.len() {
                    layer(layers.layer(index).expect("the layer is there"));
                    assert!(layers.name(index).is_some_and(|name| layers.find(name).is_some()));
                }
                prefixes(layers.levels(), |level| {
                    layers.prefix(level).is_ok_and(|prefix| Layers::parse(prefix).is_ok())
                });
                assert_eq!(layers.stats().total(), data.len());
            }),
            Ok(_) => Model::parse(data).map(|read| {
                model(&read);
                prefixes(read.levels(), |level| read.prefix(level).is_ok_and(|prefix| Model::parse(prefix).is_ok()));
                assert_eq!(read.stats().total(), data.len());
            }),
            Err(error) => Err(error),
        })
        .is_ok(),
    );
});

fn prefixes(levels: Level, is_file: impl Fn(Level) -> bool) {
    assert!(levels.up_to().all(is_file));
}

fn layer(view: MatrixView<'_>) {
    for level in view.levels().up_to() {
        let stored = view.stored(level).expect("the level is there");
        assert!(view.ring_stats(level).expect("the level is there").bound_bits() >= -1e-6);
        if view.shape().rows > MOST_ROWS {
            continue;
        }
        let (mut rows, mut single) =
            (view.rows(level).expect("the level is there"), view.rows(level).expect("the level is there"));
        let (mut found, mut sum) = (0, 0i64);
        while rows
            .next_row(|column, weight| {
                assert!(column < view.shape().columns);
                found += 1;
                sum += (column as i64 + 1) * i64::from(weight);
            })
            .is_some()
        {}
        while let Some(row) = single.row() {
            sum -= row.map(|(column, weight)| (column as i64 + 1) * i64::from(weight)).sum::<i64>();
        }
        assert_eq!((found, sum), (stored, 0));
    }
}

fn model<B: AsRef<[u8]>>(model: &Model<B>) {
    for index in 0..model.node_count() {
        let node = model.node(index).expect("the node is there");
        assert!(model.name(index).is_some() && !node.output.is_empty());
        match node.operation {
            Operation::Convolution { weights: Weights::Sparse(view), .. } => layer(view),
            Operation::Convolution { weights: Weights::Dense(weights), .. } | Operation::Depthwise { weights, .. } => {
                assert!(!weights.is_empty());
            }
            _ => {}
        }
        for level in model.levels().up_to() {
            let parameters = model.parameters(level, index).expect("the level is there");
            let rows = parameters.rows.iter().map(|row| row.multiplier.apply(row.bias)).fold(0, i32::wrapping_add);
            assert!(parameters.low <= parameters.high && (rows == 0 || !parameters.rows.is_empty()));
            let _ = model.cost(level);
        }
    }
}
