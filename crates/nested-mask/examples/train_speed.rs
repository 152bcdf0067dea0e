//! Images a second of the training step (forward, backward and the gradient's reduction) of ResNet-8 on 28×28×1.
use nested_csr::TensorShape;
use nested_mask::nn::{Gradient, Parameters, Passes, Statistics, resnet8};
use nested_mask::{Block, Ladder, Level, NestedMask};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for width in [0.5, 1.0] {
        let network = resnet8(TensorShape { channels: 1, height: 28, width: 28 }, width, 10)?;
        for sparsity in [0.0, 0.7, 0.9] {
            let mut parameters = Parameters::<f32>::random(&network, Level::FIRST, 1);
            if sparsity > 0.0 {
                for (node, layer) in parameters.layers.iter_mut().enumerate() {
                    if let (Some(layer), true) = (layer, network.finish(node).is_some_and(|f| f.sparse)) {
                        let ladder = Ladder::new([sparsity])?;
                        layer.mask = Some(NestedMask::by_magnitude(layer.weights.view(), &ladder, Block::OneByOne)?);
                    }
                }
            }
            let mut gradient = Gradient::zeros(&parameters);
            let mut passes = Passes::new(&network, 64);
            passes.load(64, |image, pixels| {
                pixels.iter_mut().enumerate().for_each(|(i, p)| *p = ((image * 7 + i) % 13) as f32 / 6.0 - 1.0);
            });
            let labels: Vec<u8> = (0..64).map(|i| i % 10).collect();
            let mut times = [f64::INFINITY; 4];
            for _ in 0..30 {
                let t0 = Instant::now();
                passes.prepare(&parameters, Level::FIRST);
                let t1 = Instant::now();
                passes.forward(&parameters, Statistics::Batch);
                let t2 = Instant::now();
                passes.cross_entropy(&labels, |image, class| f32::from(u8::from(usize::from(labels[image]) == class)));
                passes.backward(&parameters, &mut gradient);
                let t3 = Instant::now();
                for (best, span) in times.iter_mut().zip([t1 - t0, t2 - t1, t3 - t2, t3 - t0]) {
                    *best = best.min(span.as_secs_f64());
                }
            }
            let [prepare, forward, backward, all] = times.map(|t| t * 1e3);
            println!(
                "width {width} sparsity {sparsity}: {:.0} images/s; ms a step: tables {prepare:.2}, forward {forward:.2}, backward {backward:.2}",
                64e3 / all
            );
        }
    }
    Ok(())
}
