//! Scenes with objects to find: where they come from, how well they are found, and what is reported of it.
pub mod boxes;
pub mod compose;
pub mod folder;
pub mod measure;
pub mod outcome;
pub mod page;
pub mod paint;
pub mod picture;
pub mod precision;
pub mod report;
pub mod tiles;
pub mod voc;

pub use nested_mask::train::Scenes;
pub use tiles::Gathered;

/// Scenes to learn from and scenes to measure on.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneSplit {
    /// What the scenes are called in reports.
    pub name: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    pub train: Gathered,
    pub test: Gathered,
}
