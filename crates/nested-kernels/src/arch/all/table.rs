//! Weight rows as the sweep reads them: decoded once, used for every pixel.
//!
//! *Alone*, a row is a list of its non-zeros, four at a time: four offsets into the padded copy, then the four weights.
//! *Together*, [`TOGETHER`] rows share one list of all columns' offsets, and hold weights only, zeros too.
use super::{Band, Taps, lanes::Lanes};
use crate::{Geometry, rows::RowSource};
use core::marker::PhantomData;
use nested_csr::Sink;

/// Rows that share their taps in a dense sweep.
pub(super) const TOGETHER: usize = 4;

/// Words of a non-zero's quad: four offsets and the encoded weights.
pub(super) const QUAD: usize = 6;

/// Words of one quad of columns of rows together: the encoded weights of each.
pub(super) const SHARED: usize = 2 * TOGETHER;

/// How the rows of a layer are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Alone,
    Together,
}

impl Method {
    /// The cheaper one for these instructions.
    pub(super) fn of<L: Lanes>(stored: usize, weights: usize) -> Method {
        if stored as u64 * 100 >= weights as u64 * L::TOGETHER { Method::Together } else { Method::Alone }
    }

    /// Rows of a group.
    pub(super) fn rows(self) -> usize {
        match self {
            Method::Alone => 1,
            Method::Together => TOGETHER,
        }
    }

    /// The most words of one group.
    pub(super) fn group_words(self, columns: usize) -> usize {
        let quads = columns.div_ceil(4);
        match self {
            Method::Alone => 1 + QUAD * quads,
            Method::Together => TOGETHER + SHARED * quads,
        }
    }

    /// The most words of all groups of `rows` rows that store so many weights.
    pub(super) fn words(self, rows: usize, columns: usize, stored: usize) -> usize {
        let groups = rows.div_ceil(self.rows());
        let all = groups.saturating_mul(self.group_words(columns));
        match self {
            Method::Alone => all.min(rows.saturating_mul(1 + QUAD).saturating_add((stored / 4).saturating_mul(QUAD))),
            Method::Together => all,
        }
    }

    /// Words of the offsets that all groups share.
    pub(super) fn offset_words(self, columns: usize) -> usize {
        match self {
            Method::Alone => 0,
            Method::Together => columns.next_multiple_of(4),
        }
    }
}

/// Where a column's pixels are in a band.
#[derive(Clone, Copy)]
pub(super) struct Places<'a, L> {
    pub(super) band: &'a Band,
    pub(super) channels: usize,
    lanes: PhantomData<L>,
}

impl<'a, L: Lanes> Places<'a, L> {
    pub(super) fn new(band: &'a Band, geometry: &Geometry) -> Self {
        Places { band, channels: geometry.input.channels, lanes: PhantomData }
    }

    /// The offsets of all columns, in fours.
    pub(super) fn all(&self, columns: usize, offsets: &mut [u32]) {
        let step = self.band.channel_step();
        let (mut tap, mut channel, mut offset) = (0, 0, self.band.tap(0));
        // The columns that fill up the last four have weights of 0: any offset does.
        for place in offsets.iter_mut().skip(columns) {
            *place = 0;
        }
        for place in offsets.iter_mut().take(columns) {
            *place = offset as u32;
            (channel, offset) = (channel + 1, offset + step);
            if channel == self.channels {
                tap += 1;
                (channel, offset) = (0, self.band.tap(tap));
            }
        }
    }

    /// Decodes the next row alone: the sum of its weights, then its quads. The words used; `None` after the last row.
    #[inline(always)]
    pub(super) fn alone(&self, rows: &mut impl RowSource, words: &mut [u32]) -> Option<usize> {
        let (head, words) = words.split_first_mut()?;
        let step = self.band.channel_step();
        let taps = Taps::new(self.channels);
        let state = State { taps, tap: usize::MAX, start: 0, used: 0, held: 0, weights: 0, sum: 0 };
        let mut quads = Quads::<L> { words, band: self.band, step, state, lanes: PhantomData };
        rows.next_row_into(&mut quads)?;
        quads.finish();
        *head = quads.state.sum as u32;
        Some(1 + quads.state.used)
    }

