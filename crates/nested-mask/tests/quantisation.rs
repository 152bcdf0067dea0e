//! The int8 model of a trained network against the float network, through a naive reference of the integer arithmetic.
use nested_csr::{Level, Model, Operation, Quantization, TensorId, TensorShape, Weights, Window};
use nested_mask::detect::{Frame, Object};
use nested_mask::nn::{Activation, Finish, Network, NetworkBuilder, ds_cnn, resnet8, ssd_mobilenet_v2};
use nested_mask::quant::{QuantError, quantize, quantize_row};
use nested_mask::train::{Augmentation, Config, Dataset, Images, Scenes, Trainer};
use nested_mask::{Block, Ladder};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Noisy images of three patterns.
fn images(count: usize, shape: TensorShape, seed: u64) -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let labels: Vec<u8> = (0..count).map(|image| (image % 3) as u8).collect();
    let mut pixels = Vec::new();
    for &label in &labels {
        for at in 0..shape.len() {
            let (y, x) = (at / shape.width % shape.height, at % shape.width);
            let bright = match label {
                0 => y < shape.height / 2,
                1 => x < shape.width / 2,
                _ => (x + y) % 2 == 0,
            };
            let level = if bright { 170 } else { 60 };
            pixels.push((level + random.random_range(-60..60i32)) as u8);
        }
    }
    Dataset::new(shape, 3, pixels, labels).unwrap()
}

fn trained(network: Network, dataset: &Dataset, block: Block) -> Trainer {
    let augmentation = Augmentation::default();
    let ladder = Ladder::new([0.8, 0.5]).unwrap();
    let config = Config { ladder, block, epochs: 6, batch: 32, learning_rate: 0.1, augmentation, ..Config::default() };
    let mut trainer = Trainer::new(network, config).unwrap();
    while trainer.epoch() < trainer.config().epochs {
        trainer.train_epoch(dataset, &mut |_| {}).unwrap();
    }
    trainer.recalibrate(dataset).unwrap();
    trainer
}

/// An operation's elements in the window at an output pixel, as `(tap, channel-plane offset)`; `None` for padding.
fn taps(window: Window, shape: TensorShape, y: usize, x: usize) -> impl Iterator<Item = (usize, Option<usize>)> {
    let [kernel_height, kernel_width] = window.kernel.map(usize::from);
    (0..kernel_height * kernel_width).map(move |tap| {
        let row = (y * usize::from(window.stride) + tap / kernel_width).checked_sub(window.padding.top.into());
        let column = (x * usize::from(window.stride) + tap % kernel_width).checked_sub(window.padding.left.into());
        let inside = row.zip(column).filter(|&(row, column)| row < shape.height && column < shape.width);
        (tap, inside.map(|(row, column)| row * shape.width + column))
    })
}

