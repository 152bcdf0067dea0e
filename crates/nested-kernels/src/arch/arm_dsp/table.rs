//! A weight row, decoded into the table that a walk reads.
use super::{
    ops,
    pack::Pairing,
    walk::{HEAD, LAST},
};
use crate::rows::RowSource;
use nested_csr::Sink;

/// Words that a row of `columns` weights may need.
pub(super) fn words(columns: usize) -> usize {
    HEAD + 2 * columns + 2
}

/// What was decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Entries of the table; at least 1.
    pub(super) entries: usize,
    /// Where the walk stands before the first block, in bytes of the band.
    pub(super) start: i32,
    pub(super) sum: i32,
}

/// Writes a table's entries, and remembers where the last one lies in the band.
#[derive(Debug)]
struct Writer<'t> {
    places: &'t [u32],
    table: &'t mut [[u32; 2]],
    state: State,
}

impl<'t> Writer<'t> {
    fn new(places: &'t [u32], table: &'t mut [u32]) -> Self {
        let table = table.as_chunks_mut::<2>().0;
        let state = State::new(places, table);
        Writer { places, table, state }
    }

    fn entries(&self) -> usize {
        self.state.entries(self.table)
    }

    /// A whole run, as far as it can be taken.
    #[inline(always)]
    fn run<const WIDTH: usize, const CHANNELS: bool>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        #[cfg(nested_kernels_backend = "dsp")]
        {
            self.state.run::<WIDTH, CHANNELS>(self.table, gaps, weights)
        }
        #[cfg(not(nested_kernels_backend = "dsp"))]
        if CHANNELS { (0, 0) } else { self.state.run(self.places, self.table, gaps, weights) }
    }

    /// Writes the next entry.
    #[inline(always)]
    fn put(&mut self, entry: [u32; 2]) {
        let entries = self.entries();
        if let Some(slot) = self.table.get_mut(entries) {
            *slot = entry;
            self.state.written();
        }
    }
}

/// Entries for pairs of pixels, shifted by a word: an entry's step is known when the next one is, so that a pair here is
/// the step of the entry before and `weight << 8`.
struct Pixels<'t>(Writer<'t>);

impl Sink for Pixels<'_> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        let Some(&place) = self.0.places.get(column) else { return };
        let weight = i32::from(weight);
        self.0.put([place.wrapping_sub(self.0.state.place), (weight << 8) as u32]);
        self.0.state.place = place;
        self.0.state.sum += weight;
    }

    #[inline(never)]
    fn all(&mut self, weights: &[i8]) {
        debug_assert_eq!(self.0.entries(), 0, "all of a row's weights come first");
        let Writer { places, table, state } = &mut self.0;
        let (mut before, mut sum) = (state.place, state.sum);
        for ((slot, weight), place) in table.iter_mut().zip(weights).zip(places.iter()) {
            let weight = i32::from(*weight);
            *slot = [place.wrapping_sub(before), (weight << 8) as u32];
            before = *place;
            sum += weight;
            state.written();
        }
        (state.place, state.sum) = (before, sum);
    }

    #[inline(always)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        if WIDTH == 1 || cfg!(not(nested_kernels_backend = "dsp")) {
            self.0.run::<WIDTH, false>(gaps, weights)
        } else {
            each_weight(self, gaps, weights)
        }
    }
}

/// The blocks of a run weight by weight, as the trait has it for a sink with no way of its own.
#[inline(never)]
fn each_weight<const WIDTH: usize>(sink: &mut impl Sink, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
    let mut each = |column: usize, weight: i8| sink.weight(column, weight);
    each.blocks(gaps, weights)
}

