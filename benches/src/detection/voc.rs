//! PASCAL VOC: images, and for each an XML file with the boxes of its objects.
mod annotation;
mod error;

pub use error::VocError;

use super::{SceneSplit, tiles::Gatherer};
use annotation::Annotation;
use image::RgbImage;
use nested_mask::detect::{Frame, Object};
use rand::{SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Of this seed's choice nothing depends but that it never changes: figures of different runs are of the same images.
const SEED: u64 = 2023;
/// Channels of the scenes: red, green, blue.
const CHANNELS: usize = 3;
/// Endings of image files.
const IMAGES: [&str; 5] = ["jpg", "jpeg", "png", "JPG", "PNG"];

/// A folder in PASCAL VOC's layout (`JPEGImages` and `Annotations`), or with images beside their XML files.
pub struct Voc {
    /// Where the XML files are.
    annotations: PathBuf,
    /// Where the images are.
    images: PathBuf,
    /// The names of the files, without ending, in order.
    names: Vec<String>,
    /// The folder's own choice of images to train on, or all; and the rest.
    split: [Vec<String>; 2],
}

impl Voc {
    /// Looks which files are there; none is read.
    ///
    /// # Errors
    /// [`VocError::NoAnnotations`], [`VocError::Read`]; [`VocError::Shared`] and [`VocError::EmptyList`] of the folder's own lists.
    pub fn open(folder: &Path) -> Result<Voc, VocError> {
        let [annotations, images] = ["Annotations", "JPEGImages"].map(|name| folder.join(name));
        let (annotations, images) =
            if annotations.is_dir() { (annotations, images) } else { (folder.to_owned(), folder.to_owned()) };
        let wrong = |source| VocError::Read { path: annotations.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&annotations).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            if let (Some("xml"), Some(name)) = (path.extension().and_then(|e| e.to_str()), path.file_stem()) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        if names.is_empty() {
            return Err(VocError::NoAnnotations { folder: annotations });
        }
        names.sort_unstable();
        let split = split(folder, &names)?;
        Ok(Voc { annotations, images, names, split })
    }

    /// Measures on a fifth of the images to train on instead of those to measure on: the split on which to choose settings.
    pub fn validation(mut self) -> Voc {
        self.split = four_fifths(std::mem::take(&mut self.split[0]));
        self
    }

    /// All names of classes, in the order of the alphabet.
    ///
    /// # Errors
    /// As [`Self::read`], but no image is opened.
    fn classes(&self) -> Result<Vec<String>, VocError> {
        let mut found = BTreeSet::new();
        for name in &self.names {
            found.extend(self.annotation(name)?.objects.into_iter().map(|object| object.class));
        }
        Ok(found.into_iter().collect())
    }

    /// Reads all images, one after the other, made into scenes of `side × side` pixels (see [`Gatherer`]). `selected` names
    /// the classes; objects of others are left out, and without names all classes are taken.
    ///
    /// # Errors
    /// [`VocError`], which says which file is wrong.
    pub fn read(&self, side: usize, tile: Option<usize>, selected: &[String]) -> Result<SceneSplit, VocError> {
        let known = self.classes()?;
        if let Some(class) = selected.iter().find(|class| !known.contains(class)) {
            return Err(VocError::UnknownClass { class: class.clone(), known: known.join(", ") });
        }
        let classes = if selected.is_empty() { known } else { selected.to_vec() };
        if classes.len() > usize::from(u8::MAX) {
            return Err(VocError::TooManyClasses { classes: classes.len() });
        }
        let gather = |names: &[String]| {
            let mut gatherer = Gatherer::new(side, tile, CHANNELS, classes.len());
            for name in names {
                let (image, objects) = self.scene(name, &classes)?;
                gatherer.push(&image, objects);
            }
            Ok(gatherer.finish())
        };
        let [train, test] = &self.split;
        let (train, test) = (gather(train)?, gather(test)?);
        Ok(SceneSplit { name: self.annotations.display().to_string(), classes, train, test })
    }

    fn annotation(&self, name: &str) -> Result<Annotation, VocError> {
        Annotation::read(&self.annotations.join(format!("{name}.xml")))
    }

    /// One image and the objects of the classes in it.
    fn scene(&self, name: &str, classes: &[String]) -> Result<(RgbImage, Vec<Object>), VocError> {
        let path = self.annotations.join(format!("{name}.xml"));
        let annotation = Annotation::read(&path)?;
        let file = self.image(name, annotation.file.as_deref()).ok_or_else(|| VocError::MissingImage {
            annotation: path.clone(),
            folder: self.images.clone(),
            name: annotation.file.clone().unwrap_or(format!("{name}.jpg")),
        })?;
        let image = image::open(&file).map_err(|source| VocError::Image { path: file, source })?.into_rgb8();
        let (width, height) = image.dimensions();
        let mut objects = Vec::new();
        for object in annotation.objects {
            let [left, top, right, bottom] = object.sides;
            let Some(class) = classes.iter().position(|class| *class == object.class) else { continue };
            // Pixels count from 1, both ends within the box; some programs count from 0.
            let inside = |from: f64, to: f64, size: u32| from >= 0.0 && from <= to && to > 0.0 && to <= f64::from(size);
            if !inside(left, right, width) || !inside(top, bottom, height) {
                let sides = object.sides;
                return Err(VocError::Outside { path, class: object.class, sides, width, height });
            }
            let start = |side: f64, size: u32| ((side - 1.0).max(0.0) / f64::from(size)) as f32;
            let end = |side: f64, size: u32| (side / f64::from(size)) as f32;
            let frame = Frame {
                top: start(top, height),
                left: start(left, width),
                bottom: end(bottom, height),
                right: end(right, width),
            };
            objects.push(Object { class: class as u8, frame, difficult: object.difficult });
        }
        Ok((image, objects))
    }

    /// The image of an annotation: the file that it names, or the one of its own name.
    fn image(&self, name: &str, file: Option<&str>) -> Option<PathBuf> {
        // A name with folders in it could lead anywhere.
        let named = file.and_then(|file| Path::new(file).file_name()).map(|file| self.images.join(file));
        let own = IMAGES.iter().map(|ending| self.images.join(format!("{name}.{ending}")));
        named.into_iter().chain(own).find(|path| path.is_file())
    }
}

/// Images to train on and to measure on: as `ImageSets/Main` says, or four fifths at random and the rest.
fn split(folder: &Path, names: &[String]) -> Result<[Vec<String>; 2], VocError> {
    let path = |set: &str| folder.join("ImageSets").join("Main").join(format!("{set}.txt"));
    let list = |set: &str| -> Result<Option<Vec<String>>, VocError> {
        let path = path(set);
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(|source| VocError::Read { path, source })?;
        Ok(Some(text.split_whitespace().map(str::to_owned).collect()))
    };
    for sets in [["trainval", "test"], ["train", "val"]] {
        if let [Some(train), Some(test)] = [list(sets[0])?, list(sets[1])?] {
            if let Some((set, _)) = sets.into_iter().zip([&train, &test]).find(|(_, names)| names.is_empty()) {
                return Err(VocError::EmptyList { path: path(set) });
            }
            let known: BTreeSet<&String> = train.iter().collect();
            return match test.iter().find(|name| known.contains(name)) {
                Some(name) => Err(VocError::Shared { folder: folder.to_owned(), name: name.clone() }),
                None => Ok([train, test]),
            };
        }
    }
    Ok(four_fifths(names.to_vec()))
}

/// Four fifths at random and the rest, each in order.
fn four_fifths(mut names: Vec<String>) -> [Vec<String>; 2] {
    names.sort_unstable();
    names.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(SEED));
    let mut rest = names.split_off(names.len() * 4 / 5);
    names.sort_unstable();
    rest.sort_unstable();
    [names, rest]
}

#[cfg(test)]
mod tests;
