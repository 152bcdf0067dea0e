//! Detections against a reference in floating point, and what may not go wrong at the edges.
use super::{BOX_ONE, Detection, Detector, Thresholds};
use crate::KernelError;
use nested_csr::{ANCHOR_ONE, Anchor, HeadAnchors, Level, Model, ModelBuilder, Profile, Quantization, TensorShape};
use proptest::prelude::*;
use std::{vec, vec::Vec};

/// A detector whose input is its output.
#[derive(Clone, Debug)]
struct Case {
    classes: u16,
    maps: Vec<(u16, u16, Vec<Anchor>)>,
    scale: f32,
    zero_point: i8,
    values: Vec<i8>,
    thresholds: Thresholds,
    most: usize,
}

impl Case {
    fn model(&self) -> Model<Vec<u8>> {
        let image = TensorShape { channels: self.values.len(), height: 1, width: 1 };
        let quantization = Quantization { scale: self.scale, zero_point: self.zero_point };
        let mut builder = ModelBuilder::new(Level::FIRST, image, quantization).unwrap();
        let maps: Vec<_> = (self.maps.iter())
            .map(|(height, width, anchors)| HeadAnchors { height: *height, width: *width, anchors })
            .collect();
        builder.detection("", builder.input(), self.classes, &maps).unwrap();
        builder.finish(Profile::Size).unwrap()
    }

    fn found(&self) -> Vec<Detection> {
        let model = self.model();
        let mut found = vec![Detection::default(); self.most];
        let detector = Detector::new(&model).unwrap();
        let count = detector.detect(Level::FIRST, &self.values, self.thresholds, &mut found).unwrap();
        found.truncate(count);
        found
    }
}

/// A box of the reference: edges as fractions of the image's sides.
#[derive(Clone, Debug)]
struct Real {
    class: u16,
    score: f64,
    edges: [f64; 4],
}

impl Real {
    fn area(&self) -> f64 {
        let [top, left, bottom, right] = self.edges;
        (bottom - top).max(0.0) * (right - left).max(0.0)
    }

    fn iou(&self, other: &Real) -> f64 {
        let pairs = || self.edges.iter().zip(&other.edges);
        let low: Vec<f64> = pairs().map(|(a, b)| a.max(*b)).collect();
        let high: Vec<f64> = pairs().map(|(a, b)| a.min(*b)).collect();
        let shared = (high[2] - low[0]).max(0.0) * (high[3] - low[1]).max(0.0);
        shared / (self.area() + other.area() - shared)
    }
}

/// The reference, by the book; `None` when a decision is nearer than the integers' precision: a tie.
fn reference(case: &Case) -> Option<Vec<Real>> {
    const SCORE: f64 = 4.0 / 65536.0;
    const AREA: f64 = 4.0 / 16384.0;
    let least = f64::from(case.thresholds.score) / 65536.0;
    let real = |count: i8| f64::from(case.scale) * (f64::from(count) - f64::from(case.zero_point));
    let channels = 5 + usize::from(case.classes);
    let (mut candidates, mut start) = (Vec::new(), 0);
    for (height, width, anchors) in &case.maps {
        let (rows, columns) = (usize::from(*height), usize::from(*width));
        for (anchor, a) in anchors.iter().zip(0..) {
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                let t = |j: usize| real(case.values[start + ((a * channels + j) * rows + y) * columns + x]);
                let exponentials: Vec<f64> = (4..channels).map(|j| t(j).exp()).collect();
                let sum: f64 = exponentials.iter().sum();
                let side = |cell: usize, cells: usize, anchor: u16, shift: f64, size: f64| {
                    let anchor = f64::from(anchor) / f64::from(ANCHOR_ONE);
                    let centre = (cell as f64 + 0.5) / cells as f64 + 0.1 * shift * anchor;
                    let half = anchor * (0.2 * size).exp() / 2.0;
                    [(centre - half).clamp(0.0, 1.0), (centre + half).clamp(0.0, 1.0)]
                };
                let [top, bottom] = side(y, rows, anchor.height, t(0), t(2));
                let [left, right] = side(x, columns, anchor.width, t(1), t(3));
                for (exponential, class) in exponentials[1..].iter().zip(0..) {
                    let score = exponential / sum;
                    if (score - least).abs() < SCORE {
                        return None;
                    }
                    let size = (bottom - top).min(right - left);
                    if score > least && size > 0.0 {
                        if size < AREA {
                            return None;
                        }
                        candidates.push(Real { class, score, edges: [top, left, bottom, right] });
                    }
                }
            }
        }
        start += anchors.len() * channels * rows * columns;
    }
    // Equal scores stay in order; nearly equal ones are a tie.
    let key = |candidate: &Real| (candidate.score * 1e9).round() as i64;
    candidates.sort_by_key(|candidate| -key(candidate));
    let near = |pair: &[Real]| key(&pair[0]) != key(&pair[1]) && (pair[0].score - pair[1].score) < SCORE;
    if candidates.windows(2).any(near) {
        return None;
    }
    candidates.truncate(case.most);
    let (mut kept, limit) = (Vec::<Real>::new(), f64::from(case.thresholds.iou) / 65536.0);
    for candidate in candidates {
        let same = || kept.iter().filter(|better| better.class == candidate.class).map(|better| better.iou(&candidate));
        // Small boxes have coarse edges.
        let coarse = 4.0 * AREA / candidate.area().sqrt();
        if same().any(|iou| (iou - limit).abs() < coarse) {
            return None;
        }
        if same().all(|iou| iou <= limit) {
            kept.push(candidate);
        }
    }
    Some(kept)
}

