//! What a training holds inside: velocities, and where it starts from.
use super::{
    optimizer::{Optimizer, Velocity},
    *,
};
use crate::{
    Allocation, Block, Descent, Ladder, NestedMask, Routing, RoutingMatrix, Saliency,
    nn::{
        Activation, Finish, Gradient, Layer, Network, NetworkBuilder, Parameters, ParametersError, Passes, Statistics,
        resnet8,
    },
    schedule::Ramp,
};
use ndarray::{Array2, ArrayView2};
use nested_csr::{Level, TensorShape, Window};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256PlusPlus;

const SHAPE: TensorShape = TensorShape { channels: 1, height: 6, width: 6 };

fn network() -> Network {
    resnet8(SHAPE, 0.25, 4).unwrap()
}

fn config() -> Config {
    Config { ladder: Ladder::new([0.8, 0.4]).unwrap(), epochs: 2, batch: 16, rank_every: 2, ..Config::default() }
}

fn dataset() -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let labels: Vec<u8> = (0..64).map(|image| image % 4).collect();
    let pixels = labels.iter().flat_map(|&label| (0..SHAPE.len()).map(move |at| (label, at)));
    let pixels = pixels.map(|(label, at)| if at % 4 == usize::from(label) { 180 } else { 40 });
    let pixels = pixels.map(|pixel| pixel + random.random_range(0..60u8)).collect();
    Dataset::new(SHAPE, 4, pixels, labels).unwrap()
}

fn run(mut trainer: Trainer) -> Trained {
    while trainer.epoch() < trainer.config().epochs {
        trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
    }
    trainer.into_trained()
}

