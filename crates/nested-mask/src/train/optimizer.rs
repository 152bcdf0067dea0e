//! Gradient descent with momentum, masked: what a step does not train keeps its value and its velocity.
use super::{Config, Masking};
use crate::{
    Descent, NestedMask, RoutingMatrix,
    mask::is_in,
    nn::{Gradient, Layer, LayerGradient, Norm, Parameters},
};
use nested_csr::{Level, MAX_LEVELS};

/// The least γ that training lets a normalisation have.
const LEAST_SCALE: f32 = 0.01;

/// Velocities of all parameters, and the routed sum of the levels' gradients.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Optimizer {
    pub(super) layers: Vec<Option<Velocity>>,
    routed: Gradient<f32>,
    masking: Masking,
    shared_affine: bool,
}

/// Velocities of one layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Velocity {
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// One a level: of γ and β. When levels share these, the densest's is theirs.
    pub(super) norms: Vec<[Vec<f32>; 2]>,
}

impl Velocity {
    /// Whether all are finite numbers.
    pub(super) fn is_finite(&self) -> bool {
        let of_norms = self.norms.iter().flatten().flatten();
        self.weights.iter().chain(&self.bias).chain(of_norms).all(|value| value.is_finite())
    }
}

impl Optimizer {
    pub(super) fn new(parameters: &Parameters<f32>, config: &Config) -> Optimizer {
        let velocity = |layer: &Layer<f32>| Velocity {
            weights: vec![0.0; layer.weights.len()],
            bias: vec![0.0; layer.bias.len()],
            norms: layer.norms.iter().map(|norm| [vec![0.0; norm.scale.len()], vec![0.0; norm.shift.len()]]).collect(),
        };
        Optimizer {
            layers: parameters.layers.iter().map(|layer| layer.as_ref().map(velocity)).collect(),
            routed: Gradient::zeros(parameters),
            masking: config.masking,
            shared_affine: config.shares_affine(),
        }
    }

    /// Forgets the gradients of the last step.
    pub(super) fn start(&mut self) {
        for layer in self.routed.layers.iter_mut().flatten() {
            layer.weights.fill(0.0);
            layer.bias.fill(0.0);
            layer.scale.fill(0.0);
            layer.shift.fill(0.0);
        }
    }

    /// Adds a level's gradient, each ring's share; layers without a mask count as ring 1. Normalisations of the level's own
    /// learn at once, for no other level uses them.
    pub(super) fn add(
        &mut self,
        parameters: &mut Parameters<f32>,
        gradient: &Gradient<f32>,
        routing: &RoutingMatrix,
        level: Level,
        descent: Descent<f32>,
    ) {
        let layers = parameters.layers.iter_mut().zip(&gradient.layers).zip(&mut self.routed.layers);
        for (((layer, gradient), routed), velocity) in layers.zip(&mut self.layers) {
            let (Some(layer), Some(gradient)) = (layer, gradient) else { continue };
            let (Some(routed), Some(velocity)) = (routed, velocity) else { continue };
            self.masking.route(layer, gradient, routed, routing, level.number());
            if self.shared_affine {
                continue;
            }
            let index = level.number() - 1;
            if let (Some(norm), Some(velocity)) = (layer.norms.get_mut(index), velocity.norms.get_mut(index)) {
                descend_affine(norm, gradient, velocity, descent);
                if self.masking == Masking::Slimmable {
                    silence(layer, level);
                }
            }
        }
    }

    /// Moves the weights of the rings that the step trains, and biases with ring 1; γ and β, too, when levels share them.
    pub(super) fn step(&mut self, parameters: &mut Parameters<f32>, routing: &RoutingMatrix, descent: Descent<f32>) {
        for ((layer, routed), velocity) in parameters.layers.iter_mut().zip(&self.routed.layers).zip(&mut self.layers) {
            let (Some(layer), Some(routed), Some(velocity)) = (layer, routed, velocity) else { continue };
            let first = routing.trains(1);
            if first {
                // Whatever its weights' rings, a layer's bias serves every level, like a layer without a mask.
                let undecayed = Descent { weight_decay: 0.0, ..descent };
                descend(&mut layer.bias, &routed.bias, &mut velocity.bias, undecayed);
                if self.shared_affine {
                    if let (Some(norm), Some(velocity)) = (layer.norms.last_mut(), velocity.norms.last_mut()) {
                        descend_affine(norm, routed, velocity, descent);
                    }
                    share_affine(layer);
                }
            }
            let weights = layer.weights.as_slice_mut().expect("a training's weights are row-major");
            match layer.mask.as_ref().map(NestedMask::flat) {
                None if first => descend(weights, &routed.weights, &mut velocity.weights, descent),
                None => {}
                Some(rings) => {
                    let trains = self.masking.trained_rings(routing);
                    let all = weights.iter_mut().zip(&routed.weights).zip(&mut velocity.weights).zip(rings);
                    for (((weight, &gradient), velocity), &ring) in all {
                        if trains[usize::from(ring)] {
                            descent.move_one(weight, velocity, gradient);
                        }
                    }
                }
            }
        }
    }
}

