//! The comparison's runs.
use super::{
    Builder, Planned, Scale, given,
    kinds::{DSNN, Kind, RECALIBRATED, SLIMMABLE, SPREAD, UNCALIBRATED},
};
use crate::experiment::{
    images::Images,
    record::Width,
    settings::{Budget, Suite},
};

/// The runs that the comparison begins with: the nested network, which the slimmable one's widths are chosen by.
pub fn basis(scale: &Scale, images: &Images) -> Vec<Planned> {
    let builder = Builder { scale, images, widths: &[] };
    given(&builder.trials(Suite::Full, Kind::Nested)).chain(builder.tuned(Suite::Full, Kind::Nested, 1)).collect()
}

/// The run of the basis whose model has the instructions to match.
pub fn matched(scale: &Scale, images: &Images) -> Option<Planned> {
    basis(scale, images).pop()
}

/// The comparison's runs, the most telling first; without widths there is no slimmable network.
pub fn compare(scale: &Scale, images: &Images, widths: &[Width]) -> Vec<Planned> {
    let builder = Builder { scale, images, widths };
    let core = [Kind::Nested, Kind::StandAlone(Budget::A), Kind::Dense, Kind::StandAlone(Budget::B)];
    let mut rivals: Vec<Kind> = RECALIBRATED.into_iter().chain(UNCALIBRATED).collect();
    if !widths.is_empty() {
        rivals.extend(SLIMMABLE);
    }
    rivals.extend(DSNN);
    rivals.push(Kind::NestedInPairs);
    let tuned = |kinds: &[Kind], suite, seed| -> Vec<Planned> {
        kinds.iter().flat_map(|&kind| builder.tuned(suite, kind, seed)).collect()
    };
    let tuning = |kinds: &[Kind], suite| -> Vec<Planned> {
        let own = kinds.iter().filter(|kind| kind.tuned_as() == **kind);
        own.flat_map(|&kind| given(&builder.trials(suite, kind)).collect::<Vec<_>>()).collect()
    };
    let mut plan = basis(scale, images);
    plan.extend(tuning(&core[1..], Suite::Full));
    plan.extend(tuned(&core, Suite::Full, 1));
    plan.extend(tuning(&core[..2], Suite::Small));
    for seed in 1..=scale.seeds {
        plan.extend(tuned(&core[..2], Suite::Small, seed));
    }
    plan.extend(tuning(&rivals, Suite::Full));
    plan.extend(tuned(&rivals, Suite::Full, 1));
    for kinds in [&core[..], &rivals] {
        for seed in 2..=scale.seeds {
            plan.extend(tuned(kinds, Suite::Full, seed));
        }
    }
    for seed in 1..=scale.seeds {
        plan.extend(tuned(&SPREAD, Suite::Full, seed));
    }
    plan.extend(scale.others.iter().flat_map(|other| pair(other, images)));
    plan
}

/// A network nested and dense, with one seed.
fn pair(scale: &Scale, images: &Images) -> Vec<Planned> {
    let builder = Builder { scale, images, widths: &[] };
    let of_kind = |kind| {
        given(&builder.trials(Suite::Networks, kind)).chain(builder.tuned(Suite::Networks, kind, 1)).collect::<Vec<_>>()
    };
    [Kind::Nested, Kind::Dense].into_iter().flat_map(of_kind).collect()
}
