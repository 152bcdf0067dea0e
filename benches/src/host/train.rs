//! Training throughput: whole epochs of ResNet-8 on random images, without masks and with three levels, one a step.
use super::{
    CLASSES,
    record::{Speed, Whole},
};
use crate::error::Error;
use nested_csr::{Level, TensorShape};
use nested_mask::{
    Ladder,
    nn::resnet8,
    train::{Config, Dataset, Trainer},
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::Instant;

const BATCH: usize = 64;
/// Of 16/32/64 channels.
const WIDTHS: [f64; 2] = [1.0, 0.5];
const IMAGE: TensorShape = TensorShape { channels: 1, height: 28, width: 28 };
/// Forward, and backward to inputs and to weights, of a multiplication and an addition each.
const OPERATIONS: f64 = 6.0;

/// Threads of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Threads(pub usize);

/// A training that is being timed.
struct Run {
    trainer: Trainer,
    row: Speed,
    seconds: f64,
}

/// Trains `epochs` epochs of `steps` steps of each network, in turns. Also gives, for each width, the times of both whole
/// trainings.
pub fn measure_training(epochs: usize, steps: usize, threads: Threads) -> Result<(Vec<Speed>, Vec<Whole>), Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.0).build()?;
    let images = images(steps * BATCH)?;
    let (mut rows, mut whole) = (Vec::new(), Vec::new());
    for width in WIDTHS {
        let [dense, nested] = pool.install(|| trained(width, epochs, threads, &images))?;
        let seconds = [dense.seconds, nested.seconds];
        whole.push(Whole { width, threads: threads.0, images: [epochs, images.len()], seconds });
        rows.extend([dense.row, nested.row]);
    }
    Ok((rows, whole))
}

/// The dense training and the nested one, an epoch each in turns.
fn trained(width: f64, epochs: usize, threads: Threads, images: &Dataset) -> Result<[Run; 2], Error> {
    let run = |engine: &str, ladder| Run::new(engine, ladder, width, epochs, threads);
    let mut runs = [run("ours", Ladder::dense())?, run("ours-nested", Ladder::new([0.9, 0.8, 0.7])?)?];
    let macs = runs[0].trainer.nonzero_macs(Level::FIRST) as f64;
    for _ in 0..epochs {
        for run in &mut runs {
            let start = Instant::now();
            run.trainer.train_epoch(images, &mut |_| {})?;
            let seconds = start.elapsed().as_secs_f64();
            run.seconds += seconds;
            run.row.images_per_second = run.row.images_per_second.max(images.len() as f64 / seconds);
        }
    }
    let [dense, nested] = &mut runs;
    dense.row.gflops = Some(dense.row.images_per_second * macs * OPERATIONS / 1e9);
    nested.row.images_per_second = (epochs * images.len()) as f64 / nested.seconds;
    Ok(runs)
}

impl Run {
    fn new(engine: &str, ladder: Ladder, width: f64, epochs: usize, threads: Threads) -> Result<Run, Error> {
        let network = resnet8(IMAGE, width, CLASSES)?;
        let trainer = Trainer::new(network, Config { ladder, epochs, batch: BATCH, ..Config::default() })?;
        let row = Speed {
            network: "ResNet-8".to_owned(),
            width,
            batch: BATCH,
            threads: threads.0,
            engine: engine.to_owned(),
            images_per_second: 0.0,
            gflops: None,
        };
        Ok(Run { trainer, row, seconds: 0.0 })
    }
}

/// Random images with random labels: the time does not depend on what is learnt.
fn images(count: usize) -> Result<Dataset, Error> {
    const SEED: u64 = 9;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let pixels = (0..count * IMAGE.len()).map(|_| random.random()).collect();
    let labels = (0..count).map(|_| random.random_range(0..CLASSES as u8)).collect();
    Ok(Dataset::new(IMAGE, CLASSES, pixels, labels).map_err(nested_mask::train::TrainError::from)?)
}
