//! The reference layers, and the networks.
use super::CLASSES;
use crate::{error::Error, random};
use nested_csr::{
    Block, ConvolutionWeights, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization,
    Shape, TensorShape, Window,
};
use nested_mask::{
    Ladder,
    nn::{Network, mobilenet_v1, resnet8},
};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Of all inputs and outputs; not 0, so that nothing gets away with ignoring it.
const ZERO_POINT: i8 = -5;

/// A layer by its shape; see `benches/anchors.toml` for A–K.
pub struct Layer {
    pub name: &'static str,
    /// Height, width, input channels, output channels.
    pub shape: [usize; 4],
    /// Kernel, stride, padding.
    pub window: [u8; 3],
    pub depthwise: bool,
}

const fn layer(name: &'static str, shape: [usize; 4], window: [u8; 3]) -> Layer {
    Layer { name, shape, window, depthwise: false }
}

pub const LAYERS: [Layer; 13] = [
    layer("A", [32, 32, 16, 16], [3, 1, 1]),
    layer("B", [32, 32, 16, 32], [3, 2, 1]),
    layer("C", [16, 16, 32, 32], [3, 1, 1]),
    layer("D", [16, 16, 32, 64], [3, 2, 1]),
    layer("E", [8, 8, 64, 64], [3, 1, 1]),
    layer("F", [8, 8, 64, 64], [1, 1, 0]),
    layer("G", [8, 8, 128, 128], [1, 1, 0]),
    layer("H", [4, 4, 256, 256], [1, 1, 0]),
    Layer { depthwise: true, ..layer("I", [16, 16, 64, 64], [3, 1, 1]) },
    layer("J", [32, 32, 3, 16], [3, 1, 1]),
    layer("K1", [1, 1, 64, 10], [1, 1, 0]),
    layer("K2", [1, 1, 256, 100], [1, 1, 0]),
    layer("L", [56, 56, 64, 64], [3, 1, 1]),
];

impl Layer {
    /// A model of this layer alone with random weights at the levels of a ladder; dense weights for the dense ladder.
    pub fn model(&self, ladder: &Ladder, seed: u64) -> Result<Model<Vec<u8>>, Error> {
        let ([height, width, channels, rows], [kernel, stride, padding]) = (self.shape, self.window);
        let window = Window::square(kernel, stride, padding);
        let taps = usize::from(kernel) * usize::from(kernel);
        let columns = if self.depthwise { taps } else { taps * channels };
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let matrix = random::matrix(Shape { rows, columns }, Block::OneByOne, ladder, &mut random);
        // Sums of so many products of uniform bytes, brought to about a third of int8.
        let multiplier =
            Multiplier::nearest(1.0 / (130.0 * (columns as f64).sqrt())).unwrap_or(Multiplier::from_code(0));
        let quantization = Quantization { scale: 1.0, zero_point: ZERO_POINT };
        let parameters = NodeLevel {
            output: quantization,
            low: i8::MIN,
            high: i8::MAX,
            input_weights: [0; 2],
            rows: vec![Requantization { multiplier, bias: 100 }; rows],
        };
        let parameters = vec![parameters; ladder.levels().number()];
        let image = TensorShape { channels, height, width };
        let mut builder = ModelBuilder::new(ladder.levels(), image, quantization)?;
        let input = builder.input();
        if self.depthwise {
            builder.depthwise(self.name, input, window, &matrix.weights, &parameters)?;
        } else if ladder.is_dense() {
            let weights = ConvolutionWeights::Dense(&matrix.weights);
            builder.convolution(self.name, input, window, rows, weights, &parameters)?;
        } else {
            let (weights, rings) = (&matrix.weights, &matrix.rings);
            let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights, rings };
            builder.convolution(self.name, input, window, rows, weights, &parameters)?;
        }
        Ok(builder.finish(Profile::Speed)?)
    }

    /// As people write it.
    pub fn description(&self) -> String {
        let ([height, width, channels, rows], [kernel, stride, _]) = (self.shape, self.window);
        let kind = if self.depthwise { "depthwise " } else { "" };
        format!("{kind}{kernel}×{kernel} s{stride}, {height}×{width}×{channels} → {rows}")
    }
}

/// The networks, by the names that they have in tables.
pub fn networks() -> Result<[(&'static str, Network); 2], Error> {
    let image = TensorShape { channels: 3, height: 32, width: 32 };
    Ok([("ResNet-8", resnet8(image, 1.0, CLASSES)?), ("MobileNetV1", mobilenet_v1(image, 1.0, CLASSES)?)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Anchors {
        cmsis_nn: Cmsis,
    }

    #[derive(Deserialize)]
    struct Cmsis {
        layers: Vec<Anchor>,
    }

    #[derive(Deserialize)]
    struct Anchor {
        layer: String,
        shape: [usize; 4],
        window: [u8; 3],
        #[serde(default)]
        depthwise: bool,
    }

    #[test]
    fn the_layers_are_those_of_the_anchors() {
        let anchors: Anchors = toml::from_str(include_str!("../../anchors.toml")).unwrap();
        for anchor in anchors.cmsis_nn.layers {
            let found = LAYERS.iter().find(|layer| layer.name == anchor.layer).expect("a layer of this name");
            assert_eq!((found.shape, found.window, found.depthwise), (anchor.shape, anchor.window, anchor.depthwise));
        }
    }
}
