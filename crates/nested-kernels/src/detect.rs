//! Boxes and classes from a detector's output, in integers and without memory of its own.
//!
//! For each anchor of each cell (see [`AnchorTable`]) the class scores are a softmax over the background and the classes;
//! where one of them reaches the threshold, the anchor's box is decoded. The candidates with the highest scores go
//! through a greedy suppression of what overlaps, class by class (Liu et al., "SSD: Single Shot MultiBox Detector", 2016).
//!
//! **To the bit.** With the output's scale `s` and zero point `z` at the level, and steps made of the scale once:
//! `A = round(2²⁴ · s · log₂ e)` for logits, `B = round(2²⁴ · s / 10)` for centres, `C = round(2²⁴ · s / 5 · log₂ e)` for sizes:
//! * `p(x) = 2³¹ · 2^(−x / 2¹⁶)`: the factors of the fraction's binary digits are taken from the highest digit on, and each product is
//!   rounded down, as in [`crate::Softmax`];
//! * with m the greatest logit, `e_j = p((A · (m − q_j) + 2⁷) >> 8)` and Σ the sum of `e_j` over background and classes, the score is
//!   `min(⌊(2¹⁶ · e_c + ⌊Σ/2⌋) / Σ⌋, 2¹⁶ − 1)`;
//! * the edges of a box are `centre + shift ± half`, in 2⁻²⁴ of the image's side: in row y of a map of H rows
//!   `centre = ⌊(2²³ · (2 y + 1) + ⌊H/2⌋) / H⌋`; for an anchor of a/4096 `shift = (a · (q − z) · B + 2¹¹) >> 12`; with `x = (C · |q − z| + 2⁷) >> 8`
//!   `half = (2¹¹ · a · p(x)) >> 31` where q ≤ z, and `(2¹¹ · a · p(2¹⁶ · w − x')) >> (31 − w)` where q > z, x' = min(x, 2²⁰) and
//!   `w = ⌈x' / 2¹⁶⌉`;
//! * edges are clipped to the image and rounded half up to 1/[`BOX_ONE`]; a box without area is no candidate;
//! * candidates are ordered by falling score, equal ones by map, anchor, row, column and class;
//! * boxes overlap too much when `2¹⁶ · intersection > iou · union`.
use crate::{
    KernelError,
    fixed::{LOG2_E, negative_power, scaled},
    geometry::check_length,
};
use boxes::{BoxCode, Edges};
use nested_csr::{AnchorTable, HeadMap, Level, Model, Operation, Quantization};

mod boxes;
#[cfg(test)]
mod tests;

/// Edges of a box are counted in parts of the image's side, so many of which make it whole.
pub const BOX_ONE: u16 = 1 << 14;

/// One object that was found; [`Detector`] has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Detection {
    /// Its class, from 0; the background is none.
    pub class: u16,
    /// Its probability in units of 2⁻¹⁶.
    pub score: u16,
    /// Upper edge, as the others in 1/[`BOX_ONE`] of the image's side: 0..=[`BOX_ONE`].
    pub top: u16,
    /// Left edge.
    pub left: u16,
    /// Lower edge, greater than `top`.
    pub bottom: u16,
    /// Right edge, greater than `left`.
    pub right: u16,
}

/// What counts as found; [`Detector`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The least probability, in units of 2⁻¹⁶.
    pub score: u16,
    /// The greatest intersection over union, in units of 2⁻¹⁶, with a better box of the same class.
    pub iou: u16,
}

impl Default for Thresholds {
    /// A half, and 0.45: SSD's.
    fn default() -> Self {
        Thresholds { score: 1 << 15, iou: 29_491 }
    }
}

/// Reads the output of a model that ends in a detection.
///
/// ```
/// use nested_csr::{Anchor, HeadAnchors, Level, ModelBuilder, Profile, Quantization, TensorShape};
/// use nested_kernels::{BOX_ONE, Detection, Detector, Network, Thresholds};
///
/// // The image itself is the only head map: one cell, one anchor of half the image's sides, one class.
/// let image = TensorShape { channels: 6, height: 1, width: 1 };
/// let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
/// let anchors = [Anchor { height: 2048, width: 2048 }];
/// builder.detection("boxes", builder.input(), 1, &[HeadAnchors { height: 1, width: 1, anchors: &anchors }])?;
/// let network = Network::new(builder.finish(Profile::Size)?)?;
///
/// // An anchor that is not moved, whose class is much likelier than the background.
/// let mut values = [0; 6];
/// network.run(Level::FIRST, &[0, 0, 0, 0, -100, 100], &mut [0; 16], &mut values)?;
///
/// let mut found = [Detection::default(); 8];
/// let count = Detector::new(network.model())?.detect(Level::FIRST, &values, Thresholds::default(), &mut found)?;
/// assert_eq!(count, 1);
/// let quarter = BOX_ONE / 4;
/// assert_eq!((found[0].top, found[0].bottom, found[0].class), (quarter, 3 * quarter, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Detector<'m, B> {
    model: &'m Model<B>,
    anchors: AnchorTable<'m>,
    values: usize,
}

