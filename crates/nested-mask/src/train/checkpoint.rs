//! Checkpoints: a run's state as safetensors, written under a temporary name and renamed, so that a crash leaves the last
//! good one.
use super::{Config, Normalization, TrainError, Trainer};
use crate::{NestedMask, nn::Network};
use ndarray::Array2;
use safetensors::{Dtype, SafeTensors, View};
use std::{borrow::Cow, collections::HashMap, io::Write, path::Path};

/// The entry that says whether the first epoch leaves the normalisation of pixels as it is.
const KEEPS_NORMALIZATION: &str = "keeps_normalization";

/// One named array of a checkpoint.
struct Part {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Part {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn floats(values: &[f32]) -> Part {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Part { dtype: Dtype::F32, shape: vec![values.len()], bytes }
}

/// Writes a file to the disk itself, so that its renaming cannot come before its content.
fn write_through(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Trainer {
    /// Writes a checkpoint: weights, rings, normalisations, velocities, and what the run is (network, configuration, seed,
    /// epoch). Weights are named after their node, so other tools can read them. [`Self::resume`] has an example.
    ///
    /// # Errors
    /// [`TrainError::File`]; [`TrainError::Broken`] after an epoch that ended with an error.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        self.whole()?;
        let error = |what: String| TrainError::File { path: path.into(), what };
        let bytes = safetensors::serialize(self.parts(), Some(self.identity())).map_err(|e| error(e.to_string()))?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let written = write_through(Path::new(&temporary), &bytes).and_then(|()| std::fs::rename(&temporary, path));
        written.map_err(|e| {
            // The error that matters is the first one.
            let _ = std::fs::remove_file(&temporary);
            error(e.to_string())
        })
    }

    /// Goes on where [`Self::save`] was called; the result is that of an uninterrupted run, to the bit. The images to come must
    /// be those that it was trained on: a checkpoint does not know them, so nothing checks.
    ///
    /// # Errors
    /// [`TrainError::OtherCheckpoint`] when it is of another network, configuration or seed; [`TrainError::Checkpoint`] when
    /// it is damaged; [`TrainError::File`].
    ///
    /// ```
    /// # use nested_csr::TensorShape;
    /// # use nested_mask::nn::resnet8;
    /// # use nested_mask::train::{Config, Dataset, Trainer};
    /// # let shape = TensorShape { channels: 1, height: 8, width: 8 };
    /// # let images = Dataset::new(shape, 2, (0..64 * 64).map(|i| (i / 64 * 3) as u8).collect(), (0..64).map(|i| i / 32).collect())?;
    /// # let (network, config) = (resnet8(shape, 0.25, 2)?, Config { epochs: 2, batch: 16, ..Config::default() });
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("checkpoint.safetensors");
    /// let mut trainer = Trainer::new(network.clone(), config.clone())?;
    /// trainer.train_epoch(&images, &mut |_progress| {})?;
    /// trainer.save(&path)?;
    /// let mut again = Trainer::resume(&path, network, config)?; // tomorrow
    /// for trainer in [&mut trainer, &mut again] {
    ///     trainer.train_epoch(&images, &mut |_progress| {})?;
    /// }
    /// assert_eq!(again.trained(), trainer.trained());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(path: &Path, network: Network, config: Config) -> Result<Trainer, TrainError> {
        let bytes = std::fs::read(path).map_err(|e| TrainError::File { path: path.into(), what: e.to_string() })?;
        let file = File::parse(path, &bytes)?;
        let mut trainer = Trainer::new(network, config)?;
        let expected = trainer.identity();
        for what in ["network", "seed", "configuration"] {
            let (found, expected) = (file.entry(what)?, &expected[what]);
            if found != expected {
                let [found, expected] = difference(found, expected);
                return Err(TrainError::OtherCheckpoint { path: path.into(), what, found, expected });
            }
        }
        trainer.epoch = file.number("epoch")?;
        let (found, epochs) = (trainer.epoch, trainer.config.epochs);
        if found > epochs {
            let (found, expected) = (found.to_string(), format!("at most {epochs}"));
            return Err(TrainError::OtherCheckpoint { path: path.into(), what: "epoch", found, expected });
        }
        trainer.trained.normalization =
            Normalization { mean: file.number("mean")?, deviation: f32::from_bits(file.number("deviation_bits")?) };
        // Checkpoints of networks that came without weights may lack it.
        trainer.keeps_normalization = file.entries.get(KEEPS_NORMALIZATION).is_some_and(|entry| entry == "true");
        trainer.restore(&file)?;
        if let Some(layer) = trainer.broken_layer() {
            return Err(file.bad(format!("a parameter or velocity of `{layer}` is not finite")));
        }
        trainer.trained.check().map_err(|error| file.bad(error.to_string()))?;
        Ok(trainer)
    }

