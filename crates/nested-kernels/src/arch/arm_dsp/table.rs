//! A weight row, decoded into the table that a walk reads.
use super::{
    pack::Pairing,
    walk::{HEAD, LAST},
};
use crate::rows::RowSource;

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
    sum: i32,
}

/// Writes pairs of words, and remembers where the entries lie in the band.
struct Writer<'t> {
    slots: core::slice::IterMut<'t, [u32; 2]>,
    entries: usize,
    first: u32,
    place: u32,
    /// The first word of the last entry.
    last: Option<&'t mut u32>,
}

impl<'t> Writer<'t> {
    fn new(table: &'t mut [u32]) -> Self {
        Writer { slots: table.as_chunks_mut::<2>().0.iter_mut(), entries: 0, first: 0, place: 0, last: None }
    }

    /// An entry at `offset`: its step, then its weight.
    #[inline(always)]
    fn put(&mut self, offset: u32, pair: impl FnOnce(u32) -> [u32; 2]) {
        let Some(slot) = self.slots.next() else { return };
        *slot = pair(offset.wrapping_sub(self.place));
        self.last = Some(&mut slot[0]);
        if self.entries == 0 {
            self.first = offset;
        }
        self.place = offset;
        self.entries += 1;
    }

    /// Adds bits to the first word of the last entry.
    #[inline(always)]
    fn amend(&mut self, bits: u32) {
        if let Some(word) = &mut self.last {
            **word |= bits;
        }
    }
}

/// Decodes the next row for pairs of pixels: entries `(weight << 8, step to the next entry's place)`. `None` after the last row.
#[inline(never)]
pub(super) fn pixels(rows: &mut impl RowSource, places: &[u32], table: &mut [u32]) -> Option<Row> {
    // An entry's step is known when the next one is: a pair here is the step of the entry before, and a weight.
    let mut writer = Writer::new(table.get_mut(HEAD - 1..)?);
    let mut sum = 0;
    rows.next_row(|column, weight| {
        let Some(place) = places.get(column) else { return };
        let weight = i32::from(weight);
        sum += weight;
        writer.put(*place, |step| [step, (weight << 8) as u32]);
    })?;
    if writer.entries == 0 {
        writer.put(0, |step| [step, 0]);
    }
    let Writer { entries, first, place, .. } = writer;
    let last = first.wrapping_add(16).wrapping_sub(place).wrapping_add_signed(LAST);
    *table.get_mut(HEAD - 1 + 2 * entries)? = last;
    Some(Row { entries, start: first as i32, sum })
}

/// Decodes the next row for pairs of channels: entries `(two weights, step to this entry's place)`.
#[inline(never)]
pub(super) fn channels(rows: &mut impl RowSource, places: &[u32], table: &mut [u32]) -> Option<Row> {
    let mut writer = Writer::new(table.get_mut(HEAD..)?);
    let mut before = u32::MAX;
    rows.next_row(|column, weight| {
        let Some(place) = places.get(column) else { return };
        let (offset, odd) = (place & !1, place & 1);
        let half = u32::from(i16::from(weight) as u16) << (16 * odd);
        // The second channel of a pair joins the first.
        if odd == 1 && before == offset {
            writer.amend(half);
            return;
        }
        before = offset;
        // The walk moves on by 24 as it loads.
        writer.put(offset, |step| [half, step.wrapping_sub(24)]);
    })?;
    if writer.entries == 0 {
        writer.put(0, |step| [0, step]);
    }
    let Writer { entries, first, place, .. } = writer;
    // From one block to the next the walk goes 32 on, and 24 are gone.
    let start = place.wrapping_sub(8);
    *table.get_mut(HEAD + 1)? = first.wrapping_sub(start);
    *table.get_mut(HEAD + 1 + 2 * entries)? = LAST as u32;
    Some(Row { entries, start: start as i32, sum: 0 })
}

impl Row {
    /// The accumulators' first values in front of a table of pixel pairs: lane 0 in the top 24 bits of the low word,
    /// biased so that it never borrows from lane 1, less what the activations' bias of 128 adds to it.
    fn pixels_head(&self, bias: i32, table: &mut [u32]) {
        let [low, high] = self.biases(bias).map(i64::from);
        let sum = (high << 32).wrapping_add(low << 8).wrapping_add(1 << 31);
        for pair in table.as_chunks_mut::<2>().0.iter_mut().take(HEAD / 2) {
            *pair = [sum as u32, (sum >> 32) as u32];
        }
    }

    /// The accumulators' first values.
    pub(super) fn write_head(&self, pairing: Pairing, bias: i32, table: &mut [u32]) {
        match pairing {
            Pairing::Pixels => self.pixels_head(bias, table),
            Pairing::Channels => table.iter_mut().take(HEAD).for_each(|word| *word = bias as u32),
        }
    }

    /// What each lane starts from.
    pub(super) fn biases(&self, bias: i32) -> [i32; 2] {
        [bias.wrapping_sub(128 * self.sum), bias]
    }

    /// Whether lane 0 fits its 24 bits whatever the activations are.
    pub(super) fn fits(&self, bias: i32, table: &[u32]) -> bool {
        let room = (1 << 23) - 1 - i64::from(bias).abs();
        // 128 · 128 is the greatest product; only a long row needs the sum of its magnitudes.
        if (self.entries as i64) << 14 <= room {
            return true;
        }
        let weights = table.get(HEAD..).unwrap_or_default().as_chunks::<2>().0.iter().take(self.entries);
        let magnitude: i64 = weights.map(|[weight, _]| i64::from(*weight as i32 >> 8).abs()).sum();
        magnitude * 128 <= room
    }
}
