//! Our own times. All cases take turns, round after round, so that a busy moment of the machine hits them alike.
use super::{
    LADDER, SPARSITIES,
    layers::{LAYERS, networks},
    record::Row,
};
use crate::{error::Error, random};
use nested_csr::{Block, Level, Model, Operation, Profile};
use nested_kernels::{Geometry, Network, convolution, convolution_parallel, convolution_scratch};
use nested_mask::Ladder;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::{Duration, Instant};

/// Images of a batch on two threads.
const BATCH: usize = 16;
const SEED: u64 = 5;

/// Something to time, and its row.
struct Case {
    row: Row,
    /// What one call is divided by.
    images: usize,
    run: Box<dyn FnMut() + Send>,
}

/// Layers, then networks.
///
/// `rounds` times each case runs for at least `slice`; its fastest run counts.
/// The last number is the gain of independent loops: `threads` times the work of one, over the time that they take.
pub fn measure(rounds: u32, slice: Duration, threads: usize) -> Result<(Vec<Row>, Vec<Row>, f64), Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let mut cases = [layer_cases(threads)?, network_cases(threads)?];
    let (mut alone, mut together) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds {
        for case in cases.iter_mut().flatten() {
            // From within the pool, as the independent loops are and as a network's layers are in one `install`: handing a
            // call over to it takes some microseconds, which are not the layer's.
            if case.row.threads > 1 { pool.install(|| case.time(slice)) } else { case.time(slice) }
        }
        alone = alone.min(reference(slice)?);
        let each = pool.broadcast(|_| reference(slice)).into_iter().collect::<Result<Vec<f64>, Error>>()?;
        together = together.min(each.into_iter().fold(0.0, f64::max));
    }
    let [layers, networks] = cases.map(|cases| cases.into_iter().map(|case| case.row).collect());
    Ok((layers, networks, threads as f64 * alone / together))
}

/// Milliseconds of the reference layer at 90 %, made and run by the calling thread.
fn reference(slice: Duration) -> Result<f64, Error> {
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == "L") else { return Ok(f64::INFINITY) };
    let model = layer.model(&Ladder::new([0.9])?, SEED)?;
    let mut case = Case::new("L", 90, 1, "ours", layer_run(model, Level::FIRST, 1));
    case.time(slice);
    Ok(case.row.ms)
}

impl Case {
    fn new(name: &str, sparsity: usize, threads: usize, engine: &str, run: impl FnMut() + Send + 'static) -> Case {
        let row = Row {
            layer: name.to_owned(),
            sparsity,
            threads,
            engine: engine.to_owned(),
            backend: nested_kernels::backend().to_owned(),
            ms: f64::INFINITY,
        };
        Case { row, images: 1, run: Box::new(run) }
    }

    /// Runs for at least `slice`, and once.
    fn time(&mut self, slice: Duration) {
        let begin = Instant::now();
        loop {
            let start = Instant::now();
            (self.run)();
            let ms = start.elapsed().as_secs_f64() * 1e3 / self.images as f64;
            self.row.ms = self.row.ms.min(ms);
            if begin.elapsed() >= slice {
                return;
            }
        }
    }
}

/// Each layer, sparse at each sparsity and dense, on one thread and on so many.
fn layer_cases(most: usize) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    for layer in &LAYERS {
        let (nested, dense) = (Ladder::new(LADDER)?, Ladder::dense());
        for (engine, ladder) in [("ours", nested), ("ours-dense", dense)] {
            let sparsities: Vec<usize> = ladder.sparsities().iter().map(|s| (s * 100.0).round() as usize).collect();
            // Depthwise layers are dense.
            let levels = if layer.depthwise { 1 } else { sparsities.len() };
            if layer.depthwise && engine == "ours" {
                continue;
            }
            for (number, &sparsity) in (1..).zip(&sparsities).take(levels) {
                for threads in [1, most] {
                    let run = layer_run(layer.model(&ladder, SEED)?, Level::new(number)?, threads);
                    cases.push(Case::new(layer.name, sparsity, threads, engine, run));
                }
            }
        }
    }
    Ok(cases)
}

/// One call of a model's only layer, on the threads of the pool that it is made in when there are more than one.
fn layer_run(model: Model<Vec<u8>>, level: Level, threads: usize) -> impl FnMut() + Send {
    const CHECKED: &str = "a model of one node that the builder made";
    let image = image(model.input_shape().len());
    let mut output = vec![0; model.output_shape().len()];
    let network = Network::new(model).expect(CHECKED);
    let mut arena = vec![0; network.preferred_arena_len(network.model().levels()).expect(CHECKED)];
    let scratch_words = |operation: &Operation<'_>, geometry: &Geometry| match operation {
        Operation::Convolution { weights, .. } => {
            convolution_scratch(weights, level, geometry).expect(CHECKED).preferred
        }
        _ => 0,
    };
    let window = |operation: &Operation<'_>| match *operation {
        Operation::Convolution { window, .. } | Operation::Depthwise { window, .. } => window,
        _ => unreachable!("{CHECKED}"),
    };
    let model = network.model();
    let node = model.node(0).expect(CHECKED);
    let zero_point = model.input_quantization().zero_point;
    let geometry =
        Geometry { input: model.input_shape(), output: node.output, window: window(&node.operation), zero_point };
    let mut scratch = vec![0; threads * scratch_words(&node.operation, &geometry)];
    move || {
        let model = network.model();
        let parameters = model.parameters(level, 0).expect(CHECKED);
        match model.node(0).expect(CHECKED).operation {
            Operation::Convolution { weights, .. } => {
                let convolution = if threads > 1 { convolution_parallel } else { convolution };
                convolution(&weights, level, &parameters, &geometry, &image, &mut output, &mut scratch)
            }
            _ => network.run(level, &image, &mut arena, &mut output),
        }
        .expect(CHECKED);
    }
}

/// Each network at each sparsity: image by image on one thread, in batches on so many.
fn network_cases(most: usize) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    for (name, network) in networks()? {
        for sparsity in SPARSITIES {
            let dense = Ladder::dense();
            // A dense network has dense weights, and a sparse one of one level.
            let ladder = if sparsity == 0 { dense } else { Ladder::new([sparsity as f64 / 100.0])? };
            let engine = if sparsity == 0 { "ours-dense" } else { "ours" };
            for threads in [1, most] {
                let images = if threads > 1 { BATCH } else { 1 };
                let model = random::model(&network, Block::OneByOne, &ladder, Profile::Speed, SEED)?;
                let run = network_run(model, images, threads)?;
                cases.push(Case { images, ..Case::new(name, sparsity, threads, engine, run) });
            }
        }
    }
    Ok(cases)
}

/// One call of a network, likewise.
fn network_run(model: Model<Vec<u8>>, images: usize, threads: usize) -> Result<impl FnMut() + Send, Error> {
    let inputs = image(images * model.input_shape().len());
    let mut outputs = vec![0; images * model.output_shape().len()];
    let network = Network::new(model)?;
    let mut arena = vec![0; threads * network.preferred_arena_len(network.model().levels())?];
    Ok(move || {
        let level = Level::FIRST;
        let run = if threads > 1 { Network::run_batch } else { Network::run };
        run(&network, level, &inputs, &mut arena, &mut outputs).expect("lengths that the network told");
    })
}

fn image(len: usize) -> Vec<i8> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    (0..len).map(|_| random.random()).collect()
}
