//! A detector learns to find objects, and its training has what a classifier's has.
use nested_csr::{Level, TensorShape};
use nested_mask::Ladder;
use nested_mask::detect::{DetectionSettings, Frame, Object};
use nested_mask::nn::{Network, resnet8, ssd_mobilenet_v2};
use nested_mask::train::{Augmentation, Config, Dataset, Distillation, Masking, Scenes, TrainError, Trainer};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const SHAPE: TensorShape = TensorShape { channels: 1, height: 32, width: 32 };

/// One square a scene, bright (class 0) or dark (class 1), on noise.
fn scenes(count: usize, seed: u64) -> Scenes {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut pixels, mut objects) = (Vec::new(), Vec::new());
    for image in 0..count {
        let class = (image % 2) as u8;
        let side = random.random_range(9..14);
        let [top, left] = [0; 2].map(|_| random.random_range(0..=32 - side));
        let inside = |at: usize| (top..top + side).contains(&(at / 32)) && (left..left + side).contains(&(at % 32));
        let value = |at: usize| if inside(at) { [220, 20][image % 2] } else { 110 };
        pixels.extend((0..SHAPE.len()).map(|at| value(at) + random.random_range(0..20u8)));
        let [top, left, side] = [top, left, side].map(|pixels| pixels as f32 / 32.0);
        let frame = Frame { top, left, bottom: top + side, right: left + side };
        objects.push(vec![Object { class, frame, difficult: false }]);
    }
    Scenes::new(SHAPE, 2, pixels, objects).unwrap()
}

fn network() -> Network {
    ssd_mobilenet_v2(SHAPE, 0.25, 2).unwrap()
}

fn config() -> Config {
    let augmentation = Augmentation { shift: 2, flip: true, erase: 0, zoom: 10 };
    let ladder = Ladder::new([0.6, 0.3]).unwrap();
    Config { ladder, epochs: 25, batch: 16, learning_rate: 0.1, augmentation, rank_every: 4, ..Config::default() }
}

fn train(mut trainer: Trainer, epochs: usize) -> Trainer {
    while trainer.epoch() < epochs {
        trainer.train_epoch(&scenes(256, 1), &mut |_| {}).unwrap();
    }
    trainer
}

/// Share of the scenes whose surest box is of the right class and covers the object by half.
fn found(trainer: &Trainer, level: Level) -> f64 {
    let test = scenes(100, 2);
    let settings = DetectionSettings { score: 0.05, iou: 0.45, most: 100 };
    let all = trainer.trained().detect(level, &test, settings).unwrap();
    let right = all.iter().zip(&test.objects).filter(|(found, objects)| {
        let best = found.first();
        best.is_some_and(|best| best.class == objects[0].class && best.frame.iou(&objects[0].frame) > 0.5)
    });
    right.count() as f64 / 100.0
}

#[test]
fn a_nested_detector_finds_at_each_level() {
    let network = ssd_mobilenet_v2(SHAPE, 0.5, 2).unwrap();
    let mut trainer = train(Trainer::new(network, config()).unwrap(), 25);
    trainer.recalibrate(&scenes(256, 1)).unwrap();
    for level in trainer.config().ladder.levels().up_to() {
        let share = found(&trainer, level);
        assert!(share > 0.9, "level {}: {share}", level.number());
    }
}

#[test]
fn a_resumed_training_is_an_uninterrupted_one_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let distillation = Some(Distillation { start: 0.2, mix: 0.5, temperature: 2.0 });
    for masking in [Masking::Nested, Masking::Slimmable] {
        let config = Config { epochs: 2, distillation, masking, ..config() };
        let half = train(Trainer::new(network(), config.clone()).unwrap(), 1);
        half.save(&path).unwrap();
        let whole = train(half, 2);
        let resumed = train(Trainer::resume(&path, network(), config).unwrap(), 2);
        assert_eq!(whole.trained(), resumed.trained());
    }
}

#[test]
fn examples_must_be_of_the_networks_kind() {
    let mut detector = Trainer::new(network(), config()).unwrap();
    let labelled = Dataset::new(SHAPE, 2, vec![0; 16 * SHAPE.len()], vec![0; 16]).unwrap();
    assert_eq!(detector.train_epoch(&labelled, &mut |_| {}), Err(TrainError::OtherKind));
    let unscaled = Config { augmentation: Augmentation { zoom: 0, ..config().augmentation }, ..config() };
    let mut classifier = Trainer::new(resnet8(SHAPE, 0.25, 2).unwrap(), unscaled).unwrap();
    assert_eq!(classifier.train_epoch(&scenes(16, 1), &mut |_| {}), Err(TrainError::OtherKind));
    let mut three = scenes(16, 1);
    three.classes = 3;
    assert!(matches!(
        detector.train_epoch(&three, &mut |_| {}),
        Err(TrainError::OtherData { found: 3, classes: 2, .. })
    ));
}