impl<'m, B: AsRef<[u8]>> Detector<'m, B> {
    /// A reader of this model's output.
    ///
    /// # Errors
    /// [`KernelError::NoDetection`] for a model that does not end in one.
    pub fn new(model: &'m Model<B>) -> Result<Self, KernelError> {
        let last = model.node_count().saturating_sub(1);
        match model.node(last).map(|node| node.operation) {
            Some(Operation::Detection { anchors, .. }) => {
                Ok(Detector { model, anchors, values: model.output_shape().len() })
            }
            _ => Err(KernelError::NoDetection),
        }
    }

    /// Classes, the background not among them.
    pub fn classes(&self) -> usize {
        self.anchors.classes()
    }

    /// Fills `found` with what the output `values` of [`crate::Network::run`] at `level` show, best first; returns how many.
    ///
    /// As many candidates as `found` holds, the best, go into the suppression. It takes 1 kB of stack.
    ///
    /// # Errors
    /// [`KernelError::NoSuchLevel`], [`KernelError::InputLength`] for another number of values; `found` is then as it was.
    pub fn detect(
        &self,
        level: Level,
        values: &[i8],
        thresholds: Thresholds,
        found: &mut [Detection],
    ) -> Result<usize, KernelError> {
        let levels = self.model.levels();
        let last = self.model.node_count().saturating_sub(1);
        let no_level = KernelError::NoSuchLevel { level: level.number(), levels: levels.number() };
        let Quantization { scale, zero_point } = self.model.parameters(level, last).ok_or(no_level)?.output();
        check_length(self.values, values.len(), |needed, given| KernelError::InputLength { needed, given })?;
        let search = Search::new(scale.to_bits(), zero_point, self.classes(), thresholds);
        let mut best = Best { found, len: 0 };
        let mut rest = values;
        for map in self.anchors.maps() {
            let len = map.height * map.width * map.anchors().len() * search.channels();
            let (of_map, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            search.map(&map, of_map, &mut best);
            rest = behind;
        }
        let Best { found, len } = best;
        Ok(suppress(found.get_mut(..len).unwrap_or_default(), thresholds.iou))
    }
}

/// The greatest distance of two int8 numbers, and one.
const DISTANCES: usize = 256;
/// Channels of an anchor before its logits, of which the first is the background's: the box's code.
const CODE: usize = 4;

/// What a search through the head maps needs.
struct Search {
    /// `2³¹ · exp(−s · k)` for each distance k of logits.
    exponentials: [u32; DISTANCES],
    /// The greatest distance from the greatest logit at which a score can reach the threshold.
    reach: u8,
    classes: usize,
    score: u16,
    code: BoxCode,
}

impl Search {
    /// Among values of this scale, given by its bits, and this zero point.
    fn new(scale: u32, zero_point: i8, classes: usize, thresholds: Thresholds) -> Search {
        const FRACTION: u32 = 24;
        let step = u64::from(scaled(scale, LOG2_E, FRACTION));
        let mut exponentials = [0; DISTANCES];
        let mut reach = 0;
        for (distance, value) in (0..=u8::MAX).zip(&mut exponentials) {
            *value = negative_power((step * u64::from(distance) + (1 << 7)) >> 8);
            // The sum is at least that of the greatest logit: 2³¹.
            if rounded_share(*value, 1 << 31) >= thresholds.score.into() {
                reach = distance;
            }
        }
        Search { exponentials, reach, classes, score: thresholds.score, code: BoxCode::new(scale, zero_point) }
    }

    /// Channels of an anchor.
    fn channels(&self) -> usize {
        CODE + 1 + self.classes
    }

