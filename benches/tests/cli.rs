//! What the program says of bad input: one line that names the thing, a non-zero exit, and nothing half-written.
use std::{
    fs,
    process::{Command, Output},
};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nested-bench")).args(arguments).output().unwrap()
}

/// Runs the program, which must fail with one line, and returns the line.
fn error(arguments: &[&str]) -> String {
    let output = run(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(output.stdout, b"", "something on the standard output");
    text.trim_end().to_owned()
}

#[test]
fn wrong_options_are_named() {
    for (arguments, expected) in [
        (&["pipeline", "--fast"][..], "error: unexpected argument '--fast' found"),
        (&["pipeline", "--epochs", "0"], "error: invalid value '0' for '--epochs <EPOCHS>': 0 is not in 1..=100000"),
        (&["pipeline", "--batch", "1"], "error: invalid value '1' for '--batch <BATCH>': 1 is not in 2..=65536"),
        (&["pipeline", "--seed", "x"], "error: invalid value 'x' for '--seed <SEED>': invalid digit found in string"),
        (
            &["pipeline", "--width", "0"],
            "error: invalid value '0' for '--width <WIDTH>': 0 is not between 0.0625 and 8",
        ),
        (
            &["pipeline", "--block", "2x2"],
            "error: invalid value '2x2' for '--block <BLOCK>' [possible values: 1x1, 1x2]",
        ),
        (
            &["pipeline", "--ladder", "70,80"],
            "error: invalid value '70,80' for '--ladder <PERCENTS>': 80 does not come below 70: sparsities must fall",
        ),
        (
            &["pipeline", "--ladder", "90,0"],
            "error: invalid value '90,0' for '--ladder <PERCENTS>': sparsity 0 is not between 0 and 100 per cent",
        ),
        (
            &["pipeline", "--data", "a", "--cifar10", "b"],
            "error: the argument '--data <DIR>' cannot be used with '--cifar10 <DIR>'",
        ),
        (&["host", "--rounds", "0"], "error: invalid value '0' for '--rounds <ROUNDS>': 0 is not in 1..=100000"),
        (&["host", "--slice", "0"], "error: invalid value '0' for '--slice <SLICE>': 0 is not in 1..=60000"),
        (&["host", "--threads", "0"], "error: invalid value '0' for '--threads <THREADS>': 0 is not in 1..=1024"),
        (&["train-speed", "--epochs", "0"], "error: invalid value '0' for '--epochs <EPOCHS>': 0 is not in 1..=100000"),
        (&["train-speed", "--steps", "0"], "error: invalid value '0' for '--steps <STEPS>': 0 is not in 1..=10000"),
        (
            &["train-speed", "--threads", "0"],
            "error: invalid value '0' for '--threads <THREADS>': 0 is not in 1..=1024",
        ),
        (&["check-report"], "error: the following required arguments were not provided: <FILE>"),
        (&["pipelines"], "error: unrecognized subcommand 'pipelines'"),
    ] {
        assert_eq!(error(arguments), expected);
    }
}

/// Their files have the same names: one would remove the other's.
#[test]
fn the_pipeline_and_the_detector_have_folders_of_their_own() {
    for (command, folder) in [("pipeline", "out"), ("detect", "out/detect")] {
        let help = String::from_utf8(run(&[command, "--help"]).stdout).unwrap();
        assert!(help.contains(&format!("[default: {folder}]")), "{help}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, []).unwrap();
    for out in [file.clone(), file.join("under")] {
        let line = error(&["pipeline", "--out", out.to_str().unwrap()]);
        assert!(line.starts_with(&format!("error: {}: cannot be written: ", out.display())), "{line}");
    }
}

/// All work would be for nothing.
#[test]
fn an_output_that_cannot_be_written_is_named_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let [missing, out] = ["missing/file", "out"].map(|name| folder.path().join(name));
    let (missing, out) = (missing.to_str().unwrap(), out.to_str().unwrap());
    for arguments in [
        &["detect", "--out", out, "--page", missing][..],
        &["m7", "--json", missing],
        &["m7", "--costs", missing],
        &["storage", "--json", missing],
        &["host", "--json", missing],
        &["train-speed", "--json", missing],
    ] {
        let line = error(arguments);
        assert!(line.starts_with(&format!("error: {missing}: cannot be written: ")), "{line}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_wrong_data_file_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let [data, out] = ["data", "out"].map(|name| folder.path().join(name));
    fs::create_dir(&data).unwrap();
    let arguments = ["pipeline", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
    assert_eq!(error(&arguments), format!("error: {}: no file train-images-idx3-ubyte[.gz]", data.display()));

    for name in
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
    {
        fs::write(data.join(name), []).unwrap();
    }
    assert_eq!(
        error(&arguments),
        format!(
            "error: {}/train-images-idx3-ubyte: byte 0: the file ends here, 4 bytes short of the magic number",
            data.display()
        )
    );
    assert!(!out.exists());
}

#[test]
fn a_report_that_is_not_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let missing = error(&["check-report", path.to_str().unwrap()]);
    assert!(missing.starts_with(&format!("error: {}: cannot be read: ", path.display())), "{missing}");
    fs::write(&path, "{}").unwrap();
    let wrong = error(&["check-report", path.to_str().unwrap()]);
    assert!(wrong.starts_with(&format!("error: {}: missing field", path.display())), "{wrong}");
}
