//! What an experiment has found so far: one file, written anew after each run.
use super::settings::{AllocationName, Budget, Measured, Method, NetworkName, Settings, Suite, Training, file_stem};
use crate::{error::Error, files, options::BlockOption};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The images that all runs of a file are of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    pub name: String,
    pub train_images: usize,
    pub test_images: usize,
    /// CRC-32 of all pixels and labels, in hexadecimal.
    pub crc32: String,
}

/// A run that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    pub id: String,
    pub settings: Settings,
    /// Seconds that the training took, over all sessions; `null` when it is another run's, whose time it is, or not known.
    pub train_seconds: Option<f64>,
    /// Seconds of all else: statistics measured anew, the file coded, both accuracies; `null` in older records.
    #[serde(default)]
    pub other_seconds: Option<f64>,
    /// Why the run has no rows.
    pub failed: Option<String>,
    pub commit: String,
    /// Commits of the programs that trained its epochs, when they are not all `commit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trained_by: Vec<String>,
    pub machine: String,
}

/// One level of one run. Sparsities and accuracies are in per cent; what does not apply is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The run's `id`.
    pub run: String,
    pub suite: Suite,
    pub method: Method,
    pub budget: Option<Budget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    pub network: NetworkName,
    pub width: f64,
    /// `null` of a method without masks.
    pub block: Option<BlockOption>,
    /// Likewise.
    pub allocation: Option<AllocationName>,
    pub measured: Measured,
    pub seed: u64,
    pub level: usize,
    /// The level's sparsity in the ladder (what the masks have differs by rounding), of a slimmable network that of the level it
    /// stands against.
    pub sparsity: f64,
    /// Share of the sparse layers' weights that the file stores.
    pub stored: f64,
    pub passes: u64,
    pub learning_rate: f64,
    pub top1_float: f64,
    /// Of the file, read back and run with integers.
    pub top1_int8: f64,
    pub file_bytes: usize,
    pub prefix_bytes: usize,
    pub nonzero_macs: u64,
    pub m7_instructions: Option<u64>,
    /// Milliseconds an image, one thread.
    pub host_ms: Option<f64>,
}

impl Row {
    /// Whether tables show its costs: those of networks that only chose a learning rate are of no interest.
    pub fn counts(&self) -> bool {
        self.measured == Measured::Test
    }
}

/// A slimmable network's width that stands against a level of the nested network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Width {
    /// The nested level's, per cent.
    pub sparsity: f64,
    /// What the nested level costs, and the width.
    pub nested_cost: u64,
    pub cost: u64,
    pub unit: Unit,
    /// Per cent of the channels left out.
    pub left_out: f64,
}

/// What a width was chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    M7Instructions,
    /// Where no firmware can be built.
    NonzeroMacs,
}

/// The firmware that instructions were counted of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    pub commit: String,
    pub compiler: String,
    /// CRC-32 of the program, in hexadecimal: what tells one firmware from another.
    pub crc32: String,
}

/// How long the runs took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time {
    pub training: f64,
    /// Trainings, each once however many runs share it.
    pub trainings: usize,
    /// Those of which no run has the time.
    pub untimed: usize,
    /// All else that was done for the runs; `None` when a run does not have it.
    pub other: Option<f64>,
}

impl Time {
    /// `None` when not all is known.
    pub fn whole(&self) -> Option<f64> {
        self.other.filter(|_| self.untimed == 0).map(|other| self.training + other)
    }
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub data: Option<Data>,
    /// The firmware whose instructions were counted.
    #[serde(default)]
    pub counter: Option<Counter>,
    /// The widths of slimmable networks, and the counts that they were chosen by.
    #[serde(default)]
    pub widths: Vec<Width>,
    /// Time of one nested training over that of a dense one with the same image passes, measured in turn.
    #[serde(default)]
    pub training_ratio: Option<f64>,
    /// Seconds in which instructions were counted and times taken, over all sessions; with `--recount` the last time alone.
    #[serde(default)]
    pub counting_seconds: Option<f64>,
    pub runs: Vec<Finished>,
    pub rows: Vec<Row>,
}

