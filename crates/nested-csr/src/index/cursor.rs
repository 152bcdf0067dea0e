//! A position in one ring's index stream. The same steps serve the reader and the checker, so that what was
//! checked is what is read; a broken stream ends early and is marked, it never panics.
use super::bits::Bits;
use super::golomb::Golomb;
use super::map::FreeWord;
use super::{IndexCode, Map};
use crate::bytes::{u8_at, u16_at, u32_at};

/// A stretch of a row within which a ring's blocks are sought: a whole row, or a part of a very wide one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Positions not yet passed, counted as the ring's code counts them.
    room: u32,
    /// The next position that can be met, counted in the same way.
    at: u32,
    /// For codes that count free positions: the free blocks of one word of the map.
    free: FreeWord,
}

impl Span {
    /// A span of `room` positions from `start`.
    #[inline(always)]
    pub(crate) fn new(start: u32, room: u32) -> Span {
        Span { room, at: start, free: FreeWord { index: 0, mask: 0, before: 0, count: 0 } }
    }

    /// A span over the free positions of a row.
    #[inline(always)]
    pub(crate) fn free(map: &Map, room: u32) -> Span {
        Span { room, at: 0, free: FreeWord::new(map, 0, 0) }
    }
}

/// Where a ring's decoding stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    /// How the ring is written.
    pub code: IndexCode,
    golomb: Golomb,
    /// Row counts not yet read; only for [`IndexCode::Bytes`].
    counts: &'a [u8],
    bits: Bits<'a>,
    /// Gap bytes not yet read; only for [`IndexCode::Bytes`].
    gaps: &'a [u8],
    /// Blocks to come: of the row for [`IndexCode::Bytes`], of the ring for others.
    pending: u32,
    /// Positions to pass before the next block.
    left: u32,
    /// Weights not yet read.
    pub values: &'a [u8],
    /// Whether the stream ended too early.
    pub broken: bool,
}

