//! Prints any `.ncsr` file as a table: layers, levels, codes, bytes by part, bound, checksums.
//!
//!     cargo run --example inspect -- FILE
//!
//! Without a file it compresses a small matrix and shows that. A file is mapped, not loaded.
use nested_csr::{Block, FormatError, Kind, Layers, Level, MatrixView, Model, NestedCsr, Profile, Shape, Stats};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(path) => {
            let file = std::fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            // SAFETY: the map is only read, as bytes, and nothing else in this program writes the file. A file that
            // another program shortens meanwhile ends this one; copy the file first where that can happen.
            #[allow(unsafe_code)]
            let bytes = unsafe { memmap2::Mmap::map(&file)? };
            show(&bytes)
        }
        None => show(example()?.as_bytes()),
    }
}

/// A matrix of 16 × 64 weights with three levels.
fn example() -> Result<NestedCsr<Vec<u8>>, FormatError> {
    let shape = Shape { rows: 16, columns: 64 };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    // A tenth of the weights joins at each level.
    let rings: Vec<u8> =
        (0..shape.len()).map(|_| [1, 2, 3].get(rng.random_range(0..10)).copied().unwrap_or(0)).collect();
    let weights: Vec<i8> = rings.iter().map(|&ring| if ring > 0 { 40 - 10 * ring as i8 } else { 0 }).collect();
    NestedCsr::compress(shape, Block::OneByOne, Level::new(3)?, &weights, &rings, Profile::Size)
}

fn show(bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let kind = Kind::of(bytes)?;
    // Each `parse` checks all checksums; what is wrong is its error.
    match kind {
        Kind::Matrix => {
            let matrix = NestedCsr::parse(bytes)?;
            title(kind, matrix.levels(), matrix.levels_stated(), bytes.len());
            layer("", matrix.view())?;
            parts(&matrix.stats());
        }
        Kind::Layers => {
            let layers = Layers::parse(bytes)?;
            title(kind, layers.levels(), layers.levels_stated(), bytes.len());
            for index in 0..layers.len() {
                if let Some(view) = layers.layer(index) {
                    layer(layers.name(index).unwrap_or(""), view)?;
                }
            }
            parts(&layers.stats());
        }
        Kind::Model => {
            let model = Model::parse(bytes)?;
            title(kind, model.levels(), model.levels_stated(), bytes.len());
            show_model(&model)?;
            parts(&model.stats());
        }
        _ => return Err(format!("this program does not know a {kind}").into()),
    }
    Ok(())
}

fn title(kind: Kind, held: Level, stated: Level, len: usize) {
    println!("a {kind} of {len} bytes; {} of {} levels held; all checksums fit", held.number(), stated.number());
}

fn layer(name: &str, view: MatrixView<'_>) -> Result<(), FormatError> {
    let (shape, block) = (view.shape(), view.block());
    let name = if name.is_empty() { "(no name)" } else { name };
    println!("\n{name}: {} × {}, blocks of 1×{}", shape.rows, shape.columns, block.width());
    println!("  level  sparsity  code                 weights    index   counts  bits/weight   bound");
    let (mut bytes, mut bound) = (0, 0.0);
    for level in view.levels().up_to() {
        let ring = view.ring_stats(level)?;
        bytes += ring.values + ring.index + ring.counts;
        bound += ring.bound_bits();
        let positions = shape.len() as f64;
        println!(
            "  {:5}  {:7.2}%  {:18} {:9} {:8} {:8}  {:11.3} {:7.3}",
            level.number(),
            100.0 * (1.0 - view.stored(level)? as f64 / positions),
            ring.code.to_string(),
            ring.values,
            ring.index,
            ring.counts,
            bytes as f64 * 8.0 / positions,
            bound / positions
        );
    }
    Ok(())
}

fn show_model(model: &Model<&[u8]>) -> Result<(), FormatError> {
    let image = model.input_shape();
    println!("image {} × {} × {}, {} nodes", image.channels, image.height, image.width, model.node_count());
    for level in model.levels().up_to() {
        let cost = model.cost(level).map_or("unknown".into(), |cost| format!("{cost} instructions"));
        println!("level {}: {} bytes, cost {cost}", level.number(), model.prefix(level)?.len());
    }
    for (index, view) in model.sparse_layers() {
        let name = model.name(index).unwrap_or("");
        layer(&format!("node {index} {name}"), view)?;
    }
    Ok(())
}

fn parts(stats: &Stats) {
    println!("\nbytes by part");
    let parts = [
        ("weights", stats.values),
        ("index", stats.index),
        ("counts", stats.counts),
        ("requantisation", stats.requantization),
        ("dense tensors", stats.dense_tensors),
        ("graph", stats.graph),
        ("padding", stats.padding),
        ("header", stats.header),
        ("all", stats.total()),
    ];
    for (part, bytes) in parts {
        println!("  {part:14} {bytes:10} {:6.2}%", 100.0 * bytes as f64 / stats.total() as f64);
    }
}
