//! The IDX files of MNIST and of the sets made in its image: a magic number, big-endian sizes, then one byte a value.
use super::{
    Dataset, Split,
    error::{DataError, Problem},
    stream::Stream,
};
use nested_csr::TensorShape;
use std::path::{Path, PathBuf};

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;
/// MNIST-like sets have ten classes.
const CLASSES: usize = 10;

/// Reads the four standard files of a folder, each plain or with `.gz` at the end.
pub fn load(folder: &Path) -> Result<Split, DataError> {
    let open = |name| Stream::open(&find(folder, name)?);
    let train = dataset(open("train-images-idx3-ubyte")?, open("train-labels-idx1-ubyte")?, None)?;
    let test = dataset(open("t10k-images-idx3-ubyte")?, open("t10k-labels-idx1-ubyte")?, Some(train.shape))?;
    Ok(Split { name: folder.display().to_string(), train, test })
}

fn find(folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    [folder.join(name), folder.join(format!("{name}.gz"))]
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| DataError::Missing { folder: folder.to_owned(), name: format!("{name}[.gz]") })
}

/// Reads one pair of files; `expected` is the shape that the images must have.
pub fn dataset(
    mut images: Stream<'_>,
    labels: Stream<'_>,
    expected: Option<TensorShape>,
) -> Result<Dataset, DataError> {
    magic(&mut images, IMAGES_MAGIC)?;
    let count = size(&mut images, "the number of images", None)?;
    let height = size(&mut images, "the height of the images", expected.map(|shape| shape.height))?;
    let width = size(&mut images, "the width of the images", expected.map(|shape| shape.width))?;
    let Some(length) = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(count)) else {
        return Err(images.wrong(Problem::TooLarge { what: "the number of pixels" }));
    };
    // The labels come first: their count shows a wrong header before any pixel is read.
    let labels = read_labels(labels, count, images.name())?;
    let pixels = images.bytes(length, "the images")?;
    images.end()?;
    Ok(Dataset { shape: TensorShape { channels: 1, height, width }, classes: CLASSES, pixels, labels })
}

fn read_labels(mut stream: Stream<'_>, images: usize, images_name: &str) -> Result<Vec<u8>, DataError> {
    magic(&mut stream, LABELS_MAGIC)?;
    let count = stream.big_endian("the number of labels")? as usize;
    if count != images {
        let problem = Problem::Mismatch {
            what: "the number of labels",
            found: count as u64,
            expected: images as u64,
            other: images_name.to_owned(),
        };
        return Err(stream.wrong_before(4, problem));
    }
    let labels = stream.bytes(count, "the labels")?;
    if let Some(at) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
        let back = (labels.len() - at) as u64;
        return Err(stream.wrong_before(back, Problem::Label { label: labels[at], classes: CLASSES }));
    }
    stream.end()?;
    Ok(labels)
}

fn magic(stream: &mut Stream<'_>, expected: u32) -> Result<(), DataError> {
    let found = stream.big_endian("the magic number")?;
    if found != expected {
        return Err(stream.wrong_before(4, Problem::Magic { expected, found }));
    }
    Ok(())
}

