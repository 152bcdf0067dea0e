//! Builds the firmware with what the machine has, runs it on a QEMU board and parses what it prints.
//!
//! [`build`] and [`run`] make [`Record`]s; [`report`] joins them with CMSIS-NN's figures.
use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

mod report;

pub use report::{Anchors, Layer, Report, report};

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program is missing.
    #[error("{program} does not start ({source}); install it: {remedy}")]
    Missing {
        /// The program.
        program: &'static str,
        /// What to do.
        remedy: &'static str,
        /// Why.
        source: io::Error,
    },
    /// No way to compile for the board.
    #[error(
        "no compiler for {0}: install the target with `rustup target add {0}`, or Debian's rustc-web, cargo-web, rust-web-src and binutils-arm-none-eabi"
    )]
    NoTarget(&'static str),
    /// The firmware does not compile.
    #[error("the firmware does not compile:\n{0}")]
    Build(String),
    /// The firmware stopped early.
    #[error("the firmware failed:\n{0}")]
    Firmware(String),
    /// A file cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, String),
}

/// A core, by the QEMU board that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// QEMU's name.
    pub machine: &'static str,
    /// The compiler's name of the core.
    pub cpu: &'static str,
}

/// Cortex-M7 and Cortex-M4: one memory map, one firmware but for the compiler's flags.
pub const BOARDS: [Board; 2] =
    [Board { machine: "mps2-an500", cpu: "cortex-m7" }, Board { machine: "mps2-an386", cpu: "cortex-m4" }];

/// The kernels to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// The DSP extension's.
    Dsp,
    /// Plain Rust.
    Portable,
}

impl Kernels {
    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Kernels::Dsp => "dsp",
            Kernels::Portable => "portable",
        }
    }
}

const TARGET: &str = "thumbv7em-none-eabihf";

/// Compiles the firmware in `directory`; returns the ELF file.
///
/// With an installed thumb target if there is one, else with Debian's compiler, which brings the library's source.
///
/// # Errors
/// [`Error::NoTarget`], [`Error::Build`].
pub fn build(directory: &Path, board: Board, kernels: Kernels) -> Result<PathBuf, Error> {
    let portable = if kernels == Kernels::Portable { " --cfg nested_kernels_force_portable" } else { "" };
    let flags = format!("-Ctarget-cpu={}{portable}", board.cpu);
    let target_directory = directory.join("target").join(format!("{}-{}", board.cpu, kernels.name()));
    let mut cargo = if has_target() {
        Command::new("cargo")
    } else if Path::new("/usr/bin/rustc").exists() && Path::new("/usr/lib/rustlib/src").exists() {
        let mut cargo = Command::new("/usr/bin/cargo");
        cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", "arm-none-eabi-ld");
        cargo.arg("-Zbuild-std=core,alloc");
        cargo
    } else {
        return Err(Error::NoTarget(TARGET));
    };
    cargo.args(["build", "--release", "--quiet", "--target", TARGET, "--target-dir"]).arg(&target_directory);
    cargo.current_dir(directory).env("RUSTFLAGS", flags).env_remove("RUSTUP_TOOLCHAIN");
    let output = start(&mut cargo, "cargo", "a Rust toolchain")?;
    if !output.status.success() {
        return Err(Error::Build(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(target_directory.join(TARGET).join("release").join("nested-m7"))
}

/// Whether the default toolchain compiles for the target.
fn has_target() -> bool {
    let library = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    library.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists())
}

fn start(command: &mut Command, program: &'static str, remedy: &'static str) -> Result<Output, Error> {
    command.output().map_err(|source| Error::Missing { program, remedy, source })
}

/// What the firmware prints of one run of one layer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Record {
    /// The reference layer.
    pub layer: String,
    /// Width of a block: 1 or 2; 0 for dense weights.
    pub block: usize,
    /// Per cent.
    pub sparsity: usize,
    /// Counted.
    pub instructions: u32,
    /// Scratch that was lent.
    pub scratch_bytes: usize,
    /// Outputs that differ from the reference.
    pub wrong: usize,
}

/// Runs the firmware on a board.
///
/// # Errors
/// [`Error::Missing`] without QEMU, [`Error::Firmware`] when it stops early or an output is wrong.
pub fn run(firmware: &Path, board: Board) -> Result<Vec<Record>, Error> {
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(["-M", board.machine, "-icount", "shift=6", "-nographic", "-monitor", "none", "-serial", "none"]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(firmware);
    let output = start(&mut qemu, "qemu-system-arm", "Debian's qemu-system-arm")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let (records, ended) = parse(&text);
    if !ended || records.iter().any(|record| record.wrong > 0) {
        return Err(Error::Firmware(text));
    }
    Ok(records)
}

/// The records in the firmware's output, and whether it came to its end.
fn parse(text: &str) -> (Vec<Record>, bool) {
    let records = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    (records, text.lines().any(|line| line == r#"{"end":true}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_firmware_that_ended_has_ended() {
        let line = r#"{"layer":"A","block":1,"sparsity":50,"instructions":9,"scratch_bytes":4,"wrong":0}"#;
        let (records, ended) = parse(&format!("{line}\n"));
        assert_eq!((records.len(), records[0].instructions, ended), (1, 9, false));
        assert!(parse(&format!("{line}\n{{\"end\":true}}\n")).1);
    }
}
