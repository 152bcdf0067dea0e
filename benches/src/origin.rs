//! Which code made a figure, and on what.
use std::{fs, thread};

/// The commit that the program was built from, `+` behind it when sources had been changed; empty outside a repository.
pub fn commit() -> String {
    env!("NESTED_BENCH_COMMIT").to_owned()
}

/// Processor, and how many threads it runs.
pub fn machine() -> String {
    let name = processor("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{name}, {} threads", threads())
}

/// Threads that the machine runs at once.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What Linux says of the processor.
pub fn processor(field: &str) -> Option<String> {
    let list = fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, found) = list.lines().find_map(|line| line.strip_prefix(field)?.split_once(':'))?;
    Some(found.trim().to_owned())
}