impl Masking {
    /// Whether each ring learns. Ring 0 never does, unless gradients are not masked: then all weights learn from all levels.
    fn trained_rings(self, routing: &RoutingMatrix) -> [bool; MAX_LEVELS + 1] {
        if self.is_straight_through() {
            return [routing.trains(1); MAX_LEVELS + 1];
        }
        std::array::from_fn(|ring| ring != 0 && routing.trains(ring))
    }

    /// The coefficient of a level's gradient in each ring's.
    fn coefficients(self, routing: &RoutingMatrix, level: usize) -> [f32; MAX_LEVELS + 1] {
        let of_ring = |ring| routing.coefficient(ring, level) as f32;
        if self.is_straight_through() { [of_ring(1); MAX_LEVELS + 1] } else { std::array::from_fn(of_ring) }
    }

    /// Adds a level's gradient of one layer, each ring's share, to the sum over the levels.
    fn route(
        self,
        layer: &Layer<f32>,
        gradient: &LayerGradient<f32>,
        routed: &mut LayerGradient<f32>,
        routing: &RoutingMatrix,
        level: usize,
    ) {
        let coefficients = self.coefficients(routing, level);
        let add = |into: &mut [f32], from: &[f32]| {
            into.iter_mut().zip(from).for_each(|(into, from)| *into += coefficients[1] * from);
        };
        match layer.mask.as_ref().map(NestedMask::flat) {
            None => add(&mut routed.weights, &gradient.weights),
            Some(rings) => {
                for ((into, from), &ring) in routed.weights.iter_mut().zip(&gradient.weights).zip(rings) {
                    *into += coefficients[usize::from(ring)] * from;
                }
            }
        }
        add(&mut routed.bias, &gradient.bias);
        add(&mut routed.scale, &gradient.scale);
        add(&mut routed.shift, &gradient.shift);
    }
}

/// Moves γ and β of a normalisation, which do not decay.
fn descend_affine(
    norm: &mut Norm<f32>,
    gradient: &LayerGradient<f32>,
    [scale, shift]: &mut [Vec<f32>; 2],
    descent: Descent<f32>,
) {
    let undecayed = Descent { weight_decay: 0.0, ..descent };
    descend(&mut norm.scale, &gradient.scale, scale, undecayed);
    // Int8 multipliers are positive, and levels share the weights' sign. What is not a number stays, to be seen.
    norm.scale.iter_mut().filter(|scale| **scale < LEAST_SCALE).for_each(|scale| *scale = LEAST_SCALE);
    descend(&mut norm.shift, &gradient.shift, shift, undecayed);
}

/// Gives all levels γ and β of the densest.
pub(super) fn share_affine(layer: &mut Layer<f32>) {
    let Some((densest, others)) = layer.norms.split_last_mut() else { return };
    for other in others {
        other.scale.clone_from(&densest.scale);
        other.shift.clone_from(&densest.shift);
    }
}

/// Channels that a slimmable level does not have must stay silent: their β, like their weights, is 0.
fn silence(layer: &mut Layer<f32>, level: Level) {
    let (Some(mask), Some(norm)) = (&layer.mask, layer.norms.get_mut(level.number() - 1)) else { return };
    for (shift, rings) in norm.shift.iter_mut().zip(mask.rings().rows()) {
        if !rings.iter().any(|&ring| is_in(ring, level)) {
            *shift = 0.0;
        }
    }
}

