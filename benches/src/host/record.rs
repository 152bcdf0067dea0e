//! What the measurements are written as. Files of several runs and engines merge: the fastest of each row counts.
use crate::{error::Error, files, origin};
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
    #[serde(default)]
    pub whole: Vec<Whole>,
}

/// Seconds of whole trainings at one width, a dense one and a nested one with as many image passes: the least of each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    pub width: f64,
    pub threads: usize,
    /// Epochs, and images of an epoch.
    pub images: [usize; 2],
    pub seconds: [f64; 2],
}

impl Whole {
    /// The nested training's time over the dense one's.
    pub fn ratio(&self) -> f64 {
        self.seconds[1] / self.seconds[0]
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    pub network: String,
    pub width: f64,
    pub batch: usize,
    pub threads: usize,
    /// `ours` (without masks), `ours-nested` (three levels, one a step), or another project.
    pub engine: String,
    /// Forward, backward and SGD; of the fastest epoch, but of the whole training where it has masks, for its first epochs are
    /// slower.
    pub images_per_second: f64,
    /// Three passes of 2 operations a MAC; none where masks leave MACs out.
    pub gflops: Option<f64>,
}

impl HostFile {
    /// What this program on this machine goes on with: the file's rows, or none.
    ///
    /// # Errors
    /// As [`Self::merge`].
    pub fn begin(path: Option<&Path>) -> Result<HostFile, Error> {
        let mut file = HostFile { machine: Machine::here(), ..HostFile::default() };
        path.filter(|path| path.exists()).map_or(Ok(()), |path| file.merge(path))?;
        Ok(file)
    }

    /// Takes in the rows of another run's file.
    ///
    /// # Errors
    /// A file that is not one, or one of another commit or machine.
    pub fn merge(&mut self, path: &Path) -> Result<(), Error> {
        self.take(files::read_json(path)?).map_err(|problem| Error::Report { path: path.to_owned(), problem })
    }

    fn take(&mut self, other: HostFile) -> Result<(), String> {
        self.machine.merge(other.machine.clone())?;
        self.add(other);
        Ok(())
    }

    /// Takes in rows of this program on this machine.
    pub fn add(&mut self, other: HostFile) {
        let faster = |one: &Row, other: &Row| one.ms < other.ms;
        let same = |a: &Row, b: &Row| {
            (&a.layer, a.sparsity, a.threads, &a.engine, &a.backend)
                == (&b.layer, b.sparsity, b.threads, &b.engine, &b.backend)
        };
        merge(&mut self.layers, other.layers, same, faster);
        merge(&mut self.networks, other.networks, same, faster);
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
    /// See [`HostFile::begin`].
    ///
    /// # Errors
    /// As [`Self::merge`].
    pub fn begin(path: Option<&Path>) -> Result<TrainFile, Error> {
        let mut file = TrainFile { machine: Machine::here(), ..TrainFile::default() };
        path.filter(|path| path.exists()).map_or(Ok(()), |path| file.merge(path))?;
        Ok(file)
    }

    /// Takes in the rows of another run's file.
    ///
    /// # Errors
    /// A file that is not one, or one of another commit or machine.
    pub fn merge(&mut self, path: &Path) -> Result<(), Error> {
        self.take(files::read_json(path)?).map_err(|problem| Error::Report { path: path.to_owned(), problem })
    }

    fn take(&mut self, other: TrainFile) -> Result<(), String> {
        self.machine.merge(other.machine.clone())?;
        self.add(other);
        Ok(())
    }

    /// Takes in rows of this program on this machine.
    pub fn add(&mut self, other: TrainFile) {
        let same = |a: &Speed, b: &Speed| {
            (&a.network, a.width, a.batch, a.threads, &a.engine) == (&b.network, b.width, b.batch, b.threads, &b.engine)
        };
        merge(&mut self.rows, other.rows, same, |one, other| one.images_per_second > other.images_per_second);
        for other in other.whole {
            let of = |whole: &Whole| (whole.width, whole.threads, whole.images);
            match self.whole.iter_mut().find(|whole| of(whole) == of(&other)) {
                Some(whole) => whole.seconds = [0, 1].map(|of| whole.seconds[of].min(other.seconds[of])),
                None => self.whole.push(other),
            }
        }
    }
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
        let [model, family] =
            ["model name", "cpu family"].map(|field| origin::processor(field).unwrap_or_else(|| "unknown".to_owned()));
        Machine {
            processor: format!("{model} family {family}, {}", nested_kernels::backend()),
            cores: origin::threads(),
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
            rustc: says("rustc", &["--version"]),
            commit: origin::commit(),
            engines: Vec::new(),
        }
    }

    /// Other engines' files say neither processor nor commit. The portable path's processor has another backend behind its
    /// name.
    fn merge(&mut self, other: Machine) -> Result<(), String> {
        let name = |machine: &Machine| machine.processor.rsplit_once(", ").map(|(name, _)| name.to_owned());
        if self.processor.is_empty() {
            let engines = std::mem::take(&mut self.engines);
            *self = Machine { engines, ..other.clone() };
        } else if !other.processor.is_empty() && (name(self), &self.commit) != (name(&other), &other.commit) {
            let [one, two] =
                [&*self, &other].map(|machine| format!("commit {} on {}", machine.commit, machine.processor));
            return Err(format!("times of {one} and of {two} do not compare"));
        }
        self.load = self.load.max(other.load);
        for engine in other.engines {
            if !self.engines.contains(&engine) {
                self.engines.push(engine);
            }
        }
        Ok(())
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
        let faster = [row("A", 0, 1, "ours", 1.5), row("A", 90, 1, "ours", 1.1), row("A", 0, 2, "ours", 3.0)];
        merged.take(file(&faster)).unwrap();
        let expected = [row("A", 0, 1, "ours", 1.5), row("A", 90, 1, "ours", 1.0), row("A", 0, 2, "ours", 3.0)];
        assert_eq!(merged.layers, expected);
    }
    #[test]
    fn times_of_another_commit_or_processor_are_refused_and_those_of_other_engines_taken() {
        let file = |processor: &str, commit: &str| {
            let machine = Machine { processor: processor.to_owned(), commit: commit.to_owned(), ..Machine::default() };
            HostFile { machine, ..HostFile::default() }
        };
        let merged = |other| file("a, avx512", "1").take(other);
        assert_eq!(merged(file("", "")), Ok(()));
        assert_eq!(merged(file("a, portable", "1")), Ok(()));
        for other in [file("a, avx512", "2"), file("b, avx512", "1")] {
            assert!(merged(other).unwrap_err().ends_with("do not compare"));
        }
    }

    #[test]
    fn a_ratio_is_of_the_least_time_of_each_training() {
        let file = |images, seconds| TrainFile {
            whole: vec![Whole { width: 0.5, threads: 2, images, seconds }],
            ..TrainFile::default()
        };
        let mut merged = file([6, 64], [2.0, 3.0]);
        merged.take(file([6, 64], [3.0, 2.5])).unwrap();
        // Another training is no faster one.
        merged.take(file([3, 64], [1.0, 1.0])).unwrap();
        assert_eq!(merged.whole.iter().map(Whole::ratio).collect::<Vec<_>>(), [1.25, 1.0]);
    }
}
