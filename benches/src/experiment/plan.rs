//! Which runs an experiment is made of.
use super::{
    images::Images,
    record::Record,
    settings::{AllocationName, Budget, Measured, Method, NetworkName, Settings, Suite, Training},
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
    let mut plan = Vec::new();
    for kind in [Kind::Nested, Kind::StandAlone(Budget::A), Kind::StandAlone(Budget::B), Kind::Dense] {
        plan.extend(builder.tuning(kind).into_iter().map(|settings| Planned { settings, tuned_on: Vec::new() }));
    }
    for seed in 1..=scale.seeds {
        for kind in [Kind::Nested, Kind::StandAlone(Budget::A), Kind::Dense, Kind::StandAlone(Budget::B)] {
            plan.extend(builder.tuned(Suite::Full, kind, seed));
        }
    }
    plan
}

/// A row of the comparison, as runs.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Nested,
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
        let (measured, images, epochs) = match suite {
            Suite::Tune => (Measured::Validation, scale.small_images.min(self.images.validated()), scale.small_epochs),
            Suite::Small => (Measured::Test, scale.small_images, scale.small_epochs),
            Suite::Full => (Measured::Test, self.images.train(), scale.epochs),
        };
        let (method, budget, ladders, block) = match kind {
            Kind::Nested => (Method::Nested, None, vec![scale.ladder.clone()], BlockOption::OneByOne),
            Kind::Dense => (Method::Dense, None, vec![vec![0.0]], BlockOption::OneByOne),
            Kind::StandAlone(budget) => {
                let alone = scale.ladder.iter().map(|&sparsity| vec![sparsity]).collect();
                (Method::StandAlone, Some(budget), alone, BlockOption::OneByOne)
            }
        };
        let epochs = if budget == Some(Budget::A) { (epochs / ladders.len()).max(1) } else { epochs };
        let settings = |ladder: Vec<f64>| Settings {
            suite,
            method,
            budget,
            training: Training {
                network: scale.network,
                width: scale.width,
                ladder,
                block,
                allocation: AllocationName::Uniform,
                measured,
                images: images.min(self.images.train()),
                epochs,
                batch: scale.batch,
                learning_rate: 0.0,
                seed,
            },
        };
        ladders.into_iter().map(settings).collect()
    }

    /// The tuning runs of a kind: its runs at the small budget, at each rate, with seed 1. Stand-alone networks of the whole
    /// budget are tuned at the middle level alone, for all three take as long as nine nested trainings.
    fn tuning(&self, kind: Kind) -> Vec<Settings> {
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
