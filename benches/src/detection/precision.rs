//! How well objects are found: average precision, as PASCAL VOC counts it and as COCO does.
//!
//! Sources: Everingham et al., The PASCAL VOC Challenge 2012 development kit, 3.4.1 (area under the precision's envelope over
//! all points); Lin et al., Microsoft COCO (2014), whose evaluation code matches and interpolates as here. `benches/detection/
//! check_map.py` compares both with other implementations.
use nested_mask::detect::{Detection, Frame, Object};
use serde::{Deserialize, Serialize};

/// Means over the classes that the scenes hold, in per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// PASCAL VOC: overlap from 0.5 on, area under all points.
    pub map50: f64,
    /// COCO: mean over overlaps from 0.5 to 0.95, 101 points.
    pub map5095: f64,
    /// COCO: overlap from 0.5 on, 101 points.
    pub map50_coco: f64,
}

/// The most objects of a class that count in an image, by COCO's rules.
const MOST: usize = 100;

/// Measures what was found, `found[image]`, against `truth[image]`. Of equal scores the earlier image's counts first, then the
/// one that stands first in its list.
pub fn precision(classes: usize, truth: &[Vec<Object>], found: &[Vec<Detection>]) -> Precision {
    let of_class = |class: usize| {
        let images: Vec<Image> =
            truth.iter().zip(found).map(|(truth, found)| Image::new(class as u8, truth, found)).collect();
        let objects: usize = images.iter().map(|image| image.difficult.iter().filter(|d| !**d).count()).sum();
        (objects > 0).then(|| {
            let coco: Vec<f64> = overlaps()
                .map(|overlap| at_101_points(&ranked(&images, |image| image.match_coco(overlap)), objects))
                .collect();
            let voc = at_all_points(&ranked(&images, Image::match_voc), objects);
            (voc, coco[0], coco.iter().sum::<f64>() / coco.len() as f64)
        })
    };
    let all: Vec<_> = (0..classes).filter_map(of_class).collect();
    let mean = |part: fn(&(f64, f64, f64)) -> f64| 100.0 * all.iter().map(part).sum::<f64>() / all.len().max(1) as f64;
    Precision { map50: mean(|p| p.0), map50_coco: mean(|p| p.1), map5095: mean(|p| p.2) }
}

/// 0.5, 0.55, …, 0.95, each as COCO's code rounds it.
fn overlaps() -> impl Iterator<Item = f64> {
    (0..10).map(|index| if index == 9 { 0.95 } else { 0.5 + f64::from(index) * ((0.95 - 0.5) / 9.0) })
}

/// What a detection turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    Wrong,
    /// It found a difficult object: that counts for nothing.
    Ignored,
}

/// One class of one image.
struct Image {
    difficult: Vec<bool>,
    scores: Vec<f32>,
    /// `[detection][object]`; detections from the surest on.
    overlaps: Vec<Vec<Overlap>>,
}

/// What a detection and an object share.
#[derive(Clone, Copy)]
struct Overlap {
    /// Of what both cover.
    iou: f64,
    /// Of the detection.
    held: f64,
}

impl Image {
    fn new(class: u8, truth: &[Object], found: &[Detection]) -> Image {
        // Difficult objects come last: a detection takes one only when no other is left.
        let of_class = |difficult: bool| truth.iter().filter(move |o| o.class == class && o.difficult == difficult);
        let objects: Vec<&Object> = of_class(false).chain(of_class(true)).collect();
        let mut found: Vec<&Detection> = found.iter().filter(|detection| detection.class == class).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        let row = |detection: &&Detection| {
            objects.iter().map(|object| Overlap::of(&detection.frame, &object.frame)).collect()
        };
        Image {
            difficult: objects.iter().map(|object| object.difficult).collect(),
            scores: found.iter().map(|detection| detection.score).collect(),
            overlaps: found.iter().map(row).collect(),
        }
    }

