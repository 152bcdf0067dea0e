//! The worked example of the specification is what the encoder writes, byte by byte.
mod example;

use example::{RINGS, WEIGHTS};
use nested_csr::{Level, NestedCsr};

/// The bytes of the table rows that begin with an offset in backquotes: `| offset | bytes | …`.
fn bytes_of_the_specification() -> Vec<u8> {
    let text = include_str!("../FORMAT.md");
    let example = text.split("## 7. Worked example").nth(1).expect("the example is there");
    let mut bytes = Vec::new();
    for row in example.lines().filter(|line| line.starts_with("| 0x")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let offset = usize::from_str_radix(&cells[1][2..], 16).expect("an offset");
        assert_eq!(offset, bytes.len(), "the offset of row {row}");
        let hex = cells[2].trim_matches('`').split(' ');
        bytes.extend(hex.map(|byte| u8::from_str_radix(byte, 16).expect("a byte")));
    }
    bytes
}

#[test]
fn the_specification_shows_what_the_encoder_writes() {
    let matrix = example::matrix();
    let specified = bytes_of_the_specification();
    assert_eq!(matrix.as_bytes(), specified, "written: {:02x?}", matrix.as_bytes());
    let read = NestedCsr::parse(&specified).unwrap();
    for level in Level::new(3).unwrap().up_to() {
        let dense = WEIGHTS.iter().zip(RINGS).map(|(&w, ring)| if usize::from(ring) <= level.number() { w } else { 0 });
        assert_eq!(read.to_dense(level).unwrap(), dense.collect::<Vec<_>>());
    }
}
