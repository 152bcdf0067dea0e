//! Counts the instructions of the kernels on the reference layers.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use nested_csr::Block;
use nested_m7::{counter::Counter, layers, run, trial};

#[entry]
fn main() -> ! {
    run(|| {
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
    })
}
