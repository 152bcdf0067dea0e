//! One nested file against the files of its levels as networks of their own, in the same format.
use crate::{
    error::Error,
    options::BlockOption,
    random,
    table::{Table, grouped},
};
use nested_csr::{Profile, TensorShape};
use nested_mask::{Ladder, nn};

/// The bytes of one case.
pub struct Ratio {
    pub case: String,
    /// What the ratio should not be above.
    pub limit: Option<f64>,
    pub nested: usize,
    /// Of each level's file.
    pub alone: Vec<usize>,
}

impl Ratio {
    /// Nested over all others.
    pub fn ratio(&self) -> f64 {
        self.nested as f64 / self.alone.iter().sum::<usize>() as f64
    }
}

const LADDER: [f64; 3] = [0.9, 0.8, 0.7];

/// MobileNetV1 and ResNet-8 at width 1, both blocks, whole files: bytes depend on supports, not on training, so random ones
/// serve.
///
/// # Errors
/// None but those of the builders, which do not occur for these shapes.
pub fn ratios() -> Result<Vec<Ratio>, Error> {
    let shape = TensorShape { channels: 3, height: 32, width: 32 };
    let networks = [
        ("MobileNetV1 w=1", nn::mobilenet_v1(shape, 1.0, 10)?, [Some(0.57), Some(0.55)]),
        ("ResNet-8 w=1", nn::resnet8(shape, 1.0, 10)?, [None; 2]),
    ];
    let mut ratios = Vec::new();
    for (name, network, limits) in networks {
        for (block, limit) in [BlockOption::OneByOne, BlockOption::OneByTwo].into_iter().zip(limits) {
            let bytes = |ladder: &[f64]| -> Result<usize, Error> {
                let model = random::model(&network, block.into(), &Ladder::new(ladder)?, Profile::Size, 1)?;
                Ok(model.as_bytes().len())
            };
            let alone = LADDER.iter().map(|&sparsity| bytes(&[sparsity])).collect::<Result<Vec<_>, _>>()?;
            ratios.push(Ratio { case: format!("{name}, {block}"), limit, nested: bytes(&LADDER)?, alone });
        }
    }
    Ok(ratios)
}

/// The bytes as a table.
pub fn table(ratios: &[Ratio]) -> Table {
    let mut table =
        Table::new(["network", "nested, one file", "alone 90 %", "alone 80 %", "alone 70 %", "all alone", "ratio"]);
    for ratio in ratios {
        let alone = ratio.alone.iter().map(|&bytes| grouped(bytes as u64));
        let sum = ratio.alone.iter().sum::<usize>();
        table.row(
            [ratio.case.clone(), grouped(ratio.nested as u64)]
                .into_iter()
                .chain(alone)
                .chain([grouped(sum as u64), format!("{:.3}", ratio.ratio())]),
        );
    }
    table
}
