//! Scenes composed of the items of a set of single grey images: items of many sizes that cover one another, between shapes and
//! fragments of items that are no objects.
use super::{SceneSplit, paint::Canvas, tiles::Gatherer};
use crate::{
    data::{Dataset, Split},
    error::Error,
};
use image::{GrayImage, imageops};
use nested_csr::TensorShape;
use nested_mask::detect::{Frame, Object};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use std::ops::Range;

/// Scenes to train on and to measure on.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub train: usize,
    pub test: usize,
}

/// Names of Fashion-MNIST's classes.
const CLASSES: [&str; 10] =
    ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

/// Of these seeds nothing depends but that they never change: figures of different runs are of the same scenes.
const TRAIN_SEED: u64 = 6_001;
const TEST_SEED: u64 = 6_002;

/// Images that are made in parallel before their pixels are copied.
const BATCH: usize = 64;

/// Scenes of `side × side` pixels; with `tile`, images of twice the tile's side, cut into tiles that are scaled to `side`; their
/// objects have the sizes that fit a tile.
/// Scenes to train on hold items of the one part of the split, scenes to measure on of the other, so that they share none.
///
/// # Errors
/// A split with an empty part.
pub fn compose(items: &Split, side: usize, tile: Option<usize>, counts: Counts) -> Result<SceneSplit, Error> {
    for (part, items_of_part) in [("to train on", &items.train), ("to measure on", &items.test)] {
        if items_of_part.is_empty() {
            return Err(Error::NothingToCompose { name: items.name.clone(), part });
        }
    }
    let name = |class: usize| CLASSES.get(class).map_or(class.to_string(), |name| (*name).to_owned());
    let (canvas, unit) = tile.map_or((side, side), |tile| (2 * tile, tile));
    let gather = |items: &Dataset, count: usize, seed| {
        let mut gatherer = Gatherer::new(side, tile, 1, items.classes);
        for first in (0..count).step_by(BATCH) {
            for (image, objects) in scenes(items, [canvas, unit], first..count.min(first + BATCH), seed) {
                gatherer.push(&image, objects);
            }
        }
        gatherer.finish()
    };
    Ok(SceneSplit {
        name: format!("scenes of {canvas}×{canvas} composed of items of {}", items.name),
        classes: (0..items.train.classes).map(name).collect(),
        train: gather(&items.train, counts.train, TRAIN_SEED),
        test: gather(&items.test, counts.test, TEST_SEED),
    })
}

/// A function of its arguments alone: the side of an image, the side that objects' sizes are shares of, and which images.
fn scenes(items: &Dataset, [side, unit]: [usize; 2], which: Range<usize>, seed: u64) -> Vec<(GrayImage, Vec<Object>)> {
    let one = |index: usize| {
        // Each scene has random numbers of its own, so that scenes may be made in parallel.
        let mixed = Xoshiro256PlusPlus::seed_from_u64(seed).next_u64() ^ index as u64;
        scene(items, [side, unit], &mut Xoshiro256PlusPlus::seed_from_u64(mixed))
    };
    which.into_par_iter().map(one).collect()
}

fn scene(items: &Dataset, [side, unit]: [usize; 2], random: &mut impl Rng) -> (GrayImage, Vec<Object>) {
    let mut canvas = Canvas::gradient(side, random);
    for _ in 0..random.random_range(2..=6) {
        canvas.shape(random);
    }
    for _ in 0..random.random_range(0..=2) {
        fragment(&mut canvas, items, random);
    }
    let mut objects: Vec<Object> = Vec::new();
    let units = (side / unit).pow(2);
    for _ in 0..random.random_range(units..=4 * units) {
        place(&mut canvas, unit, items, &mut objects, random);
    }
    // Something may stand before the objects, too.
    if random.random_range(0..3u8) == 0 {
        canvas.shape(random);
    }
    (canvas.into_image(), objects)
}

