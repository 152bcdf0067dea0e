//! Exact instruction counts: under `-icount shift=6` an instruction takes 64 ns of QEMU's time, and the board's CMSDK
//! timer ticks every 40 ns (50 ns on mps2-an505), so that a count follows from the ticks.
use crate::board::{TICK, TIMER};
use core::arch::asm;

/// Nanoseconds that an instruction takes.
const INSTRUCTION: u64 = 64;

/// The board's first timer, running down from `u32::MAX`.
pub struct Counter {
    overhead: u32,
}

impl Counter {
    /// Starts the timer and measures what a count of nothing reads.
    pub fn start() -> Counter {
        // SAFETY: the registers of the board's timer 0; nothing else uses them.
        unsafe {
            TIMER.add(2).write_volatile(u32::MAX);
            TIMER.add(1).write_volatile(u32::MAX);
            TIMER.write_volatile(1);
        }
        let mut counter = Counter { overhead: 0 };
        counter.overhead = counter.count(|| ());
        counter
    }

    /// Instructions that `work` executes; at most 2.6 milliards.
    #[inline(never)]
    pub fn count(&self, work: impl FnOnce()) -> u32 {
        let before = Instant::now();
        work();
        before.elapsed() - self.overhead
    }

    /// Checks the count of a loop of known length.
    ///
    /// # Panics
    /// When the board does not count as expected: QEMU was started without `-icount shift=6`.
    pub fn check(&self) {
        for turns in [1_000, 100_000] {
            let counted = self.count(|| spin(turns));
            assert!(counted.abs_diff(2 * turns) <= 2, "{counted} instructions counted in a loop of {}", 2 * turns);
        }
    }
}

/// A reading of the running timer.
#[derive(Clone, Copy)]
pub struct Instant(u32);

impl Instant {
    pub fn now() -> Instant {
        // SAFETY: reads the value register of the timer.
        Instant(unsafe { TIMER.add(1).read_volatile() })
    }

    /// Instructions since then, the reading's own included.
    pub fn elapsed(self) -> u32 {
        self.until(Instant::now())
    }

    /// Instructions from this reading to a later one.
    pub fn until(self, later: Instant) -> u32 {
        let ticks = u64::from(self.0.wrapping_sub(later.0));
        ((ticks * TICK + INSTRUCTION / 2) / INSTRUCTION) as u32
    }
}

/// Where one interval ends and the next begins, for QEMU's plugin that counts blocks.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn nested_m7_mark() {
    // SAFETY: does nothing; it keeps the function from being optimised away.
    unsafe { asm!("nop", options(nomem, nostack, preserves_flags)) }
}

/// A loop of exactly `2 · turns` instructions.
pub fn spin(turns: u32) {
    if turns == 0 {
        return;
    }
    // SAFETY: touches one register and the flags.
    unsafe { asm!("1: subs {t}, {t}, #1", "bne 1b", t = inout(reg) turns => _, options(nomem, nostack)) }
}