fn size(stream: &mut Stream<'_>, what: &'static str, expected: Option<usize>) -> Result<usize, DataError> {
    let found = stream.big_endian(what)? as usize;
    match expected {
        _ if found == 0 => Err(stream.wrong_before(4, Problem::Zero { what })),
        Some(expected) if found != expected => {
            let other = "the set of training images".to_owned();
            let problem = Problem::Mismatch { what, found: found as u64, expected: expected as u64, other };
            Err(stream.wrong_before(4, problem))
        }
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn header(magic: u32, sizes: &[u32]) -> Vec<u8> {
        let mut bytes = magic.to_be_bytes().to_vec();
        bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
        bytes
    }

    /// Two images of 2×3 pixels.
    fn images() -> Vec<u8> {
        let mut bytes = header(IMAGES_MAGIC, &[2, 2, 3]);
        bytes.extend(0..12);
        bytes
    }

    fn labels() -> Vec<u8> {
        let mut bytes = header(LABELS_MAGIC, &[2]);
        bytes.extend([9, 0]);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(images: &[u8], labels: &[u8]) -> Result<Dataset, DataError> {
        let stream = |name: &str, bytes| Stream::new(name.to_owned(), bytes);
        dataset(stream("I", images)?, stream("L", labels)?, None)
    }

    fn message(images: &[u8], labels: &[u8]) -> String {
        read(images, labels).expect_err("accepted").to_string()
    }

    #[test]
    fn plain_and_gzip_files_give_the_same_images() {
        let plain = read(&images(), &labels()).unwrap();
        assert_eq!(plain.shape, TensorShape { channels: 1, height: 2, width: 3 });
        assert_eq!(
            (plain.pixels.as_slice(), plain.labels.as_slice()),
            ((0..12).collect::<Vec<u8>>().as_slice(), &[9, 0][..])
        );
        assert_eq!(read(&gzip(&images()), &gzip(&labels())).unwrap(), plain);
    }

    #[test]
    fn every_truncation_is_an_error_at_the_last_byte() {
        for length in 0..images().len() {
            let message = message(&images()[..length], &labels());
            assert!(message.starts_with(&format!("I: byte {length}: the file ends here")), "{message}");
        }
        for length in 0..labels().len() {
            let message = message(&images(), &labels()[..length]);
            assert!(message.starts_with(&format!("L: byte {length}: the file ends here")), "{message}");
        }
    }

    #[test]
    fn every_truncation_of_a_gzip_file_is_an_error() {
        let packed = gzip(&images());
        for length in 0..packed.len() {
            assert!(read(&packed[..length], &labels()).is_err(), "{length} of {} bytes accepted", packed.len());
        }
    }

    #[test]
    fn wrong_values_are_named_with_their_byte() {
        let changed = |mut bytes: Vec<u8>, at: usize, value: u8| {
            bytes[at] = value;
            bytes
        };
        let cases = [
            (
                message(&changed(images(), 3, 1), &labels()),
                "I: byte 0: magic number 0x00000801 where 0x00000803 belongs",
            ),
            (message(&changed(images(), 7, 0), &labels()), "I: byte 4: the number of images is 0"),
            (message(&changed(images(), 11, 0), &labels()), "I: byte 8: the height of the images is 0"),
            (message(&changed(images(), 7, 3), &labels()), "L: byte 4: the number of labels is 2, but I says 3"),
            (
                message(&images(), &changed(labels(), 3, 3)),
                "L: byte 0: magic number 0x00000803 where 0x00000801 belongs",
            ),
            (message(&images(), &changed(labels(), 9, 10)), "L: byte 9: label 10, but the classes are 0..=9"),
            (message(&[images(), vec![0]].concat(), &labels()), "I: byte 28: bytes after the end of the data"),
            (message(&images(), &[labels(), vec![0]].concat()), "L: byte 10: bytes after the end of the data"),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn places_in_a_gzip_file_are_those_of_the_unpacked_data() {
        let message = message(&gzip(&images()), &gzip(&[&labels()[..9], &[77]].concat()));
        assert_eq!(message, "L: byte 9 of the unpacked data: label 77, but the classes are 0..=9");
    }

    #[test]
    fn bytes_after_a_gzip_file_are_an_error() {
        assert!(read(&[gzip(&images()), vec![7]].concat(), &labels()).is_err());
    }

    #[test]
    fn a_count_that_lies_does_not_cost_memory() {
        let count = u32::MAX;
        let images = [header(IMAGES_MAGIC, &[count, 1, 1]), vec![0; 9]].concat();
        let labels = [header(LABELS_MAGIC, &[count]), vec![0; 9]].concat();
        assert!(
            message(&images, &labels)
                .starts_with("L: byte 17: the file ends here, 4294967286 bytes short of the labels")
        );
    }
}
