//! Makes a small nested model in memory and runs it at each of its levels.
//!
//! With a path, runs that `.ncsr` file instead: `cargo run --release -p nested-kernels --example run_model -- model.ncsr`
use nested_csr::{Model, Operation};
use nested_kernels::{Network, Softmax};
use std::{error::Error, time::Instant};

#[path = "shared/model.rs"]
mod shared;

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => shared::example()?.into_bytes(),
    };
    let network = Network::new(Model::parse(bytes)?)?;
    let image: Vec<i8> = (0..network.model().input_shape().len()).map(|i| (i * 37 % 256) as u8 as i8).collect();
    let densest = network.model().levels();
    let mut arena = vec![0; network.preferred_arena_len(densest)?];
    let mut output = vec![0; network.model().output_shape().len()];
    println!("arena: at least {} bytes, fastest with {}", network.arena_len(densest)?, arena.len());
    for level in network.model().levels().up_to() {
        let start = Instant::now();
        network.run(level, &image, &mut arena, &mut output)?;
        println!("level {level}: {:?} in {:?}", &output[..output.len().min(10)], start.elapsed());
        let last = network.model().node_count() - 1;
        if matches!(network.model().node(last).map(|node| node.operation), Some(Operation::Detection { .. })) {
            continue; // boxes, not classes: `Detector` reads them
        }
        // The output's scale is the last node's.
        let last = network.model().parameters(level, last).ok_or("a model without nodes")?;
        let mut probabilities = vec![0; output.len()];
        Softmax::new(last.output().scale).apply(&output, &mut probabilities)?;
        let class = (0..output.len()).max_by_key(|&class| output[class]).ok_or("a model without classes")?;
        println!("    class {class} with {} of 256", i32::from(probabilities[class]) + 128);
    }
    Ok(())
}
