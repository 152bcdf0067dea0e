//! Compresses int8 weights with their rings, keeps the bytes, and reads them in place at each level.
use nested_csr::{Block, FormatError, Level, NestedCsr, Profile, Shape};

fn main() -> Result<(), FormatError> {
    // Two output channels of a 1×1 convolution over six input channels. Ring 1 is the sparsest network's weights, ring 2
    // joins at level 2; 0 marks what is pruned.
    let shape = Shape { rows: 2, columns: 6 };
    let weights = [0, 57, 0, 0, -12, 0, 8, 0, 0, -99, 0, 3];
    let rings = [0, 1, 0, 0, 2, 0, 2, 0, 0, 1, 0, 2];
    let levels = Level::new(2)?;
    let matrix = NestedCsr::compress(shape, Block::OneByOne, levels, &weights, &rings, Profile::Size)?;

    let bytes: &[u8] = matrix.as_bytes(); // write them to a file or into flash
    let read = NestedCsr::parse(bytes)?; // checks all once; no allocation
    for level in read.levels().up_to() {
        println!("level {level}: {} weights, {} bytes", read.view().stored(level)?, read.prefix(level)?.len());
        let mut rows = read.rows(level)?;
        let mut row = 0;
        while let Some(weights) = rows.row() {
            println!("  row {row}: {:?}", weights.collect::<Vec<_>>());
            row += 1;
        }
    }
    Ok(())
}
