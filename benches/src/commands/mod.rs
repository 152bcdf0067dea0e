//! The commands, one file each.
pub mod ablate;
pub mod check_report;
pub mod compare;
pub mod detect;
pub mod evaluate;
pub mod host;
pub mod m7;
pub mod performance;
pub mod pipeline;
pub mod storage;
pub mod train_speed;
