//! The crate's reader and the naive one, side by side: they accept the same files and read the same from them.
#![allow(dead_code)] // each test uses a part of it

use crate::naive;
use nested_csr::{AnchorTable, Kind, Layers, Level, MatrixView, Model, NestedCsr, Operation, Stats, Weights};

/// Rows beyond which a layer is not walked row by row: shapes are free, and rows without weights cost no bytes.
const MOST_ROWS: usize = 1 << 9;

/// Reads a file with both readers, every accessor included; whether both accept it.
///
/// # Panics
/// When they disagree.
pub fn readers(file: &[u8]) -> bool {
    let expected = naive::decode(file);
    let kind = Kind::of(file);
    let accepted = match (&kind, &expected) {
        (Ok(Kind::Matrix), _) => check(file, NestedCsr::parse(file), &expected, |read, naive| {
            assert_eq!(read.levels_stated().number(), naive.stated);
            layer(&naive.layers[0], read.view());
            read.levels().up_to().for_each(|level| assert!(naive::decode(read.prefix(level).unwrap()).is_ok()));
            add_up(&read.stats(), file, read.levels(), 0);
        }),
        (Ok(Kind::Layers), _) => check(file, Layers::parse(file), &expected, |read, naive| {
            assert_eq!(read.len(), naive.layers.len());
            for (index, (expected, name)) in naive.layers.iter().zip(&naive.names).enumerate() {
                layer(expected, read.layer(index).unwrap());
                assert_eq!(read.name(index), Some(name.as_str()));
            }
            assert!(read.layer(read.len()).is_none() && read.name(read.len()).is_none());
            add_up(&read.stats(), file, read.levels(), 1);
        }),
        (Ok(_), _) => check(file, Model::parse(file), &expected, |read, naive| {
            model(naive, read);
            let dense = naive.model.iter().flat_map(|model| &model.nodes).filter(|node| node.weights == 2);
            add_up(&read.stats(), file, read.levels(), 1 + dense.count());
        }),
        (Err(_), _) => false,
    };
    assert_eq!(accepted, expected.is_ok(), "naive: {expected:?}");
    accepted
}

fn check<T>(
    file: &[u8],
    read: Result<T, nested_csr::FormatError>,
    expected: &Result<naive::File, naive::Refusal>,
    same: impl FnOnce(&T, &naive::File),
) -> bool {
    match (&read, expected) {
        (Ok(read), Ok(expected)) => same(read, expected),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(why)) => panic!("accepted, but: {why}; {file:02x?}"),
        (Err(error), Ok(_)) => panic!("refused: {error}; {file:02x?}"),
    }
    read.is_ok()
}

/// The parts' bytes add up, and padding fills up nothing but sections and so many pieces of the body.
fn add_up(stats: &Stats, file: &[u8], levels: Level, pieces: usize) {
    assert_eq!(stats.total(), file.len());
    assert!(stats.padding <= 3 * (levels.number() + pieces), "{stats:?}");
}

fn layer(naive: &naive::Layer, view: MatrixView<'_>) {
    let (rows, columns) = (view.shape().rows, view.shape().columns);
    assert_eq!((naive.rows, naive.columns), (rows as u64, columns as u64));
    assert_eq!(naive.width, view.block().width() as u64);
    assert_eq!(naive.rings.len(), view.levels().number());
    let mut stored = 0;
    for (level, (_, _, weights)) in view.levels().up_to().zip(&naive.rings) {
        stored += weights.len();
        assert_eq!(view.stored(level).unwrap(), stored);
        let stats = view.ring_stats(level).unwrap();
        assert_eq!(stats.values, weights.len());
        assert_eq!(stats.code, view.index_code(level).unwrap());
        // However many rows there are, those that no byte describes are passed at once.
        let mut expected: Vec<_> =
            naive.rings[..level.number()].iter().flat_map(|ring| ring.2.iter().copied()).collect();
        expected.sort_by_key(|weight| weight.0); // stable: within a row ring by ring
        let (mut walk, mut row, mut found) = (view.rows(level).unwrap(), 0, Vec::new());
        loop {
            row += walk.skip_empty() as u64;
            if walk.next_row(|column, weight| found.push((row, column as u64, weight))).is_none() {
                break;
            }
            row += 1;
        }
        assert_eq!((row, walk.rows_left()), (rows as u64, 0));
        assert_eq!(found, expected, "level {}", level.number());
        if rows > MOST_ROWS {
            continue;
        }
        let mut rings: Vec<_> = naive.rings[..level.number()].iter().map(|ring| ring.2.iter().peekable()).collect();
        let (mut whole, mut single) = (view.rows(level).unwrap(), view.rows(level).unwrap());
        for row in 0..rows as u64 {
            let mut expected = Vec::new();
            for ring in &mut rings {
                while let Some((_, column, weight)) = ring.next_if(|weight| weight.0 == row) {
                    expected.push((*column as usize, *weight));
                }
            }
            let mut found = Vec::new();
            whole.next_row(|column, weight| found.push((column, weight))).expect("a row");
            assert_eq!(found, expected, "level {}, row {row}", level.number());
            let mut lent = single.row().expect("a row");
            let half = expected.len() / 2;
            // Every other row is left half way, so that the rest must be passed over.
            let taken: Vec<_> = if row % 2 == 0 { lent.collect() } else { lent.by_ref().take(half).collect() };
            assert_eq!(taken, expected[..taken.len()], "level {}, row {row}", level.number());
            assert!(row % 2 == 1 || taken.len() == expected.len());
        }
        assert!(whole.next_row(|_, _| ()).is_none() && single.row().is_none());
    }
}

