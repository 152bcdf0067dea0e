//! Any bytes at all, and files with damage whose checksums fit: each reader says yes or an error, without allocating.
#![no_main]
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use nested_csr::{Kind, Layers, Model, NestedCsr};
use nested_csr_fuzz::{mutate, tally, without_allocating};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // One in four without the checksums made to fit.
    if seed % 4 == 0 { fuzzer_mutate(data, size, max_size) } else { mutate(data, size, max_size, seed, fuzzer_mutate) }
});

fuzz_target!(|data: &[u8]| {
    let accepted = without_allocating(|| {
        let accepted = [NestedCsr::parse(data).is_ok(), Layers::parse(data).is_ok(), Model::parse(data).is_ok()];
        assert!(accepted.iter().filter(|accepted| **accepted).count() <= usize::from(Kind::of(data).is_ok()));
        accepted.contains(&true)
    });
    tally(accepted);
});