fn routings() -> impl Strategy<Value = Routing> {
    let matrix = prop::collection::vec(-1.0..1.0f64, 9).prop_map(|m| RoutingMatrix::new(3, m).unwrap());
    prop_oneof![
        Just(Routing::Joint),
        Just(Routing::Ring),
        Just(Routing::Frozen),
        Just(Routing::Staged { until: 0.5 }),
        Just(Routing::default()),
        matrix.prop_map(Routing::Weighted),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One loop of one's own, the other this crate's: the same weights to the bit, after steps that train different rings.
    #[test]
    fn the_public_descent_is_the_trainers(
        routing in routings(),
        seed in any::<u64>(),
        momentum in 0.0..0.99f32,
        weight_decay in 0.0..0.1f32,
    ) {
        let mut b = NetworkBuilder::new(TensorShape { channels: 1, height: 4, width: 4 });
        let x = b.convolution("nested", b.input(), Window::square(3, 1, 1), 4, Finish::NORM.sparse()).unwrap();
        let x = b.global_average_pool("pool", x).unwrap();
        b.fully_connected("logits", x, 2).unwrap();
        let ladder = Ladder::new([0.8, 0.5, 0.2]).unwrap();
        let mut parameters = Parameters::<f32>::random(&b.finish().unwrap(), ladder.levels(), seed);
        let layer = parameters.layers[0].as_mut().unwrap();
        let mask = NestedMask::by_magnitude(layer.weights.view(), &ladder, Block::OneByOne).unwrap();
        layer.mask = Some(mask.clone());
        let mut weights = layer.weights.clone();
        let mut velocity = Array2::zeros(weights.dim());

        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut optimizer = Optimizer::new(&parameters, &Config::default());
        for moment in 0..9 {
            let step = routing.draw(3, f64::from(moment) / 9.0, &mut random).unwrap();
            let learning_rate = random.random_range(0.01..1.0f32);
            let descent = Descent { learning_rate, momentum, weight_decay };
            let mut of_levels = vec![Array2::<f32>::zeros(weights.dim()); 3];
            optimizer.start();
            for level in (1..=3).filter(|&level| step.uses(level)) {
                of_levels[level - 1].mapv_inplace(|_| random.random_range(-1.0..1.0));
                let mut gradient = Gradient::zeros(&parameters);
                gradient.layers[0].as_mut().unwrap().weights = of_levels[level - 1].iter().copied().collect();
                optimizer.add(&mut parameters, &gradient, &step, Level::new(level).unwrap(), descent);
            }
            optimizer.step(&mut parameters, &step, descent);

            let views: Vec<ArrayView2<f32>> = of_levels.iter().map(|gradient| gradient.view()).collect();
            let gradient = step.route(&views, &mask).unwrap();
            descent.step(weights.view_mut(), velocity.view_mut(), gradient.view(), &mask, &step).unwrap();
            prop_assert_eq!(&parameters.layers[0].as_ref().unwrap().weights, &weights);
            let kept = optimizer.layers[0].as_ref().unwrap().weights.iter();
            prop_assert!(kept.eq(velocity.iter()));
        }
    }
}

#[test]
fn what_regrowth_brings_in_begins_at_rest_and_the_rest_goes_on() {
    let config = Config { ramp: Ramp { start: 0.0, end: 0.0 }, block: Block::OneByTwo, ..config() };
    let mut trainer = Trainer::new(network(), config).unwrap();
    trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    for gradient in trainer.gradient.layers.iter_mut().flatten() {
        gradient.weights.iter_mut().for_each(|value| *value = random.random_range(-1.0..1.0));
    }
    // As if all had moved, so that what is set to 0 shows.
    for velocity in trainer.optimizer.layers.iter_mut().flatten() {
        velocity.weights.iter_mut().for_each(|value| *value = random.random_range(0.1..1.0));
    }
    let state = |trainer: &Trainer| (trainer.trained.parameters.layers.clone(), trainer.optimizer.layers.clone());
    let (old_layers, old_velocities) = state(&trainer);
    trainer.regrow(0.3).unwrap();
    let (new_layers, new_velocities) = state(&trainer);
    let mut newcomers = 0;
    for node in 0..old_layers.len() {
        let (Some(old), Some(new)) = (&old_layers[node], &new_layers[node]) else { continue };
        let (Some(old_velocity), Some(new_velocity)) = (&old_velocities[node], &new_velocities[node]) else { continue };
        let before = old.weights.iter().zip(&old_velocity.weights);
        let after = new.weights.iter().zip(&new_velocity.weights);
        let rings = |layer: &Layer<f32>| layer.mask.as_ref().map(|mask| mask.rings().clone());
        let (Some(old_rings), Some(new_rings)) = (rings(old), rings(new)) else {
            assert!(before.eq(after));
            continue;
        };
        for ((before, after), (&old, &new)) in before.zip(after).zip(old_rings.iter().zip(&new_rings)) {
            if old == 0 && new != 0 {
                assert_eq!(after, (&0.0, &0.0));
                newcomers += 1;
            } else {
                assert_eq!(after, before);
            }
        }
    }
    assert!(newcomers > 50, "{newcomers}");
}

#[test]
fn starting_from_the_weights_that_the_seed_gives_is_starting_anew() {
    let config = config();
    let seed = augment::stream(config.seed, 0, augment::Stream::Weights).next_u64();
    let mut parameters = Parameters::random(&network(), config.ladder.levels(), seed);
    let anew = run(Trainer::new(network(), config.clone()).unwrap());
    assert_eq!(run(Trainer::from_parameters(network(), parameters.clone(), config.clone()).unwrap()), anew);
    // In another memory order, and with one normalisation for all levels.
    for layer in parameters.layers.iter_mut().flatten() {
        layer.weights = layer.weights.t().as_standard_layout().into_owned().reversed_axes();
        layer.norms.truncate(1);
    }
    assert_eq!(run(Trainer::from_parameters(network(), parameters, config).unwrap()), anew);
}

#[test]
fn a_trained_network_goes_on_with_its_weights_and_normalisations() {
    let own = Config { shared_affine: false, ..config() };
    let trained = run(Trainer::new(network(), own.clone()).unwrap());
    let still = Config { ramp: Ramp { start: 0.0, end: 0.0 }, ..own };
    let trainer = Trainer::from_trained(trained.clone(), still.clone()).unwrap();
    assert_eq!(trainer.trained().normalization, trained.normalization);
    for (old, new) in
        trained.parameters.layers.iter().flatten().zip(trainer.trained().parameters.layers.iter().flatten())
    {
        assert_eq!(old.norms, new.norms);
        let Some((of_old, of_new)) = old.mask.as_ref().zip(new.mask.as_ref()) else {
            assert_eq!(old.weights, new.weights);
            continue;
        };
        let densest = of_old.levels();
        assert_eq!(of_old.apply(densest, old.weights.view()), of_new.apply(densest, new.weights.view()));
    }
    // Shared: γ and β of the densest, to the end; statistics of each.
    let shared = Config { shared_affine: true, epochs: 1, ..still.clone() };
    let trainer = Trainer::from_trained(trained.clone(), shared).unwrap();
    let (of_start, ended) = (trainer.trained().parameters.clone(), run(trainer));
    let layers = trained.parameters.layers.iter().zip(&of_start.layers).zip(&ended.parameters.layers);
    for ((old, start), end) in
        layers.filter_map(|((old, start), end)| Some(((old.as_ref()?, start.as_ref()?), end.as_ref()?)))
    {
        for (norm, old_norm) in start.norms.iter().zip(&old.norms) {
            let densest = &old.norms[1];
            assert_eq!((&norm.scale, &norm.shift), (&densest.scale, &densest.shift));
            assert_eq!((&norm.mean, &norm.variance), (&old_norm.mean, &old_norm.variance));
        }
        let [sparse, dense] = &end.norms[..] else { continue };
        assert_eq!((&sparse.scale, &sparse.shift), (&dense.scale, &dense.shift));
        assert_ne!(sparse.scale, start.norms[0].scale);
        assert_ne!(sparse.mean, dense.mean);
    }
    // Another number of levels: all start as the densest was.
    let three = Config { ladder: Ladder::new([0.9, 0.8, 0.4]).unwrap(), ..still.clone() };
    let trainer = Trainer::from_trained(trained.clone(), three).unwrap();
    let pairs = trained.parameters.layers.iter().flatten().zip(trainer.trained().parameters.layers.iter().flatten());
    for (old, new) in pairs.filter(|(old, _)| !old.norms.is_empty()) {
        assert_eq!(new.norms, vec![old.norms[1].clone(); 3]);
    }

    // A checkpoint from before the first epoch knows that the normalisation was given.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut given = trained;
    given.normalization = Normalization { mean: 7, deviation: 100.0 };
    let trainer = Trainer::from_trained(given.clone(), still.clone()).unwrap();
    trainer.save(&path).unwrap();
    let resumed = run(Trainer::resume(&path, network(), still.clone()).unwrap());
    assert_eq!(resumed.normalization, given.normalization);
    assert_eq!(resumed, run(trainer));
}

#[test]
fn parameters_of_another_network_are_refused_by_name() {
    let good = Parameters::<f32>::random(&network(), Level::new(2).unwrap(), 1);
    let refused = |change: &dyn Fn(&mut Parameters<f32>)| {
        let mut parameters = good.clone();
        change(&mut parameters);
        match Trainer::from_parameters(network(), parameters, config()) {
            Err(TrainError::Parameters(ParametersError::Count { node, what, .. })) => format!("{node}: {what}"),
            Err(TrainError::Parameters(error)) => error.to_string(),
            other => panic!("{:?}", other.map(|_| ())),
        }
    };
    let nodes = network().nodes().len();
    let short = refused(&|p| p.layers.truncate(3));
    assert_eq!(short, format!("parameters of 3 nodes for a network of {nodes}"));
    assert_eq!(refused(&|p| p.layers[0] = None), "conv1: layers");
    let with = |change: &'static dyn Fn(&mut Layer<f32>)| {
        refused(&move |p: &mut Parameters<f32>| change(p.layers[0].as_mut().unwrap()))
    };
    assert_eq!(with(&|layer| layer.weights = Array2::zeros((3, 9))), "conv1: rows of weights");
    assert_eq!(with(&|layer| layer.weights = Array2::zeros((4, 8))), "conv1: columns of weights");
    assert_eq!(with(&|layer| layer.bias.push(0.0)), "conv1: biases");
    assert_eq!(with(&|layer| layer.norms.clear()), "conv1: normalisations of levels");
    assert_eq!(with(&|layer| layer.norms[1].variance.truncate(1)), "conv1: values of a normalisation");
    let mask =
        |rows: usize| Some(NestedMask::from_rings(Array2::ones((rows, 9)), Level::FIRST, Block::OneByOne).unwrap());
    let small = refused(&|p| p.layers[0].as_mut().unwrap().mask = mask(2));
    assert_eq!(small, "conv1: rows of the mask");
    assert_eq!(with(&|layer| layer.weights[(0, 0)] = f32::NAN), "node `conv1`: a parameter is not finite");

    // A network whose fields were put together is checked where it is used.
    let mut trained = Trainer::new(network(), config()).unwrap().into_trained();
    trained.parameters.layers[0].as_mut().unwrap().mask = mask(4);
    let wrong =
        |result: Result<(), TrainError>| assert!(matches!(result, Err(TrainError::Parameters(_))), "{result:?}");
    wrong(trained.evaluate(Level::FIRST, &dataset()).map(|_| ()));
    wrong(trained.recalibrate(&dataset()));
    wrong(Trainer::from_trained(trained.clone(), config()).map(|_| ()));
    let error = crate::quant::quantize(&trained, &dataset()).map(|_| ()).unwrap_err();
    assert!(matches!(error, crate::quant::QuantError::Parameters(_)), "{error}");
}

