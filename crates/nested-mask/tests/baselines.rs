//! The methods that nested training is compared with.
use nested_csr::{Level, TensorShape, Window};
use nested_mask::nn::{Activation, Finish, Layer, Network, NetworkBuilder, Parameters, ds_cnn, mobilenet_v1, resnet8};
use nested_mask::quant::quantize;
use nested_mask::schedule::Ramp;
use nested_mask::train::{Augmentation, Config, Dataset, Masking, TrainError, Trainer};
use nested_mask::{Allocation, Block, Ladder, Routing};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const SHAPE: TensorShape = TensorShape { channels: 1, height: 8, width: 8 };

/// Four classes, each with bright pixels of its own.
fn dataset() -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(9);
    let labels: Vec<u8> = (0..160).map(|image| image % 4).collect();
    let bright = |label: u8| move |at: usize| if at % 4 == usize::from(label) { 200 } else { 40 };
    let mut noise = || random.random_range(0..50u8);
    let pixels = labels.iter().flat_map(|&label| (0..SHAPE.len()).map(bright(label))).map(|p| p + noise()).collect();
    Dataset::new(SHAPE, 4, pixels, labels).unwrap()
}

fn train(network: Network, config: Config) -> Trainer {
    let mut trainer = Trainer::new(network, config).unwrap();
    while trainer.epoch() < trainer.config().epochs {
        trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
    }
    trainer.recalibrate(&dataset()).unwrap();
    trainer
}

fn config(masking: Masking, sparsities: &[f64]) -> Config {
    let ladder = Ladder::new(sparsities).unwrap();
    // A class moved by one pixel is another class.
    let augmentation = Augmentation { shift: 0, ..Config::default().augmentation };
    Config {
        masking,
        ladder,
        epochs: 4,
        batch: 20,
        learning_rate: 0.1,
        rank_every: 1,
        augmentation,
        ..Config::default()
    }
}

/// Level 1 alone is drawn, and nothing decays or goes on by itself: what is not of ring 1 moves by gradients straight through the
/// mask or not at all.
fn by_level_1_alone(masking: Masking) -> Config {
    let routing = Routing::Sampled { weights: vec![1.0, 0.0] };
    Config { routing, weight_decay: 0.0, momentum: 0.0, ..config(masking, &[0.9, 0.6]) }
}

/// Share of the weights that moved; where all of a channel's outputs are cut off by its activation, a gradient is 0.
fn moved(old: &Layer<f32>, new: &Layer<f32>) -> f64 {
    let moved = old.weights.iter().zip(&new.weights).filter(|(old, new)| old != new).count();
    moved as f64 / old.weights.len() as f64
}

#[test]
fn dsnn_trains_every_weight_and_ranks_to_the_end() {
    let network = || resnet8(SHAPE, 0.5, 4).unwrap();
    // Sparse from the start, so that level 1 never uses most weights.
    let config = Config { ramp: Ramp { start: 0.0, end: 0.0 }, ..by_level_1_alone(Masking::Dsnn) };
    let before = Trainer::new(network(), config.clone()).unwrap();
    let after = train(network(), config.clone());
    let layers = |trainer: &Trainer| trainer.trained().parameters.layers.clone();
    for (old, new) in layers(&before).iter().zip(&layers(&after)) {
        let (Some(old), Some(new)) = (old, new) else { continue };
        assert!(moved(old, new) > 0.95, "{}", moved(old, new));
        // At the end the masks are those of the weights as they are.
        let Some(mask) = &new.mask else { continue };
        let again = nested_mask::NestedMask::by_magnitude(new.weights.view(), &config.ladder, Block::OneByOne);
        assert_eq!(again.as_ref(), Ok(mask));
    }
}

