//! What the values of a detector mean.
//!
//! A head map of `H × W` cells with `A` anchors has `A · (5 + classes)` channels, anchor-major: four numbers that say how the
//! box differs from the anchor, the logit of the background, the logits of the classes. The output of the network is the
//! head maps one after the other, each channel-major.
use super::Frame;
use nested_csr::{ANCHOR_ONE, Anchor, FormatError, HeadAnchors, ModelBuilder, TensorId};

/// How much of an anchor's size a code of 1 moves a centre. Source: Liu et al. (2016), their variances.
const CENTRE: f32 = 0.1;
/// The logarithm by which a code of 1 scales a size.
const SCALE: f32 = 0.2;

/// Numbers of an anchor that say where its box is: its first ones.
pub(crate) const CODE: usize = 4;
/// Numbers of an anchor before those of the classes: the box and the background.
pub(crate) const BESIDES: usize = CODE + 1;

/// The most classes: an object's class is a byte.
const MAX_CLASSES: usize = 256;

/// The anchors of one head map: each cell has one of each size, about the cell's centre. [`Anchors`] has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorMap {
    /// Rows of cells.
    pub height: usize,
    /// Cells of a row.
    pub width: usize,
    /// Sizes of the anchors of each cell, by their height and width.
    pub sizes: Vec<Anchor>,
}

/// All anchors of a detector.
///
/// ```
/// use nested_csr::Anchor;
/// use nested_mask::detect::{AnchorMap, Anchors, Frame};
///
/// // A map of 2 × 2 cells with a square anchor each, half the image's sides; 3 classes.
/// let map = AnchorMap { height: 2, width: 2, sizes: vec![Anchor { height: 2048, width: 2048 }] };
/// let anchors = Anchors::new(3, vec![map])?;
/// assert_eq!((anchors.values(), anchors.outputs()), (8, 32));
///
/// let right = Frame { top: 0.0, left: 0.5, bottom: 0.5, right: 1.0 };
/// let places: Vec<usize> = anchors.iter().filter(|anchor| anchor.frame == right).map(|anchor| anchor.start).collect();
/// assert_eq!(places, [1]); // its box is value 1, 1 + 4, 1 + 8 and 1 + 12 of the network's output
/// let codes = anchors.iter().map(|anchor| anchor.encode(&right));
/// assert_eq!(codes.collect::<Vec<_>>()[1], [0.0; 4]);
/// # Ok::<(), nested_mask::detect::AnchorsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchors {
    classes: usize,
    maps: Vec<AnchorMap>,
}

/// What can be wrong with anchors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorsError {
    /// No class, no map, a map without cells or anchors, an anchor without size.
    #[error("{what} is empty")]
    Empty {
        /// What is.
        what: &'static str,
    },
    /// Another number of values than the network yields.
    #[error("anchors for {expected} values, but the network yields {found}")]
    Values {
        /// What the anchors need.
        expected: usize,
        /// What the network yields.
        found: usize,
    },
    /// More classes than an object's class, a byte, tells apart.
    #[error("{classes} classes: a detector tells at most {MAX_CLASSES} apart")]
    Classes {
        /// The classes.
        classes: usize,
    },
    /// Head maps of more values than can be counted.
    #[error("the head maps have more values than can be counted")]
    TooLarge,
}

/// Refuses more classes than a detector tells apart.
pub(crate) fn check_classes(classes: usize) -> Result<(), AnchorsError> {
    if classes > MAX_CLASSES { Err(AnchorsError::Classes { classes }) } else { Ok(()) }
}

/// One anchor of one cell; [`Anchors`] has an example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacedAnchor {
    /// Where its first value stands in a network's output.
    pub start: usize,
    /// From one of its values to the next.
    pub step: usize,
    /// Where it is.
    pub frame: Frame,
}

