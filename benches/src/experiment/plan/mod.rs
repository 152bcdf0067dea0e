//! Which runs an experiment is made of.
mod ablate;
mod builder;
mod compare;
mod kinds;

pub use ablate::ablate;
pub use compare::{basis, compare, matched};
pub use kinds::{DSNN, Kind, PrunedRate, RECALIBRATED, SLIMMABLE, all};

use super::{
    record::Record,
    settings::{AllocationName, Growth, NetworkName, RoutingName, Settings, Suite},
};
use crate::error::Error;
use builder::Builder;

/// A run, and where what is tuned comes from.
pub struct Planned {
    /// Of a run that is to be tuned, the rate is not known yet, and 0 here.
    pub settings: Settings,
    /// What its choice is made from; none when the settings are whole.
    trials: Vec<Trial>,
}

/// What tuning chooses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub learning_rate: f64,
    pub steps: Steps,
    pub recipe: Recipe,
}

/// How a step passes through the levels; the image passes of a training are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// Through one at random (or as the settings have it).
    OneLevel,
    /// Through all of them, with fewer steps.
    AllLevels,
    /// Through all of them, with as many steps of fewer images.
    AllLevelsOfFewerImages,
}

/// When sparsity grows, and whether levels share γ and β. What the nested network has was chosen for it as ResNet-8, so rivals with
/// masks may have what it had before, and other networks may have γ and β of each level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// As the settings have it.
    Present,
    /// A ramp over half of the training, γ and β of each level.
    Former,
    /// The ramp of the settings, γ and β of each level.
    OwnAffine,
}

/// A choice, and the runs that tell what it is worth: one, or one a level.
#[derive(Clone, Debug)]
pub struct Trial {
    choice: Choice,
    runs: Vec<Settings>,
}

impl Choice {
    /// The settings, with what was chosen.
    fn made(self, settings: &Settings) -> Settings {
        let mut made = settings.clone();
        made.training.learning_rate = self.learning_rate;
        match self.steps {
            Steps::OneLevel => {}
            Steps::AllLevels => made.training.routed(RoutingName::Joint, false),
            Steps::AllLevelsOfFewerImages => made.training.routed(RoutingName::Joint, true),
        }
        match self.recipe {
            Recipe::Present => {}
            Recipe::OwnAffine => made.training.shared_affine = false,
            Recipe::Former => {
                made.training.growth = Growth::default();
                made.training.shared_affine = false;
            }
        }
        made
    }
}

impl Trial {
    /// What of it tells of a run: its own training, where several networks are tried.
    fn of(&self, settings: &Settings) -> Trial {
        let own = self.runs.iter().filter(|run| run.training.ladder == settings.training.ladder);
        Trial { choice: self.choice, runs: own.cloned().collect() }
    }
}

impl Planned {
    /// The settings with what was tuned: of the trials the one with the best int8 accuracy, mean over the levels.
    ///
    /// # Errors
    /// Trials that all failed.
    pub fn resolve(&self, record: &Record) -> Result<Settings, Error> {
        if self.trials.is_empty() {
            return Ok(self.settings.clone());
        }
        let best = best(record, &self.trials).ok_or_else(|| Error::Untuned { run: self.settings.name() })?;
        Ok(best.made(&self.settings))
    }

    /// All settings that tuning may choose from.
    pub fn candidates(&self) -> Vec<Settings> {
        let made = self.trials.iter().map(|trial| trial.choice.made(&self.settings));
        if self.trials.is_empty() { vec![self.settings.clone()] } else { made.collect() }
    }

    /// Whether its choice is made from the run, among others.
    fn is_tuned_on(&self, settings: &Settings) -> bool {
        self.trials.iter().any(|trial| trial.runs.contains(settings))
    }

    /// Whether the record has it.
    pub fn is_done(&self, record: &Record) -> bool {
        self.resolve(record).is_ok_and(|settings| record.find(&settings).is_some())
    }
}

