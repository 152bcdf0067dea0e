//! `train-speed`: how many images a second a training step takes.
use crate::{
    error::Error,
    files,
    host::{self, Machine, Threads, TrainFile},
    table::Table,
};
use clap::Args;
use std::path::PathBuf;

/// Time the training of ResNet-8, without masks and nested
#[derive(Args, Debug)]
pub struct Options {
    /// Epochs of each training
    #[arg(long, default_value_t = 6)]
    epochs: usize,
    /// Steps of an epoch
    #[arg(long, default_value_t = 24)]
    steps: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Write the rows here too; rows that the file holds already stay when they are faster
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let machine = Machine::here();
    let (rows, whole) = host::measure_training(options.epochs, options.steps, Threads(options.threads))?;
    let mut file = TrainFile { rows, machine, whole };
    let mut table = Table::new(["engine", "width", "batch", "threads", "images a second", "GFLOP/s"]);
    for row in &file.rows {
        let numbers = [row.width.to_string(), row.batch.to_string(), row.threads.to_string()];
        let speeds = [
            format!("{:.0}", row.images_per_second),
            row.gflops.map_or_else(String::new, |gflops| format!("{gflops:.1}")),
        ];
        table.row([row.engine.clone()].into_iter().chain(numbers).chain(speeds));
    }
    println!("{table}");
    for whole in &file.whole {
        println!("Width {}: nested over dense {:.3}", whole.width, whole.ratio());
    }
    match &options.json {
        Some(path) => {
            if path.exists() {
                file.merge(path)?;
            }
            files::write_json(path, &file)
        }
        None => Ok(()),
    }
}
