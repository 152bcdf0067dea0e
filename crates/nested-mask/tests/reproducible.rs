//! Training gives the same result to the bit, whatever the number of threads and whether it is interrupted.
use nested_csr::{Level, TensorShape};
use nested_mask::allocation::LayerShape;
use nested_mask::nn::{Network, resnet8};
use nested_mask::schedule::Ramp;
use nested_mask::train::{
    Augmentation, Config, Dataset, Distillation, Masking, Regrowth, TrainError, Trained, Trainer,
};
use nested_mask::{Allocation, Block, Ladder, Routing, Saliency};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const SHAPE: TensorShape = TensorShape { channels: 1, height: 10, width: 9 };

fn network() -> Network {
    resnet8(SHAPE, 0.5, 4).unwrap()
}

fn config() -> Config {
    let ladder = Ladder::new([0.9, 0.6]).unwrap();
    Config { ladder, epochs: 3, batch: 40, rank_every: 2, ..Config::default() }
}

fn dataset() -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(9);
    let labels: Vec<u8> = (0..200).map(|image| image % 4).collect();
    let bright = |label: u8| move |at: usize| if at % 4 == usize::from(label) { 200 } else { 40 };
    let mut noise = || random.random_range(0..50u8);
    let pixels = labels.iter().flat_map(|&label| (0..SHAPE.len()).map(bright(label))).map(|p| p + noise()).collect();
    Dataset::new(SHAPE, 4, pixels, labels).unwrap()
}

fn run(mut trainer: Trainer, epochs: usize) -> Trainer {
    while trainer.epoch() < epochs {
        trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
    }
    trainer
}

fn with_threads(threads: usize, config: Config) -> Trained {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut trainer = run(Trainer::new(network(), config).unwrap(), 3);
        trainer.recalibrate(&dataset()).unwrap();
        trainer.trained().clone()
    })
}

/// Configurations that draw, remember and compute in different ways.
fn variants() -> Vec<Config> {
    let distillation = Some(Distillation { start: 0.4, mix: 0.5, temperature: 2.0 });
    let augmentation = Augmentation { shift: 1, flip: true, erase: 3, zoom: 0 };
    vec![
        config(),
        Config { routing: Routing::Joint, ..config() },
        Config { routing: Routing::Frozen, ramp: Ramp { start: 0.0, end: 0.3 }, ..config() },
        Config { routing: Routing::Staged { until: 0.6 }, ramp: Ramp { start: 0.0, end: 0.2 }, ..config() },
        Config { distillation, augmentation, ..config() },
        Config { distillation, routing: Routing::Joint, int8_from: 0.5, ..config() },
        Config { saliency: Saliency::FirstOrder, allocation: Allocation::GlobalPerInstruction, ..config() },
        Config { regrowth: Some(Regrowth { until: 0.9, share: 0.3 }), block: Block::OneByTwo, ..config() },
        Config { masking: Masking::Dsnn, int8_from: 0.0, ..config() },
        Config { masking: Masking::StraightThrough, ..config() },
        Config { shared_affine: false, ..config() },
        Config { masking: Masking::Slimmable, distillation, ..config() },
        Config { masking: Masking::Slimmable, block: Block::OneByTwo, ..config() },
    ]
}

#[test]
fn one_two_and_three_threads_agree_to_the_bit() {
    for config in variants() {
        let one = with_threads(1, config.clone());
        assert_eq!(one, with_threads(2, config.clone()));
        assert_eq!(one, with_threads(3, config));
    }
}

