//! Trains a network of three levels in a second, and compresses it: dark images are class 0, bright ones class 1.
use nested_csr::TensorShape;
use nested_mask::nn::resnet8;
use nested_mask::quant::quantize;
use nested_mask::train::{Config, Dataset, Trainer};
use nested_mask::{Block, Ladder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shape = TensorShape { channels: 1, height: 12, width: 12 };
    let labels: Vec<u8> = (0..200).map(|image| image % 2).collect();
    // A pattern on top of the brightness, so that the images differ.
    let pixel = |image: usize, at: usize| 40 + 120 * (image % 2) as u8 + (image * 31 + at * 17) as u8 % 60;
    let pixels = (0..labels.len()).flat_map(|image| (0..shape.len()).map(move |at| pixel(image, at))).collect();
    let images = Dataset::new(shape, 2, pixels, labels)?;

    let ladder = Ladder::new([0.9, 0.8, 0.7])?;
    let config = Config { ladder, block: Block::OneByTwo, epochs: 6, batch: 16, ..Config::default() };
    let mut trainer = Trainer::new(resnet8(shape, 0.5, 2)?, config)?;
    while trainer.epoch() < trainer.config().epochs {
        let report = trainer.train_epoch(&images, &mut |_| {})?;
        println!("epoch {}: loss {:.3}", report.epoch, report.loss);
    }
    trainer.recalibrate(&images)?; // batch-norm statistics of each level

    let model = quantize(trainer.trained(), &images)?;
    for level in model.levels().up_to() {
        let (sparsity, right) = (trainer.sparsity(level), trainer.evaluate(level, &images)?);
        let bytes = model.prefix(level)?.len();
        println!(
            "level {}: {:.0} % sparse, {:.0} % right, {bytes} bytes",
            level.number(),
            100.0 * sparsity,
            100.0 * right
        );
    }
    Ok(())
}
