//! `host`: layers and networks on this machine, at each sparsity.
use crate::{
    error::Error,
    files,
    host::{self, HostFile},
    table::Table,
};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Time layers and whole networks on this machine, at each sparsity
#[derive(Args, Debug)]
pub struct Options {
    /// Times that each case takes its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Milliseconds of a turn
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    slice: u64,
    /// Threads of the parallel cases
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    threads: u32,
    /// Write the rows here too; rows that the file holds already stay when they are faster
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only write the shapes that are measured, for other engines
    #[arg(long, value_name = "FILE")]
    shapes: Option<PathBuf>,
    /// What the rows call this build, instead of "ours"
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    if let Some(path) = &options.shapes {
        return files::write_json(path, &host::shapes()?);
    }
    files::check_writable_if(options.json.as_deref())?;
    // First, for what cannot stand beside the file's rows is not worth measuring.
    let mut all = HostFile::begin(options.json.as_deref())?;
    let (layers, networks, gain) =
        host::measure(options.rounds, Duration::from_millis(options.slice), options.threads as usize)?;
    let mut file = HostFile { layers, networks, independent_gain: Some(gain), ..HostFile::default() };
    if let Some(name) = &options.name {
        file.rename("ours", name);
    }
    print(&file);
    all.add(file);
    options.json.as_ref().map_or(Ok(()), |path| files::write_json(path, &all))
}

fn print(file: &HostFile) {
    let mut table = Table::new(["layer or network", "engine", "sparsity %", "threads", "ms"]);
    for row in file.layers.iter().chain(&file.networks) {
        let numbers = [row.sparsity.to_string(), row.threads.to_string(), format!("{:.4}", row.ms)];
        table.row([row.layer.clone(), row.engine.clone()].into_iter().chain(numbers));
    }
    println!("{table}");
}