#[test]
fn a_resumed_run_ends_like_an_uninterrupted_one_to_the_bit() {
    let directory = tempfile::tempdir().unwrap();
    for config in variants() {
        let whole = run(Trainer::new(network(), config.clone()).unwrap(), 3);
        for interrupted_after in [0, 1, 2] {
            let path = directory.path().join("checkpoint.safetensors");
            run(Trainer::new(network(), config.clone()).unwrap(), interrupted_after).save(&path).unwrap();
            let resumed = run(Trainer::resume(&path, network(), config.clone()).unwrap(), 3);
            assert_eq!(resumed.trained(), whole.trained());
        }
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_checkpoint_of_another_run_or_a_damaged_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint.safetensors");
    run(Trainer::new(network(), config()).unwrap(), 1).save(&path).unwrap();

    let other = |network, config| match Trainer::resume(&path, network, config).unwrap_err() {
        error @ TrainError::OtherCheckpoint { .. } => {
            let error = error.to_string();
            error.split_once(": ").unwrap().1.replace("; move it away to begin anew", "")
        }
        error => panic!("{error}"),
    };
    // What differs first is told.
    let (wider, seed) = (resnet8(SHAPE, 0.25, 4).unwrap(), Config { seed: 2, ..config() });
    assert_eq!(other(wider, config()), "a checkpoint of another network (`rows: 8`, not `rows: 4`)");
    assert_eq!(other(network(), seed), "a checkpoint of another seed (`1`, not `2`)");
    let faster = Config { learning_rate: 0.3, ..config() };
    let expected = "a checkpoint of another configuration (`learning_rate: 0.4`, not `learning_rate: 0.3`)";
    assert_eq!(other(network(), faster), expected);

    let bytes = std::fs::read(&path).unwrap();
    for damaged in [&bytes[..bytes.len() - 1], &bytes[..20], &[], b"not a checkpoint at all"] {
        std::fs::write(&path, damaged).unwrap();
        let error = Trainer::resume(&path, network(), config()).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
    }
    let error = Trainer::resume(&directory.path().join("none"), network(), config()).unwrap_err();
    assert!(matches!(error, TrainError::File { .. }), "{error}");
}

#[test]
fn a_loss_that_is_not_finite_names_layer_and_step() {
    // The first step makes the first layer's weights so great that the squares of its sums overflow in the second.
    let config = Config { learning_rate: 1e30, warm_up: 0.0, momentum: 0.0, ..config() };
    let mut trainer = Trainer::new(network(), config).unwrap();
    match trainer.train_epoch(&dataset(), &mut |_| {}).unwrap_err() {
        TrainError::NotFinite { layer, epoch: 1, step: 2, .. } => assert_eq!(layer, "conv1"),
        error => panic!("{error}"),
    }
}

#[test]
fn a_run_that_broke_keeps_its_last_good_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint.safetensors");
    let config =
        Config { learning_rate: 1e30, warm_up: 1.0, momentum: 0.0, ramp: Ramp { start: 0.0, end: 0.0 }, ..config() };
    let mut trainer = Trainer::new(network(), config.clone()).unwrap();
    trainer.save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    assert!(matches!(trainer.train_epoch(&dataset(), &mut |_| {}), Err(TrainError::NotFinite { .. })));
    assert_eq!(trainer.save(&path), Err(TrainError::Broken { epoch: 1 }));
    assert_eq!(trainer.train_epoch(&dataset(), &mut |_| {}), Err(TrainError::Broken { epoch: 1 }));
    assert_eq!(std::fs::read(&path).unwrap(), good);
    assert_eq!(Trainer::resume(&path, network(), config).unwrap().epoch(), 0);
}

/// The last descent of an epoch is followed by no loss that would show it.
#[test]
fn an_epoch_whose_last_step_broke_is_not_saved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint.safetensors");
    let ramp = Ramp { start: 0.0, end: 0.0 };
    for epochs in [1, 3] {
        let config = Config { learning_rate: 1e300, warm_up: 0.0, momentum: 0.0, ramp, epochs, ..config() };
        let mut trainer = Trainer::new(network(), config.clone()).unwrap();
        trainer.save(&path).unwrap();
        let one_step = dataset().subset(&(0..config.batch).collect::<Vec<_>>());
        match trainer.train_epoch(&one_step, &mut |_| {}) {
            Err(TrainError::NotFinite { layer, epoch: 1, step: 1, .. }) => assert!(!layer.is_empty()),
            other => panic!("{other:?}"),
        }
        assert_eq!(trainer.save(&path), Err(TrainError::Broken { epoch: 1 }));
        assert_eq!(Trainer::resume(&path, network(), config).unwrap().epoch(), 0);
    }
}

/// Divided by so small a temperature, logits are infinite, while all layers' sums are finite.
#[test]
fn a_loss_that_alone_is_not_finite_names_the_last_layer() {
    let distillation = |temperature| Some(Distillation { start: 0.0, mix: 0.5, temperature });
    let config = Config { distillation: distillation(1e-44), routing: Routing::Joint, ..config() };
    let mut trainer = Trainer::new(network(), config.clone()).unwrap();
    match trainer.train_epoch(&dataset(), &mut |_| {}) {
        Err(TrainError::NotFinite { what, layer, epoch: 1, step: 1 }) => {
            assert_eq!((what.as_str(), layer), ("the loss is NaN", network().nodes().last().unwrap().name.clone()));
        }
        other => panic!("{other:?}"),
    }
    // In single precision these are 0 and infinite.
    for temperature in [1e-50, 1e50] {
        let config = Config { distillation: distillation(temperature), ..config.clone() };
        assert!(matches!(config.check(), Err(TrainError::Config { what: "distillation.temperature", .. })));
    }
}

