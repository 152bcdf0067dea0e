//! Holds a deadline while the load changes: for each frame the densest level that fits what is left of its time.
//!
//! With a path, uses that `.ncsr` file: `cargo run --release -p nested-kernels --example governor -- model.ncsr`
use nested_csr::{Level, Model};
use nested_kernels::{Governor, Network};
use std::{error::Error, time::Instant};

#[path = "shared/model.rs"]
mod shared;

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => shared::example()?.into_bytes(),
    };
    let network = Network::new(Model::parse(bytes)?)?;
    let image = vec![0; network.model().input_shape().len()];
    let mut arena = vec![0; network.preferred_arena_len(network.model().levels())?];
    let mut output = vec![0; network.model().output_shape().len()];
    let mut run = |level: Level| -> Result<u64, Box<dyn Error>> {
        let start = Instant::now();
        network.run(level, &image, &mut arena, &mut output)?;
        Ok(start.elapsed().as_nanos() as u64)
    };

    // On a microcontroller `Governor::of(model)` takes the costs that the file states. Here they are measured: of 100 runs
    // the tenth slowest, so that a choice that fits is likely to hold, and one interruption does not decide.
    let mut costs = Vec::new();
    for level in network.model().levels().up_to() {
        let mut times = (0..100).map(|_| run(level)).collect::<Result<Vec<u64>, _>>()?;
        times.sort_unstable();
        costs.extend(times.get(90));
    }
    let governor = Governor::new(&costs);
    println!("nanoseconds of each level: {costs:?}");

    let deadline = costs.last().copied().unwrap_or(0) * 3 / 2;
    for percent in [0, 20, 40, 60, 80, 95] {
        let left = deadline - deadline * percent / 100;
        match governor.densest_within(left) {
            Some(level) => {
                println!("{percent} % of the frame is taken: level {level}, {} of {left} ns", run(level)?)
            }
            None => println!("{percent} % of the frame is taken: no level fits {left} ns, the frame is dropped"),
        }
    }
    Ok(())
}
