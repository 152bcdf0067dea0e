//! The int8 range of a tensor, from its values: where to clip, so that the mean squared error is least.
use nested_csr::Quantization;

/// Bins between the extremes.
const BINS: usize = 1024;

/// Clipped ranges that are tried, as shares of the whole.
const SHARES: std::ops::RangeInclusive<usize> = 16..=64;

/// Which of the two looks at the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Find least and greatest.
    Extremes,
    /// Count how often each value occurs.
    Counts,
}

/// The values of one tensor, or of several that share a range; finite ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    /// Least value, or 0.
    low: f32,
    /// Greatest value, or 0.
    high: f32,
    counts: Vec<u32>,
}

impl Range {
    pub(super) fn see(&mut self, look: Look, value: f32) {
        match look {
            Look::Extremes => {
                self.low = self.low.min(value);
                self.high = self.high.max(value);
            }
            Look::Counts => {
                if self.counts.is_empty() {
                    self.counts = vec![0; BINS];
                }
                let bin = (value - self.low) / self.width() * BINS as f32;
                self.counts[(bin as usize).min(BINS - 1)] += 1;
            }
        }
    }

    fn width(&self) -> f32 {
        (self.high - self.low).max(f32::MIN_POSITIVE)
    }

    /// The scale and zero point of the least error, the greatest side clipped first; 0 is always a whole count.
    pub(super) fn quantization(&self) -> Quantization {
        let clip = |high: bool, other: f32| {
            let shares = SHARES.rev().map(|share| share as f32 / *SHARES.end() as f32);
            let errors = shares.map(|share| {
                let (low, high) = if high { (other, share) } else { (share, other) };
                (self.error(quantization_of(self.low * low, self.high * high)), share)
            });
            errors.reduce(|best, next| if next.0 < best.0 { next } else { best }).map_or(1.0, |best| best.1)
        };
        let high = clip(true, 1.0);
        let low = clip(false, high);
        quantization_of(self.low * low, self.high * high)
    }

    /// Sum of squared errors over the counts.
    fn error(&self, Quantization { scale, zero_point }: Quantization) -> f64 {
        let bins = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        bins.map(|(bin, &count)| {
            let value = self.low + (bin as f32 + 0.5) / BINS as f32 * self.width();
            let zero = f32::from(zero_point);
            let back = ((value / scale).round().clamp(-128.0 - zero, 127.0 - zero)) * scale;
            f64::from(count) * f64::from(value - back).powi(2)
        })
        .sum()
    }
}

/// The int8 grid over `[low, high]`, with 0 on a count.
fn quantization_of(low: f32, high: f32) -> Quantization {
    let width = high - low;
    if width <= f32::MIN_POSITIVE * 256.0 {
        return Quantization { scale: 1.0, zero_point: -128 };
    }
    let scale = width / 255.0;
    Quantization { scale, zero_point: (-128.0 - low / scale).round().clamp(-128.0, 127.0) as i8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(values: &[f32]) -> Range {
        let mut range = Range::default();
        for look in [Look::Extremes, Look::Counts] {
            values.iter().for_each(|&value| range.see(look, value));
        }
        range
    }

    #[test]
    fn what_a_relu_yields_has_zero_point_minus_128() {
        let values: Vec<f32> = (0..1000).map(|i| i as f32 / 100.0).collect();
        let Quantization { scale, zero_point } = range(&values).quantization();
        assert_eq!(zero_point, -128);
        assert!((scale - 9.99 / 255.0).abs() < 0.002, "{scale}");
    }

    #[test]
    fn an_outlier_is_clipped_when_that_pays() {
        let mut values: Vec<f32> = (0..100_000).map(|i| (i % 1000) as f32 / 1000.0 - 0.5).collect();
        values.push(1.0);
        assert!(range(&values).quantization().scale < 1.4 / 255.0);
        *values.last_mut().unwrap() = 3.0;
        assert!(range(&values).quantization().scale > 3.0 / 255.0);
    }

    #[test]
    fn a_tensor_of_zeros_has_a_quantisation() {
        assert_eq!(range(&[0.0; 3]).quantization(), Quantization { scale: 1.0, zero_point: -128 });
    }
}
