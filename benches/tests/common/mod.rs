//! What the tests of the command line share.
use std::{fs, path::Path};

const SIDE: usize = 8;

/// Writes the four IDX files of a set of ten classes that differ in the slope of their stripes.
pub fn write_set(folder: &Path) {
    for (name, images) in [("train", 320), ("t10k", 60)] {
        let mut pixels = [0x803, images, SIDE, SIDE].map(|number| (number as u32).to_be_bytes()).concat();
        let mut labels = [0x801, images].map(|number| (number as u32).to_be_bytes()).concat();
        for image in 0..images {
            let class = image % 10;
            labels.push(class as u8);
            let stripes =
                |at: usize| (at % SIDE * (class + 1) * 9 + at / SIDE * (10 - class) * 5 + image / 10 * 3) as u8;
            pixels.extend((0..SIDE * SIDE).map(stripes));
        }
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), pixels).unwrap();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    }
}
