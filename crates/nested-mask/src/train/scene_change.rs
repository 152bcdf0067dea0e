//! The random changes of scenes: what happens to the pixels happens to the boxes.
use super::{Augmentation, Normalization, augment::Rectangle};
use crate::detect::{Frame, Object};
use nested_csr::TensorShape;
use rand::{Rng, RngExt};

/// Share of an object that must stay in the image: of what is cut further, nothing is to be found.
const KEPT: f32 = 0.4;

/// One scene's change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SceneChange {
    /// The part of the scene that becomes the image; it may go beyond the scene.
    window: Frame,
    flip: bool,
    erased: Rectangle,
}

impl SceneChange {
    /// The scene as it is.
    #[cfg(test)]
    const NONE: SceneChange = SceneChange { window: Frame::WHOLE, flip: false, erased: Rectangle::NONE };

    pub(super) fn draw(augmentation: Augmentation, shape: TensorShape, random: &mut impl Rng) -> SceneChange {
        let zoom = f32::from(augmentation.zoom) / 100.0;
        let side = 1.0 + random.random_range(-zoom..=zoom);
        // Where a larger or smaller window may stand, it does at random, besides the shift.
        let mut start = |size: usize| {
            let reach = f32::from(augmentation.shift) / size as f32 + (1.0 - side).abs() / 2.0;
            (1.0 - side) / 2.0 + random.random_range(-reach..=reach)
        };
        let (top, left) = (start(shape.height), start(shape.width));
        let window = Frame { top, left, bottom: top + side, right: left + side };
        let flip = augmentation.flip && random.random();
        let erases = augmentation.erase > 0 && random.random();
        let erased = if erases { Rectangle::draw(augmentation.erase.into(), shape, random) } else { Rectangle::NONE };
        SceneChange { window, flip, erased }
    }

    /// One scene as the network reads it, interpolated between pixels; what is beyond the scene is black, what is erased is
    /// the mean.
    pub(super) fn apply(&self, pixels: &[u8], shape: TensorShape, normalization: Normalization, into: &mut [f32]) {
        let TensorShape { height, width, .. } = shape;
        let [window_height, window_width] = self.window.size();
        let rows = Taps::new(self.window.top, window_height, height, false);
        let columns = Taps::new(self.window.left, window_width, width, self.flip);
        let planes = pixels.chunks_exact(height * width).zip(into.chunks_exact_mut(height * width));
        for (plane, into) in planes {
            for (into, &(y, down)) in into.chunks_exact_mut(width).zip(&rows.0) {
                let [above, below] = [y, y + 1].map(|y| row(plane, y, height, width));
                for (into, &(x, right)) in into.iter_mut().zip(&columns.0) {
                    let at = |row: &[u8], x: isize| {
                        usize::try_from(x).ok().and_then(|x| row.get(x)).map_or(0.0, |&pixel| f32::from(pixel))
                    };
                    let upper = at(above, x) + right * (at(above, x + 1) - at(above, x));
                    let lower = at(below, x) + right * (at(below, x + 1) - at(below, x));
                    *into = normalization.apply_real(upper + down * (lower - upper));
                }
            }
            self.erased.erase(into, width);
        }
    }

    /// The objects where the change puts them, without those that it cuts too much.
    pub(super) fn objects(&self, objects: &[Object]) -> Vec<Object> {
        let [height, width] = self.window.size();
        let moved = |object: &Object| {
            let Frame { top, left, bottom, right } = object.frame;
            let (left, right) = ((left - self.window.left) / width, (right - self.window.left) / width);
            let (left, right) = if self.flip { (1.0 - right, 1.0 - left) } else { (left, right) };
            let (top, bottom) = ((top - self.window.top) / height, (bottom - self.window.top) / height);
            let whole = Frame { top, left, bottom, right };
            let frame = whole.intersection(&Frame::WHOLE);
            (frame.area() >= KEPT * whole.area()).then_some(Object { frame, ..*object })
        };
        objects.iter().filter_map(moved).collect()
    }
}

fn row(plane: &[u8], y: isize, height: usize, width: usize) -> &[u8] {
    match usize::try_from(y) {
        Ok(y) if y < height => &plane[y * width..(y + 1) * width],
        _ => &[],
    }
}

/// For each pixel of an axis, the pixel of the scene at or before it, and how far it is past that one.
struct Taps(Vec<(isize, f32)>);

impl Taps {
    fn new(start: f32, length: f32, size: usize, reversed: bool) -> Taps {
        let tap = |index: usize| {
            let index = if reversed { size - 1 - index } else { index };
            let place = start * size as f32 + (index as f32 + 0.5) * length - 0.5;
            (place.floor() as isize, place - place.floor())
        };
        Taps((0..size).map(tap).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    const SHAPE: TensorShape = TensorShape { channels: 1, height: 16, width: 16 };
    const PLAIN: Normalization = Normalization { mean: 0, deviation: 1.0 };

    /// A bright rectangle, and its box.
    fn scene() -> (Vec<u8>, Object) {
        let inside = |at: usize| (6..10).contains(&(at / 16)) && (5..11).contains(&(at % 16));
        let frame = Frame { top: 0.375, left: 0.3125, bottom: 0.625, right: 0.6875 };
        ((0..256).map(|at| if inside(at) { 200 } else { 0 }).collect(), Object { class: 0, frame, difficult: false })
    }

    #[test]
    fn boxes_go_where_their_pixels_go() {
        let (pixels, object) = scene();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let augmentation = Augmentation { shift: 2, flip: true, erase: 0, zoom: 30 };
        for _ in 0..200 {
            let change = SceneChange::draw(augmentation, SHAPE, &mut random);
            let mut image = vec![0.0; 256];
            change.apply(&pixels, SHAPE, PLAIN, &mut image);
            let [Object { frame, .. }] = change.objects(&[object])[..] else { panic!("one object") };
            let bright = |row: usize, column: usize| image[row * 16 + column] > 100.0;
            let near = |side: f32, pixels: Option<usize>| (side * 16.0 - pixels.unwrap() as f32).abs() <= 0.51;
            let rows = || (0..16).filter(|&row| (0..16).any(|column| bright(row, column)));
            let columns = || (0..16).filter(|&column| (0..16).any(|row| bright(row, column)));
            assert!(
                near(frame.top, rows().next()) && near(frame.bottom, rows().next_back().map(|row| row + 1)),
                "{change:?}"
            );
            assert!(
                near(frame.left, columns().next()) && near(frame.right, columns().next_back().map(|c| c + 1)),
                "{change:?}"
            );
        }
    }

    #[test]
    fn without_change_a_scene_is_itself_and_what_is_cut_away_is_not_there() {
        let (pixels, object) = scene();
        let mut image = vec![0.0; 256];
        SceneChange::NONE.apply(&pixels, SHAPE, PLAIN, &mut image);
        assert!(image.iter().zip(&pixels).all(|(&float, &pixel)| float == f32::from(pixel)));
        assert_eq!(SceneChange::NONE.objects(&[object]), [object]);
        let window = Frame { top: 0.0, left: 0.5, bottom: 1.0, right: 1.5 };
        let kept = SceneChange { window, ..SceneChange::NONE }.objects(&[object]);
        assert_eq!((kept.len(), kept[0].frame.left), (1, 0.0));
        let window = Frame { left: 0.55, right: 1.55, ..window };
        assert_eq!(SceneChange { window, ..SceneChange::NONE }.objects(&[object]), []);
    }
}
