//! Masks and gradient masking in a training loop of one's own, without this crate's layers: a linear classifier that nests
//! two sparse ones, trained by gradient descent with masked momentum on `ndarray`, then compressed.
use ndarray::{Array1, Array2, Axis};
use nested_mask::nested_csr::{NestedCsr, Profile, Shape};
use nested_mask::{Block, Descent, Ladder, Level, NestedMask, Routing, quant::quantize_row, schedule::Ramp};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const INPUTS: usize = 40;
const STEPS: usize = 300;

/// Class probabilities of each row of logits.
fn softmax(mut logits: Array2<f64>) -> Array2<f64> {
    for mut row in logits.rows_mut() {
        let greatest = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        row.mapv_inplace(|value| (value - greatest).exp());
        let sum = row.sum();
        row /= sum;
    }
    logits
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    // Only the first eight inputs say anything of the class.
    let images = Array2::from_shape_simple_fn((256, INPUTS), || random.random_range(-1.0..1.0f64));
    let labels: Array1<f64> =
        images.rows().into_iter().map(|x| f64::from(x.iter().take(8).sum::<f64>() > 0.0)).collect();
    let wanted = ndarray::stack![Axis(1), labels.mapv(|label| 1.0 - label), labels];

    let ladder = Ladder::new([0.9, 0.7])?;
    let ramp = Ramp { start: 0.1, end: 0.6 };
    let mut weights = Array2::from_shape_simple_fn((2, INPUTS), || random.random_range(-0.1..0.1f64));
    let mut velocity = Array2::zeros(weights.dim());
    let routing = Routing::Normalised.matrix(ladder.levels().number())?;
    let descent = Descent { learning_rate: 0.2, momentum: 0.8, weight_decay: 0.0 };
    let ranked = |weights: &Array2<f64>, sparsities: &[f64]| {
        NestedMask::by_score_with(weights.mapv(|w| w * w).view(), sparsities, Block::OneByOne)
    };
    // Dense at first, at both levels.
    let mut sparsities = ramp.sparsities(&ladder, 0.0);
    let mut mask = ranked(&weights, &sparsities)?;
    for step in 0..STEPS {
        // Ranked anew while sparsity grows; frozen afterwards.
        let now = ramp.sparsities(&ladder, step as f64 / STEPS as f64);
        if now != sparsities {
            mask = ranked(&weights, &now)?;
            sparsities = now;
        }
        // Each level's loss, with the weights that the level uses.
        let gradients: Vec<Array2<f64>> = (mask.levels().up_to())
            .map(|level| {
                let used = mask.apply(level, weights.view())?;
                let error = softmax(images.dot(&used.t())) - &wanted;
                Ok(error.t().dot(&images) / images.nrows() as f64)
            })
            .collect::<Result<_, nested_mask::MaskError>>()?;
        let views: Vec<_> = gradients.iter().map(|gradient| gradient.view()).collect();
        let gradient = routing.route(&views, &mask)?;
        descent.step(weights.view_mut(), velocity.view_mut(), gradient.view(), &mask, &routing)?;
    }
    for level in mask.levels().up_to() {
        let logits = images.dot(&mask.apply(level, weights.view())?.t());
        let right = logits.rows().into_iter().zip(&labels).filter(|(row, label)| (row[1] > row[0]) == (**label > 0.5));
        let share = right.count() as f64 / images.nrows() as f64;
        println!("level {level}: sparsity {:.2}, right {:.3}", mask.sparsity(level), share);
        assert!(level == Level::FIRST || share > 0.95);
    }

    // The format takes int8 weights, one scale a row, and 0 for what is pruned.
    let kept = mask.apply(mask.levels(), weights.view())?;
    let (mut integers, mut scales) = (Vec::new(), Vec::new());
    for row in kept.rows() {
        let (row, scale) = quantize_row(&row.iter().map(|&weight| weight as f32).collect::<Vec<f32>>());
        integers.extend(row);
        scales.push(scale);
    }
    let rings: Vec<u8> = mask.rings().iter().copied().collect();
    let shape = Shape { rows: kept.nrows(), columns: kept.ncols() };
    let file = NestedCsr::compress(shape, mask.block(), mask.levels(), &integers, &rings, Profile::Size)?;
    println!(
        "{} bytes, {} of them for level 1; scales {scales:?}",
        file.as_bytes().len(),
        file.prefix(Level::FIRST)?.len()
    );
    Ok(())
}
