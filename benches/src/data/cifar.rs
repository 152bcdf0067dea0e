//! The binary batches of CIFAR-10 and CIFAR-100: records of the labels, one byte each, and 32×32 pixels of red, then green,
//! then blue.
use super::{
    Dataset, Split,
    error::{DataError, Problem},
    stream::Stream,
};
use nested_csr::TensorShape;
use std::path::Path;

const SHAPE: TensorShape = TensorShape { channels: 3, height: 32, width: 32 };

/// What tells one set's files from the other's.
pub struct Format {
    classes: usize,
    /// Label bytes of a record; the last one is the class.
    labels: usize,
    /// All of as many records.
    train: &'static [&'static str],
    test: &'static str,
    /// Records of each training file over those of the test file.
    over_test: usize,
}

/// Ten classes; five training batches and a test batch of 10,000 records each.
pub const CIFAR10: Format = Format {
    classes: 10,
    labels: 1,
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    over_test: 1,
};

/// A hundred classes (the byte before a record's class is its superclass); one file to train on and one to test on.
pub const CIFAR100: Format = Format { classes: 100, labels: 2, train: &["train.bin"], test: "test.bin", over_test: 5 };

/// Reads a set's files from a folder.
pub fn load(folder: &Path, format: &Format) -> Result<Split, DataError> {
    let mut train = Dataset { shape: SHAPE, classes: format.classes, pixels: Vec::new(), labels: Vec::new() };
    let mut test = train.clone();
    let mut records = None;
    for name in format.train {
        records = Some(append(open(folder, name)?, format, records, &mut train)?);
    }
    append(open(folder, format.test)?, format, records.map(|records| records / format.over_test), &mut test)?;
    Ok(Split { name: folder.display().to_string(), train, test })
}

fn open(folder: &Path, name: &str) -> Result<Stream<'static>, DataError> {
    let path = folder.join(name);
    if !path.exists() {
        return Err(DataError::Missing { folder: folder.to_owned(), name: name.to_owned() });
    }
    Stream::open(&path)
}

/// Appends the records of a file and says how many there were.
///
/// A file has no header; that the number of records is known from the first one shows one that was cut between two records.
fn append(
    mut stream: Stream<'_>,
    format: &Format,
    expected: Option<usize>,
    dataset: &mut Dataset,
) -> Result<usize, DataError> {
    let before = dataset.labels.len();
    while dataset.labels.is_empty() || !stream.at_end()? {
        let labels = stream.bytes(format.labels, "a record")?;
        let label = labels[format.labels - 1];
        if usize::from(label) >= format.classes {
            return Err(stream.wrong_before(1, Problem::Label { label, classes: format.classes }));
        }
        dataset.labels.push(label);
        stream.append(SHAPE.len(), &mut dataset.pixels, "a record")?;
    }
    let records = dataset.labels.len() - before;
    match expected {
        Some(expected) if records != expected => {
            let (found, expected) = (records as u64, expected as u64);
            let other = format.train[0].to_owned();
            Err(stream.wrong(Problem::Mismatch { what: "the number of records", found, expected, other }))
        }
        _ => Ok(records),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const RECORD: usize = 1 + 3 * 32 * 32;

    /// Two records a batch; the label is the batch's number and then 9, each pixel byte its own position, modulo 251.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for batch in 0..=CIFAR10.train.len() {
            let name = if batch == 0 { "test_batch.bin".to_owned() } else { format!("data_batch_{batch}.bin") };
            let record = |label| [label].into_iter().chain((0..SHAPE.len()).map(|at| (at % 251) as u8));
            let bytes: Vec<u8> = record(batch as u8).chain(record(9)).collect();
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn message(folder: &tempfile::TempDir) -> String {
        let message = load(folder.path(), &CIFAR10).expect_err("accepted").to_string();
        message.replace(&format!("{}", folder.path().display()), "DIR")
    }

    #[test]
    fn batches_follow_each_other() {
        let split = load(folder().path(), &CIFAR10).unwrap();
        assert_eq!(split.train.labels, [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
        assert_eq!(split.test.labels, [0, 9]);
        assert_eq!(split.train.pixels.len(), 10 * SHAPE.len());
        assert_eq!(split.train.pixels[SHAPE.len() + 1024], (1024 % 251) as u8);
    }

    #[test]
    fn a_cut_batch_is_an_error_with_its_byte() {
        for (length, expected) in [
            (0, "byte 0: the number of records is 0, but data_batch_1.bin says 2"),
            (RECORD, "byte 3073: the number of records is 1, but data_batch_1.bin says 2"),
            (RECORD + 10, "byte 3083: the file ends here, 3063 bytes short of a record"),
        ] {
            let folder = folder();
            let path = folder.path().join("data_batch_3.bin");
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(message(&folder), format!("DIR/data_batch_3.bin: {expected}"));
        }
    }

    #[test]
    fn empty_files_missing_files_and_labels_out_of_range_are_errors() {
        let empty = folder();
        fs::write(empty.path().join("data_batch_1.bin"), []).unwrap();
        assert_eq!(message(&empty), "DIR/data_batch_1.bin: byte 0: the file ends here, 1 bytes short of a record");

        let missing = folder();
        fs::remove_file(missing.path().join("test_batch.bin")).unwrap();
        assert_eq!(message(&missing), "DIR: no file test_batch.bin");

        let label = folder();
        let path = label.path().join("data_batch_2.bin");
        let mut bytes = fs::read(&path).unwrap();
        bytes[RECORD] = 10;
        fs::write(&path, bytes).unwrap();
        assert_eq!(message(&label), "DIR/data_batch_2.bin: byte 3073: label 10, but the classes are 0..=9");
    }

    #[test]
    fn the_second_label_of_cifar_100_is_the_class() {
        let folder = tempfile::tempdir().unwrap();
        let record = |labels: [u8; 2]| labels.into_iter().chain((0..SHAPE.len()).map(|at| (at % 251) as u8));
        let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
        let train = [[19, 29], [3, 99], [0, 0], [0, 1], [0, 2]];
        write("train.bin", train.into_iter().flat_map(record).collect());
        write("test.bin", record([5, 61]).collect());
        let split = load(folder.path(), &CIFAR100).unwrap();
        assert_eq!((split.train.labels.as_slice(), split.test.labels.as_slice()), (&[29, 99, 0, 1, 2][..], &[61][..]));
        assert_eq!((split.train.classes, split.train.pixels.len()), (100, 5 * SHAPE.len()));
        assert_eq!(split.test.pixels[1024], (1024 % 251) as u8);

        // Cut between two records, the training file has too few for the test file.
        write("train.bin", train.into_iter().take(4).flat_map(record).collect());
        let error = load(folder.path(), &CIFAR100).expect_err("accepted").to_string();
        assert!(error.ends_with("test.bin: byte 3074: the number of records is 1, but train.bin says 0"), "{error}");

        write("test.bin", record([5, 100]).collect());
        let error = load(folder.path(), &CIFAR100).expect_err("accepted").to_string();
        assert!(error.ends_with("byte 1: label 100, but the classes are 0..=99"), "{error}");
        write("test.bin", record([5, 61]).take(100).collect());
        let error = load(folder.path(), &CIFAR100).expect_err("accepted").to_string();
        assert!(error.ends_with("byte 100: the file ends here, 2974 bytes short of a record"), "{error}");
    }
}
