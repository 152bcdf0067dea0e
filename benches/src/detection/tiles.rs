//! Large images in overlapping tiles, and one list of boxes of those of the tiles.
use super::Scenes;
use image::{ImageBuffer, Pixel, imageops};
use nested_csr::TensorShape;
use nested_mask::detect::{Detection, Frame, Object};

/// Share of a tile that the next one covers too, at least.
const OVERLAP: f64 = 0.25;
/// Of two boxes of a class that overlap more than this, the surer stays.
const SAME: f32 = 0.45;
/// Of two boxes of a class in different tiles of which one holds more than this share of the other, one stays.
const HELD: f32 = 0.5;
/// A box that comes nearer to a side of its tile than this share of the side ends there.
const BORDER: f32 = 0.02;
/// Share of an object that a tile must hold to be asked for it.
const KEPT: f32 = 0.4;

/// Where a tile is in its image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tile {
    /// The image.
    pub image: usize,
    /// The part of the image, in fractions of its sides.
    pub window: Frame,
}

/// Starts of the tiles along a side of `length` pixels: evenly spread, so that they overlap by a quarter or more and the
/// last one ends with the side; one at 0 when the side is no longer than a tile.
fn starts(length: usize, tile: usize) -> Vec<usize> {
    let room = length.saturating_sub(tile);
    let step = ((tile as f64 * (1.0 - OVERLAP)) as usize).max(1);
    let steps = room.div_ceil(step);
    (0..=steps).map(|index| (index * room).checked_div(steps).unwrap_or(0)).collect()
}

/// All tiles of an image, row by row.
fn tiles(image: usize, height: usize, width: usize, tile: usize) -> Vec<Tile> {
    let (h, w, side) = (height as f32, width as f32, tile as f32);
    let columns = starts(width, tile);
    let window = |top: usize, left: usize| Frame {
        top: top as f32 / h,
        left: left as f32 / w,
        bottom: (top as f32 + side) / h,
        right: (left as f32 + side) / w,
    };
    starts(height, tile)
        .into_iter()
        .flat_map(|top| columns.iter().map(move |&left| (top, left)).collect::<Vec<_>>())
        .map(|(top, left)| Tile { image, window: window(top, left) })
        .collect()
}

/// The objects of an image that a tile holds, in fractions of the tile.
fn objects_in(window: &Frame, objects: &[Object]) -> Vec<Object> {
    let [height, width] = window.size();
    let inside = |object: &Object| {
        let part = object.frame.intersection(window);
        let frame = Frame {
            top: ((part.top - window.top) / height).clamp(0.0, 1.0),
            left: ((part.left - window.left) / width).clamp(0.0, 1.0),
            bottom: ((part.bottom - window.top) / height).clamp(0.0, 1.0),
            right: ((part.right - window.left) / width).clamp(0.0, 1.0),
        };
        let kept = part.area() >= KEPT * object.frame.area() && frame.area() > 0.0;
        kept.then_some(Object { frame, ..*object })
    };
    objects.iter().filter_map(inside).collect()
}

/// Images as they come, made into scenes of one size.
pub struct Gatherer {
    side: usize,
    tile: Option<usize>,
    scenes: Scenes,
    tiles: Vec<Tile>,
    truth: Vec<Vec<Object>>,
}

/// Scenes of one size, where they are in the images that they come from, and what those images hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    pub scenes: Scenes,
    pub tiles: Vec<Tile>,
    pub truth: Vec<Vec<Object>>,
}

impl Gatherer {
    /// Of scenes of `side × side` pixels: whole images, or tiles of `tile × tile` pixels of them.
    pub fn new(side: usize, tile: Option<usize>, channels: usize, classes: usize) -> Gatherer {
        let shape = TensorShape { channels, height: side, width: side };
        let scenes = Scenes { shape, classes, pixels: Vec::new(), objects: Vec::new() };
        Gatherer { side, tile, scenes, tiles: Vec::new(), truth: Vec::new() }
    }

