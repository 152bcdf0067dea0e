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

/// The values of one tensor.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    /// Least value, or 0.
    low: f32,
    /// Greatest value, or 0.
    high: f32,
    counts: Vec<u32>,
    not_finite: bool,
}

impl Range {
    pub(super) fn see(&mut self, look: Look, value: f32) {
        match look {
            Look::Extremes => {
                self.not_finite |= !value.is_finite();
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

    pub(super) fn is_finite(&self) -> bool {
        !self.not_finite
    }

    fn width(&self) -> f32 {
        (self.high - self.low).max(f32::MIN_POSITIVE)
    }

    /// The scale and zero point of the least error; 0 is always a whole count.
    pub(super) fn quantization(&self) -> Quantization {
        let tried = SHARES.map(|share| quantization_of(self.low, self.high, share as f32 / *SHARES.end() as f32));
        let errors = tried.map(|quantization| (self.error(quantization), quantization));
        let least = errors.reduce(|best, next| if next.0 <= best.0 { next } else { best });
        least.map_or(Quantization { scale: 1.0, zero_point: 0 }, |(_, quantization)| quantization)
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

/// The int8 grid over a share of `[low, high]`, with 0 on a count.
fn quantization_of(low: f32, high: f32, share: f32) -> Quantization {
    let (low, high) = (low * share, high * share);
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
    fn one_outlier_is_clipped() {
        let mut values: Vec<f32> = (0..100_000).map(|i| (i % 1000) as f32 / 1000.0 - 0.5).collect();
        values.push(3.0);
        assert!(range(&values).quantization().scale < 3.0 / 255.0);
    }

    #[test]
    fn a_tensor_of_zeros_and_values_that_are_not_finite_are_seen() {
        assert_eq!(range(&[0.0; 3]).quantization(), Quantization { scale: 1.0, zero_point: -128 });
        assert!(range(&[1.0]).is_finite());
        assert!(!range(&[f32::NAN]).is_finite());
        assert!(!range(&[f32::INFINITY]).is_finite());
    }
}