impl Anchors {
    /// Checked anchors for this many classes, up to 256, the background not counted.
    ///
    /// # Errors
    /// [`AnchorsError::Empty`], [`AnchorsError::Classes`], [`AnchorsError::TooLarge`].
    pub fn new(classes: usize, maps: Vec<AnchorMap>) -> Result<Anchors, AnchorsError> {
        let rules = [
            (classes == 0, "the set of classes"),
            (maps.is_empty(), "the list of head maps"),
            (maps.iter().any(|map| map.height == 0 || map.width == 0), "a head map"),
            (maps.iter().any(|map| map.sizes.is_empty()), "the list of a head map's anchors"),
            (maps.iter().any(|map| map.sizes.iter().any(|size| size.height == 0 || size.width == 0)), "an anchor"),
        ];
        if let Some((_, what)) = rules.into_iter().find(|rule| rule.0) {
            return Err(AnchorsError::Empty { what });
        }
        check_classes(classes)?;
        let anchors = Anchors { classes, maps };
        // So that none of the sums and products to come overflows.
        anchors.counted().ok_or(AnchorsError::TooLarge)?;
        Ok(anchors)
    }

    /// Values of all anchors; `None` when they are too many to count.
    fn counted(&self) -> Option<usize> {
        self.maps.iter().try_fold(0usize, |sum, map| {
            let anchors = map.height.checked_mul(map.width)?.checked_mul(map.sizes.len())?;
            sum.checked_add(anchors.checked_mul(self.values())?)
        })
    }

    /// Classes, the background not counted.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The head maps, in the order of the network's output.
    pub fn maps(&self) -> &[AnchorMap] {
        &self.maps
    }

    /// Values of one anchor.
    pub fn values(&self) -> usize {
        BESIDES + self.classes
    }

    /// Values of all anchors.
    pub fn outputs(&self) -> usize {
        self.maps.iter().map(|map| map.height * map.width * map.sizes.len() * self.values()).sum()
    }

    /// Ends a model in these anchors; `input` yields their values.
    ///
    /// # Errors
    /// [`FormatError`] when there are more classes or cells than the format counts, or another number of values.
    ///
    /// ```
    /// use nested_csr::{Anchor, Level, ModelBuilder, Profile, Quantization, TensorShape};
    /// use nested_mask::detect::{AnchorMap, Anchors};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let map = AnchorMap { height: 2, width: 2, sizes: vec![Anchor { height: 2048, width: 2048 }] };
    /// let anchors = Anchors::new(3, vec![map])?;
    /// let heads = TensorShape { channels: anchors.values(), height: 2, width: 2 };
    /// let mut builder = ModelBuilder::new(Level::FIRST, heads, Quantization { scale: 0.1, zero_point: 0 })?;
    /// let input = builder.input();
    /// anchors.detection(&mut builder, input)?;
    /// assert_eq!(builder.finish(Profile::Size)?.output_shape().len(), anchors.outputs());
    /// # Ok(()) }
    /// ```
    pub fn detection(&self, builder: &mut ModelBuilder, input: TensorId) -> Result<TensorId, FormatError> {
        let narrow = |count: usize| {
            u16::try_from(count).map_err(|_| FormatError::TooLarge { what: "a number in the anchor table" })
        };
        let mut heads = Vec::with_capacity(self.maps.len());
        for map in &self.maps {
            heads.push(HeadAnchors { height: narrow(map.height)?, width: narrow(map.width)?, anchors: &map.sizes });
        }
        builder.detection("detection", input, narrow(self.classes)?, &heads)
    }

    /// All anchors: by map, then by size, then by cell, as their values stand in the output.
    pub fn iter(&self) -> impl Iterator<Item = PlacedAnchor> + '_ {
        let mut start = 0;
        self.maps.iter().flat_map(move |map| {
            let (cells, first) = (map.height * map.width, start);
            start += cells * map.sizes.len() * self.values();
            (0..cells * map.sizes.len()).map(move |index| {
                let (size, cell) = (index / cells, index % cells);
                let centre = [
                    (cell / map.width) as f32 / map.height as f32 + 0.5 / map.height as f32,
                    (cell % map.width) as f32 / map.width as f32 + 0.5 / map.width as f32,
                ];
                let Anchor { height, width } = map.sizes[size];
                let sides = [height, width].map(|side| f32::from(side) / f32::from(ANCHOR_ONE));
                PlacedAnchor {
                    start: first + size * self.values() * cells + cell,
                    step: cells,
                    frame: Frame::around(centre, sides),
                }
            })
        })
    }
}

