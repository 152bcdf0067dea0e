//! What was to be reached, what was found, and whether that is enough.
use super::{
    storage,
    summary::{Cell, Estimate, Group, of_kind},
};
use crate::{
    experiment::{
        plan::{self, DSNN, Kind, RECALIBRATED, SLIMMABLE},
        record::{Record, Row},
        settings::{AllocationName, Budget, Method, NetworkName, Suite, Training},
    },
    goal::{Bound, Goal, Verdict, listed},
};

impl Goal {
    /// Of a mean over the seeds; with fewer than [`SEEDS`] there is no verdict.
    fn of_seeds(what: String, bound: Bound, found: Option<Estimate>, unit: &str) -> Goal {
        let is_whole = |found: &Estimate| found.seeds >= SEEDS;
        let text = |found: Estimate| {
            let lacking = if is_whole(&found) { String::new() } else { format!(" ({} of {SEEDS} seeds)", found.seeds) };
            format!("{found}{unit}{lacking}")
        };
        let whole = found.filter(is_whole).map(|found| found.mean);
        Goal::of_text(what, bound, unit, found.map(text), whole)
    }

    /// Points of accuracy that stand beside the goals.
    pub fn points_beside(what: String, found: Option<Estimate>) -> Goal {
        Goal::beside(what, found.map(|found| format!("{found} points")))
    }
}

const LEVELS: [f64; 3] = [90.0, 80.0, 70.0];
/// What goals are means over.
const SEEDS: usize = 3;
/// The other networks, of one seed each.
const OTHERS: [(NetworkName, f64); 2] = [(NetworkName::MobileNetV1, 0.25), (NetworkName::ResNet9, 0.25)];

/// Whether the goals are of what was trained: ResNet-8 at half width, in 21 epochs of the 60,000 images that MNIST-like sets have.
pub fn are_of(record: &Record) -> bool {
    let whole = record.data.as_ref().is_some_and(|data| (data.train_images, data.test_images) == (60_000, 10_000));
    let mut runs = record.runs.iter().map(|run| &run.settings);
    let nested = runs.find(|settings| settings.suite == Suite::Full && settings.method == Method::Nested);
    whole
        && nested.is_some_and(|settings| {
            let Training { network, width, images, epochs, .. } = settings.training;
            (network, width, images, epochs) == (NetworkName::ResNet8, 0.5, 60_000, 21)
        })
}