/// Decodes the next row for pairs of pixels: entries `(weight << 8, step to the next entry's place)`. `None` after the last row.
#[inline(never)]
pub(super) fn pixels(rows: &mut impl RowSource, places: &[u32], table: &mut [u32]) -> Option<Row> {
    let mut sink = Pixels(Writer::new(places, table.get_mut(HEAD - 1..)?));
    rows.next_row_into(&mut sink)?;
    if sink.0.entries() == 0 {
        sink.weight(0, 0);
    }
    let (entries, State { place, sum, .. }) = (sink.0.entries(), sink.0.state);
    // More weights than columns, of bytes that changed: the last of them had no room, and the table ends elsewhere.
    if entries > places.len().max(1) {
        return None;
    }
    // The first entry's step came from 0.
    let first = *table.get(HEAD - 1)?;
    let last = first.wrapping_add(16).wrapping_sub(place).wrapping_add_signed(LAST);
    *table.get_mut(HEAD - 1 + 2 * entries)? = last;
    Some(Row { entries, start: first as i32, sum })
}

/// Entries for pairs of channels: both weights, and the step to their place.
struct Channels<'t> {
    writer: Writer<'t>,
    /// Whether every two columns are a pair.
    even: bool,
}

impl Sink for Channels<'_> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        let Some(&at) = self.writer.places.get(column) else { return };
        let (offset, odd) = (at & !1, at & 1);
        let half = u32::from(i16::from(weight) as u16) << (16 * odd);
        let last = self.writer.entries().checked_sub(1);
        // The second channel of a pair joins the first. (The walk has moved on by 24 as it loaded.)
        if let Some([weights, _]) = last.and_then(|last| self.writer.table.get_mut(last))
            && odd == 1
            && offset.wrapping_add(24) == self.writer.state.place
        {
            *weights |= half;
            return;
        }
        self.writer.put([half, offset.wrapping_sub(self.writer.state.place)]);
        self.writer.state.place = offset.wrapping_add(24);
    }

    #[inline(never)]
    fn all(&mut self, weights: &[i8]) {
        if self.even {
            self.pairs(weights.as_chunks::<2>().0);
        } else {
            weights.iter().enumerate().for_each(|(column, weight)| self.weight(column, *weight));
        }
    }

    #[inline(always)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        if WIDTH == 1 || self.even {
            self.writer.run::<WIDTH, true>(gaps, weights)
        } else {
            each_weight(self, gaps, weights)
        }
    }
}

impl Channels<'_> {
    /// The weights of all pairs of columns, which are pairs of channels.
    fn pairs(&mut self, pairs: &[[i8; 2]]) {
        let mut before = self.writer.state.place;
        let Writer { places, table, state } = &mut self.writer;
        for ((slot, weights), [place, _]) in table.iter_mut().zip(pairs).zip(places.as_chunks::<2>().0) {
            *slot = [ops::halves(weights[0], weights[1]), place.wrapping_sub(before)];
            before = place + 24;
            state.written();
        }
        self.writer.state.place = before;
    }
}

/// Decodes the next row for pairs of channels: entries `(two weights, step to this entry's place)`.
/// With an `even` number of channels, every two columns are a pair.
#[inline(never)]
pub(super) fn channels(rows: &mut impl RowSource, places: &[u32], even: bool, table: &mut [u32]) -> Option<Row> {
    let mut sink = Channels { writer: Writer::new(places, table.get_mut(HEAD..)?), even };
    rows.next_row_into(&mut sink)?;
    if sink.writer.entries() == 0 {
        sink.weight(0, 0);
    }
    let (entries, State { place, .. }) = (sink.writer.entries(), sink.writer.state);
    // From one block to the next the walk goes 32 on, and 24 are gone.
    let start = place.wrapping_sub(32);
    let first = table.get_mut(HEAD + 1)?;
    *first = first.wrapping_sub(start);
    *table.get_mut(HEAD + 1 + 2 * entries)? = LAST as u32;
    Some(Row { entries, start: start as i32, sum: 0 })
}

impl Row {
    /// The accumulators' first values in front of a table of pixel pairs: lane 0 in the top 24 bits of the low word,
    /// biased so that it never borrows from lane 1, less what the activations' bias of 128 adds to it.
    fn pixels_head(&self, bias: i32, table: &mut [u32]) {
        let [low, high] = self.biases(bias).map(i64::from);
        let sum = (high << 32).wrapping_add(low << 8).wrapping_add(1 << 31);
        if let Some(head) = table.first_chunk_mut::<HEAD>() {
            *head = core::array::from_fn(|i| if i % 2 == 0 { sum as u32 } else { (sum >> 32) as u32 });
        }
    }

