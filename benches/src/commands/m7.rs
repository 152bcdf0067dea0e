//! `m7`: instruction counts on Cortex-M, in QEMU.
use crate::{
    data, deployed,
    error::Error,
    files,
    m7::{self, Case, Comparison, DETECTOR, Firmware, Frame, Kernels, Layer, M4, M7, M33, Row, ShapeRow},
    options::BlockOption,
};
use clap::{Args, ValueEnum};
use nested_csr::{Model, TensorShape};
use nested_mask::train::Dataset;
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
    /// Run these parts only
    #[arg(long, value_name = "PART", conflicts_with_all = ["check", "rebase", "json"])]
    only: Vec<Part>,
    /// Of the networks, run the one of this name only
    #[arg(long, value_name = "NAME", conflicts_with_all = ["check", "rebase", "json"])]
    network: Option<String>,
    /// Images for each level of a trained model
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    images: u32,
    /// Random cases to check against the naive reference
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    cases: u32,
    /// Seed of the random cases
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Model the cycles of networks as well, with llvm-mca
    #[arg(long)]
    cycles: bool,
    /// Measure this model alone, layer by layer; a detector's beside their goals
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["check", "rebase", "json", "only", "network", "costs"])]
    model: Option<PathBuf>,
    /// Measure this model and write the cost of each of its levels into it
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["check", "rebase", "json", "only"])]
    costs: Option<PathBuf>,
    /// Fail when a count rose by more than 1 % over the baseline, DSP instructions are missing, or firmware that only
    /// runs networks has a panic or a floating-point instruction in it
    #[arg(long, conflicts_with = "rebase")]
    check: bool,
    /// Make the counts the baseline of this compiler
    #[arg(long)]
    rebase: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The reference layers beside CMSIS-NN, odd shapes, layers of trained models
    Layers,
    /// Whole networks
    Networks,
    /// Random cases against the naive reference
    Cases,
    /// The firmware that holds a deadline
    Deadline,
    /// The plain Rust kernels
    Portable,
    /// Cortex-M4 and Cortex-M33
    Cores,
}

#[derive(Serialize)]
struct Report {
    compiler: String,
    #[serde(flatten)]
    core: Core,
    shapes: Vec<ShapeRow>,
    switch_instructions: Option<u32>,
    goals: Vec<m7::Goal>,
    deadline: Option<Deadline>,
    code_bytes: usize,
    other_cores: BTreeMap<&'static str, Core>,
}

#[derive(Default, Serialize)]
struct Core {
    layers: Vec<Layer>,
    networks: Vec<Row>,
    cases_checked: u64,
}

#[derive(Serialize)]
struct Deadline {
    period: u32,
    frames: Vec<Frame>,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    files::check_writable_if(options.json.as_deref().or(options.costs.as_deref()))?;
    let firmware = Firmware::build(M7, Kernels::Dsp)?;
    match (&options.costs, &options.model) {
        (Some(path), _) => write_costs(&firmware, path),
        (None, Some(path)) => measure_model(&firmware, path, options.images as usize),
        (None, None) => measure(options, &firmware),
    }
}

/// One model of the user's.
fn measure_model(firmware: &Firmware, path: &Path, images: usize) -> Result<(), Error> {
    let trained = trained_model(path)?;
    let mut rows = trained_network(firmware, None, &trained, images)?.rows;
    let anchors = m7::Anchors::read()?;
    m7::add_goals(&anchors, &trained.model, &mut rows);
    m7::print_networks(&rows, firmware.code_len()?);
    if nested_kernels::Detector::new(&trained.model).is_ok() {
        m7::print_goals(&anchors, &rows);
        m7::print_span(&anchors, &rows);
    } else {
        m7::print_nodes(&rows, |_| true);
    }
    Ok(())
}

/// All parts that are wanted.
fn measure(options: &Options, firmware: &Firmware) -> Result<(), Error> {
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let (anchors, trained) = (m7::Anchors::read()?, trained_models()?);
    println!("{}, {}\n", firmware.board.cpu, firmware.compiler);
    let (mut core, mut shapes) = (Core::default(), Vec::new());
    if wanted(Part::Layers) {
        (core.layers, shapes) = layers(firmware, &anchors, &trained)?;
    }
    let (code_bytes, mut switch_instructions) = (firmware.code_len()?, None);
    if wanted(Part::Networks) {
        (core.networks, switch_instructions) = networks(options, firmware, &anchors, &trained)?;
        print_networks(&anchors, &core.networks, code_bytes, switch_instructions);
    }
    let deadline = if wanted(Part::Deadline) { Some(deadline(firmware, &trained)?) } else { None };
    if wanted(Part::Cases) {
        core.cases_checked = m7::check_cases(firmware, options.cases, options.seed)?;
        println!("{} random cases equal the reference.", core.cases_checked);
    }
    // Without the portable kernels, which are no part of the baseline.
    let counts = m7::counts(M7.cpu, &core.layers, &shapes, &core.networks);
    if wanted(Part::Portable) {
        core.layers.extend(portable(options, &anchors, &core.layers)?);
    }
    let run = m7::Run { layers: &core.layers, shapes: &shapes, networks: &core.networks, switch: switch_instructions };
    let goals = goals(&anchors, run);
    let other_cores = if wanted(Part::Cores) { other_cores(options, &anchors, &trained)? } else { BTreeMap::new() };
    if let Some(path) = &options.json {
        let compiler = firmware.compiler.clone();
        let report = Report { compiler, core, shapes, switch_instructions, goals, deadline, code_bytes, other_cores };
        files::write_json(path, &report)?;
    }
    match (options.rebase, options.check) {
        (true, _) => Ok(m7::rebase(&firmware.compiler, counts)?),
        (false, true) => check(firmware, &counts),
        (false, false) => Ok(()),
    }
}