/// A random item as an image, and its class.
fn item(items: &Dataset, random: &mut impl Rng) -> Option<(GrayImage, u8)> {
    let index = random.random_range(0..items.len());
    let TensorShape { height, width, .. } = items.shape;
    let plane = items.image(index).get(..height * width)?.to_vec();
    Some((GrayImage::from_raw(width as u32, height as u32, plane)?, items.labels[index]))
}

/// A piece of an item that is nobody's object: a quarter of its sides long, turned.
fn fragment(canvas: &mut Canvas, items: &Dataset, random: &mut impl Rng) {
    let Some((whole, _)) = item(items, random) else { return };
    let (width, height) = (whole.width() * 2 / 5, whole.height() * 2 / 5);
    let (x, y) = (random.random_range(0..=whole.width() - width), random.random_range(0..=whole.height() - height));
    let piece = imageops::crop_imm(&whole, x, y, width, height).to_image();
    let piece = if random.random() { imageops::rotate90(&piece) } else { imageops::rotate180(&piece) };
    let side = (canvas.side() as f32 * random.random_range(0.08..0.22f32)) as u32;
    let piece = imageops::resize(&piece, side.max(2), side.max(2), imageops::FilterType::Triangle);
    let [top, left] = std::array::from_fn(|_| random.random_range(-4..canvas.side() as i32));
    stamp(canvas, &piece, top as isize, left as isize, random.random_range(0.4..1.0));
}

/// How much objects' boxes may share.
const OVERLAP: f32 = 0.3;
/// Places that are tried for an object.
const TRIES: usize = 12;

/// Puts an item where it does not cover another too much; when there is no room, nowhere.
fn place(canvas: &mut Canvas, unit: usize, items: &Dataset, objects: &mut Vec<Object>, random: &mut impl Rng) {
    let Some((whole, class)) = item(items, random) else { return };
    let canvas_side = canvas.side() as f32;
    for _ in 0..TRIES {
        // Sizes are even on a logarithmic scale.
        let side = unit as f32 * (random.random_range(0.25f32.ln()..0.6f32.ln())).exp();
        let stretch = random.random_range(-0.15..0.15f32).exp();
        let (height, width) = ((side * stretch).round().max(4.0) as u32, (side / stretch).round().max(4.0) as u32);
        let resized = imageops::resize(&whole, width, height, imageops::FilterType::Triangle);
        let Some([top, left, bottom, right]) = extent(&resized) else { return };
        let room = |size: usize| canvas.side() - size.min(canvas.side());
        let y = random.random_range(0..=room(bottom - top)) as isize - top as isize;
        let x = random.random_range(0..=room(right - left)) as isize - left as isize;
        let fraction = |start: isize, side: usize| ((start + side as isize) as f32 / canvas_side).clamp(0.0, 1.0);
        let frame = Frame {
            top: fraction(y, top),
            left: fraction(x, left),
            bottom: fraction(y, bottom),
            right: fraction(x, right),
        };
        if objects.iter().all(|other| covered(&other.frame, &frame) <= OVERLAP) {
            stamp(canvas, &resized, y, x, random.random_range(0.55..1.0));
            objects.push(Object { class, frame, difficult: false });
            return;
        }
    }
}

/// The greater share that one frame has of the other.
fn covered(a: &Frame, b: &Frame) -> f32 {
    a.intersection(b).area() / a.area().min(b.area()).max(f32::MIN_POSITIVE)
}

/// Pixels darker than this are not part of an item.
const DARK: u8 = 20;

/// Top, left, and the row and column after the last, of what is not dark.
fn extent(item: &GrayImage) -> Option<[usize; 4]> {
    let bright =
        || item.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > DARK).map(|(x, y, _)| (x as usize, y as usize));
    let (top, bottom) = (bright().map(|(_, y)| y).min()?, bright().map(|(_, y)| y).max()?);
    let (left, right) = (bright().map(|(x, _)| x).min()?, bright().map(|(x, _)| x).max()?);
    Some([top, left, bottom + 1, right + 1])
}

