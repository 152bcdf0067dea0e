//! `detect` from end to end, on scenes small enough to train in a test.
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn run(folder: &Path, extra: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nested-bench"));
    command.args(["detect", "--quick", "--width", "0.25", "--size", "32", "--epochs", "1", "--no-m7", "--out"]);
    command.arg(folder.join("out")).args(extra).output().unwrap()
}

fn succeed(folder: &Path, extra: &[&str]) -> String {
    let output = run(folder, extra);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The line that a failing run prints.
fn error(folder: &Path, extra: &[&str]) -> String {
    let output = run(folder, extra);
    assert!(!output.status.success(), "succeeded");
    String::from_utf8(output.stderr).unwrap()
}

fn report(folder: &Path) -> serde_json::Value {
    let mut report: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("out/report.json")).unwrap()).unwrap();
    let seconds = ["train_seconds", "all_train_seconds"].map(|time| report[time].take().as_f64().unwrap());
    assert!(0.0 < seconds[0] && seconds[0] < seconds[1], "{seconds:?}");
    report
}

#[test]
fn composed_scenes_become_files_that_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let table = succeed(folder.path(), &["--compare"]);
    assert_eq!(table.lines().count(), 2 + 3 + 1 + 2 * 3 + 3, "{table}");
    let first = report(folder.path());
    for (index, level) in first["levels"].as_array().unwrap().iter().enumerate() {
        assert_eq!(level["level"], index + 1);
        assert!(level["m7_instructions"].is_null());
        for precision in ["map50", "map5095"] {
            assert!((0.0..=100.0).contains(&level[precision].as_f64().unwrap()));
        }
    }
    assert!(first["dense"]["level"].is_null());
    for name in ["nested.ncsr", "dense.ncsr", "stand-alone-3-b.ncsr", "slimmable-1.ncsr", "boxes.json"] {
        assert!(folder.path().join("out").join(name).exists(), "{name}");
    }
    assert!(fs::read(folder.path().join("out/scenes.png")).unwrap().starts_with(b"\x89PNG"));
    // All epochs are done: going on measures the same networks again.
    succeed(folder.path(), &["--compare", "--resume"]);
    assert_eq!(report(folder.path()), first);
    let other = error(folder.path(), &["--resume", "--tile", "40"]);
    assert!(other.contains("the checkpoint is of 256 scenes"), "{other}");
    // Nor can a network be trained so, and what is there stays.
    let wrong = error(folder.path(), &["--learning-rate", "0"]);
    assert!(wrong.contains("learning_rate") && wrong.lines().count() == 1, "{wrong}");
    for name in ["report.json", "scenes.png", "boxes.json", "nested.ncsr", "checkpoint-nested.safetensors"] {
        assert!(folder.path().join("out").join(name).exists(), "{name}");
    }
}

/// Bright squares on grey, with their boxes beside them.
fn flat_folder(folder: &Path) {
    for index in 0..50u32 {
        let (left, top) = (index * 7 % 30, index * 11 % 30);
        let inside = |x: u32, y: u32| (left..left + 18).contains(&x) && (top..top + 18).contains(&y);
        let image =
            image::RgbImage::from_fn(64, 48, |x, y| image::Rgb(if inside(x, y) { [250, 200, 30] } else { [60; 3] }));
        image.save(folder.join(format!("{index}.png"))).unwrap();
        let text = format!(
            "<annotation><object><name>square</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>\
             </bndbox></object></annotation>",
            left + 1,
            top + 1,
            left + 18,
            top + 18
        );
        fs::write(folder.join(format!("{index}.xml")), text).unwrap();
    }
}

#[test]
fn a_folder_of_images_is_read_and_cut_into_tiles() {
    let folder = tempfile::tempdir().unwrap();
    flat_folder(folder.path());
    let voc = folder.path().to_str().unwrap();
    succeed(folder.path(), &["--voc", voc, "--tile", "48", "--batch", "16"]);
    let report = report(folder.path());
    assert_eq!(report["classes"], serde_json::json!(["square"]));
    // Two tiles each.
    assert_eq!((&report["train_images"], &report["test_images"]), (&40.into(), &10.into()));
    assert_eq!((&report["train_scenes"], &report["test_scenes"]), (&80.into(), &20.into()));
    let unknown = error(folder.path(), &["--voc", voc, "--classes", "circle"]);
    assert_eq!(unknown, "error: no annotation has the class `circle`; the classes are square\n");
    let few = error(folder.path(), &["--voc", voc, "--batch", "64"]);
    assert!(few.contains("40 training scenes are fewer than a batch of 64"), "{few}");
}