/// The reference layers and those of trained models, and shapes beside them.
fn layers(
    firmware: &Firmware,
    anchors: &m7::Anchors,
    trained: &[Trained],
) -> Result<(Vec<Layer>, Vec<ShapeRow>), Error> {
    let mut layers = m7::measure_layers(firmware, anchors)?;
    m7::print_layers(anchors, &layers);
    let shapes = m7::measure_shapes(firmware, anchors, &layers)?;
    println!("\n## Other shapes\n");
    m7::print_shapes(anchors, &shapes);
    println!("\n## Layers of trained models\n");
    let of_trained = trained_layers(firmware, anchors, trained)?;
    m7::print_trained(&of_trained);
    layers.extend(of_trained);
    Ok((layers, shapes))
}

fn goals(anchors: &m7::Anchors, run: m7::Run<'_>) -> Vec<m7::Goal> {
    let goals = m7::reached(anchors, run);
    if !goals.is_empty() {
        println!("\n## Goals\n");
        m7::print_reached(&goals);
    }
    goals
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
    m7::dsp_instructions(firmware)?;
    m7::no_panic(firmware)?;
    m7::no_float(firmware)?;
    println!("The firmware holds the DSP extension's instructions, no panic and no floating point.");
    Ok(())
}

/// A trained model.
struct Trained {
    path: PathBuf,
    name: String,
    case: Case,
    model: Model<Vec<u8>>,
}

fn trained_models() -> Result<Vec<Trained>, Error> {
    files::committed_models()?.iter().map(|path| trained_model(path)).collect()
}

