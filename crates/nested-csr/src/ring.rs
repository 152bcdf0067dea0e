//! The record of one ring of one layer at the start of a section, and the bytes it names.
use crate::bytes::{range, u8_at, u16_at, u32_at};
use crate::index::{Cursor, IndexCode, MAP_BLOCKS};
use crate::{Block, FormatError, Part, Shape};

/// Bytes of a ring's record.
pub(crate) const RING_LEN: usize = 16;

/// The longest index stream: its bits are counted in 32 bits where an address has no more.
pub(crate) const MAX_INDEX: usize = 1 << 28;

/// A ring as its record states it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<'a> {
    /// How its positions are written.
    pub code: IndexCode,
    /// Blocks it holds.
    pub blocks: u32,
    /// Counts and gaps.
    pub index: &'a [u8],
    /// Weights in row order.
    pub values: &'a [u8],
}

/// Where a section keeps its ring records and their data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directory {
    /// Offset of the first record.
    pub records: usize,
    /// Offset of the first ring's data: the end of all records.
    pub data: usize,
}

impl Directory {
    fn record(&self, layer: usize) -> usize {
        self.records.wrapping_add(layer.wrapping_mul(RING_LEN))
    }

    /// Start of a layer's data: the end of the one before.
    fn start(&self, section: &[u8], layer: usize) -> usize {
        match layer.checked_sub(1) {
            Some(before) => u32_at(section, self.record(before)) as usize,
            None => self.data,
        }
    }

    /// End of a layer's data.
    pub(crate) fn end(&self, section: &[u8], layer: usize) -> usize {
        u32_at(section, self.record(layer)) as usize
    }

    /// The ring of `layer`, from a section that was checked.
    pub(crate) fn ring<'a>(&self, section: &'a [u8], layer: usize) -> Ring<'a> {
        let at = self.record(layer);
        let (start, end) = (self.start(section, layer), self.end(section, layer));
        let values = end.saturating_sub(u32_at(section, at.wrapping_add(8)) as usize);
        let code = IndexCode::from_stored(u8_at(section, at.wrapping_add(12)), u16_at(section, at.wrapping_add(14)));
        Ring {
            code: code.unwrap_or(IndexCode::Bytes { count_width: 1 }),
            blocks: u32_at(section, at.wrapping_add(4)),
            index: range(section, start, values),
            values: range(section, values, end),
        }
    }

    /// Weights stored by the ring of `layer`.
    pub(crate) fn stored(&self, section: &[u8], layer: usize) -> usize {
        u32_at(section, self.record(layer).wrapping_add(8)) as usize
    }

    /// Checks the record of `layer` in the section of `level`.
    pub(crate) fn check(
        &self,
        section: &[u8],
        level: usize,
        layer: usize,
        shape: Shape,
        block: Block,
    ) -> Result<(), FormatError> {
        let part = Part::Section(level);
        let at = self.record(layer);
        let (start, end) = (self.start(section, layer), self.end(section, layer));
        let blocks = u32_at(section, at.wrapping_add(4)) as usize;
        let values = self.stored(section, layer);
        let index = end.checked_sub(start).and_then(|len| len.checked_sub(values));
        if end > section.len() || index.is_none() {
            let expected = start.saturating_add(values);
            return Err(FormatError::Offset { part, what: "ring", index: layer, found: end, expected });
        }
        if index > Some(MAX_INDEX) {
            return Err(FormatError::TooLarge { what: "an index stream" });
        }
        if u8_at(section, at.wrapping_add(13)) != 0 {
            return Err(FormatError::NotZero { part, offset: at.wrapping_add(13) });
        }
        let (code, parameter) = (u8_at(section, at.wrapping_add(12)), u16_at(section, at.wrapping_add(14)));
        let wide = shape.blocks(block) > MAP_BLOCKS;
        match IndexCode::from_stored(code, parameter) {
            Some(IndexCode::FreeGaps { .. }) if wide => {
                return Err(FormatError::IndexCode { layer, level, code, parameter });
            }
            Some(_) => {}
            None => return Err(FormatError::IndexCode { layer, level, code, parameter }),
        }
        let most = blocks.saturating_mul(block.width());
        // Only lone blocks at the ends of odd rows hold one weight instead of two.
        let lone = if shape.columns.is_multiple_of(block.width()) { 0 } else { shape.rows.min(blocks) };
        if values > most || values < most.saturating_sub(lone) {
            return Err(FormatError::Count { layer, level, what: "weights", stated: values, found: most });
        }
        Ok(())
    }
}

impl<'a> Ring<'a> {
    /// A cursor at the start of the ring.
    pub(crate) fn cursor(&self, shape: Shape) -> Cursor<'a> {
        let rows = u32::try_from(shape.rows).unwrap_or(u32::MAX);
        Cursor::new(self.code, rows, self.blocks, self.index, self.values)
    }
}
