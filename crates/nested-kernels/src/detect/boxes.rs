//! The way from an anchor and its code to the edges of a box.
use super::BOX_ONE;
use crate::fixed::{LOG2_E, negative_power, scaled};
use nested_csr::Anchor;

/// Bits of the fraction of an edge while it is worked out.
const FRACTION: u32 = 24;
/// Anchors are counted in 2⁻¹² of the image's side: what is missing to half of [`FRACTION`]'s unit.
const HALF_ANCHOR: u32 = FRACTION - 12 - 1;
/// The most powers of two by which a size may grow: it is then larger than the image, however small the anchor.
const MOST: u64 = 16;

/// A box in 1/[`BOX_ONE`] of the image's sides, inside it, of some area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges {
    pub(super) top: u16,
    pub(super) left: u16,
    pub(super) bottom: u16,
    pub(super) right: u16,
}

/// How the int8 code of a box is read. Variances: 0.1 of the centre, 0.2 of the size (SSD's).
pub(super) struct BoxCode {
    zero_point: i8,
    /// `2²⁴ · s / 10`.
    centre: u32,
    /// `2²⁴ · s / 5 · log₂ e`.
    size: u32,
}

impl BoxCode {
    /// Of values of this scale, given by its bits, and this zero point.
    pub(super) fn new(scale: u32, zero_point: i8) -> BoxCode {
        const TENTH: u32 = 107_374_182;
        // Of log₂ e / 5 · 2³⁰; the rounding of both is the same.
        const FIFTH: u32 = (LOG2_E + 2) / 5;
        BoxCode { zero_point, centre: scaled(scale, TENTH, FRACTION), size: scaled(scale, FIFTH, FRACTION) }
    }

    /// The box of `code` `(t_cy, t_cx, t_h, t_w)` around an anchor in cell `(y, x)` of a map of height and width `map`; `None`
    /// when nothing of it is in the image.
    pub(super) fn decode(&self, code: [i8; 4], anchor: Anchor, cell: [usize; 2], map: [usize; 2]) -> Option<Edges> {
        let [cy, cx, h, w] = code.map(|count| i64::from(count) - i64::from(self.zero_point));
        let (top, bottom) = self.side(anchor.height, cy, h, cell[0], map[0])?;
        let (left, right) = self.side(anchor.width, cx, w, cell[1], map[1])?;
        Some(Edges { top, left, bottom, right })
    }

    /// Both edges in one direction, when they differ.
    fn side(&self, anchor: u16, shift: i64, size: i64, cell: usize, cells: usize) -> Option<(u16, u16)> {
        let centre = (((2 * cell as u64 + 1) << (FRACTION - 1)) + cells as u64 / 2).checked_div(cells as u64)?;
        let shift = (i64::from(anchor) * shift * i64::from(self.centre) + (1 << 11)) >> 12;
        let half = self.half(anchor, size);
        let edge = |at: i64| {
            const ROUND: u32 = FRACTION - BOX_ONE.ilog2();
            ((at.clamp(0, 1 << FRACTION) + (1 << (ROUND - 1))) >> ROUND) as u16
        };
        let middle = centre as i64 + shift;
        let (low, high) = (edge(middle - half), edge(middle + half));
        (low < high).then_some((low, high))
    }

    /// Half the size.
    fn half(&self, anchor: u16, size: i64) -> i64 {
        let exponent = (u64::from(self.size) * size.unsigned_abs() + (1 << 7)) >> 8;
        let (whole, rest) = if size > 0 {
            let exponent = exponent.min(MOST << 16);
            let whole = exponent.div_ceil(1 << 16);
            (whole, (whole << 16) - exponent)
        } else {
            (0, exponent)
        };
        let half = u64::from(anchor) << HALF_ANCHOR;
        ((half * u64::from(negative_power(rest))) >> (31 - whole)) as i64
    }
}
