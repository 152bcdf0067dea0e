//! Average and max pool, channel by channel.
use crate::{Geometry, KernelError, geometry::check_length, requant::Finish};
use nested_csr::{NodeParameters, Padding};

/// Averages each window: `acc = bias + w · Σ_window a`, one requantisation for all; the window takes no padding.
///
/// # Errors
/// A length that does not fit the geometry, a window with padding, parameters without a requantisation.
///
/// ```
/// use nested_csr::{Level, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization, TensorShape, Window};
/// use nested_kernels::{Geometry, average_pool};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let quantization = Quantization { scale: 0.1, zero_point: 0 };
/// # let quarter = Multiplier::nearest(0.25).ok_or("a half or more")?;
/// # let rows = vec![Requantization { multiplier: quarter, bias: 0 }];
/// # let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [1, 0], rows };
/// # let (image, window) = (TensorShape { channels: 1, height: 2, width: 4 }, Window::square(2, 2, 0));
/// # let mut builder = ModelBuilder::new(Level::FIRST, image, quantization)?;
/// # let input = builder.input();
/// # builder.average_pool("", input, window, &[level])?;
/// # let model = builder.finish(Profile::Size)?;
/// // A model of one layer: the sum of each 2×2 window, times ¼.
/// let parameters = model.parameters(Level::FIRST, 0).ok_or("no level")?;
/// let geometry = Geometry::new(model.input_shape(), Window::square(2, 2, 0), 1, 0)?;
/// let mut output = [0; 2];
/// average_pool(&parameters, &geometry, &[1, 2, 10, 10, 3, 4, 10, 14], &mut output)?;
/// assert_eq!(output, [3, 11]); // 2.5 rounds up
/// # Ok(()) }
/// ```
pub fn average_pool(
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), KernelError> {
    geometry.check_channels()?;
    if geometry.window.padding != Padding::default() {
        return Err(KernelError::PaddedPool(geometry.window.padding));
    }
    geometry.check_lengths(input.len(), output.len())?;
    check_length(1, parameters.rows.len(), |needed, given| KernelError::Requantizations { needed, given })?;
    let finish = Finish::new(parameters.rows.get(0), parameters);
    let weight = i32::from(parameters.input_weights[0]);
    pool(
        geometry,
        input,
        output,
        0i32,
        |sum, value| sum.wrapping_add(value.into()),
        |sum| finish.apply(finish.bias.wrapping_add(weight.wrapping_mul(sum))),
    );
    Ok(())
}

/// The greatest real element of each window; a window of padding alone gives −128.
///
/// # Errors
/// A length that does not fit the geometry.
///
/// ```
/// use nested_csr::{TensorShape, Window};
/// use nested_kernels::{Geometry, max_pool};
///
/// let image = TensorShape { channels: 1, height: 2, width: 4 };
/// let mut output = [0; 2];
/// max_pool(&Geometry::new(image, Window::square(2, 2, 0), 1, 0)?, &[1, 2, -9, -8, 3, 4, -7, -6], &mut output)?;
/// assert_eq!(output, [4, -6]);
/// # Ok::<(), nested_kernels::KernelError>(())
/// ```
pub fn max_pool(geometry: &Geometry, input: &[i8], output: &mut [i8]) -> Result<(), KernelError> {
    geometry.check_channels()?;
    geometry.check_lengths(input.len(), output.len())?;
    pool(geometry, input, output, i8::MIN, i8::max, |most| most);
    Ok(())
}

/// Folds the real elements of each window.
fn pool<T: Copy>(
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    initial: T,
    fold: impl Fn(T, i8) -> T,
    finish: impl Fn(T) -> i8,
) {
    let (padding, [kernel_height, kernel_width]) = (geometry.window.padding, geometry.window.kernel);
    let stride = usize::from(geometry.window.stride);
    let size = geometry.input;
    // The part of a window that lies in the image: it starts `before` pixels early.
    let real = |index: usize, before: u8, kernel: u8, size: usize| {
        let end = (index * stride + usize::from(kernel)).saturating_sub(before.into()).min(size);
        (index * stride).saturating_sub(before.into()).min(end)..end
    };
    let plane = (size.height * size.width).max(1);
    if padding == Padding::default() {
        let window = [kernel_height, kernel_width].map(usize::from);
        if window == [size.height, size.width] {
            for (map, output) in input.chunks_exact(plane).zip(output) {
                let (fours, rest) = map.as_chunks::<4>();
                let all = |folded, values: &[i8]| values.iter().fold(folded, |folded, value| fold(folded, *value));
                *output = finish(all(fours.iter().fold(initial, |folded, four| all(folded, four)), rest));
            }
            return;
        }
        if window == [2, 2] && stride == 2 {
            let lines = output.chunks_exact_mut(geometry.output.width.max(1));
            let pairs = input.chunks_exact(plane).flat_map(|map| map.chunks_exact((2 * size.width).max(1)));
            lines.zip(pairs).for_each(|(line, pair)| squares(pair, line, initial, &fold, &finish));
            return;
        }
    }
    let maps = input.chunks_exact(plane);
    for (input, output) in maps.zip(output.chunks_exact_mut((geometry.output.height * geometry.output.width).max(1))) {
        for (y, line) in output.chunks_exact_mut(geometry.output.width.max(1)).enumerate() {
            let rows = real(y, padding.top, kernel_height, size.height);
            let rows = input.get(rows.start * size.width..rows.end * size.width).unwrap_or(&[]);
            for (x, output) in line.iter_mut().enumerate() {
                let columns = real(x, padding.left, kernel_width, size.width);
                let windows = rows.chunks_exact(size.width.max(1)).filter_map(|row| row.get(columns.clone()));
                *output = finish(windows.flatten().fold(initial, |folded, value| fold(folded, *value)));
            }
        }
    }
}

/// Folds two lines of the image to one, in squares.
fn squares<T: Copy>(pair: &[i8], line: &mut [i8], initial: T, fold: &impl Fn(T, i8) -> T, finish: &impl Fn(T) -> i8) {
    let (top, bottom) = pair.split_at_checked(pair.len() / 2).unwrap_or_default();
    let squares = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
    for (output, (top, bottom)) in line.iter_mut().zip(squares) {
        *output = finish(top.iter().chain(bottom).fold(initial, |folded, value| fold(folded, *value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::naive;
    use nested_csr::{TensorShape, Window};
    use proptest::prelude::*;

    proptest! {
        /// Squares, whole maps and other windows.
        #[test]
        fn max_pools_are_the_naive_ones(
            channels in 1..4usize,
            size in [2..9u8, 2..9u8],
            kind in 0..3u8,
            stride in 1..4u8,
            data in prop::collection::vec(any::<i8>(), 3 * 8 * 8),
        ) {
            let shape = TensorShape { channels, height: size[0].into(), width: size[1].into() };
            let window = match kind {
                0 => Window::square(2, 2, 0),
                1 => Window { kernel: size, ..Window::square(1, stride, 0) },
                _ => Window::square(2, stride, 1),
            };
            let geometry = Geometry::new(shape, window, channels, 0).unwrap();
            let mut output = std::vec![0; geometry.output.len()];
            max_pool(&geometry, &data[..shape.len()], &mut output).unwrap();
            prop_assert_eq!(output, naive::max_pool(&geometry, &data[..shape.len()]));
        }
    }
}