    /// Adds an image; what a tile has beyond it is black.
    pub fn push<P: Pixel<Subpixel = u8> + 'static>(&mut self, image: &ImageBuffer<P, Vec<u8>>, objects: Vec<Object>) {
        let (height, width) = (image.height() as usize, image.width() as usize);
        let number = self.truth.len();
        let tiles = match self.tile {
            Some(tile) => tiles(number, height, width, tile),
            None => vec![Tile { image: number, window: Frame::WHOLE }],
        };
        for tile in &tiles {
            let part = self.tile.map(|side| {
                let mut part = ImageBuffer::<P, Vec<u8>>::new(side as u32, side as u32);
                let start = |fraction: f32, length: usize| -i64::from((fraction * length as f32).round() as i32);
                imageops::replace(&mut part, image, start(tile.window.left, width), start(tile.window.top, height));
                part
            });
            self.add(part.as_ref().unwrap_or(image));
            self.scenes.objects.push(objects_in(&tile.window, &objects));
        }
        self.tiles.extend(tiles);
        self.truth.push(objects);
    }

    /// Adds the pixels of one scene, scaled to the size of all.
    fn add<P: Pixel<Subpixel = u8> + 'static>(&mut self, image: &ImageBuffer<P, Vec<u8>>) {
        let side = self.side as u32;
        let resized;
        let image = if image.dimensions() == (side, side) {
            image
        } else {
            resized = imageops::resize(image, side, side, imageops::FilterType::Triangle);
            &resized
        };
        for channel in 0..self.scenes.shape.channels {
            self.scenes.pixels.extend(image.pixels().map(|pixel| pixel.channels()[channel]));
        }
    }

    /// All that was added.
    pub fn finish(self) -> Gathered {
        Gathered { scenes: self.scenes, tiles: self.tiles, truth: self.truth }
    }
}

impl Gathered {
    /// One list an image of what was found in its scenes, `found[scene]`.
    pub fn merge(&self, found: Vec<Vec<Detection>>) -> Vec<Vec<Detection>> {
        if self.tiles.iter().all(|tile| tile.window == Frame::WHOLE) {
            found
        } else {
            merge(self.truth.len(), &self.tiles, &found)
        }
    }
}

/// A box that a tile holds, in fractions of its image.
struct Piece {
    tile: usize,
    /// Whether it ends at a side of its tile where the image goes on: there may be more of the object in the next tile.
    cut: bool,
    detection: Detection,
}

impl Piece {
    fn new(index: usize, Tile { window, .. }: &Tile, found: &Detection) -> Piece {
        let [height, width] = window.size();
        let frame = Frame {
            top: window.top + found.frame.top * height,
            left: window.left + found.frame.left * width,
            bottom: window.top + found.frame.bottom * height,
            right: window.left + found.frame.right * width,
        };
        let before = |inner: f32, outer: f32| outer > 0.0 && inner < BORDER;
        let after = |inner: f32, outer: f32| outer < 1.0 && inner > 1.0 - BORDER;
        let cut = before(found.frame.top, window.top)
            || before(found.frame.left, window.left)
            || after(found.frame.bottom, window.bottom)
            || after(found.frame.right, window.right);
        Piece { tile: index, cut, detection: Detection { frame: frame.intersection(&Frame::WHOLE), ..*found } }
    }

    /// Whether both are of one object: they overlap much, or, seen in different tiles, one holds half of the other.
    fn is_same(&self, other: &Piece) -> bool {
        let (a, b) = (&self.detection.frame, &other.detection.frame);
        let held = || a.intersection(b).area() > HELD * a.area().min(b.area());
        self.detection.class == other.detection.class && (a.iou(b) > SAME || (self.tile != other.tile && held()))
    }
}

/// One list an image of the boxes that its tiles' lists hold, the surest first. Of the boxes of one object that stays which is
/// not cut by its tile, and of equal ones the surest.
///
/// An object longer than what tiles share may be cut in each, and its pieces then share too little to be known as one.
fn merge(images: usize, tiles: &[Tile], found: &[Vec<Detection>]) -> Vec<Vec<Detection>> {
    let mut all: Vec<Vec<Piece>> = (0..images).map(|_| Vec::new()).collect();
    for (index, (tile, found)) in tiles.iter().zip(found).enumerate() {
        all[tile.image].extend(found.iter().map(|detection| Piece::new(index, tile, detection)));
    }
    all.into_iter().map(suppress).collect()
}