    /// What the run is, and where it is.
    fn identity(&self) -> HashMap<String, String> {
        let Normalization { mean, deviation } = self.trained.normalization;
        let entries = [
            ("network", format!("{:?}", self.trained.network)),
            ("configuration", format!("{:?}", Config { seed: 0, ..self.config.clone() })),
            ("seed", self.config.seed.to_string()),
            ("epoch", self.epoch.to_string()),
            ("mean", mean.to_string()),
            ("deviation_bits", deviation.to_bits().to_string()),
            (KEEPS_NORMALIZATION, self.keeps_normalization.to_string()),
        ];
        entries.into_iter().map(|(key, value)| (key.into(), value)).collect()
    }

    fn parts(&self) -> Vec<(String, Part)> {
        let mut parts = Vec::new();
        for (node, saliency) in self.trained.network.nodes().iter().zip(&self.saliency) {
            if let Some(saliency) = saliency {
                let values: Vec<f32> = saliency.iter().copied().collect();
                parts.push((format!("{}.saliency", node.name), floats(&values)));
            }
        }
        let layers = self.trained.parameters.layers.iter().zip(&self.optimizer.layers);
        for (node, layers) in self.trained.network.nodes().iter().zip(layers) {
            let (Some(layer), Some(velocity)) = layers else { continue };
            let name = &node.name;
            let (rows, columns) = layer.weights.dim();
            let weights: Vec<f32> = layer.weights.iter().copied().collect();
            for (kind, values) in [("weights", &weights), ("weights.velocity", &velocity.weights)] {
                parts.push((format!("{name}.{kind}"), Part { shape: vec![rows, columns], ..floats(values) }));
            }
            if let Some(mask) = &layer.mask {
                let bytes = mask.rings().iter().copied().collect();
                parts.push((format!("{name}.rings"), Part { dtype: Dtype::U8, shape: vec![rows, columns], bytes }));
            }
            if !layer.bias.is_empty() {
                parts.push((format!("{name}.bias"), floats(&layer.bias)));
                parts.push((format!("{name}.bias.velocity"), floats(&velocity.bias)));
            }
            for (index, (norm, [scale, shift])) in layer.norms.iter().zip(&velocity.norms).enumerate() {
                let values = [&norm.scale, &norm.shift, &norm.mean, &norm.variance, scale, shift];
                for (kind, values) in NORM_PARTS.into_iter().zip(values) {
                    parts.push((format!("{name}.norm{}.{kind}", index + 1), floats(values)));
                }
            }
        }
        parts
    }

    fn restore(&mut self, file: &File<'_>) -> Result<(), TrainError> {
        for (node, saliency) in self.trained.network.nodes().iter().zip(&mut self.saliency) {
            if let Some(saliency) = saliency {
                let values = saliency.as_slice_mut().expect("made from zeros, row-major");
                file.floats(&format!("{}.saliency", node.name), values)?;
            }
        }
        let (levels, block) = (self.trained.levels(), self.trained.block);
        let layers = self.trained.parameters.layers.iter_mut().zip(&mut self.optimizer.layers);
        for (node, layers) in self.trained.network.nodes().iter().zip(layers) {
            let (Some(layer), Some(velocity)) = layers else { continue };
            let name = &node.name;
            let shape = [layer.weights.nrows(), layer.weights.ncols()];
            let weights = layer.weights.as_slice_mut().expect("a training's weights are row-major");
            file.shaped(&format!("{name}.weights"), weights, &shape)?;
            file.shaped(&format!("{name}.weights.velocity"), &mut velocity.weights, &shape)?;
            if layer.mask.is_some() {
                let key = format!("{name}.rings");
                let rings = file.bytes(&key, Dtype::U8, &shape)?.to_vec();
                let rings = Array2::from_shape_vec(layer.weights.dim(), rings).map_err(|e| file.bad(e.to_string()))?;
                let mask = NestedMask::from_rings(rings, levels, block);
                layer.mask = Some(mask.map_err(|e| file.bad(format!("`{key}`: {e}")))?);
            }
            if !layer.bias.is_empty() {
                file.floats(&format!("{name}.bias"), &mut layer.bias)?;
                file.floats(&format!("{name}.bias.velocity"), &mut velocity.bias)?;
            }
            for (index, (norm, [scale, shift])) in layer.norms.iter_mut().zip(&mut velocity.norms).enumerate() {
                let values = [&mut norm.scale, &mut norm.shift, &mut norm.mean, &mut norm.variance, scale, shift];
                for (kind, values) in NORM_PARTS.into_iter().zip(values) {
                    file.floats(&format!("{name}.norm{}.{kind}", index + 1), values)?;
                }
            }
        }
        Ok(())
    }
}

/// What is kept of a normalisation, in this order.
const NORM_PARTS: [&str; 6] = ["scale", "shift", "mean", "variance", "scale.velocity", "shift.velocity"];

/// A checkpoint that is being read.
struct File<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    entries: HashMap<String, String>,
}

