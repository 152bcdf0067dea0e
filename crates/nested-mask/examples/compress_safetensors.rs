//! Compresses the weights of another tool's checkpoint into a nested `.ncsr`, with a report a layer.
//!
//!     cargo run --release --example compress_safetensors -- model.safetensors model.ncsr --ladder 90,80,70 --block 1x2
//!
//! It takes `.safetensors` (each tensor of two or four dimensions is a layer: float or int8) and `.npy` (one layer).
//! Convolution weights are `[Cout, Cin, KH, KW]`, as PyTorch writes them; matrices are `[rows, columns]`. Float weights
//! become int8 with one scale a row; the scales go into a second file, `OUT.scales.safetensors`. The checkpoint is mapped,
//! and one layer at a time is unpacked. Without arguments it makes a small checkpoint and compresses that.
use clap::{Parser, ValueEnum};
use ndarray::{Array2, ArrayD, Ix2, Ix4};
use ndarray_npy::ReadNpyExt;
use nested_csr::{Layers, LayersBuilder, Level, Profile, Shape};
use nested_mask::{Block, Ladder, NestedMask, quant::quantize_row};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

/// Compress a checkpoint's weights into a nested .ncsr
#[derive(Parser)]
struct Options {
    /// A .safetensors or .npy file
    checkpoint: PathBuf,
    /// The .ncsr to write
    out: PathBuf,
    /// Sparsities of the levels in per cent, falling
    #[arg(long, default_value = "90,80,70", value_delimiter = ',')]
    ladder: Vec<f64>,
    /// Weights that share one index
    #[arg(long, default_value = "1x1")]
    block: BlockOption,
    /// Prefer cheap decoding on a Cortex-M to the fewest bytes
    #[arg(long)]
    speed: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum BlockOption {
    #[value(name = "1x1")]
    OneByOne,
    #[value(name = "1x2")]
    OneByTwo,
}

fn main() {
    let result = match std::env::args_os().len() {
        1 => demonstrate(),
        _ => compress(&Options::parse()),
    };
    if let Err(error) = result {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// A layer's int8 weights in the format's order, its scales, and its real weights' magnitudes to rank by.
struct Quantized {
    shape: Shape,
    weights: Vec<i8>,
    /// One a row; none for int8 checkpoints.
    scales: Vec<f32>,
    magnitudes: Array2<f32>,
}

fn compress(options: &Options) -> Result<(), Box<dyn Error>> {
    let fractions: Vec<f64> = options.ladder.iter().map(|per_cent| per_cent / 100.0).collect();
    let ladder = Ladder::new(fractions)?;
    let block = match options.block {
        BlockOption::OneByOne => Block::OneByOne,
        BlockOption::OneByTwo => Block::OneByTwo,
    };
    let profile = if options.speed { Profile::Speed } else { Profile::Size };
    let mut builder = LayersBuilder::new(ladder.levels(), profile);
    let mut scales = Vec::new();
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", options.checkpoint.display());
    for_each_layer(&options.checkpoint, &mut |name, layer| {
        let mask = NestedMask::by_magnitude(layer.magnitudes.view(), &ladder, block)?;
        // A weight outside every level is not stored, so it must be 0.
        let kept = mask.rings().iter().zip(&layer.weights).map(|(&ring, &weight)| if ring > 0 { weight } else { 0 });
        let rings: Vec<u8> = mask.rings().iter().copied().collect();
        builder.push(name, layer.shape, block, &kept.collect::<Vec<i8>>(), &rings)?;
        scales.push((name.to_owned(), layer.scales));
        Ok(())
    })
    .map_err(|error| named(&error))?;
    let layers = builder.finish().map_err(|error| named(&error))?;
    write(&options.out, layers.as_bytes())?;
    write_scales(&options.out, &scales)?;
    report(&layers)
}

type EachLayer<'a> = &'a mut dyn FnMut(&str, Quantized) -> Result<(), Box<dyn Error>>;

/// Calls `f` for each layer of the checkpoint.
fn for_each_layer(path: &Path, f: EachLayer<'_>) -> Result<(), Box<dyn Error>> {
    let file = fs::File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "npy") {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        return f(&name, read_npy(path)?);
    }
    // SAFETY: the map is only read, as bytes, and nothing else in this program writes the file. A file that another
    // program shortens meanwhile ends this one; copy the file first where that can happen.
    #[allow(unsafe_code)]
    let bytes = unsafe { memmap2::Mmap::map(&file)? };
    let tensors = SafeTensors::deserialize(&bytes)?;
    let mut names = tensors.names();
    names.sort_unstable();
    for name in names {
        let tensor = tensors.tensor(name)?;
        let known = matches!(tensor.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::I8);
        if !known || !matches!(tensor.shape().len(), 2 | 4) {
            println!("{name}: {:?} of {:?} is not a layer's weights; left out", tensor.shape(), tensor.dtype());
            continue;
        }
        f(name, quantize_tensor(&tensor).map_err(|error| format!("{name}: {error}"))?)
            .map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// A layer from a NumPy file: float32 or int8.
fn read_npy(path: &Path) -> Result<Quantized, Box<dyn Error>> {
    match ArrayD::<f32>::read_npy(fs::File::open(path)?) {
        Ok(values) => quantize(in_format_order(values)?),
        Err(ndarray_npy::ReadNpyError::WrongDescriptor(_)) => {
            keep(in_format_order(ArrayD::<i8>::read_npy(fs::File::open(path)?)?)?)
        }
        Err(error) => Err(error.into()),
    }
}

fn quantize_tensor(tensor: &TensorView<'_>) -> Result<Quantized, Box<dyn Error>> {
    let data = tensor.data();
    let floats: Vec<f32> = match tensor.dtype() {
        Dtype::I8 => {
            let values = data.iter().map(|byte| byte.cast_signed()).collect();
            return keep(in_format_order(ArrayD::from_shape_vec(tensor.shape(), values)?)?);
        }
        Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|&bytes| half::f16::from_le_bytes(bytes).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|&bytes| half::bf16::from_le_bytes(bytes).to_f32()).collect(),
        other => return Err(format!("{other:?} weights are not supported: use F32, F16, BF16 or I8").into()),
    };
    quantize(in_format_order(ArrayD::from_shape_vec(tensor.shape(), floats)?)?)
}

/// Rows × columns with column `(kh · KW + kw) · Cin + cin`.
fn in_format_order<T: Clone>(weights: ArrayD<T>) -> Result<Array2<T>, Box<dyn Error>> {
    if weights.ndim() == 2 {
        return Ok(weights.into_dimensionality::<Ix2>()?);
    }
    let weights = weights.into_dimensionality::<Ix4>()?.permuted_axes([0, 2, 3, 1]);
    let (rows, kh, kw, channels) = weights.dim();
    Ok(weights.as_standard_layout().into_owned().into_shape_with_order((rows, kh * kw * channels))?)
}

fn quantize(values: Array2<f32>) -> Result<Quantized, Box<dyn Error>> {
    if let Some(((row, column), value)) = values.indexed_iter().find(|(_, value)| !value.is_finite()) {
        return Err(format!("row {row}, column {column}: {value} is not finite").into());
    }
    let (mut weights, mut scales) = (Vec::with_capacity(values.len()), Vec::new());
    for row in values.rows() {
        let (integers, step) = quantize_row(&row.to_vec());
        weights.extend(integers);
        scales.push(step);
    }
    Ok(Quantized { shape: shape(&values), weights, scales, magnitudes: values })
}

/// Int8 weights are taken as they are.
fn keep(values: Array2<i8>) -> Result<Quantized, Box<dyn Error>> {
    let magnitudes = values.mapv(f32::from);
    Ok(Quantized { shape: shape(&values), weights: values.iter().copied().collect(), scales: Vec::new(), magnitudes })
}

fn shape<T>(values: &Array2<T>) -> Shape {
    Shape { rows: values.nrows(), columns: values.ncols() }
}

/// Writes under a temporary name, then renames, so that no half-written file is left.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let temporary = path.with_extension("tmp");
    let result = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    result.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        format!("{}: {error}", path.display()).into()
    })
}

