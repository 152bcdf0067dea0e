//! One layer's int8 weights, and the requantisation of its rows at each level.
use super::{QuantError, fraction, multiplier};
use crate::nn::{Layer, Parameters};
use nested_csr::{Level, Multiplier, Quantization, Requantization};

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
        let rings: Option<Vec<u8>> = layer.mask.as_ref().map(|mask| mask.rings().iter().copied().collect());
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
    /// A row that hardly varies is normalised with so great an `a` that a single count of its sum would move the output by half a
    /// count or more: no integer input tells its values apart, and it yields their mean, the normalisation's shift.
    pub(super) fn requantizations(
        &self,
        layer: &Layer<f32>,
        level: Level,
        input: Quantization,
        output: Quantization,
    ) -> Vec<Requantization> {
        let columns = layer.weights.ncols();
        let counts = layer.counts(level);
        let norm = layer.norms.get(level.number() - 1).map(|norm| (norm.affine(), &norm.shift));
        let one = |(row, weights): (usize, &[i8])| {
            let (a, b, mean) = match &norm {
                Some(((a, b), shift)) => (a[row], b[row], Some(shift[row])),
                None => (1.0, layer.bias.get(row).copied().unwrap_or(0.0), None),
            };
            let used = |column: &usize| counts(row * columns + column);
            let total: i64 = (0..columns).filter(used).map(|column| i64::from(weights[column])).sum();
            let dead = (0..columns).filter(used).all(|column| weights[column] == 0);
            let scale = f64::from(output.scale);
            let real = f64::from(a) * f64::from(self.scales[row]) * f64::from(input.scale) / scale;
            let (real, b) = match mean {
                // Without weights only the bias counts, and any multiplier will do.
                _ if dead => (1.0 / 1024.0, b),
                // The least that leaves the bias of 255 counts room in 24 bits, and of the sum next to nothing.
                Some(mean) if Multiplier::nearest(real).is_none() => (1.0 / 32768.0, mean),
                _ => (real, b),
            };
            let multiplier = multiplier(real);
            let shift = (f64::from(b) / (scale * fraction(multiplier))).round();
            let bias = shift - (i64::from(input.zero_point) * total) as f64;
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
    use crate::nn::Norm;
    use ndarray::array;

    #[test]
    fn a_row_that_hardly_varies_yields_its_mean() {
        // The first row's sum has a deviation of 1, the second's of less than √ε.
        let norm =
            Norm { scale: vec![1.0, 1.0], shift: vec![0.5, 0.5], mean: vec![2.0, 2.0], variance: vec![1.0, 0.0] };
        let layer = Layer { weights: array![[1.0f32], [1.0]], mask: None, bias: Vec::new(), norms: vec![norm] };
        let quantized = QuantizedLayer::new("layer", &layer).unwrap();
        let (input, output) =
            (Quantization { scale: 0.05, zero_point: -128 }, Quantization { scale: 0.02, zero_point: -128 });
        let rows = quantized.requantizations(&layer, Level::FIRST, input, output);
        let output_of = |row: usize, value: i32| {
            let Requantization { multiplier, bias } = rows[row];
            f64::from(multiplier.apply(127 * value + bias)) * 0.02
        };
        for counts in [-128, -88, -48, 127] {
            let real = f64::from(counts + 128) * 0.05;
            assert!((output_of(0, counts) - (real - 2.0 + 0.5)).abs() < 0.05, "{real}");
            assert!((output_of(1, counts) - 0.5).abs() < 0.05, "{real}");
        }
    }
}