/// All tensors of a model at a level, straight from the definitions in `nested_csr`.
fn run(model: &Model<Vec<u8>>, level: Level, pixels: &[u8]) -> Vec<Vec<i8>> {
    let mut shapes = vec![model.input_shape()];
    let mut tensors = vec![pixels.iter().map(|&pixel| (i16::from(pixel) - 128) as i8).collect::<Vec<i8>>()];
    for index in 0..model.node_count() {
        let node = model.node(index).unwrap();
        let parameters = model.parameters(level, index).unwrap();
        let zero = |tensor: TensorId| match usize::from(tensor.0) {
            0 => i64::from(model.input_quantization().zero_point),
            made => i64::from(model.parameters(level, made - 1).unwrap().zero_point),
        };
        let of = |tensor: TensorId| (&tensors[usize::from(tensor.0)], shapes[usize::from(tensor.0)]);
        let plane = node.output.height * node.output.width;
        let requantize = |row: usize, acc: i64| {
            let r = parameters.rows.get(row);
            let sum = i32::try_from(acc + i64::from(r.bias)).unwrap();
            let q = i64::from(r.multiplier.apply(sum)) + i64::from(parameters.zero_point);
            q.clamp(parameters.low.into(), parameters.high.into()) as i8
        };
        let element = |at: usize| (at / plane, at % plane / node.output.width, at % node.output.width);
        let made: Vec<i8> = match node.operation {
            Operation::Convolution { input, window, weights } => {
                let (source, shape) = of(input);
                let columns = usize::from(window.kernel[0]) * usize::from(window.kernel[1]) * shape.channels;
                let mut dense = vec![0i64; node.output.channels * columns];
                match weights {
                    Weights::Dense(weights) => dense = weights.iter().map(|&w| i64::from(w)).collect(),
                    Weights::Sparse(matrix) => {
                        let mut rows = matrix.rows(level).unwrap();
                        for row in dense.chunks_exact_mut(columns) {
                            rows.next_row(|column, weight| row[column] = weight.into()).unwrap();
                        }
                    }
                    other => panic!("{other:?}"),
                }
                let sum = |at: usize| {
                    let (row, y, x) = element(at);
                    let product = |(tap, pixel): (usize, Option<usize>)| {
                        let one = |channel: usize| {
                            let value = |pixel| i64::from(source[channel * shape.height * shape.width + pixel]);
                            let value = pixel.map_or(zero(input), value);
                            dense[row * columns + tap * shape.channels + channel] * value
                        };
                        (0..shape.channels).map(one).sum::<i64>()
                    };
                    requantize(row, taps(window, shape, y, x).map(product).sum())
                };
                (0..node.output.len()).map(sum).collect()
            }
            Operation::Depthwise { input, window, weights } => {
                let (source, shape) = of(input);
                let area = usize::from(window.kernel[0]) * usize::from(window.kernel[1]);
                let sum = |at: usize| {
                    let (channel, y, x) = element(at);
                    let product = |(tap, pixel): (usize, Option<usize>)| {
                        let value = |pixel| i64::from(source[channel * shape.height * shape.width + pixel]);
                        i64::from(weights[channel * area + tap]) * pixel.map_or(zero(input), value)
                    };
                    requantize(channel, taps(window, shape, y, x).map(product).sum())
                };
                (0..node.output.len()).map(sum).collect()
            }
            Operation::Add { left, right } => {
                let [a, b] = parameters.input_weights.map(i64::from);
                let pairs = of(left).0.iter().zip(of(right).0);
                pairs.map(|(&l, &r)| requantize(0, a * i64::from(l) + b * i64::from(r))).collect()
            }
            Operation::AveragePool { input, window } | Operation::MaxPool { input, window } => {
                let (source, shape) = of(input);
                let greatest = matches!(node.operation, Operation::MaxPool { .. });
                let pool = |at: usize| {
                    let (channel, y, x) = element(at);
                    let start = channel * shape.height * shape.width;
                    let values = taps(window, shape, y, x).filter_map(|(_, pixel)| Some(source[start + pixel?]));
                    if greatest {
                        return values.max().unwrap();
                    }
                    requantize(0, i64::from(parameters.input_weights[0]) * values.map(i64::from).sum::<i64>())
                };
                (0..node.output.len()).map(pool).collect()
            }
            Operation::Concatenation { left, right } => [&of(left).0[..], &of(right).0[..]].concat(),
            Operation::Detection { input, .. } => of(input).0.clone(),
            other => panic!("{other:?}"),
        };
        shapes.push(node.output);
        tensors.push(made);
    }
    tensors
}

fn accuracy(model: &Model<Vec<u8>>, level: Level, dataset: &Dataset) -> f64 {
    let right = |image: &usize| {
        let tensors = run(model, level, dataset.image(*image));
        let logits = tensors.last().unwrap();
        let best = (0..logits.len()).rev().max_by_key(|&class| logits[class]);
        best == Some(dataset.labels[*image].into())
    };
    (0..dataset.len()).filter(right).count() as f64 / dataset.len() as f64
}

