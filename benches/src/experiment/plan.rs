//! Which runs an experiment is made of.
use super::{
    images::Images,
    record::{Record, Width},
    settings::{
        AllocationName, Budget, DistillationFrom, Growth, MaskingName, Measured, Method, NetworkName, Pruning,
        RoutingName, Settings, Suite, Training,
    },
};
use crate::{error::Error, options::BlockOption};

/// A run, and where its learning rate comes from.
pub struct Planned {
    /// The rate of a tuned run is not known yet, and 0 here.
    pub settings: Settings,
    /// The runs that the rate is chosen from; none when it is given.
    tuned_on: Vec<Settings>,
}

impl Planned {
    /// The settings with their learning rate: of the tuning runs' rates the one with the best int8 accuracy, mean over the
    /// levels.
    ///
    /// # Errors
    /// Tuning runs that all failed.
    pub fn resolve(&self, record: &Record) -> Result<Settings, Error> {
        if self.tuned_on.is_empty() {
            return Ok(self.settings.clone());
        }
        let mut settings = self.settings.clone();
        settings.training.learning_rate = best_rate(record, &self.tuned_on).ok_or_else(|| Error::Report {
            path: "tuning".into(),
            problem: format!("no learning rate of the grid works for {}", self.settings.name()),
        })?;
        Ok(settings)
    }

    /// Image passes of its training; pruning at run time has none of its own.
    pub fn passes(&self) -> u64 {
        if self.settings.pruning.is_some() { 0 } else { self.settings.training.passes() }
    }

    /// Whether the record has it.
    pub fn is_done(&self, record: &Record) -> bool {
        self.resolve(record).is_ok_and(|settings| record.find(&settings).is_some())
    }
}