impl Record {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, is not a record, or is a damaged one.
    pub fn read(path: &Path) -> Result<Record, Error> {
        let record: Record = files::read_json(path)?;
        record.check().map_err(|problem| Error::Report { path: path.to_owned(), problem })?;
        Ok(record)
    }

    /// Whether each run that did not fail has a row a level, each row has a run, and no two runs stand for one.
    fn check(&self) -> Result<(), String> {
        let mut rows = 0;
        for run in &self.runs {
            let levels = if run.failed.is_none() { run.settings.levels() } else { 0 };
            let mut found: Vec<usize> = self.rows_of(run).map(|row| row.level).collect();
            rows += found.len();
            found.sort_unstable();
            if !found.iter().copied().eq(1..=levels) {
                return Err(format!("damaged: run {} has rows of levels {found:?}, not of 1 to {levels}", run.id));
            }
        }
        if rows != self.rows.len() {
            let lost = self.rows.iter().find(|row| self.runs.iter().all(|run| run.id != row.run));
            let of = lost.map_or("two runs of one name", |row| &row.run);
            return Err(format!("damaged: it has rows of {of}, which is no run of it"));
        }
        match self.runs.iter().find_map(|run| Some((run, self.twin(&run.settings)?))) {
            Some((run, twin)) => Err(format!("runs {} and {} are of one method and not made alike", run.id, twin.id)),
            None => Ok(()),
        }
    }

    /// A run that tables would take for another seed of this one, or for this one, though it was made in another way (with
    /// another rate, say): their figures would be averaged.
    pub fn twin(&self, settings: &Settings) -> Option<&Finished> {
        let seedless = |settings: &Settings| Settings {
            training: Training { seed: 0, ..settings.training.clone() },
            ..settings.clone()
        };
        let told = |settings: &Settings| {
            let Training { network, width, block, allocation, .. } = settings.training;
            let sparsities: Vec<f64> = (1..=settings.levels()).map(|level| settings.sparsity(level)).collect();
            let Settings { suite, method, budget, ref variant, .. } = *settings;
            (suite, method, budget, variant.clone(), network, (width, block, allocation), sparsities)
        };
        let alike = |run: &&Finished| told(&run.settings) == told(settings);
        let mut others = self.runs.iter().filter(|_| settings.suite != Suite::Tune).filter(alike);
        others.find(|run| seedless(&run.settings) != seedless(settings))
    }

    /// The run with these settings, if it was done.
    pub fn find(&self, settings: &Settings) -> Option<&Finished> {
        self.runs.iter().find(|run| run.settings == *settings)
    }

    /// Why this training failed, if a run found that it does. One that failed when its network was measured, for some seconds, is of
    /// that run alone: pruned or not, recalibrated or not, networks differ.
    pub fn failure_of(&self, training: &Training) -> Option<&str> {
        let same = self.runs.iter().filter(|run| run.settings.training == *training && run.was_not_measured());
        same.filter_map(|run| run.failed.as_deref()).next()
    }

    /// Whether a run has the time of this training.
    pub fn has_time_of(&self, training: &Training) -> bool {
        self.runs.iter().any(|run| run.settings.training == *training && run.train_seconds.is_some())
    }

    /// How long all runs took; a training that had to be done again took both times.
    pub fn time(&self) -> Time {
        let mut distinct: Vec<&Training> = Vec::new();
        for run in &self.runs {
            if !distinct.contains(&&run.settings.training) {
                distinct.push(&run.settings.training);
            }
        }
        let other: Option<f64> = self.runs.iter().map(|run| run.other_seconds).sum();
        Time {
            training: self.runs.iter().filter_map(|run| run.train_seconds).sum(),
            trainings: distinct.len(),
            untimed: distinct.iter().filter(|training| !self.has_time_of(training)).count(),
            other: other.map(|other| other + self.counting_seconds.unwrap_or(0.0)),
        }
    }

