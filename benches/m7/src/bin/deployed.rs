//! A firmware as a product would have it: a model in flash, one frame after another, the level chosen anew for each.
//!
//! It is built to be inspected: its symbols must not hold a panic.
#![no_std]
#![no_main]

use core::{hint::black_box, panic::PanicInfo, slice};
use cortex_m::asm::wfi;
use cortex_m_rt::entry;
use nested_csr::Model;
use nested_kernels::{Governor, KernelError, Network};
use nested_m7::board::JOB;

#[entry]
fn main() -> ! {
    static mut ARENA: [u8; 256 << 10] = [0; 256 << 10];
    static mut IMAGE: [i8; 32 * 32 * 3] = [0; 32 * 32 * 3];
    static mut LOGITS: [i8; 10] = [0; 10];
    // SAFETY: flash that nothing writes while the firmware runs.
    let flash = unsafe { slice::from_raw_parts(JOB.start as *const u8, JOB.len()) };
    // A product would signal an error; this one stops.
    if let Some(model) = model(flash) {
        let _ = frames(model, IMAGE, ARENA, LOGITS);
    }
    loop {
        wfi();
    }
}

/// A length, and so many bytes.
fn model(flash: &'static [u8]) -> Option<&'static [u8]> {
    let (len, rest) = flash.split_first_chunk()?;
    rest.get(..u32::from_le_bytes(*len) as usize)
}

/// Runs until an error.
fn frames(model: &'static [u8], image: &[i8], arena: &mut [u8], logits: &mut [i8]) -> Result<(), KernelError> {
    let network = Network::new(Model::parse(model)?)?;
    let governor = Governor::of(network.model());
    loop {
        let budget = black_box(5_000_000);
        if let Some(level) = governor.densest_within(budget) {
            network.run(level, black_box(image), arena, logits)?;
            black_box(&*logits);
        }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        wfi();
    }
}