#[test]
fn int8_classifies_like_float_at_each_level() {
    let shape = TensorShape { channels: 1, height: 12, width: 12 };
    let (train, test) = (images(192, shape, 1), images(200, shape, 2));
    let resnet = || resnet8(shape, 0.25, 3).unwrap();
    let networks =
        [(resnet(), Block::OneByOne), (resnet(), Block::OneByTwo), (ds_cnn(shape, 0.25, 3).unwrap(), Block::OneByOne)];
    for (network, block) in networks {
        let mut trainer = trained(network, &train, block);
        let model = quantize(trainer.trained(), &train).unwrap();
        for level in trainer.config().ladder.levels().up_to() {
            let float = trainer.evaluate(level, &test).unwrap();
            let int8 = accuracy(&model, level, &test);
            assert!(float > 0.9, "level {}: float {float}", level.number());
            assert!((float - int8).abs() <= 0.02, "level {}: float {float}, int8 {int8}", level.number());
        }
    }
}

#[test]
fn every_operation_keeps_its_values() {
    let shape = TensorShape { channels: 2, height: 10, width: 8 };
    let mut b = NetworkBuilder::new(shape).with_epsilon(0.1).unwrap();
    let relu6 = Finish::NORM.then(Activation::Relu6);
    let x = b.convolution("first", b.input(), Window::square(3, 1, 1), 8, relu6).unwrap();
    let y = b.depthwise("depthwise", x, Window::square(3, 1, 1), relu6).unwrap();
    let y = b.convolution("pointwise", y, Window::square(1, 1, 0), 8, Finish::NORM.sparse()).unwrap();
    let x = b.add("add", x, y, Activation::Relu).unwrap();
    let x = b.max_pool("max", x, Window::square(2, 2, 0)).unwrap();
    let x = b.average_pool("mean", x, Window::square(2, 1, 0)).unwrap();
    b.fully_connected("logits", x, 3).unwrap();
    keeps_its_values(b.finish().unwrap());
}

/// Operations that keep their operands' quantisation, in both orders, of operands whose ranges differ.
#[test]
fn tensors_that_are_put_together_share_a_range_with_all_that_is_made_of_them() {
    let shape = TensorShape { channels: 2, height: 6, width: 6 };
    for pool_first in [true, false] {
        let mut b = NetworkBuilder::new(shape).with_epsilon(0.1).unwrap();
        let relu = Finish::NORM.then(Activation::Relu);
        let x = b.convolution("x", b.input(), Window::square(3, 1, 1), 4, relu.sparse()).unwrap();
        let wide = b.add("wide", x, x, Activation::Identity).unwrap();
        let pool = |b: &mut NetworkBuilder| b.max_pool("pool", x, Window::square(2, 2, 0)).unwrap();
        let (pooled, both) = if pool_first {
            (pool(&mut b), b.concatenation("both", x, wide).unwrap())
        } else {
            let both = b.concatenation("both", x, wide).unwrap();
            (pool(&mut b), both)
        };
        let of_pool = b.fully_connected("of pool", pooled, 3).unwrap();
        let of_both = b.fully_connected("of both", both, 3).unwrap();
        b.add("logits", of_pool, of_both, Activation::Identity).unwrap();
        keeps_its_values(b.finish().unwrap());
    }
}

#[test]
fn the_images_range_is_not_forced_on_what_is_computed() {
    let shape = TensorShape { channels: 1, height: 4, width: 4 };
    let network = |tied: bool| {
        let mut b = NetworkBuilder::new(shape);
        let pooled = b.max_pool("pool", b.input(), Window::square(2, 2, 0)).unwrap();
        let x = b.convolution("x", pooled, Window::square(1, 1, 0), 2, Finish::NORM).unwrap();
        let both = b.concatenation("both", if tied { x } else { b.input() }, pooled).unwrap();
        b.fully_connected("logits", both, 3).unwrap();
        b.finish().unwrap()
    };
    let train = images(32, shape, 3);
    let quantized = |tied: bool| {
        let config = Config { ladder: Ladder::dense(), ..Config::default() };
        quantize(Trainer::new(network(tied), config).unwrap().trained(), &train)
    };
    assert!(quantized(false).is_ok());
    assert_eq!(quantized(true).unwrap_err(), QuantError::TiedToImages { node: "x".to_owned() });
}