fn anchor() -> impl Strategy<Value = Anchor> {
    (1..=2 * ANCHOR_ONE, 1..=2 * ANCHOR_ONE).prop_map(|(height, width)| Anchor { height, width })
}

fn cases() -> impl Strategy<Value = Case> {
    let maps = prop::collection::vec((1..4u16, 1..4u16, prop::collection::vec(anchor(), 1..3)), 1..3);
    let settings = (0.002..0.2f32, any::<i8>(), any::<u16>(), any::<u16>(), 1..40usize);
    (1..4u16, maps, settings).prop_flat_map(|(classes, maps, (scale, zero_point, score, iou, most))| {
        let boxes: usize = maps.iter().map(|(h, w, anchors)| usize::from(*h) * usize::from(*w) * anchors.len()).sum();
        let values = prop::collection::vec(any::<i8>(), boxes * usize::from(5 + classes));
        let thresholds = Thresholds { score, iou };
        values.prop_map(move |values| Case { classes, maps: maps.clone(), scale, zero_point, values, thresholds, most })
    })
}

proptest! {
    #[test]
    fn detections_are_those_of_floating_point_on_all_but_ties(case in cases()) {
        let Some(expected) = reference(&case) else { return Ok(()) };
        let found = case.found();
        prop_assert_eq!(found.len(), expected.len(), "{:?}, {:?}", found, expected);
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(found.class, expected.class);
            prop_assert!((f64::from(found.score) / 65536.0 - expected.score).abs() < 2.0 / 65536.0, "{:?}, {:?}", found, expected);
            let edges = [found.top, found.left, found.bottom, found.right].map(|edge| f64::from(edge) / f64::from(BOX_ONE));
            for (edge, expected) in edges.iter().zip(expected.edges) {
                prop_assert!((edge - expected).abs() < 1.5 / f64::from(BOX_ONE), "{:?}, {:?}", found, expected);
            }
        }
    }

    #[test]
    fn what_is_found_is_ordered_in_the_image_and_apart(case in cases()) {
        let found = case.found();
        prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        for (index, one) in found.iter().enumerate() {
            prop_assert!(one.top < one.bottom && one.left < one.right && one.bottom.max(one.right) <= BOX_ONE);
            prop_assert!(one.class < case.classes && one.score >= case.thresholds.score);
            let apart = |other: &Detection| other.class != one.class || !super::overlap(other, one, case.thresholds.iou);
            prop_assert!(found[..index].iter().all(apart));
        }
    }

    #[test]
    fn room_for_fewer_keeps_the_best(case in cases(), most in 0..40usize) {
        // Without suppression, so that fewer candidates are only fewer.
        let apart = Case { thresholds: Thresholds { iou: u16::MAX, ..case.thresholds }, most: 1000, ..case };
        let all = apart.found();
        let fewer = Case { most, ..apart }.found();
        // A box that is equal to a better one of its class is suppressed even then.
        prop_assert!(fewer.len() <= most && fewer.iter().all(|found| all.contains(found)));
        prop_assert_eq!(fewer.first(), all.first().filter(|_| most > 0));
    }
}

/// One cell, one anchor of half the sides, one class.
fn single(code: [i8; 4], scale: f32) -> Case {
    let maps = vec![(1, 1, vec![Anchor { height: 2048, width: 2048 }])];
    let values = [&code[..], &[-128, 127]].concat();
    Case { classes: 1, maps, scale, zero_point: 0, values, thresholds: Thresholds::default(), most: 4 }
}

