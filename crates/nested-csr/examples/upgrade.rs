//! A device gets the sparsest network first and denser levels later, without a second copy of any weight.
use nested_csr::{Block, FormatError, Level, NestedCsr, Profile, Shape};

fn main() -> Result<(), FormatError> {
    let shape = Shape { rows: 32, columns: 288 };
    let rings: Vec<u8> =
        (0..shape.len()).map(|i| if i * 7919 % 10 < 3 { (i * 7919 % 10 + 1) as u8 } else { 0 }).collect();
    let weights: Vec<i8> = rings.iter().enumerate().map(|(i, &ring)| if ring > 0 { i as i8 | 1 } else { 0 }).collect();
    let whole = NestedCsr::compress(shape, Block::OneByOne, Level::new(3)?, &weights, &rings, Profile::Size)?;

    // Shipped: a valid file of one level, whose header already says that there may be three.
    let mut device = NestedCsr::parse(whole.prefix(Level::FIRST)?.to_vec())?;
    let (held, stated) = (device.levels(), device.levels_stated());
    println!("shipped {} bytes: {held} of {stated} levels", device.as_bytes().len());

    // Sent later. A transfer that breaks is noticed, and the device keeps what it had.
    let later = whole.sections_after(Level::FIRST)?;
    let broken = later.split_last().map_or(&[][..], |(_, rest)| rest);
    if let Err(error) = device.upgrade(broken) {
        println!("refused: {error}");
    }
    device.upgrade(later)?;
    println!("sent {} bytes more: {} levels", later.len(), device.levels());
    assert_eq!(device.as_bytes(), whole.as_bytes());
    Ok(())
}
