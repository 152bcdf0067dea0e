//! `detect`: scenes in, a compressed nested detector and its figures out.
use crate::{
    data::Source,
    detection::{
        Gathered, SceneSplit,
        boxes::Boxes,
        compose::{self, Counts},
        measure::{Candidate, Measured},
        picture::{self, Row},
        report::DetectReport,
        voc::Voc,
    },
    error::Error,
    files, interrupt,
    options::{self, BlockOption, LadderOption},
    training::{self, Run},
};
use clap::Args;
use nested_csr::Level;
use nested_mask::{
    Ladder, nn,
    train::{Augmentation, Config, Masking, Trained},
};
use std::{
    path::PathBuf,
    time::Duration,
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
    /// Also train a network of its own for each level, and one whose levels are widths
    #[arg(long)]
    compare: bool,
    /// Folder to write into
    #[arg(long, default_value = "out", value_name = "DIR")]
    out: PathBuf,
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

/// A network that is trained, and what its files are called.
struct Plan {
    name: String,
    file: String,
    config: Config,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let scenes = options.scenes()?;
    let images = scenes.train.scenes.len();
    if images < options.batch as usize {
        let problem = format!("{images} training scenes are fewer than a batch of {}", options.batch);
        return Err(Error::Report { path: options.out.clone(), problem });
    }
    files::prepare_folder(&options.out)?;
    options.begin(&scenes)?;
    let plans = options.plans();
    interrupt::end_with(format!("go on with --resume; the epochs done are in {}", options.out.display()))?;

    let mut trained = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        trained.push(options.train(plan, index == 0, &scenes.train)?);
    }
    for (plan, (trained, took)) in plans.iter().zip(&trained) {
        for level in trained.levels().up_to() {
            let s = nested_mask::detect::DetectionSettings { score: 0.02, iou: 0.45, most: 200 };
            let f = trained.detect(level, &scenes.test.scenes, s)?;
            let p = crate::detection::precision::precision(scenes.test.scenes.classes, &scenes.test.truth, &f);
            println!("TMP {} level {} {:?} {:?}", plan.name, level.number(), p, took);
        }
    }
    let (nested, seconds) = (&trained[0].0, trained[0].1);
    let mut rivals: Vec<(String, Trained)> = Vec::new();
    for (plan, (trained, _)) in plans.iter().zip(&trained).skip(1) {
        if plan.config.masking == Masking::Slimmable {
            for level in trained.levels().up_to() {
                rivals.push((format!("slimmable {}", level.number()), trained.narrowed(level)?));
            }
        } else {
            rivals.push((plan.name.clone(), trained.clone()));
        }
    }
    let measured = options.measure(nested, &rivals, &scenes)?;
    options.publish(measured, &scenes, seconds)
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
        let checkpoints: Vec<PathBuf> = self.plans().iter().map(|plan| self.checkpoint(plan)).collect();
        let scenes = &scenes.train.scenes;
        let mut digest = flate2::Crc::new();
        digest.update(&scenes.pixels);
        let objects = scenes.objects.iter().map(|objects| format!("{objects:?}"));
        objects.for_each(|objects| digest.update(objects.as_bytes()));
        let now = format!("{} scenes, CRC-32 {:08x}\n", scenes.len(), digest.sum());
        training::same_images(&self.out.join(IMAGES), &now, self.resume && checkpoints[0].exists())?;
        if !self.resume {
            for path in checkpoints {
                files::remove(&path)?;
            }
        }
        for name in [PICTURE, BOXES, REPORT] {
            files::remove(&self.out.join(name))?;
        }
        Ok(())
    }

    fn checkpoint(&self, plan: &Plan) -> PathBuf {
        self.out.join(format!("checkpoint-{}.safetensors", plan.file))
    }

    /// How all networks are trained; what the options leave open was chosen with `--validation`.
    fn config(&self, ladder: Ladder) -> Config {
        const EPOCHS: u32 = 16;
        const QUICK_EPOCHS: u32 = 2;
        Config {
            ladder,
            block: self.block.into(),
            epochs: self.epochs.unwrap_or(if self.quick { QUICK_EPOCHS } else { EPOCHS }) as usize,
            batch: self.batch as usize,
            seed: self.seed,
            learning_rate: self.learning_rate,
            weight_decay: 1e-4,
            augmentation: Augmentation { shift: 6, flip: true, erase: 0, zoom: 25 },
            ..Config::default()
        }
    }

    /// The nested network, the dense one, and with `--compare` their rivals.
    fn plans(&self) -> Vec<Plan> {
        let plan = |name: &str, config| Plan { name: name.to_owned(), file: name.replace(' ', "-"), config };
        let ladder = &self.ladder.0;
        let mut plans = vec![plan("nested", self.config(ladder.clone())), plan("dense", self.config(Ladder::dense()))];
        if self.compare {
            for (index, &sparsity) in ladder.sparsities().iter().enumerate() {
                let alone = Ladder::new([sparsity]).unwrap_or_else(|_| Ladder::dense());
                plans.push(plan(&format!("stand-alone {}", index + 1), self.config(alone)));
            }
            let config = Config { masking: Masking::Slimmable, ..self.config(self.widths()) };
            plans.push(plan("slimmable", config));
        }
        plans
    }

    /// The shares of the channels that a slimmable network's levels leave out: those with which a dense network has as many
    /// multiplications as a level of the nested one.
    fn widths(&self) -> Ladder {
        // Multiplications grow with the square of the channels.
        let left_out: Vec<f64> = self.ladder.0.sparsities().iter().map(|sparsity| 1.0 - (1.0 - sparsity).sqrt()).collect();
        Ladder::new(left_out).unwrap_or_else(|_| Ladder::dense())
    }

    /// Trains one network with these options.
    fn train(&self, plan: &Plan, first: bool, data: &Gathered) -> Result<(Trained, Duration), Error> {
        let scenes = &data.scenes;
        let checkpoint = self.checkpoint(plan);
        let network = nn::ssd_mobilenet_v2(scenes.shape, self.width, scenes.classes)?;
        // A later training may not have begun when an earlier one was interrupted.
        let resume = self.resume && (first || checkpoint.exists());
        let run = Run { name: plan.name.clone(), network, config: plan.config.clone(), checkpoint };
        let (mut trainer, took) = run.train(resume, scenes)?;
        trainer.recalibrate(scenes)?;
        Ok((trainer.trained().clone(), took))
    }

    /// Makes files of all networks, reads them back and measures them: the nested network's levels first.
    fn measure(
        &self,
        nested: &Trained,
        rivals: &[(String, Trained)],
        scenes: &SceneSplit,
    ) -> Result<Vec<Measured>, Error> {
        let file = |name: &str| self.out.join(format!("{}.ncsr", name.replace(' ', "-")));
        let mut measured = Vec::new();
        let candidate = Candidate::deploy(nested, &scenes.train.scenes, &file("nested"))?;
        for level in nested.levels().up_to() {
            measured.push(candidate.measure(&format!("level {}", level.number()), level, &scenes.test)?);
        }
        for (name, trained) in rivals {
            let candidate = Candidate::deploy(trained, &scenes.train.scenes, &file(name))?;
            measured.push(candidate.measure(name, Level::FIRST, &scenes.test)?);
        }
        Ok(measured)
    }

    /// Prints the table and writes boxes, picture and report; the report comes last, so that one that is there is complete.
    fn publish(&self, measured: Vec<Measured>, scenes: &SceneSplit, took: Duration) -> Result<(), Error> {
        /// Scenes in the picture.
        const DRAWN: usize = 6;
        let mut boxes = Boxes::new(&scenes.classes, &scenes.test.truth);
        let mut rows = Vec::new();
        let levels = self.ladder.0.levels().number();
        for (index, one) in measured.iter().enumerate() {
            boxes.add(&one.entry.name, one.precision, &one.found);
            if index <= levels {
                let found = one.in_scenes.iter().take(DRAWN).cloned().collect();
                rows.push(Row { name: one.entry.name.clone(), found });
            }
        }
        boxes.write(&self.out.join(BOXES))?;
        picture::scenes(&self.out.join(PICTURE), &scenes.test.scenes, &scenes.classes, &rows)?;
        let mut entries = measured.into_iter().map(|one| one.entry);
        let config = self.config(self.ladder.0.clone());
        let report = DetectReport {
            dataset: scenes.name.clone(),
            classes: scenes.classes.clone(),
            train_images: scenes.train.scenes.len(),
            test_images: scenes.test.truth.len(),
            network: format!("ssd_mobilenet_v2, {0}×{0}, width {1}", self.size, self.width),
            block: self.block.to_string(),
            seed: self.seed,
            epochs: config.epochs,
            train_seconds: took.as_secs_f64(),
            levels: entries.by_ref().take(levels).collect(),
            dense: entries.next().ok_or_else(|| self.nothing_measured())?,
            stand_alone: entries.by_ref().take(if self.compare { levels } else { 0 }).collect(),
            slimmable: entries.collect(),
        };
        report.write(&self.out.join(REPORT))?;
        print!("{}", report.table());
        Ok(())
    }

    fn nothing_measured(&self) -> Error {
        Error::Report { path: self.out.join(REPORT), problem: "the dense network was not measured".to_owned() }
    }
}
