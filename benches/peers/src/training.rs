//! ResNet-8's training step in candle.
use crate::{
    Result,
    record::{File, Machine, Speed},
};
use candle_core::{DType, Device, Module, ModuleT, Tensor};
use candle_nn::{
    BatchNorm, Conv2d, Conv2dConfig, Linear, Optimizer, SGD, VarBuilder, VarMap, batch_norm, conv2d_no_bias, linear,
    loss,
};
use std::{path::Path, time::Instant};

const BATCH: usize = 64;
const STEPS: usize = 6;
/// Width, and multiplications of a forward pass of one image.
const WIDTHS: [(f64, f64); 2] = [(1.0, 9_345_920.0), (0.5, 2_364_864.0)];

/// Times steps at both widths.
pub fn run(json: &Path) -> Result<()> {
    let rows = WIDTHS.iter().map(|&(width, macs)| speed(width, macs)).collect::<Result<Vec<_>>>()?;
    let machine = Machine { engines: vec!["candle 0.11".to_owned()], ..Machine::default() };
    File { rows, machine, ..File::default() }.write(json)
}

fn speed(width: f64, macs: f64) -> Result<Speed> {
    let device = Device::Cpu;
    let variables = VarMap::new();
    let network = Network::new((16.0 * width) as usize, VarBuilder::from_varmap(&variables, DType::F32, &device))?;
    let images = Tensor::randn(0f32, 1.0, (BATCH, 1, 28, 28), &device)?;
    let labels = Tensor::from_iter((0..BATCH as u32).map(|index| index % 10), &device)?;
    let mut optimizer = SGD::new(variables.all_vars(), 0.01)?;
    let mut fastest = f64::INFINITY;
    for _ in 0..STEPS {
        let start = Instant::now();
        let loss = loss::cross_entropy(&network.forward(&images)?, &labels)?;
        optimizer.backward_step(&loss)?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    let images_per_second = BATCH as f64 / fastest;
    Ok(Speed {
        network: "ResNet-8".to_owned(),
        width,
        batch: BATCH,
        threads: 2,
        engine: "candle".to_owned(),
        images_per_second,
        gflops: images_per_second * macs * 6.0 / 1e9,
    })
}

/// A convolution without bias, and its batch normalisation.
struct Normed {
    convolution: Conv2d,
    norm: BatchNorm,
}

impl Normed {
    fn new(inputs: usize, rows: usize, kernel: usize, stride: usize, path: VarBuilder<'_>) -> Result<Normed> {
        let config = Conv2dConfig { stride, padding: kernel / 2, ..Conv2dConfig::default() };
        Ok(Normed {
            convolution: conv2d_no_bias(inputs, rows, kernel, config, path.pp("conv"))?,
            norm: batch_norm(rows, 1e-5, path.pp("norm"))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.norm.forward_t(&self.convolution.forward(x)?, true)?)
    }
}

struct Network {
    first: Normed,
    /// Two convolutions, and one for the shortcut where its shape changes.
    stacks: Vec<([Normed; 2], Option<Normed>)>,
    last: Linear,
}

impl Network {
    fn new(width: usize, path: VarBuilder<'_>) -> Result<Network> {
        let first = Normed::new(1, width, 3, 1, path.pp("first"))?;
        let mut stacks = Vec::new();
        let mut inputs = width;
        for (stack, stride) in [1, 2, 2].into_iter().enumerate() {
            let rows = width << stack;
            let path = path.pp(format!("stack{stack}"));
            let pair =
                [Normed::new(inputs, rows, 3, stride, path.pp("one"))?, Normed::new(rows, rows, 3, 1, path.pp("two"))?];
            let shortcut =
                (stride > 1).then(|| Normed::new(inputs, rows, 1, stride, path.pp("shortcut"))).transpose()?;
            stacks.push((pair, shortcut));
            inputs = rows;
        }
        Ok(Network { first, stacks, last: linear(inputs, 10, path.pp("last"))? })
    }

    fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let mut x = self.first.forward(images)?.relu()?;
        for ([one, two], shortcut) in &self.stacks {
            let branch = two.forward(&one.forward(&x)?.relu()?)?;
            let short = match shortcut {
                Some(shortcut) => shortcut.forward(&x)?,
                None => x.clone(),
            };
            x = (branch + short)?.relu()?;
        }
        Ok(self.last.forward(&x.mean((2, 3))?)?)
    }
}
