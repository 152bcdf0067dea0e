//! What a detector's values cost: cross-entropy of the classes over the anchors that are to find an object and over the
//! hardest of the others, and a smooth distance of the boxes.
//!
//! Source: Liu et al., SSD (2016), equations 1–3; hard negatives in section 2.2.
use super::{Matching, PlacedAnchor, anchors::CODE};
use crate::nn::{Scalar, log_softmax, log_softmax_at};

/// Negatives that count for each anchor that is to find an object.
const NEGATIVES: usize = 3;
/// Negatives that count in an image without objects.
const LEAST_NEGATIVES: usize = 8;

/// Another network's values of the same image, to learn from.
pub(crate) struct Teacher<'a, T> {
    /// The values.
    pub(crate) values: &'a [T],
    /// Their part of the loss, in `[0, 1]`.
    pub(crate) mix: T,
    /// What logits are divided by.
    pub(crate) temperature: T,
}

/// The loss of one image, times `each`, and its gradient, which takes the place of what is in `gradient`.
///
/// With a teacher the cross-entropy is `(1 − mix) · CE(labels) + mix · T² · CE(teacher at T)` over the same anchors, and
/// the boxes are to be those of the teacher to the part `mix`.
pub(crate) fn image_loss<T: Scalar>(
    anchors: &[PlacedAnchor],
    classes: usize,
    matching: &Matching,
    each: T,
    teacher: Option<&Teacher<'_, T>>,
    values: &[T],
    gradient: &mut [T],
) -> f64 {
    gradient.fill(T::zero());
    let mut scratch = Logits { classes: classes + 1, log: vec![T::zero(); 2 * (classes + 1)] };
    let mut loss = T::zero();
    for found in &matching.found {
        let anchor = &anchors[found.anchor];
        loss += scratch.cross_entropy(anchor, usize::from(found.class) + 1, each, teacher, values, gradient);
        loss += boxes(anchor, found.code, each, teacher, values, gradient);
    }
    for anchor in hardest(anchors, classes, matching, values) {
        loss += scratch.cross_entropy(&anchors[anchor], 0, each, teacher, values, gradient);
    }
    loss.to_f64()
}

/// Of the background's anchors those that are surest to have an object.
fn hardest<T: Scalar>(anchors: &[PlacedAnchor], classes: usize, matching: &Matching, values: &[T]) -> Vec<usize> {
    let Matching { found, ignored } = matching;
    let wanted = if found.is_empty() { LEAST_NEGATIVES } else { NEGATIVES * found.len() };
    let mut matched = found.iter().map(|found| found.anchor).peekable();
    let mut ignored = ignored.iter().peekable();
    let mut costs = Vec::with_capacity(anchors.len());
    for (index, anchor) in anchors.iter().enumerate() {
        if matched.next_if_eq(&index).is_some() || ignored.next_if_eq(&&index).is_some() {
            continue;
        }
        let logit = |class: usize| values[anchor.start + (CODE + class) * anchor.step];
        // What the background's probability lacks grows with this; it needs no logarithm.
        let sum = (1..=classes).fold(T::zero(), |sum, class| sum + (logit(class) - logit(0)).exp());
        costs.push((sum, index));
    }
    let wanted = wanted.min(costs.len());
    // Not a number comes first, so that the loss shows it; ties go by position.
    let order = |a: &(T, usize), b: &(T, usize)| {
        b.0.partial_cmp(&a.0).unwrap_or_else(|| b.0.is_nan().cmp(&a.0.is_nan())).then(a.1.cmp(&b.1))
    };
    if wanted > 0 && wanted < costs.len() {
        costs.select_nth_unstable_by(wanted - 1, order);
    }
    costs.truncate(wanted);
    let mut hardest: Vec<usize> = costs.into_iter().map(|(_, index)| index).collect();
    hardest.sort_unstable();
    hardest
}

/// Memory for the logits of one anchor.
struct Logits<T> {
    /// With the background.
    classes: usize,
    /// Logarithms of probabilities: the network's, the teacher's.
    log: Vec<T>,
}

impl<T: Scalar> Logits<T> {
    /// Cross-entropy of one anchor (class 0: the background), times `each`, and its gradient.
    fn cross_entropy(
        &mut self,
        anchor: &PlacedAnchor,
        class: usize,
        each: T,
        teacher: Option<&Teacher<'_, T>>,
        values: &[T],
        gradient: &mut [T],
    ) -> T {
        let classes = self.classes;
        let at = |class: usize| anchor.start + (CODE + class) * anchor.step;
        let (own, taught) = self.log.split_at_mut(classes);
        let one = T::one();
        let mix = teacher.map_or(T::zero(), |teacher| teacher.mix);
        let logits = |into: &mut [T], from: &[T]| {
            into.iter_mut().enumerate().for_each(|(class, into)| *into = from[at(class)]);
        };
        logits(own, values);
        log_softmax(own);
        let mut loss = (mix - one) * own[class];
        for (other, &log) in own.iter().enumerate() {
            let target = if other == class { one } else { T::zero() };
            gradient[at(other)] = each * (one - mix) * (log.exp() - target);
        }
        if let Some(teacher) = teacher {
            let heat = teacher.temperature;
            logits(own, values);
            logits(taught, teacher.values);
            log_softmax_at(own, heat);
            log_softmax_at(taught, heat);
            for (class, (&own, &taught)) in own.iter().zip(taught.iter()).enumerate() {
                let target = taught.exp();
                loss -= mix * heat * heat * target * own;
                gradient[at(class)] += each * mix * heat * (own.exp() - target);
            }
        }
        each * loss
    }
}

