//! Nested masks and gradient masking in a training loop of candle: candle holds the weights, runs the network and
//! differentiates; `nested-mask` says which weights a level uses, and which level's gradient teaches which ring.
use candle_core::{D, DType, Device, Result, Tensor, Var};
use ndarray::Array4;
use nested_mask::{Block, Descent, Ladder, Level, NestedMask, Routing, schedule::Ramp};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const SIDE: usize = 12;
const IMAGES: usize = 192;
const STEPS: usize = 150;
const RATE: f64 = 0.05;
const MOMENTUM: f64 = 0.9;

/// Noisy stripes: across, upright, or both.
fn images(seed: u64) -> Result<(Tensor, Tensor)> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let labels: Vec<u32> = (0..IMAGES as u32).map(|image| image % 3).collect();
    let mut pixels = Vec::new();
    for &label in &labels {
        let (across, upright) = (random.random_range(0..4usize), random.random_range(0..4usize));
        for at in 0..SIDE * SIDE {
            let (y, x) = ((at / SIDE + across) % 4 < 2, (at % SIDE + upright) % 4 < 2);
            let bright = [y, x, x != y][label as usize];
            pixels.push(f32::from(u8::from(bright)) + random.random_range(-0.9..0.9f32));
        }
    }
    let device = Device::Cpu;
    Ok((Tensor::from_vec(pixels, (IMAGES, 1, SIDE, SIDE), &device)?, Tensor::from_vec(labels, IMAGES, &device)?))
}

/// Three layers; the weights of the second are nested.
struct Network {
    first: Var,
    nested: Var,
    last: Var,
}

impl Network {
    fn new() -> Result<Network> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut var = |shape: &[usize]| {
            let taps: usize = shape[1..].iter().product();
            let reach = (6.0 / taps as f32).sqrt();
            let values: Vec<f32> = (0..shape[0] * taps).map(|_| random.random_range(-reach..reach)).collect();
            Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)
        };
        Ok(Network { first: var(&[8, 1, 3, 3])?, nested: var(&[16, 8, 3, 3])?, last: var(&[3, 16])? })
    }

    /// Logits, with the weights of a level.
    fn forward(&self, images: &Tensor, support: &Tensor) -> Result<Tensor> {
        let x = images.conv2d(self.first.as_tensor(), 1, 1, 1, 1)?.relu()?;
        let x = x.conv2d(&(self.nested.as_tensor() * support)?, 1, 2, 1, 1)?.relu()?;
        x.mean((2, 3))?.matmul(&self.last.as_tensor().t()?)
    }
}

/// Mean cross-entropy.
fn loss(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let greatest = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&greatest)?;
    let log = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    log.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
}

fn accuracy(logits: &Tensor, labels: &Tensor) -> Result<f64> {
    let right = logits.argmax(D::Minus1)?.eq(labels)?.to_dtype(DType::F64)?;
    right.mean_all()?.to_scalar()
}

/// From candle to ndarray and back.
fn array(tensor: &Tensor) -> Result<Array4<f32>> {
    let values = tensor.flatten_all()?.to_vec1()?;
    Array4::from_shape_vec(tensor.dims4()?, values).map_err(candle_core::Error::wrap)
}

fn tensor(array: Array4<f32>) -> Result<Tensor> {
    let shape = array.dim();
    Tensor::from_vec(array.into_iter().collect(), shape, &Device::Cpu)
}

fn support(mask: &NestedMask<ndarray::Ix4>, level: Level) -> Result<Tensor> {
    tensor(mask.support(level).mapv(|kept| f32::from(u8::from(kept))))
}

/// `velocity ← momentum · velocity + gradient`, `weights ← weights − rate · velocity`: of layers without masks.
fn descend(weights: &Var, velocity: &mut Tensor, gradient: &Tensor) -> Result<()> {
    *velocity = ((&*velocity * MOMENTUM)? + gradient)?;
    weights.set(&(weights.as_tensor() - (&*velocity * RATE)?)?)
}

/// The mask of these weights at the sparsities of a moment.
fn ranked(
    weights: &Var,
    sparsities: &[f64],
) -> std::result::Result<NestedMask<ndarray::Ix4>, Box<dyn std::error::Error>> {
    let scores = array(weights)?.mapv(|weight| weight * weight);
    Ok(NestedMask::by_score_with(scores.view(), sparsities, Block::OneByOne)?)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (train, labels) = images(2)?;
    let (test, test_labels) = images(3)?;
    let network = Network::new()?;
    let ladder = Ladder::new([0.9, 0.7])?;
    let levels = ladder.levels();
    let ramp = Ramp { start: 0.1, end: 0.5 };
    let routing = Routing::Normalised.matrix(levels.number())?;
    let descent = Descent { learning_rate: RATE as f32, momentum: MOMENTUM as f32, weight_decay: 0.0 };
    // Dense at first, at both levels; ranked anew while sparsity grows, frozen afterwards.
    let mut sparsities = ramp.sparsities(&ladder, 0.0);
    let mut mask = ranked(&network.nested, &sparsities)?;
    let dense = [&network.first, &network.last];
    let mut velocities = dense.iter().map(|var| var.zeros_like()).collect::<Result<Vec<_>>>()?;
    let mut velocity = Array4::zeros(mask.rings().dim());
    for step in 0..STEPS {
        let now = ramp.sparsities(&ladder, step as f64 / STEPS as f64);
        if now != sparsities {
            mask = ranked(&network.nested, &now)?;
            sparsities = now;
        }
        // Each level's gradient, of the weights that the level uses.
        let mut nested = Vec::new();
        let mut shared: Option<[Tensor; 2]> = None;
        for level in levels.up_to() {
            let loss = loss(&network.forward(&train, &support(&mask, level)?)?, &labels)?;
            let gradients = loss.backward()?;
            let of = |var: &Var| gradients.get(var.as_tensor()).cloned().ok_or("no gradient");
            nested.push(array(&of(&network.nested)?)?);
            let own = [of(&network.first)?, of(&network.last)?];
            shared = Some(match shared {
                Some([first, last]) => [(first + &own[0])?, (last + &own[1])?],
                None => own,
            });
        }
        let views: Vec<_> = nested.iter().map(|gradient| gradient.view()).collect();
        let gradient = routing.route(&views, &mask)?;
        // Masked: weights that are pruned stand still, and so do their velocities.
        let mut weights = array(&network.nested)?;
        descent.step(weights.view_mut(), velocity.view_mut(), gradient.view(), &mask, &routing)?;
        network.nested.set(&tensor(weights)?)?;
        let Some([first, last]) = shared else { continue };
        let half = 1.0 / levels.number() as f64;
        for ((var, velocity), gradient) in dense.iter().zip(&mut velocities).zip([(first * half)?, (last * half)?]) {
            descend(var, velocity, &gradient)?;
        }
    }
    // The last ranking was at the ladder's own sparsities.
    for (level, goal) in levels.up_to().zip(ladder.sparsities()) {
        if (mask.sparsity(level) - goal).abs() > 0.001 {
            return Err(format!("level {level}: sparsity {:.3} instead of {goal}", mask.sparsity(level)).into());
        }
    }
    for level in levels.up_to() {
        let right = accuracy(&network.forward(&test, &support(&mask, level)?)?, &test_labels)?;
        println!("level {}: sparsity {:.2}, right {right:.3}", level.number(), mask.sparsity(level));
        if right < 0.9 {
            return Err(format!("level {} is right in {right:.3} only", level.number()).into());
        }
    }
    Ok(())
}
