//! Counts the instructions of a whole network at each level, and of a switch between levels.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use nested_m7::{networks, run};

#[entry]
fn main() -> ! {
    run(networks::measure)
}