/// All goals of the comparison.
pub fn all(
    record: &Record,
    full: &[Group<'_>],
    small: &[Group<'_>],
    others: &[Group<'_>],
    storage: &[storage::Ratio],
) -> Vec<Goal> {
    let [a, b] = [Budget::A, Budget::B].map(Kind::StandAlone);
    let mut goals = absolute(full);
    goals.extend(above(full, a, [0.0; 3], "over stand-alone, equal total compute, full budget"));
    goals.extend(above(small, a, [1.0; 3], "over stand-alone, equal total compute, small budget"));
    goals.extend(above(full, b, [-0.5, -0.4, -0.3], "over stand-alone with the whole budget each"));
    goals.extend(over_slimmable(full, Kind::Nested, instructions).map(|(level, found)| {
        let what = format!("nested over slimmable at equal instructions, at {level:.0} %");
        Goal::of_seeds(what, Bound::AtLeast(1.5), found, " points")
    }));
    goals.extend(over_slimmable(full, Kind::Nested, prefix_bytes).map(|(level, found)| {
        Goal::points_beside(format!("nested over slimmable at equal prefix bytes, at {level:.0} %"), found)
    }));
    goals.extend(over_slimmable(full, b, instructions).map(|(level, found)| {
        let what =
            format!("stand-alone with the whole budget each over slimmable at equal instructions, at {level:.0} %");
        Goal::points_beside(what, found)
    }));
    goals.extend(over_dsnn(full));
    goals.extend(over_pruning(full));
    goals.extend(quantised(full));
    let nested = of_kind(full, Kind::Nested).filter(|group| is_whole(Some(group), &LEVELS));
    goals.push(monotone("nested, means over the seeds".to_owned(), nested));
    goals.extend(blocks(full));
    goals.extend(automatic(full));
    goals.extend(frontier(full));
    goals.push(Goal::of_figure(
        "time of a nested training / a dense one with the same image passes, ResNet-8".to_owned(),
        Bound::AtMost(1.1),
        record.training_ratio,
        "",
    ));
    goals.push(hours(record, full, small, others));
    goals.extend(storage.iter().map(|ratio| {
        let what = format!("one nested file / {} stand-alone files, {}", LEVELS.len(), ratio.case);
        match ratio.limit {
            Some(limit) => Goal::of_figure(what, Bound::AtMost(limit), Some(ratio.ratio()), ""),
            None => Goal::beside(what, Some(format!("{:.2}", ratio.ratio()))),
        }
    }));
    goals.extend(networks(others));
    goals
}

/// Whether all seeds of a group are there at each level.
fn is_whole(group: Option<&Group<'_>>, levels: &[f64]) -> bool {
    let has = |&level: &f64| group.and_then(|group| group.at(level)).is_some_and(|cell| cell.rows.len() >= SEEDS);
    levels.iter().all(has)
}

/// The levels that a row of the comparison has.
fn levels(kind: Kind) -> &'static [f64] {
    if kind == Kind::Dense { &[0.0] } else { &LEVELS }
}

/// Of the whole comparison: before all of it is there, or while a run's time is not known, there is no verdict.
fn hours(record: &Record, full: &[Group<'_>], small: &[Group<'_>], others: &[Group<'_>]) -> Goal {
    let is_there = plan::all().all(|kind| is_whole(of_kind(full, kind), levels(kind)))
        && [Kind::Nested, Kind::StandAlone(Budget::A)].iter().all(|&kind| is_whole(of_kind(small, kind), &LEVELS))
        && networks(others).iter().all(|goal| goal.found.is_some());
    let found = record.time().whole().filter(|_| is_there).map(|seconds| seconds / 3600.0);
    Goal::of_figure("hours of compute, all of the comparison".to_owned(), Bound::AtMost(5.0), found, "")
}

/// The ablation's hours, once all its changes have their seeds.
pub fn ablation_hours(record: &Record, groups: &[Group<'_>]) -> Goal {
    let is_there = !groups.is_empty() && groups.iter().all(|group| is_whole(Some(group), &LEVELS));
    let found = record.time().whole().filter(|_| is_there).map(|seconds| seconds / 3600.0);
    Goal::of_figure("hours of compute, all of the ablation".to_owned(), Bound::AtMost(4.0), found, "")
}

/// Other networks: each level against the same network trained without masks.
fn networks(groups: &[Group<'_>]) -> Vec<Goal> {
    let goals = OTHERS.into_iter().flat_map(|(network, width)| {
        let trained = move |method| {
            groups
                .iter()
                .find(|group| (group.key.method, group.key.network, group.key.width) == (method, network, Some(width)))
        };
        let top1 = move |method, level| trained(method)?.at(level).map(Cell::top1);
        let below = LEVELS.into_iter().zip([1.5, 1.0, 0.7]).map(move |(level, limit)| {
            let found = top1(Method::Dense, 0.0).zip(top1(Method::Nested, level)).map(|(dense, nested)| dense - nested);
            let what = format!("{network} of width {width}, nested below dense, at {level:.0} %");
            Goal::of_figure(what, Bound::AtMost(limit), found, " points")
        });
        let nested = trained(Method::Nested).filter(|group| LEVELS.iter().all(|&level| group.at(level).is_some()));
        below.chain([monotone(format!("{network} of width {width}, nested"), nested)])
    });
    goals.collect()
}

/// The level of a row of the comparison.
fn cell<'g, 'a>(groups: &'g [Group<'a>], kind: Kind, level: f64) -> Option<&'g Cell<'a>> {
    of_kind(groups, kind)?.at(level)
}

fn absolute(full: &[Group<'_>]) -> Vec<Goal> {
    let goal = |(level, limit): (f64, f64)| {
        let found =
            cell(full, Kind::Nested, level).and_then(|cell| Estimate::of(cell.rows.iter().map(|row| row.top1_int8)));
        Goal::of_seeds(format!("nested, int8, at {level:.0} %"), Bound::AtLeast(limit), found, " %")
    };
    LEVELS.into_iter().zip([90.3, 90.7, 90.9]).map(goal).collect()
}

/// Points of the nested network over another row, of the seeds that both have.
fn nested_over(groups: &[Group<'_>], other: Kind, level: f64) -> Option<Estimate> {
    cell(groups, Kind::Nested, level)?.over(cell(groups, other, level)?)
}

/// Points of the nested network over another one, level by level.
fn above(groups: &[Group<'_>], other: Kind, limits: [f64; 3], what: &str) -> Vec<Goal> {
    let goal = |(level, limit): (f64, f64)| {
        let what = format!("nested {what}, at {level:.0} %");
        Goal::of_seeds(what, Bound::AtLeast(limit), nested_over(groups, other, level), " points")
    };
    LEVELS.into_iter().zip(limits).map(goal).collect()
}

/// Points over DSNN, of the ways to train it the one that leaves least.
fn over_dsnn(full: &[Group<'_>]) -> Vec<Goal> {
    let goal = |level| {
        let found = least(DSNN.map(|kind| nested_over(full, kind, level)));
        Goal::of_seeds(format!("nested over DSNN, at {level:.0} %"), Bound::AtLeast(0.0), found, " points")
    };
    LEVELS.map(goal).into()
}

/// The least lead over some rivals; `None` before it is known of all.
fn least<const N: usize>(leads: [Option<Estimate>; N]) -> Option<Estimate> {
    let all: Option<Vec<Estimate>> = leads.into_iter().collect();
    let least = all?.into_iter().min_by(|a, b| a.mean.total_cmp(&b.mean))?;
    // Of as many seeds as the rival that has the fewest.
    Some(Estimate { seeds: leads.into_iter().flatten().map(|lead| lead.seeds).min()?, ..least })
}

/// Points over the networks that were pruned at run time and recalibrated, at the sparsest level. The goal is to lead the
/// best of them.
fn over_pruning(full: &[Group<'_>]) -> Vec<Goal> {
    let leads = RECALIBRATED.map(|kind| nested_over(full, kind, LEVELS[0]));
    let what = format!("nested over run-time pruning with recalibration, at {:.0} %", LEVELS[0]);
    let goal = Goal::of_seeds(what, Bound::AtLeast(10.0), least(leads), " points");
    let each = RECALIBRATED.into_iter().zip(leads).map(|(kind, lead)| {
        let what = format!("nested over that {}, at {:.0} %", kind.variant().unwrap_or_default(), LEVELS[0]);
        Goal::points_beside(what, lead)
    });
    [goal].into_iter().chain(each).collect()
}

fn quantised(full: &[Group<'_>]) -> Vec<Goal> {
    let goal = |level| {
        let all = cell(full, Kind::Nested, level).filter(|cell| cell.rows.len() >= SEEDS);
        let found = all.map(|cell| {
            let gap = |row: &Row| (row.top1_int8 - row.top1_float).abs();
            cell.rows.iter().map(|row| gap(row)).fold(0.0, f64::max)
        });
        Goal::of_figure(format!("int8 from float, worst seed, at {level:.0} %"), Bound::AtMost(0.3), found, " points")
    };
    LEVELS.map(goal).into()
}

/// How far a level's accuracy lies below that of the next sparser one, at worst.
fn monotone(name: String, nested: Option<&Group<'_>>) -> Goal {
    let worst =
        nested.map(|nested| nested.cells.windows(2).map(|pair| pair[0].top1() - pair[1].top1()).fold(0.0, f64::max));
    Goal::of_figure(format!("{name}: a level below the next sparser one"), Bound::AtMost(0.2), worst, " points")
}

fn blocks(full: &[Group<'_>]) -> Vec<Goal> {
    let goal = |(level, limit): (f64, f64)| {
        let what = format!("1×2 blocks below 1×1, at {level:.0} %");
        Goal::of_seeds(what, Bound::AtMost(limit), nested_over(full, Kind::NestedInPairs, level), " points")
    };
    LEVELS.into_iter().zip([0.7, 0.3, 0.3]).map(goal).collect()
}

/// Points of a row's levels over the slimmable network's curve, straight between its widths, of the ways to train it the one
/// that leaves least; see [`over_point`].
pub fn over_slimmable<'g>(
    full: &'g [Group<'_>],
    sparse: Kind,
    cost: Cost,
) -> impl Iterator<Item = (f64, Option<Estimate>)> + use<'g> {
    let over =
        move |level: f64, slimmable: Kind| over_curve(of_kind(full, sparse)?, of_kind(full, slimmable)?, level, cost);
    LEVELS.into_iter().map(move |level| (level, least(SLIMMABLE.map(|slimmable| over(level, slimmable)))))
}

/// Automatic allocation against ERK, likewise; beside it, both against uniform allocation, which is the default.
fn automatic(full: &[Group<'_>]) -> Vec<Goal> {
    let [erk, automatic] = [AllocationName::Erk, AllocationName::Automatic].map(Kind::NestedSpread);
    let over = |kind, other, level| over_curve(of_kind(full, kind)?, of_kind(full, other)?, level, instructions);
    let goal = |level| {
        let what = format!("automatic allocation over ERK at equal instructions, at {level:.0} %");
        Goal::of_seeds(what, Bound::AtLeast(0.0), over(automatic, erk, level), " points")
    };
    let beside = |level| {
        let of = |name: &str, kind| {
            let what = format!("{name} over uniform allocation at equal instructions, at {level:.0} %");
            Goal::points_beside(what, over(kind, Kind::Nested, level))
        };
        [of("automatic", automatic), of("ERK", erk)]
    };
    LEVELS.map(goal).into_iter().chain(LEVELS.into_iter().flat_map(beside)).collect()
}

/// What a level costs; `None` when it was not counted.
pub type Cost = fn(&Row) -> Option<f64>;

/// Instructions of a Cortex-M7.
pub fn instructions(row: &Row) -> Option<f64> {
    row.m7_instructions.map(|count| count as f64)
}

/// Bytes of the level and the sparser ones.
fn prefix_bytes(row: &Row) -> Option<f64> {
    Some(row.prefix_bytes as f64)
}

/// Points of a level over another method's curve at equal costs, of the seeds that both have.
fn over_curve(group: &Group<'_>, other: &Group<'_>, level: f64, cost: Cost) -> Option<Estimate> {
    let point = |row: &Row| Some((cost(row)?, row.top1_int8));
    let curve = |group: &Group<'_>, seed: u64| -> Curve {
        let rows = group.cells.iter().flat_map(|cell| &cell.rows).filter(|row| row.seed == seed);
        rows.filter_map(|row| point(row)).collect()
    };
    let of_seed = |row: &&Row| {
        let own = group.at(level)?.rows.iter().find(|own| own.seed == row.seed)?;
        over_point(&curve(group, row.seed), &curve(other, row.seed), point(own)?, point(row)?)
    };
    Estimate::of(other.at(level)?.rows.iter().filter_map(of_seed))
}

/// Cost and accuracy of some levels, sparsest first.
type Curve = Vec<(f64, f64)>;

/// How far a point of one curve lies over another curve at the point's cost. Where that curve does not reach so far, it is
/// the other way round: how far the rival's point of the same level lies below the first curve. `None` where neither reaches
/// the other: nothing has equal costs there.
fn over_point(own: &[(f64, f64)], other: &[(f64, f64)], point: (f64, f64), rival: (f64, f64)) -> Option<f64> {
    match at_cost(other, point.0) {
        Some(accuracy) => Some(point.1 - accuracy),
        None => Some(at_cost(own, rival.0)? - rival.1),
    }
}

/// A curve's accuracy at a cost; `None` where it does not reach.
fn at_cost(curve: &[(f64, f64)], cost: f64) -> Option<f64> {
    if let Some(&(_, accuracy)) = curve.iter().find(|point| point.0 == cost) {
        return Some(accuracy);
    }
    let pair = curve.windows(2).find(|pair| (pair[0].0..=pair[1].0).contains(&cost))?;
    let [(c0, a0), (c1, a1)] = [pair[0], pair[1]];
    Some(a0 + (a1 - a0) * (cost - c0) / (c1 - c0))
}

/// No point of run-time pruning, DSNN, slimmable or stand-alone at budget (a) is above and left of the nested curve in
/// accuracy against instructions; where none is, the nearest is named. Beside it, which of them are more accurate than the
/// densest level with more instructions than it has. Before all of them are counted there is no verdict.
fn frontier(full: &[Group<'_>]) -> [Goal; 2] {
    const RIVALS: &str = "run-time pruning, DSNN, slimmable or stand-alone (a)";
    let points = |kind: Kind| -> Option<Curve> {
        let group = of_kind(full, kind).filter(|group| is_whole(Some(group), &LEVELS))?;
        group.cells.iter().map(|cell| Some((cell.instructions()?, cell.top1()))).collect()
    };
    let levels_of = |kind: Kind| -> Option<Vec<Rival>> {
        Some(LEVELS.into_iter().zip(points(kind)?).map(|(level, point)| Rival::new(full, kind, level, point)).collect())
    };
    let rivals: Option<Vec<Vec<Rival>>> = plan::all().filter(|&kind| is_rival(kind)).map(levels_of).collect();
    let found = points(Kind::Nested).zip(rivals).map(|(curve, rivals)| {
        let rivals = rivals.concat();
        let end = curve.last().copied().unwrap_or_default();
        let above: Vec<String> =
            rivals.iter().filter(|rival| is_above(&curve, rival.point)).map(Rival::with_lead).collect();
        let (within, beyond): (Vec<&Rival>, Vec<&Rival>) = rivals.iter().partition(|rival| rival.point.0 <= end.0);
        let beyond: Vec<String> =
            beyond.into_iter().filter(|rival| rival.point.1 > end.1).map(Rival::with_lead).collect();
        let mean = |rival: &Rival| rival.lead.map_or(f64::NEG_INFINITY, |lead| lead.mean);
        let nearest = within.into_iter().max_by(|a, b| mean(a).total_cmp(&mean(b))).filter(|_| above.is_empty());
        let nearest = nearest.map(|nearest| format!("; the nearest: {}", nearest.with_lead())).unwrap_or_default();
        (above.is_empty(), listed(&above) + &nearest, listed(&beyond))
    });
    let verdict = match found {
        Some((true, ..)) => Verdict::Met,
        Some(_) => Verdict::Missed,
        None => Verdict::Open,
    };
    let (over, beyond) = found.map_or((None, None), |(_, over, beyond)| (Some(over), Some(beyond)));
    let what = format!("on the frontier: points of {RIVALS} above and left of the nested curve");
    let goal = Goal { what, needed: "none".to_owned(), found: over, verdict };
    let beside = "such points above the nested curve's end, with more instructions; by the lead of their curve at those of our level";
    [goal, Goal::beside(beside.to_owned(), beyond)]
}

/// A level of a rival beside the nested curve.
#[derive(Clone)]
struct Rival {
    name: String,
    point: (f64, f64),
    /// Points above the nested curve at equal instructions; of a rival that costs more than that curve's end, those of its curve
    /// above our level.
    lead: Option<Estimate>,
}

impl Rival {
    fn new(full: &[Group<'_>], kind: Kind, level: f64, point: (f64, f64)) -> Rival {
        let variant = kind.variant().map_or(String::new(), |variant| format!(", {variant}"));
        let groups = of_kind(full, kind).zip(of_kind(full, Kind::Nested));
        Rival {
            name: format!("{}{variant}, at {level:.0} %", kind.method().name()),
            point,
            lead: groups.and_then(|(rival, nested)| over_curve(rival, nested, level, instructions)),
        }
    }

    fn with_lead(&self) -> String {
        let lead = self.lead.map_or(String::new(), |lead| format!(", by {} points", lead.signed()));
        format!("{}{lead}", self.name)
    }
}

fn is_rival(kind: Kind) -> bool {
    matches!(kind, Kind::StandAlone(Budget::A) | Kind::Pruned { .. } | Kind::Dsnn { .. } | Kind::Slimmable { .. })
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
            record::{Data, Finished},
            settings::Settings,
        },
        results::summary::groups,
    };

    impl Goal {
        fn outcome(&self) -> (Option<&str>, Verdict) {
            (self.found.as_deref(), self.verdict)
        }
    }

    /// A row a level and seed of a row of the comparison, each as accurate as `top1` says of its level.
    fn rows(kind: Kind, seeds: u64, top1: impl Fn(f64) -> f64) -> Vec<Row> {
        let example = Settings::example();
        let training = Training {
            block: kind.block(),
            allocation: kind.allocation().unwrap_or(AllocationName::Uniform),
            ..example.training
        };
        let variant = kind.variant().map(str::to_owned);
        let settings =
            Settings { method: kind.method(), budget: kind.budget(), variant, training, ..Settings::example() };
        let row = |seed, &sparsity: &f64| {
            let top1_int8 = top1(sparsity) + seed as f64;
            let m7_instructions = Some(1_000_000 + 10_000 * (100 - sparsity as u64));
            let id = format!("{kind:?}-{seed}");
            Row { seed, sparsity, top1_int8, top1_float: top1_int8, m7_instructions, ..Row::example(&settings, &id) }
        };
        (1..=seeds)
            .flat_map(|seed| levels(kind).iter().map(move |level| row(seed, level)).collect::<Vec<_>>())
            .collect()
    }

    /// All of the comparison, the nested network a point above all others.
    fn whole() -> Record {
        let full = plan::all().flat_map(|kind| {
            rows(kind, 3, |level| if kind == Kind::Nested { 91.0 - level / 100.0 } else { 90.0 - level / 100.0 })
        });
        let small = [Kind::Nested, Kind::StandAlone(Budget::A)].into_iter().flat_map(|kind| rows(kind, 3, |_| 90.0));
        let small = small.map(|row| Row { suite: Suite::Small, ..row });
        let others = OTHERS.into_iter().flat_map(|(network, width)| {
            let both = [Kind::Nested, Kind::Dense].into_iter().flat_map(|kind| rows(kind, 1, |_| 90.0));
            both.map(move |row| Row { suite: Suite::Networks, network, width, ..row })
        });
        let rows = full.chain(small).chain(others).collect();
        Record { rows, runs: vec![Finished::example(&Settings::example(), Some(7_199.0))], ..Record::default() }
    }

    fn goals(record: &Record) -> Vec<Goal> {
        let of = |suite| groups(record, suite);
        all(record, &of(Suite::Full), &of(Suite::Small), &of(Suite::Networks), &[])
    }

    #[test]
    fn a_verdict_needs_all_that_it_is_of() {
        let record = whole();
        let open = |record: &Record| -> Vec<String> {
            let goals = goals(record).into_iter().filter(|goal| goal.verdict == Verdict::Open);
            goals.map(|goal| goal.what).collect()
        };
        let ratio = "time of a nested training / a dense one with the same image passes, ResNet-8";
        assert_eq!(open(&record), [ratio]);
        assert_eq!(
            goals(&record).iter().find(|goal| goal.what.starts_with("hours")).unwrap().outcome().0,
            Some("2.00")
        );
        // Whatever row of the comparison lacks a seed, the frontier or the hours have no verdict.
        for kind in plan::all() {
            let mut less = record.clone();
            less.rows.retain(|row| row.run != format!("{kind:?}-2") || row.suite != Suite::Full);
            let open = open(&less);
            assert!(open.iter().any(|what| what.starts_with("hours")), "{kind:?}");
            let compared = is_rival(kind) || kind == Kind::Nested;
            assert_eq!(open.iter().any(|what| what.starts_with("on the frontier")), compared, "{kind:?}");
        }
        let mut uncounted = record.clone();
        uncounted.rows.iter_mut().filter(|row| row.method == Method::Dsnn).last().unwrap().m7_instructions = None;
        assert!(open(&uncounted).iter().any(|what| what.starts_with("on the frontier")));
        let mut untimed = record.clone();
        untimed.runs[0].train_seconds = None;
        assert_eq!(open(&untimed).len(), 2);
        // Nothing at all: no goal vanishes.
        let all_goals = |record: &Record| goals(record).into_iter().map(|goal| goal.what).collect::<Vec<_>>();
        assert_eq!(all_goals(&Record::default()), all_goals(&record));
        assert!(goals(&Record::default()).iter().all(|goal| matches!(goal.verdict, Verdict::Open | Verdict::Beside)));
    }

    #[test]
    fn goals_are_of_the_network_images_and_epochs_that_they_were_set_for() {
        let data =
            |train_images| Some(Data { name: String::new(), train_images, test_images: 10_000, crc32: String::new() });
        let of = |epochs, images| {
            let training = Training { epochs, images, ..Settings::example().training };
            let settings = Settings { training, ..Settings::example() };
            are_of(&Record { data: data(60_000), runs: vec![Finished::example(&settings, None)], ..Record::default() })
        };
        assert!(of(21, 60_000));
        assert!(!of(3, 60_000) && !of(21, 200));
        assert!(!are_of(&Record { data: data(60_000), ..Record::default() }));
    }

    #[test]
    fn of_two_ways_to_train_a_rival_the_better_one_counts_at_each_level() {
        let [one_level, all_levels] = DSNN;
        let of =
            |kind, top1: [f64; 2], seeds| rows(kind, seeds, move |level| if level > 85.0 { top1[0] } else { top1[1] });
        let mut all = of(Kind::Nested, [90.0, 92.0], 3);
        all.extend(of(one_level, [88.0, 92.5], 3));
        let found = |rows: &[Row]| {
            let record = Record { rows: rows.to_vec(), ..Record::default() };
            let goals = over_dsnn(&groups(&record, Suite::Full));
            goals.iter().map(|goal| (goal.found.clone(), goal.verdict)).collect::<Vec<_>>()
        };
        assert_eq!(found(&all), vec![(None, Verdict::Open); 3]);
        let expected = |found: &str, verdict| (Some(found.to_owned()), verdict);
        let both = [&all[..], &of(all_levels, [89.0, 89.0], 3)].concat();
        let over = expected("-0.50 ± 0.00 points", Verdict::Missed);
        assert_eq!(found(&both), [expected("1.00 ± 0.00 points", Verdict::Met), over.clone(), over]);
        let of_one_seed = [&all[..], &of(all_levels, [89.0, 89.0], 1)].concat();
        assert_eq!(found(&of_one_seed)[0], expected("1.00 points (1 of 3 seeds)", Verdict::Open));
        assert_eq!(found(&of_one_seed)[1], expected("-0.50 ± 0.00 points (1 of 3 seeds)", Verdict::Open));
    }

    #[test]
    fn where_no_rival_is_above_the_curve_the_nearest_is_named() {
        let record = whole();
        let [goal, beyond] = frontier(&groups(&record, Suite::Full));
        let found = goal.found.as_deref().unwrap();
        assert!(found.starts_with("none; the nearest: ") && found.ends_with(", by -1.00 ± 0.00 points"), "{found}");
        assert_eq!((goal.verdict, beyond.outcome()), (Verdict::Met, (Some("none"), Verdict::Beside)));
        // What needs more instructions than our end is not the nearest, however accurate it is there.
        let mut record = record;
        let densest = |row: &&mut Row| row.method == Method::Dsnn && row.variant.is_none() && row.sparsity < 75.0;
        for row in record.rows.iter_mut().filter(densest) {
            row.m7_instructions = Some(1_400_000);
            row.top1_int8 += 3.0;
        }
        let [goal, beyond] = frontier(&groups(&record, Suite::Full));
        assert_eq!((goal.found.as_deref(), goal.verdict), (Some(found), Verdict::Met));
        // Straight between 89.2 at 1.2 million and 92.3 at 1.4, of which we have 90.3 at 1.3.
        assert_eq!(beyond.outcome().0, Some("dsnn, at 70 %, by +0.45 ± 0.00 points"));
    }

    #[test]
    fn a_rival_above_the_curve_is_named_and_one_beyond_its_end_stands_beside() {
        let mut record = whole();
        let mut better = rows(DSNN[1], 3, |level| if level > 85.0 { 99.0 } else { 50.0 });
        better.iter_mut().filter(|row| row.sparsity < 75.0).for_each(|row| {
            row.m7_instructions = Some(9_000_000);
            row.top1_int8 = 99.0;
        });
        record.rows.retain(|row| row.variant.as_deref() != DSNN[1].variant() || row.method != Method::Dsnn);
        record.rows.extend(better);
        let [frontier, beyond] = frontier(&groups(&record, Suite::Full));
        assert_eq!(
            frontier.outcome(),
            (Some("dsnn, all levels a step, at 90 %, by +8.90 ± 0.00 points"), Verdict::Missed)
        );
        assert_eq!(
            beyond.outcome(),
            (Some("dsnn, all levels a step, at 70 %, by -39.70 ± 0.01 points"), Verdict::Beside)
        );
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
        assert_eq!([0.5, 1.0, 1.5, 9.0].map(|cost| at_cost(&curve, cost)), [None, Some(90.0), Some(90.5), None]);
        assert_eq!(at_cost(&[], 1.0), None);
        // Within the other curve; left of it, where its first point is within ours; beyond both.
        let other = [(1.5, 90.2), (2.5, 91.2)];
        let over = |point, rival| over_point(&curve, &other, point, rival).map(|points| (points * 10.0_f64).round());
        assert_eq!(over((2.0, 91.0), (2.5, 91.2)), Some(3.0));
        assert_eq!(over((1.0, 90.0), (1.5, 90.2)), Some(3.0));
        assert_eq!(over((1.0, 90.0), (9.0, 90.1)), None);
    }
}