    /// Searches a map: anchor after anchor, cell after cell.
    fn map(&self, map: &HeadMap<'_>, values: &[i8], best: &mut Best<'_>) {
        let cells = (map.height * map.width).max(1);
        for (anchor, values) in map.anchors().zip(values.chunks_exact((cells * self.channels()).max(1))) {
            let (code, logits) = values.split_at_checked(CODE * cells).unwrap_or_default();
            let (background, classes) = logits.split_at_checked(cells).unwrap_or_default();
            for (cell, &background) in background.iter().enumerate() {
                let logits = || Logits { values: classes, at: cell, step: cells };
                let of_classes = logits().fold(i8::MIN, i8::max);
                let greatest = of_classes.max(background);
                if greatest.abs_diff(of_classes) > self.reach {
                    continue;
                }
                let sum = logits().map(|logit| self.exponential(greatest, logit));
                let sum = sum.fold(self.exponential(greatest, background).into(), |sum: u64, e| sum + u64::from(e));
                let least = self.least(sum);
                // Exponentials fall with the distance: by far more than the roundings of their factors.
                if u64::from(self.exponential(greatest, of_classes)) < least {
                    continue;
                }
                let mut edges = None;
                for (class, logit) in (0..=u16::MAX).zip(logits()) {
                    let exponential = self.exponential(greatest, logit);
                    if u64::from(exponential) < least {
                        continue;
                    }
                    let score = rounded_share(exponential, sum).min(u16::MAX.into()) as u16;
                    if !best.takes(score) {
                        continue;
                    }
                    let place = [cell / map.width.max(1), cell % map.width.max(1)];
                    let decode = || {
                        let code = [0, 1, 2, 3].map(|j| code.get(j * cells + cell).copied().unwrap_or(0));
                        self.code.decode(code, anchor, place, [map.height, map.width])
                    };
                    if let Some(Edges { top, left, bottom, right }) = *edges.get_or_insert_with(decode) {
                        best.insert(Detection { class, score, top, left, bottom, right });
                    }
                }
            }
        }
    }

    /// The least exponential whose share of a sum is rounded to the threshold, or to more: a product where the share is a
    /// division.
    fn least(&self, sum: u64) -> u64 {
        let least = (u64::from(self.score) * sum).saturating_sub(sum / 2);
        least.div_ceil(1 << 16)
    }

    fn exponential(&self, greatest: i8, logit: i8) -> u32 {
        self.exponentials.get(usize::from(greatest.abs_diff(logit))).copied().unwrap_or(0)
    }
}

/// The logits of the classes in one cell: one a plane. (`step_by` takes three times the instructions.)
struct Logits<'v> {
    values: &'v [i8],
    at: usize,
    step: usize,
}

impl Iterator for Logits<'_> {
    type Item = i8;

    #[inline(always)]
    fn next(&mut self) -> Option<i8> {
        let logit = self.values.get(self.at).copied();
        self.at += self.step;
        logit
    }
}

/// `2¹⁶ · part / whole`, rounded half up.
fn rounded_share(part: u32, whole: u64) -> u64 {
    (u64::from(part) << 16).wrapping_add(whole / 2).checked_div(whole).unwrap_or(0)
}

/// The best candidates so far, in order.
struct Best<'f> {
    found: &'f mut [Detection],
    len: usize,
}

impl Best<'_> {
    /// Whether a candidate of this score, which comes behind all so far, would be among them.
    fn takes(&self, score: u16) -> bool {
        self.len < self.found.len() || self.found.last().is_some_and(|last| last.score < score)
    }

    /// Puts it behind all that are not worse; when there is no room the worst gives way.
    fn insert(&mut self, candidate: Detection) {
        self.len = (self.len + 1).min(self.found.len());
        let held = self.found.get_mut(..self.len).unwrap_or_default();
        if let Some(last) = held.last_mut() {
            *last = candidate;
        }
        let mut at = held.len();
        while let Some([before, last]) = at.checked_sub(2).and_then(|first| held.get_mut(first..at)) {
            if before.score >= last.score {
                break;
            }
            core::mem::swap(before, last);
            at -= 1;
        }
    }
}

/// Moves what no better box of its class overlaps to the front; returns how many these are.
fn suppress(candidates: &mut [Detection], iou: u16) -> usize {
    let mut kept = 0;
    for index in 0..candidates.len() {
        let Some((better, rest)) = candidates.split_at_mut_checked(kept) else { break };
        let Some(candidate) = rest.get(index - kept).copied() else { break };
        if better.iter().all(|better| better.class != candidate.class || !overlap(better, &candidate, iou)) {
            if let Some(place) = rest.first_mut() {
                *place = candidate;
            }
            kept += 1;
        }
    }
    kept
}

/// Whether two boxes share more than so many 2⁻¹⁶ of what they cover together.
fn overlap(a: &Detection, b: &Detection, iou: u16) -> bool {
    let side = |low: u16, high: u16| u32::from(high.saturating_sub(low));
    let area = |d: &Detection| side(d.top, d.bottom) * side(d.left, d.right);
    let shared = side(a.top.max(b.top), a.bottom.min(b.bottom)) * side(a.left.max(b.left), a.right.min(b.right));
    let union = u64::from(area(a)) + u64::from(area(b)) - u64::from(shared);
    u64::from(shared) << 16 > u64::from(iou) * union
}
