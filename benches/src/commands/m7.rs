//! `m7`: instruction counts on Cortex-M, in QEMU.
use crate::{
    error::Error,
    files,
    m7::{self, BOARDS, Board, Case, Comparison, Firmware, Kernels, Layer, Row},
    random,
};
use clap::{Args, ValueEnum};
use nested_csr::{Block, Model, Operation, Profile, TensorShape, Weights};
use nested_mask::{
    Ladder,
    nn::{self, Network},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Count instructions on a Cortex-M7 in QEMU, and check every output to the bit
#[derive(Args, Debug)]
pub struct Options {
    /// Write the rows here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Count the plain Rust kernels on the layers too
    #[arg(long)]
    portable: bool,
    /// Count the layers on another core too
    #[arg(long, value_name = "CORE")]
    core: Option<Core>,
    /// Leave whole networks out
    #[arg(long)]
    no_networks: bool,
    /// Trained models to run, beside the random ones
    #[arg(long, value_name = "FILE")]
    model: Vec<PathBuf>,
    /// Images for each level of a trained model
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=200))]
    images: u32,
    /// Random cases to check against the naive reference
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    cases: u32,
    /// Seed of the random cases
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Fail when a count rose by more than 1 % over the baseline, or DSP instructions are missing
    #[arg(long, conflicts_with = "rebase")]
    check: bool,
    /// Fail when a panic is linked into firmware that only runs a network
    #[arg(long)]
    no_panic: bool,
    /// Make the counts the baseline of this compiler
    #[arg(long)]
    rebase: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Core {
    M4,
}

const M7: Board = BOARDS[0];
const M4: Board = BOARDS[1];

#[derive(Serialize)]
struct Report {
    compiler: String,
    layers: Vec<Layer>,
    networks: Vec<Row>,
    switch_instructions: Option<u32>,
    cases_checked: u64,
    other_cores: BTreeMap<&'static str, Vec<Layer>>,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let anchors = m7::Anchors::read()?;
    let firmware = Firmware::build(M7, Kernels::Dsp)?;
    let mut layers = m7::measure_layers(&firmware, &anchors)?;
    println!("{}, {}\n", firmware.board.cpu, firmware.compiler);
    m7::print_layers(&layers);
    let (networks, switch_instructions) = networks(options, &firmware)?;
    m7::print_networks(&networks);
    let cases_checked = m7::check_cases(&firmware, options.cases, options.seed)?;
    if let Some(switch) = switch_instructions {
        println!("A switch between levels: {switch} instructions.");
    }
    println!("{cases_checked} random cases equal the reference.");
    let counts = m7::counts(M7.cpu, &layers, &networks);
    if options.portable {
        let portable = m7::measure_layers(&Firmware::build(M7, Kernels::Portable)?, &anchors)?;
        println!("\nThe portable kernels\n");
        m7::print_layers(&portable);
        layers.extend(portable);
    }
    let mut other_cores = BTreeMap::new();
    if options.core == Some(Core::M4) {
        let rows = m7::measure_layers(&Firmware::build(M4, Kernels::Dsp)?, &anchors)?;
        println!("\n{}\n", M4.cpu);
        m7::print_layers(&rows);
        other_cores.insert(M4.cpu, rows);
    }
    let compiler = firmware.compiler.clone();
    if let Some(path) = &options.json {
        let report = Report { compiler, layers, networks, switch_instructions, cases_checked, other_cores };
        files::write_json(path, &report)?;
    }
    if options.rebase {
        m7::rebase(&firmware.compiler, counts)?;
    } else if options.check {
        check(&firmware, &counts)?;
    }
    if options.no_panic {
        m7::no_panic(&firmware)?;
    }
    Ok(())
}

fn check(firmware: &Firmware, counts: &BTreeMap<String, u32>) -> Result<(), Error> {
    match m7::compare(&firmware.compiler, counts)? {
        Comparison::Holds { compared, faster } => {
            println!("{compared} counts hold against the baseline, {faster} of them lower by more than 1 %.");
        }
        Comparison::OtherCompiler => {
            println!("The baseline has no counts of {}: `nested-bench m7 --rebase` adds them.", firmware.compiler);
        }
    }
    Ok(m7::dsp_instructions(firmware)?)
}

