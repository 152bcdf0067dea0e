//! `docs/detection.md`: what a run found, as a page.
use super::report::{DetectEntry, DetectReport};
use crate::{
    goal::{self, Bound, Goal},
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
    let dense = report.dense.map50;
    let mut goals = vec![
        Goal::of_figure("dense mAP@.5, a task that can be learned", Bound::AtLeast(60.0), Some(dense), ""),
        Goal::of_figure("dense mAP@.5, a task that is not too easy", Bound::AtMost(95.0), Some(dense), ""),
    ];
    if let (Some(first), Some(last)) = (report.levels.first(), report.levels.last()) {
        let gap = Some(dense - first.map50);
        goals.push(Goal::of_figure("level 1 below dense", Bound::AtMost(5.0), gap, " points"));
        let ratio = first.m7_instructions.zip(last.m7_instructions).map(|(sparse, full)| sparse as f64 / full as f64);
        let what = format!("instructions at {:.0} % over those at {:.0} %", first.sparsity, last.sparsity);
        goals.push(Goal::of_figure(what, Bound::AtMost(anchors.most_of_last()), ratio, ""));
        let allowance = anchors.most_of_sum();
        let over = |level: &DetectEntry| Some(level.m7_instructions? as f64 / level.m7_goal? as f64);
        let over: Vec<f64> = report.levels.iter().filter_map(over).collect();
        let what = "instructions over what the goals of its layers add up to, at each level";
        goals.push(Goal::of_each(what, Bound::AtMost(allowance), &over, ""));
    }
    let rivals = [
        ("each level over stand-alone (a): all of them together trained as long", &report.stand_alone_a),
        ("each level over stand-alone (b): each trained as long", &report.stand_alone_b),
    ];
    for (what, alone) in rivals {
        let pair = |(nested, alone): (&DetectEntry, &DetectEntry)| nested.map50 - alone.map50;
        let leads: Vec<f64> = report.levels.iter().zip(alone).map(pair).collect();
        goals.push(Goal::of_each(what, Bound::AtLeast(-1.0), &leads, " points"));
    }
    goal::table(&goals)
}
