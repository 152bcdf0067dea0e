//! Layers and networks in rten and tract, from ONNX files.
use crate::{
    Result,
    record::{File, Machine, Row},
};
use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, IntoTValue, tvec};

const ROUNDS: usize = 5;
const SLICE: Duration = Duration::from_millis(10);

struct Case {
    row: Row,
    run: Box<dyn FnMut() -> Result<()>>,
}

/// An ONNX file: `layer.A.qlinear.onnx`.
struct Source {
    path: PathBuf,
    kind: String,
    name: String,
}

/// Times all files of a folder, in turns.
pub fn run(models: &Path, json: &Path) -> Result<()> {
    let mut cases = [("layer", Vec::new()), ("network", Vec::new())];
    for source in sources(models)? {
        let Some((_, cases)) = cases.iter_mut().find(|(kind, _)| *kind == source.kind) else { continue };
        let made = if source.path.to_string_lossy().contains(".integer.") {
            [1, 2].map(|threads| rten(&source, threads)).into_iter().collect()
        } else {
            vec![tract(&source)]
        };
        for case in made {
            match case {
                Ok(case) => cases.push(case),
                // An engine that lacks an operator has no row.
                Err(error) => eprintln!("{}: {error}", source.path.display()),
            }
        }
    }
    for _ in 0..ROUNDS {
        for case in cases.iter_mut().flat_map(|(_, cases)| cases) {
            let begin = Instant::now();
            while begin.elapsed() < SLICE {
                let start = Instant::now();
                (case.run)()?;
                case.row.ms = case.row.ms.min(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let [layers, networks] = cases.map(|(_, cases)| cases.into_iter().map(|case| case.row).collect());
    let machine = Machine { engines: vec!["rten 0.27".to_owned(), "tract 0.23".to_owned()], ..Machine::default() };
    File { layers, networks, machine, ..File::default() }.write(json)
}

fn sources(models: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(models)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let [kind, name, _, "onnx"] = name.split('.').collect::<Vec<_>>()[..] {
            sources.push(Source { kind: kind.to_owned(), name: name.to_owned(), path: path.clone() });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

impl Source {
    fn row(&self, threads: usize, engine: &str, backend: &str) -> Row {
        let (engine, backend) = (engine.to_owned(), backend.to_owned());
        Row { layer: self.name.clone(), sparsity: 0, threads, engine, backend, ms: f64::INFINITY }
    }
}

/// Bytes that repeat only after long.
fn image(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7 % 251) as u8).collect()
}

fn rten(source: &Source, threads: usize) -> Result<Case> {
    let model = Model::load_file(&source.path)?;
    let input = *model.input_ids().first().ok_or("no input")?;
    let shape = model.node_info(input).and_then(|info| info.shape()).ok_or("no shape")?;
    let fixed = |dimension: &rten::Dimension| match dimension {
        rten::Dimension::Fixed(size) => Ok(*size),
        rten::Dimension::Symbolic(_) => Err("a shape that is not fixed"),
    };
    let shape = shape.iter().map(fixed).collect::<std::result::Result<Vec<usize>, _>>()?;
    let input = rten_tensor::Tensor::from_data(&shape, image(shape.iter().product()));
    let pool = Arc::new(ThreadPool::with_num_threads(threads));
    let run = move || -> Result<()> {
        let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
        model.run_one(input.view().into(), Some(options))?;
        Ok(())
    };
    run()?;
    Ok(Case { row: source.row(threads, "rten", "ConvInteger"), run: Box::new(run) })
}

/// tract works on one thread.
fn tract(source: &Source) -> Result<Case> {
    let model = tract_onnx::onnx().model_for_path(&source.path)?.into_optimized()?.into_runnable()?;
    let fact = model.model().input_fact(0)?;
    let shape = fact.shape.as_concrete().ok_or("a shape that is not fixed")?.to_vec();
    let bytes = image(shape.iter().product());
    let input = tract_onnx::prelude::Tensor::from_shape(&shape, &bytes)?;
    let run = move || -> Result<()> {
        model.run(tvec!(input.clone().into_tvalue()))?;
        Ok(())
    };
    run()?;
    Ok(Case { row: source.row(1, "tract", "QLinearConv"), run: Box::new(run) })
}