fn suppress(mut found: Vec<Piece>) -> Vec<Detection> {
    found.sort_by(|a, b| a.cut.cmp(&b.cut).then(b.detection.score.total_cmp(&a.detection.score)));
    let mut kept: Vec<Piece> = Vec::new();
    for candidate in found {
        if !kept.iter().any(|piece| piece.is_same(&candidate)) {
            kept.push(candidate);
        }
    }
    let mut kept: Vec<Detection> = kept.into_iter().map(|piece| piece.detection).collect();
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::GrayImage;

    #[test]
    fn tiles_cover_a_side_and_overlap() {
        assert_eq!(starts(96, 96), [0]);
        assert_eq!(starts(50, 96), [0]);
        assert_eq!(starts(97, 96), [0, 1]);
        for (length, tile) in [(200, 96), (1000, 96), (333, 7)] {
            let starts = starts(length, tile);
            assert_eq!((starts[0], *starts.last().unwrap()), (0, length - tile));
            let overlaps = |pair: &[usize]| pair[1] - pair[0] <= tile * 3 / 4 + 1;
            assert!(starts.windows(2).all(overlaps), "{starts:?}");
        }
    }

    #[test]
    fn what_the_tiles_hold_comes_back_to_its_place() {
        let image = GrayImage::from_fn(20, 12, |x, y| image::Luma([(y * 20 + x) as u8]));
        let frame = Frame { top: 0.25, left: 0.4, bottom: 0.75, right: 0.6 };
        let object = Object { class: 1, frame, difficult: false };
        let mut gatherer = Gatherer::new(12, Some(12), 1, 2);
        gatherer.push(&image, vec![object]);
        let gathered = gatherer.finish();
        assert_eq!((gathered.scenes.len(), gathered.tiles.len()), (2, 2));
        // Rows of the second tile begin at column 8.
        assert_eq!(gathered.scenes.pixels[144..148], [8, 9, 10, 11]);
        let as_found = |objects: &Vec<Object>| {
            let one = |o: &Object| Detection { class: o.class, score: 0.5, frame: o.frame };
            objects.iter().map(one).collect::<Vec<_>>()
        };
        let found: Vec<Vec<Detection>> = gathered.scenes.objects.iter().map(as_found).collect();
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        let merged = gathered.merge(found);
        assert_eq!(merged[0].len(), 1);
        assert!(merged[0][0].frame.iou(&frame) > 0.999);
    }

    #[test]
    fn of_an_object_that_one_tile_cuts_the_whole_box_stays() {
        // Tiles are the left and the right two thirds of an image.
        let tile = |left: f32| Tile { image: 0, window: Frame { left, right: left + 2.0 / 3.0, ..Frame::WHOLE } };
        let tiles = [tile(0.0), tile(1.0 / 3.0)];
        let found = |score: f32, left: f32, right: f32| {
            let frame = Frame { top: 0.25, left, bottom: 0.75, right };
            Detection { class: 0, score, frame }
        };
        // From 0.5 to 0.8 of the image: the first tile sees a bit more than half of it, and is surer.
        let (piece, whole) = (found(0.9, 0.75, 1.0), found(0.6, 0.25, 0.7));
        let merged = merge(1, &tiles, &[vec![piece], vec![whole]]);
        assert_eq!(merged[0].len(), 1);
        assert!((merged[0][0].frame.right - 0.8).abs() < 1e-6 && merged[0][0].score == 0.6);
        // Neighbours of one class stay two, and so does what one tile holds within another box.
        let apart = merge(1, &tiles, &[vec![found(0.9, 0.0, 0.4)], vec![found(0.8, 0.4, 0.9)]]);
        assert_eq!(apart[0].len(), 2);
        let nested = merge(1, &tiles, &[vec![found(0.9, 0.1, 0.9), found(0.8, 0.3, 0.5)], Vec::new()]);
        assert_eq!(nested[0].iter().map(|d| d.score).collect::<Vec<_>>(), [0.9, 0.8]);
        // Nothing reaches beyond the image.
        let beyond = Tile { image: 0, window: Frame { bottom: 2.0, ..Frame::WHOLE } };
        let merged = merge(1, &[beyond], &[vec![found(0.9, 0.1, 0.9)]]);
        assert_eq!(merged[0][0].frame.bottom, 1.0);
    }

    #[test]
    fn a_tile_larger_than_its_image_ends_black_and_whole_images_are_scaled() {
        let image = GrayImage::from_pixel(2, 2, image::Luma([9]));
        let gather = |side, tile| {
            let mut gatherer = Gatherer::new(side, tile, 1, 1);
            gatherer.push(&image, Vec::new());
            gatherer.finish().scenes.pixels
        };
        assert_eq!(gather(3, Some(3)), [9, 9, 0, 9, 9, 0, 0, 0, 0]);
        assert_eq!(gather(3, None), [9; 9]);
    }
}