#[test]
fn straight_through_trains_every_weight_and_its_supports_settle() {
    let ramp = Ramp { start: 0.0, end: 0.5 };
    let config = Config { epochs: 6, ramp, ..by_level_1_alone(Masking::StraightThrough) };
    let mut trainer = Trainer::new(resnet8(SHAPE, 0.5, 4).unwrap(), config).unwrap();
    let layers = |trainer: &Trainer| trainer.trained().parameters.layers.clone();
    let mut after = vec![layers(&trainer)];
    while trainer.epoch() < 6 {
        trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
        after.push(layers(&trainer));
    }
    let masks = |epoch: usize| after[epoch].iter().flatten().map(|layer| layer.mask.clone()).collect::<Vec<_>>();
    assert_ne!(masks(1), masks(2));
    assert_eq!(masks(4), masks(6));
    // Level 1 teaches the other rings and what is in none of them.
    for (old, new) in after[4].iter().flatten().zip(after[6].iter().flatten()) {
        assert!(moved(old, new) > 0.95, "{}", moved(old, new));
    }
}

/// What such a row's normalisation makes of a gradient would let its weights outgrow all others.
#[test]
fn without_gradient_masking_a_row_that_no_level_uses_stands_still() {
    let network = resnet8(SHAPE, 0.5, 4).unwrap();
    for masking in [Masking::StraightThrough, Masking::Dsnn] {
        let config = Config { ramp: Ramp { start: 0.0, end: 0.0 }, ..by_level_1_alone(masking) };
        let mut parameters = Parameters::<f32>::random(&network, config.ladder.levels(), 1);
        let sparse: Vec<usize> = Trainer::new(network.clone(), config.clone())
            .unwrap()
            .trained()
            .parameters
            .layers
            .iter()
            .enumerate()
            .filter(|(_, layer)| layer.as_ref().is_some_and(|layer| layer.mask.is_some()))
            .map(|(node, _)| node)
            .collect();
        for &node in &sparse {
            // Of all levels the least weights.
            parameters.layers[node].as_mut().unwrap().weights.row_mut(0).mapv_inplace(|weight| weight * 1e-6);
        }
        let mut trainer = Trainer::from_parameters(network.clone(), parameters, config).unwrap();
        let before = trainer.trained().clone();
        trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
        for &node in &sparse {
            let [old, new] =
                [&before, trainer.trained()].map(|trained| trained.parameters.layers[node].as_ref().unwrap());
            assert_eq!(old.weights.row(0), new.weights.row(0), "{masking:?}");
            let rings = old.mask.as_ref().unwrap().rings();
            let unused = rings.iter().zip(old.weights.iter().zip(&new.weights)).filter(|(ring, _)| **ring == 0);
            let moved = unused.filter(|(_, (old, new))| old != new).count();
            assert!(moved > old.weights.len() / 4, "{masking:?}: {moved}");
        }
    }
}

#[test]
fn dsnn_learns_at_each_level() {
    let config = Config { epochs: 16, ..config(Masking::Dsnn, &[0.8, 0.5]) };
    let mut trainer = train(resnet8(SHAPE, 0.5, 4).unwrap(), config);
    for level in trainer.config().ladder.levels().up_to() {
        assert!(trainer.evaluate(level, &dataset()).unwrap() > 0.95);
    }
}

#[test]
fn a_width_of_a_slimmable_network_is_an_ordinary_network() {
    let networks = [
        resnet8(SHAPE, 0.5, 4).unwrap(),
        mobilenet_v1(SHAPE, 0.125, 4).unwrap(),
        ds_cnn(SHAPE, 0.125, 4).unwrap(),
        with_a_concatenation_inside(),
    ];
    // MobileNet's 27 normalisations of one or two channels blow up at the others' rate, with any ε.
    for (network, learning_rate) in networks.into_iter().zip([0.1, 0.02, 0.1, 0.1]) {
        let config = Config { learning_rate, ..config(Masking::Slimmable, &[0.6, 0.3, 0.0]) };
        let mut trainer = train(network.clone(), config);
        for (level, width) in trainer.config().ladder.levels().up_to().zip([0.4, 0.7, 1.0]) {
            let narrow = trainer.trained().narrowed(level).unwrap();
            assert_eq!(narrow.network, network.narrowed(width));
            let inside = trainer.evaluate(level, &dataset()).unwrap();
            assert_eq!(narrow.evaluate(Level::FIRST, &dataset()).unwrap(), inside);
            assert_eq!(narrow.nonzero_macs(Level::FIRST), trainer.nonzero_macs(level));
            let model = quantize(&narrow, &dataset()).unwrap();
            assert_eq!(model.levels(), Level::FIRST);
        }
    }
}