#[test]
fn sizes_and_places_saturate_at_the_image() {
    let whole = |case: Case| case.found().iter().map(|f| [f.top, f.left, f.bottom, f.right]).collect::<Vec<_>>();
    assert_eq!(whole(single([0; 4], 1.0)), [[4096, 4096, 12288, 12288]]);
    for scale in [0.5, 4.0, 1e6, f32::MAX] {
        assert_eq!(whole(single([0, 0, 127, 127], scale)), [[0, 0, BOX_ONE, BOX_ONE]], "{scale}");
    }
    // Shrunk to nothing, or moved out of the image.
    assert_eq!(whole(single([0, 0, -128, -128], 1e6)), [[0u16; 4]; 0]);
    assert_eq!(whole(single([0, 127, 0, 0], 1.0)), [[0u16; 4]; 0]);
    // Half out of it.
    assert_eq!(whole(single([100, 0, 0, 0], 0.1)), [[12288, 4096, BOX_ONE, 12288]]);
}

#[test]
fn nothing_above_the_threshold_and_no_room_are_no_errors() {
    let mut case = single([0; 4], 0.01);
    case.thresholds.score = u16::MAX;
    assert!(case.found().is_empty());
    let case = Case { most: 0, ..single([0; 4], 1.0) };
    assert!(case.found().is_empty());
}

#[test]
fn the_most_classes_that_the_format_counts_are_searched() {
    // More values than a side counts, so in a plane.
    let image = TensorShape { channels: 1, height: 4, width: 16_385 };
    let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.2, zero_point: 0 }).unwrap();
    let anchors = [Anchor { height: 2048, width: 2048 }];
    let map = HeadAnchors { height: 1, width: 1, anchors: &anchors };
    builder.detection("", builder.input(), u16::MAX, &[map]).unwrap();
    let model = builder.finish(Profile::Size).unwrap();
    let mut values = vec![-128; image.len()];
    values[..4].fill(0);
    values[image.len() - 1] = 127;
    let mut found = [Detection::default(); 2];
    let count =
        Detector::new(&model).unwrap().detect(Level::FIRST, &values, Thresholds::default(), &mut found).unwrap();
    assert_eq!((count, found[0].class), (1, u16::MAX - 1));
}

#[test]
fn a_class_does_not_suppress_another_and_equals_keep_their_order() {
    let anchors = vec![Anchor { height: 2048, width: 2048 }; 2];
    // Both anchors alike: both classes at equal scores, then once more.
    let values = [[0, 0, 0, 0, -100, 50, 50]; 2].concat();
    let thresholds = Thresholds { score: 20_000, iou: 30_000 };
    let case = Case { classes: 2, maps: vec![(1, 1, anchors)], scale: 0.1, zero_point: 0, values, thresholds, most: 9 };
    let classes: Vec<_> = case.found().iter().map(|found| (found.class, found.score)).collect();
    assert_eq!(classes, [(0, 32768), (1, 32768)]);
}

#[test]
fn what_cannot_be_read_is_refused_and_nothing_written() {
    let case = single([0; 4], 1.0);
    let model = case.model();
    let detector = Detector::new(&model).unwrap();
    let mut found = [Detection { class: 7, ..Detection::default() }; 2];
    let thresholds = Thresholds::default();
    let error = detector.detect(Level::FIRST, &case.values[1..], thresholds, &mut found).unwrap_err();
    assert_eq!(error, KernelError::InputLength { needed: 6, given: 5 });
    let error = detector.detect(Level::new(2).unwrap(), &case.values, thresholds, &mut found).unwrap_err();
    assert_eq!(error, KernelError::NoSuchLevel { level: 2, levels: 1 });
    assert!(found.iter().all(|found| found.class == 7));

    let image = TensorShape { channels: 1, height: 2, width: 2 };
    let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 1.0, zero_point: 0 }).unwrap();
    builder.concatenation("", builder.input(), builder.input()).unwrap();
    let model = builder.finish(Profile::Size).unwrap();
    assert_eq!(Detector::new(&model).unwrap_err(), KernelError::NoDetection);
}

/// So that the comparison compares something.
#[test]
fn most_cases_have_detections_and_no_ties() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let sampled = (0..200).map(|_| cases().new_tree(&mut runner).unwrap().current());
    let decided: Vec<_> = sampled.filter_map(|case| reference(&case)).collect();
    let with = |least: usize| decided.iter().filter(|found| found.len() >= least).count();
    let counts = [decided.len(), with(1), with(3)];
    assert!(counts[0] >= 80 && counts[1] >= 40 && counts[2] >= 20, "decided, with one, with three of 200: {counts:?}");
}
