//! Weight rows as the sweep reads them: decoded once, used for every pixel.
//!
//! *Alone*, a row is its head, an offset into the padded copy for each of its weights, and they. *Together*, [`TOGETHER`]
//! rows are their heads and all their weights, zeros too; the offsets of all columns are shared. Either way weights come in
//! fours, filled up with weights of 0.
use super::{Band, finishes::Finishes, lanes::Lanes};
use crate::{requant::Finish, rows::RowSource};
use nested_csr::Sink;

/// Rows that share their taps in a dense sweep.
pub(super) const TOGETHER: usize = 4;

/// Words of a row's head.
const HEAD: usize = 4;

/// Words behind the last offsets and weights, so that they are filled up without a loop.
const ROOM: usize = 4;

/// How the rows of a layer are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Alone,
    Together,
}

impl Method {
    /// The cheaper one for these instructions, for rows that store so many of so many weights: rows alone are filled up to
    /// fours, by one and a half weights in the mean.
    pub(super) fn of<L: Lanes>(stored: usize, rows: usize, weights: usize) -> Method {
        let filled = stored as u64 + rows as u64 * 3 / 2;
        if filled * 100 >= weights as u64 * L::TOGETHER { Method::Together } else { Method::Alone }
    }

    /// Rows of a group.
    pub(super) fn rows(self) -> usize {
        match self {
            Method::Alone => 1,
            Method::Together => TOGETHER,
        }
    }

    /// The most words of one group.
    pub(super) fn group_words<L: Lanes>(self, columns: usize) -> usize {
        let fours = columns.div_ceil(4);
        match self {
            Method::Alone => HEAD + fours * Alone::<L>::FOUR + 2 * ROOM,
            Method::Together => TOGETHER * HEAD + fours * TOGETHER * four::<L>(),
        }
    }

    /// The most words of all groups of `rows` rows that store so many weights, and of what the last one needs while it is
    /// decoded.
    pub(super) fn words<L: Lanes>(self, rows: usize, columns: usize, stored: usize) -> usize {
        let groups = rows.div_ceil(self.rows());
        let group = self.group_words::<L>(columns);
        match self {
            Method::Alone => {
                let fours = stored.div_ceil(4).saturating_add(rows);
                let all = fours.saturating_mul(Alone::<L>::FOUR).saturating_add(HEAD * rows).saturating_add(group);
                all.min(groups.saturating_mul(group))
            }
            Method::Together => groups.saturating_mul(group),
        }
    }
}

/// Words of four weights.
const fn four<L: Lanes>() -> usize {
    size_of::<L::Weight>()
}

/// Where a row's sums begin, and its multiplier; of a row alone also how many fours it has, and where their weights are.
#[derive(Clone, Copy, Default)]
pub(super) struct Head {
    pub(super) origin: i32,
    pub(super) multiplier: u32,
    fours: usize,
    weights: usize,
}

impl Head {
    #[inline(always)]
    fn new<L: Lanes>(lanes: L, finish: &Finish, weights: &[L::Weight]) -> Self {
        let origin = lanes.origin(finish.bias, weights);
        Head { origin, multiplier: finish.multiplier, fours: 0, weights: 0 }
    }

    #[inline(always)]
    fn read([origin, multiplier, fours, weights]: [u32; HEAD]) -> Self {
        Head { origin: origin as i32, multiplier, fours: fours as usize, weights: weights as usize }
    }

    #[inline(always)]
    fn words(self) -> [u32; HEAD] {
        [self.origin as u32, self.multiplier, self.fours as u32, self.weights as u32]
    }
}

/// A row alone, as the words of a table hold it.
pub(super) struct Alone<'a, L: Lanes> {
    pub(super) head: Head,
    pub(super) offsets: &'a [[u32; 4]],
    pub(super) weights: &'a [[L::Weight; 4]],
}

impl<'a, L: Lanes> Alone<'a, L> {
    /// Words of four offsets and four weights.
    const FOUR: usize = 4 + four::<L>();

