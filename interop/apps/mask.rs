//! An app that trains: a toy network of two levels on bright and dark images, then compressed to bytes.
use nested_mask::nested_csr::TensorShape;
use nested_mask::nn::resnet8;
use nested_mask::quant::quantize;
use nested_mask::train::{Config, Dataset, Trainer};
use nested_mask::{Ladder, Level};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shape = TensorShape { channels: 1, height: 8, width: 8 };
    let labels: Vec<u8> = (0..64).map(|image| image % 2).collect();
    let pixels = labels.iter().flat_map(|&label| vec![60 + 120 * label; 64]).collect();
    let dataset = Dataset::new(shape, 2, pixels, labels)?;

    let config = Config { ladder: Ladder::new([0.8, 0.5])?, epochs: 5, batch: 16, ..Config::default() };
    let mut trainer = Trainer::new(resnet8(shape, 0.25, 2)?, config)?;
    while trainer.epoch() < trainer.config().epochs {
        trainer.train_epoch(&dataset, &mut |_| {})?;
    }
    trainer.recalibrate(&dataset)?;
    let accuracy = trainer.evaluate(Level::FIRST, &dataset)?;
    let model = quantize(trainer.trained(), &dataset)?;
    println!("level 1: {:.0} % right, {} bytes", 100.0 * accuracy, model.prefix(Level::FIRST)?.len());
    if accuracy < 0.9 {
        return Err("the toy was not learnt".into());
    }
    Ok(())
}