/// The bytes of an anchor table, written again from what its accessors say.
fn written(table: &AnchorTable<'_>) -> Vec<i8> {
    let mut fields = vec![table.classes() as u16, table.maps().count() as u16];
    for map in table.maps() {
        fields.extend([map.height, map.width, map.anchors().len()].map(|field| field as u16));
        fields.extend(map.anchors().flat_map(|anchor| [anchor.height, anchor.width]));
    }
    fields.iter().flat_map(|field| field.to_le_bytes()).map(|byte| byte as i8).collect()
}

fn model<B: AsRef<[u8]>>(naive: &naive::File, read: &Model<B>) {
    let expected = naive.model.as_ref().expect("a model");
    assert_eq!(expected.nodes.len(), read.node_count());
    let image = read.input_shape();
    assert_eq!(expected.image.map(usize::from), [image.channels, image.height, image.width]);
    assert_eq!(expected.scale, read.input_quantization().scale.to_bits());
    assert_eq!(expected.zero_point, read.input_quantization().zero_point);
    let mut layers = naive.layers.iter();
    for (index, node) in expected.nodes.iter().enumerate() {
        assert_eq!(Some(naive.names[index].as_str()), read.name(index));
        let found = read.node(index).expect("the node is there");
        assert_eq!(node.output.map(usize::from), [found.output.channels, found.output.height, found.output.width]);
        let inputs = match found.operation {
            Operation::Convolution { input, window, weights: Weights::Sparse(view) } => {
                layer(layers.next().expect("a layer"), view);
                [input.0, 0].map(|input| (input, window.kernel))
            }
            Operation::Convolution { input, window, weights: Weights::Dense(weights) }
            | Operation::Depthwise { input, window, weights } => {
                assert_eq!(node.dense, weights);
                [input.0, 0].map(|input| (input, window.kernel))
            }
            Operation::Add { left, right } | Operation::Concatenation { left, right } => {
                [left.0, right.0].map(|input| (input, [0, 0]))
            }
            Operation::Detection { input, anchors } => {
                assert_eq!(node.dense, written(&anchors));
                [input.0, 0].map(|input| (input, [0, 0]))
            }
            Operation::AveragePool { input, window } | Operation::MaxPool { input, window } => {
                [input.0, 0].map(|input| (input, window.kernel))
            }
            other => panic!("an operation that no version has: {other:?}"),
        };
        assert_eq!(inputs.map(|(input, _)| input), node.inputs);
        assert_eq!(inputs[0].1, node.window[..2]);
        for (level, expected) in read.levels().up_to().zip(&node.levels) {
            let found = read.parameters(level, index).expect("the level is there");
            let output = (found.output().scale.to_bits(), found.zero_point);
            assert_eq!(output, (expected.scale, expected.zero_point));
            assert_eq!((found.low, found.high), (expected.low, expected.high));
            assert_eq!(found.input_weights, expected.operands);
            assert_eq!(found.narrow, !expected.wide);
            let rows: Vec<_> = found.rows.iter().map(|row| (row.multiplier.code(), row.bias)).collect();
            assert_eq!(rows, expected.rows);
            assert_eq!(found.rows.get(rows.len()).multiplier.code(), 0);
        }
    }
    assert!(read.node(read.node_count()).is_none());
    for (level, cost) in read.levels().up_to().zip(&expected.costs) {
        assert_eq!(read.cost(level).unwrap_or(0), *cost);
    }
}
