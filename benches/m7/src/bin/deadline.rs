//! Holds a deadline while its load changes, by switching levels from frame to frame.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use nested_m7::{deadline, run};

#[entry]
fn main() -> ! {
    run(deadline::hold)
}