impl PlacedAnchor {
    /// The code of a box: vertical and horizontal shift of the centre, logarithms of height and width.
    pub fn encode(&self, frame: &Frame) -> [f32; 4] {
        let ([y, x], [h, w]) = (self.frame.centre(), self.frame.size());
        let ([cy, cx], [height, width]) = (frame.centre(), frame.size());
        let least = f32::EPSILON;
        [
            (cy - y) / (CENTRE * h),
            (cx - x) / (CENTRE * w),
            (height.max(least) / h).ln() / SCALE,
            (width.max(least) / w).ln() / SCALE,
        ]
    }

    /// The box of a code.
    pub fn decode(&self, code: [f32; 4]) -> Frame {
        let ([y, x], [h, w]) = (self.frame.centre(), self.frame.size());
        let [ty, tx, th, tw] = code;
        Frame::around([y + ty * CENTRE * h, x + tx * CENTRE * w], [h * (SCALE * th).exp(), w * (SCALE * tw).exp()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(height: u16, width: u16) -> Anchor {
        Anchor { height, width }
    }

    fn anchors() -> Anchors {
        let maps = vec![
            AnchorMap { height: 2, width: 3, sizes: vec![size(1024, 2048), size(2048, 2048)] },
            AnchorMap { height: 1, width: 1, sizes: vec![size(4096, 4096)] },
        ];
        Anchors::new(2, maps).unwrap()
    }

    #[test]
    fn each_value_belongs_to_one_anchor() {
        let anchors = anchors();
        let mut seen = vec![0; anchors.outputs()];
        for anchor in anchors.iter() {
            (0..anchors.values()).for_each(|value| seen[anchor.start + value * anchor.step] += 1);
        }
        assert_eq!(seen, vec![1; (2 * 3 * 2 + 1) * 7]);
        let second = anchors.iter().nth(6 + 4).unwrap();
        assert_eq!((second.start, second.step), (7 * 6 + 4, 6));
        assert_eq!(second.frame.centre(), [0.75, 0.5]);
    }

    #[test]
    fn decoding_undoes_encoding() {
        let frame = Frame { top: 0.1, left: 0.3, bottom: 0.45, right: 0.9 };
        for anchor in anchors().iter() {
            let back = anchor.decode(anchor.encode(&frame));
            assert!(back.iou(&frame) > 0.9999, "{back:?}");
        }
    }

    #[test]
    fn empty_anchors_are_refused() {
        let map = |height, sizes| AnchorMap { height, width: 1, sizes };
        for (classes, maps, what) in [
            (0, vec![map(1, vec![size(1, 1)])], "the set of classes"),
            (1, Vec::new(), "the list of head maps"),
            (1, vec![map(0, vec![size(1, 1)])], "a head map"),
            (1, vec![map(1, Vec::new())], "the list of a head map's anchors"),
            (1, vec![map(1, vec![size(1, 0)])], "an anchor"),
        ] {
            assert_eq!(Anchors::new(classes, maps), Err(AnchorsError::Empty { what }));
        }
    }

    #[test]
    fn anchors_of_more_classes_or_values_than_can_be_are_refused() {
        let of = |classes, maps: &[(usize, usize)]| {
            let map = |&(height, width)| AnchorMap { height, width, sizes: vec![size(1, 1); 2] };
            Anchors::new(classes, maps.iter().map(map).collect()).map(|anchors| anchors.outputs())
        };
        assert_eq!(of(256, &[(1, 1)]), Ok(2 * 261));
        for classes in [257, usize::MAX] {
            assert_eq!(of(classes, &[(1, 1)]), Err(AnchorsError::Classes { classes }));
        }
        for maps in [&[(usize::MAX, 2)][..], &[(usize::MAX / 2, 1)], &[(usize::MAX / 14, 1), (usize::MAX / 14, 1)]] {
            assert_eq!(of(2, maps), Err(AnchorsError::TooLarge), "{maps:?}");
        }
    }
}