/// Trains a network, and compares each tensor of its model with the float one.
fn keeps_its_values(network: Network) {
    let train = images(192, network.input(), 3);
    let trainer = trained(network, &train, Block::OneByTwo);
    let model = quantize(trainer.trained(), &train).unwrap();

    let network = &trainer.trained().network;
    let level = Level::FIRST;
    let mut passes = nested_mask::nn::Passes::new(network, 1);
    passes.prepare(&trainer.trained().parameters, level);
    let mut sums = vec![[0.0f64; 2]; network.nodes().len()];
    for image in 0..20 {
        passes.load(1, |_, pixels| {
            let normalization = trainer.trained().normalization;
            pixels.iter_mut().zip(train.image(image)).for_each(|(to, &pixel)| *to = normalization.apply(pixel));
        });
        passes.forward(&trainer.trained().parameters, nested_mask::nn::Statistics::Running);
        let integers = run(&model, level, train.image(image));
        for (node, [power, noise]) in sums.iter_mut().enumerate() {
            let Quantization { scale, zero_point } = model.parameters(level, node).unwrap().output();
            let mut integers = integers[node + 1].iter();
            passes.for_each_value(TensorId(node as u16 + 1), |value| {
                let back = scale * f32::from(i16::from(*integers.next().unwrap()) - i16::from(zero_point));
                *power += f64::from(value).powi(2);
                *noise += f64::from(value - back).powi(2);
            });
        }
    }
    // 30 dB.
    for (node, [power, noise]) in network.nodes().iter().zip(sums) {
        assert!(power > 0.0 && noise < 0.001 * power, "`{}`: noise {noise} of {power}", node.name);
    }
}

/// Bright squares on noise, one a scene.
fn scenes(count: usize, shape: TensorShape) -> Scenes {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let (mut pixels, mut objects) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let [top, left] = [0; 2].map(|_| random.random_range(0..20));
        let inside = |at: usize| (top..top + 12).contains(&(at / 32)) && (left..left + 12).contains(&(at % 32));
        let value = |at: usize| if inside(at) { 180 } else { 60 };
        pixels.extend((0..shape.len()).map(|at| value(at) + random.random_range(0..40u8)));
        let [top, left, side] = [top, left, 12].map(|pixels| pixels as f32 / 32.0);
        let frame = Frame { top, left, bottom: top + side, right: left + side };
        objects.push(vec![Object { class: 0, frame, difficult: false }]);
    }
    Scenes::new(shape, 1, pixels, objects).unwrap()
}