/// Rounding, an activation and the choice of a class make numbers of what is none.
#[test]
fn a_network_that_cannot_be_computed_with_is_refused_wherever_it_is_used() {
    let slimmable = Config { masking: Masking::Slimmable, ..config() };
    let good = Trainer::new(network(), slimmable).unwrap().into_trained();
    let wrong = |change: &dyn Fn(&mut Trained)| {
        let mut trained = good.clone();
        change(&mut trained);
        let pruned = trained.pruned(Level::FIRST, &Ladder::new([0.9]).unwrap(), Allocation::Uniform, Block::OneByOne);
        let quantized = crate::quant::quantize(&trained, &dataset()).map(|_| ());
        let errors = [
            trained.evaluate(Level::FIRST, &dataset()).map(|_| ()),
            trained.narrowed(Level::FIRST).map(|_| ()),
            pruned.map(|_| ()),
            Trainer::from_trained(trained.clone(), config()).map(|_| ()),
            trained.recalibrate(&dataset()),
        ];
        (errors.map(Result::unwrap_err), quantized.unwrap_err())
    };
    let layer = |trained: &mut Trained| trained.parameters.layers[0].clone().unwrap();
    let with = |change: fn(&mut Layer<f32>)| {
        wrong(&move |trained| {
            let mut changed = layer(trained);
            change(&mut changed);
            trained.parameters.layers[0] = Some(changed);
        })
    };
    let node = || "conv1".to_owned();
    let not_finite = ParametersError::NotFinite { node: node() };
    let negative = ParametersError::Variance { node: node(), level: 2, row: 1, variance: -1.0 };
    for (found, expected) in [
        (with(|layer| layer.weights[(0, 0)] = f32::NAN), &not_finite),
        (with(|layer| layer.norms[0].mean[0] = f32::INFINITY), &not_finite),
        (with(|layer| layer.norms[1].variance[1] = -1.0), &negative),
    ] {
        for error in found.0 {
            assert_eq!(error, TrainError::Parameters(expected.clone()));
        }
        assert_eq!(found.1, crate::quant::QuantError::Parameters(expected.clone()));
    }
    for deviation in [f32::NAN, 0.0, -2.0, f32::INFINITY] {
        let (errors, quantized) = wrong(&|trained| trained.normalization.deviation = deviation);
        let of_field = |error: &TrainError| matches!(error, TrainError::Config { what: "normalization.deviation", .. });
        assert!(errors.iter().all(of_field), "{errors:?}");
        assert!(matches!(quantized, crate::quant::QuantError::NotFinite { .. } | crate::quant::QuantError::Format(_)));
    }
}

#[test]
fn a_detector_that_cannot_be_computed_with_finds_nothing_but_an_error() {
    let shape = TensorShape { channels: 1, height: 32, width: 32 };
    let detector = crate::nn::ssd_mobilenet_v2(shape, 0.125, 1).unwrap();
    let mut trained = Trainer::new(detector, config()).unwrap().into_trained();
    let scenes = Scenes::new(shape, 1, vec![7; shape.len()], vec![Vec::new()]).unwrap();
    let settings = crate::detect::DetectionSettings { score: 0.5, iou: 0.5, most: 9 };
    assert_eq!(trained.detect(Level::FIRST, &scenes, settings).map(|found| found.len()), Ok(1));
    trained.parameters.layers[0].as_mut().unwrap().norms[0].variance[0] = -1.0;
    let error = trained.detect(Level::FIRST, &scenes, settings).unwrap_err();
    assert!(matches!(error, TrainError::Parameters(ParametersError::Variance { level: 1, row: 0, .. })), "{error}");
}

