//! Checking a layer: every index stream is walked once, row by row, all rings side by side.
use crate::index::{Cursor, IndexCode, MAP_BLOCKS, Map, count_bytes, empty_rows};
use crate::ring::Ring;
use crate::{Block, FormatError, MAX_LEVELS, Shape};
use core::ops::Range;

/// Sums of a ring's weights in one row: of the positive ones and of the negative ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Of the weights above 0.
    pub positive: i32,
    /// Of the weights below 0.
    pub negative: i32,
}

impl Sums {
    /// Of a run of stored weights. Rows have at most 2²⁴ columns, so 32 bits hold it.
    pub(crate) fn of(values: &[u8]) -> Sums {
        let signed = |w: u8| i32::from(w.cast_signed());
        let positive = values.iter().map(|&w| signed(w).max(0)).fold(0, i32::wrapping_add);
        let negative = values.iter().map(|&w| signed(w).min(0)).fold(0, i32::wrapping_add);
        Sums { positive, negative }
    }

    /// Adds another run's.
    pub(crate) fn add(self, other: Sums) -> Sums {
        Sums {
            positive: self.positive.wrapping_add(other.positive),
            negative: self.negative.wrapping_add(other.negative),
        }
    }

    /// The least and greatest dot product with activations in −128..=127.
    pub(crate) fn extremes(self) -> (i64, i64) {
        let (positive, negative) = (i64::from(self.positive), i64::from(self.negative));
        let least = positive.wrapping_mul(-128).wrapping_add(negative.wrapping_mul(127));
        let greatest = positive.wrapping_mul(127).wrapping_add(negative.wrapping_mul(-128));
        (least, greatest)
    }
}

