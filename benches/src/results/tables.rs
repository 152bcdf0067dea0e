//! The document's text.
use super::{
    ablation, goals,
    storage::{self, Ratio},
    summary::{Cell, Estimate, Group, Key, groups},
};
use crate::{
    experiment::{
        plan::{self, Kind},
        record::{Counter, Finished, Record, Row, Time, Unit},
        settings::{Growth, MaskingName, Method, Settings, Suite, Training},
    },
    goal::{self, Goal},
    table::{Table, grouped},
};
use nested_mask::train::Config;
use std::fmt::Write;

/// The whole document.
pub fn document(
    comparison: &Record,
    ablation: &Record,
    wide: &Record,
    full: &[Group<'_>],
    storage: &[Ratio],
) -> String {
    let small = groups(comparison, Suite::Small);
    let others = groups(comparison, Suite::Networks);
    let goals = if goals::are_of(comparison) {
        let goals = goals::all(comparison, full, &small, &others, storage);
        format!("{}\n\n{ERRORS}\n{}", goal::summary(&goals), goal::table(&goals))
    } else {
        NO_GOALS.to_owned()
    };
    let mut sections = vec![
        introduction(if comparison.data.is_some() { comparison } else { ablation }),
        origin(comparison),
        format!("## Goals\n\n{goals}"),
        section("## Full budget\n", full, comparison),
    ];
    if !full.is_empty() {
        sections.push("![accuracy against instructions](figures/accuracy-latency.svg)\n".to_owned());
        sections.push("![accuracy against bytes](figures/accuracy-storage.svg)\n".to_owned());
    }
    sections.push(section("## Small budget\n", &small, comparison));
    sections.push(section("## Other networks\n", &others, comparison));
    sections.extend(wider(wide));
    sections.push(format!("## Settings\n\n{SETTINGS}\n\n{}", settings(comparison)));
    sections.push(format!("## Storage\n\n{STORAGE}\n\n{}", storage::table(storage)));
    sections.push(format!(
        "## Learning rates\n\n{}{RATES}{}\n\n{}",
        choice(comparison),
        at_ends(comparison, full.iter().chain(&small).chain(&others)),
        rates(comparison)
    ));
    if let Some(table) = widths(comparison) {
        sections.push(format!("## Widths of the slimmable network\n\n{WIDTHS}\n\n{table}"));
    }
    sections.push(match ablation::table(ablation) {
        Some(table) => {
            let changes = groups(ablation, Suite::Ablation);
            let (ends, failed) = (at_ends(ablation, changes.iter()), failed(ablation, Suite::Ablation));
            let hours = goal::table(&[goals::ablation_hours(ablation, &changes)]);
            format!("## Ablation\n\n{ABLATION}{ends}{failed}\n\n{}\n{table}\n{hours}", origin(ablation))
        }
        None => "## Ablation\n\nNot run yet.\n".to_owned(),
    });
    sections.join("\n")
}

/// The package's name is the folder's.
const FASHION_MNIST: &str = "fashion-mnist";

fn introduction(record: &Record) -> String {
    let made_by = "\
# Results

Made by `nested-bench compare --data DIR` and `nested-bench ablate --data DIR` from `results/compare.json` and
`results/ablate.json`, where the raw figures of every run are.";
    let is_fashion_mnist = record.data.as_ref().is_some_and(|data| data.name == FASHION_MNIST);
    let files = if is_fashion_mnist { FILES } else { "" };
    format!("{made_by}{files}\n{REPEATED}")
}

const FILES: &str = " `DIR` has the four files of Fashion-MNIST, as Debian's package
`dataset-fashion-mnist` puts them into `/usr/share/datasets/fashion-mnist`.";

const REPEATED: &str = "\
Both commands leave out runs that their file has,
`--report` makes this page without training, and `compare --data DIR --json out/anew.json --out out/anew --docs out/docs` trains all
of the comparison anew, `ablate` likewise. Learning rates were chosen on validation images, a fifth of the training images; [method.md](method.md) says which settings
were changed after earlier comparisons had been seen.
";

const ERRORS: &str = "\
A verdict compares the mean over the seeds with what is needed. After ± stands its standard error; differences are taken seed by seed. Of three
seeds, 95 % intervals are 4.3 standard errors wide to either side, so what is nearer to its limit is not certain; nor does an error
tell how far other test images would move a figure (±0.3 point for an accuracy, less for a difference).

* Networks that are compared *at equal instructions* or *bytes*: the rival's curve, straight between its levels, is read at the cost of
  the level or, where it does not reach so far, ours at the cost of the rival's same level. All others are compared level by level, but on
  the frontier, where each way to train a rival stands by itself at equal instructions.
* DSNN and slimmable networks were trained in two ways, and networks that are pruned at run time at two rates; at each level the better one
  counts.
* *(a)*, *equal total compute*: all stand-alone networks together have the image passes of the nested one; *(b)*: each of them has as many.
  Those of (b) are no rivals on the frontier: they are what nesting is to cost little beside.
* *Hours of compute* are of training, measuring and counting, without the choice of the slimmable networks' widths (under a minute).
";

const NO_GOALS: &str = "\
None: they were set for ResNet-8 at half width, 21 epochs of 60,000 images and 10,000 test images.
";

const WIDER: &str = "\
Made by `nested-bench compare --width 1 --seeds 1 --methods nested,slimmable --json docs/results/wide.json --docs target/wide --data DIR`.";

const WIDTHS: &str = "\
For each level the width, in thirty-seconds of the channels, that costs most nearly what the level of the nested network with
seed 1 costs, counted when the network was trained.";

const ABLATION: &str = "\
The nested network with one factor changed, at the small budget: int8 accuracy on validation images, mean ± standard
deviation over the seeds; *over the default's* is told seed by seed, ± its standard error. *MACs*: the non-zero ones of all levels over
the default's. All have the same image passes, as near as
whole epochs allow (regrowth has some more, and a distilling teacher's forward passes are not counted): what passes through several levels a step makes fewer steps or, with *smaller batches*, as many. Learning rates
were tuned with seed 1, which is in no row, for the best of many rates looks better than it is: the default's serves all changes but
those of ramp, γ and β and routing and the gradients' mask, which were tuned separately, for a weight moves more or less often or far.
Layers without masks count as ring 1, so that with *ring* they learn from level 1 alone, and with *frozen* in its turn alone; there each
level has its own γ and β, so of *ring* take off what the row *γ and β of each level* has, of *frozen* the row *ramp over a fifth; own γ and β*.";

const STORAGE: &str = "\
Whole files of the format's size profile in bytes, requantisation and all else counted, with uniform random supports of
90/80/70 %, 32×32×3 images and 10 classes.";

/// How rates were chosen, and how sure a choice can be.
fn choice(record: &Record) -> String {
    let Some(data) = &record.data else { return String::new() };
    let images = data.train_images / 5;
    let tuning = record.rows.iter().filter(|row| row.suite == Suite::Tune).map(|row| row.top1_int8 / 100.0);
    let best = tuning.reduce(f64::max).unwrap_or(0.0);
    let error = 100.0 * (best * (1.0 - best) / images.max(1) as f64).sqrt();
    format!(
        "\
Int8 accuracy on validation images (a fifth of the training images, which are then not trained on), one seed, at the budget that
the rate is for, less the validation images (other networks: for fewer epochs, as listed, and ResNet-9 with half the small budget's images). Of each
method the rate with the best mean over its levels was taken, of networks that stand alone each level's own: a choice by one accuracy of one seed (standard error
{error:.2} point on {} images), where the nested network's is by three.",
        grouped(images as u64)
    )
}

const RATES: &str = " Ramp and γ and β were chosen for the nested network ([method.md](method.md)),
so networks that stand alone and DSNN with one level a step were also tuned as it was before (*ramp over half*, γ and β of each level), at the rates between the grid's
ends, and take what is better. The greater the rate, the better a network bears to be pruned later: what is pruned has one rate more, twice the greatest, and
the densest stand-alone network to be pruned was tuned as before at all rates but the least. Nested MobileNetV1 and ResNet-9 were also tuned with γ and β of
each level. Rivals whose authors pass through all levels at
each step (joint training) were tuned and trained both ways, with as many image passes. Of *dynamic-pruning* the figures are those
of the pruned and recalibrated network; *at its own rate* it is the stand-alone (b) or the dense network, with that one's rate. ERK and
automatic took the nested network's rate, and what is pruned and not recalibrated that of what is.";

const SETTINGS: &str = "\
Of all trainings, unless a row says otherwise: the *rate* of a table is the peak, after a linear rise from 0 and before a cosine to 0; γ, β
and biases do not decay. In ResNet-8 the six 3×3 convolutions after the first are sparse, in ResNet-9 all 3×3 ones but the first, in MobileNetV1 and DS-CNN the
pointwise ones; the sparsity is that of their weights, and all other layers are dense. ResNet-9 and MobileNetV1 read images padded to 32×32.
Trainings of the small budget and the ablation use a part of the training images that is the same for all runs, and so is the
validation part, which has equally many images of each class. A seed determines initial weights, the images' order and changes, and drawn levels;
the seeds are 1, 2 and so on (of the ablation 2, 3 and so on), and learning rates were tuned with seed 1.";

/// Command, data, machine and commits.
fn origin(record: &Record) -> String {
    let mut text = String::new();
    if let Some(data) = &record.data {
        let _ = write!(
            text,
            "Data: {}, {} training and {} test images (CRC-32 {}). ",
            data.name,
            grouped(data.train_images as u64),
            grouped(data.test_images as u64),
            data.crc32
        );
    }
    let _ = write!(
        text,
        "Machine: {}. Commits (`+`: with changes): {}",
        listed(record.runs.iter().map(|run| &run.machine)),
        listed(record.runs.iter().map(|run| &run.commit))
    );
    let others = record.runs.iter().filter(|run| !run.trained_by.is_empty());
    let trained_by = listed(others.clone().flat_map(|run| &run.trained_by));
    let _ = match others.count() {
        0 => write!(text, ". "),
        runs => write!(text, "; networks of {runs} runs trained by {trained_by}. "),
    };
    if let Some(Counter { commit, compiler, .. }) = &record.counter {
        let _ = write!(text, "Instructions: Cortex-M7 in QEMU, kernels of {commit}, {compiler}. ");
    }
    let Time { training, trainings, untimed, other } = record.time();
    let of = if untimed == 0 {
        format!("in all, {trainings} trainings")
    } else {
        format!("for {} of {trainings} trainings; the others' time is not known", trainings - untimed)
    };
    let other = other.map_or(String::new(), |seconds| format!("; all else took {:.1} hours", seconds / 3600.0));
    let _ = writeln!(text, "Training took {:.1} hours {of}{other}. {} runs.", training / 3600.0, record.runs.len());
    text
}

/// Different ones, in order.
fn listed<'r>(names: impl Iterator<Item = &'r String>) -> String {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name.as_str()) {
            found.push(name);
        }
    }
    found.join(", ")
}