/// Two branches put together inside; one passes a depthwise convolution, a sum and a pool, which keep channels.
fn with_a_concatenation_inside() -> Network {
    let finish = Finish::NORM.then(Activation::Relu);
    let mut b = NetworkBuilder::new(SHAPE);
    let x = b.convolution("first", b.input(), Window::square(3, 1, 1), 8, finish).unwrap();
    let left = b.convolution("left", x, Window::square(3, 2, 1), 6, finish.sparse()).unwrap();
    let right = b.convolution("right", x, Window::square(3, 2, 1), 4, finish.sparse()).unwrap();
    let right = b.depthwise("depthwise", right, Window::square(3, 1, 1), finish).unwrap();
    let right = b.add("twice", right, right, Activation::Identity).unwrap();
    let right = b.max_pool("pool", right, Window::square(2, 2, 0)).unwrap();
    let both = b.concatenation("both", left, right).unwrap();
    let x = b.convolution("after", both, Window::square(1, 1, 0), 12, finish.sparse()).unwrap();
    b.fully_connected("logits", x, 4).unwrap();
    b.finish().unwrap()
}

#[test]
fn a_slimmable_level_leaves_the_channels_it_lacks_silent() {
    let trainer = train(resnet8(SHAPE, 0.5, 4).unwrap(), config(Masking::Slimmable, &[0.5, 0.0]));
    let first = trainer.trained().parameters.layers[0].as_ref().unwrap();
    let [narrow, wide] = &first.norms[..] else { panic!("two levels") };
    assert!(narrow.shift[..4].iter().chain(&wide.shift).all(|&shift| shift != 0.0));
    assert!(narrow.shift[4..].iter().all(|&shift| shift == 0.0));
}

#[test]
fn only_a_slimmable_network_is_narrowed() {
    let trainer = Trainer::new(resnet8(SHAPE, 0.5, 4).unwrap(), config(Masking::Nested, &[0.5])).unwrap();
    assert_eq!(trainer.trained().narrowed(Level::FIRST), Err(TrainError::NotSlimmable));
    let missing = Level::new(2).unwrap();
    assert_eq!(trainer.trained().narrowed(missing), Err(TrainError::NoSuchLevel { level: 2, levels: 1 }));
}

#[test]
fn pruning_further_keeps_the_greatest_of_what_the_level_used() {
    let trainer = train(resnet8(SHAPE, 0.5, 4).unwrap(), config(Masking::Nested, &[0.9, 0.6]));
    let (trained, level) = (trainer.trained(), Level::FIRST);
    let ladder = Ladder::new([0.97, 0.95]).unwrap();
    let mut pruned = trained.pruned(level, &ladder, Allocation::Uniform, Block::OneByOne).unwrap();
    let pairs = trained.parameters.layers.iter().flatten().zip(pruned.parameters.layers.iter().flatten());
    for (old, new) in pairs.filter(|(old, _)| old.mask.is_some()) {
        let outer = old.mask.as_ref().unwrap().support(level);
        let inner = new.mask.as_ref().unwrap().support(ladder.levels());
        assert!(inner.iter().zip(&outer).all(|(&inner, &outer)| outer || !inner));
        assert_eq!(new.norms, vec![old.norms.first().cloned(); 2].into_iter().flatten().collect::<Vec<_>>());
    }
    let before = pruned.evaluate(ladder.levels(), &dataset()).unwrap();
    pruned.recalibrate(&dataset()).unwrap();
    assert!(pruned.evaluate(ladder.levels(), &dataset()).unwrap() >= before);
    let same = trained.pruned(level, &Ladder::dense(), Allocation::Uniform, Block::OneByOne).unwrap();
    assert_eq!(same.evaluate(level, &dataset()), trained.evaluate(level, &dataset()));
}