    /// Each detection, the surest first, takes the free object that it covers best, if it does so enough; at most [`MOST`]
    /// detections. Difficult objects are to COCO what its crowds are: any number of detections may lie in one.
    fn match_coco(&self, overlap: f64) -> Vec<Outcome> {
        let mut taken = vec![false; self.difficult.len()];
        let one = |overlaps: &Vec<Overlap>| {
            let (mut best, mut least) = (None, overlap.min(1.0 - 1e-10));
            for (object, &Overlap { iou, held }) in overlaps.iter().enumerate() {
                let share = if self.difficult[object] { held } else { iou };
                let free = !taken[object] || self.difficult[object];
                if self.difficult[object] && best.is_some_and(|best: usize| !self.difficult[best]) {
                    break;
                }
                if free && share >= least {
                    (best, least) = (Some(object), share);
                }
            }
            let Some(object) = best else { return Outcome::Wrong };
            taken[object] = true;
            if self.difficult[object] { Outcome::Ignored } else { Outcome::Right }
        };
        self.overlaps.iter().take(MOST).map(one).collect()
    }

    /// Each detection stands for the object that it covers best; the second one of an object is wrong.
    fn match_voc(&self) -> Vec<Outcome> {
        const OVERLAP: f64 = 0.5;
        let mut taken = vec![false; self.difficult.len()];
        let one = |overlaps: &Vec<Overlap>| {
            let overlaps = overlaps.iter().map(|overlap| overlap.iou).enumerate();
            let best = overlaps.reduce(|best, next| if next.1 > best.1 { next } else { best });
            match best.filter(|(_, iou)| *iou >= OVERLAP) {
                None => Outcome::Wrong,
                Some((object, _)) if self.difficult[object] => Outcome::Ignored,
                Some((object, _)) if std::mem::replace(&mut taken[object], true) => Outcome::Wrong,
                Some(_) => Outcome::Right,
            }
        };
        self.overlaps.iter().map(one).collect()
    }
}

impl Overlap {
    /// In double precision, as the programs do that this is compared with.
    fn of(detection: &Frame, object: &Frame) -> Overlap {
        let [a, b] = [detection, object].map(|f| [f.top, f.left, f.bottom, f.right].map(f64::from));
        let side = |axis: usize| (a[axis + 2].min(b[axis + 2]) - a[axis].max(b[axis])).max(0.0);
        let area = |f: [f64; 4]| (f[2] - f[0]).max(0.0) * (f[3] - f[1]).max(0.0);
        let shared = side(0) * side(1);
        let share = |whole: f64| if whole > 0.0 { shared / whole } else { 0.0 };
        Overlap { iou: share(area(a) + area(b) - shared), held: share(area(a)) }
    }
}

/// What the detections of all images turned out to be, the surest first, without the ignored ones.
fn ranked(images: &[Image], outcomes: impl Fn(&Image) -> Vec<Outcome>) -> Vec<bool> {
    let mut all: Vec<(f32, Outcome)> =
        images.iter().flat_map(|image| image.scores.iter().copied().zip(outcomes(image))).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().filter(|(_, outcome)| *outcome != Outcome::Ignored).map(|(_, o)| o == Outcome::Right).collect()
}

/// `(recall, greatest precision from here on)` after each detection.
fn envelope(right: &[bool], objects: usize) -> Vec<(f64, f64)> {
    let mut hits = 0usize;
    let point = |(index, &right): (usize, &bool)| {
        hits += usize::from(right);
        (hits as f64 / objects as f64, hits as f64 / (index + 1) as f64)
    };
    let mut points: Vec<(f64, f64)> = right.iter().enumerate().map(point).collect();
    for index in (1..points.len()).rev() {
        points[index - 1].1 = points[index - 1].1.max(points[index].1);
    }
    points
}

/// The area under the envelope.
fn at_all_points(right: &[bool], objects: usize) -> f64 {
    let mut before = 0.0;
    let strip = |(recall, precision): (f64, f64)| {
        let strip = (recall - before) * precision;
        before = recall;
        strip
    };
    envelope(right, objects).into_iter().map(strip).sum()
}

