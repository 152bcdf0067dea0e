//! The requantisations of a node, read for the rows of one layer.
use crate::requant::Finish;
use nested_csr::{Multiplier, NodeParameters, Requantization};

/// How the rows of a node are finished, each with a requantisation of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finishes<'a> {
    parameters: &'a NodeParameters<'a>,
}

impl<'a> Finishes<'a> {
    pub(crate) fn new(parameters: &'a NodeParameters<'a>) -> Self {
        Finishes { parameters }
    }

    /// Row `row`'s, which the node has. Read at once, where [`Requantizations::get`] tells the widths of biases apart: a row of
    /// a small map takes hardly longer than that.
    ///
    /// [`Requantizations::get`]: nested_csr::Requantizations::get
    #[inline(always)]
    pub(crate) fn of(self, row: usize) -> Finish {
        let (bytes, width) = self.parameters.rows.stored();
        let stored = bytes.get(row * (2 + width)..).and_then(|bytes| bytes.first_chunk::<8>());
        let requantization = match stored {
            // A code of two bytes, and a bias of `width` bytes.
            Some(stored) if (1..=4).contains(&width) => {
                let stored = u64::from_le_bytes(*stored);
                let bits = 8 * width as u32;
                let bias = ((stored << (48 - bits)) as i64 >> (64 - bits)) as i32;
                Requantization { multiplier: Multiplier::from_code(stored as u16), bias }
            }
            _ => self.parameters.rows.get(row),
        };
        Finish::new(requantization, self.parameters)
    }

    /// The zero point and the bounds, which rows have in common.
    #[inline(always)]
    pub(crate) fn common(self) -> Finish {
        let nothing = Requantization { multiplier: Multiplier::from_code(0), bias: 0 };
        Finish::new(nothing, self.parameters)
    }
}