/// All networks' rows and the dearest switch.
fn networks(options: &Options, firmware: &Firmware) -> Result<(Vec<Row>, Option<u32>), Error> {
    let (mut rows, mut switch) = (Vec::new(), None);
    let mut add = |measured: m7::Measured| {
        rows.extend(measured.rows);
        switch = switch.max(measured.switch);
    };
    if !options.no_networks {
        for (name, width, network) in zoo()? {
            for (block, ladder) in variants()? {
                add(random_network(firmware, name, width, &network, block, &ladder)?);
            }
        }
    }
    for path in &options.model {
        add(trained_network(firmware, path, options.images as usize)?);
    }
    Ok((rows, switch))
}

type Named = (&'static str, f64, Network);

fn zoo() -> Result<Vec<Named>, Error> {
    let colour = TensorShape { channels: 3, height: 32, width: 32 };
    let grey = TensorShape { channels: 1, height: 28, width: 28 };
    let mut zoo =
        vec![("resnet8", 1.0, nn::resnet8(colour, 1.0, 10)?), ("resnet8-28x28", 0.5, nn::resnet8(grey, 0.5, 10)?)];
    for width in [1.0, 0.75, 0.5, 0.25] {
        zoo.push(("resnet9", width, nn::resnet9(colour, width, 10)?));
        zoo.push(("mobilenetv1", width, nn::mobilenet_v1(colour, width, 10)?));
    }
    Ok(zoo)
}

fn variants() -> Result<[(Block, Ladder); 3], Error> {
    let ladder = Ladder::new([0.9, 0.8, 0.7])?;
    Ok([(Block::OneByOne, Ladder::dense()), (Block::OneByOne, ladder.clone()), (Block::OneByTwo, ladder)])
}

fn random_network(
    firmware: &Firmware,
    name: &str,
    width: f64,
    network: &Network,
    block: Block,
    ladder: &Ladder,
) -> Result<m7::Measured, Error> {
    const SEED: u64 = 1;
    let model = random::model(network, block, ladder, Profile::Speed, SEED)?;
    let case = Case {
        network: name,
        width: Some(width),
        block: if *ladder == Ladder::dense() { "dense" } else { block_name(block) },
        sparsities: ladder.sparsities().iter().map(|sparsity| 100.0 * sparsity).collect(),
    };
    Ok(m7::measure_networks(firmware, &case, model, 1)?)
}

fn trained_network(firmware: &Firmware, path: &Path, images: usize) -> Result<m7::Measured, Error> {
    let wrong = |source| Error::Model { path: path.to_owned(), source };
    let model = Model::parse(files::read(path)?).map_err(wrong)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let block = model.sparse_layers().next().map_or("dense", |(_, layer)| block_name(layer.block()));
    let case = Case { network: &name, width: None, block, sparsities: stored(&model)? };
    Ok(m7::measure_networks(firmware, &case, model, images)?)
}

/// What the sparse layers leave out at each level, per cent.
fn stored(model: &Model<Vec<u8>>) -> Result<Vec<f64>, Error> {
    let sparsity = |level| {
        let (mut stored, mut all) = (0, 0);
        for index in 0..model.node_count() {
            let node = model.node(index).map(|node| node.operation);
            if let Some(Operation::Convolution { weights: Weights::Sparse(matrix), .. }) = node {
                stored += matrix.stored(level)?;
                all += matrix.shape().rows * matrix.shape().columns;
            }
        }
        Ok(100.0 * (1.0 - stored as f64 / all.max(1) as f64))
    };
    model.levels().up_to().map(sparsity).collect()
}

fn block_name(block: Block) -> &'static str {
    match block {
        Block::OneByOne => "1x1",
        Block::OneByTwo => "1x2",
    }
}
