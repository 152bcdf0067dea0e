//! The rows of a matrix whose rings all have byte gaps: their streams as they are stored, with little to do a row.
use crate::{KernelError, rows::RowSource};
use nested_csr::{Block, ByteRing, Level, MAX_LEVELS, MatrixView, Sink};

/// Rows in order, each decoded whole, as [`nested_csr::Rows`] does.
#[derive(Clone, Debug)]
pub(super) struct ByteRows<'a> {
    first: ByteRing<'a>,
    /// The rings after the first.
    others: [Option<ByteRing<'a>>; MAX_LEVELS - 1],
    levels: usize,
    block: Block,
    columns: usize,
    left: usize,
}

impl<'a> ByteRows<'a> {
    /// `None` when some ring up to the level is not of bytes, or a row's last block is not whole.
    pub(super) fn new(matrix: &MatrixView<'a>, level: Level) -> Result<Option<Self>, KernelError> {
        let (shape, block) = (matrix.shape(), matrix.block());
        let Some(first) = matrix.byte_ring(Level::FIRST)? else { return Ok(None) };
        let mut others = [None; MAX_LEVELS - 1];
        for (slot, level) in others.iter_mut().zip(level.up_to().skip(1)) {
            *slot = matrix.byte_ring(level)?;
            if slot.is_none() {
                return Ok(None);
            }
        }
        let whole = shape.columns.is_multiple_of(block.width());
        let (columns, left) = (shape.columns, shape.rows);
        Ok(whole.then_some(ByteRows { first, others, levels: level.number(), block, columns, left }))
    }

    #[inline(always)]
    fn row<const WIDTH: usize>(&mut self, sink: &mut impl Sink) {
        // A full ring is the only one with weights in its row.
        let met = one_ring::<WIDTH>(&mut self.first, self.columns, sink);
        if self.levels > 1 {
            more_rings::<WIDTH>(&mut self.others, if met == 0 { self.columns } else { 0 }, sink);
        }
    }
}

/// A row's weights in the rings after the first. `full`: the columns of a row that none of them has met yet, or 0.
#[inline(never)]
fn more_rings<const WIDTH: usize>(rings: &mut [Option<ByteRing<'_>>], mut full: usize, sink: &mut impl Sink) {
    for ring in rings.iter_mut().flatten() {
        if one_ring::<WIDTH>(ring, full, sink) > 0 {
            full = 0;
        }
    }
}

/// A row's weights in a ring; returns the blocks. `full`: the weights that a full row would have, 0 if it cannot be full.
#[inline(always)]
fn one_ring<const WIDTH: usize>(ring: &mut ByteRing<'_>, full: usize, sink: &mut impl Sink) -> usize {
    let count = ring.next_count();
    // A gap of 255 has at least two bytes, so there never are fewer gaps than blocks.
    let Some((gaps, gaps_left)) = ring.gaps.split_at_checked(count) else { return 0 };
    let Some((weights, weights_left)) = ring.weights.split_at_checked(count * WIDTH) else { return 0 };
    if count > 0 && count * WIDTH == full {
        (ring.gaps, ring.weights) = (gaps_left, weights_left);
        sink.all(bytemuck::cast_slice(weights));
        return count;
    }
    let (done, next) = sink.blocks::<WIDTH>(gaps, weights.as_chunks().0);
    if done == count {
        (ring.gaps, ring.weights) = (gaps_left, weights_left);
    } else {
        rest::<WIDTH>(ring, sink, done, next, count);
    }
    count
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
