//! Makes a small nested model in memory and runs it at each of its levels.
//!
//! With a path, runs that `.ncsr` file instead: `cargo run --release -p nested-kernels --example run_model -- model.ncsr`
use nested_csr::{
    Block, ConvolutionWeights, FormatError, Level, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization,
    Requantization, TensorShape, Window,
};
use nested_kernels::Network;
use std::{error::Error, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => example()?.as_bytes().to_vec(),
    };
    let network = Network::new(Model::parse(bytes)?)?;
    let image: Vec<i8> = (0..network.model().input_shape().len()).map(|i| (i * 37 % 256) as u8 as i8).collect();
    let mut arena = vec![0; network.preferred_arena_len()];
    let mut output = vec![0; network.model().output_shape().len()];
    println!("arena: at least {} bytes, fastest with {}", network.arena_len(), arena.len());
    for level in network.model().levels().up_to() {
        let start = Instant::now();
        network.run(level, &image, &mut arena, &mut output)?;
        println!("level {}: {:?} in {:?}", level.number(), &output[..output.len().min(10)], start.elapsed());
    }
    Ok(())
}

/// Two 3×3 layers of 8 channels and a fully connected one, at three levels: every 8th, 4th and 2nd weight.
fn example() -> Result<Model<Vec<u8>>, FormatError> {
    let image = Quantization { scale: 1.0 / 255.0, zero_point: -128 };
    let levels = Level::new(3)?;
    let shape = TensorShape { channels: 3, height: 16, width: 16 };
    let mut builder = ModelBuilder::new(levels, shape, image)?;
    let mut tensor = builder.input();
    for (name, window, rows) in [
        ("first", Window::square(3, 1, 1), 8),
        ("second", Window::square(3, 2, 1), 8),
        ("classifier", Window::square(8, 1, 0), 10),
    ] {
        let channels = builder.shape(tensor).map_or(0, |shape| shape.channels);
        let count = rows * channels * usize::from(window.kernel[0]) * usize::from(window.kernel[1]);
        let rings: Vec<u8> = (0..count).map(|i| [1, 0, 3, 0, 2, 0, 3, 0][i * 5 % 8]).collect();
        let weights: Vec<i8> =
            rings.iter().zip(0..).map(|(ring, i)| if *ring == 0 { 0 } else { (i * 71 % 63) as i8 - 31 }).collect();
        let parameters = NodeLevel {
            output: Quantization { scale: 0.1, zero_point: -20 },
            low: -20,
            high: 127,
            input_weights: [0; 2],
            rows: vec![Requantization { multiplier: Multiplier::from_code(0xa000), bias: 500 }; rows],
        };
        let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &weights, rings: &rings };
        tensor = builder.convolution(name, tensor, window, rows, weights, &vec![parameters; 3])?;
    }
    builder.finish(Profile::Size)
}