/// Paints an item, dimmed to `gain`; its dark surroundings are transparent.
fn stamp(canvas: &mut Canvas, item: &GrayImage, top: isize, left: isize, gain: f32) {
    for (x, y, pixel) in item.enumerate_pixels() {
        let value = f32::from(pixel.0[0]);
        let opacity = (value / f32::from(2 * DARK)).min(1.0);
        canvas.mix(top + y as isize, left + x as isize, gain * value, opacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use std::collections::HashSet;

    #[test]
    fn scenes_are_those_of_their_seed_and_hold_what_they_say() {
        let items = Source::Builtin.load().unwrap();
        let counts = Counts { train: 40, test: 10 };
        let split = compose(&items, 96, None, counts).unwrap();
        assert!(split.train.scenes.check().is_ok() && split.test.scenes.check().is_ok());
        assert_eq!(compose(&items, 96, None, counts).unwrap(), split);
        // A longer list begins with the shorter one.
        let longer = compose(&items, 96, None, Counts { train: 41, test: 0 }).unwrap().train;
        assert_eq!(longer.scenes.pixels[..40 * 96 * 96], split.train.scenes.pixels);
        assert_eq!(longer.truth[..40], split.train.scenes.objects);
        let objects: Vec<&Object> = split.train.truth.iter().flatten().collect();
        assert!((40..=4 * 40).contains(&objects.len()), "{}", objects.len());
        let sides = objects.iter().map(|object| object.frame.size().into_iter().fold(0.0, f32::max));
        assert!(sides.clone().fold(1.0, f32::min) < 0.3 && sides.fold(0.0, f32::max) > 0.45);
        assert_eq!(split.classes.len(), 10);
    }

    #[test]
    fn scenes_to_train_on_and_to_measure_on_share_no_item() {
        let items = Source::Builtin.load().unwrap();
        let images =
            |items: &Dataset| (0..items.len()).map(|index| items.image(index).to_vec()).collect::<HashSet<_>>();
        assert!(images(&items.train).is_disjoint(&images(&items.test)));
        // What is composed of the one part does not depend on the other.
        let black = |items: &Dataset| Dataset { pixels: vec![0; items.pixels.len()], ..items.clone() };
        let compose = |items: &Split| compose(items, 32, None, Counts { train: 20, test: 20 }).unwrap();
        let split = compose(&items);
        let without_test = compose(&Split { test: black(&items.test), ..items.clone() });
        let without_train = compose(&Split { train: black(&items.train), ..items });
        assert_eq!(split.train, without_test.train);
        assert_eq!(split.test, without_train.test);
        assert!(split.test != without_test.test && split.train != without_train.train);
    }

    #[test]
    fn of_a_part_without_an_item_no_scene_is_composed() {
        let shape = TensorShape { channels: 1, height: 8, width: 8 };
        let one_a_class = || Dataset::new(shape, 2, vec![200; 2 * 64], vec![0, 1]).unwrap();
        let split = Split { name: "two".to_owned(), train: one_a_class(), test: one_a_class() };
        let composed = |split: &Split| compose(split, 32, None, Counts { train: 1, test: 1 });
        assert!(composed(&split).is_ok());
        let problem = composed(&split.validation()).unwrap_err().to_string();
        assert_eq!(problem, "two, validation: no image is left to compose scenes to train on of");
    }

    #[test]
    fn a_box_ends_where_its_item_does() {
        let mut item = GrayImage::new(28, 28);
        (5..9).for_each(|x| (10..20).for_each(|y| item.put_pixel(x, y, image::Luma([200]))));
        assert_eq!(extent(&item), Some([10, 5, 20, 9]));
        assert_eq!(extent(&GrayImage::new(3, 3)), None);
    }
}
