//! Experiments, benchmarks and the end-to-end pipeline. `nested-bench help` lists the commands.
#![forbid(unsafe_code)]
mod commands;
mod data;
mod deployed;
mod detection;
mod error;
mod experiment;
mod files;
mod goal;
mod host;
mod interrupt;
mod m7;
mod options;
mod origin;
mod plot;
mod progress;
mod random;
mod report;
mod results;
mod storage;
mod subject;
mod table;
mod training;

use clap::{Parser, Subcommand, error::ErrorKind};
use std::process::ExitCode;

/// Building blocks of nested sparse ConvNets: experiments and benchmarks
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Pipeline(commands::pipeline::Options),
    Detect(commands::detect::Options),
    Evaluate(commands::evaluate::Options),
    CheckReport(commands::check_report::Options),
    Storage(commands::storage::Options),
    M7(commands::m7::Options),
    Compare(commands::compare::Options),
    Ablate(commands::ablate::Options),
    Host(commands::host::Options),
    TrainSpeed(commands::train_speed::Options),
    Performance(commands::performance::Options),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let result = match &cli.command {
        Command::Pipeline(options) => commands::pipeline::run(options),
        Command::Detect(options) => commands::detect::run(options),
        Command::Evaluate(options) => commands::evaluate::run(options),
        Command::CheckReport(options) => commands::check_report::run(options),
        Command::Storage(options) => commands::storage::run(options),
        Command::M7(options) => commands::m7::run(options),
        Command::Compare(options) => commands::compare::run(options),
        Command::Ablate(options) => commands::ablate::run(options),
        Command::Host(options) => commands::host::run(options),
        Command::TrainSpeed(options) => commands::train_speed::run(options),
        Command::Performance(options) => commands::performance::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints help in full and an error as one line: clap's first paragraph, without its advice.
fn usage(error: &clap::Error) -> ExitCode {
    const USAGE: u8 = 2;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{error}");
            ExitCode::from(USAGE)
        }
        _ => {
            let text = error.to_string();
            let paragraph: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            eprintln!("{}", paragraph.join(" "));
            ExitCode::from(USAGE)
        }
    }
}