    /// The rows of a run.
    pub fn rows_of<'a>(&'a self, run: &'a Finished) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(|row| row.run == run.id)
    }
}

impl Finished {
    /// Whether it took no time but its training's, as one that failed in it; of an older record that is not known.
    fn was_not_measured(&self) -> bool {
        self.other_seconds.is_none_or(|seconds| seconds == 0.0)
    }
}

/// A record with its file.
pub struct Store {
    path: PathBuf,
    pub record: Record,
    /// What the file held when this program last read or wrote it; nothing before there was one.
    content: Option<Vec<u8>>,
}

impl Store {
    /// Reads the file if there is one, and checks that its runs are of these images and that it can be written.
    ///
    /// # Errors
    /// A file that is not a record, one of other images, or one that will not be written when a run is done.
    pub fn open(path: &Path, data: Data) -> Result<Store, Error> {
        files::check_writable(path)?;
        let mut record = if path.exists() { Record::read(path)? } else { Record::default() };
        match &record.data {
            Some(found) if found.crc32 != data.crc32 => {
                let problem = format!("its runs are of {} (CRC-32 {}), not of {}", found.name, found.crc32, data.name);
                return Err(Error::Report { path: path.to_owned(), problem });
            }
            _ => record.data = Some(data),
        }
        let content = if path.exists() { Some(files::read(path)?) } else { None };
        Ok(Store { path: path.to_owned(), record, content })
    }

    /// Checks that what the file compares is this network at this width: of several, rows would be averaged like seeds, and
    /// slimmable networks would get the widths that were chosen for another.
    ///
    /// # Errors
    /// A file of another network.
    pub fn is_of(&self, suite: Suite, network: NetworkName, width: f64) -> Result<(), Error> {
        let mut runs = self.record.runs.iter().map(|run| &run.settings).filter(|settings| settings.suite == suite);
        match runs.find(|settings| (settings.training.network, settings.training.width) != (network, width)) {
            Some(Settings { training, .. }) => {
                let (found, at) = (training.network, training.width);
                let problem = format!(
                    "its runs are of {found} at width {at}: take another --json for {network} at width {width}"
                );
                Err(Error::Report { path: self.path.clone(), problem })
            }
            None => Ok(()),
        }
    }

    /// Checks that a run with some of these settings, of which tuning chooses, can stand in the file; see [`Record::twin`].
    ///
    /// # Errors
    /// A file with a twin of each, as when options were changed since.
    pub fn has_room_for(&self, candidates: &[Settings]) -> Result<(), Error> {
        let twins: Option<Vec<_>> =
            candidates.iter().map(|settings| Some((settings, self.record.twin(settings)?))).collect();
        match twins.unwrap_or_default().first() {
            Some((settings, twin)) => {
                let (name, id) = (settings.name(), &twin.id);
                let problem =
                    format!("its run {id} would be taken for {name}, but is made in another way: take another --json");
                Err(Error::Report { path: self.path.clone(), problem })
            }
            None => Ok(()),
        }
    }

    /// Adds a run with its rows and writes the file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn add(&mut self, run: Finished, rows: Vec<Row>) -> Result<(), Error> {
        self.record.runs.push(run);
        self.record.rows.extend(rows);
        self.write()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// A file that cannot be written, or one that another program has written since: its runs would be lost.
    pub fn write(&mut self) -> Result<(), Error> {
        let found = if self.path.exists() { Some(files::read(&self.path)?) } else { None };
        if found != self.content {
            let problem = "another program has changed it since it was read: begin again, what is trained is kept";
            return Err(Error::Report { path: self.path.clone(), problem: problem.to_owned() });
        }
        files::write_json(&self.path, &self.record)?;
        self.content = Some(files::read(&self.path)?);
        Ok(())
    }
}

