//! A position in one ring's index stream. The same steps serve the reader and the checker, so that what was
//! checked is what is read; a broken stream ends early and is marked, it never panics.
use super::gaps::{ByteGaps, Gaps, NibbleGaps};
use super::golomb::GolombGaps;
use super::map::FreeWord;
use super::{IndexCode, Map};
use crate::bytes::{u8_at, u16_at, u32_at};

/// A stretch of a row within which a ring's blocks are sought: a whole row, or a part of a very wide one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The next position that can be met, counted as the ring's code counts them.
    at: u32,
    /// The position behind the last.
    end: u32,
    /// For codes that count free positions: the free blocks of one word of the map.
    free: FreeWord,
}

impl Span {
    /// A span of the positions `start..end`.
    #[inline(always)]
    pub(crate) fn new(start: u32, end: u32) -> Span {
        Span { at: start.min(end), end, free: FreeWord { index: 0, mask: 0, before: 0, count: 0 } }
    }

    /// A span over the free positions of a row.
    #[inline(always)]
    pub(crate) fn free(map: &Map, free: u32) -> Span {
        Span { at: 0, end: free, free: FreeWord::new(map, 0, 0) }
    }
}

/// Where a ring's decoding stands, whatever its code.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Positions to pass before the next block.
    left: u32,
    /// Blocks to come: of the row for [`IndexCode::Bytes`], of the ring for others.
    pending: u32,
    /// Whether the stream ended too early.
    broken: bool,
}

impl Run {
    /// The next position of the span that holds a block.
    #[inline(always)]
    fn meet(&mut self, gaps: &mut impl Gaps, span: &mut Span) -> Option<u32> {
        if self.pending == 0 || self.left >= span.end.wrapping_sub(span.at) {
            return None;
        }
        let place = span.at.wrapping_add(self.left);
        span.at = place.wrapping_add(1);
        self.pending = self.pending.wrapping_sub(1);
        self.advance(gaps);
        Some(place)
    }

    /// Reads the gap before the next block, when there is one.
    #[inline(always)]
    fn advance(&mut self, gaps: &mut impl Gaps) {
        if self.pending == 0 {
            return;
        }
        match gaps.next() {
            Some(gap) => self.left = gap,
            None => (self.broken, self.pending) = (true, 0),
        }
    }

    /// Leaves a span after its last block: what is left of the gap carries over.
    #[inline(always)]
    fn end(&mut self, span: &Span) {
        if self.pending > 0 {
            self.left = self.left.wrapping_sub(span.end.wrapping_sub(span.at));
        }
    }

    /// Calls `emit` with each place of the span that holds a block, and leaves the span.
    #[inline(always)]
    fn walk<G: Gaps>(&mut self, gaps: &mut G, mut span: Span, mut emit: impl FnMut(&mut Span, u32)) {
        // Copies, so that the loop keeps them in registers.
        let (mut run, mut local) = (*self, *gaps);
        while let Some(place) = run.meet(&mut local, &mut span) {
            emit(&mut span, place);
        }
        run.end(&span);
        (*self, *gaps) = (run, local);
    }
}