fn write_scales(out: &Path, scales: &[(String, Vec<f32>)]) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<(&String, Vec<u8>)> = (scales.iter().filter(|(_, scales)| !scales.is_empty()))
        .map(|(name, scales)| (name, scales.iter().flat_map(|scale| scale.to_le_bytes()).collect()))
        .collect();
    if bytes.is_empty() {
        return Ok(());
    }
    let tensors = bytes
        .iter()
        .map(|(name, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    write(&out.with_extension("scales.safetensors"), &safetensors::serialize(tensors, None)?)
}

fn report(layers: &Layers<Vec<u8>>) -> Result<(), Box<dyn Error>> {
    println!(
        "{:<32} {:>12} {:>7} {:>11} {:>10} {:>8}  codes",
        "layer", "shape", "level", "sparsity %", "bytes", "× bound"
    );
    for index in 0..layers.len() {
        let Some(layer) = layers.layer(index) else { continue };
        let (name, shape) = (layers.name(index).unwrap_or_default(), layer.shape());
        let (mut bytes, mut codes) = (0, Vec::new());
        for level in layer.levels().up_to() {
            let ring = layer.ring_stats(level)?;
            bytes += ring.values + ring.index + ring.counts;
            codes.push(ring.code.to_string());
            let sparsity = 100.0 * (1.0 - layer.stored(level)? as f64 / (shape.rows * shape.columns) as f64);
            let title = if level == Level::FIRST { name } else { "" };
            let size = format!("{}×{}", shape.rows, shape.columns);
            let bound = 8.0 * bytes as f64 / layer.bound_bits(level)?;
            let number = level.number();
            println!(
                "{title:<32} {size:>12} {number:>7} {sparsity:>11.2} {bytes:>10} {bound:>8.3}  {}",
                codes.join(", ")
            );
        }
    }
    println!("{} layers, {} bytes", layers.len(), layers.as_bytes().len());
    Ok(())
}

/// A checkpoint of two layers with weights that need no random numbers.
fn demonstrate() -> Result<(), Box<dyn Error>> {
    let wave = |count: usize| -> Vec<u8> {
        (0..count).flat_map(|i| ((i * i) as f32 * 0.37).sin().powi(3).to_le_bytes()).collect()
    };
    let (convolution, matrix) = (wave(32 * 16 * 3 * 3), wave(10 * 64));
    let tensors = [
        ("conv.weight", TensorView::new(Dtype::F32, vec![32, 16, 3, 3], &convolution)?),
        ("fc.weight", TensorView::new(Dtype::F32, vec![10, 64], &matrix)?),
    ];
    let folder = std::env::temp_dir().join("nested-mask-example");
    fs::create_dir_all(&folder)?;
    let (checkpoint, out) = (folder.join("checkpoint.safetensors"), folder.join("checkpoint.ncsr"));
    fs::write(&checkpoint, safetensors::serialize(tensors, None)?)?;
    let (ladder, block) = (vec![90.0, 80.0, 70.0], BlockOption::OneByTwo);
    compress(&Options { checkpoint, out: out.clone(), ladder, block, speed: false })?;
    println!("written: {}", out.display());
    Ok(())
}
