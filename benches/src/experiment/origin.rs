//! Which code made a figure, and on what.
use std::{fs, thread};

/// The commit that the program was built from, `+` behind it when sources had been changed; empty outside a repository.
pub fn commit() -> String {
    env!("NESTED_BENCH_COMMIT").to_owned()
}

/// Processor, and how many threads it runs.
pub fn machine() -> String {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let list = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = list.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{name}, {threads} threads")
}