/// Finite parameters whose sums are not.
#[test]
fn statistics_and_classes_of_what_is_not_finite_are_refused() {
    let good = Trainer::new(network(), config()).unwrap().into_trained();
    let not_measurable = |layer: &str, level| TrainError::NotMeasurable { layer: layer.to_owned(), level };
    let mut great = good.clone();
    great.parameters.layers[0].as_mut().unwrap().weights.fill(f32::MAX);
    let before = great.clone();
    assert_eq!(great.recalibrate(&dataset()), Err(not_measurable("conv1", 1)));
    assert_eq!(great, before);
    // The sums of a later level: what has been measured before is not kept.
    let mut later = good.clone();
    later.parameters.layers[0].as_mut().unwrap().norms[1].scale.fill(f32::MAX);
    let before = later.clone();
    assert!(matches!(later.recalibrate(&dataset()), Err(TrainError::NotMeasurable { level: 2, .. })));
    assert_eq!(later, before);
    // A classifier of ±∞.
    let mut opposed = good.clone();
    let last = network().nodes().len() - 1;
    for ((row, column), weight) in opposed.parameters.layers[last].as_mut().unwrap().weights.indexed_iter_mut() {
        *weight = [f32::MAX, f32::MIN][(row + column) % 2];
    }
    let pool = last - 1;
    assert_eq!(network().nodes()[pool].name, "pool");
    opposed.parameters.layers[pool - 2].as_mut().unwrap().norms[0].shift.fill(1e30);
    assert_eq!(opposed.evaluate(Level::FIRST, &dataset()), Err(not_measurable("logits", 1)));
}

#[test]
fn a_share_of_no_images_is_refused() {
    let trainer = Trainer::new(network(), config()).unwrap();
    let none = dataset().subset(&[]);
    assert_eq!(trainer.trained().evaluate(Level::FIRST, &none), Err(TrainError::TooFew { images: 0, batch: 1 }));
}

#[test]
fn pruning_by_magnitude_across_layers_is_refused_as_it_is_in_training() {
    let trainer = Trainer::new(network(), config()).unwrap();
    let allocation = Allocation::GlobalPerInstruction;
    let pruned =
        |ladder: &Ladder| trainer.trained().pruned(Level::FIRST, ladder, allocation, Block::OneByOne).map(|_| ());
    let error = Config { allocation, ..config() }.check();
    assert!(matches!(error, Err(TrainError::Combination { what: "Allocation::GlobalPerInstruction", .. })));
    assert_eq!(pruned(&Ladder::new([0.9]).unwrap()), error);
    assert_eq!(pruned(&Ladder::dense()), Ok(()));
}

#[test]
fn a_ramp_ends_a_step_before_the_first_ring_stands_still() {
    // Four steps an epoch, eight in all; two levels, so that the fifth step is ring 2's.
    let with = |end, routing| Config { ramp: Ramp { start: 0.0, end }, routing, ..config() };
    let train = |config: Config| {
        let mut trainer = Trainer::new(network(), config).unwrap();
        trainer.train_epoch(&dataset(), &mut |_| {}).map(|_| ())
    };
    let refused = |result: Result<(), TrainError>, end: f64| {
        assert!(
            matches!(result, Err(TrainError::Config { what: "ramp.end", value, .. }) if value == end),
            "{result:?}"
        );
    };
    for (turn, routing) in [(0.5, Routing::Frozen), (0.375, Routing::Staged { until: 0.75 })] {
        refused(with(turn, routing.clone()).check(), turn);
        // Within a step of the turn's end the last ranking is in ring 2's first step.
        let near = turn - 0.01;
        assert_eq!(with(near, routing.clone()).check(), Ok(()));
        refused(train(with(near, routing.clone())), near);
        assert_eq!(train(with(turn - 0.125, routing.clone())), Ok(()));
        // Widths have no ramp, and of one level no ring stands still.
        let slimmable = Config { masking: Masking::Slimmable, ..with(1.0, routing.clone()) };
        let single = Config { ladder: Ladder::new([0.5]).unwrap(), ..with(1.0, routing) };
        assert_eq!((train(slimmable), train(single)), (Ok(()), Ok(())));
    }
}

#[test]
fn the_last_ranking_reaches_the_ladder_however_its_moment_is_rounded() {
    let still = |end| Config { ramp: Ramp { start: end, end }, rank_every: 1, ..config() };
    let mut rounded = 0;
    for end in [7.0 * 0.05, 7.0 * 0.1, 17.0 * 0.05, 19.0 * 0.05, 0.5, 0.0, 1.0] {
        let trainer = Trainer::new(network(), still(end)).unwrap();
        for all in 1..6001 {
            let last = (0..=all).rev().find(|&done| trainer.ranks_at(done, all)).unwrap();
            rounded += usize::from((last as f64 / all as f64) < end);
            assert_eq!(trainer.config.ramp.factor(trainer.ramp_share(last, all)), 1.0, "{end} of {all}");
        }
    }
    assert!(rounded > 100, "{rounded}");
    // 50 steps: 0.7 · 50 is 35, and 35 / 50 below 0.7 as it is written here.
    let config = Config { epochs: 25, batch: 32, learning_rate: 0.05, ..still(7.0 * 0.1) };
    let trained = run(Trainer::new(network(), config).unwrap());
    assert!((trained.sparsity(Level::FIRST) - 0.8).abs() < 0.01);
}

#[test]
fn sizes_that_no_machine_has_are_refused() {
    match Trainer::new(network(), Config { batch: usize::MAX, ..config() }) {
        Err(TrainError::Config { what, .. }) => assert_eq!(what, "batch"),
        other => panic!("{:?}", other.map(|_| ())),
    }
    let mut trainer = Trainer::new(network(), Config { epochs: usize::MAX, ..config() }).unwrap();
    match trainer.train_epoch(&dataset(), &mut |_| {}) {
        Err(TrainError::Config { what, .. }) => assert_eq!(what, "epochs"),
        other => panic!("{other:?}"),
    }
}

/// One epoch is one step of all images, whose order is that of the trainer; pixels as they are, and weights move by their
/// gradient alone.
fn one_step_an_epoch() -> Config {
    Config {
        batch: dataset().len(),
        augmentation: Augmentation::default(),
        ramp: Ramp { start: 0.0, end: 0.0 },
        momentum: 0.0,
        weight_decay: 0.0,
        warm_up: 0.0,
        ..config()
    }
}

