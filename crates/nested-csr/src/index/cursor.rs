//! A position in one ring's index stream. The same steps serve the reader and the checker, so that what was
//! checked is what is read; a broken stream ends early and is marked, it never panics.
use super::bits::Bits;
use super::golomb::Golomb;
use super::{IndexCode, Map};
use crate::bytes::{u8_at, u16_at, u32_at};

/// A stretch of a row within which a ring's blocks are sought: a whole row, or a part of a very wide one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Positions not yet passed, counted as the ring's code counts them.
    room: u32,
    /// The next block that can be met.
    at: u32,
    /// Word of the map that `word` came from; only for codes that count free positions.
    word_index: u32,
    /// Taken blocks of that word from `at` on.
    word: u32,
}

impl Span {
    /// A span of `room` positions from block `start`.
    #[inline(always)]
    pub(crate) fn new(start: u32, room: u32) -> Span {
        Span { room, at: start, word_index: 0, word: 0 }
    }

    /// A span over the free positions of a row.
    #[inline(always)]
    pub(crate) fn free(map: &Map, room: u32) -> Span {
        Span { room, at: 0, word_index: 0, word: map.word(0) }
    }

    /// The block of the free position that follows `skip` free ones.
    #[inline(always)]
    fn place(&mut self, skip: u32, map: &Map) -> u32 {
        let mut block = self.at.wrapping_add(skip);
        loop {
            if self.word != 0 {
                let taken = (self.word_index << 5).wrapping_add(self.word.trailing_zeros());
                if taken > block {
                    break;
                }
                block = block.wrapping_add(1);
                self.word &= self.word.wrapping_sub(1);
            } else if block >> 5 > self.word_index {
                self.word_index = self.word_index.wrapping_add(1);
                self.word = map.word(self.word_index);
            } else {
                break;
            }
        }
        block
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
            IndexCode::Gaps { modulus } | IndexCode::FreeGaps { modulus } => {
                cursor.golomb = Golomb::new(modulus);
                cursor.bits = Bits::new(index);
                cursor.pending = blocks;
                if blocks > 0 {
                    cursor.next_golomb();
                }
            }
        }
        cursor
    }

    /// Enters a row; for [`IndexCode::Bytes`] reads its count, which is also returned.
    #[inline(always)]
    pub(crate) fn start_row(&mut self) -> u32 {
        let IndexCode::Bytes { .. } = self.code else { return 0 };
        self.pending = self.read_count();
        if self.pending > 0 {
            self.next_byte_gap();
        }
        self.pending
    }

    #[inline(always)]
    fn read_count(&mut self) -> u32 {
        let IndexCode::Bytes { count_width } = self.code else { return 0 };
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
        self.pending = self.read_count();
        let count = if whole { self.pending as usize } else { 0 };
        let weights = self.values.get(..count.wrapping_mul(WIDTH)).unwrap_or(&[]);
        (self.gaps.get(..count).unwrap_or(&[]), weights.as_chunks().0)
    }

    /// Passes the first `blocks` blocks of a row, whose gaps were short.
    #[inline(always)]
    pub(crate) fn pass_blocks<const WIDTH: usize>(&mut self, blocks: usize) {
        self.gaps = self.gaps.get(blocks..).unwrap_or(&[]);
        self.values = self.values.get(blocks.wrapping_mul(WIDTH)..).unwrap_or(&[]);
        self.pending = self.pending.wrapping_sub(blocks as u32);
        if self.pending > 0 {
            self.next_byte_gap();
        }
    }

    /// The next block of the span, for [`IndexCode::Bytes`].
    #[inline(always)]
    pub(crate) fn step_bytes(&mut self, span: &mut Span) -> Option<u32> {
        self.meet(span, |span, skip| span.at.wrapping_add(skip), Self::next_byte_gap)
    }

    /// The next block of the span, for [`IndexCode::Gaps`]; for [`IndexCode::FreeGaps`] its place among the free ones.
    #[inline(always)]
    pub(crate) fn step_gaps(&mut self, span: &mut Span) -> Option<u32> {
        self.meet(span, |span, skip| span.at.wrapping_add(skip), Self::next_golomb)
    }

    /// The next block of the span, for [`IndexCode::FreeGaps`].
    #[inline(always)]
    pub(crate) fn step_free(&mut self, span: &mut Span, map: &Map) -> Option<u32> {
        self.meet(span, |span, skip| span.place(skip, map), Self::next_golomb)
    }

    /// The next block of the span, whatever the code.
    pub(crate) fn step(&mut self, span: &mut Span, map: &Map) -> Option<u32> {
        match self.code {
            IndexCode::Bytes { .. } => self.step_bytes(span),
            IndexCode::Gaps { .. } => self.step_gaps(span),
            IndexCode::FreeGaps { .. } => self.step_free(span, map),
        }
    }

    #[inline(always)]
    fn meet(
        &mut self,
        span: &mut Span,
        place: impl FnOnce(&mut Span, u32) -> u32,
        next: impl FnOnce(&mut Self),
    ) -> Option<u32> {
        if self.pending == 0 || self.left >= span.room {
            return None;
        }
        let block = place(span, self.left);
        span.room = span.room.wrapping_sub(self.left).wrapping_sub(1);
        span.at = block.wrapping_add(1);
        self.pending = self.pending.wrapping_sub(1);
        if self.pending > 0 {
            next(self);
        }
        Some(block)
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
