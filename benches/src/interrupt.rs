//! Ctrl-C.
use crate::files;

/// From now on Ctrl-C ends the program at once, but never while a file is written; `advice` says what to do next.
pub fn end_with(advice: String) -> Result<(), ctrlc::Error> {
    /// What shells report of a program that SIGINT ended.
    const INTERRUPTED: i32 = 130;
    ctrlc::set_handler(move || {
        let _no_writes = files::hold_writes();
        eprintln!("\ninterrupted: {advice}");
        std::process::exit(INTERRUPTED);
    })
}
