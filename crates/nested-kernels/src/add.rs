//! Residual addition: `acc = bias + w₀ · left + w₁ · right`, element by element, one requantisation for all.
use crate::{KernelError, arch::*, geometry::check_length, requant::Finish};
use nested_csr::NodeParameters;

/// Adds two maps of one shape into a third.
///
/// # Errors
/// Maps of different lengths, parameters without a requantisation.
///
/// ```
/// use nested_csr::{Level, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization, TensorShape};
/// use nested_kernels::{add, add_in_place};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let quantization = Quantization { scale: 0.1, zero_point: 0 };
/// # let quarter = Multiplier::nearest(0.25).ok_or("a half or more")?;
/// # let rows = vec![Requantization { multiplier: quarter, bias: 0 }];
/// # let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [2, 4], rows };
/// # let image = TensorShape { channels: 3, height: 1, width: 1 };
/// # let mut builder = ModelBuilder::new(Level::FIRST, image, quantization)?;
/// # let input = builder.input();
/// # builder.add("", input, input, &[level])?;
/// # let model = builder.finish(Profile::Size)?;
/// // A model of one layer: ¼ · (2 · left + 4 · right).
/// let parameters = model.parameters(Level::FIRST, 0).ok_or("no level")?;
/// let (mut left, right) = ([10, -3, 120], [20, 1, 100]);
/// let mut sum = [0; 3];
/// add(&parameters, &left, &right, &mut sum)?;
/// assert_eq!(sum, [25, 0, 127]); // −½ rounds up, 160 is clamped
/// add_in_place(&parameters, &mut left, &right)?;
/// assert_eq!(left, sum);
/// # Ok(()) }
/// ```
pub fn add(parameters: &NodeParameters<'_>, left: &[i8], right: &[i8], output: &mut [i8]) -> Result<(), KernelError> {
    check_length(output.len(), left.len(), |needed, given| KernelError::InputLength { needed, given })?;
    let sum = Sum::new(parameters, output.len(), right.len())?;
    backend().add(&sum, left, right, output);
    Ok(())
}

/// Adds `right` to `left`, in place; see [`add`] for an example.
///
/// # Errors
/// Those of [`add`].
pub fn add_in_place(parameters: &NodeParameters<'_>, left: &mut [i8], right: &[i8]) -> Result<(), KernelError> {
    let sum = Sum::new(parameters, left.len(), right.len())?;
    backend().add_in_place(&sum, left, right);
    Ok(())
}

/// What all elements share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum {
    pub(crate) weights: [i32; 2],
    pub(crate) finish: Finish,
}

impl Sum {
    fn new(parameters: &NodeParameters<'_>, needed: usize, given: usize) -> Result<Self, KernelError> {
        check_length(needed, given, |needed, given| KernelError::InputLength { needed, given })?;
        check_length(1, parameters.rows.len(), |needed, given| KernelError::Requantizations { needed, given })?;
        Ok(Sum {
            weights: parameters.input_weights.map(i32::from),
            finish: Finish::new(parameters.rows.get(0), parameters),
        })
    }

    /// One element's.
    #[inline(always)]
    pub(crate) fn of(&self, left: i8, right: i8) -> i8 {
        let products = self.weights[0] * i32::from(left) + self.weights[1] * i32::from(right);
        self.finish.apply(self.finish.bias.wrapping_add(products))
    }
}