#[test]
fn a_checkpoint_whose_arrays_have_another_shape_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint.safetensors");
    Trainer::new(network(), config()).unwrap().save(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let (old, new) = (b"\"shape\":[8,72]", b"\"shape\":[72,8]");
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
    std::fs::write(&path, bytes).unwrap();
    match Trainer::resume(&path, network(), config()).unwrap_err() {
        TrainError::Checkpoint { what, .. } => assert!(what.contains("[72, 8]") && what.contains("[8, 72]"), "{what}"),
        error => panic!("{error}"),
    }
}

#[test]
fn a_checkpoint_of_what_cannot_be_computed_with_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint.safetensors");
    run(Trainer::new(network(), config()).unwrap(), 1).save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (part, value, message) in [
        ("weights", f32::NAN, "`stack1.conv1` is not finite"),
        ("weights.velocity", f32::INFINITY, "`stack1.conv1` is not finite"),
        ("norm2.variance", -0.5, "`stack1.conv1`: the variance of row 0 at level 2 is -0.5"),
    ] {
        let values = file.tensor(&format!("stack1.conv1.{part}")).unwrap().data();
        let at = values.as_ptr() as usize - bytes.as_ptr() as usize;
        let mut damaged = bytes.clone();
        damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        std::fs::write(&path, damaged).unwrap();
        match Trainer::resume(&path, network(), config()).unwrap_err() {
            TrainError::Checkpoint { what, .. } => assert!(what.contains(message), "{what}"),
            error => panic!("{error}"),
        }
    }
}

#[test]
fn levels_that_come_out_the_same_are_refused() {
    for masking in [Masking::Nested, Masking::Slimmable] {
        let config = Config { masking, ladder: Ladder::new([0.9, 0.5, 0.49999]).unwrap(), ..config() };
        assert_eq!(Trainer::new(network(), config).unwrap_err(), TrainError::EqualLevels { level: 3 });
    }
}

#[test]
fn once_the_ramp_ends_masks_are_frozen_at_the_ladder() {
    let levels = config().ladder.levels();
    let rings = |trainer: &Trainer| -> Vec<_> {
        trainer.trained().parameters.layers.iter().flatten().map(|layer| layer.mask.clone()).collect()
    };
    let halfway = Config { ramp: Ramp { start: 0.0, end: 0.5 }, ..config() };
    let trainer = run(Trainer::new(network(), halfway).unwrap(), 2);
    for level in levels.up_to() {
        let goal = trainer.config().ladder.sparsity(level).unwrap();
        assert!((trainer.sparsity(level) - goal).abs() < 0.005, "{}", trainer.sparsity(level));
    }
    let before = rings(&trainer);
    assert_eq!(rings(&run(trainer, 3)), before);
}

#[test]
fn regrowth_changes_supports_until_it_ends_and_keeps_their_sizes() {
    let supports = |trainer: &Trainer| -> Vec<_> {
        trainer.trained().parameters.layers.iter().flatten().filter_map(|layer| layer.mask.clone()).collect()
    };
    let ramp = Ramp { start: 0.0, end: 0.0 };
    for regrowth in [None, Some(Regrowth { until: 0.6, share: 0.5 })] {
        let trainer = Trainer::new(network(), Config { regrowth, ramp, ..config() }).unwrap();
        let before = supports(&trainer);
        let trainer = run(trainer, 2);
        let after = supports(&trainer);
        let levels = trainer.config().ladder.levels();
        assert_eq!(before != after, regrowth.is_some());
        for (before, after) in before.iter().zip(&after) {
            assert!(levels.up_to().all(|level| before.count(level) == after.count(level)));
        }
        assert_eq!(supports(&run(trainer, 3)), after);
    }
}