    /// Decodes the next rows together: the sum of each one's weights, then by quads of columns the weights of each row.
    /// The words used; `None` after the last row.
    #[inline(always)]
    pub(super) fn together(rows: &mut impl RowSource, columns: usize, words: &mut [u32]) -> Option<usize> {
        let used = Method::Together.group_words(columns);
        let words = words.get_mut(..used)?;
        words.fill(0);
        let (sums, words) = words.split_first_chunk_mut::<TOGETHER>()?;
        let (quads, _) = words.as_chunks_mut::<SHARED>();
        for (row, sum) in sums.iter_mut().enumerate() {
            let mut total = 0i32;
            let decoded = rows.next_row_into(&mut |column: usize, weight: i8| {
                total = total.wrapping_add(weight.into());
                if let Some(word) = quads.get_mut(column / 4).and_then(|quad| quad.get_mut(2 * row)) {
                    *word |= u32::from(weight as u8) << (8 * (column % 4));
                }
            });
            if decoded.is_none() && row == 0 {
                return None;
            }
            *sum = total as u32;
        }
        for pair in quads.iter_mut().flat_map(|quad| quad.as_chunks_mut::<2>().0) {
            *pair = L::encode(pair[0].to_le_bytes().map(|byte| byte as i8));
        }
        Some(used)
    }
}

/// A row's quads as they are decoded.
struct Quads<'a, L> {
    words: &'a mut [u32],
    band: &'a Band,
    /// From one channel to the next.
    step: usize,
    state: State,
    lanes: PhantomData<L>,
}

/// What changes from weight to weight: copied into registers for a whole run.
#[derive(Clone, Copy)]
struct State {
    taps: Taps,
    /// The present tap, and where its first channel starts.
    tap: usize,
    start: usize,
    /// Words of whole quads.
    used: usize,
    /// Weights of the next one, and they: the youngest in the highest byte.
    held: usize,
    weights: u32,
    sum: i32,
}

impl<L: Lanes> Quads<'_, L> {
    #[inline(always)]
    fn push(&mut self, state: &mut State, column: usize, weight: i8) {
        let (tap, channel) = state.taps.split(column);
        if tap != state.tap {
            (state.tap, state.start) = (tap, self.band.tap(tap));
        }
        self.put(state, (state.start + channel * self.step) as u32, weight);
        state.sum = state.sum.wrapping_add(weight.into());
    }

    #[inline(always)]
    fn put(&mut self, state: &mut State, offset: u32, weight: i8) {
        if let Some(word) = self.words.get_mut(state.used + state.held) {
            *word = offset;
        }
        state.weights = state.weights >> 8 | u32::from(weight as u8) << 24;
        state.held += 1;
        if state.held == 4 {
            if let Some(weights) = self.words.get_mut(state.used + 4..).and_then(|words| words.first_chunk_mut()) {
                *weights = L::encode(state.weights.to_le_bytes().map(|byte| byte as i8));
            }
            state.used += QUAD;
            state.held = 0;
        }
    }

    /// Fills up the last quad with weights of 0.
    #[inline(always)]
    fn finish(&mut self) {
        let mut state = self.state;
        while state.held > 0 {
            self.put(&mut state, 0, 0);
        }
        self.state = state;
    }
}

impl<L: Lanes> Sink for Quads<'_, L> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        let mut state = self.state;
        self.push(&mut state, column, weight);
        self.state = state;
    }

    /// As the trait's own, with the state in registers.
    #[inline(always)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        let mut state = self.state;
        let (mut block, mut done) = (0u32, 0);
        for (gap, weights) in gaps.iter().zip(weights) {
            if *gap == u8::MAX {
                break;
            }
            block = block.wrapping_add(u32::from(*gap));
            for (place, weight) in weights.iter().enumerate() {
                self.push(&mut state, block as usize * WIDTH + place, *weight as i8);
            }
            block = block.wrapping_add(1);
            done += 1;
        }
        self.state = state;
        (done, block)
    }

    #[inline(always)]
    fn all(&mut self, weights: &[i8]) {
        let mut state = self.state;
        for (column, weight) in weights.iter().enumerate() {
            self.push(&mut state, column, *weight);
        }
        self.state = state;
    }
}
