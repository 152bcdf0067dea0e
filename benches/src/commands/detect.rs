//! `detect`: scenes in, a compressed nested detector and its figures out.
use crate::{
    data::Source,
    detection::{
        SceneSplit,
        boxes::Boxes,
        compose::{self, Counts},
        measure::{Candidate, Measured},
        page,
        picture::{self, Row},
        report::{DetectEntry, DetectReport},
        voc::Voc,
    },
    error::Error,
    experiment::measure,
    files, interrupt,
    m7::{self, Firmware},
    options::{self, BlockOption, LadderOption},
    training::{self, Run},
};
use clap::Args;
use nested_csr::Level;
use nested_mask::{
    Allocation, Ladder, Routing, nn,
    schedule::Ramp,
    train::{Augmentation, Config, Images, Masking, Trained},
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Train, compress, read back and run a nested object detector at each of its levels
#[derive(Args, Debug)]
pub struct Options {
    /// Folder in PASCAL VOC's layout, or with images beside their XML files [default: scenes composed of single images]
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
    /// Sparsities of the levels in per cent, falling
    #[arg(long, default_value = "90,80,70", value_name = "PERCENTS")]
    ladder: LadderOption,
    /// Weights that share one index
    #[arg(long, default_value_t = BlockOption::OneByOne)]
    block: BlockOption,
    /// Factor of the channels
    #[arg(long, default_value = "1", value_parser = options::width)]
    width: f64,
    /// Times that each training scene is seen
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: Option<u32>,
    /// Scenes a training step
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    batch: u32,
    /// Peak learning rate
    #[arg(long, default_value_t = LEARNING_RATE)]
    learning_rate: f64,
    /// Seed of all that is random, but for composed scenes, which are always the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also train networks of their own for each level, with a share of the epochs and with all, and one whose levels are widths
    #[arg(long)]
    compare: bool,
    /// Do not count the instructions of a Cortex-M7
    #[arg(long)]
    no_m7: bool,
    /// Folder to write into
    #[arg(long, default_value = "out", value_name = "DIR")]
    out: PathBuf,
    /// Also write the figures as a page
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Go on from the checkpoints in the folder
    #[arg(long)]
    resume: bool,
    /// Measure on a part of the training data instead of the test data, to choose settings
    #[arg(long)]
    validation: bool,
    /// A short training, to see that all works
    #[arg(long)]
    quick: bool,
}

/// Files in the folder.
const PICTURE: &str = "scenes.png";
const BOXES: &str = "boxes.json";
const REPORT: &str = "report.json";
/// Says which scenes the checkpoints were trained on.
const IMAGES: &str = "images.txt";

/// Chosen with `--validation`.
const LEARNING_RATE: f64 = 0.1;

/// Test scenes in which the emulated board must find what the host finds.
const M7_SCENES: usize = 3;

/// What the files of the nested network are called.
const NESTED: &str = "nested";
const SLIMMABLE: &str = "slimmable";

/// What a network of its own for one level is called.
fn alone(level: usize, budget: &str) -> String {
    format!("stand-alone {level} ({budget})")
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let start = Instant::now();
    let scenes = options.scenes()?;
    let images = scenes.train.scenes.len();
    if images < options.batch as usize {
        let problem = format!("{images} training scenes are fewer than a batch of {}", options.batch);
        return Err(Error::Report { path: options.out.clone(), problem });
    }
    files::prepare_folder(&options.out)?;
    options.begin(&scenes)?;
    interrupt::end_with(format!("go on with --resume; the epochs done are in {}", options.out.display()))?;
    let firmware = if options.no_m7 { None } else { measure::firmware()? };
    let bench = Bench { options, scenes: &scenes, firmware };
    let (measured, took) = bench.nested_and_dense()?;
    let rivals = if options.compare { bench.rivals()? } else { Rivals::default() };
    options.publish(measured, rivals, &scenes, [took, start.elapsed()])
}

fn file_name(name: &str) -> String {
    name.replace(' ', "-").replace(['(', ')'], "")
}

/// What the nested network is compared with.
#[derive(Default)]
struct Rivals {
    /// Trained together for as many epochs as the nested network.
    alone_a: Vec<Measured>,
    /// Each trained for as many.
    alone_b: Vec<Measured>,
    slimmable: Vec<Measured>,
}

/// What all networks of a run have in common.
struct Bench<'a> {
    options: &'a Options,
    scenes: &'a SceneSplit,
    firmware: Option<Firmware>,
}

