//! The comparison and the ablation from end to end, on images small enough to train in a test.
mod common;

use common::write_set;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

fn command(folder: &Path, experiment: &str, extra: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nested-bench"));
    command.arg(experiment).arg("--quick").args(["--width", "0.25"]).arg("--data").arg(folder);
    command.arg("--json").arg(folder.join(format!("{experiment}.json")));
    command.arg("--out").arg(folder.join("out")).arg("--docs").arg(folder.join("docs")).args(extra);
    command
}

/// Runs to the end; returns what it says on the way.
fn succeed(folder: &Path, experiment: &str, extra: &[&str]) -> String {
    let output = command(folder, experiment, extra).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Leaves out what differs between two runs of the same work in different folders.
fn without_times(mut record: Value) -> Value {
    record["data"]["name"] = Value::Null;
    assert!(record["counting_seconds"].take().as_f64().is_some_and(|seconds| seconds > 0.0));
    for (list, field) in [("runs", "train_seconds"), ("runs", "other_seconds"), ("rows", "host_ms")] {
        record[list].as_array_mut().unwrap().iter_mut().for_each(|entry| entry[field] = Value::Null);
    }
    record
}

/// The seconds of each training's epochs, by the names of the notes beside the checkpoints.
fn noted_seconds(folder: &Path) -> BTreeMap<String, Vec<f64>> {
    let entries = fs::read_dir(folder.join("out/checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    let notes = entries.filter(|path| path.to_str().unwrap().ends_with(".epochs.json"));
    let seconds =
        |note: Value| note.as_array().unwrap().iter().map(|epoch| epoch["seconds"].as_f64().unwrap()).collect();
    notes.map(|path| (path.display().to_string(), seconds(read(&path)))).collect()
}

/// The sparsities of each method's rows.
fn sparsities(record: &Value, suite: &str, method: &str) -> Vec<f64> {
    let rows = record["rows"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["suite"] == suite && row["method"] == method);
    rows.map(|row| row["sparsity"].as_f64().unwrap()).collect()
}

#[cfg(unix)]
#[test]
fn an_interrupted_comparison_goes_on_and_its_figures_are_those_of_a_whole_one() {
    let [whole, parts] = [(); 2].map(|()| {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path());
        folder
    });
    succeed(whole.path(), "compare", &[]);
    let mut run = command(parts.path(), "compare", &[]).stderr(Stdio::null()).spawn().unwrap();
    while !parts.path().join("compare.json").exists() {
        assert!(run.try_wait().unwrap().is_none(), "ended before its first run");
        sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130), "not interrupted");
    let before = read(&parts.path().join("compare.json"))["runs"].as_array().unwrap().clone();
    let begun = noted_seconds(parts.path());
    succeed(parts.path(), "compare", &[]);
    let [record, resumed] = [&whole, &parts].map(|folder| read(&folder.path().join("compare.json")));
    assert_eq!(resumed["runs"].as_array().unwrap()[..before.len()], before);
    assert!(without_times(record.clone()) == without_times(resumed), "other figures than an uninterrupted run's");
    // Every training has its time, that of all its epochs, once: what is pruned at run time is the network of another run, where
    // that one has its rate.
    let notes = noted_seconds(parts.path());
    for (note, seconds) in &begun {
        // Of the last epoch the checkpoint may not have been written any more.
        let kept = seconds.len() - 1;
        assert_eq!(notes[note][..kept], seconds[..kept], "{note}");
    }
    let mut seconds = 0.0;
    let mut trainings = Vec::new();
    for run in read(&parts.path().join("compare.json"))["runs"].as_array().unwrap() {
        let training = run["settings"]["training"].clone();
        assert_eq!(run["train_seconds"].is_null(), trainings.contains(&training), "{run}");
        trainings.push(training);
        assert!(run["other_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{run}");
        seconds += run["train_seconds"].as_f64().unwrap_or(0.0);
    }
    let all: f64 = notes.values().flatten().sum();
    assert!((seconds - all).abs() < 1e-6 * all, "{seconds} of {all} seconds");
    let ladder = [90.0, 80.0, 70.0];
    for method in ["stand-alone", "dsnn", "slimmable"] {
        assert_eq!(sparsities(&record, "full", method), ladder.repeat(2), "{method}");
    }
    assert_eq!(sparsities(&record, "full", "dynamic-pruning"), ladder.repeat(6));
    assert_eq!(sparsities(&record, "full", "dense"), [0.0]);
    for row in record["rows"].as_array().unwrap() {
        for field in ["top1_float", "top1_int8", "file_bytes", "prefix_bytes", "nonzero_macs", "passes"] {
            assert!(row[field].is_number(), "{field} of {row}");
        }
        assert!(row["prefix_bytes"].as_u64() <= row["file_bytes"].as_u64(), "{row}");
    }
}

#[test]
fn what_is_done_is_not_done_again_and_the_document_comes_from_the_figures_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_set(folder);
    assert!(succeed(folder, "compare", &[]).contains("epoch 3/3"));
    let record = fs::read(folder.join("compare.json")).unwrap();
    assert_eq!(succeed(folder, "compare", &[]), "");
    assert_eq!(fs::read(folder.join("compare.json")).unwrap(), record);
    let document = || fs::read_to_string(folder.join("docs/results.md")).unwrap();
    for heading in ["## Goals", "## Full budget", "## Small budget", "## Storage", "## Learning rates"] {
        assert!(document().contains(heading), "{heading}");
    }
    assert!(document().contains("## Ablation\n\nNot run yet."));
    for figure in ["accuracy-latency", "accuracy-storage"] {
        let file = |extension: &str| fs::read(folder.join(format!("docs/figures/{figure}.{extension}"))).unwrap();
        assert!(file("png").starts_with(b"\x89PNG"));
        assert!(String::from_utf8(file("svg")).unwrap().contains("stand-alone (b)"));
    }

    // The ablation finds the comparison's trainings in the work folder, and its table beside the other's.
    let trained = noted_seconds(folder);
    let ablation = succeed(folder, "ablate", &[]);
    assert!(ablation.contains("routing: joint"), "{ablation}");
    let shared = trained.iter().filter(|(note, seconds)| noted_seconds(folder).get(*note) == Some(*seconds));
    assert_eq!(shared.count(), trained.len());
    let ablated = read(&folder.join("ablate.json"));
    let times = ablated["runs"].as_array().unwrap().iter().map(|run| run["train_seconds"].as_f64());
    assert!(times.flatten().any(|seconds| trained.values().any(|epochs| epochs.iter().sum::<f64>() == seconds)));
    let whole = document();
    assert!(whole.contains("| routing: joint") && whole.contains("| default"));
    fs::remove_dir_all(folder.join("docs")).unwrap();
    fs::remove_dir_all(folder.join("out")).unwrap();
    succeed(folder, "ablate", &["--report"]);
    assert_eq!(document(), whole);
}

/// All training would be for nothing.
#[test]
fn where_the_figures_cannot_be_written_nothing_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_set(folder);
    for experiment in ["compare", "ablate"] {
        let json = folder.join("missing").join("figures.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_nested-bench"));
        command.args([experiment, "--quick", "--data"]).arg(folder).arg("--json").arg(json);
        command.arg("--out").arg(folder.join("out")).arg("--docs").arg(folder.join("docs"));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("figures.json: cannot be written") && text.lines().count() == 1, "{text}");
        assert!(!folder.join("out").exists());
    }
}

