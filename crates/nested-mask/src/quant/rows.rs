//! One layer's int8 weights, and the requantisation of its rows at each level.
use super::{QuantError, fraction, in_range, multiplier};
use crate::nn::{Layer, Parameters};
use nested_csr::{Level, Quantization, Requantization};

/// Symmetric int8 weights of one row, in −127..=127, and the real step of one count: `max |w| / 127`, or 1 for a row of
/// zeros. Values must be finite: what is not becomes 0 or an extreme.
///
/// ```
/// let (integers, step) = nested_mask::quant::quantize_row(&[0.0, -0.5, 1.27]);
/// assert_eq!(integers, [0, -50, 127]);
/// assert_eq!(step, 1.27 / 127.0);
/// ```
pub fn quantize_row(values: &[f32]) -> (Vec<i8>, f32) {
    let greatest = values.iter().fold(0.0f32, |greatest, value| greatest.max(value.abs()));
    let step = if greatest > 0.0 { greatest / 127.0 } else { 1.0 };
    (values.iter().map(|value| (value / step).round().clamp(-127.0, 127.0) as i8).collect(), step)
}

/// Rounds the weights of every layer to what their int8 weights stand for, those outside the densest level left as they are.
pub(crate) fn round_weights(parameters: &mut Parameters<f32>) {
    for layer in parameters.layers.iter_mut().flatten() {
        let rings = layer.mask.as_ref().map(|mask| mask.rings().view());
        for (index, mut row) in layer.weights.rows_mut().into_iter().enumerate() {
            let kept: Vec<bool> = match &rings {
                Some(rings) => rings.row(index).iter().map(|&ring| ring != 0).collect(),
                None => vec![true; row.len()],
            };
            let values: Vec<f32> = row.iter().zip(&kept).map(|(&w, &kept)| if kept { w } else { 0.0 }).collect();
            let (integers, step) = quantize_row(&values);
            for ((weight, integer), kept) in row.iter_mut().zip(integers).zip(kept) {
                if kept {
                    *weight = f32::from(integer) * step;
                }
            }
        }
    }
}

/// Int8 weights of one layer: one scale a row, for all levels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QuantizedLayer {
    /// Row-major; 0 outside the densest level.
    pub(super) weights: Vec<i8>,
    /// The ring of each weight; `None` when the layer is dense.
    pub(super) rings: Option<Vec<u8>>,
    /// Real step of one count, one a row; negative where the normalisation turns the sign, so that multipliers stay positive.
    scales: Vec<f32>,
}

impl QuantizedLayer {
    pub(super) fn new(name: &str, layer: &Layer<f32>) -> Result<QuantizedLayer, QuantError> {
        let rings = layer.mask.as_ref().map(|mask| mask.flat().to_vec());
        let columns = layer.weights.ncols();
        let mut weights = Vec::with_capacity(layer.weights.len());
        let mut scales = Vec::with_capacity(layer.weights.nrows());
        for (row, values) in layer.weights.rows().into_iter().enumerate() {
            let kept = |column: usize| rings.as_ref().is_none_or(|rings| rings[row * columns + column] != 0);
            let values: Vec<f32> = (0..columns).map(|column| if kept(column) { values[column] } else { 0.0 }).collect();
            let (integers, step) = quantize_row(&values);
            let sign = sign(name, layer, row)?;
            weights.extend(integers.iter().map(|&integer| if sign < 0.0 { -integer } else { integer }));
            scales.push(step * sign);
        }
        Ok(QuantizedLayer { weights, rings, scales })
    }

    /// Puts the real values of the int8 weights into the layer.
    pub(super) fn dequantize(&self, layer: &mut Layer<f32>) {
        let columns = layer.weights.ncols();
        let integers = self.weights.chunks_exact(columns).zip(&self.scales);
        for (mut row, (integers, scale)) in layer.weights.rows_mut().into_iter().zip(integers) {
            row.iter_mut().zip(integers).for_each(|(weight, &integer)| *weight = f32::from(integer) * scale);
        }
    }

    /// Multiplier and bias of each row. With `a · Σ w x + b` the normalised sum and `S` the scales:
    /// `multiplier = a · S_w · S_in / S_out`, `bias = b / (S_out · multiplier) − zero point · Σ w`.
    ///
    /// Two kinds of rows have a bias that keeps the mean `β` of the normalised sum,
    /// `β / (S_out · multiplier) − mean / (S_w · S_in) − …`: those whose multiplier would be beyond the greatest or the
    /// least there is, which have that; and those whose sum varies less than the rounding of its inputs to whole counts
    /// disturbs it (`variance < S_w² S_in² Σ w² / 12`), which yield that mean alone.
    pub(super) fn requantizations(
        &self,
        layer: &Layer<f32>,
        level: Level,
        epsilon: f64,
        [input, output]: [Quantization; 2],
    ) -> Vec<Requantization> {
        let columns = layer.weights.ncols();
        let counts = layer.counts(level);
        let norm = layer.norms.get(level.number() - 1).map(|norm| (norm.affine(epsilon), norm));
        let one = |(row, weights): (usize, &[i8])| {
            let used = |column: &usize| counts(row * columns + column);
            let total: i64 = (0..columns).filter(used).map(|column| i64::from(weights[column])).sum();
            let squares: f64 = (0..columns).filter(used).map(|column| f64::from(weights[column]).powi(2)).sum();
            let scale = f64::from(output.scale);
            let step = f64::from(self.scales[row]) * f64::from(input.scale);
            let a = norm.as_ref().map_or(1.0, |((a, _), _)| f64::from(a[row]));
            let noise = step * step * squares / 12.0;
            let drowned = norm.as_ref().is_some_and(|(_, norm)| f64::from(norm.variance[row]) < noise);
            let real = match (drowned, squares > 0.0) {
                // Next to nothing of a sum that hardly varies.
                (true, _) => 1.0 / 4096.0,
                (false, true) => a * step / scale,
                // Without weights only the bias counts, and any multiplier will do.
                (false, false) => 1.0 / 1024.0,
            };
            let multiplier = multiplier(real);
            let shift = match &norm {
                Some((_, norm)) if drowned || !in_range(real) => {
                    let mean = f64::from(norm.shift[row]) / scale;
                    // No output is farther than 255 counts from another.
                    let mean = if drowned { mean.clamp(-256.0, 256.0) } else { mean };
                    mean / fraction(multiplier) - f64::from(norm.mean[row]) / step
                }
                Some(((_, b), _)) => f64::from(b[row]) / (scale * fraction(multiplier)),
                None => f64::from(layer.bias.get(row).copied().unwrap_or(0.0)) / (scale * fraction(multiplier)),
            };
            let bias = shift.round() - (i64::from(input.zero_point) * total) as f64;
            // A conversion to an integer saturates; the builder refuses what would overflow.
            Requantization { multiplier, bias: bias as i32 }
        };
        self.weights.chunks_exact(columns).enumerate().map(one).collect()
    }
}