/// A ring's gaps.
#[derive(Clone, Copy, Debug)]
enum Stream<'a> {
    Bytes { count_width: u8, counts: &'a [u8], gaps: ByteGaps<'a> },
    Nibbles(NibbleGaps<'a>),
    Gaps(GolombGaps<'a>),
    FreeGaps(GolombGaps<'a>),
}

/// A position in one ring: its gaps and its weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    stream: Stream<'a>,
    run: Run,
    /// Weights not yet read.
    pub values: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the start of a ring of `blocks` blocks in `rows` rows.
    pub(crate) fn new(code: IndexCode, rows: u32, blocks: u32, index: &'a [u8], values: &'a [u8]) -> Cursor<'a> {
        let mut run = Run { left: 0, pending: 0, broken: false };
        let stream = match code {
            IndexCode::Bytes { count_width } => {
                let counts = (rows as usize).checked_mul(usize::from(count_width));
                let split = counts.and_then(|len| index.split_at_checked(len));
                run.broken = split.is_none();
                let (counts, gaps) = split.unwrap_or_default();
                Stream::Bytes { count_width, counts, gaps: ByteGaps(gaps) }
            }
            _ => {
                run.pending = blocks;
                match code {
                    IndexCode::Gaps { modulus } => Stream::Gaps(GolombGaps::new(modulus, index)),
                    IndexCode::FreeGaps { modulus } => Stream::FreeGaps(GolombGaps::new(modulus, index)),
                    _ => Stream::Nibbles(NibbleGaps::new(index)),
                }
            }
        };
        let mut cursor = Cursor { stream, run, values };
        match &mut cursor.stream {
            Stream::Bytes { .. } => {}
            Stream::Nibbles(gaps) => cursor.run.advance(gaps),
            Stream::Gaps(gaps) | Stream::FreeGaps(gaps) => cursor.run.advance(gaps),
        }
        cursor
    }

    /// Whether rows have counts.
    #[inline(always)]
    pub(crate) fn counts_rows(&self) -> bool {
        matches!(self.stream, Stream::Bytes { .. })
    }

    /// Whether positions are counted among those that inner rings left free.
    #[inline(always)]
    pub(crate) fn counts_free(&self) -> bool {
        matches!(self.stream, Stream::FreeGaps(_))
    }

    /// Enters a row: for [`IndexCode::Bytes`] reads its count and first gap, for others there is nothing to do.
    #[inline(always)]
    pub(crate) fn start_row(&mut self) {
        if let Stream::Bytes { count_width, counts, gaps } = &mut self.stream {
            self.run.pending = take_count(counts, *count_width);
            self.run.advance(gaps);
        }
    }

    /// Enters a row of an [`IndexCode::Bytes`] ring and looks ahead: the bytes that its gaps are when all are short, and
    /// the weights of its blocks; nothing of it when blocks are not `whole`. [`Cursor::pass_blocks`] must follow.
    #[inline(always)]
    pub(crate) fn begin_row<const WIDTH: usize>(&mut self, whole: bool) -> (&'a [u8], &'a [[u8; WIDTH]]) {
        let Stream::Bytes { count_width, counts, gaps } = &mut self.stream else { return (&[], &[]) };
        self.run.pending = take_count(counts, *count_width);
        let count = if whole { self.run.pending as usize } else { 0 };
        let weights = self.values.get(..count.wrapping_mul(WIDTH)).unwrap_or(&[]);
        (gaps.0.get(..count).unwrap_or(&[]), weights.as_chunks().0)
    }

    /// Passes the first `blocks` blocks of a row, whose gaps were short.
    #[inline(always)]
    pub(crate) fn pass_blocks<const WIDTH: usize>(&mut self, blocks: usize) {
        let Stream::Bytes { gaps, .. } = &mut self.stream else { return };
        gaps.0 = gaps.0.get(blocks..).unwrap_or(&[]);
        self.values = self.values.get(blocks.wrapping_mul(WIDTH)..).unwrap_or(&[]);
        let passed = u32::try_from(blocks).unwrap_or(u32::MAX);
        self.run.pending = self.run.pending.saturating_sub(passed);
        self.run.advance(gaps);
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
        let all = Span::new(start, blocks);
        match &mut self.stream {
            Stream::Bytes { gaps, .. } => self.run.walk(gaps, all, |_, block| emit(map, block)),
            Stream::Nibbles(gaps) => self.run.walk(gaps, all, |_, block| emit(map, block)),
            Stream::Gaps(gaps) => self.run.walk(gaps, all, |_, block| emit(map, block)),
            Stream::FreeGaps(gaps) if MAPPED => {
                self.run.walk(gaps, Span::free(map, free), |span, place| {
                    let block = span.free.block(place, map);
                    emit(map, block);
                });
            }
            Stream::FreeGaps(gaps) => self.run.walk(gaps, Span::new(0, free), |_, place| emit(map, place)),
        }
    }

    /// The next block of the span, whatever the code.
    pub(crate) fn step(&mut self, span: &mut Span, map: &Map) -> Option<u32> {
        match &mut self.stream {
            Stream::Bytes { gaps, .. } => self.run.meet(gaps, span),
            Stream::Nibbles(gaps) => self.run.meet(gaps, span),
            Stream::Gaps(gaps) => self.run.meet(gaps, span),
            Stream::FreeGaps(gaps) => {
                let place = self.run.meet(gaps, span)?;
                Some(span.free.block(place, map))
            }
        }
    }

    /// Leaves a span after its last step.
    pub(crate) fn end_span(&mut self, span: &Span) {
        self.run.end(span);
    }

    /// Positions before the next block; `None` when there is none.
    pub(crate) fn gap(&self) -> Option<u32> {
        (self.run.pending > 0).then_some(self.run.left)
    }

    /// Passes positions that hold no block of the ring: no more than [`Cursor::gap`].
    pub(crate) fn pass(&mut self, positions: u32) {
        if self.run.pending > 0 {
            self.run.left = self.run.left.wrapping_sub(positions);
        }
    }

    /// Whether the stream ended too early.
    pub(crate) fn broken(&self) -> bool {
        self.run.broken
    }

    /// Blocks to come: of the row for [`IndexCode::Bytes`], of the ring for others.
    pub(crate) fn pending(&self) -> u32 {
        self.run.pending
    }

    /// Whether the whole stream was used, spare bits 0.
    pub(crate) fn finished(&self) -> bool {
        let used = match &self.stream {
            Stream::Bytes { counts, gaps, .. } => counts.is_empty() && gaps.0.is_empty(),
            Stream::Nibbles(gaps) => gaps.finished(),
            Stream::Gaps(gaps) | Stream::FreeGaps(gaps) => gaps.finished(),
        };
        used && !self.run.broken && self.run.pending == 0 && self.values.is_empty()
    }

    /// Takes `count` weights.
    #[inline(always)]
    pub(crate) fn take_values(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.values.split_at_checked(count)?;
        self.values = rest;
        Some(taken)
    }
}

/// How many rows of `blocks` blocks come, at most `most`, in which none of the rings has a block and that no byte describes.
pub(crate) fn empty_rows<'c, 'a: 'c>(
    cursors: impl IntoIterator<Item = &'c Cursor<'a>>,
    blocks: u32,
    most: usize,
) -> u32 {
    let mut empty = u32::try_from(most).unwrap_or(u32::MAX);
    for cursor in cursors {
        empty = match cursor.gap() {
            _ if cursor.broken() || cursor.counts_rows() => 0,
            Some(gap) => empty.min(gap.checked_div(blocks).unwrap_or(0)),
            None => empty,
        };
        if empty == 0 {
            break;
        }
    }
    empty
}

/// Takes a row's count.
#[inline(always)]
fn take_count(counts: &mut &[u8], width: u8) -> u32 {
    let count = match width {
        1 => u32::from(u8_at(counts, 0)),
        2 => u32::from(u16_at(counts, 0)),
        _ => u32_at(counts, 0),
    };
    *counts = counts.get(usize::from(width)..).unwrap_or(&[]);
    count
}
