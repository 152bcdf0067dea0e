//! Where a convolution's weights come from, row by row: the seam between the format and the kernels.
use nested_csr::{Rows, Sink};

/// Weight rows in order, each decoded whole.
pub(crate) trait RowSource {
    /// Gives the sink each weight of the next row, whole runs at a time where it takes them; columns are below the
    /// matrix's. `None` after the last row.
    fn next_row_into(&mut self, sink: &mut impl Sink) -> Option<()>;
}

impl RowSource for Rows<'_> {
    #[inline]
    fn next_row_into(&mut self, sink: &mut impl Sink) -> Option<()> {
        Rows::next_row_into(self, sink)
    }
}

/// The rows of a dense row-major matrix: every weight, zeros too, so that it is a fair dense baseline.
#[derive(Clone, Debug)]
pub(crate) struct DenseRows<'a> {
    rows: core::slice::ChunksExact<'a, i8>,
}

impl<'a> DenseRows<'a> {
    pub(crate) fn new(weights: &'a [i8], columns: usize) -> Self {
        DenseRows { rows: weights.chunks_exact(columns.max(1)) }
    }
}

impl RowSource for DenseRows<'_> {
    #[inline]
    fn next_row_into(&mut self, sink: &mut impl Sink) -> Option<()> {
        sink.all(self.rows.next()?);
        Some(())
    }
}
