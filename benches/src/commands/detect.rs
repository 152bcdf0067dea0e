//! `detect`: scenes in, a compressed nested detector and its figures out.
use crate::{
    data::Source,
    deployed,
    detection::{
        SceneSplit,
        compose::{self, Counts},
        folder::Folder,
        measure::{Candidate, Measured},
        outcome::Outcome,
        page,
        report::{DetectEntry, DetectReport},
        voc::Voc,
    },
    error::Error,
    experiment::measure,
    files, interrupt,
    m7::{self, Firmware},
    options::{self, RunOptions},
    training::Run,
};
use clap::Args;
use nested_csr::Level;
use nested_mask::{
    Allocation, Ladder, Routing, nn,
    schedule::Ramp,
    train::{Augmentation, Config, Images, Masking, Trained},
};
use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

/// Train, compress, read back and run a nested object detector at each of its levels
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    run: RunOptions,
    /// Folder to write into
    #[arg(long, default_value = "out/detect", value_name = "DIR")]
    out: PathBuf,
    /// Folder in PASCAL VOC's layout, or with images beside their XML files [default: scenes composed of
    /// single images, the same for every seed]
    #[arg(long, value_name = "DIR")]
    voc: Option<PathBuf>,
    /// Classes to find [default: all that the annotations name]
    #[arg(long, value_delimiter = ',', requires = "voc", value_name = "NAMES")]
    classes: Vec<String>,
    /// Folder with the four IDX files of an MNIST-like set to compose scenes of [default: the built-in images]
    #[arg(long, value_name = "DIR", conflicts_with = "voc")]
    data: Option<PathBuf>,
    /// Cut images into overlapping tiles of so many pixels a side
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=4_096))]
    tile: Option<u32>,
    /// Pixels of the sides of what the network reads
    #[arg(long, default_value_t = 96, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=512))]
    size: u32,
    /// Factor of the channels
    #[arg(long, default_value = "1", value_parser = options::width)]
    width: f64,
    /// Scenes a training step
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    batch: u32,
    /// Peak learning rate
    #[arg(long, default_value_t = LEARNING_RATE)]
    learning_rate: f64,
    /// Also train networks of their own for each level, with a share of the epochs and with all, and one whose levels are widths
    #[arg(long)]
    compare: bool,
    /// Do not count the instructions of a Cortex-M7
    #[arg(long)]
    no_m7: bool,
    /// Also write the figures as a page
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// Chosen with `--validation`.
const LEARNING_RATE: f64 = 0.1;

/// Test scenes in which the emulated board must find what the host finds.
const M7_SCENES: usize = 3;

/// What the networks and their files are called.
const NESTED: &str = "nested";
const DENSE: &str = "dense";
const SLIMMABLE: &str = "slimmable";

/// What a network of its own for one level is called.
fn alone(level: usize, budget: &str) -> String {
    format!("stand-alone {level} ({budget})")
}

/// The arguments, without those that name where the run writes to or say that it goes on: figures do not depend on them.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let mut told = Vec::new();
    let mut is_place = false;
    for argument in arguments {
        let option = argument.split('=').next().unwrap_or_default();
        let is_option_of_place = ["--out", "--page"].contains(&option);
        if !is_place && !is_option_of_place && option != "--resume" {
            told.push(argument.clone());
        }
        is_place = is_option_of_place && option == argument;
    }
    told.join(" ")
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    files::check_writable_if(options.page.as_deref())?;
    let scenes = options.scenes()?;
    let (found, batch) = (scenes.train.scenes.len(), options.batch as usize);
    if found < batch {
        return Err(Error::TooFew { found, what: "scenes", batch });
    }
    let folder = options.folder();
    let workspace = folder.open(&scenes.train.scenes)?;
    let mut bench = Bench { options, scenes: &scenes, firmware: None, seconds: RefCell::default() };
    bench.check()?;
    if !options.no_m7 {
        bench.firmware = m7::firmware()?;
    }
    folder.begin(&workspace, &options.networks(), options.run.resume)?;
    interrupt::end_with(format!("go on with --resume; the epochs done are in {}", options.out.display()))?;
    let outcome = bench.outcome()?;
    outcome.show(&scenes, &folder)?;
    let board: Vec<m7::Row> = outcome.levels.iter().filter_map(|one| one.board.clone()).collect();
    let report = options.report(outcome, &scenes, bench.seconds.into_inner());
    if let Some(page) = &options.page {
        files::write(page, page::page(&report, &board, &m7::Anchors::read()?).as_bytes())?;
    }
    // It comes last, so that one that is there is complete.
    report.write(&folder.report())?;
    print!("{}", report.table());
    Ok(())
}

/// What all networks of a run have in common.
struct Bench<'a> {
    options: &'a Options,
    scenes: &'a SceneSplit,
    firmware: Option<Firmware>,
    /// Of each training, the nested network's first, over all calls; `None` of one whose checkpoint does not tell.
    seconds: RefCell<Vec<Option<f64>>>,
}