impl<'a> Cursor<'a> {
    /// At the start of a ring of `blocks` blocks in `rows` rows.
    pub(crate) fn new(code: IndexCode, rows: u32, blocks: u32, index: &'a [u8], values: &'a [u8]) -> Cursor<'a> {
        let mut cursor = Cursor {
            code,
            golomb: Golomb::new(1),
            counts: &[],
            bits: Bits::default(),
            gaps: &[],
            pending: 0,
            left: 0,
            values,
            broken: false,
        };
        match code {
            IndexCode::Bytes { count_width } => {
                let counts = (rows as usize).checked_mul(usize::from(count_width));
                match counts.and_then(|len| index.split_at_checked(len)) {
                    Some((counts, gaps)) => {
                        cursor.counts = counts;
                        cursor.gaps = gaps;
                    }
                    None => cursor.broken = true,
                }
            }
            IndexCode::Nibbles => cursor.start_run(index, blocks, Self::next_nibbles),
            IndexCode::Gaps { modulus } | IndexCode::FreeGaps { modulus } => {
                cursor.golomb = Golomb::new(modulus);
                cursor.start_run(index, blocks, Self::next_golomb);
            }
        }
        cursor
    }

    /// Starts a stream of `blocks` gaps that runs on over the ends of rows.
    fn start_run(&mut self, index: &'a [u8], blocks: u32, next: impl FnOnce(&mut Self)) {
        self.bits = Bits::new(index);
        self.pending = blocks;
        if blocks > 0 {
            next(self);
        }
    }

    /// Enters a row: for [`IndexCode::Bytes`] reads its count and first gap, for others there is nothing to do.
    #[inline(always)]
    pub(crate) fn start_row(&mut self) {
        if let IndexCode::Bytes { count_width } = self.code {
            self.pending = self.read_count(count_width);
            if self.pending > 0 {
                self.next_byte_gap();
            }
        }
    }

    #[inline(always)]
    fn read_count(&mut self, count_width: u8) -> u32 {
        let count = match count_width {
            1 => u32::from(u8_at(self.counts, 0)),
            2 => u32::from(u16_at(self.counts, 0)),
            _ => u32_at(self.counts, 0),
        };
        self.counts = self.counts.get(usize::from(count_width)..).unwrap_or(&[]);
        count
    }

    /// Enters a row of an [`IndexCode::Bytes`] ring and looks ahead: the bytes that its gaps are when all are short, and
    /// the weights of its blocks; nothing of it when blocks are not `whole`. [`Cursor::pass_blocks`] must follow.
    #[inline(always)]
    pub(crate) fn begin_row<const WIDTH: usize>(&mut self, whole: bool) -> (&'a [u8], &'a [[u8; WIDTH]]) {
        let IndexCode::Bytes { count_width } = self.code else { return (&[], &[]) };
        self.pending = self.read_count(count_width);
        let count = if whole { self.pending as usize } else { 0 };
        let weights = self.values.get(..count.wrapping_mul(WIDTH)).unwrap_or(&[]);
        (self.gaps.get(..count).unwrap_or(&[]), weights.as_chunks().0)
    }

    /// Passes the first `blocks` blocks of a row, whose gaps were short.
    #[inline(always)]
    pub(crate) fn pass_blocks<const WIDTH: usize>(&mut self, blocks: usize) {
        self.gaps = self.gaps.get(blocks..).unwrap_or(&[]);
        self.values = self.values.get(blocks.wrapping_mul(WIDTH)..).unwrap_or(&[]);
        self.pending = self.pending.wrapping_sub(blocks as u32); // no more than there were
        if self.pending > 0 {
            self.next_byte_gap();
        }
    }

    /// Calls `emit` with each block of a row from block `start` on, and leaves the row, which has `blocks` blocks, of
    /// which `free` are free; only [`IndexCode::Bytes`] may start later than at 0.
    ///
    /// Where `MAPPED`, the map holds the inner rings' blocks; otherwise codes that count free positions give places
    /// among the free ones, which in ring 1 are the blocks themselves. The code is matched once.
    #[inline(always)]
    pub(crate) fn walk<const MAPPED: bool>(
        &mut self,
        map: &mut Map,
        start: u32,
        blocks: u32,
        free: u32,
        mut emit: impl FnMut(&mut Map, u32),
    ) {
        let mut span = Span::new(start, blocks.wrapping_sub(start));
        match self.code {
            IndexCode::Bytes { .. } => {
                while let Some(block) = self.meet(&mut span, Self::next_byte_gap) {
                    emit(map, block);
                }
            }
            IndexCode::Nibbles => {
                while let Some(block) = self.meet(&mut span, Self::next_nibbles) {
                    emit(map, block);
                }
            }
            IndexCode::Gaps { .. } => {
                while let Some(block) = self.meet(&mut span, Self::next_golomb) {
                    emit(map, block);
                }
            }
            IndexCode::FreeGaps { .. } => {
                span = if MAPPED { Span::free(map, free) } else { Span::new(0, free) };
                while let Some(place) = self.meet(&mut span, Self::next_golomb) {
                    let block = if MAPPED { span.free.block(place, map) } else { place };
                    emit(map, block);
                }
            }
        }
        self.end_span(&span);
    }

    /// The next block of the span, whatever the code.
    pub(crate) fn step(&mut self, span: &mut Span, map: &Map) -> Option<u32> {
        match self.code {
            IndexCode::Bytes { .. } => self.meet(span, Self::next_byte_gap),
            IndexCode::Nibbles => self.meet(span, Self::next_nibbles),
            IndexCode::Gaps { .. } => self.meet(span, Self::next_golomb),
            IndexCode::FreeGaps { .. } => {
                let place = self.meet(span, Self::next_golomb)?;
                Some(span.free.block(place, map))
            }
        }
    }

    #[inline(always)]
    fn meet(&mut self, span: &mut Span, next: impl FnOnce(&mut Self)) -> Option<u32> {
        if self.pending == 0 || self.left >= span.room {
            return None;
        }
        let place = span.at.wrapping_add(self.left);
        span.room = span.room.wrapping_sub(self.left).wrapping_sub(1);
        span.at = place.wrapping_add(1);
        self.pending = self.pending.wrapping_sub(1);
        if self.pending > 0 {
            next(self);
        }
        Some(place)
    }

    /// Leaves a span after its last step: what is left of the gap carries over.
    #[inline(always)]
    pub(crate) fn end_span(&mut self, span: &Span) {
        if self.pending > 0 {
            self.left = self.left.wrapping_sub(span.room);
        }
    }

    /// Positions before the next block; `None` when there is none.
    pub(crate) fn gap(&self) -> Option<u32> {
        (self.pending > 0).then_some(self.left)
    }

    /// Passes positions that hold no block of the ring: no more than [`Cursor::gap`].
    pub(crate) fn pass(&mut self, positions: u32) {
        if self.pending > 0 {
            self.left = self.left.wrapping_sub(positions);
        }
    }

    /// Blocks to come: of the row for [`IndexCode::Bytes`], of the ring for others.
    pub(crate) fn pending(&self) -> u32 {
        self.pending
    }

    /// Whether the whole stream was used, spare bits 0.
    pub(crate) fn finished(&self) -> bool {
        !self.broken
            && self.pending == 0
            && self.values.is_empty()
            && self.counts.is_empty()
            && self.gaps.is_empty()
            && self.bits.finished()
    }

    /// Takes `count` weights.
    #[inline(always)]
    pub(crate) fn take_values(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.values.split_at_checked(count)?;
        self.values = rest;
        Some(taken)
    }

    #[inline(always)]
    fn next_golomb(&mut self) {
        match self.golomb.next(&mut self.bits) {
            Some(gap) => self.left = gap,
            None => self.fail(),
        }
    }

    /// A gap in steps of 4 bits: 15s that add up, ended by a smaller one.
    #[inline(always)]
    fn next_nibbles(&mut self) {
        let mut gap = 0u32;
        loop {
            let nibble = self.bits.peek() & 15;
            self.bits.skip(4);
            gap = gap.saturating_add(nibble);
            // Past the end all bits are 0, so this ends.
            if nibble != 15 {
                break;
            }
        }
        self.left = gap;
        if self.bits.overrun() {
            self.fail();
        }
    }

    #[inline(always)]
    fn next_byte_gap(&mut self) {
        match self.gaps.split_first() {
            Some((&byte, rest)) if byte != u8::MAX => {
                self.gaps = rest;
                self.left = u32::from(byte);
            }
            _ => self.next_escaped_gap(),
        }
    }

    /// A gap of 255 or more: bytes of 255 that add up, ended by a smaller one.
    #[cold]
    fn next_escaped_gap(&mut self) {
        let mut gap = 0u32;
        while let Some((&byte, rest)) = self.gaps.split_first() {
            self.gaps = rest;
            gap = gap.saturating_add(u32::from(byte));
            if byte != u8::MAX {
                self.left = gap;
                return;
            }
        }
        self.fail();
    }

    #[cold]
    fn fail(&mut self) {
        self.broken = true;
        self.pending = 0;
    }
}