/// The mean of the envelope at the recalls 0, 0.01, …, 1.
fn at_101_points(right: &[bool], objects: usize) -> f64 {
    let points = envelope(right, objects);
    let at = |index: u32| {
        let recall = f64::from(index) * 0.01;
        let first = points.partition_point(|point| point.0 < recall);
        points.get(first).map_or(0.0, |point| point.1)
    };
    (0..=100).map(at).sum::<f64>() / 101.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(left: f32, width: f32) -> Frame {
        Frame { top: 0.0, left, bottom: 0.5, right: left + width }
    }

    fn object(class: u8, left: f32) -> Object {
        Object { class, frame: frame(left, 0.25), difficult: false }
    }

    fn found(class: u8, score: f32, left: f32) -> Detection {
        Detection { class, score, frame: frame(left, 0.25) }
    }

    #[test]
    fn all_found_is_100_and_nothing_found_is_0() {
        let truth = vec![vec![object(0, 0.0), object(1, 0.5)], vec![object(0, 0.25)]];
        let right = vec![vec![found(0, 0.9, 0.0), found(1, 0.8, 0.5)], vec![found(0, 0.7, 0.25)]];
        let all = precision(2, &truth, &right);
        assert!([all.map50, all.map5095, all.map50_coco].iter().all(|p| (p - 100.0).abs() < 1e-9), "{all:?}");
        assert_eq!(precision(2, &truth, &[Vec::new(), Vec::new()]), Precision::default());
        // A class without objects does not count, whatever is said to be one.
        let more = vec![[&right[0][..], &[found(2, 1.0, 0.0)]].concat(), right[1].clone()];
        assert_eq!(precision(3, &truth, &more), all);
    }

    #[test]
    fn a_known_curve_has_its_areas() {
        // Of two objects the first and the third detection find one: precision 1 up to recall ½, then ⅔.
        let truth = vec![vec![object(0, 0.0), object(0, 0.75)]];
        let list = vec![vec![found(0, 0.9, 0.0), found(0, 0.8, 0.4), found(0, 0.7, 0.75)]];
        let p = precision(1, &truth, &list);
        assert!((p.map50 - 100.0 * (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-9, "{p:?}");
        assert!((p.map50_coco - 100.0 * (51.0 + 50.0 * 2.0 / 3.0) / 101.0).abs() < 1e-9, "{p:?}");
    }

    #[test]
    fn coco_counts_a_hundred_boxes_an_image_and_pascal_voc_all() {
        let truth = vec![vec![object(0, 0.0)]];
        let mut list: Vec<Detection> = (0..MOST).map(|_| found(0, 0.9, 0.5)).collect();
        list.push(found(0, 0.1, 0.0));
        let p = precision(1, &truth, &[list]);
        assert_eq!(p.map50_coco, 0.0);
        assert!((p.map50 - 100.0 / 101.0).abs() < 1e-9, "{p:?}");
    }

    #[test]
    fn any_number_of_boxes_may_lie_in_a_difficult_object() {
        let difficult = Object { difficult: true, frame: frame(0.0, 1.0), class: 0 };
        let list = [found(0, 0.9, 0.0), found(0, 0.8, 0.3)];
        let image = Image::new(0, &[difficult, object(0, 0.6)], &list);
        assert_eq!(image.match_coco(0.5), [Outcome::Ignored; 2]);
        assert_eq!(image.match_voc(), [Outcome::Wrong; 2]);
    }

    #[test]
    fn a_second_box_of_an_object_is_wrong_and_difficult_ones_do_not_count() {
        let difficult = Object { difficult: true, ..object(0, 0.75) };
        let truth = [vec![difficult, object(0, 0.0)]];
        let list = [vec![found(0, 0.9, 0.75), found(0, 0.8, 0.01), found(0, 0.7, 0.0)]];
        let image = Image::new(0, &truth[0], &list[0]);
        let expected = [Outcome::Ignored, Outcome::Right, Outcome::Wrong];
        assert_eq!(image.match_voc(), expected);
        assert_eq!(image.match_coco(0.5), expected);
        // At a greater overlap only the exact one is right.
        assert_eq!(image.match_coco(0.95), [Outcome::Ignored, Outcome::Wrong, Outcome::Right]);
    }
}
