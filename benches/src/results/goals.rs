//! What was to be reached, what was found, and whether that is enough.
use super::{
    storage,
    summary::{Cell, Estimate, Group, plain, ways},
};
use crate::{
    experiment::{
        plan::RECALIBRATED,
        record::{Record, Row, TrainingTime},
        settings::{AllocationName, Budget, Method},
    },
    options::BlockOption,
    table::Table,
};

/// One goal at one level.
pub struct Goal {
    pub what: String,
    pub needed: String,
    /// `None`: not measured yet.
    pub found: Option<String>,
    pub met: Option<bool>,
}

impl Goal {
    /// A figure that must not be below a limit.
    fn at_least(what: String, limit: f64, found: Option<impl Into<Estimate>>, unit: &str) -> Goal {
        let found = found.map(Into::into);
        Goal {
            what,
            needed: format!("≥ {limit:.2}{unit}"),
            found: found.map(|found| format!("{found}{unit}")),
            met: found.map(|found| found.mean >= limit),
        }
    }

    /// A figure that must not be above a limit.
    fn at_most(what: String, limit: f64, found: Option<impl Into<Estimate>>, unit: &str) -> Goal {
        let found = found.map(Into::into);
        Goal {
            what,
            needed: format!("≤ {limit:.2}{unit}"),
            found: found.map(|found| format!("{found}{unit}")),
            met: found.map(|found| found.mean <= limit),
        }
    }

    /// A figure that stands beside the goals.
    fn beside(what: String, found: Option<impl Into<Estimate>>, unit: &str) -> Goal {
        let found = found.map(|found| format!("{}{unit}", found.into()));
        Goal { what, needed: String::new(), found, met: None }
    }
}

/// How many goals are met, missed and open, in a sentence.
pub fn summary(goals: &[Goal]) -> String {
    let count = |verdict: Option<bool>| goals.iter().filter(|goal| goal.met == verdict).count();
    let open = goals.iter().filter(|goal| goal.found.is_none() && !goal.needed.is_empty()).count();
    let missed: Vec<&str> =
        goals.iter().filter(|goal| goal.met == Some(false)).map(|goal| goal.what.as_str()).collect();
    let missed = if missed.is_empty() { "none".to_owned() } else { missed.join("; ") };
    format!("{} met, {} missed, {open} not measured. Missed: {missed}.", count(Some(true)), count(Some(false)))
}

/// Goals as a table.
pub fn table(goals: &[Goal]) -> Table {
    let mut table = Table::new(["goal", "needed", "found", ""]);
    for goal in goals {
        let verdict = match (goal.met, &goal.found) {
            (Some(true), _) => "met",
            (Some(false), _) => "**missed**",
            (None, Some(_)) => "no goal",
            (None, None) => "not measured",
        };
        table.row([goal.what.clone(), goal.needed.clone(), goal.found.clone().unwrap_or_default(), verdict.to_owned()]);
    }
    table
}

const LEVELS: [f64; 3] = [90.0, 80.0, 70.0];
/// DSNN and slimmable networks are trained through one level a step and through all.
const WAYS: usize = 2;

