//! `storage`: bytes of nested weights beside other layouts and the information bound.
use crate::{
    error::Error,
    files,
    options::BlockOption,
    random,
    storage::{self, Row},
    table::{Table, grouped},
};
use clap::Args;
use nested_csr::{FormatError, Model, Profile, Shape, TensorShape};
use nested_mask::{Ladder, nn};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::path::PathBuf;

/// Compare the bytes of nested weights with other layouts and the information bound
#[derive(Args, Debug)]
pub struct Options {
    /// Trained models, beside the random cases [default: the ones under benches/models]
    #[arg(long, value_name = "FILE")]
    model: Vec<PathBuf>,
    /// Seed of the random supports
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the rows here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

const LADDERS: [&[f64]; 3] = [&[0.9, 0.8, 0.7], &[0.95, 0.9, 0.8, 0.7, 0.5], &[0.95, 0.9, 0.8]];
const SHAPES: [Shape; 3] =
    [Shape { rows: 64, columns: 576 }, Shape { rows: 128, columns: 1152 }, Shape { rows: 1024, columns: 1024 }];
const BLOCKS: [BlockOption; 2] = [BlockOption::OneByOne, BlockOption::OneByTwo];
const PROFILES: [(Profile, &str); 2] = [(Profile::Size, "size"), (Profile::Speed, "speed")];

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    files::check_writable_if(options.json.as_deref())?;
    let mut rows = random_rows(options.seed)?;
    rows.extend(model_rows(options.seed)?);
    for path in options.models()? {
        rows.extend(trained_rows(&path)?);
    }
    print(&rows);
    match &options.json {
        Some(path) => files::write_json(path, &rows),
        None => Ok(()),
    }
}

impl Options {
    fn models(&self) -> Result<Vec<PathBuf>, Error> {
        if self.model.is_empty() { files::committed_models() } else { Ok(self.model.clone()) }
    }
}

/// Uniform random supports.
fn random_rows(seed: u64) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for shape in SHAPES {
        for sparsities in LADDERS {
            for block in BLOCKS {
                let ladder = Ladder::new(sparsities)?;
                let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
                let matrix = random::matrix(shape, block.into(), &ladder, &mut random);
                for (profile, name) in PROFILES {
                    rows.push(Row {
                        case: format!("random-{}x{}", shape.rows, shape.columns),
                        profile: name,
                        block: block.to_string(),
                        ladder: per_cent(&ladder),
                        bits: storage::of_matrix(&matrix, block.into(), ladder.levels(), profile)?,
                        file_bytes: None,
                        bytes: None,
                    });
                }
            }
        }
    }
    Ok(rows)
}

/// Whole models with random weights.
fn model_rows(seed: u64) -> Result<Vec<Row>, Error> {
    let shape = TensorShape { channels: 3, height: 32, width: 32 };
    let networks =
        [("model-mobilenetv1", nn::mobilenet_v1(shape, 1.0, 10)?), ("model-resnet8", nn::resnet8(shape, 1.0, 10)?)];
    let ladder = Ladder::new(LADDERS[0])?;
    let mut rows = Vec::new();
    for (case, network) in networks {
        for block in BLOCKS {
            for (profile, name) in PROFILES {
                let model = random::model(&network, block.into(), &ladder, profile, seed)?;
                rows.push(model_row(case.to_owned(), name, block, per_cent(&ladder), &model)?);
            }
        }
    }
    Ok(rows)
}

