//! The shape of a layer that slides a window: shared by all kernels and backends.
use crate::KernelError;
use nested_csr::{TensorShape, Window};

/// What a sliding-window kernel needs to know besides its weights.
///
/// ```
/// use nested_csr::{TensorShape, Window};
/// use nested_kernels::Geometry;
///
/// let input = TensorShape { channels: 3, height: 32, width: 32 };
/// let geometry = Geometry::new(input, Window::square(3, 2, 1), 16, -128)?;
/// assert_eq!(geometry.output, TensorShape { channels: 16, height: 16, width: 16 });
/// # Ok::<(), nested_kernels::KernelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Shape of the input, channel-major.
    pub input: TensorShape,
    /// Shape of the output, channel-major.
    pub output: TensorShape,
    /// The window.
    pub window: Window,
    /// The input's zero point, which padding takes.
    pub zero_point: i8,
}

impl Geometry {
    /// The geometry of `window` on `input`, with `channels` output channels.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] when the kernel does not fit, [`KernelError::Empty`], [`KernelError::TooLarge`].
    pub fn new(input: TensorShape, window: Window, channels: usize, zero_point: i8) -> Result<Self, KernelError> {
        let (height, width) = window.output(input.height, input.width).ok_or(KernelError::Geometry)?;
        let geometry = Geometry { input, output: TensorShape { channels, height, width }, window, zero_point };
        geometry.check()?;
        Ok(geometry)
    }

    /// Whether input, window and output belong together, and every length can be computed without overflow.
    pub(crate) fn check(&self) -> Result<(), KernelError> {
        let (input, output) = (self.input, self.output);
        if self.window.output(input.height, input.width) != Some((output.height, output.width)) {
            return Err(KernelError::Geometry);
        }
        let length = |shape: TensorShape| {
            let len = shape.channels.checked_mul(shape.height)?.checked_mul(shape.width)?;
            // Offsets inside a packed copy are 24-bit; below 2²⁸ a few lengths, and what a window reads beside them, add up to
            // a `usize` of 32 bits. A product of a line with the stride may not.
            (len < 1 << 28).then_some(len)
        };
        let taps = self.columns().and_then(|columns| columns.checked_mul(output.channels));
        match (length(input), length(output), taps) {
            (Some(0), ..) | (_, Some(0), _) => Err(KernelError::Empty { input, output }),
            (Some(_), Some(_), Some(_)) => Ok(()),
            _ => Err(KernelError::TooLarge),
        }
    }

    /// Columns of a convolution's weight matrix: `KH · KW · Cin`.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.taps().checked_mul(self.input.channels)
    }

    /// Taps of one channel: `KH · KW`.
    pub(crate) fn taps(&self) -> usize {
        let [height, width] = self.window.kernel;
        usize::from(height) * usize::from(width)
    }

    /// As many channels out as in.
    pub(crate) fn check_channels(&self) -> Result<(), KernelError> {
        let (input, output) = (self.input.channels, self.output.channels);
        check_length(input, output, |needed, given| KernelError::Channels { needed, given })
    }

    /// Checks the lengths that a kernel was lent.
    pub(crate) fn check_lengths(&self, input: usize, output: usize) -> Result<(), KernelError> {
        self.check()?;
        check_length(self.input.len(), input, |needed, given| KernelError::InputLength { needed, given })?;
        check_length(self.output.len(), output, |needed, given| KernelError::OutputLength { needed, given })
    }
}

/// `Ok` when the lengths agree.
pub(crate) fn check_length(
    needed: usize,
    given: usize,
    error: impl FnOnce(usize, usize) -> KernelError,
) -> Result<(), KernelError> {
    if needed == given { Ok(()) } else { Err(error(needed, given)) }
}
