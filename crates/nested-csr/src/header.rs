//! The header of every file: what it is, and where its body and sections lie.
use crate::bytes::{range, u8_at, u16_at, u32_at};
use crate::{FormatError, Level, MAX_LEVELS, Part};
use core::fmt;

/// The first four bytes of a file.
pub const MAGIC: [u8; 4] = *b"NCSR";
/// The version of the format that this crate writes and reads.
pub const VERSION: u16 = 1;

/// Bytes before the table of sections.
pub(crate) const FIXED_LEN: usize = 16;
/// Bytes a section takes in the table: length and checksum.
pub(crate) const ENTRY_LEN: usize = 8;

/// Bytes of the header of a file of `levels` levels, its own checksum included.
pub(crate) const fn header_len(levels: usize) -> usize {
    FIXED_LEN.saturating_add(levels.saturating_mul(ENTRY_LEN)).saturating_add(4)
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One matrix: [`crate::NestedCsr`].
    Matrix,
    /// A set of named matrices: [`crate::Layers`].
    Layers,
    /// A graph with its weights and requantisation: [`crate::Model`].
    Model,
}

impl Kind {
    /// The kind of a file, from its first bytes, nothing else checked.
    ///
    /// ```
    /// use nested_csr::{FormatError, Kind};
    ///
    /// assert_eq!(Kind::of(b"NCSR\x01\x00\x02\x03\x00\x00\x00\x00\x00\x00\x00\x00"), Ok(Kind::Model));
    /// assert_eq!(Kind::of(b"PK\x03\x04 and so on"), Err(FormatError::NotNestedCsr { found: *b"PK\x03\x04" }));
    /// ```
    ///
    /// # Errors
    /// Not this format (zeros stand for what is missing of its first bytes), another version, an undefined kind, or fewer than
    /// 16 bytes of a file that begins like one.
    pub fn of(bytes: &[u8]) -> Result<Kind, FormatError> {
        // First what it is, then whether it is whole: short bytes of another kind are not a file cut short.
        if !MAGIC.starts_with(bytes.get(..MAGIC.len()).unwrap_or(bytes)) {
            return Err(FormatError::NotNestedCsr { found: core::array::from_fn(|at| u8_at(bytes, at)) });
        }
        if bytes.len() < FIXED_LEN {
            return Err(FormatError::Truncated { part: Part::Header, needed: FIXED_LEN, have: bytes.len() });
        }
        let version = u16_at(bytes, 4);
        if version != VERSION {
            return Err(FormatError::UnsupportedVersion { found: version, supported: VERSION });
        }
        match u8_at(bytes, 6) {
            0 => Ok(Kind::Matrix),
            1 => Ok(Kind::Layers),
            2 => Ok(Kind::Model),
            found => Err(FormatError::UnknownKind { found }),
        }
    }

    /// The byte that stands for it.
    #[cfg(feature = "alloc")]
    pub(crate) const fn code(self) -> u8 {
        match self {
            Kind::Matrix => 0,
            Kind::Layers => 1,
            Kind::Model => 2,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Matrix => "matrix",
            Kind::Layers => "set of layers",
            Kind::Model => "model",
        })
    }
}

impl Kind {
    /// What reads such a file, for messages.
    pub(crate) const fn reader(self) -> &'static str {
        match self {
            Kind::Matrix => "NestedCsr::parse",
            Kind::Layers => "Layers::parse",
            Kind::Model => "Model::parse",
        }
    }
}

/// Where the parts of a checked file lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Levels whose sections are there.
    pub held: Level,
    /// Levels that the header states.
    pub stated: Level,
    /// End of the body, then of each section that is there.
    ends: [u32; MAX_LEVELS + 1],
}

/// The lengths of the files that begin here: of the one of level 1, of levels 1 to 2, … to all levels that the header states.
///
/// It is for memory of which the file is only the beginning, such as a region of flash: `parse` wants the file alone, and refuses
/// what lies behind it. Only the header is read and checked; lengths may go past the end of `bytes`.
///
/// ```
/// use nested_csr::{FormatError, Model, prefix_lens};
/// # use nested_csr::{Level, ModelBuilder, Profile, Quantization, TensorShape, Window};
///
/// /// The model of the most levels that are whole in a region; the others are still to come.
/// fn installed(region: &[u8]) -> Result<Model<&[u8]>, FormatError> {
///     let mut result = Err(FormatError::Empty);
///     for len in prefix_lens(region)?.rev() {
///         result = Model::parse(&region[..len.min(region.len())]);
///         if result.is_ok() {
///             break;
///         }
///     }
///     result
/// }
///
/// # let image = TensorShape { channels: 1, height: 2, width: 2 };
/// # let mut builder = ModelBuilder::new(Level::new(2)?, image, Quantization { scale: 0.5, zero_point: -3 })?;
/// # builder.max_pool("pool", builder.input(), Window::square(2, 1, 0))?;
/// # let file = builder.finish(Profile::Size)?;
/// let mut flash = [0xff; 512]; // erased
/// let first = file.prefix(Level::FIRST)?; // of a `file` of two levels
/// flash[..first.len()].copy_from_slice(first);
/// assert_eq!(installed(&flash)?.levels(), Level::FIRST);
/// flash[..file.as_bytes().len()].copy_from_slice(file.as_bytes());
/// assert_eq!(installed(&flash)?.levels().number(), 2);
/// # Ok::<(), nested_csr::FormatError>(())
/// ```
///
/// # Errors
/// What is wrong with the header: see [`Kind::of`]; its checksum, a length that no part may have.
pub fn prefix_lens(bytes: &[u8]) -> Result<impl DoubleEndedIterator<Item = usize> + ExactSizeIterator, FormatError> {
    Kind::of(bytes)?;
    let layout = Layout::stated(bytes)?;
    Ok((0..layout.stated.number()).map(move |inner| layout.end(inner.saturating_add(1))))
}