/// All goals of the comparison.
pub fn all(record: &Record, full: &[Group<'_>], small: &[Group<'_>], storage: &[storage::Ratio]) -> Vec<Goal> {
    let mut goals = absolute(full);
    let alone = Method::StandAlone;
    goals.extend(above(full, (alone, Some(Budget::A)), [0.0; 3], "over stand-alone, equal total compute, full budget"));
    goals.extend(above(
        small,
        (alone, Some(Budget::A)),
        [1.0; 3],
        "over stand-alone, equal total compute, small budget",
    ));
    goals.extend(above(
        full,
        (alone, Some(Budget::B)),
        [-0.5, -0.4, -0.3],
        "over stand-alone with the whole budget each",
    ));
    goals.extend(over_slimmable(full));
    goals.extend(over_dsnn(full));
    goals.extend(over_pruning(full));
    goals.extend(quantised(full));
    goals.extend(monotone(full));
    goals.extend(blocks(full));
    goals.extend(automatic(full));
    goals.push(frontier(full));
    goals.push(Goal::at_most(
        "time of a nested training / a dense one with the same image passes".to_owned(),
        1.1,
        record.training_ratio,
        "",
    ));
    goals.push(hours(record, full));
    goals.extend(storage.iter().map(|ratio| {
        let what = format!("one nested file / {} stand-alone files, {}", LEVELS.len(), ratio.case);
        let found = Some(ratio.ratio());
        match ratio.limit {
            Some(limit) => Goal::at_most(what, limit, found, ""),
            None => Goal::beside(what, found, ""),
        }
    }));
    goals
}

/// Of the whole comparison: before all its methods have their seeds, or while a training's time is not known, there is no
/// verdict.
fn hours(record: &Record, full: &[Group<'_>]) -> Goal {
    const SEEDS: usize = 3;
    const METHODS: [(Method, Option<Budget>); 7] = [
        (Method::Nested, None),
        (Method::StandAlone, Some(Budget::A)),
        (Method::StandAlone, Some(Budget::B)),
        (Method::DynamicPruning, None),
        (Method::Dsnn, None),
        (Method::Slimmable, None),
        (Method::Dense, None),
    ];
    let is_there = |key| full.iter().any(|group| (group.key.method, group.key.budget) == key);
    let seeds = full.iter().flat_map(|group| &group.cells).map(|cell| cell.rows.len()).min();
    let whole = METHODS.into_iter().all(is_there) && seeds >= Some(SEEDS);
    let TrainingTime { seconds, untimed, .. } = record.training_time();
    let found = (whole && untimed == 0).then_some(seconds / 3600.0);
    Goal::at_most("hours of training, all runs".to_owned(), 5.0, found, "")
}

/// Other networks: each level against the same network trained without masks.
pub fn networks(groups: &[Group<'_>]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for nested in groups.iter().filter(|group| group.key.method == Method::Nested) {
        let same = |group: &&Group<'_>| {
            group.key.method == Method::Dense
                && group.key.network == nested.key.network
                && group.key.width == nested.key.width
        };
        let dense = groups.iter().find(same).and_then(|group| group.at(0.0)).map(Cell::top1);
        for (level, limit) in LEVELS.into_iter().zip([1.5, 1.0, 0.7]) {
            let found = nested.at(level).map(Cell::top1).zip(dense).map(|(nested, dense)| dense - nested);
            let what = format!("{} {} below dense, at {level:.0} %", nested.key.network, nested.key.name());
            goals.push(Goal::at_most(what, limit, found, " points"));
        }
    }
    goals
}