impl<'a> File<'a> {
    fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<File<'a>, TrainError> {
        let bad = |what: String| TrainError::Checkpoint { path: path.into(), what };
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
        let entries = metadata.metadata().clone().unwrap_or_default();
        Ok(File { path, tensors, entries })
    }

    fn bad(&self, what: String) -> TrainError {
        TrainError::Checkpoint { path: self.path.into(), what }
    }

    fn entry(&self, key: &str) -> Result<&str, TrainError> {
        self.entries.get(key).map(String::as_str).ok_or_else(|| self.bad(format!("no entry `{key}`")))
    }

    fn number<N: std::str::FromStr>(&self, key: &str) -> Result<N, TrainError> {
        let text = self.entry(key)?;
        text.parse().map_err(|_| self.bad(format!("entry `{key}` is `{text}`")))
    }

    fn bytes(&self, key: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8], TrainError> {
        let tensor = self.tensors.tensor(key).map_err(|e| self.bad(e.to_string()))?;
        if tensor.dtype() != dtype || tensor.shape() != shape {
            let (found, of) = (tensor.dtype(), tensor.shape());
            return Err(self.bad(format!("`{key}` is {found:?} {of:?}, not {dtype:?} {shape:?}")));
        }
        Ok(tensor.data())
    }

    /// Numbers in a row.
    fn floats(&self, key: &str, into: &mut [f32]) -> Result<(), TrainError> {
        let length = into.len();
        self.shaped(key, into, &[length])
    }

    fn shaped(&self, key: &str, into: &mut [f32], shape: &[usize]) -> Result<(), TrainError> {
        let (values, _) = self.bytes(key, Dtype::F32, shape)?.as_chunks::<4>();
        into.iter_mut().zip(values).for_each(|(into, bytes)| *into = f32::from_le_bytes(*bytes));
        Ok(())
    }
}

/// What two descriptions (by `Debug`) say where they differ first: the field with its value or, where one goes on and the other
/// ends, what comes then.
fn difference(found: &str, expected: &str) -> [String; 2] {
    const SHOWN: usize = 60;
    let common: usize =
        found.chars().zip(expected.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    // A field begins before its name, which ends in a colon; a description without fields is a value.
    let name = found[..common].rfind(": ").unwrap_or(0);
    let begin = found[..name].rfind([',', '{']).map_or(0, |before| before + 1);
    let fields = [found, expected].map(|text| text[begin..begin + value_len(&text[begin..])].trim());
    if fields[0] != fields[1] {
        return fields.map(str::to_owned);
    }
    [found, expected].map(|text| format!("…{}", text[common..].chars().take(SHOWN).collect::<String>()))
}

/// Bytes up to the comma or bracket that ends a value.
fn value_len(text: &str) -> usize {
    let mut depth = 0i32;
    for (at, character) in text.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return at,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_that_differs_is_told_whole() {
        let differ = |found, expected| difference(found, expected);
        assert_eq!(differ("1", "2"), ["1", "2"]);
        assert_eq!(differ("C { a: 1, b: 2 }", "C { a: 1, b: 3 }"), ["b: 2", "b: 3"]);
        assert_eq!(differ("C { a: [1, 2], b: 2 }", "C { a: [1, 2, 3], b: 2 }"), ["a: [1, 2]", "a: [1, 2, 3]"]);
        assert_eq!(differ("C { a: L([1, 2]) }", "C { a: L([1, 4]) }"), ["a: L([1, 2])", "a: L([1, 4])"]);
        // A field that an older program did not write, and a node more.
        assert_eq!(differ("C { a: D { b: 0 } }", "C { a: D { b: 0, c: 1 } }"), ["… } }", "…, c: 1 } }"]);
        let (short, long) = ("N { nodes: [A { r: 1 }] }", "N { nodes: [A { r: 1 }, A { r: 2 }] }");
        assert_eq!(differ(short, long), ["…] }", "…, A { r: 2 }] }"]);
    }
}