    /// The accumulators' first values.
    pub(super) fn write_head(&self, pairing: Pairing, bias: i32, table: &mut [u32]) {
        match pairing {
            Pairing::Pixels => self.pixels_head(bias, table),
            Pairing::Channels => {
                if let Some(head) = table.first_chunk_mut::<HEAD>() {
                    *head = [bias as u32; HEAD];
                }
            }
        }
    }

    /// The accumulators' first values for a walk that adds the lanes' sums up elsewhere: lane 0 never borrows from lane 1.
    pub(super) fn write_wide_head(&self, table: &mut [u32]) {
        if let Some(head) = table.first_chunk_mut::<HEAD>() {
            *head = core::array::from_fn(|i| if i % 2 == 0 { 1 << 31 } else { 0 });
        }
    }

    /// What each lane starts from.
    pub(super) fn biases(&self, bias: i32) -> [i32; 2] {
        [bias.wrapping_sub(128 * self.sum), bias]
    }

    /// Whether lane 0 fits its 24 bits whatever the activations are.
    pub(super) fn fits(&self, bias: i32, table: &[u32]) -> bool {
        let Some(room) = ((1u32 << 23) - 1).checked_sub(bias.unsigned_abs()) else { return false };
        // 128 · 128 is the greatest product; only a long row needs the sum of its magnitudes.
        if self.entries <= (room >> 14) as usize {
            return true;
        }
        let weights = table.get(HEAD..).unwrap_or_default().as_chunks::<2>().0.iter().take(self.entries);
        let magnitude: u64 = weights.map(|[weight, _]| u64::from((*weight as i32 >> 8).unsigned_abs())).sum();
        magnitude * 128 <= u64::from(room)
    }
}

#[cfg(nested_kernels_backend = "dsp")]
use assembly::State;
#[cfg(not(nested_kernels_backend = "dsp"))]
use portable::State;

#[cfg(nested_kernels_backend = "dsp")]
mod assembly;

/// What the assembly does, in Rust.
#[cfg(not(nested_kernels_backend = "dsp"))]
mod portable {
    use crate::arch::arm_dsp::byte_rows::each_block;

    /// How far the decoding of a row has come.
    #[derive(Debug)]
    pub(super) struct State {
        entries: usize,
        pub(super) place: u32,
        pub(super) sum: i32,
    }

    impl State {
        pub(super) fn new(_: &[u32], _: &mut [[u32; 2]]) -> State {
            State { entries: 0, place: 0, sum: 0 }
        }

        pub(super) fn entries(&self, _: &[[u32; 2]]) -> usize {
            self.entries
        }

        pub(super) fn written(&mut self) {
            self.entries += 1;
        }

        /// Entries for pairs of pixels of a run's blocks, as far as they can be taken: how many, and the number of the block
        /// behind them.
        #[inline(never)]
        pub(super) fn run<const WIDTH: usize>(
            &mut self,
            places: &[u32],
            table: &mut [[u32; 2]],
            gaps: &[u8],
            weights: &[[u8; WIDTH]],
        ) -> (usize, u32) {
            let slots = table.get_mut(self.entries..).unwrap_or_default().as_chunks_mut::<WIDTH>().0;
            let gaps = gaps.get(..slots.len()).unwrap_or(gaps);
            let (mut before, mut sum, mut slots) = (self.place, self.sum, slots.iter_mut());
            let (done, next) = each_block(gaps, weights, places.as_chunks::<WIDTH>().0, |places, weights| {
                for ((slot, place), weight) in slots.next().into_iter().flatten().zip(places).zip(weights) {
                    let weight = i32::from(weight.cast_signed());
                    *slot = [place.wrapping_sub(before), (weight << 8) as u32];
                    before = *place;
                    sum += weight;
                }
            });
            (self.place, self.sum) = (before, sum);
            self.entries += done * WIDTH;
            (done, next)
        }
    }
}