/// The rate whose runs (one, or one a level) have the best int8 accuracy, mean over all their rows; of equal ones the
/// least. `None` until all runs are done, or when all failed.
pub fn best_rate(record: &Record, tuning: &[Settings]) -> Option<f64> {
    let mut best: Option<(f64, f64)> = None;
    let mut rates: Vec<f64> = tuning.iter().map(|settings| settings.training.learning_rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    for rate in rates {
        let runs = tuning.iter().filter(|settings| settings.training.learning_rate == rate);
        let mut accuracies = Vec::new();
        let mut failed = false;
        for settings in runs {
            let run = record.find(settings)?;
            failed |= run.failed.is_some();
            accuracies.extend(record.rows_of(run).map(|row| row.top1_int8));
        }
        let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
        if !failed && !accuracies.is_empty() && best.is_none_or(|(_, most)| mean > most) {
            best = Some((rate, mean));
        }
    }
    best.map(|(rate, _)| rate)
}

/// How large an experiment is.
#[derive(Clone, Debug)]
pub struct Scale {
    pub network: NetworkName,
    pub width: f64,
    /// Per cent, falling.
    pub ladder: Vec<f64>,
    pub batch: usize,
    /// Of the full budget; a multiple of the levels' number.
    pub epochs: usize,
    /// Of the small budget, in which learning rates are tuned; likewise.
    pub small_epochs: usize,
    /// Training images of the small budget.
    pub small_images: usize,
    pub seeds: u64,
    pub rates: Vec<f64>,
    /// Other networks to train nested and dense, with their widths, and for how many epochs.
    pub others: Vec<(NetworkName, f64)>,
    pub other_epochs: usize,
}

/// The variants of dynamic pruning whose batch-norm statistics are measured anew.
pub const RECALIBRATED: [&str; 2] = ["of the densest stand-alone, recalibrated", "of dense, recalibrated"];
const UNCALIBRATED: [&str; 2] = ["of the densest stand-alone", "of dense"];

/// The runs that the comparison begins with: the nested network, which the slimmable one's widths are chosen by.
pub fn basis(scale: &Scale, images: &Images) -> Vec<Planned> {
    let builder = Builder { scale, images, widths: &[] };
    let tuning = builder.tuning(Kind::Nested).into_iter().map(given);
    tuning.chain(builder.tuned(Suite::Full, Kind::Nested, 1)).collect()
}

/// The run of the basis whose model has the instructions to match.
pub fn matched(scale: &Scale, images: &Images) -> Option<Planned> {
    basis(scale, images).pop()
}

/// The comparison's runs, the most telling first; without widths there is no slimmable network.
pub fn compare(scale: &Scale, images: &Images, widths: &[Width]) -> Vec<Planned> {
    let builder = Builder { scale, images, widths };
    let core = [Kind::Nested, Kind::StandAlone(Budget::A), Kind::Dense, Kind::StandAlone(Budget::B)];
    let mut rivals: Vec<Kind> = PRUNED.into_iter().collect();
    rivals.extend((!widths.is_empty()).then_some(Kind::Slimmable));
    rivals.extend([Kind::Dsnn, Kind::NestedInPairs]);
    let tuned = |kinds: &[Kind], suite, seed| -> Vec<Planned> {
        kinds.iter().flat_map(|&kind| builder.tuned(suite, kind, seed)).collect()
    };
    let tuning = |kinds: &[Kind]| -> Vec<Planned> {
        let own = kinds.iter().filter(|kind| kind.tuned_as() == **kind);
        own.flat_map(|&kind| builder.tuning(kind)).map(given).collect()
    };
    let mut plan = basis(scale, images);
    plan.extend(tuning(&core[1..]));
    plan.extend(tuned(&core, Suite::Full, 1));
    for seed in 1..=scale.seeds {
        plan.extend(tuned(&core[..2], Suite::Small, seed));
    }
    plan.extend(tuned(&PRUNED, Suite::Full, 1));
    plan.extend(tuning(&rivals));
    plan.extend(tuned(&rivals, Suite::Full, 1));
    for kinds in [&core[..], &rivals] {
        for seed in 2..=scale.seeds {
            plan.extend(tuned(kinds, Suite::Full, seed));
        }
    }
    for seed in 1..=scale.seeds {
        plan.extend(tuned(&[Kind::NestedErk], Suite::Full, seed));
    }
    for &(network, width) in &scale.others {
        for mut planned in tuned(&[Kind::Nested, Kind::Dense], Suite::Networks, 1) {
            planned.settings.training.network = network;
            planned.settings.training.width = width;
            plan.push(planned);
        }
    }
    plan
}

/// The ablation's runs: the nested network with one factor changed, all of them with one seed before the next.
pub fn ablate(scale: &Scale, images: &Images) -> Vec<Planned> {
    let builder = Builder { scale, images, widths: &[] };
    let tuned_on = builder.tuning(Kind::Nested);
    let mut plan: Vec<Planned> = tuned_on.iter().cloned().map(given).collect();
    for seed in 1..=scale.seeds {
        for variant in variants(scale) {
            let at_seed = |seed| -> Vec<Settings> {
                let mut runs = builder.runs(Suite::Ablation, Kind::Nested, seed);
                for settings in &mut runs {
                    (variant.change)(settings);
                    settings.variant = Some(variant.name.to_owned());
                }
                runs
            };
            let tuned_on = if variant.retuned { builder.at_rates(&at_seed(1)) } else { tuned_on.clone() };
            if variant.retuned && seed == 1 {
                plan.extend(tuned_on.into_iter().map(given));
            } else {
                let planned = |settings| Planned { settings, tuned_on: tuned_on.clone() };
                plan.extend(at_seed(seed).into_iter().map(planned));
            }
        }
    }
    plan
}

/// One change of the ablation.
struct Variant {
    /// `factor: value`.
    name: &'static str,
    change: Box<dyn Fn(&mut Settings)>,
    /// Whether it changes the size of steps, so that it needs a learning rate of its own.
    retuned: bool,
}

/// What the ablation changes. What passes through several levels a step gets fewer epochs, so that all have the same image
/// passes.
fn variants(scale: &Scale) -> Vec<Variant> {
    let levels = scale.ladder.len();
    let changed = |name, change: fn(&mut Training)| Variant {
        name,
        change: Box::new(move |settings| change(&mut settings.training)),
        retuned: false,
    };
    let routed = |name, routing: RoutingName, retuned| {
        let change = move |settings: &mut Settings| {
            let training = &mut settings.training;
            training.epochs = (training.epochs / routing.passes_a_step(levels)).max(1);
            training.routing = routing.clone();
        };
        Variant { name, change: Box::new(change), retuned }
    };
    let sampled = |name, weights: &[f64]| routed(name, RoutingName::Sampled(weights.to_vec()), false);
    let grown = |name, end| Variant {
        name,
        change: Box::new(move |settings| settings.training.growth = Growth { start: 0.0, end }),
        retuned: false,
    };
    let distilled = |name, start| Variant {
        name,
        change: Box::new(move |settings| {
            settings.training.distillation = Some(DistillationFrom { start, mix: 0.5, temperature: 2.0 });
        }),
        retuned: false,
    };
    let mut variants = vec![
        changed("default", |_| ()),
        distilled("distillation: from the start", 0.0),
        distilled("distillation: from the middle", 0.5),
        distilled("distillation: last quarter", 0.75),
        changed("block: 1×2", |training| training.block = BlockOption::OneByTwo),
        changed("allocation: ERK", |training| training.allocation = AllocationName::Erk),
        grown("schedule: full sparsity from the start", 0.0),
        grown("schedule: ramp over a quarter", 0.25),
        grown("schedule: ramp over three quarters", 0.75),
        Variant {
            name: "batch norm: not recalibrated",
            change: Box::new(|settings| settings.recalibrated = false),
            retuned: false,
        },
        changed("labels: smoothed by 0.1", |training| training.label_smoothing = 0.1),
        changed("images: mirrored too", |training| training.flip = true),
        changed("images: erased too", |training| training.erase = 8),
        changed("int8: last tenth", |training| training.int8_from = 0.9),
        routed("routing: frozen", RoutingName::Frozen, false),
    ];
    if levels == 3 {
        variants.extend([
            sampled("sampling: 2:1:1, sparsest first", &[2.0, 1.0, 1.0]),
            sampled("sampling: 1:1:2", &[1.0, 1.0, 2.0]),
            sampled("sampling: 2:1:2", &[2.0, 1.0, 2.0]),
        ]);
        let matrix = vec![1.0, 0.5, 0.5, 0.0, 1.0, 0.5, 0.0, 0.0, 1.0];
        variants.push(routed("routing: weighted, own level 1, denser ½", RoutingName::Weighted(matrix), true));
    }
    variants.extend([
        routed("routing: joint", RoutingName::Joint, true),
        routed("routing: normalised", RoutingName::Normalised, true),
        routed("routing: ring", RoutingName::Ring, true),
    ]);
    variants
}

/// A run whose learning rate is given.
fn given(settings: Settings) -> Planned {
    Planned { settings, tuned_on: Vec::new() }
}

/// A row of the comparison, as runs.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Nested,
    NestedInPairs,
    NestedErk,
    StandAlone(Budget),
    Pruned { dense: bool, recalibrated: bool },
    Dsnn,
    Slimmable,
    Dense,
}

