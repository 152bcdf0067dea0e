//! Damaged files with checksums that fit: this reader and the naive one accept the same files and read the same from them.
#![no_main]
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use nested_csr_fuzz::{agree, mutate, tally};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, fuzzer_mutate)
});

fuzz_target!(|data: &[u8]| tally(agree::readers(data)));
