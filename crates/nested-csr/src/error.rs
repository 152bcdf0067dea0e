//! What can be wrong with bytes or with what is to be compressed.

/// Where and what is wrong. (Contract stage: the variants grow.)
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A level that is not there.
    #[error("no level {level}: levels 1..={levels} exist")]
    NoSuchLevel {
        /// The level asked for.
        level: usize,
        /// The levels that exist.
        levels: usize,
    },
}