const PRUNED: [Kind; 4] = [
    Kind::Pruned { dense: false, recalibrated: false },
    Kind::Pruned { dense: false, recalibrated: true },
    Kind::Pruned { dense: true, recalibrated: false },
    Kind::Pruned { dense: true, recalibrated: true },
];

impl Kind {
    /// Whose learning rate it takes.
    fn tuned_as(self) -> Kind {
        match self {
            Kind::NestedInPairs | Kind::NestedErk => Kind::Nested,
            Kind::Pruned { dense: false, .. } => Kind::StandAlone(Budget::B),
            Kind::Pruned { dense: true, .. } => Kind::Dense,
            kind => kind,
        }
    }

    fn method(self) -> Method {
        match self {
            Kind::Nested | Kind::NestedInPairs | Kind::NestedErk => Method::Nested,
            Kind::StandAlone(_) => Method::StandAlone,
            Kind::Pruned { .. } => Method::DynamicPruning,
            Kind::Dsnn => Method::Dsnn,
            Kind::Slimmable => Method::Slimmable,
            Kind::Dense => Method::Dense,
        }
    }

    fn budget(self) -> Option<Budget> {
        match self {
            Kind::StandAlone(budget) => Some(budget),
            _ => None,
        }
    }

    fn variant(self) -> Option<&'static str> {
        match self {
            Kind::Pruned { dense, recalibrated: true } => Some(RECALIBRATED[usize::from(dense)]),
            Kind::Pruned { dense, recalibrated: false } => Some(UNCALIBRATED[usize::from(dense)]),
            _ => None,
        }
    }

    fn masking(self) -> MaskingName {
        match self {
            Kind::Dsnn => MaskingName::Dsnn,
            Kind::Slimmable => MaskingName::Slimmable,
            _ => MaskingName::Nested,
        }
    }
}

struct Builder<'a> {
    scale: &'a Scale,
    images: &'a Images,
    widths: &'a [Width],
}

