//! Which anchors are to find which objects.
use super::{Object, PlacedAnchor, anchors::CODE};

/// From this overlap on an anchor is to find an object. Source: Liu et al. (2016), section 2.2.
const OVERLAP: f32 = 0.5;

/// An anchor that is to find an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    /// The anchor's number.
    pub(crate) anchor: usize,
    /// The object's class.
    pub(crate) class: u8,
    /// The object's box, as the anchor's code.
    pub(crate) code: [f32; CODE],
}

/// What the anchors of one image are to find.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Matching {
    /// In the order of the anchors.
    pub(crate) found: Vec<Match>,
    /// Anchors that cover a difficult object by half and are to find none: neither object nor background. Rising.
    pub(crate) ignored: Vec<usize>,
}

/// Each object gets the free anchor that covers it best, and each other anchor the object that it covers best, if it does so
/// by half; difficult objects have none.
pub(crate) fn matches(anchors: &[PlacedAnchor], objects: &[Object]) -> Matching {
    // (object, overlap) of each anchor.
    let mut best: Vec<Option<(usize, f32)>> = vec![None; anchors.len()];
    for (index, object) in objects.iter().enumerate().filter(|(_, object)| !object.difficult) {
        for (anchor, best) in anchors.iter().zip(&mut best) {
            let overlap = anchor.frame.iou(&object.frame);
            if overlap >= OVERLAP && best.is_none_or(|(_, other)| overlap > other) {
                *best = Some((index, overlap));
            }
        }
    }
    let mut taken = vec![false; anchors.len()];
    for (index, object) in objects.iter().enumerate().filter(|(_, object)| !object.difficult) {
        let free = anchors.iter().enumerate().filter(|(anchor, _)| !taken[*anchor]);
        let overlaps = free.map(|(anchor, it)| (anchor, it.frame.iou(&object.frame)));
        // The first of equal ones.
        if let Some((anchor, _)) = overlaps.reduce(|best, next| if next.1 > best.1 { next } else { best }) {
            taken[anchor] = true;
            best[anchor] = Some((index, 1.0));
        }
    }
    let found = best.iter().enumerate().filter_map(|(anchor, best)| {
        let object = &objects[(*best)?.0];
        Some(Match { anchor, class: object.class, code: anchors[anchor].encode(&object.frame) })
    });
    let difficult = |anchor: &PlacedAnchor| {
        objects.iter().any(|object| object.difficult && anchor.frame.iou(&object.frame) >= OVERLAP)
    };
    let ignored = anchors.iter().enumerate().filter(|(index, anchor)| best[*index].is_none() && difficult(anchor));
    Matching { found: found.collect(), ignored: ignored.map(|(index, _)| index).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{AnchorMap, Anchors, Frame};

    fn object(class: u8, top: f32, left: f32, side: f32) -> Object {
        let frame = Frame { top, left, bottom: top + side, right: left + side };
        Object { class, frame, difficult: false }
    }

    #[test]
    fn every_object_has_an_anchor_and_good_ones_have_more() {
        let map = AnchorMap {
            height: 4,
            width: 4,
            sizes: vec![
                nested_csr::Anchor { height: 1024, width: 1024 },
                nested_csr::Anchor { height: 1300, width: 1300 },
            ],
        };
        let anchors: Vec<PlacedAnchor> = Anchors::new(3, vec![map]).unwrap().iter().collect();
        // The first is a cell; the second is tiny and covered by nothing; the third does not count.
        let objects = [object(1, 0.25, 0.5, 0.25), object(2, 0.9, 0.9, 0.02), object(0, 0.0, 0.0, 0.25)];
        let objects = [objects[0], objects[1], Object { difficult: true, ..objects[2] }];
        let Matching { found, ignored } = matches(&anchors, &objects);
        let of = |class: u8| found.iter().filter(|m| m.class == class).map(|m| m.anchor).collect::<Vec<_>>();
        assert_eq!(of(1), [6, 22]);
        assert_eq!(of(2), [15]);
        assert_eq!(found.len(), 3);
        // Both anchors of the first cell cover the difficult object by half; others are the background's.
        assert_eq!(ignored, [0, 16]);
        assert!(found[0].code.iter().all(|code| code.abs() < 1e-5));
    }

    #[test]
    fn two_objects_at_one_place_have_an_anchor_each() {
        let map = AnchorMap { height: 2, width: 2, sizes: vec![nested_csr::Anchor { height: 2048, width: 2048 }] };
        let anchors: Vec<PlacedAnchor> = Anchors::new(2, vec![map]).unwrap().iter().collect();
        let Matching { found, ignored } = matches(&anchors, &[object(0, 0.0, 0.0, 0.5), object(1, 0.0, 0.0, 0.5)]);
        assert!(ignored.is_empty());
        assert_eq!(found.iter().map(|m| (m.anchor, m.class)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
    }
}
