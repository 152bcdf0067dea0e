//! `docs/detection.md`: what a run found, as a page.
use super::report::{DetectEntry, DetectReport};
use crate::{
    m7,
    table::{Table, grouped},
};
use std::fmt::Write;

/// The page of a report; `board`: what a Cortex-M7 takes for each layer of the nested network, one row a level.
pub fn page(report: &DetectReport, board: &[m7::Row], anchors: &m7::Anchors) -> String {
    let mut text = format!(
        "# Object detection, measured\n\nWritten by `nested-bench {}` with `--page`.\n\n\
         {}, {} blocks; {} images to train on, {} to measure on ({}{}), {} classes. {} epochs, seed {}. {}\n\n",
        report.command,
        report.network,
        report.block,
        grouped(report.train_images as u64),
        grouped(report.test_images as u64),
        report.dataset,
        if report.validation { ", a part of the training data" } else { "" },
        report.classes.len(),
        report.epochs,
        report.seed,
        match (report.train_seconds, report.all_train_seconds) {
            (Some(nested), Some(all)) => {
                format!("Training took {:.0} minutes in all, of the nested network {:.0}.", all / 60.0, nested / 60.0)
            }
            _ => "How long training took is not known.".to_owned(),
        }
    );
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", report.table());
    text.push_str(
        "mAP in per cent: @.5 over all points as PASCAL VOC counts it, @[.5:.95] at 101 points as COCO does, with integers from pixels \
         to boxes but for the column *float*. *M7 instructions*: exact, from QEMU, boxes included. *SRAM*: arena, image, values of \
         the heads, list of boxes and the detector's stack. All networks have one learning rate, ramp, draws and allocation; their defaults were \
         chosen for the nested one on validation images, so that with settings of their own others may come out better.\n\n",
    );
    let _ = writeln!(text, "{}", goals(report, anchors));
    if board.iter().any(|row| !row.nodes.is_empty()) {
        let rows: Vec<&m7::Row> = board.iter().collect();
        let _ = writeln!(
            text,
            "\n## Layers of the nested network\n\nInstructions at each level, and what the goals of single layers (speed-ups over \
             CMSIS-NN's dense kernels at the layer's own sparsity, [Cortex-M](m7.md)) come to. Boxes are read at {}.\n\n{}",
            m7::READING,
            m7::layers_and_goals(anchors, &rows)
        );
    }
    text
}

/// What was to be reached, and what was.
fn goals(report: &DetectReport, anchors: &m7::Anchors) -> Table {
    let mut table = Table::new(["goal", "found", "reached"]);
    let mut row = |goal: &str, found: String, reached: bool| {
        table.row([goal.to_owned(), found, if reached { "yes" } else { "no" }.to_owned()]);
    };
    let dense = report.dense.map50;
    row("dense mAP@.5 between 60 and 95", format!("{dense:.2}"), (60.0..=95.0).contains(&dense));
    if let (Some(first), Some(last)) = (report.levels.first(), report.levels.last()) {
        let gap = dense - first.map50;
        row("level 1 within 5 points of dense", format!("{gap:.2} below"), gap <= 5.0);
        if let (Some(sparse), Some(full)) = (first.m7_instructions, last.m7_instructions) {
            let ratio = sparse as f64 / full as f64;
            let (most, of) = (anchors.most_of_last(), [first.sparsity, last.sparsity]);
            let goal = format!("instructions at {:.0} % at most {most} × those at {:.0} %", of[0], of[1]);
            row(&goal, format!("{ratio:.3}"), ratio <= most);
        }
        let allowance = anchors.most_of_sum();
        let over = |level: &DetectEntry| Some(level.m7_instructions? as f64 / level.m7_goal? as f64);
        let over: Vec<f64> = report.levels.iter().filter_map(over).collect();
        if !over.is_empty() {
            let goal = format!("instructions at most {} × what the goals of its layers add up to", allowance);
            let all: Vec<String> = over.iter().map(|over| format!("{over:.3}")).collect();
            row(&goal, all.join(" / "), over.iter().all(|over| *over <= allowance));
        }
    }
    let rivals = [
        ("each level within 1 point of stand-alone (a): all of them together trained as long", &report.stand_alone_a),
        ("each level within 1 point of stand-alone (b): each trained as long", &report.stand_alone_b),
    ];
    for (goal, alone) in rivals {
        let pair = |(nested, alone): (&DetectEntry, &DetectEntry)| nested.map50 - alone.map50;
        let leads: Vec<f64> = report.levels.iter().zip(alone).map(pair).collect();
        if !leads.is_empty() {
            let all: Vec<String> = leads.iter().map(|lead| format!("{lead:+.2}")).collect();
            row(goal, all.join(" / "), leads.iter().all(|lead| *lead >= -1.0));
        }
    }
    table
}
