//! The arithmetic that every reader of the format shares, to the bit.

/// Real value = `scale · (q − zero_point)`.
///
/// ```
/// let image = nested_csr::Quantization { scale: 0.5, zero_point: -10 };
/// let real = |q: i8| image.scale * (f32::from(q) - f32::from(image.zero_point));
/// assert_eq!([-10, 0, 2].map(real), [0.0, 5.0, 6.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// Real step of one count; positive and finite.
    pub scale: f32,
    /// The count that means 0.
    pub zero_point: i8,
}

impl Quantization {
    /// What two quantisations that are one have in common.
    pub(crate) fn bits(&self) -> (u32, i8) {
        (self.scale.to_bits(), self.zero_point)
    }
}

/// A real multiplier in `[0, ½)`, held as `m / 2³²`, in the 16-bit form that the format stores:
/// exponent `e` in the top 4 bits, fraction `f` in the low 12, `m = (4096 + f) << (e + 3)`; the code 0 means `m = 0`.
///
/// ```
/// # use nested_csr::Multiplier;
/// let quarter = Multiplier::from_code(0xf000);
/// assert_eq!((quarter.m(), quarter.code()), (1 << 30, 0xf000));
/// assert_eq!(quarter.apply(6), 2); // 1.5, rounded half up
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multiplier(u16);

impl Multiplier {
    /// From the stored code.
    pub const fn from_code(code: u16) -> Multiplier {
        Multiplier(code)
    }

    /// The stored code.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The integer `m`, in `[0, 2³¹)`.
    pub const fn m(self) -> i32 {
        if self.0 == 0 {
            return 0;
        }
        (0x8000 | ((self.0 & 0xfff) as i32) << 3) << (self.0 >> 12)
    }

    /// The representable multiplier nearest to `real`, the greater of two equally near; `None` when `real` is not in
    /// `[0, ½)`, before or after rounding.
    ///
    /// ```
    /// # use nested_csr::Multiplier;
    /// assert_eq!(Multiplier::nearest(0.25).map(|m| m.m()), Some(1 << 30));
    /// assert_eq!(Multiplier::nearest(0.5), None);
    /// ```
    pub fn nearest(real: f64) -> Option<Multiplier> {
        if !(0.0..0.5).contains(&real) {
            return None;
        }
        // Exact: a multiplication by a power of 2.
        let m = real * 4_294_967_296.0;
        // The least code is m = 4097 · 2³, so the first values round to 0 or to it.
        if m < 4097.0 * 8.0 {
            return Some(Multiplier(u16::from(m >= 4097.0 * 4.0)));
        }
        let mut step = 8.0;
        for exponent in 0..16u16 {
            // Truncation after adding ½ rounds half up; the sum is exact for values below 2⁵².
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it saturates, and is not negative
            let fraction = (m / step + 0.5) as u16;
            if fraction < 8192 {
                return Some(Multiplier((exponent << 12) | fraction.saturating_sub(4096)));
            }
            step *= 2.0;
        }
        None
    }

    /// `(acc · m + 2³¹) >> 32`: round half up. One SMMLAR on Arm.
    ///
    /// ```
    /// # use nested_csr::Multiplier;
    /// let quarter = Multiplier::nearest(0.25).unwrap_or(Multiplier::from_code(0));
    /// assert_eq!([6, 5, -6].map(|acc| quarter.apply(acc)), [2, 1, -1]); // 1.5, 1.25, −1.5
    /// ```
    #[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)] // 2³¹ · 2³¹ + 2³¹ fits, and its upper half
    pub const fn apply(self, acc: i32) -> i32 {
        ((acc as i64 * self.m() as i64 + (1 << 31)) >> 32) as i32
    }
}

/// What turns a row's accumulator into its int8 output at one level:
/// `q = clamp(zero_point + multiplier.apply(bias + Σ w·a), low, high)`.
///
/// ```
/// # use nested_csr::{Multiplier, Requantization};
/// let row = Requantization { multiplier: Multiplier::from_code(0xf000), bias: 6 }; // times ¼
/// let (zero_point, low, high, dot_product) = (-128, -128, 127, 100);
/// let q = (zero_point + row.multiplier.apply(row.bias + dot_product)).clamp(low, high);
/// assert_eq!(q, -101); // 26.5 rounds up
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Requantization {
    /// The input's scale times the row's weights', over the output's: what turns counts of the accumulator into counts of the
    /// output.
    pub multiplier: Multiplier,
    /// Added to the dot product; the input's zero point is folded in: `bias = b − zero_point_in · Σ w`.
    pub bias: i32,
}
