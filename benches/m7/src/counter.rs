//! Exact instruction counts: under `-icount shift=6` an instruction takes 64 ns of QEMU's time, and the CMSDK timer
//! of the mps2 boards ticks every 40 ns, so five instructions are eight ticks.
use core::arch::asm;

const TIMER: *mut u32 = 0x4000_0000 as *mut u32;

/// The board's first timer, running down from `u32::MAX`.
pub struct Counter {
    overhead: u32,
}

impl Counter {
    /// Starts the timer and measures what a count of nothing reads.
    pub fn start() -> Counter {
        // SAFETY: the four registers of the board's timer 0; nothing else uses them.
        unsafe {
            TIMER.add(2).write_volatile(u32::MAX);
            TIMER.add(1).write_volatile(u32::MAX);
            TIMER.write_volatile(1);
        }
        let mut counter = Counter { overhead: 0 };
        counter.overhead = counter.count(|| ());
        counter
    }

    /// Instructions between the two readings of the timer around nothing.
    pub fn overhead(&self) -> u32 {
        self.overhead
    }

    /// Instructions that `work` executes; at most 2.6 milliards.
    #[inline(never)]
    pub fn count(&self, work: impl FnOnce()) -> u32 {
        let before = now();
        work();
        let ticks = before.wrapping_sub(now());
        ((ticks as u64 * 5 + 4) / 8) as u32 - self.overhead
    }
}

fn now() -> u32 {
    // SAFETY: reads the value register of the timer.
    unsafe { TIMER.add(1).read_volatile() }
}

/// A loop of exactly `2 · turns` instructions.
pub fn spin(turns: u32) {
    // SAFETY: touches one register and the flags.
    unsafe { asm!("1: subs {t}, {t}, #1", "bne 1b", t = inout(reg) turns => _, options(nomem, nostack)) }
}

impl Counter {
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
