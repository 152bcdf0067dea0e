//! Powers of two in fixed point, and constants made from a scale without floating point.

/// Bits of the fraction of an exponent.
pub(crate) const FRACTION: u32 = 16;

/// `log₂ e · 2³⁰`, rounded.
pub(crate) const LOG2_E: u32 = 1_549_082_005;

/// `2³² · 2^(−2^−i)`, rounded, for i = 1..=16: what a fraction's bit i multiplies by.
const ROOTS: [u32; FRACTION as usize] = [
    3_037_000_500,
    3_611_622_603,
    3_938_502_376,
    4_112_874_773,
    4_202_935_003,
    4_248_701_965,
    4_271_771_996,
    4_283_353_945,
    4_289_156_690,
    4_292_061_010,
    4_293_513_907,
    4_294_240_540,
    4_294_603_903,
    4_294_785_595,
    4_294_876_445,
    4_294_921_870,
];

/// `2³¹ · 2^(−exponent / 2¹⁶)`, rounded down after each factor: at most 2³¹.
pub(crate) fn negative_power(exponent: u64) -> u32 {
    let mut value = 1u32 << 31;
    for (root, bit) in ROOTS.iter().zip((0..FRACTION).rev()) {
        if exponent >> bit & 1 == 1 {
            value = ((u64::from(value) * u64::from(*root)) >> 32) as u32;
        }
    }
    let whole = u32::try_from(exponent >> FRACTION).unwrap_or(u32::MAX);
    value.checked_shr(whole).unwrap_or(0)
}

/// `scale · constant / 2³⁰ · 2^fraction`, rounded half up, at most `u32::MAX`; 0 for a scale that is not positive.
///
/// It takes the scale's bits, and takes them apart: what is worked out while a network runs needs no floating point.
pub(crate) const fn scaled(bits: u32, constant: u32, fraction: u32) -> u32 {
    const MANTISSA: u32 = 23;
    const BIAS: i64 = 127 + MANTISSA as i64 + 30;
    let (exponent, mantissa) = (bits >> MANTISSA, bits & ((1 << MANTISSA) - 1));
    if exponent > 0xff || (exponent == 0xff && mantissa > 0) {
        return 0; // negative, or not a number
    }
    // Numbers below the least normal one have its exponent and no hidden bit.
    let hidden = if exponent == 0 { 0 } else { 1 << MANTISSA };
    let product = (mantissa | hidden) as u64 * constant as u64;
    let shift = (if exponent == 0 { 1 } else { exponent }) as i64 + fraction as i64 - BIAS;
    let value = match shift {
        _ if product == 0 => 0,
        8.. => u64::MAX,
        0..8 => product << shift,
        -63..0 => ((product >> (-shift - 1)) + 1) >> 1,
        _ => 0,
    };
    if value > u32::MAX as u64 { u32::MAX } else { value as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_roots_are_what_they_say() {
        for (i, root) in (1..).zip(ROOTS) {
            let exact = 2f64.powi(32) * 2f64.powf(-(2f64.powi(-i)));
            assert_eq!(f64::from(root), exact.round(), "root {i}");
        }
        assert_eq!(f64::from(LOG2_E), (std::f64::consts::LOG2_E * 2f64.powi(30)).round());
    }

    #[test]
    fn what_is_not_a_positive_number_counts_as_nothing() {
        for scale in [0.0, -0.0, -1.0, f32::NAN, -f32::NAN, f32::NEG_INFINITY, f32::from_bits(1)] {
            assert_eq!(scaled(scale.to_bits(), u32::MAX, 24), 0, "{scale}");
        }
        for scale in [f32::INFINITY, f32::MAX, 1e9] {
            assert_eq!(scaled(scale.to_bits(), LOG2_E, 24), u32::MAX, "{scale}");
        }
    }

    proptest! {
        #[test]
        fn a_scaled_constant_is_the_real_product_rounded(bits: u32, constant: u32, fraction in 0..=24u32) {
            let scale = f32::from_bits(bits);
            let exact = f64::from(scale) * f64::from(constant) * 2f64.powi(fraction as i32 - 30);
            // 24 + 32 bits are more than a double holds, so a tie may round the other way there.
            let found = f64::from(scaled(bits, constant, fraction));
            let expected = if scale > 0.0 { (exact + 0.5).floor().min(f64::from(u32::MAX)) } else { 0.0 };
            prop_assert!((found - expected).abs() <= f64::from(u8::from((exact.fract() - 0.5).abs() < 1e-6)), "{scale}: {found}, {expected}");
        }

        #[test]
        fn a_power_is_within_two_counts_of_a_million(exponent in 0..1u64 << 21) {
            let exact = 2f64.powi(31) * (-(exponent as f64) / 65536.0).exp2();
            prop_assert!((f64::from(negative_power(exponent)) - exact).abs() <= 17.0);
        }
    }
}