/// The `id` of a run.
pub fn id(settings: &Settings) -> String {
    file_stem(settings.method.name(), settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Finished {
        /// A run that took so many seconds.
        pub fn example(settings: &Settings, train_seconds: Option<f64>) -> Finished {
            let (settings, machine) = (settings.clone(), String::new());
            let (id, commit, trained_by) = (id(&settings), String::new(), Vec::new());
            let other_seconds = Some(1.0);
            Finished { id, settings, train_seconds, other_seconds, failed: None, commit, trained_by, machine }
        }
    }

    impl Settings {
        /// Of the nested network, for the test images, with seed 1.
        pub fn example() -> Settings {
            let text = r#"{"suite":"full","method":"nested","budget":null,"training":{"network":"resnet8","width":0.5,"ladder":[90.0,80.0,70.0],"block":"1x1","allocation":"uniform","measured":"test","images":9,"epochs":9,"batch":3,"learning_rate":0.2,"seed":1}}"#;
            serde_json::from_str(text).unwrap()
        }
    }

    impl Row {
        /// The densest level of a run, with figures that mean nothing.
        pub fn example(settings: &Settings, run: &str) -> Row {
            let training = &settings.training;
            Row {
                run: run.to_owned(),
                suite: settings.suite,
                method: settings.method,
                budget: settings.budget,
                variant: settings.variant.clone(),
                network: training.network,
                width: training.width,
                block: Some(training.block),
                allocation: Some(training.allocation),
                measured: training.measured,
                seed: training.seed,
                level: training.ladder.len(),
                sparsity: settings.sparsity(training.ladder.len()),
                stored: 1.0,
                passes: training.passes(),
                learning_rate: training.learning_rate,
                top1_float: 90.0,
                top1_int8: 90.0,
                file_bytes: 2,
                prefix_bytes: 1,
                nonzero_macs: 1,
                m7_instructions: None,
                host_ms: None,
            }
        }
    }

    #[test]
    fn a_record_whose_rows_and_runs_do_not_belong_together_is_refused_and_the_run_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        let (settings, run) = (Settings::example(), Finished::example(&Settings::example(), None));
        let rows = [2, 1, 3].map(|level| Row { level, ..Row::example(&settings, &run.id) }).to_vec();
        let whole = Record { runs: vec![run], rows, ..Record::default() };
        let read = |record: &Record| {
            files::write_json(&path, record).unwrap();
            Record::read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read(&whole).as_ref(), Ok(&whole));
        let row = |place: usize| whole.rows[place].clone();
        for (rows, found) in [(vec![], "[]"), (vec![row(0), row(1)], "[1, 2]"), (vec![row(2); 3], "[3, 3, 3]")] {
            let problem = format!("damaged: run {} has rows of levels {found}, not of 1 to 3", whole.runs[0].id);
            assert_eq!(read(&Record { rows, ..whole.clone() }), Err(format!("{}: {problem}", path.display())));
        }
        let orphans = Record { runs: Vec::new(), ..whole.clone() };
        let problem = format!("damaged: it has rows of {}, which is no run of it", whole.runs[0].id);
        assert_eq!(read(&orphans), Err(format!("{}: {problem}", path.display())));
        let mut failed = Record { rows: Vec::new(), ..whole.clone() };
        failed.runs[0].failed = Some("loss".to_owned());
        assert!(read(&failed).is_ok());
    }

    #[test]
    fn two_runs_that_tables_would_take_for_seeds_of_one_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        let first = Settings::example();
        let of_rate = |learning_rate| Training { learning_rate, ..first.training.clone() };
        let again = Settings { training: of_rate(0.4), ..first.clone() };
        let run = |settings: &Settings| Finished { failed: Some(String::new()), ..Finished::example(settings, None) };
        let data = || Data { name: String::new(), train_images: 1, test_images: 1, crc32: String::new() };
        let record = Record { runs: vec![run(&first)], data: Some(data()), ..Record::default() };
        files::write_json(&path, &record).unwrap();
        let store = Store::open(&path, data()).unwrap();
        let with_seed = |training: Training| Settings { training: Training { seed: 2, ..training }, ..first.clone() };
        let tuning = Settings { suite: Suite::Tune, ..again.clone() };
        for fitting in [&first, &with_seed(first.training.clone()), &tuning] {
            assert!(store.has_room_for(std::slice::from_ref(fitting)).is_ok());
        }
        for strange in [&again, &with_seed(of_rate(0.4))] {
            let problem = store.has_room_for(std::slice::from_ref(strange)).unwrap_err().to_string();
            assert!(problem.ends_with("take another --json"), "{problem}");
            // It may still be tuned to what is there.
            assert!(store.has_room_for(&[strange.clone(), with_seed(first.training.clone())]).is_ok());
        }
        files::write_json(&path, &Record { runs: vec![run(&first), run(&again)], ..record }).unwrap();
        let problem = Record::read(&path).unwrap_err().to_string();
        assert!(problem.ends_with(&format!("{} and {} are of one method and not made alike", id(&first), id(&again))));
    }

    #[test]
    fn runs_that_another_program_has_added_are_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        let data = || Data { name: String::new(), train_images: 1, test_images: 1, crc32: String::new() };
        let [mut one, mut other] = [(); 2].map(|()| Store::open(&path, data()).unwrap());
        let seed = |seed| {
            let settings = Settings::example();
            let settings = Settings { training: Training { seed, ..settings.training }, ..settings };
            Finished { failed: Some(String::new()), ..Finished::example(&settings, None) }
        };
        one.add(seed(1), Vec::new()).unwrap();
        one.add(seed(2), Vec::new()).unwrap();
        assert!(other.add(seed(3), Vec::new()).unwrap_err().to_string().contains("another program"));
        assert_eq!(Record::read(&path).unwrap(), one.record);
        one.add(seed(4), Vec::new()).unwrap();
    }

    #[test]
    fn a_training_that_runs_share_is_one_training_and_its_time_is_known_when_one_has_it() {
        let first = Settings::example();
        let shared = Settings { recalibrated: false, ..first.clone() };
        let other = Settings { training: Training { seed: 2, ..first.training.clone() }, ..first.clone() };
        let time = |runs: &[(&Settings, Option<f64>)]| {
            let runs = runs.iter().map(|&(settings, seconds)| Finished::example(settings, seconds)).collect();
            let time = Record { runs, counting_seconds: Some(0.5), ..Record::default() }.time();
            (time.training, time.trainings, time.untimed, time.whole())
        };
        assert_eq!(time(&[]), (0.0, 0, 0, Some(0.5)));
        assert_eq!(time(&[(&first, Some(9.0)), (&shared, None), (&other, None)]), (9.0, 2, 1, None));
        assert_eq!(time(&[(&first, None), (&shared, None), (&other, Some(1.0))]), (1.0, 2, 1, None));
        let all = [(&first, Some(9.0)), (&shared, Some(2.0)), (&other, Some(1.0))];
        assert_eq!(time(&all), (12.0, 2, 0, Some(12.0 + 3.0 + 0.5)));
        let mut old = Finished::example(&first, Some(9.0));
        old.other_seconds = None;
        assert_eq!(Record { runs: vec![old], ..Record::default() }.time().whole(), None);
    }

    /// A file is read and written anew with each resumption: not even the last bit of a figure may change.
    #[test]
    fn figures_are_read_as_they_were_written() {
        for figure in [10.004340277777779, 9.999736952861953, 88.42999999999999, 1.0 / 3.0] {
            let text = serde_json::to_string(&figure).unwrap();
            assert_eq!(serde_json::from_str::<f64>(&text).unwrap(), figure);
        }
    }

    /// What was added to the settings later may not turn old runs into other ones.
    #[test]
    fn a_run_of_an_old_file_is_found_and_written_as_it_was() {
        let old = r#"{"suite":"tune","method":"nested","budget":null,"training":{"network":"resnet8","width":0.5,"ladder":[90.0,80.0,70.0],"block":"1x1","allocation":"uniform","measured":"validation","images":40000,"epochs":9,"batch":64,"learning_rate":0.2,"seed":1}}"#;
        let settings: Settings = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&settings).unwrap(), old);
        assert_eq!(id(&settings), "nested-b72ab96a");
    }
}
