//! An example of the governor at work: each frame has the same time, other work takes a changing part of it, and the
//! network runs at the densest level that fits into what is left.
use crate::{
    counter::{Counter, Instant, spin},
    job::Job,
};
use alloc::vec;
use cortex_m_semihosting::hprintln;
use nested_csr::{Level, Model};
use nested_kernels::{Governor, Network};

/// Instructions that are kept back for the choice itself.
const MARGIN: u32 = 1_000;

/// Runs the job: a model with its costs, a period in instructions, an image, and each frame's other work.
///
/// # Panics
/// When the host's model is none, or cannot run.
pub fn hold() {
    Counter::start().check();
    let mut job = Job::read();
    let [len, period, frames] = [(); 3].map(|()| job.word());
    let network = Network::new(Model::parse(job.bytes(len as usize)).expect("a model")).expect("a network");
    let governor = Governor::of(network.model());
    let image = job.numbers(network.model().input_shape().len());
    let mut arena = vec![0; network.preferred_arena_len(network.model().levels()).expect("its own levels")];
    let mut logits = vec![0i8; network.model().output_shape().len()];
    for _ in 0..frames {
        let load = job.word();
        let start = Instant::now();
        spin(load / 2);
        let left = period.saturating_sub(start.elapsed() + MARGIN);
        let level = governor.densest_within(left.into());
        if let Some(level) = level {
            network.run(level, image, &mut arena, &mut logits).expect("all lengths fit");
        } else {
            logits.fill(0);
        }
        let used = start.elapsed();
        let level = level.map_or(0, Level::number);
        hprintln!("{{\"load\":{},\"level\":{},\"used\":{},\"logits\":{:?}}}", load, level, used, logits);
    }
}
