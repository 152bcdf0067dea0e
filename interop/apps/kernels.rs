//! An app that runs a model: each level of the file that it is given, twice, in one arena.
use nested_kernels::nested_csr::Model;
use nested_kernels::Network;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: app-kernels MODEL")?;
    let network = Network::new(Model::parse(std::fs::read(path)?)?)?;
    let image: Vec<i8> = (0..network.model().input_shape().len()).map(|i| (i * 37 % 256) as u8 as i8).collect();
    let mut arena = vec![0; network.arena_len(network.model().levels())?];
    for level in network.model().levels().up_to() {
        let mut logits = [vec![0; network.model().output_shape().len()], vec![1; network.model().output_shape().len()]];
        for logits in &mut logits {
            network.run(level, &image, &mut arena, logits)?;
        }
        if logits[0] != logits[1] {
            return Err(format!("level {level} gives two results for one image").into());
        }
        println!("level {level}: {:?}", logits[0]);
    }
    Ok(())
}
