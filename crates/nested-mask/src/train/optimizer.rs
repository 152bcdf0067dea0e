//! Gradient descent with momentum, masked: what a step does not train keeps its value and its velocity.
use crate::{
    RoutingMatrix,
    nn::{Gradient, Layer, LayerGradient, Parameters},
};

/// The least γ that training lets a normalisation have.
const LEAST_SCALE: f32 = 0.01;

/// Velocities of all parameters, and the routed sum of the levels' gradients.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Optimizer {
    pub(super) layers: Vec<Option<Velocity>>,
    routed: Gradient<f32>,
}

/// Velocities of one layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Velocity {
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// One a level: of γ and β.
    pub(super) norms: Vec<[Vec<f32>; 2]>,
}

/// The rates of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) learning_rate: f32,
    pub(super) momentum: f32,
    pub(super) weight_decay: f32,
}

impl Optimizer {
    pub(super) fn new(parameters: &Parameters<f32>) -> Optimizer {
        let velocity = |layer: &Layer<f32>| Velocity {
            weights: vec![0.0; layer.weights.len()],
            bias: vec![0.0; layer.bias.len()],
            norms: layer.norms.iter().map(|norm| [vec![0.0; norm.scale.len()], vec![0.0; norm.shift.len()]]).collect(),
        };
        Optimizer {
            layers: parameters.layers.iter().map(|layer| layer.as_ref().map(velocity)).collect(),
            routed: Gradient::zeros(parameters),
        }
    }

    /// Forgets the gradients of the last step.
    pub(super) fn start(&mut self) {
        for layer in self.routed.layers.iter_mut().flatten() {
            layer.weights.fill(0.0);
            layer.bias.fill(0.0);
        }
    }

    /// Adds a level's gradient, each ring's share; layers without a mask count as ring 1. The level's own normalisations
    /// learn at once, for no other level uses them.
    pub(super) fn add(
        &mut self,
        parameters: &mut Parameters<f32>,
        gradient: &Gradient<f32>,
        routing: &RoutingMatrix,
        level: usize,
        rates: Rates,
    ) {
        let layers = parameters.layers.iter_mut().zip(&gradient.layers).zip(&mut self.routed.layers);
        for (((layer, gradient), routed), velocity) in layers.zip(&mut self.layers) {
            let (Some(layer), Some(gradient)) = (layer, gradient) else { continue };
            let (Some(routed), Some(velocity)) = (routed, velocity) else { continue };
            route_layer(layer, gradient, routed, routing, level);
            if let (Some(norm), Some([scale, shift])) =
                (layer.norms.get_mut(level - 1), velocity.norms.get_mut(level - 1))
            {
                let undecayed = Rates { weight_decay: 0.0, ..rates };
                descend(&mut norm.scale, &gradient.scale, scale, undecayed);
                // Int8 multipliers are positive, and levels share the weights' sign.
                norm.scale.iter_mut().for_each(|scale| *scale = scale.max(LEAST_SCALE));
                descend(&mut norm.shift, &gradient.shift, shift, undecayed);
            }
        }
    }

    /// Moves the weights of the rings that the step trains.
    pub(super) fn step(&mut self, parameters: &mut Parameters<f32>, routing: &RoutingMatrix, rates: Rates) {
        for ((layer, routed), velocity) in parameters.layers.iter_mut().zip(&self.routed.layers).zip(&mut self.layers) {
            let (Some(layer), Some(routed), Some(velocity)) = (layer, routed, velocity) else { continue };
            let Some(weights) = layer.weights.as_slice_mut() else { continue };
            match layer.mask.as_ref().and_then(|mask| mask.rings().as_slice()) {
                None if routing.trains(1) => {
                    descend(weights, &routed.weights, &mut velocity.weights, rates);
                    let undecayed = Rates { weight_decay: 0.0, ..rates };
                    descend(&mut layer.bias, &routed.bias, &mut velocity.bias, undecayed);
                }
                None => {}
                Some(rings) => {
                    let trains = trained_rings(routing);
                    let all = weights.iter_mut().zip(&routed.weights).zip(&mut velocity.weights).zip(rings);
                    for (((weight, &gradient), velocity), &ring) in all {
                        if trains[usize::from(ring)] {
                            descend_one(weight, gradient, velocity, rates);
                        }
                    }
                }
            }
        }
    }
}

/// Whether each ring learns; ring 0 never does.
fn trained_rings(routing: &RoutingMatrix) -> [bool; nested_csr::MAX_LEVELS + 1] {
    std::array::from_fn(|ring| ring != 0 && routing.trains(ring))
}

fn route_layer(
    layer: &Layer<f32>,
    gradient: &LayerGradient<f32>,
    routed: &mut LayerGradient<f32>,
    routing: &RoutingMatrix,
    level: usize,
) {
    let coefficients: [f32; nested_csr::MAX_LEVELS + 1] =
        std::array::from_fn(|ring| routing.coefficient(ring, level) as f32);
    let add = |into: &mut [f32], from: &[f32]| {
        into.iter_mut().zip(from).for_each(|(into, from)| *into += coefficients[1] * from);
    };
    match layer.mask.as_ref().and_then(|mask| mask.rings().as_slice()) {
        None => add(&mut routed.weights, &gradient.weights),
        Some(rings) => {
            for ((into, from), &ring) in routed.weights.iter_mut().zip(&gradient.weights).zip(rings) {
                *into += coefficients[usize::from(ring)] * from;
            }
        }
    }
    add(&mut routed.bias, &gradient.bias);
}

fn descend(values: &mut [f32], gradient: &[f32], velocity: &mut [f32], rates: Rates) {
    for ((value, &gradient), velocity) in values.iter_mut().zip(gradient).zip(velocity) {
        descend_one(value, gradient, velocity, rates);
    }
}

#[inline]
fn descend_one(value: &mut f32, gradient: f32, velocity: &mut f32, rates: Rates) {
    *velocity = rates.momentum * *velocity + gradient + rates.weight_decay * *value;
    *value -= rates.learning_rate * *velocity;
}
