//! `train-speed`: how many images a second a training step takes.
use crate::{
    error::Error,
    files,
    host::{self, Threads, TrainFile},
    table::Table,
};
use clap::Args;
use std::path::PathBuf;

/// Time the training of ResNet-8, without masks and nested
#[derive(Args, Debug)]
pub struct Options {
    /// Epochs of each training
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: u32,
    /// Steps of an epoch
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,
    /// Threads that train
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    threads: u32,
    /// Write the rows here too; rows that the file holds already stay when they are faster
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    files::check_writable_if(options.json.as_deref())?;
    // First, for what cannot stand beside the file's rows is not worth measuring.
    let mut all = TrainFile::begin(options.json.as_deref())?;
    let (epochs, steps, threads) = (options.epochs as usize, options.steps as usize, options.threads as usize);
    let (rows, whole) = host::measure_training(epochs, steps, Threads(threads))?;
    let file = TrainFile { rows, whole, ..TrainFile::default() };
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
    all.add(file);
    options.json.as_ref().map_or(Ok(()), |path| files::write_json(path, &all))
}
