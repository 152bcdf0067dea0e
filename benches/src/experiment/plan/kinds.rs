//! The rows of the comparison, as kinds of runs.
use super::Steps;
use crate::{
    experiment::settings::{AllocationName, Budget, MaskingName, Method},
    options::BlockOption,
};

/// The variant of the rivals that pass through all levels at each step.
const JOINT: &str = "all levels a step";

/// A row of the comparison, as runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Nested,
    /// With 1×2 blocks.
    NestedInPairs,
    /// With another allocation.
    NestedSpread(AllocationName),
    StandAlone(Budget),
    /// `dense`: of the network without masks; otherwise of the densest stand-alone one with all image passes. `recalibrated`:
    /// its batch-norm statistics are measured anew.
    Pruned {
        dense: bool,
        rate: PrunedRate,
        recalibrated: bool,
    },
    /// `joint`: through all levels at each step, as their authors do; otherwise through a random one, as the nested network.
    Dsnn {
        joint: bool,
    },
    Slimmable {
        joint: bool,
    },
    Dense,
}

/// Which rate a network is trained at that is pruned at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PrunedRate {
    /// The best for its levels, pruned and recalibrated.
    OfLevels,
    /// The best for the network as it is trained, before it is pruned.
    OfTrained,
}

/// Pruned at run time and recalibrated, in each way.
pub const RECALIBRATED: [Kind; 4] = [
    Kind::Pruned { dense: false, rate: PrunedRate::OfLevels, recalibrated: true },
    Kind::Pruned { dense: false, rate: PrunedRate::OfTrained, recalibrated: true },
    Kind::Pruned { dense: true, rate: PrunedRate::OfLevels, recalibrated: true },
    Kind::Pruned { dense: true, rate: PrunedRate::OfTrained, recalibrated: true },
];
/// Pruned at run time and nothing else.
pub const UNCALIBRATED: [Kind; 2] = [
    Kind::Pruned { dense: false, rate: PrunedRate::OfLevels, recalibrated: false },
    Kind::Pruned { dense: true, rate: PrunedRate::OfLevels, recalibrated: false },
];
/// Through one level a step, and through all.
pub const SLIMMABLE: [Kind; 2] = [Kind::Slimmable { joint: false }, Kind::Slimmable { joint: true }];
pub const DSNN: [Kind; 2] = [Kind::Dsnn { joint: false }, Kind::Dsnn { joint: true }];
/// The nested network's other allocations.
pub const SPREAD: [Kind; 2] = [Kind::NestedSpread(AllocationName::Erk), Kind::NestedSpread(AllocationName::Automatic)];

/// All rows of the comparison at the full budget.
pub fn all() -> impl Iterator<Item = Kind> {
    let single =
        [Kind::Nested, Kind::StandAlone(Budget::A), Kind::StandAlone(Budget::B), Kind::Dense, Kind::NestedInPairs];
    single.into_iter().chain(RECALIBRATED).chain(UNCALIBRATED).chain(SLIMMABLE).chain(DSNN).chain(SPREAD)
}

impl Kind {
    /// Whose learning rate it takes.
    pub fn tuned_as(self) -> Kind {
        match self {
            Kind::NestedSpread(_) => Kind::Nested,
            Kind::Pruned { dense: true, rate: PrunedRate::OfTrained, .. } => Kind::Dense,
            Kind::Pruned { dense: false, rate: PrunedRate::OfTrained, .. } => Kind::StandAlone(Budget::B),
            // Pruned without anything after it, networks are hardly better than chance.
            Kind::Pruned { dense, rate, .. } => Kind::Pruned { dense, rate, recalibrated: true },
            kind => kind,
        }
    }

    pub fn method(self) -> Method {
        match self {
            Kind::Nested | Kind::NestedInPairs | Kind::NestedSpread(_) => Method::Nested,
            Kind::StandAlone(_) => Method::StandAlone,
            Kind::Pruned { .. } => Method::DynamicPruning,
            Kind::Dsnn { .. } => Method::Dsnn,
            Kind::Slimmable { .. } => Method::Slimmable,
            Kind::Dense => Method::Dense,
        }
    }

    pub fn budget(self) -> Option<Budget> {
        match self {
            Kind::StandAlone(budget) => Some(budget),
            _ => None,
        }
    }

    pub fn variant(self) -> Option<&'static str> {
        match self {
            Kind::Pruned { dense, rate, recalibrated } => Some(match (dense, rate, recalibrated) {
                (false, PrunedRate::OfLevels, true) => "of the densest stand-alone, recalibrated",
                (true, PrunedRate::OfLevels, true) => "of dense, recalibrated",
                (false, PrunedRate::OfTrained, true) => "of the densest stand-alone at its own rate, recalibrated",
                (true, PrunedRate::OfTrained, true) => "of dense at its own rate, recalibrated",
                (false, PrunedRate::OfLevels, false) => "of the densest stand-alone",
                (true, PrunedRate::OfLevels, false) => "of dense",
                (false, PrunedRate::OfTrained, false) => "of the densest stand-alone at its own rate",
                (true, PrunedRate::OfTrained, false) => "of dense at its own rate",
            }),
            Kind::Dsnn { joint: true } | Kind::Slimmable { joint: true } => Some(JOINT),
            _ => None,
        }
    }

    /// `None`: that of the scale.
    pub fn allocation(self) -> Option<AllocationName> {
        match self {
            Kind::NestedSpread(allocation) => Some(allocation),
            Kind::Nested | Kind::NestedInPairs => None,
            _ => Some(AllocationName::Uniform),
        }
    }

    pub fn block(self) -> BlockOption {
        if self == Kind::NestedInPairs { BlockOption::OneByTwo } else { BlockOption::OneByOne }
    }

    /// Whether weights are left out by their rank, more of them as the training goes on.
    pub fn is_ranked(self) -> bool {
        !matches!(self, Kind::Dense | Kind::Slimmable { .. } | Kind::Pruned { dense: true, .. })
    }

    /// The learning rates that are tried, of a rising grid. The greater the rate, the better a network bears to be pruned without
    /// more training, up to the grid's end; so what is pruned later gets one more.
    pub fn rates(self, grid: &[f64]) -> Vec<f64> {
        let more = grid.last().filter(|_| matches!(self, Kind::Pruned { .. })).map(|rate| 2.0 * rate);
        grid.iter().copied().chain(more).collect()
    }

    /// Those at which [`Recipe::Former`](super::Recipe) is tried, too: of rivals with masks where one way to pass through the levels
    /// is tried, not two, those between the ends; of what is pruned later, whose best are the greatest, all but the least.
    pub fn rates_of_former(self, rates: &[f64]) -> &[f64] {
        let may_have_it = self.is_ranked() && self.method() != Method::Nested && self.steps().len() == 1;
        let end = rates.len().saturating_sub(usize::from(!matches!(self, Kind::Pruned { .. })));
        rates.get(1..end).filter(|_| may_have_it).unwrap_or_default()
    }

    /// How steps may pass through the levels.
    pub fn steps(self) -> &'static [Steps] {
        match self {
            Kind::Dsnn { joint: true } | Kind::Slimmable { joint: true } => {
                &[Steps::AllLevels, Steps::AllLevelsOfFewerImages]
            }
            _ => &[Steps::OneLevel],
        }
    }

    pub fn masking(self) -> MaskingName {
        match self {
            Kind::Dsnn { .. } => MaskingName::Dsnn,
            Kind::Slimmable { .. } => MaskingName::Slimmable,
            _ => MaskingName::Nested,
        }
    }
}
