//! Tells the program which commit it is of, so that its figures can say so.
use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // Each commit and each change of branch adds a line to the log.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    for sources in ["src", "m7/src", "m7/Cargo.lock", "../crates", "../Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={sources}");
    }
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|list| !list.is_empty());
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_default() + if changed { "+" } else { "" };
    println!("cargo::rustc-env=NESTED_BENCH_COMMIT={commit}");
}