#[test]
fn every_allocation_reaches_the_ladder_over_all_layers() {
    let allocations = [
        Allocation::Uniform,
        Allocation::ErdosRenyiKernel,
        Allocation::Global,
        Allocation::GlobalPerInstruction,
        Allocation::PerInstruction { exponent: 0.5 },
    ];
    for saliency in [Saliency::Magnitude, Saliency::FirstOrder] {
        for allocation in allocations {
            if (saliency, allocation) == (Saliency::Magnitude, Allocation::GlobalPerInstruction) {
                continue; // refused: magnitudes of different layers do not compare
            }
            let config = Config { allocation, saliency, ..config() };
            let trainer = run(Trainer::new(network(), config).unwrap(), 3);
            for level in trainer.config().ladder.levels().up_to() {
                let goal = trainer.config().ladder.sparsity(level).unwrap();
                let priced = matches!(allocation, Allocation::PerInstruction { .. } | Allocation::GlobalPerInstruction);
                let reached = if priced { instruction_sparsity(&trainer, level) } else { trainer.sparsity(level) };
                assert!((reached - goal).abs() < 0.005, "{allocation:?} {saliency:?} {level:?}: {reached}");
            }
        }
    }
}

/// Share of the instructions of the sparse layers that a level saves.
fn instruction_sparsity(trainer: &Trainer, level: Level) -> f64 {
    let network = &trainer.trained().network;
    let layers = network.nodes().iter().zip(&trainer.trained().parameters.layers).enumerate();
    let (mut kept, mut all) = (0.0, 0.0);
    for (node, (of, layer)) in layers {
        let Some(mask) = layer.as_ref().and_then(|layer| layer.mask.as_ref()) else { continue };
        let pixels = of.output.height * of.output.width;
        let shape = LayerShape { matrix: network.weights(node).unwrap(), kernel: [3, 3], pixels };
        kept += mask.count(level) as f64 * shape.instructions();
        all += mask.rings().len() as f64 * shape.instructions();
    }
    1.0 - kept / all
}

#[test]
fn what_a_level_does_not_use_stays_as_it_is() {
    // Only level 1 is ever drawn, so ring 2 and the other level's normalisations must not move once masks are frozen.
    let routing = Routing::Sampled { weights: vec![1.0, 0.0] };
    let config = Config { routing, ramp: Ramp { start: 0.0, end: 0.0 }, shared_affine: false, ..config() };
    let before = Trainer::new(network(), config).unwrap();
    let weights = |trained: &Trained| trained.parameters.layers.clone();
    let old = weights(before.trained());
    let new = weights(run(before, 2).trained());
    for (old, new) in old.iter().zip(&new) {
        let (Some(old), Some(new)) = (old, new) else { continue };
        assert_eq!(old.norms.get(1), new.norms.get(1));
        let Some(mask) = &old.mask else { continue };
        for ((&ring, old), new) in mask.rings().iter().zip(&old.weights).zip(&new.weights) {
            assert_eq!(old != new, ring == 1, "ring {ring}");
        }
    }
}

#[test]
fn bad_configurations_are_named() {
    let distillation = |start, mix, temperature| Some(Distillation { start, mix, temperature });
    let bad = [
        ("batch", Config { batch: 0, ..config() }),
        ("epochs", Config { epochs: 0, ..config() }),
        ("learning_rate", Config { learning_rate: f64::NAN, ..config() }),
        ("momentum", Config { momentum: 1.0, ..config() }),
        ("int8_from", Config { int8_from: 1.5, ..config() }),
        ("ramp.end", Config { saliency: Saliency::FirstOrder, ramp: Ramp { start: 0.0, end: 0.0 }, ..config() }),
        ("regrowth.share", Config { regrowth: Some(Regrowth { until: 0.6, share: 2.0 }), ..config() }),
        ("allocation.exponent", Config { allocation: Allocation::PerInstruction { exponent: -1.0 }, ..config() }),
        ("distillation.mix", Config { distillation: distillation(0.5, -0.1, 1.0), ..config() }),
        ("distillation.start", Config { distillation: distillation(f64::NAN, 0.1, 1.0), ..config() }),
        ("distillation.temperature", Config { distillation: distillation(0.5, 0.1, 0.0), ..config() }),
    ];
    for (field, config) in bad {
        match Trainer::new(network(), config).unwrap_err() {
            TrainError::Config { what, .. } => assert_eq!(what, field),
            error => panic!("{error}"),
        }
    }
    let routing = Routing::Sampled { weights: vec![1.0] };
    assert!(matches!(Trainer::new(network(), Config { routing, ..config() }), Err(TrainError::Routing(_))));
}
