//! The boxes of a measurement as a file, so that other programs can count them too.
use super::precision::Precision;
use crate::{error::Error, files};
use nested_mask::detect::{Detection, Frame, Object};
use serde::Serialize;
use std::path::Path;

/// `boxes.json`: what is there and what each network found, in fractions of the image's sides.
#[derive(Serialize)]
pub struct Boxes {
    classes: Vec<String>,
    truth: Vec<Truth>,
    found: Vec<Found>,
}

#[derive(Serialize)]
struct Truth {
    image: usize,
    class: u8,
    difficult: bool,
    frame: [f64; 4],
}

/// What one network found, and the figures that were computed of it.
#[derive(Serialize)]
struct Found {
    name: String,
    precision: Precision,
    boxes: Vec<FoundBox>,
}

#[derive(Serialize)]
struct FoundBox {
    image: usize,
    class: u8,
    score: f64,
    frame: [f64; 4],
}

/// Top, left, bottom, right; each single-precision number exactly.
fn sides(frame: &Frame) -> [f64; 4] {
    [frame.top, frame.left, frame.bottom, frame.right].map(f64::from)
}

impl Boxes {
    pub fn new(classes: &[String], truth: &[Vec<Object>]) -> Boxes {
        let of_image = |(image, objects): (usize, &Vec<Object>)| {
            let one = |o: &Object| Truth { image, class: o.class, difficult: o.difficult, frame: sides(&o.frame) };
            objects.iter().map(one).collect::<Vec<_>>()
        };
        Boxes {
            classes: classes.to_vec(),
            truth: truth.iter().enumerate().flat_map(of_image).collect(),
            found: Vec::new(),
        }
    }

    /// Adds what a network found, `found[image]`.
    pub fn add(&mut self, name: &str, precision: Precision, found: &[Vec<Detection>]) {
        let of_image = |(image, all): (usize, &Vec<Detection>)| {
            let one = |d: &Detection| FoundBox { image, class: d.class, score: d.score.into(), frame: sides(&d.frame) };
            all.iter().map(one).collect::<Vec<_>>()
        };
        let boxes = found.iter().enumerate().flat_map(of_image).collect();
        self.found.push(Found { name: name.to_owned(), precision, boxes });
    }

    /// Writes the file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        files::write_long_json(path, self)
    }
}
