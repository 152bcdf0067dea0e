//! The frame of a measuring firmware: a heap, a panic that prints, QEMU's exit code.
use core::{mem::MaybeUninit, panic::PanicInfo};
use cortex_m::asm::wfi;
use cortex_m_semihosting::{debug, hprintln};
use embedded_alloc::LlffHeap;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();
const HEAP_LEN: usize = 3 << 20;

/// Runs `work` with a heap and the result of it as QEMU's exit code.
pub fn run(work: impl FnOnce()) -> ! {
    static mut MEMORY: [MaybeUninit<u8>; HEAP_LEN] = [MaybeUninit::uninit(); HEAP_LEN];
    // SAFETY: each firmware calls `run` once, first, and nothing else uses `MEMORY`.
    unsafe { HEAP.init((&raw mut MEMORY).addr(), HEAP_LEN) }
    work();
    hprintln!("{}", r#"{"end":true}"#);
    debug::exit(debug::EXIT_SUCCESS);
    loop {
        wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {
        wfi();
    }
}