impl Bench<'_> {
    /// The levels of the nested network, then the dense network; and how long the nested one's training took.
    fn nested_and_dense(&self) -> Result<(Vec<Measured>, Duration), Error> {
        let ladder = &self.options.ladder.0;
        let (nested, took) = self.train(NESTED, self.options.config(ladder.clone()))?;
        let (dense, _) = self.train("dense", self.options.config(Ladder::dense()))?;
        let mut measured = self.levels(&nested, &self.options.file(NESTED))?;
        measured.push(self.only("dense", &dense)?);
        Ok((measured, took))
    }

    /// A network of its own for each level, at both budgets, and the levels of a slimmable one whose widths cost a Cortex-M7 (or,
    /// where that cannot be emulated, in multiplications) what the nested levels cost.
    fn rivals(&self) -> Result<Rivals, Error> {
        let sparsities = self.options.ladder.0.sparsities();
        let share = self.options.epochs().div_ceil(sparsities.len());
        let alone = [share, self.options.epochs()].map(|epochs| -> Result<Vec<Measured>, Error> {
            let of_level = |(index, &sparsity)| {
                let name = alone(index + 1, if epochs == share { "a" } else { "b" });
                let config = Config { epochs, ..self.options.config(Ladder::new([sparsity])?) };
                self.only(&name, &self.train(&name, config)?.0)
            };
            sparsities.iter().enumerate().map(of_level).collect()
        });
        let [alone_a, alone_b] = alone;
        Ok(Rivals { alone_a: alone_a?, alone_b: alone_b?, slimmable: self.slimmable(sparsities)? })
    }

    fn slimmable(&self, sparsities: &[f64]) -> Result<Vec<Measured>, Error> {
        let per_cent: Vec<f64> = sparsities.iter().map(|sparsity| 100.0 * sparsity).collect();
        let firmware = self.firmware.as_ref();
        let widths = measure::widths(&self.options.file(NESTED), &per_cent, &self.network()?, firmware)?;
        let left_out: Vec<f64> = widths.iter().map(|width| width.left_out / 100.0).collect();
        let config = Config { masking: Masking::Slimmable, ..self.options.config(Ladder::new(left_out)?) };
        let (slimmable, _) = self.train(SLIMMABLE, config)?;
        let of_level = |level: Level| {
            let name = format!("{SLIMMABLE} {}", level.number());
            self.only(&name, &slimmable.narrowed(level)?)
        };
        slimmable.levels().up_to().map(of_level).collect()
    }

    fn network(&self) -> Result<nn::Network, Error> {
        let scenes = &self.scenes.train.scenes;
        Ok(nn::ssd_mobilenet_v2(scenes.shape, self.options.width, scenes.classes)?)
    }

    /// Trains one network.
    fn train(&self, name: &str, config: Config) -> Result<(Trained, Duration), Error> {
        let checkpoint = self.options.checkpoint(name);
        // A later training may not have begun when an earlier one was interrupted.
        let resume = self.options.resume && (name == NESTED || checkpoint.exists());
        let scenes = &self.scenes.train.scenes;
        let run = Run { name: name.to_owned(), network: self.network()?, config, checkpoint };
        let (mut trainer, took) = run.train(resume, scenes)?;
        trainer.recalibrate(scenes)?;
        Ok((trainer.trained().clone(), took))
    }

    /// Makes a file of a network, reads it back, and measures each level.
    fn levels(&self, trained: &Trained, path: &Path) -> Result<Vec<Measured>, Error> {
        let candidate = Candidate::deploy(trained, &self.scenes.train.scenes, path)?;
        let board = match &self.firmware {
            Some(firmware) => {
                let scenes = &self.scenes.test.scenes;
                let integers = |index| scenes.image(index).iter().map(|&pixel| pixel.wrapping_sub(128) as i8).collect();
                let images: Vec<Vec<i8>> = (0..scenes.len().min(M7_SCENES)).map(integers).collect();
                measure::m7_rows(firmware, measure::model(path)?, &images)?
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
        let path = self.options.file(name);
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
            let voc = if self.validation { voc.validation() } else { voc };
            return Ok(voc.read(side, tile, &self.classes)?);
        }
        let mut items = self.data.clone().map_or(Source::Builtin, Source::Idx).load()?;
        if self.validation {
            items = items.validation();
        }
        Ok(compose::compose(&items, side, tile, if self.quick { QUICK } else { COUNTS }))
    }

    /// Removes what an earlier run left, or checks that it was of the same scenes.
    fn begin(&self, scenes: &SceneSplit) -> Result<(), Error> {
        let scenes = &scenes.train.scenes;
        let mut digest = flate2::Crc::new();
        digest.update(&scenes.pixels);
        let objects = scenes.objects.iter().map(|objects| format!("{objects:?}"));
        objects.for_each(|objects| digest.update(objects.as_bytes()));
        let now = format!("{} scenes, CRC-32 {:08x}\n", scenes.len(), digest.sum());
        training::same_images(&self.out.join(IMAGES), &now, self.resume && self.checkpoint(NESTED).exists())?;
        if !self.resume {
            let levels = 1..=self.ladder.0.levels().number();
            let alone = levels.flat_map(|level| ["a", "b"].map(|budget| alone(level, budget)));
            for name in [NESTED, "dense", SLIMMABLE].map(str::to_owned).into_iter().chain(alone) {
                files::remove(&self.checkpoint(&name))?;
                files::remove(&self.file(&name))?;
            }
        }
        for name in [PICTURE, BOXES, REPORT] {
            files::remove(&self.out.join(name))?;
        }
        Ok(())
    }

    fn checkpoint(&self, name: &str) -> PathBuf {
        self.out.join(format!("checkpoint-{}.safetensors", file_name(name)))
    }

    /// The model file of a network.
    fn file(&self, name: &str) -> PathBuf {
        self.out.join(format!("{}.ncsr", file_name(name)))
    }

    fn epochs(&self) -> usize {
        const EPOCHS: u32 = 36;
        const QUICK_EPOCHS: u32 = 2;
        self.epochs.unwrap_or(if self.quick { QUICK_EPOCHS } else { EPOCHS }) as usize
    }

    /// How all networks are trained. The learning rate, the allocation, the ramp and the share of each level were chosen with
    /// `--validation` (late distillation gained nothing there); the augmentation and the weight decay were set once and not
    /// compared, and the epochs are what the time allows.
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
            block: self.block.into(),
            epochs: self.epochs(),
            batch: self.batch as usize,
            seed: self.seed,
            learning_rate: self.learning_rate,
            weight_decay: 1e-4,
            augmentation: Augmentation { shift: 4, flip: true, erase: 0, zoom: 15 },
            ..Config::default()
        }
    }

    /// Prints the table and writes boxes, picture and report; the report comes last, so that one that is there is complete.
    fn publish(
        &self,
        measured: Vec<Measured>,
        rivals: Rivals,
        scenes: &SceneSplit,
        [took, run]: [Duration; 2],
    ) -> Result<(), Error> {
        /// Scenes in the picture.
        const DRAWN: usize = 6;
        let mut boxes = Boxes::new(&scenes.classes, &scenes.test.truth);
        let Rivals { alone_a, alone_b, slimmable } = rivals;
        for one in measured.iter().chain(&alone_a).chain(&alone_b).chain(&slimmable) {
            boxes.add(&one.entry.name, one.precision, &one.found);
        }
        boxes.write(&self.out.join(BOXES))?;
        let row = |one: &Measured| Row {
            name: one.entry.name.clone(),
            found: one.in_scenes.iter().take(DRAWN).cloned().collect(),
        };
        let rows: Vec<Row> = measured.iter().map(row).collect();
        picture::scenes(&self.out.join(PICTURE), &scenes.test.scenes, &scenes.classes, &rows)?;
        let path = self.out.join(REPORT);
        let levels_of = self.ladder.0.levels().number();
        let board: Vec<m7::Row> = measured.iter().take(levels_of).filter_map(|one| one.board.clone()).collect();
        let mut levels: Vec<DetectEntry> = measured.into_iter().map(|one| one.entry).collect();
        let problem = "the dense network was not measured";
        let dense = levels.pop().ok_or_else(|| Error::Report { path: path.clone(), problem: problem.to_owned() })?;
        let entries = |measured: Vec<Measured>| measured.into_iter().map(|one| one.entry).collect();
        let report = DetectReport {
            dataset: scenes.name.clone(),
            classes: scenes.classes.clone(),
            validation: self.validation,
            train_images: scenes.train.truth.len(),
            train_scenes: scenes.train.scenes.len(),
            test_images: scenes.test.truth.len(),
            test_scenes: scenes.test.scenes.len(),
            network: format!("ssd_mobilenet_v2, {0}×{0}, width {1}", self.size, self.width),
            block: self.block.to_string(),
            seed: self.seed,
            epochs: self.epochs(),
            train_seconds: took.as_secs_f64(),
            run_seconds: run.as_secs_f64(),
            stand_alone_a: entries(alone_a),
            stand_alone_b: entries(alone_b),
            slimmable: entries(slimmable),
            levels,
            dense,
        };
        if let Some(page) = &self.page {
            files::write(page, page::page(&report, &board).as_bytes())?;
        }
        report.write(&path)?;
        print!("{}", report.table());
        Ok(())
    }
}
