//! The pipeline from end to end, on images small enough to train in a test.
mod common;

use common::write_set;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

struct Setting {
    folder: tempfile::TempDir,
    epochs: &'static str,
}

impl Setting {
    fn new(epochs: &'static str) -> Setting {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path());
        Setting { folder, epochs }
    }

    fn command(&self, out: &str, extra: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nested-bench"));
        command.arg("pipeline").arg("--data").arg(self.folder.path()).arg("--out").arg(self.folder.path().join(out));
        command.args(["--epochs", self.epochs, "--batch", "32"]).args(extra);
        if !extra.contains(&"--width") {
            command.args(["--width", "0.25"]);
        }
        command
    }

    fn run(&self, out: &str, extra: &[&str]) -> Output {
        self.command(out, extra).output().unwrap()
    }

    fn succeed(&self, out: &str, extra: &[&str]) -> String {
        let output = self.run(out, extra);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The line that a failing run prints.
    fn error(&self, out: &str, extra: &[&str]) -> String {
        let output = self.run(out, extra);
        assert!(!output.status.success(), "succeeded");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    }

    fn file(&self, out: &str, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(out).join(name)).unwrap()
    }

    fn report(&self, out: &str) -> serde_json::Value {
        let mut report: serde_json::Value = serde_json::from_slice(&self.file(out, "report.json")).unwrap();
        remove_times(&mut report);
        report
    }
}

/// What differs between two runs of the same work.
fn remove_times(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| name != "train_seconds" && name != "host_ms");
            fields.values_mut().for_each(remove_times);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(remove_times),
        _ => {}
    }
}

#[test]
fn it_writes_its_files_and_prints_one_table() {
    let setting = Setting::new("2");
    let table = setting.succeed("out", &["--block", "1x2", "--ladder", "75,50"]);
    assert_eq!(table.lines().count(), 2 + 3, "{table}");
    let report = setting.report("out");
    let sparsities = report["levels"].as_array().unwrap().iter().map(|level| level["sparsity"].as_f64().unwrap());
    for (found, asked) in sparsities.zip([75.0, 50.0]) {
        assert!((found - asked).abs() <= 0.5, "{found} % where {asked} % was asked for");
    }
    assert_eq!((&report["train_images"], &report["test_images"]), (&320.into(), &60.into()));
    assert!(setting.file("out", "accuracy_latency.png").starts_with(b"\x89PNG"));
    let mut names: Vec<_> = fs::read_dir(setting.folder.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    let expected = [
        ".lock",
        "accuracy_latency.png",
        "checkpoint-dense.epochs.json",
        "checkpoint-dense.safetensors",
        "checkpoint.epochs.json",
        "checkpoint.safetensors",
        "dense.ncsr",
        "images.txt",
        "model.ncsr",
        "report.json",
    ];
    assert_eq!(names, expected);
}

#[test]
fn one_and_two_threads_give_the_same_bytes() {
    let setting = Setting::new("2");
    for threads in ["1", "2"] {
        let output = setting.command(threads, &[]).env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(setting.file("1", "model.ncsr"), setting.file("2", "model.ncsr"));
    assert_eq!(setting.file("1", "dense.ncsr"), setting.file("2", "dense.ncsr"));
    assert_eq!(setting.report("1"), setting.report("2"));
}

/// Interrupts a run as Ctrl-C does, once it has written this file.
#[cfg(unix)]
fn interrupt_after(mut run: Child, file: &Path) {
    while !file.exists() {
        assert!(run.try_wait().unwrap().is_none(), "ended before it wrote {}", file.display());
        sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130), "not interrupted");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_resumes_to_the_same_bytes() {
    let setting = Setting::new("12");
    setting.succeed("whole", &[]);
    // Once in each of the two trainings.
    for (checkpoint, extra) in [("checkpoint.safetensors", &[][..]), ("checkpoint-dense.safetensors", &["--resume"])] {
        let run = setting.command("parts", extra).stderr(Stdio::null()).spawn().unwrap();
        interrupt_after(run, &setting.folder.path().join("parts").join(checkpoint));
        assert!(!setting.folder.path().join("parts/model.ncsr").exists());
    }
    setting.succeed("parts", &["--resume"]);
    for name in ["model.ncsr", "dense.ncsr"] {
        assert_eq!(setting.file("parts", name), setting.file("whole", name), "{name}");
    }
    assert_eq!(setting.report("parts"), setting.report("whole"));
}

#[test]
fn a_checkpoint_of_another_run_is_named() {
    let setting = Setting::new("1");
    let path = setting.folder.path().join("out/checkpoint.safetensors");
    let named = |line: String, what: &str| {
        assert!(line.starts_with(&format!("error: {}: ", path.display())) && line.contains(what), "{line}");
    };
    named(setting.error("out", &["--resume"]), "");
    setting.succeed("out", &[]);
    named(setting.error("out", &["--resume", "--seed", "7"]), "seed");
    named(setting.error("out", &["--resume", "--width", "0.5"]), "network");
    fs::write(&path, b"not a checkpoint").unwrap();
    named(setting.error("out", &["--resume"]), "");
}

#[test]
fn options_that_cannot_work_leave_what_is_there() {
    let mut setting = Setting::new("1");
    setting.succeed("out", &[]);
    let names = ["report.json", "model.ncsr", "dense.ncsr", "checkpoint.safetensors", "checkpoint-dense.safetensors"];
    let before = names.map(|name| setting.file("out", name));
    // The same number of weights at both levels.
    let equal = setting.error("out", &["--ladder", "90,89.999"]);
    assert!(equal.starts_with("error: "), "{equal}");
    setting.epochs = "2";
    let other = setting.error("out", &["--resume"]);
    assert!(other.contains("checkpoint.safetensors: ") && other.contains("configuration"), "{other}");
    assert!(names.map(|name| setting.file("out", name)) == before, "a file was changed");
}

#[test]
fn other_images_than_the_checkpoints_are_refused() {
    let setting = Setting::new("1");
    setting.succeed("out", &[]);
    let images = setting.folder.path().join("train-images-idx3-ubyte");
    let mut bytes = fs::read(&images).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&images, bytes).unwrap();
    let line = setting.error("out", &["--resume"]);
    assert!(line.contains("images.txt: the checkpoint is of 320 images"), "{line}");
    setting.file("out", "report.json");
}

#[test]
fn a_broken_model_is_named() {
    let setting = Setting::new("1");
    setting.succeed("out", &[]);
    let path = setting.folder.path().join("out/model.ncsr");
    let evaluate = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nested-bench"));
        command.arg("evaluate").arg(&path).arg("--data").arg(setting.folder.path()).output().unwrap()
    };
    assert!(evaluate().status.success());
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for broken in [&whole[..whole.len() - 1], &flipped, b""] {
        fs::write(&path, broken).unwrap();
        let output = evaluate();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(line.starts_with(&format!("error: {}: ", path.display())) && line.lines().count() == 1, "{line}");
    }
}