/// Passes of all images in the order of an epoch, and the images' labels.
fn passes_of(trainer: &Trainer) -> (Passes<f32>, Vec<u8>) {
    let mut order: Vec<usize> = (0..dataset().len()).collect();
    order.shuffle(&mut augment::stream(trainer.config.seed, trainer.epoch, augment::Stream::Order));
    let mut passes = Passes::new(&network(), order.len());
    load(&mut passes, Normalization::of(&dataset().pixels), &dataset(), &order);
    (passes, order.iter().map(|&image| dataset().labels[image]).collect())
}

/// The loss of a level and its gradient; with the logits of a teacher, distilled.
fn loss_of(trainer: &Trainer, level: Level, teacher: Option<(Distillation, &[f32])>) -> (f64, Gradient<f32>, Vec<f32>) {
    let (mut passes, labels) = passes_of(trainer);
    let parameters = &trainer.trained.parameters;
    passes.prepare(parameters, level);
    passes.forward(parameters, Statistics::Batch);
    let logits = passes.all_logits();
    let mut loss = passes.cross_entropy(&labels, |image, class| f32::from(usize::from(labels[image]) == class));
    if let Some((distillation, teacher)) = teacher {
        loss = passes.distil(loss, teacher, distillation.mix, distillation.temperature);
    }
    let mut gradient = Gradient::zeros(parameters);
    passes.backward(parameters, &mut gradient);
    (loss.mean, gradient, logits)
}

/// The first sparse layer's weights, and which of them have a ring.
fn nested_weights(trainer: &Trainer) -> (Vec<f32>, Vec<u8>) {
    let layer = trainer.trained.parameters.layers.iter().flatten().find(|layer| layer.mask.is_some()).unwrap();
    (layer.weights.iter().copied().collect(), layer.mask.as_ref().unwrap().rings().iter().copied().collect())
}

fn nested_gradient(trainer: &Trainer, gradient: &Gradient<f32>) -> Vec<f32> {
    let node = trainer.trained.parameters.layers.iter().position(|l| l.as_ref().is_some_and(|l| l.mask.is_some()));
    gradient.layers[node.unwrap()].as_ref().unwrap().weights.clone()
}

/// The densest level learns from the labels, the others from it too, once the start is reached.
#[test]
fn a_step_distils_from_the_densest_level_into_the_others() {
    let distillation = Distillation { start: 0.5, mix: 0.3, temperature: 2.0 };
    let densest = Level::new(2).unwrap();
    for routing in [Routing::Joint, Routing::Sampled { weights: vec![1.0, 0.0] }] {
        let both = routing == Routing::Joint;
        let config = Config { distillation: Some(distillation), routing, learning_rate: 0.1, ..one_step_an_epoch() };
        let mut trainer = Trainer::new(network(), config).unwrap();
        // Of two steps the first comes before the start, the second at it.
        for distils in [false, true] {
            let (of_labels, dense_gradient, teacher) = loss_of(&trainer, densest, None);
            let teacher = distils.then_some((distillation, &teacher[..]));
            let (sparse, sparse_gradient, _) = loss_of(&trainer, Level::FIRST, teacher);
            let (before, rings) = nested_weights(&trainer);
            let gradients = [&sparse_gradient, &dense_gradient].map(|gradient| nested_gradient(&trainer, gradient));

            let report = trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
            let expected = if both { (of_labels + sparse) / 2.0 } else { sparse };
            assert!((report.loss - expected).abs() < 1e-6, "{distils}: {} for {expected}", report.loss);
            let rate = trainer.descent(if distils { 0.5 } else { 0.0 }).learning_rate;
            let (after, _) = nested_weights(&trainer);
            for (index, (after, before)) in after.iter().zip(&before).enumerate() {
                let sum = gradients[0][index] + if both { gradients[1][index] } else { 0.0 };
                let moved = before - if rings[index] == 0 { 0.0 } else { rate * sum };
                assert!((after - moved).abs() < 1e-6, "{index}: {after} for {moved}");
            }
        }
    }
}

#[test]
fn a_smoothed_loss_is_its_formula() {
    let config = Config { label_smoothing: 0.2, ladder: Ladder::dense(), ..one_step_an_epoch() };
    let mut trainer = Trainer::new(network(), config).unwrap();
    let (_, _, logits) = loss_of(&trainer, Level::FIRST, None);
    let (_, labels) = passes_of(&trainer);
    // A fifth of the probability is spread over the four classes.
    let of_image = |(logits, &label): (&[f32], &u8)| {
        let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        let log = |class: usize| f64::from(logits[class]) - total.ln();
        let target = |class: usize| if class == usize::from(label) { 0.85 } else { 0.05 };
        -(0..4).map(|class| target(class) * log(class)).sum::<f64>()
    };
    let expected = logits.chunks_exact(4).zip(&labels).map(of_image).sum::<f64>() / labels.len() as f64;
    let found = trainer.train_epoch(&dataset(), &mut |_| {}).unwrap().loss;
    assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
}

#[test]
fn a_step_descends_at_the_schedules_rate() {
    let config = Config { epochs: 4, warm_up: 0.5, ladder: Ladder::dense(), ..one_step_an_epoch() };
    let mut trainer = Trainer::new(network(), config).unwrap();
    let weights = |trainer: &Trainer| -> Vec<f32> {
        trainer.trained.parameters.layers.iter().flatten().flat_map(|layer| layer.weights.iter().copied()).collect()
    };
    // It rises over the first half; then the cosine falls, which is a half at its middle.
    for share in [0.0, 0.5, 1.0, 0.5] {
        let before = weights(&trainer);
        trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
        let gradient: Vec<f32> = trainer.gradient.layers.iter().flatten().flat_map(|l| l.weights.clone()).collect();
        assert!(gradient.iter().filter(|slope| **slope != 0.0).count() > gradient.len() / 2);
        for ((before, after), slope) in before.iter().zip(weights(&trainer)).zip(gradient) {
            assert_eq!(after, before - (0.4 * share) as f32 * slope);
        }
    }
}

