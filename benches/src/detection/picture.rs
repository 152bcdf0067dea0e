//! Scenes with the boxes that each network found in them.
use super::Scenes;
use crate::{
    error::Error,
    files,
    plot::{self, FONT, INK},
};
use nested_csr::TensorShape;
use nested_mask::{
    detect::{Detection, Frame},
    train::Images,
};
use plotters::{coord::Shift, prelude::*};
use std::path::Path;

/// Pixels of a scene's side in the picture.
const SIDE: usize = 220;
/// Pixels between scenes, and for the names of the rows.
const GAP: usize = 10;
const NAMES: usize = 130;
/// Boxes of a lower score are not drawn.
const SCORE: f32 = 0.4;

/// A row of the picture: the same scenes with the boxes of one network.
pub struct Row {
    pub name: String,
    /// One list a scene.
    pub found: Vec<Vec<Detection>>,
}

/// Colours of the classes, in turn (Okabe and Ito's, which people who cannot tell red from green tell apart).
const COLOURS: [RGBColor; 7] = [
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 200, 140),
    RGBColor(240, 228, 66),
    RGBColor(90, 140, 255),
    RGBColor(255, 110, 40),
    RGBColor(225, 140, 190),
];

/// Draws the first scenes once a row.
///
/// # Errors
/// A picture that cannot be drawn or written.
pub fn scenes(path: &Path, scenes: &Scenes, classes: &[String], rows: &[Row]) -> Result<(), Error> {
    plot::register_fonts();
    let columns = rows.iter().map(|row| row.found.len()).max().unwrap_or(0);
    let size = (NAMES + columns * (SIDE + GAP), GAP + rows.len() * (SIDE + GAP));
    files::replace(path, |temporary| {
        let area = BitMapBackend::new(temporary, (size.0 as u32, size.1 as u32)).into_drawing_area();
        let drawn = draw(&area, scenes, classes, rows).and_then(|()| area.present().map_err(|e| e.to_string()));
        drawn.map_err(|problem| Error::Picture { path: path.to_owned(), problem })
    })
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    scenes: &Scenes,
    classes: &[String],
    rows: &[Row],
) -> Result<(), String> {
    let wrong = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    area.fill(&WHITE).map_err(wrong)?;
    for (index, row) in rows.iter().enumerate() {
        let top = (GAP + index * (SIDE + GAP)) as i32;
        let name = Text::new(row.name.clone(), (8, top + SIDE as i32 / 2), (FONT, 20).into_font().color(&INK));
        area.draw(&name).map_err(wrong)?;
        for (scene, found) in row.found.iter().enumerate() {
            let left = (NAMES + scene * (SIDE + GAP)) as i32;
            let image = enlarged(scenes, scene);
            let image = BitMapElement::with_owned_buffer((left, top), (SIDE as u32, SIDE as u32), image);
            area.draw(&image.ok_or("a scene has not the size of its place")?).map_err(wrong)?;
            for detection in found.iter().rev().filter(|detection| detection.score >= SCORE) {
                let colour = COLOURS[usize::from(detection.class) % COLOURS.len()];
                let corners = corners(&detection.frame, left, top);
                area.draw(&Rectangle::new(corners, colour.stroke_width(2))).map_err(wrong)?;
                let name = classes.get(usize::from(detection.class)).cloned().unwrap_or_default();
                let at = (corners[0].0 + 3, corners[0].1 + 2);
                area.draw(&Text::new(name, at, (FONT, 14).into_font().color(&colour))).map_err(wrong)?;
            }
        }
    }
    Ok(())
}

/// Corners in the picture of a box in a scene whose upper left corner is here.
fn corners(frame: &Frame, left: i32, top: i32) -> [(i32, i32); 2] {
    let pixel = |fraction: f32| (fraction.clamp(0.0, 1.0) * (SIDE - 1) as f32).round() as i32;
    [(left + pixel(frame.left), top + pixel(frame.top)), (left + pixel(frame.right), top + pixel(frame.bottom))]
}

/// The nearest pixels of a scene, red, green and blue in turn.
fn enlarged(scenes: &Scenes, scene: usize) -> Vec<u8> {
    let TensorShape { channels, height, width } = scenes.shape;
    let pixels = scenes.image(scene);
    let pixel = |at: usize| {
        let (y, x) = (at / SIDE * height / SIDE, at % SIDE * width / SIDE);
        (0..3).map(move |colour| pixels[(colour.min(channels - 1) * height + y) * width + x])
    };
    (0..SIDE * SIDE).flat_map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_a_png() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scenes.png");
        let shape = TensorShape { channels: 1, height: 8, width: 8 };
        let all = Scenes::new(shape, 1, vec![90; 64], vec![Vec::new()]).unwrap();
        let frame = Frame { top: 0.1, left: 0.2, bottom: 0.6, right: 1.2 };
        let found = vec![vec![Detection { class: 0, score: 0.9, frame }]];
        scenes(&path, &all, &["bag".to_owned()], &[Row { name: "level 1".to_owned(), found }]).unwrap();
        assert!(files::read(&path).unwrap().starts_with(b"\x89PNG"));
    }
}
