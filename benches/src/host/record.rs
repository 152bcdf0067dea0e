//! What the measurements are written as. Files of several runs and engines merge: the fastest of each row counts.
use crate::{error::Error, files};
use serde::{Deserialize, Serialize};
use std::{path::Path, process::Command};

/// Times of layers and networks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFile {
    #[serde(default)]
    pub layers: Vec<Row>,
    #[serde(default)]
    pub networks: Vec<Row>,
    #[serde(default)]
    pub machine: Machine,
    /// How much faster independent loops on the threads are together than one alone.
    #[serde(default)]
    pub independent_gain: Option<f64>,
}

/// One layer or network, run once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The layer's or the network's name.
    #[serde(alias = "network")]
    pub layer: String,
    /// Of the weights (of a network: of its sparse layers), in per cent.
    pub sparsity: usize,
    pub threads: usize,
    pub engine: String,
    /// Instructions, or the operator that the engine ran.
    pub backend: String,
    /// Milliseconds: the fastest run.
    pub ms: f64,
}

/// Where it was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    /// Of the last minute, when the measurement began.
    pub load: f64,
    pub rustc: String,
    pub commit: String,
    /// Versions of the other engines.
    #[serde(default)]
    pub engines: Vec<String>,
}

/// Training throughput.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainFile {
    #[serde(default)]
    pub rows: Vec<Speed>,
    #[serde(default)]
    pub machine: Machine,
    /// By width: the time of a nested training over that of a dense one.
    #[serde(default)]
    pub nested_over_dense: Vec<[f64; 2]>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    pub network: String,
    pub width: f64,
    pub batch: usize,
    pub threads: usize,
    /// `ours` (without masks), `ours-nested` (three levels, one a step), or another project.
    pub engine: String,
    /// Forward, backward and SGD; of the fastest epoch.
    pub images_per_second: f64,
    /// Of the dense network, three passes of 2 operations a MAC.
    pub gflops: f64,
}

impl HostFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<HostFile, Error> {
        parse(path)
    }

    /// Takes in another run's rows.
    pub fn merge(&mut self, other: HostFile) {
        let faster = |one: &Row, other: &Row| one.ms < other.ms;
        let same = |a: &Row, b: &Row| {
            (&a.layer, a.sparsity, a.threads, &a.engine, &a.backend)
                == (&b.layer, b.sparsity, b.threads, &b.engine, &b.backend)
        };
        merge(&mut self.layers, other.layers, same, faster);
        merge(&mut self.networks, other.networks, same, faster);
        self.machine.merge(other.machine);
        self.independent_gain = [self.independent_gain, other.independent_gain].into_iter().flatten().reduce(f64::max);
    }

    /// Calls one engine something else, and leaves the others out.
    pub fn rename(&mut self, engine: &str, name: &str) {
        for rows in [&mut self.layers, &mut self.networks] {
            rows.retain(|row| row.engine == engine);
            rows.iter_mut().for_each(|row| row.engine = name.to_owned());
        }
    }
}

impl TrainFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<TrainFile, Error> {
        parse(path)
    }

    /// Takes in another run's rows.
    pub fn merge(&mut self, other: TrainFile) {
        let same = |a: &Speed, b: &Speed| {
            (&a.network, a.width, a.batch, a.threads, &a.engine) == (&b.network, b.width, b.batch, b.threads, &b.engine)
        };
        merge(&mut self.rows, other.rows, same, |one, other| one.images_per_second > other.images_per_second);
        self.machine.merge(other.machine);
        let ratio = |a: &[f64; 2], b: &[f64; 2]| a[1] < b[1];
        merge(&mut self.nested_over_dense, other.nested_over_dense, |a, b| a[0] == b[0], ratio);
    }
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, Error> {
    serde_json::from_slice(&files::read(path)?)
        .map_err(|error| Error::Report { path: path.to_owned(), problem: error.to_string() })
}

fn merge<T>(rows: &mut Vec<T>, others: Vec<T>, same: impl Fn(&T, &T) -> bool, better: impl Fn(&T, &T) -> bool) {
    for other in others {
        match rows.iter_mut().find(|row| same(row, &other)) {
            Some(row) if better(&other, row) => *row = other,
            Some(_) => {}
            None => rows.push(other),
        }
    }
}

impl Machine {
    /// This one, now.
    pub fn here() -> Machine {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let says = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
            output.map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let information = read("/proc/cpuinfo");
        let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let family = information.lines().find_map(|line| line.strip_prefix("cpu family")?.split(": ").nth(1));
        let name = [model.unwrap_or("unknown"), "family", family.unwrap_or("unknown")].join(" ");
        Machine {
            processor: format!("{name}, {}", nested_kernels::backend()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
            rustc: says("rustc", &["--version"]),
            commit: says("git", &["rev-parse", "--short", "HEAD"]),
            engines: Vec::new(),
        }
    }

    fn merge(&mut self, other: Machine) {
        if self.processor.is_empty() {
            let engines = std::mem::take(&mut self.engines);
            *self = Machine { engines, ..other.clone() };
        }
        self.load = self.load.max(other.load);
        for engine in other.engines {
            if !self.engines.contains(&engine) {
                self.engines.push(engine);
            }
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn row(layer: &str, sparsity: usize, threads: usize, engine: &str, ms: f64) -> Row {
        let backend = String::new();
        Row { layer: layer.to_owned(), sparsity, threads, engine: engine.to_owned(), backend, ms }
    }

    #[test]
    fn merging_keeps_the_fastest_of_each_row() {
        let file = |rows: &[Row]| HostFile { layers: rows.to_vec(), ..HostFile::default() };
        let mut merged = file(&[row("A", 0, 1, "ours", 2.0), row("A", 90, 1, "ours", 1.0)]);
        merged.merge(file(&[row("A", 0, 1, "ours", 1.5), row("A", 90, 1, "ours", 1.1), row("A", 0, 2, "ours", 3.0)]));
        let expected = [row("A", 0, 1, "ours", 1.5), row("A", 90, 1, "ours", 1.0), row("A", 0, 2, "ours", 3.0)];
        assert_eq!(merged.layers, expected);
    }
}