fn absolute(full: &[Group<'_>]) -> Vec<Goal> {
    let nested = plain(full, Method::Nested, None);
    let goal = |(level, limit): (f64, f64)| {
        let found = nested
            .and_then(|group| group.at(level))
            .and_then(|cell| Estimate::of(cell.rows.iter().map(|row| row.top1_int8)));
        Goal::at_least(format!("nested, int8, at {level:.0} %"), limit, found, " %")
    };
    LEVELS.into_iter().zip([90.3, 90.7, 90.9]).map(goal).collect()
}

/// Points of the nested network over another one, level by level.
fn above(groups: &[Group<'_>], other: (Method, Option<Budget>), limits: [f64; 3], what: &str) -> Vec<Goal> {
    let (nested, other) = (plain(groups, Method::Nested, None), plain(groups, other.0, other.1));
    let goal = |(level, limit): (f64, f64)| {
        let cells = nested.and_then(|group| group.at(level)).zip(other.and_then(|group| group.at(level)));
        let found = cells.and_then(|(nested, other)| nested.over(other));
        Goal::at_least(format!("nested {what}, at {level:.0} %"), limit, found, " points")
    };
    LEVELS.into_iter().zip(limits).map(goal).collect()
}

/// Points over DSNN, of the ways to train it the one that leaves least.
fn over_dsnn(full: &[Group<'_>]) -> Vec<Goal> {
    let nested = plain(full, Method::Nested, None);
    let goal = |level| {
        let over = |dsnn: &Group<'_>| nested.and_then(|group| group.at(level))?.over(dsnn.at(level)?);
        let found = least(ways(full, Method::Dsnn).filter_map(over));
        Goal::at_least(format!("nested over DSNN, at {level:.0} %"), 0.0, found, " points")
    };
    LEVELS.map(goal).into()
}

/// The least lead over a rival, of both ways to train it; `None` before it was trained in both.
fn least(leads: impl Iterator<Item = Estimate>) -> Option<Estimate> {
    let mut leads: Vec<Estimate> = leads.collect();
    leads.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    leads.first().copied().filter(|_| leads.len() == WAYS)
}

/// Points over the networks that were pruned at run time and recalibrated, at the sparsest level. The goal is to lead the
/// better of them.
fn over_pruning(full: &[Group<'_>]) -> Vec<Goal> {
    let at = |group| Group::at(group, LEVELS[0]);
    let nested = plain(full, Method::Nested, None).and_then(at);
    let pruned = full.iter().filter(|group| {
        let recalibrated = |name: &str| group.key.variant.as_deref() == Some(name);
        group.key.method == Method::DynamicPruning && RECALIBRATED.iter().any(|name| recalibrated(name))
    });
    let mut pruned: Vec<_> = pruned.filter_map(|group| Some((group.key.name(), at(group)?))).collect();
    pruned.sort_by(|(_, a), (_, b)| b.top1().total_cmp(&a.top1()));
    let over = |other| nested.zip(other).and_then(|(nested, other): (&Cell<'_>, &Cell<'_>)| nested.over(other));
    let what = format!("nested over run-time pruning with recalibration, at {:.0} %", LEVELS[0]);
    let goal = Goal::at_least(what, 10.0, over(pruned.first().map(|&(_, best)| best)), " points");
    let others = pruned.iter().skip(1).map(|(name, cell)| {
        Goal::beside(format!("nested over {name}, at {:.0} %", LEVELS[0]), over(Some(*cell)), " points")
    });
    [goal].into_iter().chain(others).collect()
}

fn quantised(full: &[Group<'_>]) -> Vec<Goal> {
    let nested = plain(full, Method::Nested, None);
    let goal = |level| {
        let found = nested.and_then(|group| group.at(level)).map(|cell| {
            let gap = |row: &Row| (row.top1_int8 - row.top1_float).abs();
            cell.rows.iter().map(|row| gap(row)).fold(0.0, f64::max)
        });
        Goal::at_most(format!("int8 from float, worst seed, at {level:.0} %"), 0.3, found, " points")
    };
    LEVELS.map(goal).into()
}

fn monotone(full: &[Group<'_>]) -> Option<Goal> {
    let nested = plain(full, Method::Nested, None)?;
    let falls = nested.cells.windows(2).map(|pair| pair[0].top1() - pair[1].top1());
    let worst = falls.fold(0.0, f64::max);
    Some(Goal::at_most("a level below the sparser one".to_owned(), 0.2, Some(worst), " points"))
}

fn blocks(full: &[Group<'_>]) -> Vec<Goal> {
    let two = full.iter().find(|group| {
        group.key.method == Method::Nested && group.key.block == BlockOption::OneByTwo && group.key.variant.is_none()
    });
    let nested = plain(full, Method::Nested, None);
    let goal = |(level, limit): (f64, f64)| {
        let cells = nested.and_then(|group| group.at(level)).zip(two.and_then(|group| group.at(level)));
        let found = cells.and_then(|(one, two)| one.over(two));
        Goal::at_most(format!("1×2 blocks below 1×1, at {level:.0} %"), limit, found, " points")
    };
    LEVELS.into_iter().zip([0.7, 0.3, 0.3]).map(goal).collect()
}

/// Nested against the slimmable network's curve, straight between its widths, of the ways to train it the one that leaves
/// least; see [`over_point`]. Beside it what sparsity alone gives there: separate networks, each with all of the nested one's
/// image passes.
pub fn over_slimmable(full: &[Group<'_>]) -> Vec<Goal> {
    let over = |method, budget, level| {
        let sparse = plain(full, method, budget)?;
        least(ways(full, Method::Slimmable).filter_map(|slimmable| over_curve(sparse, slimmable, level)))
    };
    let nested = |level| {
        let what = format!("nested over slimmable at equal instructions, at {level:.0} %");
        Goal::at_least(what, 1.5, over(Method::Nested, None, level), " points")
    };
    let alone = |level| {
        let what =
            format!("stand-alone with the whole budget each over slimmable at equal instructions, at {level:.0} %");
        Goal::beside(what, over(Method::StandAlone, Some(Budget::B), level), " points")
    };
    LEVELS.map(nested).into_iter().chain(LEVELS.map(alone)).collect()
}

/// Automatic allocation against ERK, likewise.
fn automatic(full: &[Group<'_>]) -> Vec<Goal> {
    let spread = |allocation| {
        full.iter().find(|group| {
            group.key.method == Method::Nested && group.key.allocation == allocation && group.key.variant.is_none()
        })
    };
    let groups = spread(AllocationName::Automatic).zip(spread(AllocationName::Erk));
    let goal = |level| {
        let found = groups.and_then(|(automatic, erk)| over_curve(automatic, erk, level));
        let what = format!("automatic allocation over ERK at equal instructions, at {level:.0} %");
        Goal::at_least(what, 0.0, found, " points")
    };
    LEVELS.map(goal).into()
}

/// Points of a level over another method's curve at equal instructions, of the seeds that both have.
fn over_curve(group: &Group<'_>, other: &Group<'_>, level: f64) -> Option<Estimate> {
    let of_seed = |row: &&Row| {
        let own = group.at(level)?.rows.iter().find(|own| own.seed == row.seed)?;
        over_point(&curve(group, row.seed), &curve(other, row.seed), point(own)?, point(row)?)
    };
    Estimate::of(other.at(level)?.rows.iter().filter_map(of_seed))
}

/// Instructions and accuracy.
fn point(row: &Row) -> Option<(f64, f64)> {
    Some((row.m7_instructions? as f64, row.top1_int8))
}

/// The points of a seed.
fn curve(group: &Group<'_>, seed: u64) -> Vec<(f64, f64)> {
    let rows = group.cells.iter().flat_map(|cell| &cell.rows).filter(|row| row.seed == seed);
    rows.filter_map(|row| point(row)).collect()
}

/// How far a point of one curve lies over another curve at the point's cost. Where that curve does not reach so far, it is
/// the other way round: how far the rival's point of the same level lies below the first curve. Where neither reaches the
/// other, the nearest end counts.
fn over_point(own: &[(f64, f64)], other: &[(f64, f64)], point: (f64, f64), rival: (f64, f64)) -> Option<f64> {
    let reaches = |curve: &[(f64, f64)], cost: f64| Some((curve.first()?.0..=curve.last()?.0).contains(&cost));
    if !reaches(other, point.0)? && reaches(own, rival.0)? {
        Some(at_cost(own, rival.0)? - rival.1)
    } else {
        Some(point.1 - at_cost(other, point.0)?)
    }
}

/// A curve's accuracy at a cost; `None` without a curve.
fn at_cost(curve: &[(f64, f64)], cost: f64) -> Option<f64> {
    let (first, last) = (curve.first()?, curve.last()?);
    let between = curve.windows(2).find(|pair| (pair[0].0..=pair[1].0).contains(&cost));
    Some(match between {
        Some(pair) => {
            let [(c0, a0), (c1, a1)] = [pair[0], pair[1]];
            a0 + (a1 - a0) * (cost - c0) / (c1 - c0).max(f64::MIN_POSITIVE)
        }
        None if cost < first.0 => first.1,
        None => last.1,
    })
}

/// No point of dynamic pruning, DSNN, slimmable or stand-alone at budget (a) is above and left of the nested curve in
/// accuracy against instructions.
fn frontier(full: &[Group<'_>]) -> Goal {
    let what = "on the frontier: rivals above and left of the nested curve".to_owned();
    let needed = "none".to_owned();
    let nested = plain(full, Method::Nested, None);
    let curve: Option<Vec<(f64, f64)>> =
        nested.and_then(|group| group.cells.iter().map(|cell| Some((cell.instructions()?, cell.top1()))).collect());
    // Before all rivals are counted there is no verdict.
    let counted = |method| {
        let rivals = full.iter().filter(|group| group.key.method == method && is_rival(group));
        rivals.flat_map(|group| &group.cells).any(|cell| cell.instructions().is_some())
    };
    let rivals = [Method::StandAlone, Method::DynamicPruning, Method::Dsnn, Method::Slimmable];
    let Some(curve) = curve.filter(|_| rivals.into_iter().all(counted)) else {
        return Goal { what, needed, found: None, met: None };
    };
    let mut over = Vec::new();
    for group in full.iter().filter(|group| is_rival(group)) {
        for cell in &group.cells {
            let Some(instructions) = cell.instructions() else { continue };
            if is_above(&curve, (instructions, cell.top1())) {
                over.push(format!("{} at {:.0} %", group.key.name(), cell.sparsity));
            }
        }
    }
    let found = if over.is_empty() { "none".to_owned() } else { over.join("; ") };
    Goal { what, needed, met: Some(over.is_empty()), found: Some(found) }
}

fn is_rival(group: &Group<'_>) -> bool {
    match group.key.method {
        Method::Nested | Method::Dense => false,
        Method::StandAlone => group.key.budget == Some(Budget::A),
        Method::DynamicPruning | Method::Dsnn | Method::Slimmable => true,
    }
}

/// Whether a point has a point of the curve, straight between its levels, below it or to its right.
fn is_above(curve: &[(f64, f64)], (cost, accuracy): (f64, f64)) -> bool {
    let right = curve.iter().any(|&(c, a)| cost < c && accuracy >= a);
    let below = curve.iter().any(|&(c, a)| cost == c && accuracy > a)
        || curve.windows(2).any(|pair| {
            let [(c0, a0), (c1, a1)] = [pair[0], pair[1]];
            c0 < cost && cost < c1 && accuracy > a0 + (a1 - a0) * (cost - c0) / (c1 - c0)
        });
    right || below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        experiment::{
            record::Finished,
            settings::{Settings, Suite, Training},
        },
        results::summary::groups,
    };

    #[test]
    fn hours_count_when_all_methods_have_three_seeds_and_every_training_its_time() {
        let methods = [
            (Method::Nested, None),
            (Method::StandAlone, Some(Budget::A)),
            (Method::StandAlone, Some(Budget::B)),
            (Method::DynamicPruning, None),
            (Method::Dsnn, None),
            (Method::Slimmable, None),
            (Method::Dense, None),
        ];
        let mut record = Record::default();
        for (index, (method, budget)) in methods.into_iter().enumerate() {
            for seed in 1..=3 {
                let example = Settings::example();
                let training = Training { seed, images: 10 + index, ..example.training };
                let settings = Settings { method, budget, training, ..example };
                let run = Finished::example(&settings, Some(600.0));
                record.rows.push(Row::example(&settings, &run.id));
                record.runs.push(run);
            }
        }
        let goal = |record: &Record| {
            let Goal { found, met, .. } = hours(record, &groups(record, Suite::Full));
            (found, met)
        };
        assert_eq!(goal(&record), (Some("3.50".to_owned()), Some(true)));
        let change = |change: fn(&mut Record)| {
            let mut record = record.clone();
            change(&mut record);
            goal(&record)
        };
        assert_eq!(
            change(|record| record.runs[0].train_seconds = Some(9_600.0)),
            (Some("6.00".to_owned()), Some(false))
        );
        assert_eq!(change(|record| record.runs[0].train_seconds = None), (None, None));
        assert_eq!(change(|record| record.rows.truncate(20)), (None, None));
        assert_eq!(change(|record| record.rows.truncate(18)), (None, None));
    }

    #[test]
    fn of_two_ways_to_train_a_rival_the_better_one_counts_at_each_level() {
        let row = |method, variant: Option<&str>, sparsity, top1_int8, seed| {
            let variant = variant.map(str::to_owned);
            Row { method, variant, sparsity, top1_int8, seed, ..Row::example(&Settings::example(), "run") }
        };
        let rows = [(90.0, [90.0, 88.0, 89.0]), (80.0, [92.0, 92.5, 89.0])].map(|(sparsity, [nested, one, all])| {
            let of = |seed, more: f64| {
                [
                    row(Method::Nested, None, sparsity, nested + more, seed),
                    row(Method::Dsnn, None, sparsity, one, seed),
                    row(Method::Dsnn, Some("all levels a step"), sparsity, all, seed),
                ]
            };
            [of(1, 0.0), of(2, 1.0)].concat()
        });
        let record = Record { rows: rows.concat(), ..Record::default() };
        let found = over_dsnn(&groups(&record, Suite::Full)).into_iter().map(|goal| (goal.found, goal.met));
        let expected = [("1.50 ± 0.50 points", true), ("0.00 ± 0.50 points", true)];
        let expected = expected.map(|(found, met)| (Some(found.to_owned()), Some(met)));
        assert_eq!(found.collect::<Vec<_>>(), [&expected[..], &[(None, None)]].concat());
        let rows = record.rows.iter().filter(|row| row.variant.is_none()).cloned().collect();
        let one_way = Record { rows, ..Record::default() };
        assert!(over_dsnn(&groups(&one_way, Suite::Full)).iter().all(|goal| goal.found.is_none()));
    }

    #[test]
    fn a_point_above_or_left_of_a_point_of_the_curve_is_over_it() {
        let curve = [(1.0, 90.0), (2.0, 91.0)];
        assert!(is_above(&curve, (1.0, 90.1)));
        assert!(is_above(&curve, (0.9, 90.0)));
        assert!(is_above(&curve, (1.5, 91.0)));
        assert!(!is_above(&curve, (1.0, 90.0)));
        assert!(is_above(&curve, (1.5, 90.6)));
        assert!(!is_above(&curve, (1.5, 89.9)));
        assert!(!is_above(&curve, (3.0, 92.0)));
        assert_eq!([0.5, 1.0, 1.5, 9.0].map(|cost| at_cost(&curve, cost)), [90.0, 90.0, 90.5, 91.0].map(Some));
        assert_eq!(at_cost(&[], 1.0), None);
        // Within the other curve; left of it, where its first point is within ours; beyond both.
        let other = [(1.5, 90.2), (2.5, 91.2)];
        let over = |point, rival| over_point(&curve, &other, point, rival).map(|points| (points * 10.0_f64).round());
        assert_eq!(over((2.0, 91.0), (2.5, 91.2)), Some(3.0));
        assert_eq!(over((1.0, 90.0), (1.5, 90.2)), Some(3.0));
        assert_eq!(over((1.0, 90.0), (9.0, 90.1)), Some(-2.0));
    }
}
