//! Boxes.

/// An upright rectangle, in fractions of the image's sides.
///
/// ```
/// use nested_mask::detect::Frame;
/// let frame = Frame::around([0.5, 0.25], [0.5, 0.5]);
/// assert_eq!(frame, Frame { top: 0.25, left: 0.0, bottom: 0.75, right: 0.5 });
/// assert_eq!((frame.centre(), frame.size(), frame.area()), ([0.5, 0.25], [0.5, 0.5], 0.25));
/// assert_eq!(frame.intersection(&Frame { left: 0.25, ..Frame::WHOLE }).area(), 0.125);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Frame {
    pub top: f32,
    pub left: f32,
    pub bottom: f32,
    pub right: f32,
}

/// An object in an image; [`crate::train::Scenes`] has an example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Object {
    /// Its class, from 0.
    pub class: u8,
    /// Where it is.
    pub frame: Frame,
    /// Whether finding it or not counts for nothing (PASCAL VOC marks such objects as difficult); it is not trained on.
    pub difficult: bool,
}

impl Frame {
    /// The whole image.
    pub const WHOLE: Frame = Frame { top: 0.0, left: 0.0, bottom: 1.0, right: 1.0 };

    /// From centre and size, each `[vertical, horizontal]`.
    pub fn around(centre: [f32; 2], size: [f32; 2]) -> Frame {
        let [y, x] = centre;
        let [h, w] = size.map(|side| side / 2.0);
        Frame { top: y - h, left: x - w, bottom: y + h, right: x + w }
    }

    /// The centre, `[vertical, horizontal]`.
    pub fn centre(&self) -> [f32; 2] {
        [(self.top + self.bottom) / 2.0, (self.left + self.right) / 2.0]
    }

    /// Height and width; not below 0.
    pub fn size(&self) -> [f32; 2] {
        [(self.bottom - self.top).max(0.0), (self.right - self.left).max(0.0)]
    }

    /// The area; 0 when it is turned inside out.
    pub fn area(&self) -> f32 {
        let [height, width] = self.size();
        height * width
    }

    /// What both cover; its area is 0 when that is nothing.
    pub fn intersection(&self, other: &Frame) -> Frame {
        Frame {
            top: self.top.max(other.top),
            left: self.left.max(other.left),
            bottom: self.bottom.min(other.bottom),
            right: self.right.min(other.right),
        }
    }

    /// Intersection over union, in `[0, 1]`; 0 of two empty frames.
    ///
    /// ```
    /// use nested_mask::detect::Frame;
    /// let left = Frame { top: 0.0, left: 0.0, bottom: 1.0, right: 0.5 };
    /// let whole = Frame { right: 1.0, ..left };
    /// assert_eq!(left.iou(&whole), 0.5);
    /// ```
    pub fn iou(&self, other: &Frame) -> f32 {
        let shared = self.intersection(other).area();
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }
}
