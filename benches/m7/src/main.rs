//! Firmware that runs the kernels on the reference layers, checks every output against the naive reference to the bit,
//! and prints one JSON object a line with the instructions counted.
#![no_std]
#![no_main]

extern crate alloc;

mod counter;
mod layers;
mod reference;
mod trial;

use core::{mem::MaybeUninit, panic::PanicInfo};
use cortex_m as _;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use counter::Counter;
use embedded_alloc::LlffHeap;
use nested_csr::Block;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();
const HEAP_LEN: usize = 3 << 20;

#[entry]
fn main() -> ! {
    static mut MEMORY: [MaybeUninit<u8>; HEAP_LEN] = [MaybeUninit::uninit(); HEAP_LEN];
    // SAFETY: `entry` hands `MEMORY` out once, and nothing else uses it.
    unsafe { HEAP.init(MEMORY.as_mut_ptr().addr(), HEAP_LEN) }
    let counter = Counter::start();
    counter.check();
    for block in [Block::OneByOne, Block::OneByTwo] {
        for layer in layers::SPARSE {
            for sparsity in [0, 50, 70, 80, 90, 95] {
                trial::sparse(&counter, &layer, block, sparsity);
            }
        }
    }
    for layer in layers::FULLY_CONNECTED {
        for sparsity in [0, 50, 70, 80, 90, 95] {
            trial::sparse(&counter, &layer, Block::OneByOne, sparsity);
        }
    }
    for layer in layers::SPARSE.iter().chain(&layers::FULLY_CONNECTED).chain([&layers::FIRST]) {
        trial::dense(&counter, layer);
    }
    trial::depthwise(&counter, &layers::DEPTHWISE);
    hprintln!("{}", r#"{"end":true}"#);
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
