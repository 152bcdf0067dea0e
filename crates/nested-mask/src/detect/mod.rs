//! Object detection with one shot over a fixed set of anchors: what a network's values mean, what it is to learn from boxes,
//! and the boxes that it finds.
//!
//! Source: Liu et al., SSD: Single Shot MultiBox Detector (2016).
mod anchors;
mod decode;
mod frame;
mod loss;
mod matching;

pub use anchors::{AnchorMap, Anchors, AnchorsError, PlacedAnchor};
pub(crate) use anchors::{BESIDES, check_classes};
pub use decode::{Detection, DetectionSettings, detections};
pub use frame::{Frame, Object};
pub(crate) use loss::{Teacher, image_loss};
pub(crate) use matching::{Matching, matches};