#[test]
fn levels_share_gamma_and_beta_where_ring_1_learns_from_all_that_are_trained() {
    let weighted =
        |first: [f64; 2]| Routing::Weighted(RoutingMatrix::new(2, vec![first[0], first[1], 0.0, 1.0]).unwrap());
    let shares = |config: Config| config.shares_affine();
    for routing in [
        Routing::Joint,
        Routing::Normalised,
        Routing::default(),
        Routing::Sampled { weights: vec![0.0, 1.0] },
        Routing::Anchored { weights: Vec::new() },
        Routing::Staged { until: 0.0 },
        weighted([1.0, 0.5]),
    ] {
        assert!(shares(Config { routing: routing.clone(), ..config() }), "{routing:?}");
        assert!(!shares(Config { routing: routing.clone(), shared_affine: false, ..config() }), "{routing:?}");
        assert!(!shares(Config { routing, masking: Masking::Slimmable, ..config() }));
    }
    for routing in [Routing::Ring, Routing::Frozen, Routing::Staged { until: 0.5 }, weighted([1.0, 0.0])] {
        assert!(!shares(Config { routing: routing.clone(), ..config() }), "{routing:?}");
    }
    assert!(!shares(Config { ladder: Ladder::new([0.5]).unwrap(), ..config() }));
}

