//! A small model, so that the examples run with no argument.
use nested_csr::{
    Block, ConvolutionWeights, FormatError, Level, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization,
    Requantization, TensorShape, Window,
};

/// Two 3×3 layers of 8 channels and a fully connected one, at three levels: every 8th, 4th and 2nd weight.
pub fn example() -> Result<Model<Vec<u8>>, FormatError> {
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