fn descend(values: &mut [f32], gradient: &[f32], velocity: &mut [f32], descent: Descent<f32>) {
    for ((value, &gradient), velocity) in values.iter_mut().zip(gradient).zip(velocity) {
        descent.move_one(value, velocity, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Block, Ladder, NestedMask, Routing,
        nn::{Finish, Network, NetworkBuilder},
    };
    use ndarray::Array2;
    use nested_csr::{Level, TensorShape, Window};
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// The training loop and the library route alike: a step without momentum and decay moves nested weights by
    /// [`RoutingMatrix::route`], and dense ones like ring 1. Straight through the mask, all weights learn like ring 1.
    #[test]
    fn a_step_moves_the_weights_by_what_the_routing_gives_them() {
        let mut b = NetworkBuilder::new(TensorShape { channels: 1, height: 4, width: 4 });
        let finish = Finish::NORM;
        let x = b.convolution("dense", b.input(), Window::square(3, 1, 1), 3, finish).unwrap();
        let x = b.convolution("nested", x, Window::square(3, 1, 1), 4, finish.sparse()).unwrap();
        let x = b.global_average_pool("pool", x).unwrap();
        b.fully_connected("logits", x, 2).unwrap();
        let network = b.finish().unwrap();
        let ladder = Ladder::new([0.8, 0.5, 0.2]).unwrap();
        let mut before = Parameters::<f32>::random(&network, ladder.levels(), 1);
        let layer = before.layers[1].as_mut().unwrap();
        let mask = NestedMask::by_magnitude(layer.weights.view(), &ladder, Block::OneByOne).unwrap();
        layer.mask = Some(mask.clone());

        let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
        let gradients: Vec<Gradient<f32>> = (0..3)
            .map(|_| {
                let mut gradient = Gradient::zeros(&before);
                for layer in gradient.layers.iter_mut().flatten() {
                    layer.weights.iter_mut().for_each(|value| *value = random.random_range(-1.0..1.0));
                }
                gradient
            })
            .collect();
        let of_layer = |node: usize| -> Vec<Array2<f32>> {
            let dim = before.layers[node].as_ref().unwrap().weights.dim();
            let array = |gradient: &Gradient<f32>| gradient.layers[node].as_ref().unwrap().weights.clone();
            gradients.iter().map(|gradient| Array2::from_shape_vec(dim, array(gradient)).unwrap()).collect()
        };
        let (dense, nested) = (of_layer(0), of_layer(1));
        let views: Vec<_> = nested.iter().map(|gradient| gradient.view()).collect();

        let matrix = RoutingMatrix::new(3, vec![0.3, -1.0, 2.0, 7.0, 0.1, 0.4, 7.0, 7.0, 1.5]).unwrap();
        let descent = Descent { learning_rate: 1.0, momentum: 0.0, weight_decay: 0.0 };
        for routing in [
            Routing::Joint,
            Routing::Normalised,
            Routing::Ring,
            Routing::Frozen,
            Routing::Staged { until: 0.9 },
            Routing::default(),
            Routing::Anchored { weights: Vec::new() },
            Routing::Weighted(matrix),
        ] {
            let step = routing.draw(3, 0.5, &mut random).unwrap();
            let weights =
                |parameters: &Parameters<f32>, node: usize| parameters.layers[node].as_ref().unwrap().weights.clone();
            for masking in [Masking::Nested, Masking::StraightThrough, Masking::Dsnn] {
                let mut after = before.clone();
                let mut optimizer = Optimizer::new(&after, &Config { masking, ..Config::default() });
                optimizer.start();
                for level in (1..=3).filter(|&level| step.uses(level)) {
                    optimizer.add(&mut after, &gradients[level - 1], &step, Level::new(level).unwrap(), descent);
                }
                optimizer.step(&mut after, &step, descent);

                let like_ring_1 = |node: usize, of_levels: &[Array2<f32>]| {
                    let first = |level: usize| of_levels[level - 1].mapv(|g| g * step.coefficient(1, level) as f32);
                    let moved = weights(&before, node) - (first(1) + first(2) + first(3));
                    let near = (weights(&after, node) - moved).iter().all(|gap| gap.abs() < 1e-6);
                    assert!(near, "{routing:?} {masking:?}, node {node}");
                };
                like_ring_1(0, &dense);
                if masking == Masking::Nested {
                    let routed = step.route(&views, &mask).unwrap();
                    assert_eq!(weights(&after, 1), weights(&before, 1) - routed, "{routing:?}");
                } else {
                    like_ring_1(1, &nested);
                }
            }
        }
    }

    /// Every layer that has a bias learns it, whether its weights have a mask or not, and whatever the masking.
    #[test]
    fn a_bias_learns_with_ring_1_whether_its_layer_has_a_mask_or_not() {
        let network = of_one_sparse_layer(Finish::BIAS);
        let mut before = Parameters::<f32>::random(&network, Level::new(2).unwrap(), 1);
        let mut gradient = Gradient::zeros(&before);
        gradient.layers.iter_mut().flatten().for_each(|layer| layer.bias.fill(1.0));
        let descent = Descent { learning_rate: 0.5, momentum: 0.0, weight_decay: 0.1 };
        for masking in [Masking::Nested, Masking::StraightThrough, Masking::Dsnn, Masking::Slimmable] {
            for masked in [false, true] {
                for layer in before.layers.iter_mut().flatten() {
                    let mask = NestedMask::by_magnitude(
                        layer.weights.view(),
                        &Ladder::new([0.8, 0.2]).unwrap(),
                        Block::OneByOne,
                    );
                    layer.mask = masked.then(|| mask.unwrap());
                }
                for (of_ring_1, moved) in [(1.0, 0.5), (0.0, 0.0)] {
                    let step = RoutingMatrix::new(2, vec![0.0, of_ring_1, 0.0, 1.0]).unwrap();
                    let mut after = before.clone();
                    let mut optimizer = Optimizer::new(&after, &Config { masking, ..Config::default() });
                    optimizer.start();
                    optimizer.add(&mut after, &gradient, &step, Level::new(2).unwrap(), descent);
                    optimizer.step(&mut after, &step, descent);
                    for layer in after.layers.iter().flatten() {
                        assert!(layer.bias.iter().all(|&bias| bias == -moved), "{masking:?}, {masked}, {of_ring_1}");
                    }
                }
            }
        }
    }

    /// γ and β that all levels share move by what the routing gives ring 1 of each level's gradient, in a step that trains it;
    /// those of their own by the gradient of theirs.
    #[test]
    fn shared_gammas_and_betas_learn_with_ring_1_and_others_from_their_level() {
        let network = of_one_sparse_layer(Finish::NORM);
        let before = Parameters::<f32>::random(&network, Level::new(2).unwrap(), 1);
        let gradients = [0.5, 0.125].map(|value| {
            let mut gradient = Gradient::zeros(&before);
            for layer in gradient.layers.iter_mut().flatten() {
                layer.scale.fill(value);
                layer.shift.fill(-value);
            }
            gradient
        });
        let descent = Descent { learning_rate: 1.0, momentum: 0.0, weight_decay: 0.5 };
        let still = RoutingMatrix::new(2, vec![0.0, 0.0, 0.0, 1.0]).unwrap();
        let both = RoutingMatrix::new(2, vec![0.5, 2.0, 0.0, 1.0]).unwrap();
        for (shared_affine, routing, moved) in [
            (true, &both, [0.5; 2]),
            (true, &still, [0.0; 2]),
            (false, &both, [0.5, 0.125]),
            (false, &still, [0.5, 0.125]),
        ] {
            let mut after = before.clone();
            let mut optimizer = Optimizer::new(&after, &Config { shared_affine, ..Config::default() });
            optimizer.start();
            for (level, gradient) in (1..).zip(&gradients) {
                optimizer.add(&mut after, gradient, routing, Level::new(level).unwrap(), descent);
            }
            optimizer.step(&mut after, routing, descent);
            for (norm, moved) in after.layers[0].as_ref().unwrap().norms.iter().zip(moved) {
                assert!(norm.scale.iter().all(|&scale| scale == 1.0 - moved), "{shared_affine}, {norm:?}");
                assert!(norm.shift.iter().all(|&shift| shift == moved), "{shared_affine}, {norm:?}");
            }
        }
    }

    /// Shared γ and β stand still with their velocity in a step that does not train ring 1, and stay above the least γ.
    #[test]
    fn shared_gammas_and_betas_keep_value_and_velocity_where_ring_1_does_not_learn() {
        let network = of_one_sparse_layer(Finish::NORM);
        let mut parameters = Parameters::<f32>::random(&network, Level::new(2).unwrap(), 1);
        let mut gradient = Gradient::zeros(&parameters);
        for layer in gradient.layers.iter_mut().flatten() {
            layer.scale.fill(0.5);
            layer.shift.fill(0.25);
        }
        let descent = Descent { learning_rate: 0.5, momentum: 0.5, weight_decay: 0.5 };
        let still = RoutingMatrix::new(2, vec![0.0, 0.0, 0.0, 1.0]).unwrap();
        let first = RoutingMatrix::new(2, vec![0.0, 1.0, 0.0, 1.0]).unwrap();
        let mut optimizer = Optimizer::new(&parameters, &Config::default());
        // Velocities 0.5 and 0.75 of γ, and half of that of β; then a γ that falls below its least.
        for (routing, scale, shift) in [
            (&first, 0.75, -0.125),
            (&still, 0.75, -0.125),
            (&first, 0.375, -0.3125),
            (&still, 0.375, -0.3125),
            (&first, LEAST_SCALE, -0.53125),
        ] {
            optimizer.start();
            optimizer.add(&mut parameters, &gradient, routing, Level::new(2).unwrap(), descent);
            optimizer.step(&mut parameters, routing, descent);
            for norm in &parameters.layers[0].as_ref().unwrap().norms {
                assert!(norm.scale.iter().all(|&at| at == scale), "{scale}: {norm:?}");
                assert!(norm.shift.iter().all(|&at| at == shift), "{shift}: {norm:?}");
            }
        }
    }

    /// A ring that a step does not train keeps its value and its velocity, and does not decay.
    #[test]
    fn what_a_step_does_not_train_keeps_value_and_velocity() {
        let network = of_one_sparse_layer(Finish::NORM);
        let ladder = Ladder::new([0.8, 0.2]).unwrap();
        let mut parameters = Parameters::<f32>::random(&network, ladder.levels(), 1);
        let layer = parameters.layers[0].as_mut().unwrap();
        layer.mask = Some(NestedMask::by_magnitude(layer.weights.view(), &ladder, Block::OneByOne).unwrap());
        let rings = layer.mask.as_ref().unwrap().rings().clone();
        let mut gradient = Gradient::zeros(&parameters);
        gradient.layers[0].as_mut().unwrap().weights.iter_mut().for_each(|value| *value = 1.0);
        let descent = Descent { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.01 };
        let mut optimizer = Optimizer::new(&parameters, &Config::default());
        for level in [2, 1] {
            let before = (parameters.clone(), optimizer.clone());
            let routing = one_level(level);
            optimizer.start();
            optimizer.add(&mut parameters, &gradient, &routing, Level::new(level).unwrap(), descent);
            optimizer.step(&mut parameters, &routing, descent);
            let weights = |parameters: &Parameters<f32>| parameters.layers[0].as_ref().unwrap().weights.clone();
            let velocity = |optimizer: &Optimizer| optimizer.layers[0].as_ref().unwrap().weights.clone();
            let (old, new) = (weights(&before.0), weights(&parameters));
            let (slow, fast) = (velocity(&before.1), velocity(&optimizer));
            for (index, &ring) in rings.iter().enumerate() {
                let moves = ring != 0 && usize::from(ring) <= level;
                let at = (index / old.ncols(), index % old.ncols());
                assert_eq!([old[at] != new[at], slow[index] != fast[index]], [moves; 2], "ring {ring}, level {level}");
            }
        }
    }

    /// A sparse convolution before a classifier.
    fn of_one_sparse_layer(finish: Finish) -> Network {
        let mut b = NetworkBuilder::new(TensorShape { channels: 1, height: 4, width: 4 });
        let x = b.convolution("nested", b.input(), Window::square(3, 1, 1), 4, finish.sparse()).unwrap();
        let x = b.global_average_pool("pool", x).unwrap();
        b.fully_connected("logits", x, 2).unwrap();
        b.finish().unwrap()
    }

    /// The matrix of a step that draws one of two levels.
    fn one_level(level: usize) -> RoutingMatrix {
        let coefficient = |k: usize| f64::from(u8::from(k == level));
        RoutingMatrix::new(2, vec![coefficient(1), coefficient(2), 0.0, coefficient(2)]).unwrap()
    }
}