#[test]
fn settings_that_take_each_others_effect_are_refused() {
    let ramp = Ramp { start: 0.0, end: 0.0 };
    for masking in [Masking::StraightThrough, Masking::Dsnn] {
        for routing in [Routing::Frozen, Routing::Staged { until: 0.5 }, Routing::Ring] {
            let config = Config { masking, routing, ramp, ..config() };
            assert!(matches!(config.check(), Err(TrainError::Combination { .. })), "{config:?}");
            assert_eq!(Config { masking: Masking::Nested, ..config.clone() }.check(), Ok(()));
            assert_eq!(Config { ladder: Ladder::new([0.5]).unwrap(), ..config }.check(), Ok(()));
        }
        for routing in [Routing::Joint, Routing::default(), Routing::Staged { until: 0.0 }] {
            assert_eq!(Config { masking, routing, ..config() }.check(), Ok(()));
        }
    }
    let regrowth = Some(Regrowth { until: 0.5, share: 0.2 });
    let distillation = Some(Distillation { start: 0.5, mix: 0.5, temperature: 2.0 });
    let quarter = Config { ramp: Ramp { start: 0.0, end: 0.25 }, ..config() };
    let (allocation, saliency) = (Allocation::GlobalPerInstruction, Saliency::FirstOrder);
    let (dense, single) = (Ladder::dense(), Ladder::new([0.5]).unwrap());
    // Straight through the mask, the first row is of all weights.
    let weighted = |coefficients: &[f64]| {
        let matrix = RoutingMatrix::new(2, coefficients.to_vec()).unwrap();
        Config { masking: Masking::StraightThrough, routing: Routing::Weighted(matrix), ..config() }
    };
    let one_level = Routing::Weighted(RoutingMatrix::new(1, vec![1.0]).unwrap());
    // What is refused, and the nearest that is not.
    let pairs = [
        (Config { regrowth, ..config() }, Config { regrowth, ..quarter.clone() }),
        (Config { regrowth, masking: Masking::StraightThrough, ..quarter.clone() }, quarter.clone()),
        (Config { regrowth, masking: Masking::Dsnn, ..quarter.clone() }, quarter.clone()),
        (Config { regrowth, masking: Masking::Slimmable, ..quarter.clone() }, quarter.clone()),
        (
            Config { regrowth, ladder: dense.clone(), ..quarter.clone() },
            Config { regrowth, ladder: single.clone(), ..quarter.clone() },
        ),
        (Config { allocation, ..config() }, Config { allocation, saliency, ..config() }),
        (Config { saliency, masking: Masking::Dsnn, ..config() }, Config { saliency, ..config() }),
        (Config { saliency, masking: Masking::StraightThrough, ..config() }, Config { saliency, ..config() }),
        (
            Config { saliency, masking: Masking::Slimmable, ..config() },
            Config { allocation, masking: Masking::Slimmable, ..config() },
        ),
        (Config { distillation, ladder: single.clone(), ..config() }, Config { distillation, ..config() }),
        (Config { saliency, regrowth, ..quarter.clone() }, Config { saliency, ..quarter.clone() }),
        (
            Config { int8_from: 0.9, masking: Masking::Slimmable, ..config() },
            Config { int8_from: 1.0, masking: Masking::Slimmable, ..config() },
        ),
        (weighted(&[1.0, 0.0, 0.0, 1.0]), weighted(&[1.0, 0.1, 0.0, 0.0])),
        (weighted(&[0.0, 0.0, 5.0, 1.0]), Config { masking: Masking::Nested, ..weighted(&[0.0, 0.0, 5.0, 1.0]) }),
        (weighted(&[1.0, 0.0, 0.0, 1.0]), Config { ladder: single, routing: one_level, ..weighted(&[1.0; 4]) }),
        (Config { distillation, ladder: dense.clone(), ..config() }, Config { allocation, ladder: dense, ..config() }),
    ];
    for (refused, near) in pairs {
        assert!(matches!(refused.check(), Err(TrainError::Combination { .. })), "{refused:?}");
        assert_eq!(near.check(), Ok(()), "{near:?}");
    }
    let detector = crate::nn::ssd_mobilenet_v2(TensorShape { channels: 1, height: 32, width: 32 }, 0.125, 1).unwrap();
    match Trainer::new(detector, Config { label_smoothing: 0.1, ..config() }) {
        Err(TrainError::Config { what, value, .. }) => assert_eq!((what, value), ("label_smoothing", 0.1)),
        other => panic!("{:?}", other.map(|_| ())),
    }
    let zoomed = Augmentation { zoom: 10, ..Augmentation::default() };
    match Trainer::new(network(), Config { augmentation: zoomed, ..config() }) {
        Err(TrainError::Config { what, value, .. }) => assert_eq!((what, value), ("augmentation.zoom", 10.0)),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

/// Newcomers join the densest support, so its gradient chooses them, also in a step that uses another level alone.
#[test]
fn regrowth_goes_by_the_densest_levels_gradient_whatever_the_step_used() {
    let gradient = |weights: [f64; 2], regrowth: bool| {
        let regrowth = regrowth.then_some(Regrowth { until: 1.0, share: 0.3 });
        let routing = Routing::Sampled { weights: weights.to_vec() };
        let ramp = Ramp { start: 0.0, end: 0.0 };
        let one_step = Config { batch: dataset().len(), epochs: 1, ramp, routing, regrowth, ..config() };
        let mut trainer = Trainer::new(network(), one_step).unwrap();
        trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
        trainer.gradient.clone()
    };
    let densest = gradient([0.0, 1.0], true);
    assert_eq!(gradient([1.0, 0.0], true), densest);
    assert_ne!(gradient([1.0, 0.0], false), densest);
}

/// What such a row's normalisation makes of a gradient would send all newcomers there.
#[test]
fn regrowth_brings_nothing_into_a_row_that_no_level_uses() {
    let regrowth = Some(Regrowth { until: 1.0, share: 0.3 });
    let ramp = Ramp { start: 0.0, end: 0.0 };
    let one_step = Config { batch: dataset().len(), epochs: 1, ramp, regrowth, ..config() };
    let mut parameters = Parameters::<f32>::random(&network(), one_step.ladder.levels(), 1);
    for layer in parameters.layers.iter_mut().flatten() {
        layer.weights.row_mut(0).mapv_inplace(|weight| weight * 1e-6);
    }
    let mut trainer = Trainer::from_parameters(network(), parameters, one_step).unwrap();
    let masks = |trainer: &Trainer| -> Vec<NestedMask<ndarray::Ix2>> {
        trainer.trained.parameters.layers.iter().flatten().filter_map(|layer| layer.mask.clone()).collect()
    };
    let before = masks(&trainer);
    trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();
    let mut rows = 0;
    for (before, after) in before.iter().zip(&masks(&trainer)) {
        if before.rings().row(0).iter().all(|&ring| ring == 0) {
            assert!(after.rings().row(0).iter().all(|&ring| ring == 0));
            assert_ne!(before, after);
            rows += 1;
        }
    }
    assert!(rows > 0);
}

#[test]
fn a_level_scores_the_weights_that_it_uses_and_others_keep_what_they_had() {
    let config = Config { saliency: Saliency::FirstOrder, ..config() };
    let mut trainer = Trainer::new(network(), config).unwrap();
    trainer.rank(1.0).unwrap();
    for gradient in trainer.gradient.layers.iter_mut().flatten() {
        gradient.weights.fill(1.0);
    }
    let mut before = trainer.saliency.clone();
    for (level, unseen) in [(Level::FIRST, 2), (Level::new(2).unwrap(), 0)] {
        trainer.remember_saliency(level);
        let layers = trainer.trained.parameters.layers.iter().flatten().filter(|layer| layer.mask.is_some());
        let scores = trainer.saliency.iter().flatten().zip(before.iter().flatten());
        let mut kept = 0;
        for (layer, (scores, before)) in layers.zip(scores) {
            let rings = layer.mask.as_ref().unwrap().rings().iter();
            for (((ring, weight), score), before) in rings.zip(&layer.weights).zip(scores).zip(before) {
                if *ring == 0 || *ring == unseen {
                    assert_eq!(score, before);
                    kept += 1;
                } else {
                    // A first score is taken whole, and means of equal ones stay, but for rounding.
                    assert!((score - weight * weight).abs() <= 1e-6 * score, "{score} of {weight}");
                }
            }
        }
        assert!(kept > 0);
        before = trainer.saliency.clone();
    }
}

/// A layer's place in the network.
fn place(network: &Network, layer: &str) -> usize {
    network.nodes().iter().position(|node| node.name == layer).unwrap()
}

/// Activations and the bound on γ make numbers of what is none, so that the loss stays finite.
#[test]
fn what_is_not_finite_names_its_own_layer_and_step() {
    // Without a warm-up, which would begin with a rate of 0: 0 · ∞ is not a number, −∞ is below the least γ.
    let dense = Config { ladder: Ladder::dense(), epochs: 1, warm_up: 0.0, ..config() };
    let broken = |layer: &str, config: &Config, plant: &dyn Fn(&mut Layer<f32>, &mut Velocity)| {
        let mut trainer = Trainer::new(network(), config.clone()).unwrap();
        let node = place(&network(), layer);
        let parameters = trainer.trained.parameters.layers[node].as_mut().unwrap();
        plant(parameters, trainer.optimizer.layers[node].as_mut().unwrap());
        match trainer.train_epoch(&dataset(), &mut |_| {}) {
            Err(TrainError::NotFinite { layer, epoch: 1, step, .. }) => (layer, step),
            other => panic!("{other:?}"),
        }
    };
    // The second convolution of a stack has no activation, the first has one.
    for layer in ["conv1", "stack1.conv1", "stack2.conv2"] {
        let of_layer = |plant: &dyn Fn(&mut Layer<f32>, &mut Velocity)| broken(layer, &dense, plant);
        assert_eq!(of_layer(&|layer, _| layer.weights[(0, 0)] = f32::NAN), (layer.to_owned(), 1));
        assert_eq!(of_layer(&|layer, _| layer.weights[(0, 0)] = 1e30), (layer.to_owned(), 1));
        assert_eq!(of_layer(&|layer, _| layer.norms[0].scale[0] = f32::NAN), (layer.to_owned(), 1));
        // The descent of step 1 breaks the weight or γ, so step 2 is the first that meets it.
        assert_eq!(of_layer(&|_, velocity| velocity.weights[0] = f32::NAN), (layer.to_owned(), 2));
        assert_eq!(of_layer(&|_, velocity| velocity.norms[0][0][0] = f32::NAN), (layer.to_owned(), 2));
        // An infinite one makes the least γ of each γ, step after step: the end of the epoch, of four steps, tells.
        assert_eq!(of_layer(&|_, velocity| velocity.norms[0][0][0] = f32::INFINITY), (layer.to_owned(), 4));
    }
    // Weights that are ranked before each step are met there.
    let ranked = Config { rank_every: 1, ..config() };
    let of_layer = broken("stack1.conv1", &ranked, &|_, velocity| velocity.weights[0] = f32::NAN);
    assert_eq!(of_layer, ("stack1.conv1".to_owned(), 2));
}

/// A bias has no normalisation that would show what its activation hides.
#[test]
fn a_bias_that_is_no_number_names_its_layer() {
    let mut b = NetworkBuilder::new(SHAPE);
    let finish = Finish::BIAS.then(Activation::Relu);
    let x = b.convolution("first", b.input(), Window::square(3, 1, 1), 3, finish).unwrap();
    let x = b.convolution("second", x, Window::square(3, 1, 1), 3, finish).unwrap();
    let x = b.max_pool("greatest", x, Window::square(6, 1, 0)).unwrap();
    b.fully_connected("logits", x, 4).unwrap();
    let network = b.finish().unwrap();
    let plants: [fn(&mut Layer<f32>); 2] = [|layer| layer.bias[0] = f32::NAN, |layer| layer.weights[(0, 0)] = f32::NAN];
    for plant in plants {
        let mut trainer = Trainer::new(network.clone(), Config { ladder: Ladder::dense(), ..config() }).unwrap();
        plant(trainer.trained.parameters.layers[1].as_mut().unwrap());
        match trainer.train_epoch(&dataset(), &mut |_| {}) {
            Err(TrainError::NotFinite { layer, step: 1, .. }) => assert_eq!(layer, "second"),
            other => panic!("{other:?}"),
        }
    }
}

/// What the network makes of the first images at a level, with its running statistics.
fn logits(trained: &Trained, level: Level) -> Vec<f32> {
    let mut passes = Passes::new(&trained.network, 16);
    load(&mut passes, trained.normalization, &dataset(), &(0..16).collect::<Vec<_>>());
    passes.prepare(&trained.parameters, level);
    passes.forward(&trained.parameters, Statistics::Running);
    passes.all_logits()
}

/// Checkpoints of other tools have them; the bound that training keeps would destroy them.
#[test]
fn negative_scales_change_their_sign_with_their_rows_and_the_output_stays() {
    // Masks of the weights as they are, which are those that a start from them makes anew.
    let still = Config { ramp: Ramp { start: 0.0, end: 0.0 }, ..config() };
    let ranked = Trainer::from_trained(run(Trainer::new(network(), config()).unwrap()), still.clone()).unwrap();
    let mut given = ranked.trained().clone();
    for layer in given.parameters.layers.iter_mut().flatten() {
        for norm in &mut layer.norms {
            norm.scale.iter_mut().step_by(2).for_each(|scale| *scale *= -1.0);
        }
    }
    let mut trainer = Trainer::from_trained(given.clone(), still.clone()).unwrap();
    for level in given.levels().up_to() {
        let before = logits(&given, level);
        assert_eq!(logits(trainer.trained(), level), before);
        assert!(before.iter().any(|&logit| logit != before[0]));
    }
    let norms = |trained: &Trained| trained.parameters.layers.iter().flatten().flat_map(|l| l.norms.clone()).collect();
    let (olds, news): (Vec<_>, Vec<_>) = (norms(&given), norms(trainer.trained()));
    for (norm, new) in olds.iter().zip(&news) {
        assert!(norm.scale.iter().zip(&new.scale).all(|(old, new)| old.abs() == *new && *new > 0.0));
        assert_eq!((&norm.shift, &norm.variance), (&new.shift, &new.variance));
    }
    trainer.train_epoch(&dataset(), &mut |_| {}).unwrap();

    let node = place(&network(), "stack2.conv1");
    given.parameters.layers[node].as_mut().unwrap().norms[0].scale[1] *= -1.0;
    let error = Trainer::from_trained(given, still).map(|_| ());
    let mixed = ParametersError::Signs { node: "stack2.conv1".to_owned(), row: 1 };
    assert_eq!(error, Err(TrainError::Parameters(mixed)));
}

#[test]
fn a_ladder_for_a_network_without_sparse_layers_is_refused() {
    let mut b = NetworkBuilder::new(SHAPE);
    b.fully_connected("logits", b.input(), 4).unwrap();
    let network = b.finish().unwrap();
    let with = |ladder: Ladder| Trainer::new(network.clone(), Config { ladder, ..config() });
    for sparsities in [&[0.5][..], &[0.5, 0.0]] {
        let ladder = Ladder::new(sparsities).unwrap();
        assert_eq!(with(ladder.clone()).map(|_| ()), Err(TrainError::NothingSparse));
        let dense = with(Ladder::dense()).unwrap();
        let pruned = dense.trained().pruned(Level::FIRST, &ladder, Allocation::Uniform, Block::OneByOne);
        assert_eq!(pruned, Err(TrainError::NothingSparse));
    }
}

#[test]
fn passes_that_regrowth_makes_are_counted() {
    let ramp = Ramp { start: 0.0, end: 0.0 };
    let passes = |until: Option<f64>| {
        let regrowth = until.map(|until| Regrowth { until, share: 0.2 });
        let mut trainer = Trainer::new(network(), Config { regrowth, ramp, rank_every: 1, ..config() }).unwrap();
        trainer.train_epoch(&dataset(), &mut |_| {}).unwrap().passes
    };
    // Two epochs of four steps: supports change before three of the first four, or before all.
    assert_eq!([None, Some(3.0 / 8.0), Some(1.0)].map(passes), [64, 64 + 48, 64 + 64]);
}
