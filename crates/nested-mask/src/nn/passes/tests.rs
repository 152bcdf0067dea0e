//! Every gradient against the slopes of the loss, in double precision.
use super::*;
use crate::nn::{Activation, Finish, NetworkBuilder};
use crate::{Block, Ladder, NestedMask, Routing, RoutingMatrix};
use nested_csr::{Padding, Window};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const IMAGES: usize = 5;
const CLASSES: usize = 3;

fn shape(channels: usize, height: usize, width: usize) -> TensorShape {
    TensorShape { channels, height, width }
}

/// A network around one operation, closed by a pool and a fully connected layer.
fn network(input: TensorShape, build: impl Fn(&mut NetworkBuilder, TensorId) -> TensorId) -> Network {
    // Of the variances' size, so that a pass that took another would be seen.
    let mut b = NetworkBuilder::new(input).with_epsilon(0.1).unwrap();
    let x = b.input();
    // A layer before, so that the operation has an input gradient.
    let x = b.convolution("before", x, Window::square(3, 1, 1), 6, Finish::NORM).unwrap();
    let x = build(&mut b, x);
    let x = b.global_average_pool("pool", x).unwrap();
    b.fully_connected("logits", x, CLASSES).unwrap();
    b.finish().unwrap()
}

/// Random parameters with random normalisations, and nested masks of two levels on the sparse layers.
fn parameters(network: &Network, ladder: &Ladder, block: Block) -> Parameters<f64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut parameters = Parameters::random(network, ladder.levels(), 11);
    for (node, layer) in parameters.layers.iter_mut().enumerate() {
        let Some(layer) = layer else { continue };
        if network.finish(node).unwrap().sparse {
            layer.mask = Some(NestedMask::by_magnitude(layer.weights.view(), ladder, block).unwrap());
        }
        for value in layer.norms.iter_mut().flat_map(|n| n.scale.iter_mut().chain(&mut n.shift)) {
            *value += random.random_range(-0.3..0.3);
        }
        layer.bias.iter_mut().for_each(|value| *value = random.random_range(-0.3..0.3));
        let mut random = Xoshiro256PlusPlus::seed_from_u64(node as u64);
        for norm in &mut layer.norms {
            norm.mean.iter_mut().for_each(|value| *value = random.random_range(-0.3..0.3));
            norm.variance.iter_mut().for_each(|value| *value = random.random_range(0.5..1.5));
        }
    }
    parameters
}

struct Check {
    passes: Passes<f64>,
    labels: Vec<u8>,
    level: Level,
    statistics: Statistics,
}

impl Check {
    fn new(network: &Network, level: Level) -> Check {
        Check::of(network, level, IMAGES)
    }

    fn of(network: &Network, level: Level, images: usize) -> Check {
        let mut passes = Passes::new(network, images);
        passes.load(images, |image, pixels| {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(image as u64);
            pixels.iter_mut().for_each(|pixel| *pixel = random.random_range(-1.0..1.0));
        });
        let labels = (0..images).map(|image| (image % CLASSES) as u8).collect();
        Check { passes, labels, level, statistics: Statistics::Batch }
    }

    fn loss(&mut self, parameters: &Parameters<f64>) -> f64 {
        self.passes.prepare(parameters, self.level);
        self.passes.forward(parameters, self.statistics);
        let target = |image: usize, class| f64::from(usize::from(self.labels[image]) == class) * 0.9 + 0.1 / 3.0;
        self.passes.cross_entropy(&self.labels, target).mean
    }

    /// The slope of the loss in one value of the parameters.
    fn slope(&mut self, parameters: &mut Parameters<f64>, value: impl Fn(&mut Parameters<f64>) -> &mut f64) -> f64 {
        const STEP: f64 = 1e-6;
        let before = *value(parameters);
        *value(parameters) = before + STEP;
        let above = self.loss(parameters);
        *value(parameters) = before - STEP;
        let below = self.loss(parameters);
        *value(parameters) = before;
        (above - below) / (2.0 * STEP)
    }
}

/// Every gradient of every layer against finite differences, at each of two levels.
fn check(network: &Network, block: Block) {
    check_with(network, block, Statistics::Batch);
}

fn check_with(network: &Network, block: Block, statistics: Statistics) {
    let ladder = Ladder::new([0.7, 0.3]).unwrap();
    check_slopes(network, &ladder, parameters(network, &ladder, block), statistics);
}

