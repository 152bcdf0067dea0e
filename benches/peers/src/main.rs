//! The same layers, networks and training steps in other engines written in Rust. `run.sh` calls this and all others.
//!
//!     nested-peers time DIR JSON     times the ONNX files that `peers.py models` wrote, in rten and tract
//!     nested-peers train JSON        times training steps in candle
//!
//! JSON is what `nested-bench performance` reads; rows that the file holds already stay when they are faster.
mod inference;
mod record;
mod training;

use std::{error::Error, path::Path, process::ExitCode};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["time", models, json] => inference::run(Path::new(models), Path::new(json)),
        ["train", json] => training::run(Path::new(json)),
        _ => Err("usage: nested-peers time DIR JSON | nested-peers train JSON".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
