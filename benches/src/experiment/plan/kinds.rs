//! The rows of the comparison, as kinds of runs.
use super::Steps;
use crate::experiment::settings::{AllocationName, Budget, MaskingName, Method};

/// The variants of dynamic pruning whose batch-norm statistics are measured anew.
pub const RECALIBRATED: [&str; 2] = ["of the densest stand-alone, recalibrated", "of dense, recalibrated"];
const UNCALIBRATED: [&str; 2] = ["of the densest stand-alone", "of dense"];
/// The variant of the rivals that pass through all levels at each step.
const JOINT: &str = "all levels a step";

/// A row of the comparison, as runs.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Nested,
    NestedInPairs,
    NestedSpread(AllocationName),
    StandAlone(Budget),
    Pruned {
        dense: bool,
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

pub const PRUNED: [Kind; 4] = [
    Kind::Pruned { dense: false, recalibrated: false },
    Kind::Pruned { dense: false, recalibrated: true },
    Kind::Pruned { dense: true, recalibrated: false },
    Kind::Pruned { dense: true, recalibrated: true },
];

impl Kind {
    /// Whose learning rate it takes.
    pub fn tuned_as(self) -> Kind {
        match self {
            Kind::NestedInPairs | Kind::NestedSpread(_) => Kind::Nested,
            Kind::Pruned { dense: false, .. } => Kind::StandAlone(Budget::B),
            Kind::Pruned { dense: true, .. } => Kind::Dense,
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
            Kind::Pruned { dense, recalibrated: true } => Some(RECALIBRATED[usize::from(dense)]),
            Kind::Pruned { dense, recalibrated: false } => Some(UNCALIBRATED[usize::from(dense)]),
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

    /// Whether weights are left out by their rank, more of them as the training goes on.
    pub fn is_ranked(self) -> bool {
        !matches!(self, Kind::Dense | Kind::Slimmable { .. } | Kind::Pruned { dense: true, .. })
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