/// A trained model and each of its sparse layers, in both profiles; the model as its file is, too.
fn trained_rows(path: &std::path::Path) -> Result<Vec<Row>, Error> {
    let wrong = |source| Error::Model { path: path.to_owned(), source };
    let model = files::model(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let layers: Vec<_> = model
        .sparse_layers()
        .map(|(node, layer)| Ok((node, BlockOption::from(layer.block()), storage::unpack(&layer)?)))
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    let levels = model.levels();
    let mut rows = Vec::new();
    for (node, block, matrix) in &layers {
        for (profile, name) in PROFILES {
            rows.push(Row {
                case: format!("trained-{stem}-{}", model.name(*node).unwrap_or_default()),
                profile: name,
                block: block.to_string(),
                ladder: measured_ladder(&[matrix], levels.number()),
                bits: storage::of_matrix(matrix, (*block).into(), levels, profile).map_err(wrong)?,
                file_bytes: None,
                bytes: None,
            });
        }
    }
    let matrices: Vec<_> = layers.iter().map(|(_, _, matrix)| matrix).collect();
    let block = layers.first().map_or(BlockOption::OneByOne, |(_, block, _)| *block);
    let case = || format!("model-trained-{stem}");
    let ladder = measured_ladder(&matrices, levels.number());
    rows.push(model_row(case(), "file", block, ladder.clone(), &model).map_err(wrong)?);
    for (profile, name) in PROFILES {
        let row = |model| model_row(case(), name, block, ladder.clone(), &model);
        rows.push(storage::encode_again(&model, profile).and_then(row).map_err(wrong)?);
    }
    Ok(rows)
}

fn model_row(
    case: String,
    profile: &'static str,
    block: BlockOption,
    ladder: String,
    model: &Model<Vec<u8>>,
) -> Result<Row, FormatError> {
    Ok(Row {
        case,
        profile,
        block: block.to_string(),
        ladder,
        bits: storage::of_model(model)?,
        file_bytes: Some(model.as_bytes().len()),
        bytes: Some(model.stats().into()),
    })
}

/// The sparsities in per cent, densest level first, as ladders are usually written for storage.
fn per_cent(ladder: &Ladder) -> String {
    let text: Vec<String> = ladder.sparsities().iter().rev().map(|s| format!("{:.0}", 100.0 * s)).collect();
    text.join("/")
}

/// The same, counted: what trained layers store.
fn measured_ladder(matrices: &[&random::Matrix], levels: usize) -> String {
    let at = |level: usize| {
        let rings = || matrices.iter().flat_map(|matrix| &matrix.rings);
        let stored = rings().filter(|&&ring| (1..=level).contains(&usize::from(ring))).count();
        format!("{:.0}", 100.0 * (1.0 - stored as f64 / rings().count() as f64))
    };
    (1..=levels).rev().map(at).collect::<Vec<_>>().join("/")
}

/// What the table's rows and columns are.
const COLUMNS: &str = "\
Bits for each weight of the dense matrix, pruned ones included. Cases: `random-RxC` is a matrix of R rows and C columns with
uniform random supports, `trained-MODEL-LAYER` a sparse layer of a trained model, both as a file of its own; `model-…` is all
sparse layers of a model. Trained layers are small: headers show.

* profile: what the index codes were chosen for, or `file` for a trained model's file as it was found; ladder: the sparsity of
  each level in per cent, densest level first, and for trained weights as counted.
* ours: weights, index, counts, padding and header of the file; requantisation, dense tensors and graph are not counted.
* bound: the information bound, for each ring log₂ C(free blocks, its blocks) bits for its positions and 8 for each weight;
  × bound: ours over it.
* All others store one byte a weight too, and of them no header, alignment or requantisation is counted. N × CSR16, one CSR
  matrix for each of the N levels: 16 bits a column (of a block) and 16 a row; N × CSR8: the same with gaps of 8 bits, 255
  adding up; N × dCSR: with gaps of 4 bits, 15 adding up, rows at whole bytes, after dCSR (arXiv 2111.12345).
* ring bitmap: one nested store that has, for each ring, one bit for each block that the inner rings left free.
* paper: the layout that the paper's published sizes suggest, one byte a block and six a row beside the weights.
* dense: every weight, pruned or not.
";

fn print(rows: &[Row]) {
    let headings = [
        "case",
        "profile",
        "block",
        "ladder",
        "ours",
        "bound",
        "× bound",
        "N × CSR16",
        "N × CSR8",
        "N × dCSR",
        "ring bitmap",
        "paper",
        "dense",
    ];
    println!("{COLUMNS}");
    let mut table = Table::new(headings);
    for row in rows {
        let bits = row.bits;
        let numbers = [
            bits.ours,
            bits.bound,
            bits.ours / bits.bound,
            bits.n_copies_csr16,
            bits.n_copies_csr8,
            bits.dcsr,
            bits.ring_bitmap,
            bits.paper_layout,
            bits.dense,
        ];
        let texts = [row.case.clone(), row.profile.to_owned(), row.block.clone(), row.ladder.clone()];
        table.row(texts.into_iter().chain(numbers.map(|number| format!("{number:.3}"))));
    }
    println!("{table}");
    println!("Bytes of whole models, by part; `graph` is nodes and names, `header` all other records too.\n");
    let mut table = Table::new([
        "case",
        "profile",
        "block",
        "file",
        "values",
        "index",
        "counts",
        "requantisation",
        "dense tensors",
        "graph",
        "padding",
        "header",
    ]);
    for row in rows {
        let (Some(file), Some(parts)) = (row.file_bytes, row.bytes) else { continue };
        let texts = [row.case.clone(), row.profile.to_owned(), row.block.clone()];
        table.row(texts.into_iter().chain([file].into_iter().chain(parts.in_order()).map(|n| grouped(n as u64))));
    }
    print!("{table}");
}