#[test]
fn figures_of_other_images_are_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_set(folder);
    let other = r#"{"data": {"name": "other", "train_images": 1, "test_images": 1, "crc32": "00000000"},
                    "runs": [], "rows": []}"#;
    fs::write(folder.join("compare.json"), other).unwrap();
    let output = command(folder, "compare", &[]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("compare.json: its runs are of other (CRC-32 00000000)"), "{text}");
}

/// An empty document would stand in the place of one that is there.
#[test]
fn a_report_of_figures_that_are_not_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for experiment in ["compare", "ablate"] {
        let output = command(folder, experiment, &["--report"]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("{experiment}.json: cannot be read")) && text.lines().count() == 1, "{text}");
        assert!(!folder.join("docs").exists());
    }
}

/// A checkpoint's name tells its settings alone.
#[test]
fn checkpoints_of_other_images_are_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_set(folder);
    succeed(folder, "ablate", &[]);
    let images = folder.join("train-images-idx3-ubyte");
    let mut bytes = fs::read(&images).unwrap();
    bytes.iter_mut().skip(16).for_each(|pixel| *pixel = !*pixel);
    fs::write(&images, bytes).unwrap();
    let output = command(folder, "compare", &[]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("images.txt: the checkpoint is of 320 and 60 images"), "{text}");
}

#[test]
fn figures_of_another_network_are_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_set(folder);
    succeed(folder, "compare", &["--methods", "dense"]);
    let other = command(folder, "compare", &[]);
    let arguments: Vec<_> =
        other.get_args().map(|argument| if argument == "0.25" { "0.5".as_ref() } else { argument }).collect();
    let output = Command::new(other.get_program()).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("its runs are of ResNet-8 at width 0.25: take another --json"), "{text}");
}