/// Files are named NETWORK-wWIDTH-BLOCK.
fn trained_model(path: &Path) -> Result<Trained, Error> {
    let model = files::model(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut parts = name.split('-');
    let network = parts.next().unwrap_or_default();
    let width = parts.next().and_then(|part| part.strip_prefix('w')).and_then(|width| width.parse().ok());
    let TensorShape { height, width: across, .. } = model.input_shape();
    let size = if height == 32 { String::new() } else { format!("-{height}x{across}") };
    let layers = model.sparse_layers().next();
    let wrong = |source| Error::Model { path: path.to_owned(), source };
    let case = Case {
        network: format!("{network}{size}"),
        width: width.unwrap_or(1.0),
        block: layers.map_or("dense", |(_, layer)| BlockOption::from(layer.block()).name()),
        weights: "trained",
        sparsities: m7::sparsities(&model).map_err(wrong)?,
    };
    Ok(Trained { path: path.to_owned(), name, case, model })
}

fn trained_layers(firmware: &Firmware, anchors: &m7::Anchors, trained: &[Trained]) -> Result<Vec<Layer>, Error> {
    let mut layers = Vec::new();
    for Trained { name, model, .. } in trained {
        layers.extend(m7::measure_trained(firmware, anchors, name, model)?);
    }
    Ok(layers)
}

/// All networks' rows and the dearest switch.
fn networks(
    options: &Options,
    firmware: &Firmware,
    anchors: &m7::Anchors,
    trained: &[Trained],
) -> Result<(Vec<Row>, Option<u32>), Error> {
    let mut cycles = if options.cycles { Some(m7::Cycles::new(firmware)?) } else { None };
    let (mut rows, mut switch) = (Vec::new(), None);
    let mut add = |model: &Model<Vec<u8>>, mut measured: m7::Measured| {
        m7::add_goals(anchors, model, &mut measured.rows);
        rows.extend(measured.rows);
        switch = switch.max(measured.switch);
    };
    let wanted = |case: &Case| options.network.as_ref().is_none_or(|name| *name == case.network);
    for trained in trained.iter().filter(|trained| wanted(&trained.case)) {
        let measured = trained_network(firmware, cycles.as_mut(), trained, options.images as usize)?;
        add(&trained.model, measured);
    }
    let known = |untrained: &m7::Untrained| trained.iter().any(|model| untrained.is(&model.case));
    for untrained in m7::zoo()?.iter().filter(|untrained| wanted(&untrained.case) && !known(untrained)) {
        let model = untrained.model()?;
        let images = m7::random_images(model.input_shape().len(), 1);
        let measured = m7::measure_networks(firmware, cycles.as_mut(), &untrained.case, model.clone(), &images)?;
        add(&model, measured);
    }
    Ok((rows, switch))
}

fn print_networks(anchors: &m7::Anchors, rows: &[Row], code: usize, switch: Option<u32>) {
    println!("\n## Networks\n\n*of live B*: the arena over the most activations that are needed at the same time.\n");
    m7::print_networks(rows, code);
    println!("\nThe code takes {code} bytes of flash beside the model.\n\n## Where the instructions of networks go");
    for block in ["1x1", "1x2"] {
        let of_detector = |row: &&Row| row.network == DETECTOR && row.block == block;
        let rows: Vec<Row> = rows.iter().filter(of_detector).cloned().collect();
        m7::print_goals(anchors, &rows);
        m7::print_span(anchors, &rows);
    }
    let shown = |row: &Row| row.network != DETECTOR && (row.block == "1x1" || row.network == "resnet8");
    m7::print_nodes(rows, |row| row.width == 1.0 && shown(row));
    if let Some(switch) = switch {
        println!("A switch between levels: {switch} instructions.");
    }
}

/// On test images where there are some of its size.
fn trained_network(
    firmware: &Firmware,
    cycles: Option<&mut m7::Cycles>,
    trained: &Trained,
    images: usize,
) -> Result<m7::Measured, Error> {
    let images = images_for(&trained.model, images)?;
    Ok(m7::measure_networks(firmware, cycles, &trained.case, trained.model.clone(), &images)?)
}

/// The first test images that come with the program, or random ones when the model reads others.
fn images_for(model: &Model<Vec<u8>>, count: usize) -> Result<Vec<Vec<i8>>, Error> {
    let test: Dataset = data::Source::Builtin.load()?.test;
    if test.shape != model.input_shape() {
        return Ok(m7::random_images(model.input_shape().len(), count));
    }
    let image = |index| deployed::integers(test.image(index)).collect();
    Ok((0..count.min(test.len())).map(image).collect())
}

/// The model with the instructions of each level, in the arena that it prefers.
fn with_costs(firmware: &Firmware, trained: &Trained) -> Result<Model<Vec<u8>>, Error> {
    const IMAGES: usize = 4;
    let rows = trained_network(firmware, None, trained, IMAGES)?.rows;
    let costs: Vec<u32> = rows.iter().filter(|row| !row.least_arena).filter_map(|row| row.instructions).collect();
    let mut model = trained.model.clone();
    model.set_costs(&costs).map_err(|source| Error::Model { path: trained.path.clone(), source })?;
    Ok(model)
}

fn write_costs(firmware: &Firmware, path: &Path) -> Result<(), Error> {
    let model = with_costs(firmware, &trained_model(path)?)?;
    for level in model.levels().up_to() {
        println!("level {}: {} instructions", level.number(), model.cost(level).unwrap_or(0));
    }
    files::write(path, model.as_bytes())
}

/// Runs the firmware that holds a deadline with the first trained model.
fn deadline(firmware: &Firmware, trained: &[Trained]) -> Result<Deadline, Error> {
    let Some(first) = trained.first() else {
        return Ok(Deadline { period: 0, frames: Vec::new() });
    };
    let model = with_costs(firmware, first)?;
    let images = images_for(&model, 1)?;
    let (period, frames) = m7::check_deadline(firmware, model, images.first().map_or(&[], Vec::as_slice))?;
    let levels: Vec<String> = frames.iter().map(|frame| frame.level.to_string()).collect();
    println!(
        "{} frames of {period} instructions under a changing load, all in time, at the levels {} (0: none fitted).",
        frames.len(),
        levels.join(" ")
    );
    Ok(Deadline { period, frames })
}

fn portable(options: &Options, anchors: &m7::Anchors, dsp: &[Layer]) -> Result<Vec<Layer>, Error> {
    let firmware = Firmware::build(M7, Kernels::Portable)?;
    let layers = m7::measure_layers(&firmware, anchors)?;
    println!("\n## The portable kernels\n\nTheir instructions over the DSP path's, preferred scratch.\n");
    m7::print_portable(dsp, &layers);
    let cases = m7::check_cases(&firmware, options.cases, options.seed)?;
    println!("\n{cases} random cases equal the reference.");
    Ok(layers)
}

/// The reference layers and the trained networks on the other cores.
fn other_cores(
    options: &Options,
    anchors: &m7::Anchors,
    trained: &[Trained],
) -> Result<BTreeMap<&'static str, Core>, Error> {
    const IMAGES: usize = 2;
    let mut cores = BTreeMap::new();
    for board in [M4, M33] {
        let firmware = Firmware::build(board, Kernels::Dsp)?;
        let mut core = Core { layers: m7::measure_layers(&firmware, anchors)?, ..Core::default() };
        for model in trained {
            core.networks.extend(trained_network(&firmware, None, model, IMAGES)?.rows);
        }
        core.cases_checked = m7::check_cases(&firmware, options.cases, options.seed)?;
        println!("\n## {}\n\n{} random cases equal the reference.\n", board.cpu, core.cases_checked);
        m7::print_means(anchors, &core.layers);
        m7::print_networks(&core.networks, firmware.code_len()?);
        cores.insert(board.cpu, core);
    }
    Ok(cores)
}