fn check_slopes(network: &Network, ladder: &Ladder, p: Parameters<f64>, statistics: Statistics) {
    check_slopes_of(network, ladder, p, statistics, IMAGES);
}

fn check_slopes_of(network: &Network, ladder: &Ladder, mut p: Parameters<f64>, statistics: Statistics, images: usize) {
    for level in ladder.levels().up_to() {
        let mut check = Check { statistics, ..Check::of(network, level, images) };
        let mut gradient = Gradient::zeros(&p);
        check.loss(&p);
        check.passes.backward(&p, &mut gradient);
        for node in 0..network.nodes().len() {
            let Some(of_layer) = &gradient.layers[node] else { continue };
            let name = &network.nodes()[node].name;
            let close = |found: f64, slope: f64, what: &str, index: usize| {
                let error = (found - slope).abs();
                assert!(error < 1e-7 + 1e-5 * slope.abs(), "{name} {what}[{index}]: {found} against {slope}");
            };
            for index in 0..of_layer.weights.len() {
                let slope = check
                    .slope(&mut p, |p| &mut p.layers[node].as_mut().unwrap().weights.as_slice_mut().unwrap()[index]);
                close(of_layer.weights[index], slope, "weight", index);
            }
            for index in 0..of_layer.bias.len() {
                let slope = check.slope(&mut p, |p| &mut p.layers[node].as_mut().unwrap().bias[index]);
                close(of_layer.bias[index], slope, "bias", index);
            }
            for index in 0..of_layer.scale.len() {
                let norm = level.number() - 1;
                let slope = check.slope(&mut p, |p| &mut p.layers[node].as_mut().unwrap().norms[norm].scale[index]);
                close(of_layer.scale[index], slope, "scale", index);
                let slope = check.slope(&mut p, |p| &mut p.layers[node].as_mut().unwrap().norms[norm].shift[index]);
                close(of_layer.shift[index], slope, "shift", index);
            }
        }
    }
}

/// Images go in groups of a vector's lanes, groups in chunks for the threads: here several a chunk on every machine, and the last
/// chunk and group not whole.
#[test]
fn gradients_of_a_batch_of_many_groups_are_the_losses_slopes() {
    const MANY: usize = 70;
    let network = network(shape(1, 3, 4), |b, x| {
        let finish = Finish::NORM.then(Activation::Relu6);
        let y = b.depthwise("depthwise", x, Window::square(3, 1, 1), finish).unwrap();
        let z = b.convolution("sparse", y, Window::square(3, 1, 1), 6, finish.sparse()).unwrap();
        let sum = b.add("sum", x, z, Activation::Relu).unwrap();
        b.max_pool("pooled", sum, Window::square(2, 1, 0)).unwrap()
    });
    let plan = Plan::new(Arch::new(), lanes::<f64>(Arch::new()), MANY);
    assert!(plan.groups > plan.chunks() && !MANY.is_multiple_of(plan.lanes));
    let ladder = Ladder::new([0.7, 0.3]).unwrap();
    check_slopes_of(&network, &ladder, parameters(&network, &ladder, Block::OneByOne), Statistics::Batch, MANY);
}

#[test]
fn gradients_of_a_concatenation_are_the_losses_slopes() {
    let finish = Finish::NORM.then(Activation::Relu);
    let network = network(shape(1, 3, 4), |b, x| {
        let y = b.convolution("other", x, Window::square(3, 2, 1), 2, finish).unwrap();
        let both = b.concatenation("both", y, x).unwrap();
        let z = b.convolution("third", x, Window::square(1, 1, 0), 2, finish.sparse()).unwrap();
        let three = b.concatenation("three", both, z).unwrap();
        b.convolution("after", three, Window::square(3, 1, 1), 3, Finish::NORM).unwrap()
    });
    check(&network, Block::OneByOne);
}

