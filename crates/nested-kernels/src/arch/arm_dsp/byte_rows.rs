//! The rows of a matrix whose rings all have byte gaps: their streams as they are stored, with little to do a row.
use crate::{KernelError, rows::RowSource};
use nested_csr::{Block, ByteRing, Level, MAX_LEVELS, MatrixView, Sink};

/// Rows in order, each decoded whole, as [`nested_csr::Rows`] does.
#[derive(Clone, Debug)]
pub(super) struct ByteRows<'a> {
    rings: [Option<ByteRing<'a>>; MAX_LEVELS],
    levels: usize,
    block: Block,
    columns: usize,
    left: usize,
}

impl<'a> ByteRows<'a> {
    /// `None` when some ring up to the level is not of bytes, or a row's last block is not whole.
    pub(super) fn new(matrix: &MatrixView<'a>, level: Level) -> Result<Option<Self>, KernelError> {
        let (shape, block) = (matrix.shape(), matrix.block());
        let mut rings = [None; MAX_LEVELS];
        for (slot, level) in rings.iter_mut().zip(level.up_to()) {
            *slot = matrix.byte_ring(level)?;
            if slot.is_none() {
                return Ok(None);
            }
        }
        let whole = shape.columns.is_multiple_of(block.width());
        let rows = ByteRows { rings, levels: level.number(), block, columns: shape.columns, left: shape.rows };
        Ok(whole.then_some(rows))
    }

    #[inline(always)]
    fn row<const WIDTH: usize>(&mut self, sink: &mut impl Sink) {
        let mut met = 0;
        for ring in self.rings.iter_mut().take(self.levels).flatten() {
            let count = ring.next_count();
            let (Some((gaps, gaps_left)), Some((weights, weights_left))) =
                (ring.gaps.split_at_checked(count), ring.weights.split_at_checked(count * WIDTH))
            else {
                // A gap of 255 has at least two bytes, so there never are fewer gaps than blocks.
                return;
            };
            // A full ring is the only one with weights in its row.
            if met == 0 && count * WIDTH == self.columns {
                (ring.gaps, ring.weights) = (gaps_left, weights_left);
                met = count;
                sink.all(bytemuck::cast_slice(weights));
                continue;
            }
            met += count;
            let (done, next) = sink.blocks::<WIDTH>(gaps, weights.as_chunks().0);
            if done == count {
                (ring.gaps, ring.weights) = (gaps_left, weights_left);
            } else {
                rest::<WIDTH>(ring, sink, done, next, count);
            }
        }
    }
}

/// The blocks of a row from `done` on, `next` being the number of the block behind the one before.
#[inline(never)]
fn rest<const WIDTH: usize>(ring: &mut ByteRing<'_>, sink: &mut impl Sink, done: usize, next: u32, count: usize) {
    ring.gaps = ring.gaps.get(done..).unwrap_or_default();
    ring.weights = ring.weights.get(done * WIDTH..).unwrap_or_default();
    let mut block = next as usize;
    for _ in done..count {
        block = block.saturating_add(ring.next_gap());
        let Some((weights, left)) = ring.weights.split_first_chunk::<WIDTH>() else { return };
        ring.weights = left;
        for (column, weight) in (block.saturating_mul(WIDTH)..).zip(weights) {
            sink.weight(column, weight.cast_signed());
        }
        block += 1;
    }
}

impl RowSource for ByteRows<'_> {
    #[inline(always)]
    fn next_row_into(&mut self, sink: &mut impl Sink) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        match self.block {
            Block::OneByOne => self.row::<1>(sink),
            Block::OneByTwo => self.row::<2>(sink),
        }
        Some(())
    }
}