impl Bench<'_> {
    /// Whether the trainings can begin, or go on, as far as they are known: a slimmable network's widths are matched to the
    /// nested network.
    fn check(&self) -> Result<(), Error> {
        let nested_and_dense = [(NESTED.to_owned(), self.options.nested()), (DENSE.to_owned(), self.options.dense())];
        let mut trainings = Vec::from(nested_and_dense);
        if self.options.compare {
            for (budget, epochs) in self.options.budgets() {
                trainings.extend(self.options.alone(budget, epochs)?);
            }
        }
        trainings.into_iter().try_for_each(|(name, config)| self.training(&name, config)?.check())
    }

    /// What all networks find.
    fn outcome(&self) -> Result<Outcome, Error> {
        let nested = self.train(NESTED, self.options.nested())?;
        let dense = self.train(DENSE, self.options.dense())?;
        let levels = self.levels(&nested, &self.options.folder().model(NESTED))?;
        let dense = self.only(DENSE, &dense)?;
        let (mut alone_a, mut alone_b, mut slimmable) = (Vec::new(), Vec::new(), Vec::new());
        if self.options.compare {
            let [a, b] = self.options.budgets();
            (alone_a, alone_b) = (self.alone(a)?, self.alone(b)?);
            slimmable = self.slimmable()?;
        }
        Ok(Outcome { levels, dense, alone_a, alone_b, slimmable })
    }

    /// A network of its own for each level.
    fn alone(&self, (budget, epochs): (&str, usize)) -> Result<Vec<Measured>, Error> {
        let of_level = |(name, config): (String, Config)| self.only(&name, &self.train(&name, config)?);
        self.options.alone(budget, epochs)?.into_iter().map(of_level).collect()
    }

    /// The levels of a slimmable network whose widths cost a Cortex-M7 (or, where that cannot be emulated, in
    /// multiplications) what the nested levels cost.
    fn slimmable(&self) -> Result<Vec<Measured>, Error> {
        let per_cent: Vec<f64> =
            self.options.run.ladder.0.sparsities().iter().map(|sparsity| 100.0 * sparsity).collect();
        let (nested, firmware) = (self.options.folder().model(NESTED), self.firmware.as_ref());
        let widths = measure::widths(&nested, &per_cent, &self.network()?, firmware)?;
        let left_out: Vec<f64> = widths.iter().map(|width| width.left_out / 100.0).collect();
        if left_out.is_empty() {
            return Ok(Vec::new());
        }
        let config = Config { masking: Masking::Slimmable, ..self.options.config(Ladder::new(left_out)?) };
        let slimmable = self.train(SLIMMABLE, config)?;
        let mut measured = Vec::new();
        for level in slimmable.levels().up_to() {
            let name = format!("{SLIMMABLE} {}", level.number());
            measured.push(self.only(&name, &slimmable.narrowed(level)?)?);
        }
        Ok(measured)
    }

    fn network(&self) -> Result<nn::Network, Error> {
        let scenes = &self.scenes.train.scenes;
        Ok(nn::ssd_mobilenet_v2(scenes.shape, self.options.width, scenes.classes)?)
    }

    /// One network's training.
    fn training(&self, name: &str, config: Config) -> Result<Run, Error> {
        Ok(Run {
            name: name.to_owned(),
            network: self.network()?,
            config,
            checkpoint: self.options.folder().checkpoint(name),
            start: self.options.run.start(name == NESTED),
            recalibrated: true,
        })
    }

    /// Trains one network.
    fn train(&self, name: &str, config: Config) -> Result<Trained, Error> {
        let done = self.training(name, config)?.train(&self.scenes.train.scenes)?;
        self.seconds.borrow_mut().push(done.seconds);
        Ok(done.trained)
    }

    /// Makes a file of a network, reads it back, and measures each level.
    fn levels(&self, trained: &Trained, path: &Path) -> Result<Vec<Measured>, Error> {
        let candidate = Candidate::deploy(trained, &self.scenes.train.scenes, path)?;
        let board = match &self.firmware {
            Some(firmware) => {
                let scenes = &self.scenes.test.scenes;
                let integers = |index| deployed::integers(scenes.image(index)).collect();
                let images: Vec<Vec<i8>> = (0..scenes.len().min(M7_SCENES)).map(integers).collect();
                m7::level_rows(firmware, files::model(path)?, &images)?
            }
            None => Vec::new(),
        };
        let of_level = |level: Level| {
            let name = format!("level {}", level.number());
            candidate.measure(&name, level, &self.scenes.test, board.get(level.number() - 1).cloned())
        };
        trained.levels().up_to().map(of_level).collect()
    }

    /// [`Self::levels`] of a network that has one.
    fn only(&self, name: &str, trained: &Trained) -> Result<Measured, Error> {
        let path = self.options.folder().model(name);
        let measured = self.levels(trained, &path)?.pop();
        let problem = || Error::Report { path, problem: "no level was measured".to_owned() };
        let mut measured = measured.ok_or_else(problem)?;
        measured.entry = DetectEntry { name: name.to_owned(), level: None, ..measured.entry };
        Ok(measured)
    }
}