#[test]
fn a_seeded_losss_gradients_are_its_slopes() {
    let image = shape(1, 17, 15);
    let network = crate::nn::ssd_mobilenet_v2(image, 0.0625, 2).unwrap();
    let ladder = Ladder::new([0.5]).unwrap();
    let mut p = parameters(&network, &ladder, Block::OneByOne);
    let anchors: Vec<_> = network.anchors().unwrap().iter().collect();
    let frame = crate::detect::Frame { top: 0.1, left: 0.2, bottom: 0.6, right: 0.8 };
    let found = crate::detect::matches(&anchors, &[crate::detect::Object { class: 1, frame, difficult: false }]);
    let loss = |check: &mut Check, p: &Parameters<f64>| {
        check.loss(p);
        check.passes.seed(|image, values, gradient| {
            let nothing = crate::detect::Matching::default();
            let found = if image == 1 { &nothing } else { &found };
            crate::detect::image_loss(&anchors, 2, found, 0.5, None, values, gradient)
        })
    };
    let mut check = Check::new(&network, Level::FIRST);
    let mut gradient = Gradient::zeros(&p);
    loss(&mut check, &p);
    check.passes.backward(&p, &mut gradient);
    let mut checked = 0;
    for node in 0..network.nodes().len() {
        let Some(of_layer) = gradient.layers[node].clone() else { continue };
        for (index, found) in of_layer.weights.into_iter().enumerate().step_by(7) {
            let mut at = |step: f64| {
                p.layers[node].as_mut().unwrap().weights.as_slice_mut().unwrap()[index] += step;
                loss(&mut check, &p)
            };
            let above = at(1e-6);
            let below = at(-2e-6);
            at(1e-6);
            let slope = (above - below) / 2e-6;
            assert!((found - slope).abs() < 1e-6 + 1e-4 * slope.abs(), "{node} {index}: {found} {slope}");
            checked += usize::from(slope != 0.0);
        }
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn distillations_gradients_are_the_losses_slopes() {
    let finish = Finish::NORM.then(Activation::Relu);
    let network = network(shape(1, 5, 6), |b, x| b.convolution("it", x, Window::square(3, 2, 1), 5, finish).unwrap());
    let mut p = parameters(&network, &Ladder::dense(), Block::OneByOne);
    let teacher: Vec<f64> = (0..IMAGES * CLASSES).map(|i| f64::from(i as u8 % 7) / 2.0 - 1.0).collect();
    for (mix, temperature) in [(1.0, 1.0), (0.3, 1.0), (0.6, 2.5)] {
        let loss = |check: &mut Check, p: &Parameters<f64>| {
            let mean = check.loss(p);
            check.passes.distil(Loss { mean, right: 0 }, &teacher, mix, temperature).mean
        };
        let mut check = Check::new(&network, Level::FIRST);
        let mut gradient = Gradient::zeros(&p);
        loss(&mut check, &p);
        check.passes.backward(&p, &mut gradient);
        for node in [0, 1, 3] {
            let found = gradient.layers[node].clone().unwrap().weights;
            for (index, found) in found.into_iter().enumerate().step_by(3) {
                let mut at = |step: f64| {
                    let layer = p.layers[node].as_mut().unwrap();
                    layer.weights.as_slice_mut().unwrap()[index] += step;
                    loss(&mut check, &p)
                };
                let above = at(1e-6);
                let below = at(-2e-6);
                at(1e-6);
                let slope = (above - below) / 2e-6;
                assert!((found - slope).abs() < 1e-7 + 1e-5 * slope.abs(), "{node} {index}: {found} {slope}");
            }
        }
    }
}

/// What each routing gives a weight is the slope, in that weight, of the levels' losses weighted as its matrix says.
#[test]
fn routed_gradients_are_the_slopes_of_the_weighted_losses() {
    let ladder = Ladder::new([0.7, 0.5, 0.2]).unwrap();
    let finish = Finish::NORM.then(Activation::Relu).sparse();
    let network = network(shape(1, 5, 4), |b, x| b.convolution("it", x, Window::square(3, 2, 1), 4, finish).unwrap());
    let mut p = parameters(&network, &ladder, Block::OneByOne);
    let (mut gradients, mut slopes) = (Vec::new(), Vec::new());
    for level in ladder.levels().up_to() {
        let mut check = Check::new(&network, level);
        let mut gradient = Gradient::zeros(&p);
        check.loss(&p);
        check.passes.backward(&p, &mut gradient);
        let found = gradient.layers[1].clone().unwrap().weights;
        let mut slope = |index: usize| {
            check.slope(&mut p, |p| &mut p.layers[1].as_mut().unwrap().weights.as_slice_mut().unwrap()[index])
        };
        slopes.push((0..found.len()).map(&mut slope).collect::<Vec<f64>>());
        gradients.push(ndarray::Array2::from_shape_vec(p.layers[1].as_ref().unwrap().weights.dim(), found).unwrap());
    }
    let mask = p.layers[1].as_ref().unwrap().mask.clone().unwrap();
    let matrix = RoutingMatrix::new(3, vec![0.3, -1.0, 2.0, 7.0, 0.1, 0.4, 7.0, 7.0, 1.5]).unwrap();
    let routings = [
        Routing::Joint,
        Routing::Normalised,
        Routing::Ring,
        Routing::Frozen,
        Routing::Staged { until: 0.5 },
        Routing::Sampled { weights: vec![1.0, 2.0, 3.0] },
        Routing::Anchored { weights: Vec::new() },
        Routing::Weighted(matrix),
    ];
    let views: Vec<_> = gradients.iter().map(|gradient| gradient.view()).collect();
    for routing in routings {
        let coefficients = routing.matrix(3).unwrap();
        let routed = routing.route(&views, &mask).unwrap();
        for ((index, &found), &ring) in routed.iter().enumerate().zip(mask.rings()) {
            let of_level = |level: usize| coefficients.coefficient(ring.into(), level) * slopes[level - 1][index];
            let slope: f64 = (1..=3).map(of_level).sum();
            assert!((found - slope).abs() < 1e-7 + 1e-5 * slope.abs(), "{routing:?} {index}: {found} {slope}");
        }
    }
}

#[test]
fn the_memory_order_of_weights_and_rings_does_not_matter() {
    let ladder = Ladder::new([0.7, 0.3]).unwrap();
    let finish = Finish::NORM.then(Activation::Relu).sparse();
    let network = network(shape(1, 5, 6), |b, x| b.convolution("it", x, Window::square(3, 2, 1), 5, finish).unwrap());
    let rows = parameters(&network, &ladder, Block::OneByOne);
    let mut columns = rows.clone();
    for layer in columns.layers.iter_mut().flatten() {
        layer.weights = layer.weights.t().as_standard_layout().into_owned().reversed_axes();
        if let Some(mask) = &layer.mask {
            let rings = mask.rings().t().as_standard_layout().into_owned().reversed_axes();
            layer.mask = Some(NestedMask::from_rings(rings, ladder.levels(), Block::OneByOne).unwrap());
        }
    }
    assert_eq!(columns.layers[1].as_ref().unwrap().weights.as_slice(), None);
    assert_eq!(columns.check(&network, ladder.levels()), Ok(()));
    for level in ladder.levels().up_to() {
        let [of_rows, of_columns] = [&rows, &columns].map(|p| {
            let (mut check, mut gradient) = (Check::new(&network, level), Gradient::zeros(p));
            let loss = check.loss(p);
            check.passes.backward(p, &mut gradient);
            (loss, gradient)
        });
        assert_eq!(of_rows, of_columns);
    }
}

/// The gradient of a weight outside the support is the loss's slope where it stands in it with value 0.
#[test]
fn gradients_straight_through_the_mask_are_the_slopes_at_zero() {
    let ladder = Ladder::new([0.6, 0.3]).unwrap();
    let finish = Finish::NORM.then(Activation::Relu).sparse();
    let network = network(shape(1, 5, 6), |b, x| b.convolution("it", x, Window::square(3, 2, 1), 5, finish).unwrap());
    let p = parameters(&network, &ladder, Block::OneByOne);
    let mut check = Check::new(&network, Level::FIRST);
    let mut gradient = Gradient::zeros(&p);
    check.loss(&p);
    check.passes.prepare_for(&p, Level::FIRST, Learning::All);
    check.passes.backward(&p, &mut gradient);
    let found = gradient.layers[1].clone().unwrap().weights;
    let rings: Vec<u8> = p.layers[1].as_ref().unwrap().mask.as_ref().unwrap().rings().iter().copied().collect();
    for index in 0..found.len() {
        let mut with = p.clone();
        let layer = with.layers[1].as_mut().unwrap();
        let mut wider = rings.clone();
        if wider[index] != 1 {
            wider[index] = 1;
            layer.weights.as_slice_mut().unwrap()[index] = 0.0;
        }
        let wider = ndarray::Array2::from_shape_vec(layer.weights.dim(), wider).unwrap();
        layer.mask = Some(NestedMask::from_rings(wider, ladder.levels(), Block::OneByOne).unwrap());
        let slope =
            check.slope(&mut with, |p| &mut p.layers[1].as_mut().unwrap().weights.as_slice_mut().unwrap()[index]);
        assert!((found[index] - slope).abs() < 1e-7 + 1e-5 * slope.abs(), "{index}: {} {slope}", found[index]);
    }
    assert!(rings.contains(&0) && rings.contains(&2));
}

#[test]
fn a_convolutions_gradients_are_the_losses_slopes() {
    let uneven = Window { kernel: [3, 2], stride: 2, padding: Padding { top: 1, left: 0, bottom: 2, right: 1 } };
    let cases = [
        (Window::square(3, 1, 1), shape(1, 5, 9)),
        (Window::square(3, 2, 1), shape(2, 6, 7)),
        (Window::square(1, 2, 0), shape(1, 5, 5)),
        (Window::square(1, 1, 0), shape(1, 4, 3)),
        (Window::square(4, 3, 2), shape(1, 8, 7)),
        (uneven, shape(1, 5, 6)),
    ];
    for (window, input) in cases {
        for finish in [Finish::NORM.then(Activation::Relu), Finish::BIAS.then(Activation::Relu6), Finish::NORM.sparse()]
        {
            let network = network(input, |b, x| b.convolution("it", x, window, 5, finish).unwrap());
            check(&network, Block::OneByOne);
        }
    }
}

/// Running statistics are constants: no gradient goes through them.
#[test]
fn gradients_under_running_statistics_are_the_losses_slopes() {
    let network = network(shape(2, 5, 6), |b, x| {
        let finish = Finish::NORM.then(Activation::Relu);
        let y = b.convolution("convolution", x, Window::square(3, 1, 1), 5, finish.sparse()).unwrap();
        b.depthwise("depthwise", y, Window::square(3, 2, 1), Finish::NORM).unwrap()
    });
    check_with(&network, Block::OneByOne, Statistics::Running);
}

#[test]
fn a_sparse_1x2_convolutions_gradients_are_the_losses_slopes() {
    let finish = Finish::NORM.then(Activation::Relu).sparse();
    let network = network(shape(1, 6, 5), |b, x| b.convolution("it", x, Window::square(3, 2, 1), 9, finish).unwrap());
    check(&network, Block::OneByTwo);
}

#[test]
fn a_depthwise_convolutions_gradients_are_the_losses_slopes() {
    for window in [Window::square(3, 1, 1), Window::square(3, 2, 1)] {
        for finish in [Finish::NORM.then(Activation::Relu6), Finish::BIAS] {
            let network = network(shape(2, 5, 6), |b, x| b.depthwise("it", x, window, finish).unwrap());
            check(&network, Block::OneByOne);
        }
    }
}

#[test]
fn a_sums_gradients_are_the_losses_slopes() {
    for activation in [Activation::Identity, Activation::Relu, Activation::Relu6] {
        let network = network(shape(1, 5, 4), |b, x| {
            let y = b.convolution("it", x, Window::square(3, 1, 1), 6, Finish::NORM.sparse()).unwrap();
            let z = b.add("add", y, x, activation).unwrap();
            b.add("twice", z, z, Activation::Identity).unwrap()
        });
        check(&network, Block::OneByOne);
    }
}

#[test]
fn a_pools_gradients_are_the_losses_slopes() {
    let windows = [Window::square(2, 2, 0), Window::square(3, 2, 0), Window::square(3, 1, 0)];
    for window in windows {
        check(&network(shape(1, 7, 6), |b, x| b.max_pool("it", x, window).unwrap()), Block::OneByOne);
        check(&network(shape(1, 7, 6), |b, x| b.average_pool("it", x, window).unwrap()), Block::OneByOne);
    }
}

/// Piece by piece a row of a sparse layer's pixels is swept; 14 is the greatest piece, of processors with 32 registers.
#[test]
fn a_wide_sparse_convolutions_gradients_are_the_losses_slopes() {
    let finish = Finish::NORM.then(Activation::Relu).sparse();
    let network = network(shape(1, 2, 14), |b, x| b.convolution("it", x, Window::square(3, 1, 1), 3, finish).unwrap());
    check(&network, Block::OneByOne);
}

/// Outputs that the upper gate holds at 6 pass no gradient on.
#[test]
fn gradients_through_the_upper_gate_are_the_losses_slopes() {
    let relu6 = Activation::Relu6;
    let same = Window::square(3, 1, 1);
    let image = shape(1, 5, 6);
    let networks = [
        network(image, |b, x| b.convolution("it", x, same, 4, Finish::NORM.then(relu6).sparse()).unwrap()),
        network(image, |b, x| b.convolution("it", x, same, 4, Finish::BIAS.then(relu6)).unwrap()),
        network(image, |b, x| b.depthwise("it", x, same, Finish::NORM.then(relu6)).unwrap()),
        network(image, |b, x| {
            let y = b.convolution("y", x, same, 6, Finish::NORM).unwrap();
            b.add("it", x, y, relu6).unwrap()
        }),
    ];
    let ladder = Ladder::new([0.7, 0.3]).unwrap();
    for network in networks {
        let mut p = parameters(&network, &ladder, Block::OneByOne);
        let it = network.nodes().iter().position(|node| node.name == "it").unwrap();
        for layer in p.layers[..=it].iter_mut().flatten() {
            layer.norms.iter_mut().flat_map(|norm| &mut norm.scale).for_each(|scale| *scale *= 5.0);
            layer.bias.iter_mut().for_each(|bias| *bias += 4.0);
        }
        for level in ladder.levels().up_to() {
            let mut check = Check::new(&network, level);
            check.loss(&p);
            let mut outputs = Vec::new();
            check.passes.for_each_value(TensorId(it as u16 + 1), |value| outputs.push(value));
            let at_6 = outputs.iter().filter(|value| **value == 6.0).count();
            let between = outputs.iter().filter(|value| **value > 0.0 && **value < 6.0).count();
            assert!(at_6 > 20 && between > 20, "{at_6} at 6, {between} between");
        }
        check_slopes(&network, &ladder, p, Statistics::Batch);
    }
}

/// What a pass with parameters that are not for it says.
fn panic_of(pass: impl FnOnce(&mut Passes<f64>, &Parameters<f64>)) -> String {
    let finish = Finish::NORM.sparse();
    let network = network(shape(1, 3, 4), |b, x| b.convolution("it", x, Window::square(3, 1, 1), 2, finish).unwrap());
    let p = parameters(&network, &Ladder::new([0.7, 0.3]).unwrap(), Block::OneByOne);
    let mut passes = Passes::new(&network, IMAGES);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pass(&mut passes, &p)));
    let message = done.unwrap_err();
    let literal = message.downcast_ref::<&str>().map(|message| (*message).to_owned());
    literal.or(message.downcast_ref::<String>().cloned()).unwrap()
}

