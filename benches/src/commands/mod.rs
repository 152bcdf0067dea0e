//! The commands, one file each.
pub mod ablate;
pub mod check_report;
pub mod compare;
pub mod evaluate;
pub mod m7;
pub mod pipeline;
pub mod storage;
