//! A data file that is read once, from the front.
use super::error::{DataError, Place, Problem};
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// Bytes of a file, unpacked on the way when it is gzip, and how many of them have been read.
///
/// Memory follows the bytes that are really there, never a count that the file claims.
pub struct Stream<'a> {
    name: String,
    reader: Box<dyn BufRead + 'a>,
    place: Place,
}

impl<'a> Stream<'a> {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Stream<'static>, DataError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Stream::new(name, file),
            Err(source) => Err(DataError::Open { file: name, source }),
        }
    }

    /// Reads from anything; errors call it `name`.
    pub fn new(name: String, reader: impl Read + 'a) -> Result<Stream<'a>, DataError> {
        const GZIP: [u8; 2] = [0x1f, 0x8b];
        let mut reader = BufReader::new(reader);
        let unpacked = match reader.fill_buf() {
            Ok(start) => start.starts_with(&GZIP),
            Err(source) => return Err(DataError::Open { file: name, source }),
        };
        let reader: Box<dyn BufRead + 'a> =
            if unpacked { Box::new(BufReader::new(MultiGzDecoder::new(reader))) } else { Box::new(reader) };
        Ok(Stream { name, reader, place: Place { byte: 0, unpacked } })
    }

    /// What errors call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next `count` bytes; `what` names them when some are missing.
    pub fn bytes(&mut self, count: usize, what: &'static str) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        self.append(count, &mut bytes, what)?;
        Ok(bytes)
    }

    /// Appends the next `count` bytes to `bytes`.
    pub fn append(&mut self, count: usize, bytes: &mut Vec<u8>, what: &'static str) -> Result<(), DataError> {
        let before = bytes.len();
        let result = self.reader.by_ref().take(count as u64).read_to_end(bytes);
        let read = bytes.len() - before;
        self.place.byte += read as u64;
        if let Err(error) = result {
            return Err(self.wrong(Problem::Io(error)));
        }
        if read < count {
            return Err(self.wrong(Problem::Truncated { what, missing: (count - read) as u64 }));
        }
        Ok(())
    }

    /// The next four bytes as a big-endian number.
    pub fn big_endian(&mut self, what: &'static str) -> Result<u32, DataError> {
        let bytes = self.bytes(4, what)?;
        Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    /// Whether all bytes have been read.
    pub fn at_end(&mut self) -> Result<bool, DataError> {
        match self.reader.fill_buf() {
            Ok(rest) => Ok(rest.is_empty()),
            Err(error) => Err(self.wrong(Problem::Io(error))),
        }
    }

    /// Checks that all bytes have been read.
    pub fn end(&mut self) -> Result<(), DataError> {
        if self.at_end()? { Ok(()) } else { Err(self.wrong(Problem::Trailing)) }
    }

    /// An error at the next byte.
    pub fn wrong(&self, problem: Problem) -> DataError {
        self.wrong_before(0, problem)
    }

    /// An error `back` bytes before the next byte.
    pub fn wrong_before(&self, back: u64, problem: Problem) -> DataError {
        let place = Place { byte: self.place.byte - back, ..self.place };
        DataError::Content { file: self.name.clone(), place, problem }
    }
}
