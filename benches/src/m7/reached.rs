//! The goals of `benches/anchors.toml` beside what a run found.
use super::{Anchors, DETECTOR, Layer, Row, ShapeRow, goals, layers::mean_speedup};
use crate::{
    goal::Bound,
    table::{Table, grouped},
};
use serde::Serialize;

/// What a run measured on the Cortex-M7; a goal of a part that was not run is left out.
#[derive(Clone, Copy)]
pub struct Run<'r> {
    pub layers: &'r [Layer],
    pub shapes: &'r [ShapeRow],
    pub networks: &'r [Row],
    pub switch: Option<u32>,
}

/// One goal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    pub goal: String,
    #[serde(flatten)]
    pub target: Bound,
    pub found: f64,
    pub reached: bool,
}

impl Goal {
    fn new(goal: impl Into<String>, target: Bound, found: f64) -> Goal {
        Goal { goal: goal.into(), target, found, reached: target.holds(found) }
    }
}

/// Each goal that the run has rows for.
pub fn reached(anchors: &Anchors, run: Run<'_>) -> Vec<Goal> {
    let mut found = speedups(anchors, run.layers);
    found.extend(ratios_of_layers(anchors, run));
    found.extend(networks(anchors, run.networks));
    found.extend(arenas(anchors, run.networks));
    found.extend(detectors(anchors, run.networks));
    let switch = |count| Goal::new("switch between levels, instructions", most(anchors.goals.most.switch), count);
    found.extend(run.switch.map(|count| switch(count.into())));
    found
}

fn most(most: f64) -> Bound {
    Bound::AtMost(most)
}

/// With the preferred scratch, and groups of layers also with the least.
fn speedups(anchors: &Anchors, layers: &[Layer]) -> Vec<Goal> {
    let mut found = Vec::new();
    for least_scratch in [false, true] {
        for group in anchors.goals.speedups.iter().filter(|group| !least_scratch || group.layers.len() > 1) {
            for &(sparsity, least) in &group.least {
                let mean = |block| mean_speedup(layers, &group.layers, block, sparsity, least_scratch);
                let scratch = if least_scratch { ", least scratch" } else { "" };
                let name = format!("{}, {sparsity} %{scratch}: times CMSIS-NN", group.name);
                let goal = |mean| Goal::new(name, Bound::AtLeast(least), mean);
                found.extend(mean("1x1").or_else(|| mean("dense")).map(goal));
            }
        }
    }
    found
}

/// Blocks of two against blocks of one, plain Rust against assembly, other shapes against the reference layers.
fn ratios_of_layers(anchors: &Anchors, run: Run<'_>) -> Vec<Goal> {
    let goals = &anchors.goals.most;
    let of = |path, block: &'static str| {
        run.layers.iter().filter(move |row| (row.path, row.support, row.block) == (path, "random", block))
    };
    let count = |row: &Layer| f64::from(row.instructions);
    let like = |row: &Layer, other: &&Layer| {
        (&row.layer, row.sparsity, row.least_scratch) == (&other.layer, other.sparsity, other.least_scratch)
    };
    let pairs = |least_scratch: bool| {
        let three = anchors.speedup("A").map(|group| group.layers.as_slice()).unwrap_or_default();
        let pairs = of("dsp", "1x2").filter(|row| row.sparsity > 0.0 && three.contains(&row.layer));
        let ratio = |two: &Layer| Some(count(two) / count(of("dsp", "1x1").find(|one| like(two, one))?));
        greatest(pairs.filter(|row| row.least_scratch == least_scratch).filter_map(ratio))
    };
    let portable = ["1x1", "1x2", "dense"].into_iter().flat_map(|block| {
        let preferred = of("portable", block).filter(|row| !row.least_scratch);
        preferred.filter_map(move |plain| Some(count(plain) / count(of("dsp", block).find(|dsp| like(plain, dsp))?)))
    });
    let rows = [
        ("1x2 blocks over 1x1, A-E, instructions: the greatest", goals.pairs, pairs(false)),
        ("1x2 blocks over 1x1, A-E, least scratch, instructions: the greatest", goals.pairs, pairs(true)),
        ("portable kernels over DSP, instructions: the greatest", goals.portable, greatest(portable)),
        ("other shapes, instructions a non-zero over the nearest layer's: the greatest", goals.shape, {
            greatest(run.shapes.iter().map(|row| row.ratio))
        }),
    ];
    rows.into_iter().filter_map(|(name, goal, found)| Some(Goal::new(name, most(goal), found?))).collect()
}

