//! From a kind of run to its settings.
use super::{Choice, Planned, Recipe, Scale, Steps, Trial, kinds::Kind};
use crate::experiment::{
    images::Images,
    record::Width,
    settings::{Budget, Growth, MaskingName, Measured, Pruning, RoutingName, Settings, Suite, Training},
};

/// What settings depend on.
pub struct Builder<'a> {
    pub scale: &'a Scale,
    pub images: &'a Images,
    pub widths: &'a [Width],
}

impl Builder<'_> {
    /// The runs of a kind, one a training, with the learning rate left open.
    pub fn runs(&self, suite: Suite, kind: Kind, seed: u64) -> Vec<Settings> {
        self.runs_at(suite, suite, kind, seed)
    }

    /// Those that a suite's are tuned with: at its budget, with seed 1. Other networks are trained for fewer epochs.
    pub fn tuning_runs(&self, suite: Suite, kind: Kind) -> Vec<Settings> {
        let budget = if suite == Suite::Networks { Suite::Small } else { suite };
        self.runs_at(Suite::Tune, budget, kind, 1)
    }

    /// The runs of a suite at another one's budget.
    fn runs_at(&self, suite: Suite, budget: Suite, kind: Kind, seed: u64) -> Vec<Settings> {
        let settings = |ladder| Settings {
            suite,
            method: kind.method(),
            budget: kind.budget(),
            // Trials are told apart by what they try.
            variant: kind.variant().filter(|_| suite != Suite::Tune).map(str::to_owned),
            training: self.training(suite, budget, kind, seed, ladder),
            recalibrated: true,
            pruning: match kind {
                Kind::Pruned { recalibrated, .. } => Some(Pruning { ladder: self.scale.ladder.clone(), recalibrated }),
                _ => None,
            },
            matched: match kind {
                Kind::Slimmable { .. } => self.widths.iter().map(|width| width.sparsity).collect(),
                _ => Vec::new(),
            },
        };
        self.ladders(kind).into_iter().map(settings).collect()
    }

    /// One a training.
    fn ladders(&self, kind: Kind) -> Vec<Vec<f64>> {
        let ladder = &self.scale.ladder;
        match kind {
            Kind::Nested | Kind::NestedInPairs | Kind::NestedSpread(_) | Kind::Dsnn { .. } => vec![ladder.clone()],
            Kind::StandAlone(_) => ladder.iter().map(|&sparsity| vec![sparsity]).collect(),
            Kind::Pruned { dense: false, .. } => vec![ladder[ladder.len() - 1..].to_vec()],
            Kind::Dense | Kind::Pruned { dense: true, .. } => vec![vec![0.0]],
            Kind::Slimmable { .. } => vec![self.widths.iter().map(|width| width.left_out).collect()],
        }
    }

    fn training(&self, suite: Suite, budget: Suite, kind: Kind, seed: u64, ladder: Vec<f64>) -> Training {
        let scale = self.scale;
        let (measured, there) = match suite {
            Suite::Tune | Suite::Ablation => (Measured::Validation, self.images.validated()),
            Suite::Small | Suite::Full | Suite::Networks => (Measured::Test, self.images.train()),
        };
        let (images, epochs) = match budget {
            Suite::Full | Suite::Networks => (scale.images, scale.epochs),
            Suite::Small | Suite::Ablation | Suite::Tune => (scale.small_images, scale.small_epochs),
        };
        let levels = ladder.len();
        let share = if kind == Kind::StandAlone(Budget::A) { scale.ladder.len() } else { 1 };
        Training {
            network: scale.network,
            width: scale.width,
            ladder,
            block: kind.block(),
            allocation: kind.allocation().unwrap_or(scale.allocation),
            measured,
            images: images.min(there),
            epochs: (epochs / share).max(1),
            batch: scale.batch,
            learning_rate: 0.0,
            seed,
            routing: RoutingName::default(),
            growth: if kind.is_ranked() { scale.growth } else { Growth::default() },
            masking: kind.masking(),
            distillation: None,
            label_smoothing: 0.0,
            int8_from: 1.0,
            flip: false,
            erase: 0,
            by_gradient: false,
            regrowth: None,
            // Channels that a slimmable level lacks must be silent at it alone.
            shared_affine: levels > 1 && kind.masking() != MaskingName::Slimmable,
        }
    }

    /// What is tried for a kind before a suite: all rates of its grid; with another recipe, those that may serve it.
    pub fn trials(&self, suite: Suite, kind: Kind) -> Vec<Trial> {
        let kind = kind.tuned_as();
        let runs = self.tuning_runs(suite, kind);
        let rates = kind.rates(&self.scale.rates);
        let mut trials = self.trials_of(Recipe::Present, &rates, kind.steps(), &runs);
        trials.extend(self.trials_of(Recipe::Former, kind.rates_of_former(&rates), kind.steps(), &runs));
        if suite == Suite::Networks && kind == Kind::Nested {
            trials.extend(self.trials_of(Recipe::OwnAffine, &rates, kind.steps(), &runs));
        }
        trials
    }

    /// The runs with each way to pass through the levels, at each of these rates.
    pub fn trials_of(&self, recipe: Recipe, rates: &[f64], steps: &[Steps], runs: &[Settings]) -> Vec<Trial> {
        let choices = steps
            .iter()
            .flat_map(|&steps| rates.iter().map(move |&learning_rate| Choice { learning_rate, steps, recipe }));
        let trial = |choice: Choice| Trial { choice, runs: runs.iter().map(|run| choice.made(run)).collect() };
        choices.map(trial).collect()
    }

    /// The runs of a kind, as they were tuned: networks that stand alone each by itself.
    pub fn tuned(&self, suite: Suite, kind: Kind, seed: u64) -> Vec<Planned> {
        let trials = self.trials(suite, kind);
        let planned = |settings: Settings| {
            let trials = trials.iter().map(|trial| trial.of(&settings)).collect();
            Planned { settings, trials }
        };
        self.runs(suite, kind, seed).into_iter().map(planned).collect()
    }
}
