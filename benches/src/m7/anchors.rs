//! `benches/anchors.toml`: figures of other projects, and the goals.
use super::M7Error;
use nested_csr::Window;
use serde::Deserialize;
use std::path::Path;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
pub struct Anchors {
    pub(super) cmsis_nn: Cmsis,
    pub(super) goals: Goals,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cmsis {
    pub(super) layers: Vec<Anchor>,
}

/// A reference layer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Anchor {
    pub(super) layer: String,
    /// Height, width, input channels, output channels.
    pub(super) shape: [usize; 4],
    /// Kernel, stride, padding.
    window: [usize; 3],
    #[serde(default)]
    depthwise: bool,
    pub(super) instructions: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Goals {
    pub(super) speedups: Vec<Speedup>,
    pub(super) networks: Vec<NetworkGoal>,
    pub(super) most: Most,
}

/// Times CMSIS-NN's dense kernels, the geometric mean over some layers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Speedup {
    pub(super) name: String,
    pub(super) layers: Vec<String>,
    /// Sparsity in per cent, ascending, and the goal.
    pub(super) least: Vec<(usize, f64)>,
}

/// What a level of a network may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkGoal {
    pub(super) network: String,
    pub(super) width: f64,
    /// Per cent.
    pub(super) sparsity: usize,
    pub(super) instructions: Option<u64>,
    pub(super) modelled_cycles: Option<u64>,
}

/// Ratios, and one count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Most {
    pub(super) pairs: f64,
    pub(super) span: f64,
    pub(super) sum: f64,
    pub(super) arena: f64,
    pub(super) portable: f64,
    pub(super) shape: f64,
    pub(super) switch: f64,
}

impl Anchors {
    /// Reads the file and checks it.
    ///
    /// # Errors
    /// [`M7Error::File`].
    pub fn read() -> Result<Anchors, M7Error> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("anchors.toml");
        let wrong = |problem: String| M7Error::File { path: path.clone(), problem };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        Anchors::parse(&text).map_err(wrong)
    }

    fn parse(text: &str) -> Result<Anchors, String> {
        let anchors: Anchors = toml::from_str(text).map_err(|error| error.to_string())?;
        // Between them goals are interpolated.
        let rises = |least: &[(usize, f64)]| !least.is_empty() && least.windows(2).all(|pair| pair[0].0 < pair[1].0);
        match anchors.goals.speedups.iter().find(|goal| !rises(&goal.least)) {
            Some(goal) => Err(format!("the sparsities of the goal `{}` do not rise, or there are none", goal.name)),
            None => Ok(anchors),
        }
    }

    /// How much of the last level's instructions the first may take.
    pub fn most_of_last(&self) -> f64 {
        self.goals.most.span
    }

    /// How much more than the sum of its layers' goals a network may take.
    pub fn most_of_sum(&self) -> f64 {
        self.goals.most.sum
    }

    /// The first reference layer with these weights and this window.
    pub(super) fn of_weights(&self, rows: usize, channels: usize, window: Window) -> Option<&Anchor> {
        self.cmsis_nn.layers.iter().find(|anchor| {
            let [kernel, stride, padding] = anchor.window.map(|size| size as u8);
            let same = anchor.shape[2..] == [channels, rows] && window == Window::square(kernel, stride, padding);
            same && !anchor.depthwise
        })
    }

    /// Input channels and CMSIS-NN's instructions a multiplication of a reference layer.
    pub(super) fn layer(&self, name: &str) -> Option<(usize, f64)> {
        let anchor = self.cmsis_nn.layers.iter().find(|anchor| anchor.layer == name)?;
        Some((anchor.shape[2], f64::from(anchor.instructions) / anchor.macs() as f64))
    }

    /// The goal of the group that a reference layer is in.
    pub(super) fn speedup(&self, layer: &str) -> Option<&Speedup> {
        self.goals.speedups.iter().find(|goal| goal.layers.iter().any(|name| name == layer))
    }
}

impl Anchor {
    /// Multiplications of the dense layer.
    pub(super) fn macs(&self) -> usize {
        let ([height, width, channels, rows], [kernel, stride, padding]) = (self.shape, self.window);
        let out = |size: usize| (size + 2 * padding - kernel) / stride + 1;
        let depth = if self.depthwise { 1 } else { channels };
        out(height) * out(width) * rows * kernel * kernel * depth
    }
}

impl Speedup {
    /// The goal at a sparsity, between those that are given.
    pub(super) fn at(&self, sparsity: f64) -> Option<f64> {
        let last = self.least.len().checked_sub(1)?;
        let above = self.least.iter().position(|(at, _)| sparsity <= *at as f64).unwrap_or(last);
        let (to, goal) = *self.least.get(above)?;
        let Some((from, before)) = above.checked_sub(1).map(|below| self.least[below]) else { return Some(goal) };
        let share = (sparsity - from as f64) / (to - from) as f64;
        Some(before + share.min(1.0) * (goal - before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_lie_between_those_that_are_given() {
        let anchors = Anchors::read().unwrap();
        let of = |layer, sparsity| anchors.speedup(layer).unwrap().at(sparsity).unwrap();
        assert_eq!([of("C", 0.0), of("C", 90.0), of("C", 99.0)], [1.8, 12.3, 18.5]);
        assert!((of("G", 75.0) - 4.8).abs() < 1e-9 && (of("G", 25.0) - 2.05).abs() < 1e-9);
        assert_eq!([of("I", 0.0), of("J", 0.0)], [3.5; 2]);
    }

    #[test]
    fn goals_without_sparsities_or_with_some_that_do_not_rise_are_refused() {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("anchors.toml")).unwrap();
        let start = text.find("least = [").unwrap();
        let end = start + text[start..].find("]]").unwrap() + 2;
        for least in ["least = []", "least = [[90, 2.0], [90, 3.0]]"] {
            let problem = Anchors::parse(&[&text[..start], least, &text[end..]].concat()).unwrap_err();
            assert!(problem.ends_with("do not rise, or there are none"), "{problem}");
        }
    }
}
