//! Steps of the training: ResNet-8 on random images, without masks and with three nested levels.
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nested_csr::TensorShape;
use nested_mask::{
    Ladder,
    nn::resnet8,
    train::{Config, Dataset, Trainer},
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::Duration;

const IMAGE: TensorShape = TensorShape { channels: 1, height: 28, width: 28 };
const CLASSES: usize = 10;
const BATCH: usize = 64;
/// Of one measured epoch.
const STEPS: usize = 4;

fn trainer(ladder: &Ladder, width: f64) -> Trainer {
    let network = resnet8(IMAGE, width, CLASSES).expect("a network");
    let config = Config { ladder: ladder.clone(), epochs: 2, batch: BATCH, ..Config::default() };
    Trainer::new(network, config).expect("a training")
}

/// Random images with random labels: the time does not depend on what is learnt.
fn images() -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(9);
    let pixels = (0..STEPS * BATCH * IMAGE.len()).map(|_| random.random()).collect();
    let labels = (0..STEPS * BATCH).map(|_| random.random_range(0..CLASSES as u8)).collect();
    Dataset::new(IMAGE, CLASSES, pixels, labels).expect("whole images")
}

fn steps(criterion: &mut Criterion) {
    let images = images();
    let mut group = criterion.benchmark_group("training");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements((STEPS * BATCH) as u64));
    for (name, ladder) in [("dense", Ladder::dense()), ("nested", Ladder::new([0.9, 0.8, 0.7]).expect("a ladder"))] {
        for width in [0.5, 1.0] {
            group.bench_function(BenchmarkId::new(name, width), |bencher| {
                bencher.iter_batched(
                    || trainer(&ladder, width),
                    |mut trainer| trainer.train_epoch(&images, &mut |_| {}).expect("an epoch"),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
