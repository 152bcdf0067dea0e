//! Two tensors behind one another.
use crate::{KernelError, geometry::check_length};

/// Copies the elements of `left`, then those of `right`.
///
/// ```
/// let mut output = [0; 3];
/// nested_kernels::concatenation(&[1, 2], &[-3], &mut output)?;
/// assert_eq!(output, [1, 2, -3]);
/// # Ok::<(), nested_kernels::KernelError>(())
/// ```
///
/// # Errors
/// [`KernelError::OutputLength`] when `output` is not as long as both together.
pub fn concatenation(left: &[i8], right: &[i8], output: &mut [i8]) -> Result<(), KernelError> {
    let whole = left.len().saturating_add(right.len());
    check_length(whole, output.len(), |needed, given| KernelError::OutputLength { needed, given })?;
    let (first, second) = output.split_at_mut_checked(left.len()).unwrap_or_default();
    for (from, to) in [(left, first), (right, second)] {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
    Ok(())
}