/// Smooth distance of a box's code, times `each`, and its gradient.
fn boxes<T: Scalar>(
    anchor: &PlacedAnchor,
    code: [f32; CODE],
    each: T,
    teacher: Option<&Teacher<'_, T>>,
    values: &[T],
    gradient: &mut [T],
) -> T {
    let mut loss = T::zero();
    for (index, code) in code.into_iter().enumerate() {
        let at = anchor.start + index * anchor.step;
        let target = T::from_f64(code.into());
        let target = teacher.map_or(target, |teacher| target + teacher.mix * (teacher.values[at] - target));
        let (cost, slope) = smooth(values[at] - target);
        loss += cost;
        gradient[at] = each * slope;
    }
    each * loss
}

/// `x²/2` up to 1, then `|x| − ½`; and its slope. Source: Girshick, Fast R-CNN (2015), equation 3.
fn smooth<T: Scalar>(x: T) -> (T, T) {
    let half = T::from_f64(0.5);
    if x.abs() < T::one() { (half * x * x, x) } else { (x.abs() - half, x.signum()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{AnchorMap, Anchors, anchors::BESIDES, matching::Match};
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    const CLASSES: usize = 3;

    fn anchors() -> Vec<PlacedAnchor> {
        let map = |height, sizes| AnchorMap { height, width: 2, sizes };
        let maps = vec![
            map(
                3,
                vec![
                    nested_csr::Anchor { height: 1024, width: 1024 },
                    nested_csr::Anchor { height: 2048, width: 1024 },
                ],
            ),
            map(1, vec![nested_csr::Anchor { height: 4096, width: 4096 }]),
        ];
        Anchors::new(CLASSES, maps).unwrap().iter().collect()
    }

    fn random_values(seed: u64) -> Vec<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        (0..14 * (BESIDES + CLASSES)).map(|_| random.random_range(-2.0..2.0)).collect()
    }

    #[test]
    fn the_gradient_is_the_losss_slope() {
        let anchors = anchors();
        let matches =
            [(1, 2, 0.3), (7, 0, -2.5)].map(|(anchor, class, x)| Match { anchor, class, code: [x, 1.0, -x, 0.0] });
        let taught = random_values(4);
        let teacher = Teacher { values: &taught, mix: 0.3, temperature: 2.0 };
        for teacher in [None, Some(&teacher)] {
            for found in [matches.to_vec(), Vec::new()] {
                let matching = Matching { found, ignored: vec![3] };
                let mut values = random_values(3);
                let mut gradient = vec![9.0; values.len()];
                let loss = |values: &[f64], into: &mut [f64]| {
                    image_loss(&anchors, CLASSES, &matching, 0.25, teacher, values, into)
                };
                loss(&values, &mut gradient);
                assert!(gradient.iter().filter(|g| **g != 0.0).count() >= 8 * (1 + CLASSES));
                let mut other = gradient.clone();
                for index in 0..values.len() {
                    let before = values[index];
                    values[index] = before + 1e-6;
                    let above = loss(&values, &mut other);
                    values[index] = before - 1e-6;
                    let below = loss(&values, &mut other);
                    values[index] = before;
                    let slope = (above - below) / 2e-6;
                    assert!((gradient[index] - slope).abs() < 1e-8, "{index}: {} {slope}", gradient[index]);
                }
            }
        }
    }

    #[test]
    fn only_the_hardest_negatives_count() {
        let anchors = anchors();
        let mut values = vec![0.0f64; 14 * (BESIDES + CLASSES)];
        // Anchors 2, 5 and 9 are surest of a class; 4 has an object.
        for (anchor, logit) in [(2, 3.0), (5, 2.0), (9, 1.0), (4, 9.0)] {
            let at: PlacedAnchor = anchors[anchor];
            values[at.start + 6 * at.step] = logit;
        }
        let mut matching = Matching { found: vec![Match { anchor: 4, class: 1, code: [0.0; 4] }], ignored: Vec::new() };
        assert_eq!(hardest(&anchors, CLASSES, &matching, &values), [2, 5, 9]);
        assert_eq!(hardest(&anchors, CLASSES, &Matching::default(), &values).len(), 8);
        matching.ignored = vec![2, 8];
        assert_eq!(hardest(&anchors, CLASSES, &matching, &values), [0, 5, 9]);
        values[anchors[13].start + 5 * anchors[13].step] = f64::NAN;
        assert_eq!(hardest(&anchors, CLASSES, &matching, &values), [5, 9, 13]);
    }
}