impl Builder<'_> {
    /// The runs of a kind, one a training, with the learning rate left open.
    fn runs(&self, suite: Suite, kind: Kind, seed: u64) -> Vec<Settings> {
        let settings = |ladder| Settings {
            suite,
            method: kind.method(),
            budget: kind.budget(),
            variant: kind.variant().map(str::to_owned),
            training: self.training(suite, kind, seed, ladder),
            recalibrated: true,
            pruning: match kind {
                Kind::Pruned { recalibrated, .. } => Some(Pruning { ladder: self.scale.ladder.clone(), recalibrated }),
                _ => None,
            },
            matched: match kind {
                Kind::Slimmable => self.widths.iter().map(|width| width.sparsity).collect(),
                _ => Vec::new(),
            },
        };
        self.ladders(kind).into_iter().map(settings).collect()
    }

    /// One a training.
    fn ladders(&self, kind: Kind) -> Vec<Vec<f64>> {
        let ladder = &self.scale.ladder;
        match kind {
            Kind::Nested | Kind::NestedInPairs | Kind::NestedErk | Kind::Dsnn => vec![ladder.clone()],
            Kind::StandAlone(_) => ladder.iter().map(|&sparsity| vec![sparsity]).collect(),
            Kind::Pruned { dense: false, .. } => vec![ladder[ladder.len() - 1..].to_vec()],
            Kind::Dense | Kind::Pruned { dense: true, .. } => vec![vec![0.0]],
            Kind::Slimmable => vec![self.widths.iter().map(|width| width.left_out).collect()],
        }
    }

    fn training(&self, suite: Suite, kind: Kind, seed: u64, ladder: Vec<f64>) -> Training {
        let scale = self.scale;
        let (measured, images, epochs) = match suite {
            Suite::Tune | Suite::Ablation => {
                (Measured::Validation, scale.small_images.min(self.images.validated()), scale.small_epochs)
            }
            Suite::Small => (Measured::Test, scale.small_images, scale.small_epochs),
            Suite::Full => (Measured::Test, self.images.train(), scale.epochs),
            Suite::Networks => (Measured::Test, self.images.train(), scale.other_epochs),
        };
        let share = if kind == Kind::StandAlone(Budget::A) { scale.ladder.len() } else { 1 };
        Training {
            network: scale.network,
            width: scale.width,
            ladder,
            block: if kind == Kind::NestedInPairs { BlockOption::OneByTwo } else { BlockOption::OneByOne },
            allocation: if kind == Kind::NestedErk { AllocationName::Erk } else { AllocationName::Uniform },
            measured,
            images: images.min(self.images.train()),
            epochs: (epochs / share).max(1),
            batch: scale.batch,
            learning_rate: 0.0,
            seed,
            routing: RoutingName::default(),
            growth: Growth::default(),
            masking: kind.masking(),
            distillation: None,
            label_smoothing: 0.0,
            int8_from: 1.0,
            flip: false,
            erase: 0,
        }
    }

    /// The tuning runs of a kind: its runs at the small budget, at each rate, with seed 1. Stand-alone networks of the whole
    /// budget are tuned at the middle level alone, for all levels take as long as nine nested trainings.
    fn tuning(&self, kind: Kind) -> Vec<Settings> {
        let runs = self.runs(Suite::Tune, kind.tuned_as(), 1);
        let whole = kind.tuned_as() == Kind::StandAlone(Budget::B);
        let runs = if whole { vec![runs[runs.len() / 2].clone()] } else { runs };
        self.at_rates(&runs)
    }

    /// The runs at each rate of the grid.
    fn at_rates(&self, runs: &[Settings]) -> Vec<Settings> {
        let at_rate = |&rate: &f64| {
            let mut runs = runs.to_vec();
            runs.iter_mut().for_each(|settings| settings.training.learning_rate = rate);
            runs
        };
        self.scale.rates.iter().flat_map(at_rate).collect()
    }

    /// The runs of a kind with its tuned rate.
    fn tuned(&self, suite: Suite, kind: Kind, seed: u64) -> Vec<Planned> {
        let tuned_on = self.tuning(kind);
        let planned = |settings| Planned { settings, tuned_on: tuned_on.clone() };
        self.runs(suite, kind, seed).into_iter().map(planned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::record::{Finished, Row, id};

    fn scale() -> Scale {
        Scale {
            network: NetworkName::ResNet8,
            width: 0.5,
            ladder: vec![90.0, 70.0],
            batch: 32,
            epochs: 4,
            small_epochs: 2,
            small_images: 100,
            seeds: 2,
            rates: vec![0.1, 0.2, 0.4],
            others: Vec::new(),
            other_epochs: 1,
        }
    }

    fn images() -> Images {
        let shape = nested_csr::TensorShape { channels: 1, height: 1, width: 1 };
        let set = |count: usize| {
            let labels = (0..count).map(|image| (image % 2) as u8).collect();
            nested_mask::train::Dataset::new(shape, 2, vec![0; count], labels).unwrap()
        };
        Images::new(crate::data::Split { name: "numbers".to_owned(), train: set(200), test: set(20) })
    }

    /// A record in which each of these runs has one row a level, as accurate as `top1` says; `None` is a failure.
    fn record(runs: &[Settings], top1: impl Fn(&Settings) -> Option<f64>) -> Record {
        let mut record = Record::default();
        for settings in runs {
            let accuracy = top1(settings);
            record.runs.push(Finished {
                id: id(settings),
                settings: settings.clone(),
                train_seconds: None,
                failed: accuracy.is_none().then(|| "loss".to_owned()),
                commit: String::new(),
                machine: String::new(),
            });
            record
                .rows
                .extend(accuracy.map(|accuracy| Row { top1_int8: accuracy, ..Row::example(settings, &id(settings)) }));
        }
        record
    }

    #[test]
    fn the_rate_of_the_best_mean_is_taken_and_a_failed_rate_is_not() {
        let (scale, images) = (scale(), images());
        let tuning = Builder { scale: &scale, images: &images, widths: &[] }.tuning(Kind::StandAlone(Budget::A));
        assert_eq!(tuning.len(), 6);
        let top1 = |settings: &Settings| match (settings.training.learning_rate, settings.training.ladder[0]) {
            (0.1, _) => Some(80.0),
            (0.2, 90.0) => Some(70.0),
            (0.2, _) => Some(91.0),
            (_, 90.0) => Some(99.0),
            _ => None,
        };
        assert_eq!(best_rate(&record(&tuning, top1), &tuning), Some(0.2));
        assert_eq!(best_rate(&record(&tuning[..5], top1), &tuning), None);
        assert_eq!(best_rate(&record(&tuning, |_| None), &tuning), None);
    }

    #[test]
    fn stand_alone_networks_share_the_passes_at_one_budget_and_have_them_each_at_the_other() {
        let (scale, images) = (scale(), images());
        let builder = Builder { scale: &scale, images: &images, widths: &[] };
        let passes = |kind| -> Vec<u64> {
            builder.runs(Suite::Full, kind, 1).iter().map(|settings| settings.training.passes()).collect()
        };
        let [nested] = passes(Kind::Nested)[..] else { panic!("one training") };
        assert_eq!(passes(Kind::StandAlone(Budget::A)), [nested / 2; 2]);
        assert_eq!(passes(Kind::StandAlone(Budget::B)), [nested; 2]);
        assert_eq!(passes(Kind::Dense), [nested]);
    }

    #[test]
    fn rates_are_tuned_without_the_test_images_and_before_they_are_used() {
        let (scale, images) = (scale(), images());
        let plan = compare(&scale, &images, &[]);
        for (index, planned) in plan.iter().enumerate() {
            for tuning in &planned.tuned_on {
                assert_eq!(tuning.training.measured, Measured::Validation);
                assert!(plan[..index].iter().any(|earlier| earlier.settings == *tuning), "{}", tuning.name());
            }
        }
    }

    #[test]
    fn changes_of_the_ablation_have_the_default_s_passes_and_differ_from_it() {
        let scale = Scale { ladder: vec![90.0, 80.0, 70.0], small_epochs: 9, seeds: 1, ..scale() };
        let images = images();
        let plan = ablate(&scale, &images);
        let runs: Vec<&Settings> = plan.iter().map(|planned| &planned.settings).collect();
        let default = runs.iter().find(|settings| settings.variant.as_deref() == Some("default")).unwrap();
        for settings in runs.iter().filter(|settings| settings.suite == Suite::Ablation && settings != &default) {
            assert_eq!(settings.training.passes(), default.training.passes(), "{}", settings.name());
            assert_ne!(
                Settings { variant: None, ..(**settings).clone() },
                Settings { variant: None, ..(**default).clone() }
            );
        }
    }
}