#[test]
fn passes_with_parameters_that_are_not_for_them_say_so() {
    let prefix = |level: usize| format!("passes of level {level} with parameters that are not for it: ");
    let third = panic_of(|passes, p| passes.prepare(p, Level::new(3).unwrap()));
    assert_eq!(third, prefix(3) + "node `before`: 2 normalisations of levels, not 3");
    let of_other = |p: &Parameters<f64>| {
        let mut other = p.clone();
        other.layers[1].as_mut().unwrap().norms[0].shift.pop();
        other
    };
    let message = prefix(1) + "node `it`: 1 values of a normalisation, not 2";
    assert_eq!(panic_of(|passes, p| passes.prepare(&of_other(p), Level::FIRST)), message);
    let forward = panic_of(|passes, p| {
        passes.prepare(p, Level::FIRST);
        passes.forward(&of_other(p), Statistics::Batch);
    });
    assert_eq!(forward, message);
    let backward = |gradient: fn(&Parameters<f64>) -> Gradient<f64>| {
        panic_of(|passes, p| {
            passes.prepare(p, Level::FIRST);
            passes.forward(p, Statistics::Batch);
            passes.backward(p, &mut gradient(p));
        })
    };
    let no_layers: fn(&Parameters<f64>) -> Gradient<f64> = |_| Gradient { layers: Vec::new() };
    let short: fn(&Parameters<f64>) -> Gradient<f64> = |p| {
        let mut gradient = Gradient::zeros(p);
        gradient.layers[1].as_mut().unwrap().scale.pop();
        gradient
    };
    for gradient in [no_layers, short] {
        assert!(backward(gradient).starts_with("a gradient that is not of these parameters"));
    }
}