    #[inline(always)]
    pub(super) fn new(words: &'a [u32]) -> Option<Self> {
        let (head, words) = words.split_first_chunk()?;
        let head = Head::read(*head);
        let offsets = words.get(..4 * head.fours)?.as_chunks().0;
        let weights = words.get(head.weights..)?.get(..head.fours * four::<L>())?;
        Some(Alone { head, offsets, weights: in_fours::<L>(weights) })
    }

    /// The same for narrower lanes.
    #[inline(always)]
    pub(super) fn narrow(&self) -> Alone<'a, L::Narrow> {
        Alone { head: self.head, offsets: self.offsets, weights: self.weights }
    }
}

/// Rows together, as the words of a table hold them.
pub(super) struct Together<'a, L: Lanes> {
    pub(super) heads: [Head; TOGETHER],
    pub(super) weights: [&'a [[L::Weight; 4]]; TOGETHER],
}

impl<'a, L: Lanes> Together<'a, L> {
    #[inline(always)]
    pub(super) fn new(words: &'a [u32]) -> Option<Self> {
        let (heads, words) = words.split_first_chunk::<{ TOGETHER * HEAD }>()?;
        let [first, second, third, fourth, ..] = heads.as_chunks().0 else { return None };
        let each = words.len() / TOGETHER;
        let row = |row| words.get(row * each..(row + 1) * each).map(in_fours::<L>);
        let heads = [*first, *second, *third, *fourth].map(Head::read);
        Some(Together { heads, weights: [row(0)?, row(1)?, row(2)?, row(3)?] })
    }
}

#[inline(always)]
fn in_fours<L: Lanes>(words: &[u32]) -> &[[L::Weight; 4]] {
    let weights: &[L::Weight] = bytemuck::cast_slice(words);
    weights.as_chunks().0
}

/// The offsets of all columns into a band's copy, filled up to fours.
pub(super) fn places(band: &Band, channels: usize, columns: usize, offsets: &mut [u32]) {
    let (all, filler) = offsets.split_at_mut(columns.min(offsets.len()));
    // Columns of weights of 0: any offset does.
    filler.fill(0);
    let step = band.channel_step() as u32;
    for (tap, offsets) in all.chunks_mut(channels.max(1)).enumerate() {
        let start = band.tap(tap) as u32;
        for (channel, offset) in (0..).zip(offsets) {
            *offset = start + channel * step;
        }
    }
}

/// Decodes rows into tables.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'a, L> {
    pub(super) lanes: L,
    pub(super) method: Method,
    pub(super) columns: usize,
    /// Of all columns, in fours.
    pub(super) places: &'a [u32],
}

impl<L: Lanes> Decoder<'_, L> {
    /// Decodes the next group of rows, from row `first` on; the words used, `None` after the last group. Tables
    /// that follow one another are to be `close`: without gaps.
    #[inline(always)]
    pub(super) fn group(
        &self,
        rows: &mut impl RowSource,
        finishes: Finishes<'_>,
        first: usize,
        words: &mut [u32],
        close: bool,
    ) -> Option<usize> {
        let words = words.get_mut(..self.method.group_words::<L>(self.columns))?;
        match self.method {
            Method::Alone => self.alone(rows, finishes.of(first), words, close),
            Method::Together => together(self.lanes, rows, finishes, first, words),
        }
    }

    /// The offsets first, then, with room for all between, the weights, which are moved up behind them when `close`.
    #[inline(always)]
    fn alone(&self, rows: &mut impl RowSource, finish: Finish, words: &mut [u32], close: bool) -> Option<usize> {
        let all = words.len();
        let (head, words) = words.split_first_chunk_mut::<HEAD>()?;
        let room = self.columns.next_multiple_of(4) + ROOM;
        let (offsets, weights) = words.split_at_mut_checked(room)?;
        let weights: &mut [L::Weight] = bytemuck::cast_slice_mut(weights);
        let mut list = List::<L> { places: self.places, offsets, weights, len: 0 };
        rows.next_row_into(&mut list)?;
        let len = list.len;
        let fours = len.div_ceil(4);
        *offsets.get_mut(len..)?.first_chunk_mut::<ROOM>()? = [0; ROOM];
        *weights.get_mut(len..)?.first_chunk_mut::<ROOM>()? = [L::Weight::from(0); ROOM];
        let weights = weights.get(..4 * fours)?;
        let mut row = Head { fours, weights: room, ..Head::new(self.lanes, &finish, weights) };
        let mut used = all;
        if close {
            row.weights = 4 * fours;
            words.copy_within(room..room + fours * four::<L>(), row.weights);
            used = HEAD + fours * Alone::<L>::FOUR;
        }
        *head = row.words();
        Some(used)
    }
}