impl Layout {
    /// Checks the header, the lengths and the checksums of all that is there.
    pub(crate) fn parse(bytes: &[u8], expected: Kind) -> Result<Layout, FormatError> {
        let found = Kind::of(bytes)?;
        if found != expected {
            return Err(FormatError::WrongKind { found, expected });
        }
        let layout = Layout::find(bytes)?;
        check_sum(Part::Body, u32_at(bytes, 12), layout.body(bytes))?;
        for level in layout.held.up_to() {
            let entry = FIXED_LEN.wrapping_add(level.index().wrapping_mul(ENTRY_LEN));
            let expected = u32_at(bytes, entry.wrapping_add(4));
            check_sum(Part::Section(level.number()), expected, layout.section(bytes, level))?;
        }
        Ok(layout)
    }

    /// Checks the header and its lengths, and finds how many sections are there.
    fn find(bytes: &[u8]) -> Result<Layout, FormatError> {
        let layout = Layout::stated(bytes)?;
        for part in 0..=layout.stated.number() {
            let end = layout.end(part);
            if bytes.len() == end && part > 0 {
                return Ok(Layout { held: Level::new(part)?, ..layout });
            }
            if bytes.len() < end {
                let part = if part == 0 { Part::Body } else { Part::Section(part) };
                return Err(FormatError::Truncated { part, needed: end, have: bytes.len() });
            }
        }
        let end = layout.end(layout.stated.number());
        Err(FormatError::TrailingBytes { extra: bytes.len().saturating_sub(end) })
    }

    /// Checks the header and its lengths: where the parts of the whole file would lie, all levels held.
    fn stated(bytes: &[u8]) -> Result<Layout, FormatError> {
        let found = u8_at(bytes, 7);
        let stated = Level::new(usize::from(found)).map_err(|_| FormatError::Levels { found })?;
        let header = header_len(stated.number());
        if bytes.len() < header {
            return Err(FormatError::Truncated { part: Part::Header, needed: header, have: bytes.len() });
        }
        let sealed = header.wrapping_sub(4);
        check_sum(Part::Header, u32_at(bytes, sealed), range(bytes, 0, sealed))?;

        let mut ends = [0; MAX_LEVELS + 1];
        let mut end = header;
        for (part, slot) in ends.iter_mut().enumerate().take(stated.number().saturating_add(1)) {
            let (name, field) = match part.checked_sub(1) {
                None => (Part::Body, 8),
                Some(index) => (Part::Section(part), FIXED_LEN.wrapping_add(index.wrapping_mul(ENTRY_LEN))),
            };
            let len = u32_at(bytes, field);
            if len == 0 || !len.is_multiple_of(4) {
                return Err(FormatError::PartLength { part: name, found: len as usize });
            }
            // On a 32-bit machine lengths may add up to more than an address can hold.
            end = end.checked_add(len as usize).ok_or(FormatError::TooLarge { what: "the file" })?;
            *slot = u32::try_from(end).map_err(|_| FormatError::TooLarge { what: "the file" })?;
        }
        Ok(Layout { held: stated, stated, ends })
    }

    fn end(&self, part: usize) -> usize {
        self.ends.get(part).map_or(0, |end| *end as usize)
    }

    /// The body.
    pub(crate) fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        range(bytes, header_len(self.stated.number()), self.end(0))
    }

    /// Where the section of a level begins.
    #[cfg(feature = "alloc")]
    pub(crate) fn section_start(&self, level: Level) -> usize {
        self.end(level.index())
    }

    /// The section of a level that is held.
    pub(crate) fn section<'a>(&self, bytes: &'a [u8], level: Level) -> &'a [u8] {
        range(bytes, self.end(level.index()), self.end(level.number()))
    }

    /// The file cut after `level`.
    pub(crate) fn prefix<'a>(&self, bytes: &'a [u8], level: Level) -> Result<&'a [u8], FormatError> {
        self.check_held(level)?;
        Ok(range(bytes, 0, self.end(level.number())))
    }

    /// The sections after `level`, up to the last that is held.
    pub(crate) fn sections_after<'a>(&self, bytes: &'a [u8], level: Level) -> Result<&'a [u8], FormatError> {
        self.check_held(level)?;
        Ok(range(bytes, self.end(level.number()), self.end(self.held.number())))
    }

    pub(crate) fn check_held(&self, level: Level) -> Result<(), FormatError> {
        if level > self.held {
            return Err(FormatError::NoSuchLevel { level: level.number(), levels: self.held.number() });
        }
        Ok(())
    }
}

fn check_sum(part: Part, expected: u32, content: &[u8]) -> Result<(), FormatError> {
    let found = crc32fast::hash(content);
    if found != expected {
        return Err(FormatError::Checksum { part, expected, found });
    }
    Ok(())
}
