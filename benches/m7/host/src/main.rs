//! `cargo run --manifest-path benches/m7/host/Cargo.toml [-- --json FILE] [--portable] [--m4]`
use nested_m7_host::{Anchors, BOARDS, Error, Kernels, build, report, run};
use std::{env, fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    match measure(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), Error> {
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let anchors = Anchors::read(&firmware.join("../anchors.toml"))?;
    let kernels = if given("--portable") { Kernels::Portable } else { Kernels::Dsp };
    let board = BOARDS[usize::from(given("--m4"))];
    let records = run(&build(&firmware, board, kernels)?, board)?;
    let report = report(&anchors, kernels, &records);
    println!("{report}");
    if let Some(path) = arguments.iter().skip_while(|argument| *argument != "--json").nth(1) {
        let wrong = |error: &dyn std::fmt::Display| Error::File(path.into(), error.to_string());
        let json = serde_json::to_string_pretty(&report).map_err(|error| wrong(&error))?;
        fs::write(path, json).map_err(|error| wrong(&error))?;
    }
    Ok(())
}
