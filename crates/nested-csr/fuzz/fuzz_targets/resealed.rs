//! Damaged files with checksums that fit: what parses is walked through every accessor, without allocating.
#![no_main]
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use nested_csr::{AnchorTable, IndexCode, Kind, Layers, Level, MatrixView, Model, NestedCsr, Operation, Weights};
use nested_csr_fuzz::{mutate, tally, without_allocating};

/// Rows beyond which a layer is not walked row by row: rows without weights cost no bytes.
const MOST_ROWS: usize = 1 << 9;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, fuzzer_mutate)
});

fuzz_target!(|data: &[u8]| {
    tally(
        without_allocating(|| match Kind::of(data) {
            Ok(Kind::Matrix) => NestedCsr::parse(data).map(|matrix| {
                layer(matrix.view());
                prefixes(matrix.levels(), data, |level| {
                    let prefix = matrix.prefix(level).ok().filter(|prefix| NestedCsr::parse(prefix).is_ok());
                    prefix.zip(matrix.sections_after(level).ok())
                });
                assert_eq!(matrix.stats().total(), data.len());
            }),
            Ok(Kind::Layers) => Layers::parse(data).map(|layers| {
                for index in 0..layers.len() {
                    layer(layers.layer(index).expect("the layer is there"));
                    assert!(layers.name(index).is_some_and(|name| layers.find(name).is_some()));
                }
                prefixes(layers.levels(), data, |level| {
                    let prefix = layers.prefix(level).ok().filter(|prefix| Layers::parse(prefix).is_ok());
                    prefix.zip(layers.sections_after(level).ok())
                });
                assert_eq!(layers.stats().total(), data.len());
            }),
            Ok(_) => Model::parse(data).map(|read| {
                model(&read);
                prefixes(read.levels(), data, |level| {
                    let prefix = read.prefix(level).ok().filter(|prefix| Model::parse(prefix).is_ok());
                    prefix.zip(read.sections_after(level).ok())
                });
                assert_eq!(read.stats().total(), data.len());
            }),
            Err(error) => Err(error),
        })
        .is_ok(),
    );
});

/// At each level the prefix is a file, and with the sections behind it the whole one.
fn prefixes<'a>(levels: Level, file: &[u8], cut: impl Fn(Level) -> Option<(&'a [u8], &'a [u8])>) {
    for level in levels.up_to() {
        let (prefix, sections) = cut(level).expect("a prefix that is a file");
        assert!(file.strip_prefix(prefix) == Some(sections));
    }
}

fn layer(view: MatrixView<'_>) {
    for level in view.levels().up_to() {
        let stored = view.stored(level).expect("the level is there");
        let stats = view.ring_stats(level).expect("the level is there");
        assert!(stats.bound_bits() >= -1e-6);
        byte_ring(&view, level);
        assert_eq!(walk(&view, level), stored);
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

/// Weights met by a walk that skips empty rows, whose time is the bytes', whatever number of rows they state.
fn walk(view: &MatrixView<'_>, level: Level) -> usize {
    let mut rows = view.rows(level).expect("the level is there");
    let (mut passed, mut found) = (0, 0);
    loop {
        passed += rows.skip_empty();
        if rows.next_row(|_, _| found += 1).is_none() {
            assert_eq!((passed, rows.rows_left()), (view.shape().rows, 0));
            return found;
        }
        passed += 1;
    }
}

/// A ring of bytes read by hand: its counts and gaps are as many as its record says, and end where its bytes do.
fn byte_ring(view: &MatrixView<'_>, level: Level) {
    let stats = view.ring_stats(level).expect("the level is there");
    let ring = view.byte_ring(level).expect("the level is there");
    assert_eq!(ring.is_some(), matches!(stats.code, IndexCode::Bytes { .. }));
    let Some(mut ring) = ring else { return };
    assert_eq!((ring.counts.len(), ring.gaps.len(), ring.weights.len()), (stats.counts, stats.index, stats.values));
    let mut blocks = 0;
    for _ in 0..view.shape().rows {
        let (count, mut columns) = (ring.next_count(), 0);
        for _ in 0..count {
            columns += (ring.next_gap() + 1) * view.block().width();
        }
        assert!(columns < view.shape().columns + view.block().width());
        blocks += count;
    }
    assert_eq!(blocks, stats.blocks);
    assert!(ring.counts.is_empty() && ring.gaps.is_empty());
    assert_eq!((ring.next_count(), ring.next_gap()), (0, 0));
}

/// All that an anchor table says; it describes so many values.
fn anchors(table: &AnchorTable<'_>, values: usize) {
    assert!(table.classes() > 0);
    let (mut maps, mut boxes) = (0, 0);
    for map in table.maps() {
        assert!(map.height > 0 && map.width > 0 && map.anchors().len() > 0);
        assert!(map.anchors().all(|anchor| anchor.height > 0 && anchor.width > 0));
        boxes += map.height * map.width * map.anchors().len();
        maps += 1;
    }
    assert!(maps > 0);
    assert_eq!((table.boxes(), boxes * (5 + table.classes())), (boxes, values));
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
            Operation::Detection { anchors: table, .. } => anchors(&table, node.output.len()),
            _ => {}
        }
        for level in model.levels().up_to() {
            let parameters = model.parameters(level, index).expect("the level is there");
            let rows = parameters.rows;
            let sum = rows.iter().map(|row| row.multiplier.apply(row.bias)).fold(0, i32::wrapping_add);
            assert!(parameters.low <= parameters.high && (sum == 0 || !rows.is_empty()));
            let mut row = 0;
            rows.each(|each| {
                assert_eq!(each, rows.get(row));
                row += 1;
            });
            assert_eq!((row, rows.get(row).multiplier.code(), rows.get(row).bias), (rows.len(), 0, 0));
            let (stored, width) = rows.stored();
            assert_eq!(stored.len(), rows.len() * (2 + width));
            let _ = model.cost(level);
        }
    }
}
