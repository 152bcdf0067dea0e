//! Builds the firmware, runs it on a QEMU board and parses what it prints.
use super::M7Error;
use serde::de::DeserializeOwned;
use std::{
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A core, by the QEMU board that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// QEMU's name.
    pub machine: &'static str,
    /// The compiler's name of the core.
    pub cpu: &'static str,
    target: &'static str,
    /// Where its flash begins.
    flash: usize,
}

pub const M7: Board = Board { machine: "mps2-an500", cpu: "cortex-m7", target: "thumbv7em-none-eabihf", flash: 0 };
pub const M4: Board = Board { machine: "mps2-an386", cpu: "cortex-m4", ..M7 };
/// Its DSP extension is optional, so that the kernels must be told of it.
pub const M33: Board =
    Board { machine: "mps2-an505", cpu: "cortex-m33", target: "thumbv8m.main-none-eabihf", flash: 0x1000_0000 };

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

/// One of the programs under `benches/m7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Layers,
    Networks,
    Cases,
    Deadline,
    Deployed,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Layers => "layers",
            Program::Networks => "networks",
            Program::Cases => "cases",
            Program::Deadline => "deadline",
            Program::Deployed => "deployed",
        }
    }
}

/// Where a job lies in the board's flash, and where it must end: behind the firmware.
const JOB: Range<usize> = 0x0006_0000..0x0040_0000;

/// The compiled programs, for one core and one kind of kernels.
pub struct Firmware {
    pub board: Board,
    pub kernels: Kernels,
    pub compiler: String,
    folder: PathBuf,
}

impl Firmware {
    /// Compiles: with an installed thumb target if there is one, else with Debian's compiler, which brings the library's
    /// source.
    ///
    /// # Errors
    /// [`M7Error::NoTarget`], [`M7Error::Build`].
    pub fn build(board: Board, kernels: Kernels) -> Result<Firmware, M7Error> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("m7");
        let target = source.join("target").join(format!("{}-{}", board.cpu, kernels.name()));
        let toolchain = Toolchain::find(board.target)?;
        let kind = match kernels {
            Kernels::Portable => "--cfg nested_kernels_force_portable",
            Kernels::Dsp => "--cfg nested_kernels_dsp",
        };
        let flags = format!("-Ctarget-cpu={} {kind}", board.cpu);
        let measuring = ["--bin", "layers", "--bin", "networks", "--bin", "cases", "--bin", "deadline"];
        for selection in [&measuring[..], &["--bin", "deployed", "--no-default-features"]] {
            let mut cargo = toolchain.cargo(board.target);
            cargo.args(["build", "--release", "--quiet", "--target", board.target, "--target-dir"]).arg(&target);
            cargo.args(selection).current_dir(&source).env("RUSTFLAGS", &flags).env_remove("RUSTUP_TOOLCHAIN");
            let output = start(&mut cargo, "cargo", "a Rust toolchain")?;
            if !output.status.success() {
                return Err(M7Error::Build(String::from_utf8_lossy(&output.stderr).into_owned()));
            }
        }
        let compiler = toolchain.version()?;
        Ok(Firmware { board, kernels, compiler, folder: target.join(board.target).join("release") })
    }

    /// The ELF file of a program.
    pub fn elf(&self, program: Program) -> PathBuf {
        self.folder.join(program.name())
    }

    /// The most bytes of a job.
    pub fn job_capacity(&self) -> usize {
        JOB.len()
    }

    /// Runs a program with a job in its memory; returns the lines that are a `T`.
    ///
    /// `counted`: one instruction a tick, so that the firmware's timer counts them; slower.
    ///
    /// # Errors
    /// [`M7Error::Missing`] without QEMU, [`M7Error::Firmware`] when the program stops before its end.
    pub fn run<T: DeserializeOwned>(&self, program: Program, job: &[u8], counted: bool) -> Result<Vec<T>, M7Error> {
        self.run_with(program, job, counted, None)
    }

    /// As [`Firmware::run`], with a plugin of QEMU.
    pub(super) fn run_with<T: DeserializeOwned>(
        &self,
        program: Program,
        job: &[u8],
        counted: bool,
        plugin: Option<&str>,
    ) -> Result<Vec<T>, M7Error> {
        let path = self.folder.join(format!("{}-{}.job", program.name(), std::process::id()));
        let wrong = |error: std::io::Error| M7Error::File { path: path.clone(), problem: error.to_string() };
        let mut qemu = Command::new("qemu-system-arm");
        qemu.args(["-M", self.board.machine, "-nographic", "-monitor", "none", "-serial", "none"]);
        qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(self.elf(program));
        if let Some(plugin) = plugin {
            qemu.args(["-plugin", plugin]);
        }
        if counted {
            qemu.args(["-icount", "shift=6"]);
        }
        if !job.is_empty() {
            std::fs::write(&path, job).map_err(wrong)?;
            let address = self.board.flash + JOB.start;
            let loader = format!("loader,file={},addr={address:#x},force-raw=on", path.display());
            qemu.args(["-device", &loader]);
        }
        let output = start(&mut qemu, "qemu-system-arm", "Debian's qemu-system-arm");
        if !job.is_empty() {
            std::fs::remove_file(&path).map_err(wrong)?;
        }
        let output = output?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        parse(&text).ok_or(M7Error::Firmware(text))
    }
}

/// A program's output, or what to install.
pub fn start(command: &mut Command, program: &'static str, remedy: &'static str) -> Result<Output, M7Error> {
    command.output().map_err(|source| M7Error::Missing { program, remedy, source })
}

/// The lines that are a `T`; `None` unless the firmware came to its end.
fn parse<T: DeserializeOwned>(text: &str) -> Option<Vec<T>> {
    let records = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    text.lines().any(|line| line == r#"{"end":true}"#).then_some(records)
}

/// The compiler for the board.
enum Toolchain {
    Installed,
    Debian,
}

impl Toolchain {
    fn find(target: &'static str) -> Result<Toolchain, M7Error> {
        let library = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
        if library.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists()) {
            Ok(Toolchain::Installed)
        } else if Path::new("/usr/bin/rustc").exists() && Path::new("/usr/lib/rustlib/src").exists() {
            Ok(Toolchain::Debian)
        } else {
            Err(M7Error::NoTarget(target))
        }
    }

    fn cargo(&self, target: &str) -> Command {
        match self {
            Toolchain::Installed => Command::new("cargo"),
            Toolchain::Debian => {
                let mut cargo = Command::new("/usr/bin/cargo");
                cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
                let variable = target.to_uppercase().replace(['-', '.'], "_");
                cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), "arm-none-eabi-ld");
                cargo.args(["-Zbuild-std=core,alloc"]);
                cargo
            }
        }
    }

    /// As the compiler names itself: a baseline holds for one version.
    fn version(&self) -> Result<String, M7Error> {
        let rustc = match self {
            Toolchain::Installed => "rustc",
            Toolchain::Debian => "/usr/bin/rustc",
        };
        let output = start(Command::new(rustc).arg("-V"), "rustc", "a Rust toolchain")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_firmware_that_ended_has_records() {
        assert_eq!(parse::<u32>("1\nnoise\n2\n"), None);
        assert_eq!(parse("1\nnoise\n2\n{\"end\":true}\n"), Some(vec![1, 2]));
    }
}