impl Options {
    /// The scenes that the options name.
    fn scenes(&self) -> Result<SceneSplit, Error> {
        const COUNTS: Counts = Counts { train: 5_000, test: 600 };
        const QUICK: Counts = Counts { train: 256, test: 64 };
        let (side, tile) = (self.size as usize, self.tile.map(|tile| tile as usize));
        if let Some(folder) = &self.voc {
            let voc = Voc::open(folder)?;
            let voc = if self.run.validation { voc.validation() } else { voc };
            return Ok(voc.read(side, tile, &self.classes)?);
        }
        let mut items = self.data.clone().map_or(Source::Builtin, Source::Idx).load()?;
        if self.run.validation {
            items = items.validation();
        }
        compose::compose(&items, side, tile, if self.run.quick { QUICK } else { COUNTS })
    }

    fn folder(&self) -> Folder<'_> {
        Folder(&self.out)
    }

    /// Names of all networks that a run may train, the nested one first.
    fn networks(&self) -> Vec<String> {
        let levels = || self.run.ladder.0.levels().up_to().map(Level::number);
        let alone = levels().flat_map(|level| ["a", "b"].map(|budget| alone(level, budget)));
        let slimmable = levels().map(|level| format!("{SLIMMABLE} {level}"));
        [NESTED, DENSE, SLIMMABLE].map(str::to_owned).into_iter().chain(alone).chain(slimmable).collect()
    }

    fn epochs(&self) -> usize {
        const EPOCHS: u32 = 36;
        const QUICK_EPOCHS: u32 = 2;
        self.run.epochs_or(EPOCHS, QUICK_EPOCHS)
    }

    fn nested(&self) -> Config {
        self.config(self.run.ladder.0.clone())
    }

    fn dense(&self) -> Config {
        self.config(Ladder::dense())
    }

    /// What networks of their own for each level are trained for: epochs so that all of them together, or that each, is trained
    /// as long as the nested one.
    fn budgets(&self) -> [(&'static str, usize); 2] {
        let epochs = self.epochs();
        [("a", (epochs / self.run.ladder.0.levels().number()).max(1)), ("b", epochs)]
    }

    /// Names and configurations of a network of its own for each level.
    fn alone(&self, budget: &str, epochs: usize) -> Result<Vec<(String, Config)>, Error> {
        let of_level = |(index, &sparsity): (usize, &f64)| {
            let config = Config { epochs, ..self.config(Ladder::new([sparsity])?) };
            Ok((alone(index + 1, budget), config))
        };
        self.run.ladder.0.sparsities().iter().enumerate().map(of_level).collect()
    }

    /// How all networks are trained. The learning rate, the allocation, the ramp and the share of each level were chosen with
    /// `--validation` (late distillation gained nothing there); the augmentation and the weight decay were set once and not
    /// compared, and the epochs are what the time allows. Whether levels would gain by sharing γ and β was not asked here.
    fn config(&self, ladder: Ladder) -> Config {
        // The sparsest level has the most to learn again.
        let share = |level: Level| if level == Level::FIRST { 2.0 } else { 1.0 };
        Config {
            // A dense network learns faster, so sparsity comes when there is something to choose from.
            ramp: Ramp { start: 0.25, end: 0.8 },
            routing: Routing::Sampled { weights: ladder.levels().up_to().map(share).collect() },
            ladder,
            // Heads and first layers are small; at a ladder's sparsity they would hold too little.
            allocation: Allocation::ErdosRenyiKernel,
            block: self.run.block.into(),
            epochs: self.epochs(),
            batch: self.batch as usize,
            seed: self.run.seed,
            learning_rate: self.learning_rate,
            weight_decay: 1e-4,
            shared_affine: false,
            augmentation: Augmentation { shift: 4, flip: true, erase: 0, zoom: 15 },
            ..Config::default()
        }
    }

    /// The figures of a run, with what it was a run of, and the seconds of its trainings.
    fn report(&self, outcome: Outcome, scenes: &SceneSplit, seconds: Vec<Option<f64>>) -> DetectReport {
        let entries = |measured: Vec<Measured>| measured.into_iter().map(|one| one.entry).collect();
        DetectReport {
            command: command_line(std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned())),
            dataset: scenes.name.clone(),
            classes: scenes.classes.clone(),
            validation: self.run.validation,
            train_images: scenes.train.truth.len(),
            train_scenes: scenes.train.scenes.len(),
            test_images: scenes.test.truth.len(),
            test_scenes: scenes.test.scenes.len(),
            network: format!("ssd_mobilenet_v2, {0}×{0}, width {1}", self.size, self.width),
            block: self.run.block.to_string(),
            seed: self.run.seed,
            epochs: self.epochs(),
            train_seconds: seconds.first().copied().flatten(),
            all_train_seconds: seconds.into_iter().sum(),
            levels: entries(outcome.levels),
            dense: outcome.dense.entry,
            stand_alone_a: entries(outcome.alone_a),
            stand_alone_b: entries(outcome.alone_b),
            slimmable: entries(outcome.slimmable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_told_without_its_places() {
        let told = |line: &str| command_line(line.split(' ').map(str::to_owned));
        assert_eq!(told("detect --compare --out od --resume --seed 2 --page=p.md"), "detect --compare --seed 2");
    }
}
