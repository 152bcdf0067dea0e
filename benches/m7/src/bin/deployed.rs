//! A firmware as a product would have it: a model in flash, one frame after another, the level chosen anew for each.
//!
//! It is built to be inspected: its symbols must not hold a panic.
#![no_std]
#![no_main]

use core::{hint::black_box, panic::PanicInfo, slice};
use cortex_m::asm::wfi;
use cortex_m_rt::entry;
use nested_csr::Model;
use nested_kernels::{Detection, Detector, Governor, KernelError, Network, Thresholds};
use nested_m7::board::JOB;

#[entry]
fn main() -> ! {
    static mut ARENA: [u8; 256 << 10] = [0; 256 << 10];
    static mut IMAGE: [i8; 96 * 96 * 3] = [0; 96 * 96 * 3];
    static mut LOGITS: [i8; 12 << 10] = [0; 12 << 10];
    static mut FOUND: [Detection; 16] = [Detection { class: 0, score: 0, top: 0, left: 0, bottom: 0, right: 0 }; 16];
    // SAFETY: flash that nothing writes while the firmware runs.
    let flash = unsafe { slice::from_raw_parts(JOB.start as *const u8, JOB.len()) };
    // A product would signal an error; this one stops.
    if let Some(model) = model(flash) {
        let _ = frames(model, IMAGE, ARENA, LOGITS, FOUND);
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
fn frames(
    model: &'static [u8],
    image: &[i8],
    arena: &mut [u8],
    logits: &mut [i8],
    found: &mut [Detection],
) -> Result<(), KernelError> {
    let network = Network::new(Model::parse(model)?)?;
    let governor = Governor::of(network.model());
    let (input, output) = (network.model().input_shape().len(), network.model().output_shape().len());
    // Larger than this program's memory: nothing is run.
    let (Some(image), Some(logits)) = (image.get(..input), logits.get_mut(..output)) else { return Ok(()) };
    loop {
        let budget = black_box(5_000_000);
        if let Some(level) = governor.densest_within(budget) {
            network.run(level, black_box(image), arena, logits)?;
            black_box(&*logits);
            if let Ok(detector) = Detector::new(network.model()) {
                black_box(detector.detect(level, logits, Thresholds::default(), found)?);
            }
        }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        wfi();
    }
}
