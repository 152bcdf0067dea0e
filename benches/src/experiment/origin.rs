//! Which code made a figure, and on what.
use std::{fs, process::Command, sync::LazyLock, thread};

/// The commit of the sources, `+` behind it when they had been changed; empty outside a repository.
///
/// Asked once: the sources may change while a long experiment runs.
pub fn commit() -> String {
    static COMMIT: LazyLock<String> = LazyLock::new(ask_git);
    COMMIT.clone()
}

fn ask_git() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|list| !list.is_empty());
    git(&["rev-parse", "--short", "HEAD"]).unwrap_or_default() + if changed { "+" } else { "" }
}

/// Processor, and how many threads it runs.
pub fn machine() -> String {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let list = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = list.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{name}, {threads} threads")
}
