//! From a network's values to boxes, in floating point.
use super::{
    Anchors, Frame,
    anchors::{BESIDES, CODE},
};

/// An object that was found; [`detections`] has an example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Its class, from 0.
    pub class: u8,
    /// How sure that is, in `[0, 1]`.
    pub score: f32,
    /// Where it is.
    pub frame: Frame,
}

/// What counts as found; [`detections`] has an example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectionSettings {
    /// Least score.
    pub score: f32,
    /// Of two boxes of a class that overlap more than this, the surer stays.
    pub iou: f32,
    /// The most candidates that are looked at, and so the most that are found; the surest ones.
    pub most: usize,
}

/// The objects that one image's values stand for, within the image, the surest first; ties by anchor, then by class. Values that are not finite
/// find nothing.
///
/// Each anchor may find an object of each class. Greedy suppression class by class.
///
/// ```
/// use nested_csr::Anchor;
/// use nested_mask::detect::{AnchorMap, Anchors, DetectionSettings, Frame, detections};
///
/// // One cell, one anchor of half the image's sides, one class.
/// let map = AnchorMap { height: 1, width: 1, sizes: vec![Anchor { height: 2048, width: 2048 }] };
/// let anchors = Anchors::new(1, vec![map])?;
/// // The box is the anchor's; the class is likelier than the background.
/// let values = [0.0, 0.0, 0.0, 0.0, -2.0, 2.0];
/// let found = detections(&anchors, &values, DetectionSettings { score: 0.5, iou: 0.45, most: 10 });
/// assert_eq!((found.len(), found[0].class, found[0].score > 0.98), (1, 0, true));
/// assert_eq!(found[0].frame, Frame { top: 0.25, left: 0.25, bottom: 0.75, right: 0.75 });
/// # Ok::<(), nested_mask::detect::AnchorsError>(())
/// ```
pub fn detections(anchors: &Anchors, values: &[f32], settings: DetectionSettings) -> Vec<Detection> {
    let mut candidates = Vec::new();
    for (index, anchor) in anchors.iter().enumerate() {
        let value = |index: usize| values.get(anchor.start + index * anchor.step).copied().unwrap_or(f32::NAN);
        let logits = || (CODE..anchors.values()).map(value);
        let greatest = logits().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logits().map(|logit| (logit - greatest).exp()).sum();
        for class in 0..anchors.classes() {
            let score = (value(BESIDES + class) - greatest).exp() / total;
            if score >= settings.score {
                let frame = anchor.decode(std::array::from_fn(value)).intersection(&Frame::WHOLE);
                if frame.area() > 0.0 {
                    // Anchors have at most 256 classes.
                    candidates.push((index, Detection { class: class as u8, score, frame }));
                }
            }
        }
    }
    candidates.sort_by(|(a, x), (b, y)| y.score.total_cmp(&x.score).then(a.cmp(b)).then(x.class.cmp(&y.class)));
    candidates.truncate(settings.most);
    let mut kept: Vec<Detection> = Vec::new();
    for (_, candidate) in candidates {
        let covered =
            |other: &Detection| other.class == candidate.class && other.frame.iou(&candidate.frame) > settings.iou;
        if !kept.iter().any(covered) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::AnchorMap;

    #[test]
    fn of_overlapping_boxes_of_a_class_the_surest_stays() {
        let map = AnchorMap {
            height: 1,
            width: 2,
            sizes: vec![
                nested_csr::Anchor { height: 2048, width: 2048 },
                nested_csr::Anchor { height: 2000, width: 2000 },
            ],
        };
        let anchors = Anchors::new(2, vec![map]).unwrap();
        let mut values = vec![0.0; anchors.outputs()];
        let starts: Vec<_> = anchors.iter().map(|anchor| (anchor.start, anchor.step)).collect();
        let mut set = |anchor: usize, value: usize, to: f32| values[starts[anchor].0 + value * starts[anchor].1] = to;
        // Anchors 0 and 2 share a place: both find class 0, and 2 finds class 1 too; 1 and 3 find nothing.
        set(0, 5, 2.0);
        set(0, 6, -9.0);
        set(2, 5, 7.0);
        set(2, 6, 4.5);
        set(1, 4, 9.0);
        set(3, 4, 9.0);
        let settings = DetectionSettings { score: 0.05, iou: 0.5, most: 10 };
        let found = detections(&anchors, &values, settings);
        assert_eq!(found.iter().map(|d| d.class).collect::<Vec<_>>(), [0, 1]);
        assert!(found[0].frame.size().iter().all(|side| (side - 2000.0 / 4096.0).abs() < 1e-6));
        assert!(found[0].score > found[1].score);
        assert_eq!(detections(&anchors, &values, DetectionSettings { most: 1, ..settings }).len(), 1);
        assert_eq!(detections(&anchors, &[f32::NAN; 56], settings), []);
    }
}
