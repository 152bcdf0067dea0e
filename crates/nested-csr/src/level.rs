//! Levels: which of the nested sub-networks.
use crate::FormatError;
use core::fmt;

/// The most levels that a file may hold.
pub const MAX_LEVELS: usize = 8;

/// A level `1..=MAX_LEVELS`: 1 is the sparsest (innermost) sub-network.
///
/// ```
/// use nested_csr::Level;
///
/// let densest = Level::new(3)?;
/// assert_eq!(densest.up_to().map(Level::number).collect::<Vec<_>>(), [1, 2, 3]);
/// assert!(Level::FIRST < densest);
/// assert!(Level::new(0).is_err());
/// assert_eq!(format!("level {densest}"), "level 3");
/// # Ok::<(), nested_csr::FormatError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// The sparsest level, which every file holds.
    pub const FIRST: Level = Level(1);

    /// Level `number`, counted from 1.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`] outside `1..=MAX_LEVELS`.
    pub const fn new(number: usize) -> Result<Level, FormatError> {
        if number == 0 || number > MAX_LEVELS {
            return Err(FormatError::NoSuchLevel { level: number, levels: MAX_LEVELS });
        }
        #[allow(clippy::cast_possible_truncation)] // at most 8
        let level = Level(number as u8);
        Ok(level)
    }

    /// The number of the level, from 1.
    pub const fn number(self) -> usize {
        self.0 as usize
    }

    /// The number of the level, from 0.
    pub(crate) const fn index(self) -> usize {
        (self.0 as usize).saturating_sub(1)
    }

    /// The levels `1..=self`, sparsest first.
    pub fn up_to(self) -> impl DoubleEndedIterator<Item = Level> + ExactSizeIterator {
        (0..self.0).map(|below| Level(below.saturating_add(1)))
    }
}

/// Its number.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