/// The same comparison at another width, where there is one.
fn wider(wide: &Record) -> Option<String> {
    let full = groups(wide, Suite::Full);
    let lead = |(level, found): (f64, Option<Estimate>)| {
        Goal::points_beside(format!("nested over slimmable at equal instructions, at {level:.0} %"), found)
    };
    let leads: Vec<Goal> = goals::over_slimmable(&full, Kind::Nested, goals::instructions).map(lead).collect();
    let widths = widths(wide)?;
    let (origin, leads) = (origin(wide), goal::table(&leads));
    Some(
        section("## A wider network\n", &full, wide)
            + &format!("\n{WIDER}{}\n\n{origin}\n{leads}\n{WIDTHS}\n\n{widths}", at_ends(wide, full.iter())),
    )
}

/// A budget's table; says so when there is nothing yet.
fn section(heading: &str, groups: &[Group<'_>], record: &Record) -> String {
    let mut text = heading.to_owned();
    let Some(suite) = groups.first().map(|group| group.key.suite) else {
        return text + "\nNot run yet.\n";
    };
    let _ = writeln!(
        text,
        "\nAccuracies in per cent, mean ± standard deviation over the seeds; *passes*: images times levels, forward and\n\
         backward, of one network. (a): all stand-alone networks together have the nested one's passes; (b): each has\n\
         them. Models are coded for speed, which costs bytes and saves instructions; *prefix bytes* are those that a device needs for\n\
         the level and the sparser ones. Instructions are those with an arena that has room for the fastest plan. Host times are of one\n\
         thread, all models in turn; –: not timed, as those of images that are not the test images' size. {}{}\n",
        trainings(record, suite),
        failed(record, suite)
    );
    text + &results(groups).to_string()
}

/// Names the runs of a suite that have no figures, and why; begins with a space.
fn failed(record: &Record, suite: Suite) -> String {
    let runs = record.runs.iter().filter(|run| run.settings.suite == suite);
    let failed = runs.filter_map(|run| Some(format!("{}: {}", run.settings.name(), run.failed.as_ref()?)));
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() { String::new() } else { format!(" **Failed**: {}.", failed.join("; ")) }
}

/// How each network of a suite was trained, nested; and which rivals in another way.
fn trainings(record: &Record, suite: Suite) -> String {
    let mut told: Vec<String> = Vec::new();
    for run in &record.runs {
        let Training { network, width, epochs, growth, .. } = &run.settings.training;
        let text = match (run.settings.method, run.settings.training.steps() + recipe(&run.settings.training)) {
            (Method::Nested, chosen) => format!(
                "{network} at width {width}: {epochs} epochs, sparsity growing until {:.0} % of the steps are done{chosen}.",
                100.0 * growth.end
            ),
            (_, chosen) if chosen.is_empty() => continue,
            (_, chosen) => {
                let Some(row) = record.rows_of(run).next() else { continue };
                let of = if run.settings.levels() == 1 { format!(" at {:.0} %", row.sparsity) } else { String::new() };
                format!("{}{of}{chosen}: chosen by tuning.", Key::of(row).name())
            }
        };
        if run.settings.suite == suite && !told.contains(&text) {
            told.push(text);
        }
    }
    told.join(" ")
}

fn results(groups: &[Group<'_>]) -> Table {
    let mut table = Table::new([
        "method",
        "network",
        "sparsity %",
        "seeds",
        "passes",
        "rate",
        "top-1 float",
        "top-1 int8",
        "file bytes",
        "prefix bytes",
        "non-zero MACs",
        "M7 instructions",
        "host ms",
    ]);
    for group in groups {
        for cell in &group.cells {
            table.row(result(group, cell));
        }
    }
    table
}

fn result(group: &Group<'_>, cell: &Cell<'_>) -> Vec<String> {
    let whole = |value: f64| grouped(value.round() as u64);
    let maybe = |value: Option<f64>, text: &dyn Fn(f64) -> String| value.map_or("–".to_owned(), text);
    vec![
        group.key.name(),
        group.key.network.to_string(),
        format!("{:.0}", cell.sparsity),
        cell.rows.len().to_string(),
        whole(cell.mean(|row| row.passes as f64)),
        format!("{}", cell.rate()),
        cell.spread(|row| row.top1_float),
        cell.spread(|row| row.top1_int8),
        whole(cell.mean(|row| row.file_bytes as f64)),
        whole(cell.mean(|row| row.prefix_bytes as f64)),
        whole(cell.mean(|row| row.nonzero_macs as f64)),
        maybe(cell.instructions(), &whole),
        maybe(cell.host_ms(), &|ms| format!("{ms:.3}")),
    ]
}

/// What all trainings have in common.
fn settings(record: &Record) -> Table {
    let mut table = Table::new(["setting", "value"]);
    let Config { momentum, weight_decay, warm_up, rank_every, augmentation, .. } = Config::default();
    let batch = record.runs.iter().find(|run| run.settings.method == Method::Nested);
    let nested = record.runs.iter().map(|run| &run.settings).filter(|settings| settings.method == Method::Nested);
    let affine = match nested.fold([false; 2], |[own, shared], settings| match settings.training.shared_affine {
        true => [own, true],
        false => [true, shared],
    }) {
        [false, _] => "one for all levels; statistics of each",
        [true, false] => "of each level, as statistics are",
        [true, true] => "one for all levels in some trainings, of each level in others; statistics of each",
    };
    let rows = [
        ("images a step", batch.map_or(String::new(), |run| run.settings.training.batch.to_string())),
        ("momentum (SGD)", momentum.to_string()),
        ("weight decay", weight_decay.to_string()),
        ("rise of the rate, share of the steps", warm_up.to_string()),
        ("changes of the images", format!("moved by up to {} pixel each way", augmentation.shift)),
        ("steps between two rankings of the weights", rank_every.to_string()),
        ("sparsity's growth", "cubic, to the share of the steps that each table names".to_owned()),
        ("routing", "one random level a step".to_owned()),
        ("γ and β of nested networks", affine.to_owned()),
    ];
    for (setting, value) in rows {
        table.row([setting.to_owned(), value]);
    }
    table
}

/// What slimmable networks' widths were chosen by.
fn widths(record: &Record) -> Option<Table> {
    let unit = record.widths.first()?.unit;
    let what = match unit {
        Unit::M7Instructions => "Cortex-M7 instructions",
        Unit::NonzeroMacs => "non-zero MACs",
    };
    let mut table = Table::new([
        "level's sparsity %".to_owned(),
        format!("its {what}"),
        "channels kept %".to_owned(),
        format!("{what} of that width"),
    ]);
    for width in &record.widths {
        table.row([
            format!("{:.0}", width.sparsity),
            grouped(width.nested_cost),
            format!("{}", 100.0 - width.left_out),
            grouped(width.cost),
        ]);
    }
    Some(table)
}

/// Learning rates that were tried, rising.
fn grid<'r>(tuning: impl Iterator<Item = &'r Finished>) -> Vec<f64> {
    let mut rates: Vec<f64> = tuning.map(|run| run.settings.training.learning_rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    rates
}

/// All runs that tuned.
fn tuning(record: &Record) -> impl Iterator<Item = &Finished> {
    record.runs.iter().filter(|run| run.settings.suite == Suite::Tune)
}

/// Names the methods that a wider grid might serve better: whose rate is at an end of those that were tried for the method, trained in
/// the same way.
fn at_ends<'g>(record: &Record, groups: impl Iterator<Item = &'g Group<'g>>) -> String {
    let is_at_end = |row: &Row| {
        let Some(run) = record.runs.iter().find(|run| run.id == row.run) else { return false };
        // Its own, unless it took another's rate.
        let is_kind = |kind: &Kind| kind.method() == row.method && kind.variant() == row.variant.as_deref();
        let method = plan::all().find(is_kind).map_or(row.method, |kind| kind.tuned_as().method());
        let this = &run.settings.training;
        let alike = |other: &&Finished| {
            let other_is_dense = other.settings.training.ladder == [0.0];
            let Settings { method: of, training: other, .. } = &other.settings;
            (*of, other.network, other.growth, other_is_dense)
                == (method, this.network, this.growth, this.ladder == [0.0])
        };
        let grid = grid(tuning(record).filter(alike));
        [grid.first(), grid.last()].contains(&Some(&row.learning_rate))
    };
    let ends = |group: &&Group<'_>| group.cells.iter().any(|cell| cell.rows.iter().any(|row| is_at_end(row)));
    let name = |group: &Group<'_>| {
        let budget = if group.key.suite == Suite::Small { ", small budget" } else { "" };
        format!("{} {}{budget}", group.key.network, group.key.name())
    };
    let names: Vec<String> = groups.filter(ends).map(name).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(" At an end of the rates that were tried, so that others might serve them better: {}.", names.join("; "))
}