/// Decodes the next rows together.
#[inline(always)]
fn together<L: Lanes>(
    lanes: L,
    rows: &mut impl RowSource,
    finishes: Finishes<'_>,
    first: usize,
    words: &mut [u32],
) -> Option<usize> {
    let used = words.len();
    let (heads, words) = words.split_first_chunk_mut::<{ TOGETHER * HEAD }>()?;
    let each = words.len() / TOGETHER;
    let heads = heads.as_chunks_mut::<HEAD>().0;
    for (row, (head, words)) in heads.iter_mut().zip(words.chunks_exact_mut(each.max(1))).enumerate() {
        words.fill(0);
        let weights: &mut [L::Weight] = bytemuck::cast_slice_mut(words);
        if rows.next_row_into(&mut Spread::<L> { weights }).is_none() && row == 0 {
            return None;
        }
        *head = Head::new(lanes, &finishes.of(first + row), weights).words();
    }
    Some(used)
}

/// A row alone as it is decoded.
struct List<'a, L: Lanes> {
    places: &'a [u32],
    offsets: &'a mut [u32],
    weights: &'a mut [L::Weight],
    len: usize,
}

impl<L: Lanes> Sink for List<'_, L> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        if let Some(place) = self.places.get(column)
            && let Some(offset) = self.offsets.get_mut(self.len)
            && let Some(slot) = self.weights.get_mut(self.len)
        {
            (*offset, *slot) = (*place, weight.into());
            self.len += 1;
        }
    }

    /// As the trait's own; the weights are copied apart from the offsets, many at once.
    #[inline(always)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        let Some(offsets) = self.offsets.get_mut(self.len..) else { return (0, 0) };
        let (mut block, mut done) = (0u32, 0);
        for (gap, offsets) in gaps.iter().zip(offsets.chunks_exact_mut(WIDTH)) {
            let at = block.wrapping_add(u32::from(*gap));
            let places = self.places.get(at as usize * WIDTH..).and_then(|places| places.first_chunk::<WIDTH>());
            let Some(places) = places.filter(|_| *gap != u8::MAX) else { break };
            offsets.copy_from_slice(places);
            block = at.wrapping_add(1);
            done += 1;
        }
        let weights = weights.get(..done).unwrap_or(&[]).as_flattened();
        if let Some(slots) = self.weights.get_mut(self.len..) {
            L::table(bytemuck::cast_slice(weights), slots);
        }
        self.len += done * WIDTH;
        (done, block)
    }

    #[inline(always)]
    fn all(&mut self, weights: &[i8]) {
        let (Some(offsets), Some(slots)) = (self.offsets.get_mut(self.len..), self.weights.get_mut(self.len..)) else {
            return;
        };
        offsets.iter_mut().zip(self.places).zip(weights).for_each(|((offset, place), _)| *offset = *place);
        L::table(weights, slots);
        self.len += weights.len();
    }
}

/// All columns of a row, as they are decoded.
struct Spread<'a, L: Lanes> {
    weights: &'a mut [L::Weight],
}

impl<L: Lanes> Sink for Spread<'_, L> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        if let Some(slot) = self.weights.get_mut(column) {
            *slot = weight.into();
        }
    }

    #[inline(always)]
    fn all(&mut self, weights: &[i8]) {
        L::table(weights, self.weights);
    }
}