fn greatest(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

/// The budgets of whole networks, in the arena that they prefer, with blocks of each kind.
fn networks(anchors: &Anchors, rows: &[Row]) -> Vec<Goal> {
    let mut found = Vec::new();
    for goal in &anchors.goals.networks {
        let meant = |row: &&Row| {
            !row.least_arena
                && (&row.network, row.width, row.sparsity.round()) == (&goal.network, goal.width, goal.sparsity as f64)
        };
        for row in rows.iter().filter(meant) {
            let name = format!("{} w={}, {} %, {}", goal.network, goal.width, goal.sparsity, row.block);
            let counts = [
                ("instructions", goal.instructions, row.instructions.map(u64::from)),
                ("modelled cycles", goal.modelled_cycles, row.modelled_cycles),
            ];
            let compared = counts.into_iter().filter_map(|(what, goal, count)| {
                Some(Goal::new(format!("{name}: {what}"), most(goal? as f64), count? as f64))
            });
            found.extend(compared);
        }
    }
    found
}

/// Arenas over what is alive in them.
fn arenas(anchors: &Anchors, rows: &[Row]) -> Vec<Goal> {
    let of = |name, least_arena: bool| {
        let ratios = rows.iter().filter(|row| row.least_arena == least_arena);
        let ratio = greatest(ratios.map(|row| row.sram_bytes as f64 / row.live_bytes.max(1) as f64))?;
        Some(Goal::new(name, most(anchors.goals.most.arena), ratio))
    };
    let names =
        ["arena for speed over live activations: the greatest", "least arena over live activations: the greatest"];
    names.into_iter().zip([false, true]).filter_map(|(name, least)| of(name, least)).collect()
}

/// The detector, with blocks of each kind.
fn detectors(anchors: &Anchors, rows: &[Row]) -> Vec<Goal> {
    let mut found = Vec::new();
    for block in ["1x1", "1x2"] {
        let rows = || rows.iter().filter(|row| row.network == DETECTOR && row.block == block);
        let span = goals::span(rows()).map(|(share, [sparse, dense])| {
            let name = format!("detector, {block}: instructions at {sparse:.0} % over those at {dense:.0} %");
            Goal::new(name, most(anchors.goals.most.span), share)
        });
        let over = |row: &Row| Some(f64::from(row.instructions?) / goals::sum_of_goals(row).max(1) as f64);
        let sum = greatest(rows().filter(|row| !row.least_arena).filter_map(over)).map(|ratio| {
            let name = format!("detector, {block}: instructions over its layers' goals: the greatest");
            Goal::new(name, most(anchors.goals.most.sum), ratio)
        });
        found.extend([span, sum].into_iter().flatten());
    }
    found
}

/// Prints each goal.
pub fn print_reached(goals: &[Goal]) {
    let mut table = Table::new(["goal", "target", "found", "reached"]);
    // Ratios are small, counts are not.
    let number = |value: f64| if value < 50.0 { format!("{value:.3}") } else { grouped(value.round() as u64) };
    for Goal { goal, target, found, reached } in goals {
        let of = if matches!(target, Bound::AtLeast(_)) { "at least" } else { "at most" };
        let target = format!("{of} {}", number(target.limit()));
        let reached = if *reached { "yes" } else { "no" };
        table.row([goal.clone(), target, number(*found), reached.to_owned()]);
    }
    println!("{table}");
    let count = goals.iter().filter(|goal| goal.reached).count();
    println!("{count} of {} goals are reached.", goals.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::m7::networks::NodeRow;

    fn layer(name: &str, path: &'static str, block: &'static str, sparsity: f64, instructions: u32) -> Layer {
        Layer {
            layer: name.to_owned(),
            path,
            support: "random",
            sparsity,
            block,
            instructions,
            per_dense_mac: 0.0,
            cmsis_instructions: Some(1000),
            speedup: Some(1000.0 / f64::from(instructions)),
            scratch_bytes: 0,
            least_scratch: false,
            source: None,
        }
    }

    fn network(network: &str, block: &'static str, sparsity: f64, instructions: u32) -> Row {
        Row {
            network: network.to_owned(),
            width: 1.0,
            weights: "random",
            block,
            level: 1,
            sparsity,
            instructions: Some(instructions),
            modelled_cycles: None,
            flash_bytes: 0,
            sram_bytes: 150,
            live_bytes: 100,
            least_arena: false,
            images: 1,
            fits: true,
            search_instructions: None,
            nodes: Vec::new(),
        }
    }

    fn run<'r>(layers: &'r [Layer], networks: &'r [Row]) -> Vec<Goal> {
        let anchors = Anchors::read().unwrap();
        reached(&anchors, Run { layers, shapes: &[], networks, switch: None })
    }

    fn find<'g>(goals: &'g [Goal], part: &str) -> &'g Goal {
        goals.iter().find(|goal| goal.goal.contains(part)).unwrap_or_else(|| panic!("no {part} in {goals:?}"))
    }

    #[test]
    fn a_speed_up_is_the_geometric_mean_of_a_whole_group() {
        let mut layers: Vec<Layer> =
            [("F", 100), ("G", 250)].map(|(name, count)| layer(name, "dsp", "1x1", 90.0, count)).into();
        assert_eq!(run(&layers, &[]), [], "H is missing");
        layers.push(layer("H", "dsp", "1x1", 90.0, 160));
        // Others that do not count.
        layers.push(Layer { support: "trained", ..layer("F", "dsp", "1x1", 90.0, 1) });
        let goals = run(&layers, &[]);
        let goal = find(&goals, "1x1 (F-H), 90 %");
        assert!((goal.found - 250.0f64.cbrt()).abs() < 1e-9, "10 · 4 · 6.25 is 250");
        assert_eq!((goal.target, goal.reached, goals.len()), (Bound::AtLeast(8.4), false, 1));
    }

    #[test]
    fn of_ratios_the_greatest_counts() {
        let layers = [
            layer("A", "dsp", "1x1", 70.0, 200),
            layer("A", "dsp", "1x2", 70.0, 170),
            layer("A", "portable", "1x1", 70.0, 390),
            layer("B", "dsp", "1x1", 70.0, 100),
            layer("B", "dsp", "1x2", 70.0, 91),
            layer("B", "portable", "1x1", 70.0, 200),
        ];
        let goals = run(&layers, &[]);
        let [pairs, portable] = ["1x2 blocks", "portable"].map(|part| find(&goals, part));
        assert!((pairs.found - 0.91).abs() < 1e-9 && !pairs.reached);
        assert!((portable.found - 2.0).abs() < 1e-9 && portable.reached, "exactly twice is reached");
    }

    #[test]
    fn budgets_are_compared_with_the_row_that_they_are_for() {
        let mobile = |sparsity, instructions| network("mobilenetv1", "1x1", sparsity, instructions);
        let rows = [mobile(90.0, 1), mobile(69.9, 25_000_001), Row { least_arena: true, ..mobile(70.0, 30_000_000) }];
        let goals = run(&[], &rows);
        let goal = find(&goals, "mobilenetv1 w=1, 70 %, 1x1: instructions");
        assert_eq!((goal.target, goal.found, goal.reached), (Bound::AtMost(25e6), 25_000_001.0, false));
        assert!(goals.iter().all(|goal| !goal.goal.contains("cycles")), "none were modelled");
        assert_eq!(find(&goals, "arena for speed").found, 1.5);
    }

    #[test]
    fn a_detector_is_held_against_its_own_levels_and_layers() {
        let node = |instructions, goal| NodeRow { node: String::new(), kind: String::new(), instructions, goal };
        let sparse = Row { nodes: vec![node(40, Some(30)), node(24, None)], ..network(DETECTOR, "1x2", 90.0, 64) };
        let goals = run(&[], &[sparse, network(DETECTOR, "1x2", 70.0, 100)]);
        let span = find(&goals, "at 90 % over those at 70 %");
        assert_eq!((span.found, span.reached), (0.64, true));
        assert!(goals.iter().any(|goal| goal.goal.contains("its layers' goals") && !goal.reached));
    }
}