/// The choice whose runs have the best int8 accuracy, mean over all their rows; of equal ones the first. `None` until all runs
/// are done, or when all failed.
fn best(record: &Record, trials: &[Trial]) -> Option<Choice> {
    let mut best: Option<(Choice, f64)> = None;
    for trial in trials {
        let mut accuracies = Vec::new();
        let mut failed = false;
        for settings in &trial.runs {
            let run = record.find(settings)?;
            failed |= run.failed.is_some();
            accuracies.extend(record.rows_of(run).map(|row| row.top1_int8));
        }
        let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
        if !failed && !accuracies.is_empty() && best.is_none_or(|(_, most)| mean > most) {
            best = Some((trial.choice, mean));
        }
    }
    best.map(|(choice, _)| choice)
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
    /// Training images of the full budget, as far as there are so many.
    pub images: usize,
    /// Of the small budget, in which learning rates are tuned; likewise, where stand-alone networks share it.
    pub small_epochs: usize,
    /// Training images of the small budget.
    pub small_images: usize,
    pub seeds: u64,
    pub rates: Vec<f64>,
    /// When sparsity grows, where a method has masks.
    pub growth: Growth,
    /// Of the nested network.
    pub allocation: AllocationName,
    /// Other networks to train nested and dense with one seed, each with a scale of its own.
    pub others: Vec<Scale>,
}

/// The runs that are wanted, and those that their choices are made from.
pub fn wanted(mut plan: Vec<Planned>, wants: impl Fn(&Settings) -> bool) -> Vec<Planned> {
    plan.retain(|planned| planned.settings.suite == Suite::Tune || wants(&planned.settings));
    let is_needed = |planned: &Planned| {
        planned.settings.suite != Suite::Tune || plan.iter().any(|other| other.is_tuned_on(&planned.settings))
    };
    let needed: Vec<bool> = plan.iter().map(is_needed).collect();
    let mut needed = needed.into_iter();
    plan.retain(|_| needed.next().unwrap_or(false));
    plan
}