/// −1 when every level's normalisation turns the row's sign, else 1.
fn sign(name: &str, layer: &Layer<f32>, row: usize) -> Result<f32, QuantError> {
    let negative = layer.norms.iter().filter(|norm| norm.scale[row] < 0.0).count();
    match negative {
        0 => Ok(1.0),
        all if all == layer.norms.len() => Ok(-1.0),
        _ => Err(QuantError::Sign { node: name.into(), row }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{EPSILON, Norm};
    use ndarray::Array2;
    use nested_csr::Multiplier;

    /// The output of each row, in reals, when all inputs have so many counts.
    fn outputs(layer: &Layer<f32>, output: Quantization, counts: i32) -> Vec<f64> {
        let input = Quantization { scale: 0.05, zero_point: -128 };
        let quantized = QuantizedLayer::new("layer", layer).unwrap();
        let rows = quantized.requantizations(layer, Level::FIRST, EPSILON, [input, output]);
        let sums = quantized.weights.chunks_exact(layer.weights.ncols());
        let sums = sums.map(|weights| weights.iter().map(|weight| i32::from(*weight) * counts).sum::<i32>());
        let one = |(sum, row): (i32, &Requantization)| {
            f64::from(row.multiplier.apply(sum + row.bias)) * f64::from(output.scale)
        };
        sums.zip(&rows).map(one).collect()
    }

    fn normalised(weights: Array2<f32>, mean: f32, variance: f32) -> Layer<f32> {
        let rows = weights.nrows();
        let norm = Norm {
            scale: vec![1.0; rows],
            shift: vec![0.5; rows],
            mean: vec![mean; rows],
            variance: vec![variance; rows],
        };
        Layer { weights, mask: None, bias: Vec::new(), norms: vec![norm] }
    }

    #[test]
    fn a_row_that_varies_less_than_rounding_yields_its_mean() {
        let output = Quantization { scale: 0.02, zero_point: -128 };
        // A count of the input stands for 0.05, so that rounding one has a variance of 0.0002, and 64 of 0.013.
        for (columns, variance) in [(1, 0.0001), (1, 0.0), (64, 0.01), (64, 0.0)] {
            // The inputs stand for 6.35.
            let layer = normalised(Array2::ones((1, columns)), 6.35 * columns as f32, variance);
            for near in [-1, 0, 1] {
                let found = outputs(&layer, output, near - 1)[0];
                assert!((found - 0.5).abs() < 0.05, "{columns} columns, {near} counts from the mean: {found}");
            }
        }
        let varied = normalised(Array2::ones((1, 1)), 6.35, 0.0003);
        assert!(outputs(&varied, output, 1)[0] > outputs(&varied, output, -3)[0] + 0.5);
    }

    #[test]
    fn a_row_whose_multiplier_is_too_small_keeps_its_mean() {
        let layer = normalised(Array2::ones((1, 64)), 6.35 * 64.0, 1e10);
        let found = outputs(&layer, Quantization { scale: 0.02, zero_point: -128 }, -1)[0];
        assert!((found - 0.5).abs() < 0.02, "{found}");
    }

    #[test]
    fn a_row_whose_multiplier_is_too_great_keeps_its_mean() {
        // A weight of an input that is always 0 makes the others' counts few: 0.079 · 127 is 10.
        let mut weights = Array2::from_elem((1, 11), 0.079);
        weights[[0, 0]] = 1.0;
        let output = Quantization { scale: 0.0001, zero_point: -128 };
        let layer = normalised(weights, 12.0, 1.0);
        let input = Quantization { scale: 0.05, zero_point: -128 };
        let row = QuantizedLayer::new("layer", &layer).unwrap().requantizations(
            &layer,
            Level::FIRST,
            EPSILON,
            [input, output],
        )[0];
        assert_eq!(row.multiplier, Multiplier::from_code(0xffff));
        // 12 is 12 · 127 / 0.05 counts of the sum.
        let mean = row.multiplier.apply(30_480 - 128 * 227 + row.bias);
        assert!((f64::from(mean) * 0.0001 - 0.5).abs() < 0.001, "{mean}");
    }
}
