//! Which runs an experiment is made of.
use super::{
    images::Images,
    record::Record,
    settings::{
        AllocationName, Budget, Growth, Measured, Method, NetworkName, RoutingName, Settings, Suite, Training,
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
}

/// The comparison's runs, the most telling first.
pub fn compare(scale: &Scale, images: &Images) -> Vec<Planned> {
    let builder = Builder { scale, images };
    let core = [Kind::Nested, Kind::StandAlone(Budget::A), Kind::Dense, Kind::StandAlone(Budget::B)];
    let mut plan: Vec<Planned> = core.into_iter().flat_map(|kind| builder.tuning(kind)).map(given).collect();
    for seed in 1..=scale.seeds {
        plan.extend(core.into_iter().flat_map(|kind| builder.tuned(Suite::Full, kind, seed)));
        if seed == 1 {
            for seed in 1..=scale.seeds {
                plan.extend(core[..2].iter().flat_map(|&kind| builder.tuned(Suite::Small, kind, seed)));
            }
        }
    }
    for seed in 1..=scale.seeds {
        plan.extend(builder.tuned(Suite::Full, Kind::NestedInPairs, seed));
        plan.extend(builder.tuned(Suite::Full, Kind::NestedErk, seed));
    }
    plan
}

/// The ablation's runs: the nested network with one factor changed, by all seeds before the next factor.
pub fn ablate(scale: &Scale, images: &Images) -> Vec<Planned> {
    let builder = Builder { scale, images };
    let tuned_on = builder.tuning(Kind::Nested);
    let mut plan: Vec<Planned> = tuned_on.iter().cloned().map(given).collect();
    for seed in 1..=scale.seeds {
        for (variant, change) in variants(scale) {
            for mut settings in builder.runs(Suite::Ablation, Kind::Nested, seed) {
                change(&mut settings.training);
                settings.variant = Some(variant.to_owned());
                plan.push(Planned { settings, tuned_on: tuned_on.clone() });
            }
        }
    }
    plan
}

type Change = Box<dyn Fn(&mut Training)>;

/// What the ablation changes, and how it is called: `factor: value`. What passes through several levels a step gets fewer
/// epochs, so that all have the same image passes.
fn variants(scale: &Scale) -> Vec<(&'static str, Change)> {
    let levels = scale.ladder.len();
    let routing = move |routing: RoutingName| -> Change {
        Box::new(move |training| {
            training.epochs = (training.epochs / routing.passes_a_step(levels)).max(1);
            training.routing = routing.clone();
        })
    };
    let sampled = |weights: &[f64]| routing(RoutingName::Sampled(weights.to_vec()));
    let growth = |start, end| -> Change { Box::new(move |training| training.growth = Growth { start, end }) };
    let mut variants: Vec<(&'static str, Change)> = vec![
        ("default", Box::new(|_| ())),
        ("routing: joint", routing(RoutingName::Joint)),
        ("routing: normalised", routing(RoutingName::Normalised)),
        ("routing: ring", routing(RoutingName::Ring)),
        ("routing: frozen", routing(RoutingName::Frozen)),
        ("block: 1×2", Box::new(|training| training.block = BlockOption::OneByTwo)),
        ("allocation: ERK", Box::new(|training| training.allocation = AllocationName::Erk)),
        ("schedule: full sparsity from the start", growth(0.0, 0.0)),
        ("schedule: ramp to a quarter", growth(0.0, 0.25)),
        ("schedule: ramp to three quarters", growth(0.0, 0.75)),
    ];
    if levels == 3 {
        variants.extend([
            ("sampling: 2:1:1, sparsest first", sampled(&[2.0, 1.0, 1.0])),
            ("sampling: 1:1:2", sampled(&[1.0, 1.0, 2.0])),
            ("sampling: 2:1:2", sampled(&[2.0, 1.0, 2.0])),
            (
                "routing: weighted, own level 1, denser ones ½",
                routing(RoutingName::Weighted(vec![1.0, 0.5, 0.5, 0.0, 1.0, 0.5, 0.0, 0.0, 1.0])),
            ),
        ]);
    }
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
    Dense,
}

struct Builder<'a> {
    scale: &'a Scale,
    images: &'a Images,
}

impl Builder<'_> {
    /// The runs of a kind, one a training, with the learning rate left open.
    fn runs(&self, suite: Suite, kind: Kind, seed: u64) -> Vec<Settings> {
        let scale = self.scale;
        let ladders = match kind {
            Kind::Nested | Kind::NestedInPairs | Kind::NestedErk => vec![scale.ladder.clone()],
            Kind::StandAlone(_) => scale.ladder.iter().map(|&sparsity| vec![sparsity]).collect(),
            Kind::Dense => vec![vec![0.0]],
        };
        let (measured, images, epochs) = match suite {
            Suite::Tune | Suite::Ablation => {
                (Measured::Validation, scale.small_images.min(self.images.validated()), scale.small_epochs)
            }
            Suite::Small => (Measured::Test, scale.small_images, scale.small_epochs),
            Suite::Full => (Measured::Test, self.images.train(), scale.epochs),
        };
        let epochs = if kind == Kind::StandAlone(Budget::A) { (epochs / ladders.len()).max(1) } else { epochs };
        let training = |ladder: Vec<f64>| Training {
            network: scale.network,
            width: scale.width,
            ladder,
            block: if kind == Kind::NestedInPairs { BlockOption::OneByTwo } else { BlockOption::OneByOne },
            allocation: if kind == Kind::NestedErk { AllocationName::Erk } else { AllocationName::Uniform },
            measured,
            images: images.min(self.images.train()),
            epochs,
            batch: scale.batch,
            learning_rate: 0.0,
            seed,
            routing: RoutingName::default(),
            growth: Growth::default(),
        };
        let (method, budget) = match kind {
            Kind::Nested | Kind::NestedInPairs | Kind::NestedErk => (Method::Nested, None),
            Kind::StandAlone(budget) => (Method::StandAlone, Some(budget)),
            Kind::Dense => (Method::Dense, None),
        };
        let settings = |ladder| Settings { suite, method, budget, variant: None, training: training(ladder) };
        ladders.into_iter().map(settings).collect()
    }

    /// The tuning runs of a kind: its runs at the small budget, at each rate, with seed 1. Stand-alone networks of the whole
    /// budget are tuned at the middle level alone, for all levels take as long as nine nested trainings; other blocks and
    /// allocations take the nested network's rate.
    fn tuning(&self, kind: Kind) -> Vec<Settings> {
        let kind = match kind {
            Kind::NestedInPairs | Kind::NestedErk => Kind::Nested,
            kind => kind,
        };
        let runs = self.runs(Suite::Tune, kind, 1);
        let runs = if kind == Kind::StandAlone(Budget::B) { vec![runs[runs.len() / 2].clone()] } else { runs };
        let at_rate = |&rate: &f64| {
            let mut runs = runs.clone();
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