/// Checks the rings of one layer, innermost first, and hands out the sums of rows, one a ring.
///
/// Time grows with the bytes of the rings, not with the shape: rows that no byte describes are passed together.
pub(crate) fn check_layer(
    layer: usize,
    shape: Shape,
    block: Block,
    rings: &[Ring<'_>],
    mut on_rows: impl FnMut(Range<usize>, &[Sums; MAX_LEVELS]) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut walk = Walk::new(layer, shape, block, rings);
    let mut row = 0usize;
    while row < shape.rows {
        let empty = walk.pass_empty_rows(shape.rows.wrapping_sub(row));
        if empty > 0 {
            let next = row.wrapping_add(empty);
            on_rows(row..next, &[Sums::default(); MAX_LEVELS])?;
            row = next;
            continue;
        }
        let sums = walk.row(row)?;
        let next = row.wrapping_add(1);
        on_rows(row..next, &sums)?;
        row = next;
    }
    walk.finish()
}

/// The state of a walk over all rings of a layer.
struct Walk<'r, 'a> {
    layer: usize,
    rows: usize,
    rings: &'r [Ring<'a>],
    blocks: u32,
    block: Block,
    /// Columns are odd and blocks are 1×2: the last block of a row holds one weight.
    lone: bool,
    cursors: [Option<Cursor<'a>>; MAX_LEVELS],
    /// Blocks met in each ring so far.
    met: [u32; MAX_LEVELS],
    /// The most blocks met in a row of each ring.
    most: [u32; MAX_LEVELS],
    /// Whether columns must be known: some outer ring's code could repeat an inner ring's position.
    columns: bool,
    map: Map,
}

impl<'r, 'a> Walk<'r, 'a> {
    fn new(layer: usize, shape: Shape, block: Block, rings: &'r [Ring<'a>]) -> Walk<'r, 'a> {
        let mut cursors = [None; MAX_LEVELS];
        for (slot, ring) in cursors.iter_mut().zip(rings) {
            *slot = Some(ring.cursor(shape));
        }
        Walk {
            layer,
            rows: shape.rows,
            rings,
            blocks: shape.blocks(block),
            block,
            lone: !shape.columns.is_multiple_of(block.width()),
            cursors,
            met: [0; MAX_LEVELS],
            most: [0; MAX_LEVELS],
            columns: rings.iter().skip(1).any(|ring| !matches!(ring.code, IndexCode::FreeGaps { .. })),
            map: Map::new(),
        }
    }

    /// Passes the rows, at most `most`, in which no ring has a block and that no byte describes; how many they were.
    fn pass_empty_rows(&mut self, most: usize) -> usize {
        let empty = empty_rows(self.cursors.iter().flatten(), self.blocks, most);
        for cursor in self.cursors.iter_mut().flatten() {
            cursor.pass(empty.wrapping_mul(self.blocks));
        }
        empty as usize
    }

    /// Checks one row of all rings.
    fn row(&mut self, row: usize) -> Result<[Sums; MAX_LEVELS], FormatError> {
        let mut found = [(0u32, false); MAX_LEVELS];
        if self.columns {
            self.positions(row, &mut found)?;
        } else {
            self.counts(&mut found);
        }
        let mut sums = [Sums::default(); MAX_LEVELS];
        let totals = self.met.iter_mut().zip(&mut self.most);
        let rings = self.cursors.iter_mut().zip(totals).zip(found.iter().zip(&mut sums));
        for (ring, ((cursor, (met, most)), ((count, lone), sums))) in rings.enumerate() {
            let Some(cursor) = cursor else { break };
            let (layer, level) = (self.layer, ring.wrapping_add(1));
            if cursor.broken() {
                return Err(FormatError::IndexStream { layer, level, row });
            }
            if cursor.counts_rows() && cursor.pending() > 0 {
                return Err(FormatError::ColumnOutOfRange { layer, level, row });
            }
            *met = met.wrapping_add(*count);
            *most = (*most).max(*count);
            let weights = (*count as usize).wrapping_mul(self.block.width()).wrapping_sub(usize::from(*lone));
            let left = cursor.values.len();
            let values = cursor.take_values(weights).ok_or_else(|| {
                let stated = self.rings.get(ring).map_or(0, |ring| ring.values.len());
                let found = stated.wrapping_sub(left).wrapping_add(weights);
                FormatError::Count { layer, level, what: "weights", stated, found }
            })?;
            *sums = check_values(values, self.block).ok_or(FormatError::ZeroBlock { layer, level, row })?;
        }
        Ok(sums)
    }

    /// Counts each ring's blocks where no code can repeat a position: places among the free ones are enough.
    fn counts(&mut self, found: &mut [(u32, bool); MAX_LEVELS]) {
        let mut free = self.blocks;
        let mut last_taken = false;
        for (cursor, found) in self.cursors.iter_mut().zip(found) {
            let Some(cursor) = cursor else { break };
            let mut local = *cursor;
            local.start_row();
            let mut count = 0u32;
            let mut last = None;
            // Codes that count all positions are only in ring 1 here, where all are free.
            local.walk::<false>(&mut self.map, 0, free, free, |_, place| {
                count = count.wrapping_add(1);
                last = Some(place);
            });
            *cursor = local;
            // The row's last block is the last free one for as long as nobody took it.
            let takes_last = !last_taken && last.is_some_and(|place| place.wrapping_add(1) == free);
            last_taken |= takes_last;
            *found = (count, self.lone && takes_last);
            free = free.wrapping_sub(count);
        }
    }

    /// Finds each ring's blocks, a window of [`MAP_BLOCKS`] at a time, and checks that none is met twice.
    fn positions(&mut self, row: usize, found: &mut [(u32, bool); MAX_LEVELS]) -> Result<(), FormatError> {
        for cursor in self.cursors.iter_mut().flatten() {
            cursor.start_row();
        }
        let mut start = 0u32;
        while start < self.blocks {
            if self.blocks > MAP_BLOCKS {
                start = start.wrapping_add(self.pass_empty_blocks(self.blocks.wrapping_sub(start)));
            }
            let room = self.blocks.wrapping_sub(start).min(MAP_BLOCKS);
            self.map.clear(room);
            self.window(row, start, room, found)?;
            start = start.saturating_add(room);
        }
        Ok(())
    }

    /// Passes the blocks of a wide row, at most `most`, that no ring holds; how many they were.
    fn pass_empty_blocks(&mut self, most: u32) -> u32 {
        let gaps = self.cursors.iter().flatten().filter_map(Cursor::gap);
        let empty = gaps.fold(most, u32::min);
        for cursor in self.cursors.iter_mut().flatten() {
            cursor.pass(empty);
        }
        empty
    }

    fn window(
        &mut self,
        row: usize,
        start: u32,
        room: u32,
        found: &mut [(u32, bool); MAX_LEVELS],
    ) -> Result<(), FormatError> {
        let mut free = room;
        let last_block = self.blocks.wrapping_sub(1);
        for (ring, (cursor, (count, lone))) in self.cursors.iter_mut().zip(found).enumerate() {
            let Some(cursor) = cursor else { break };
            let mut local = *cursor;
            let mut here = 0u32;
            let mut last = 0;
            let mut repeated = None;
            // Free positions are counted only where a single window holds the row.
            local.walk::<true>(&mut self.map, 0, room, free, |map, place| {
                if !map.take(place) {
                    repeated = repeated.or(Some(place));
                }
                here = here.wrapping_add(1);
                last = start.wrapping_add(place);
            });
            *cursor = local;
            if let Some(place) = repeated {
                let column = (start.wrapping_add(place) as usize).wrapping_mul(self.block.width());
                return Err(FormatError::DuplicateColumn {
                    layer: self.layer,
                    level: ring.wrapping_add(1),
                    row,
                    column,
                });
            }
            *count = count.wrapping_add(here);
            *lone |= self.lone && here > 0 && last == last_block;
            free = free.wrapping_sub(here);
        }
        Ok(())
    }

    /// Checks that each ring held what its record states, and nothing more.
    fn finish(&self) -> Result<(), FormatError> {
        let totals = self.met.into_iter().zip(self.most);
        let rings = self.cursors.iter().flatten().zip(self.rings).zip(totals);
        for (index, ((cursor, ring), (met, most))) in rings.enumerate() {
            let (layer, level) = (self.layer, index.wrapping_add(1));
            if met != ring.blocks {
                let (stated, found) = (ring.blocks as usize, met as usize);
                return Err(FormatError::Count { layer, level, what: "blocks", stated, found });
            }
            if let IndexCode::Bytes { count_width } = ring.code
                && count_width != count_bytes(most)
            {
                return Err(FormatError::IndexCode { layer, level, code: 0, parameter: count_width.into() });
            }
            if !cursor.values.is_empty() {
                let stated = ring.values.len();
                let found = stated.wrapping_sub(cursor.values.len());
                return Err(FormatError::Count { layer, level, what: "weights", stated, found });
            }
            if !cursor.finished() {
                return Err(FormatError::IndexStream { layer, level, row: self.rows.saturating_sub(1) });
            }
        }
        Ok(())
    }
}

/// The sums of a row's weights; `None` when some block is all zeros.
fn check_values(values: &[u8], block: Block) -> Option<Sums> {
    let zero = match block {
        Block::OneByOne => values.iter().fold(false, |zero, &w| zero | (w == 0)),
        Block::OneByTwo => values.chunks(2).any(|pair| pair.iter().all(|&w| w == 0)),
    };
    if zero {
        return None;
    }
    Some(Sums::of(values))
}
