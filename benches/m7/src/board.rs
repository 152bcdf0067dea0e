//! Where the boards differ: addresses, and the clock of the timer.

/// The first timer.
#[cfg(not(board_an505))]
pub const TIMER: *mut u32 = 0x4000_0000 as *mut u32;
/// The first timer, at its secure address.
#[cfg(board_an505)]
pub const TIMER: *mut u32 = 0x5000_0000 as *mut u32;

/// Nanoseconds between two ticks of the timer.
#[cfg(not(board_an505))]
pub const TICK: u64 = 40;
/// Nanoseconds between two ticks of the timer.
#[cfg(board_an505)]
pub const TICK: u64 = 50;

/// Where the flash begins.
#[cfg(not(board_an505))]
const FLASH: usize = 0;
/// Where the flash begins.
#[cfg(board_an505)]
const FLASH: usize = 0x1000_0000;

/// What the host lays there before the firmware starts: in flash, behind the firmware, to the end.
pub const JOB: core::ops::Range<usize> = FLASH + 0x0006_0000..FLASH + 0x0040_0000;
