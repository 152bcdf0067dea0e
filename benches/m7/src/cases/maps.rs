//! What has no weights, or a few: sums, pools, concatenations.
use super::{Count, Random};
use crate::reference::{self, Finish};
use alloc::{vec, vec::Vec};
use nested_csr::{
    Level, Model, ModelBuilder, Multiplier, NodeLevel, Padding, Profile, Quantization, Requantization, TensorId,
    TensorShape, Window,
};
use nested_kernels::Geometry;
use rand_core::Rng;

/// A small map.
#[inline(never)]
fn shape(random: &mut Random) -> TensorShape {
    TensorShape { channels: random.below(7) + 1, height: random.below(9) + 1, width: random.below(9) + 1 }
}

/// Adds the node.
type Add = dyn Fn(&mut ModelBuilder, TensorId, &[NodeLevel]);

/// One node on a map of this shape, with a random requantisation.
#[inline(never)]
fn model(
    random: &mut Random,
    shape: TensorShape,
    input_weights: [i16; 2],
    multipliers: &[f64],
    add: &Add,
) -> (Model<Vec<u8>>, Requantization, Finish) {
    let finish = random.finish();
    let quantization = Quantization { scale: 1.0, zero_point: finish.zero_point };
    let bias = random.0.next_u32() as i32 >> random.one_of(&[8, 12]);
    let multiplier = Multiplier::nearest(random.one_of(multipliers)).expect("below a half");
    let row = Requantization { multiplier, bias };
    let level = NodeLevel { output: quantization, low: finish.low, high: finish.high, input_weights, rows: vec![row] };
    let mut builder = ModelBuilder::new(Level::FIRST, shape, quantization).expect("an input");
    let input = builder.input();
    add(&mut builder, input, &[level]);
    (builder.finish(Profile::Size).expect("a model"), row, finish)
}

/// A residual sum, into a third map and in place.
pub(super) fn check_sum(random: &mut Random) -> Count {
    let shape = shape(random);
    let weights = [(); 2].map(|()| (random.0.next_u32() as i16) >> random.one_of(&[0, 4]));
    let add = |builder: &mut ModelBuilder, input: TensorId, levels: &[NodeLevel]| {
        builder.add("sum", input, input, levels).expect("a sum");
    };
    let (model, row, finish) = model(random, shape, weights, &[2e-5, 3e-4, 4e-3], &add);
    let parameters = model.parameters(Level::FIRST, 0).expect("one node");
    let [left, right] = [(); 2].map(|()| random.numbers(shape.len()));
    let expected = reference::sums(weights, row, finish, &left, &right);
    let (mut apart, mut in_place) = (vec![0x55; left.len()], left.clone());
    nested_kernels::add(&parameters, &left, &right, &mut apart).expect("all lengths fit");
    nested_kernels::add_in_place(&parameters, &mut in_place, &right).expect("all lengths fit");
    let mut all = Count::one(&apart, &expected);
    all.add(Count::one(&in_place, &expected));
    all
}

/// A window of a pool that fits the map; now and then all of it.
#[inline(never)]
fn window(random: &mut Random, shape: TensorShape, padded: bool) -> Window {
    if random.below(4) == 0 {
        return Window { kernel: [shape.height as u8, shape.width as u8], ..Window::square(1, 1, 0) };
    }
    loop {
        let kernel = [(); 2].map(|()| random.below(4) as u8 + 1);
        let stride = random.one_of(&[1, 2, 3]);
        // Less than the kernel, as the format has it.
        let mut side = |kernel: u8| if padded { random.below(kernel.into()) as u8 } else { 0 };
        let (top, left) = (side(kernel[0]), side(kernel[1]));
        let padding = Padding { top, left, bottom: side(kernel[0]), right: side(kernel[1]) };
        let window = Window { kernel, stride, padding };
        if window.output(shape.height, shape.width).is_some() {
            return window;
        }
    }
}

/// An average pool.
pub(super) fn check_average_pool(random: &mut Random) -> Count {
    let shape = shape(random);
    let window = window(random, shape, false);
    let weight = (random.0.next_u32() as i16) >> random.one_of(&[0, 4, 8]);
    let add = move |builder: &mut ModelBuilder, input: TensorId, levels: &[NodeLevel]| {
        builder.average_pool("pool", input, window, levels).expect("a pool");
    };
    let (model, row, finish) = model(random, shape, [weight, 0], &[2e-5, 3e-4, 4e-3], &add);
    let parameters = model.parameters(Level::FIRST, 0).expect("one node");
    let input = random.numbers(shape.len());
    let geometry = Geometry::new(shape, window, shape.channels, 0).expect("it fits");
    let mut output = vec![0x55; geometry.output.len()];
    nested_kernels::average_pool(&parameters, &geometry, &input, &mut output).expect("all lengths fit");
    Count::one(&output, &reference::average_pool(shape, window, weight, row, finish, &input))
}

/// A max pool.
pub(super) fn check_max_pool(random: &mut Random) -> Count {
    let shape = shape(random);
    let window = window(random, shape, true);
    let input = random.numbers(shape.len());
    let geometry = Geometry::new(shape, window, shape.channels, random.number()).expect("it fits");
    let mut output = vec![0x55; geometry.output.len()];
    nested_kernels::max_pool(&geometry, &input, &mut output).expect("all lengths fit");
    Count::one(&output, &reference::max_pool(shape, window, &input))
}

/// Two maps, one behind the other.
pub(super) fn check_concatenation(random: &mut Random) -> Count {
    let [left, right] = [(); 2].map(|()| shape(random)).map(|shape| random.numbers(shape.len()));
    let mut output = vec![0x55; left.len() + right.len()];
    nested_kernels::concatenation(&left, &right, &mut output).expect("all lengths fit");
    Count::one(&output, &reference::concatenation(&left, &right))
}
