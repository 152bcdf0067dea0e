//! An app that compresses. Into the folder that it is given it writes files of all kinds, blocks and index codes, and beside
//! each the dense matrices that `nested-csr` reads back from it, for `read_ncsr.c` to be compared with.
use nested_csr::testing::{index_codes, model, nested};
use nested_csr::{LayersBuilder, MatrixView, Model, NestedCsr, Profile};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().ok_or("usage: app-csr FOLDER [MODEL…]")?;
    let mut runner = TestRunner::deterministic();
    for number in 0..100 {
        let keep = |kind: &str, bytes: &[u8], layers: &[MatrixView<'_>]| {
            std::fs::write(folder.join(format!("{kind}-{number}.ncsr")), bytes)?;
            std::fs::write(folder.join(format!("{kind}-{number}.txt")), dense(layers)?).map_err(Box::<dyn Error>::from)
        };
        let matrix = draw(&mut runner, nested())?;
        for (profile, name) in [(Profile::Size, "size"), (Profile::Balanced, "balanced"), (Profile::Speed, "speed")] {
            let file = matrix.compress(profile)?;
            keep(name, file.as_bytes(), &[file.view()])?;
        }
        let file: NestedCsr<Vec<u8>> = matrix.compress_as(&draw(&mut runner, index_codes(matrix.levels))?)?;
        keep("codes", file.as_bytes(), &[file.view()])?;

        let mut set = LayersBuilder::new(matrix.levels, Profile::Size);
        for name in ["first", "second"] {
            set.push(name, matrix.shape, matrix.block, &matrix.weights, &matrix.rings)?;
        }
        let set = set.finish()?;
        keep("layers", set.as_bytes(), &(0..set.len()).filter_map(|index| set.layer(index)).collect::<Vec<_>>())?;

        let model = draw(&mut runner, model())?;
        keep("model", model.as_bytes(), &model.sparse_layers().map(|(_, layer)| layer).collect::<Vec<_>>())?;
    }
    for path in arguments {
        let model = Model::parse(std::fs::read(&path)?)?;
        let target = folder.join(path.file_name().ok_or("a model's path names no file")?);
        std::fs::write(&target, model.as_bytes())?;
        std::fs::write(target.with_extension("txt"), dense(&model.sparse_layers().map(|(_, l)| l).collect::<Vec<_>>())?)?;
    }
    Ok(())
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: S) -> Result<S::Value, String> {
    Ok(strategy.new_tree(runner).map_err(|reason| reason.to_string())?.current())
}

/// What `read_ncsr` prints of these layers.
fn dense(layers: &[MatrixView<'_>]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let Some(first) = layers.first() else { return Ok(text) };
    for level in first.levels().up_to() {
        for (number, layer) in layers.iter().enumerate() {
            writeln!(text, "layer {number} level {level}")?;
            for row in layer.to_dense(level)?.chunks(layer.shape().columns) {
                writeln!(text, "{}", row.iter().map(i8::to_string).collect::<Vec<_>>().join(" "))?;
            }
        }
    }
    Ok(text)
}