/// The runs of trials, which have nothing left to choose.
fn given(trials: &[Trial]) -> impl Iterator<Item = Planned> {
    let runs = trials.iter().flat_map(|trial| &trial.runs);
    runs.map(|settings| Planned { settings: settings.clone(), trials: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::{kinds::UNCALIBRATED, *};
    use crate::experiment::{
        images::Images,
        record::{Finished, Row, Unit, Width, id},
        settings::{Budget, Measured, Method, Training},
    };

    fn scale() -> Scale {
        Scale {
            network: NetworkName::ResNet8,
            width: 0.5,
            ladder: vec![90.0, 70.0],
            batch: 32,
            epochs: 4,
            images: usize::MAX,
            small_epochs: 2,
            small_images: 100,
            seeds: 2,
            rates: vec![0.1, 0.2, 0.4],
            growth: Growth::default(),
            allocation: AllocationName::Uniform,
            others: Vec::new(),
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
                other_seconds: None,
                failed: accuracy.is_none().then(|| "loss".to_owned()),
                commit: String::new(),
                trained_by: Vec::new(),
                machine: String::new(),
            });
            record
                .rows
                .extend(accuracy.map(|accuracy| Row { top1_int8: accuracy, ..Row::example(settings, &id(settings)) }));
        }
        record
    }

    impl Planned {
        /// The runs that its choice is made from.
        fn tuned_on(&self) -> impl Iterator<Item = &Settings> {
            self.trials.iter().flat_map(|trial| &trial.runs)
        }
    }

    #[test]
    fn the_rate_of_the_best_mean_is_taken_and_a_failed_rate_is_not() {
        let (scale, images) = (scale(), images());
        let trials =
            Builder { scale: &scale, images: &images, widths: &[] }.trials(Suite::Full, Kind::StandAlone(Budget::A));
        let runs: Vec<Settings> = trials.iter().flat_map(|trial| trial.runs.clone()).collect();
        // Two levels at three rates, and the former recipe at the one between the ends.
        assert_eq!(runs.len(), 8);
        let top1 = |settings: &Settings| match (settings.training.learning_rate, settings.training.ladder[0]) {
            (0.1, _) => Some(80.0),
            (0.2, 90.0) => Some(70.0),
            (0.2, _) => Some(91.0),
            (_, 90.0) => Some(99.0),
            _ => None,
        };
        let rate = |record: &Record| best(record, &trials).map(|choice| choice.learning_rate);
        assert_eq!(rate(&record(&runs, top1)), Some(0.2));
        assert_eq!(rate(&record(&runs[..5], top1)), None);
        assert_eq!(rate(&record(&runs, |_| None)), None);

        // At either level the best rate of that level alone; to be pruned, the one that is best when pruned.
        let builder = Builder { scale: &scale, images: &images, widths: &[] };
        let trained = record(&runs, top1);
        let alone = builder.tuned(Suite::Full, Kind::StandAlone(Budget::A), 2);
        let rates = |record: &Record, planned: &[Planned]| -> Vec<f64> {
            let resolved = planned.iter().map(|planned| planned.resolve(record).unwrap());
            resolved.map(|settings| settings.training.learning_rate).collect()
        };
        assert_eq!(rates(&trained, &alone), [0.4, 0.2]);
        for kind in
            RECALIBRATED.into_iter().chain(UNCALIBRATED).filter(|kind| kind.method() == kind.tuned_as().method())
        {
            let pruned = builder.tuned(Suite::Full, kind, 2);
            let trials: Vec<Settings> = pruned[0].tuned_on().cloned().collect();
            assert!(trials.iter().all(|trial| trial.pruning.as_ref().is_some_and(|pruning| pruning.recalibrated)));
            let best_pruned = |settings: &Settings| Some(100.0 - settings.training.learning_rate);
            assert_eq!(rates(&record(&trials, best_pruned), &pruned), [0.1]);
        }
        // At its own rate it is the network that stands alone.
        let own = RECALIBRATED.into_iter().find(|kind| kind.tuned_as() == Kind::StandAlone(Budget::B)).unwrap();
        let [pruned, alone] =
            [own, Kind::StandAlone(Budget::B)].map(|kind| builder.tuned(Suite::Full, kind, 2).pop().unwrap());
        let trials: Vec<Settings> = pruned.tuned_on().cloned().collect();
        let by_rate = record(&trials, |settings| Some(settings.training.learning_rate));
        let [pruned, alone] = [pruned, alone].map(|planned| planned.resolve(&by_rate).unwrap());
        assert_eq!(pruned.training, alone.training);
        assert!(pruned.pruning.is_some_and(|pruning| pruning.recalibrated) && alone.pruning.is_none());
    }

    #[test]
    fn rivals_pass_through_one_level_a_step_and_through_all_with_the_same_image_passes() {
        let scale = Scale { ladder: vec![90.0, 80.0, 70.0], batch: 12, epochs: 6, small_epochs: 3, ..scale() };
        let images = images();
        let builder = Builder { scale: &scale, images: &images, widths: &[] };
        let chosen = |joint, top1: fn(&Settings) -> f64| {
            let kind = Kind::Dsnn { joint };
            let runs: Vec<Settings> =
                builder.trials(Suite::Full, kind).iter().flat_map(|trial| trial.runs.clone()).collect();
            let full = builder.tuned(Suite::Full, kind, 2).remove(0);
            (full.resolve(&record(&runs, |settings| Some(top1(settings)))).unwrap(), full.settings)
        };
        let fewer_images_are_best = |settings: &Settings| f64::from(u8::from(settings.training.batch == 4));
        let (Settings { training, variant, .. }, asked) = chosen(true, fewer_images_are_best);
        assert_eq!((training.routing.clone(), training.batch, training.epochs), (RoutingName::Joint, 4, 2));
        // 16 batches of 12 of the 200 images, and 50 of 4.
        let passes = (training.passes(), asked.training.passes());
        assert_eq!((training.learning_rate, passes), (0.1, (2 * 50 * 4 * 3, 6 * 16 * 12)));
        assert_eq!(variant.as_deref(), Some("all levels a step"));

        let (one_level, asked) = chosen(false, |settings| settings.training.learning_rate);
        assert_eq!(
            one_level,
            Settings { training: Training { learning_rate: 0.4, ..asked.training.clone() }, ..asked }
        );
        assert_eq!((one_level.training.routing, one_level.variant), (RoutingName::default(), None));
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
    fn rivals_with_masks_may_be_trained_as_the_nested_network_was_before() {
        let growth = Growth { start: 0.0, end: 0.75 };
        let (scale, images) = (Scale { growth, ..scale() }, images());
        let width = Width { sparsity: 90.0, left_out: 50.0, nested_cost: 1, cost: 1, unit: Unit::NonzeroMacs };
        let builder = Builder { scale: &scale, images: &images, widths: &[width] };
        let former_is_better = |settings: &Settings| Some(if settings.training.growth == growth { 90.0 } else { 91.0 });
        let has_former = |kind: &Kind| {
            let trials = builder.trials(Suite::Full, *kind).into_iter().flat_map(|trial| trial.runs);
            let record = record(&trials.collect::<Vec<_>>(), former_is_better);
            builder.tuned(Suite::Full, *kind, 2).iter().all(|planned| {
                let training = planned.resolve(&record).unwrap().training;
                // The first of equal ones.
                training.growth == Growth::default() && !training.shared_affine && training.learning_rate == 0.2
            })
        };
        let (former, present): (Vec<Kind>, Vec<Kind>) = all().partition(has_former);
        let is_rival = |kind: &Kind| {
            matches!(kind, Kind::StandAlone(_) | Kind::Pruned { dense: false, .. } | Kind::Dsnn { joint: false })
        };
        assert!(former.iter().all(is_rival) && !present.iter().any(is_rival), "{former:?}, {present:?}");
        assert_eq!(former.len(), 2 + 3 + 1);
    }

    #[test]
    fn what_is_pruned_later_has_a_greater_rate_too_with_either_recipe() {
        let growth = Growth { start: 0.0, end: 0.75 };
        let (scale, images) = (Scale { growth, ..scale() }, images());
        let builder = Builder { scale: &scale, images: &images, widths: &[] };
        let rates = |kind, former: bool| -> Vec<f64> {
            let trials = builder.trials(Suite::Full, kind);
            let of_recipe = trials.iter().filter(|trial| (trial.choice.recipe == Recipe::Former) == former);
            of_recipe.map(|trial| trial.choice.learning_rate).collect()
        };
        let pruned = |dense| Kind::Pruned { dense, rate: PrunedRate::OfLevels, recalibrated: true };
        assert_eq!(
            [false, true].map(|former| rates(pruned(false), former)),
            [vec![0.1, 0.2, 0.4, 0.8], vec![0.2, 0.4, 0.8]]
        );
        assert_eq!([false, true].map(|former| rates(pruned(true), former)), [vec![0.1, 0.2, 0.4, 0.8], vec![]]);
        let alone = Kind::StandAlone(Budget::B);
        assert_eq!([false, true].map(|former| rates(alone, former)), [vec![0.1, 0.2, 0.4], vec![0.2]]);
        // A grid of one rate has nothing between its ends.
        assert!(alone.rates_of_former(&[0.1]).is_empty() && alone.rates_of_former(&[]).is_empty());
    }

    #[test]
    fn of_some_methods_all_runs_are_there_that_they_are_tuned_on_and_no_other() {
        let (scale, images) = (scale(), images());
        let width = Width { sparsity: 90.0, left_out: 50.0, nested_cost: 1, cost: 1, unit: Unit::NonzeroMacs };
        let widths = [width];
        for method in [Method::Nested, Method::StandAlone, Method::DynamicPruning, Method::Dsnn, Method::Slimmable] {
            let of_method = |settings: &Settings| settings.suite == Suite::Full && settings.method == method;
            let plan = wanted(compare(&scale, &images, &widths), of_method);
            let (tuning, others): (Vec<&Planned>, Vec<&Planned>) =
                plan.iter().partition(|planned| planned.settings.suite == Suite::Tune);
            assert!(!others.is_empty() && others.iter().all(|planned| of_method(&planned.settings)), "{method:?}");
            for planned in &others {
                assert!(planned.tuned_on().all(|run| tuning.iter().any(|tuning| tuning.settings == *run)));
            }
            assert!(tuning.iter().all(|tuning| others.iter().any(|planned| planned.is_tuned_on(&tuning.settings))));
        }
    }

    #[test]
    fn levels_share_gamma_and_beta_unless_they_are_widths_and_all_that_is_pruned_has_the_same_ramp() {
        let growth = Growth { start: 0.0, end: 0.75 };
        let (scale, images) = (Scale { growth, ..scale() }, images());
        let width = |[sparsity, left_out]: [f64; 2]| Width {
            sparsity,
            left_out,
            nested_cost: 1,
            cost: 1,
            unit: Unit::NonzeroMacs,
        };
        let plan = compare(&scale, &images, &[[90.0, 50.0], [70.0, 40.0]].map(width));
        // Unless tuning chooses otherwise.
        let settings = plan.iter().map(|planned| &planned.settings).filter(|settings| settings.suite != Suite::Tune);
        for Settings { method, training, .. } in settings {
            let shares = matches!(method, Method::Nested | Method::Dsnn);
            assert_eq!(training.shared_affine, shares, "{method:?}");
            let ranked = training.ladder != [0.0] && *method != Method::Slimmable;
            assert_eq!(training.growth == growth, ranked, "{method:?}");
        }
    }

    #[test]
    fn rates_are_tuned_without_the_test_images_and_before_they_are_used() {
        let (scale, images) = (scale(), images());
        let plan = compare(&scale, &images, &[]);
        for (index, planned) in plan.iter().enumerate() {
            for tuning in planned.tuned_on() {
                assert_eq!(tuning.training.measured, Measured::Validation);
                assert!(plan[..index].iter().any(|earlier| earlier.settings == *tuning), "{}", tuning.name());
                // At the budget that it is used at; where fewer images are left beside the validation images, with those.
                let Settings { suite, training, .. } = &planned.settings;
                let images = if *suite == Suite::Full { 160 } else { 100 };
                assert_eq!(tuning.training.images, images, "{}", tuning.name());
                let passes = tuning.training.passes() as f64 / tuning.training.images as f64;
                assert!((passes - training.epochs as f64).abs() < 0.5, "{}: {passes}", tuning.name());
            }
        }
    }

    #[test]
    fn another_network_has_its_own_rates_ramp_and_allocation_and_its_dense_training_the_same_passes() {
        let (growth, allocation) = (Growth { start: 0.0, end: 0.75 }, AllocationName::Erk);
        let network = NetworkName::MobileNetV1;
        let other = Scale { network, rates: vec![0.3], epochs: 6, growth, allocation, ..scale() };
        let images = images();
        let plan = compare(&Scale { others: vec![other], ..scale() }, &images, &[]);
        let others: Vec<&Planned> = plan.iter().filter(|p| p.settings.training.network == network).collect();
        let [tune, own, nested, dense_tune, dense] = others[..] else { panic!("{} runs", others.len()) };
        let tuned_on = [nested, dense].map(|planned| planned.tuned_on().next());
        assert_eq!(tuned_on, [Some(&tune.settings), Some(&dense_tune.settings)]);
        assert_eq!([nested, dense].map(|p| p.settings.suite), [Suite::Networks; 2]);
        assert_eq!((tune.settings.training.learning_rate, nested.settings.training.allocation), (0.3, allocation));
        assert_eq!([nested, dense].map(|p| p.settings.training.growth), [growth, Growth::default()]);
        assert_eq!(nested.settings.training.passes(), dense.settings.training.passes());
        // Whether its levels share γ and β is chosen for it, too.
        assert_eq!([tune, own].map(|planned| planned.settings.training.shared_affine), [true, false]);
        for shared in [true, false] {
            let better = |settings: &Settings| Some(f64::from(u8::from(settings.training.shared_affine == shared)));
            let trained = record(&[tune.settings.clone(), own.settings.clone()], better);
            assert_eq!(nested.resolve(&trained).unwrap().training.shared_affine, shared);
        }
        assert!(plan.iter().all(|p| p.settings.training.network == network || p.settings.training.growth != growth));
    }

    #[test]
    fn changes_of_the_ablation_have_about_the_passes_of_the_default_and_differ_from_it() {
        let ladder = vec![90.0, 80.0, 70.0];
        let growth = Growth { start: 0.0, end: 0.75 };
        let scale = Scale { ladder, growth, small_epochs: 9, small_images: 120, batch: 15, seeds: 1, ..scale() };
        let images = images();
        let plan = ablate(&scale, &images);
        let runs: Vec<&Settings> = plan.iter().map(|planned| &planned.settings).collect();
        let default = runs.iter().find(|settings| settings.variant.as_deref() == Some("default")).unwrap();
        let steps = |training: &Training| training.epochs * (training.images / training.batch);
        for settings in runs.iter().filter(|settings| settings.suite == Suite::Ablation && settings != &default) {
            let share = settings.training.passes() as f64 / default.training.passes() as f64;
            assert!((0.9..=1.1).contains(&share), "{}: {share}", settings.name());
            if settings.variant.as_ref().unwrap().ends_with("smaller batches") {
                let share = steps(&settings.training) as f64 / steps(&default.training) as f64;
                assert!((0.9..=1.1).contains(&share), "{}: {share}", settings.name());
            }
            assert_ne!(
                Settings { variant: None, ..(**settings).clone() },
                Settings { variant: None, ..(**default).clone() }
            );
        }
    }

    #[test]
    fn no_figure_of_the_ablation_is_of_the_seed_that_rates_were_tuned_with() {
        let plan = ablate(&scale(), &images());
        for planned in plan.iter().filter(|planned| planned.settings.suite == Suite::Ablation) {
            assert!(!planned.trials.is_empty());
            assert!(planned.tuned_on().all(|tuning| tuning.training.seed != planned.settings.training.seed));
        }
        let seeds: std::collections::BTreeSet<u64> = plan.iter().map(|p| p.settings.training.seed).collect();
        assert_eq!(seeds.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