#[test]
fn a_detectors_values_are_kept_and_its_file_says_what_they_mean() {
    let shape = TensorShape { channels: 1, height: 32, width: 32 };
    let scenes = scenes(96, shape);
    let ladder = Ladder::new([0.6, 0.3]).unwrap();
    let config = Config { ladder, epochs: 3, batch: 16, learning_rate: 0.05, ..Config::default() };
    let mut trainer = Trainer::new(ssd_mobilenet_v2(shape, 0.25, 1).unwrap(), config).unwrap();
    while trainer.epoch() < 3 {
        trainer.train_epoch(&scenes, &mut |_| {}).unwrap();
    }
    trainer.recalibrate(&scenes).unwrap();
    let trained = trainer.trained();
    let model = quantize(trained, &scenes).unwrap();

    let anchors = trained.network.anchors().unwrap();
    let last = model.node_count() - 1;
    let Operation::Detection { anchors: stored, .. } = model.node(last).unwrap().operation else {
        panic!("no detection")
    };
    assert_eq!((stored.classes(), stored.boxes()), (1, anchors.iter().count()));
    for (map, stored) in anchors.maps().iter().zip(stored.maps()) {
        assert_eq!((map.height, map.width), (stored.height, stored.width));
        assert_eq!(map.sizes, stored.anchors().collect::<Vec<_>>());
    }

    for level in trained.levels().up_to() {
        let Quantization { scale, zero_point } = model.parameters(level, last).unwrap().output();
        let mut passes = nested_mask::nn::Passes::new(&trained.network, 1);
        passes.prepare(&trained.parameters, level);
        let [mut power, mut noise] = [0.0f64; 2];
        for image in 0..8 {
            passes.load(1, |_, pixels| scenes.normalized(image, trained.normalization, pixels));
            passes.forward(&trained.parameters, nested_mask::nn::Statistics::Running);
            let integers = run(&model, level, scenes.image(image));
            for (value, integer) in passes.logits(0).zip(integers.last().unwrap()) {
                let back = scale * f32::from(i16::from(*integer) - i16::from(zero_point));
                power += f64::from(value).powi(2);
                noise += f64::from(value - back).powi(2);
            }
        }
        // 20 dB, through some thirty nodes.
        assert!(power > 0.0 && noise < 0.01 * power, "level {}: noise {noise} of {power}", level.number());
    }
}

#[test]
fn calibration_needs_fitting_images() {
    let shape = TensorShape { channels: 1, height: 8, width: 8 };
    let trainer = Trainer::new(resnet8(shape, 0.25, 3).unwrap(), Config::default()).unwrap();
    let none = Dataset::new(shape, 3, Vec::new(), Vec::new()).unwrap();
    assert_eq!(quantize(trainer.trained(), &none).unwrap_err(), QuantError::NoImages);
    let other = images(3, TensorShape { channels: 1, height: 9, width: 8 }, 1);
    assert!(matches!(quantize(trainer.trained(), &other), Err(QuantError::OtherData { .. })));
}

#[test]
fn weights_trained_on_the_int8_grid_are_those_that_are_exported() {
    let shape = TensorShape { channels: 1, height: 12, width: 12 };
    let dataset = images(96, shape, 1);
    let ladder = Ladder::new([0.8, 0.5]).unwrap();
    let config = Config { ladder, epochs: 2, batch: 32, learning_rate: 0.1, int8_from: 0.5, ..Config::default() };
    let mut trainer = Trainer::new(resnet8(shape, 0.5, 3).unwrap(), config).unwrap();
    let off_grid = |trainer: &Trainer| {
        let rows = trainer.trained().parameters.layers.iter().flatten().flat_map(|layer| {
            let levels = layer.mask.as_ref().map(|mask| mask.levels());
            let kept = levels.map(|levels| layer.mask.as_ref().unwrap().apply(levels, layer.weights.view()).unwrap());
            kept.unwrap_or(layer.weights.clone()).outer_iter().map(|row| row.to_vec()).collect::<Vec<_>>()
        });
        let far = |row: &Vec<f32>| {
            let (integers, step) = quantize_row(row);
            row.iter().zip(integers).any(|(w, i)| (w - f32::from(i) * step).abs() > 1e-6 * w.abs())
        };
        rows.filter(far).count()
    };
    trainer.train_epoch(&dataset, &mut |_| {}).unwrap();
    assert!(off_grid(&trainer) > 0);
    trainer.train_epoch(&dataset, &mut |_| {}).unwrap();
    assert_eq!(off_grid(&trainer), 0);
    trainer.recalibrate(&dataset).unwrap();
    // The file holds the integers that the last passes computed with.
    let model = quantize(trainer.trained(), &dataset).unwrap();
    let first = trainer.trained().parameters.layers[0].as_ref().unwrap();
    let Operation::Convolution { weights: Weights::Dense(stored), .. } = model.node(0).unwrap().operation else {
        panic!("a dense convolution")
    };
    let expected: Vec<i8> = first.weights.outer_iter().flat_map(|row| quantize_row(&row.to_vec()).0).collect();
    assert_eq!(stored.to_vec(), expected);
}
