//! Checks random layers against the naive reference.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use nested_m7::{cases, run};

#[entry]
fn main() -> ! {
    run(cases::check)
}