/// The grid of learning rates.
fn rates(record: &Record) -> Table {
    let tuning: Vec<&Finished> = tuning(record).collect();
    let rates = grid(tuning.iter().copied());
    let mut table = Table::new(["trained".to_owned()].into_iter().chain(rates.iter().map(f64::to_string)));
    let mut shown: Vec<String> = Vec::new();
    for run in &tuning {
        let name = untuned(run);
        if shown.contains(&name) {
            continue;
        }
        let cell = |&rate: &f64| {
            let same = |other: &&&Finished| untuned(other) == name && other.settings.training.learning_rate == rate;
            tuning.iter().find(same).map_or(String::new(), |run| accuracies(record, run))
        };
        table.row([name.clone()].into_iter().chain(rates.iter().map(cell)));
        shown.push(name);
    }
    table
}

/// What a tuning run is called without its rate.
fn untuned(run: &Finished) -> String {
    let training = Training { learning_rate: 0.0, ..run.settings.training.clone() };
    let levels: Vec<String> = training.ladder.iter().map(f64::to_string).collect();
    let what = if training.masking == MaskingName::Slimmable { "channels left out" } else { "sparse" };
    let (network, method) = (training.network, run.settings.method.name());
    let (epochs, images) = (training.epochs, grouped(training.images as u64));
    let (levels, recipe) = (levels.join("/"), recipe(&training));
    format!("{network} {method}, {levels} % {what}, {epochs} epochs of {images}{}{recipe}", training.steps())
}

/// Tells when sparsity grows unless it is as in the nested network, and whether levels have γ and β of their own; begins with a comma.
fn recipe(training: &Training) -> &'static str {
    if training.ladder == [0.0] || training.masking == MaskingName::Slimmable {
        return "";
    }
    match (training.growth == Growth::default(), training.ladder.len() > 1 && !training.shared_affine) {
        (false, false) => "",
        (true, false) => ", ramp over half",
        (false, true) => ", γ and β of each level",
        (true, true) => ", ramp over half, γ and β of each level",
    }
}

fn accuracies(record: &Record, run: &Finished) -> String {
    if run.failed.is_some() {
        return "diverged".to_owned();
    }
    record.rows_of(run).map(|row| format!("{:.2}", row.top1_int8)).collect::<Vec<_>>().join(" / ")
}
