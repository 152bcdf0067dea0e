//! How a layer's work is cut to fit the scratch, and the first-level cache.
use super::{band::Band, lanes::Lanes, table::Method};
use crate::Geometry;

/// Bytes of a band's copy that leave the tables and the outputs some room in a first-level cache.
const CACHE: usize = 40 << 10;

/// The work of a layer at one level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) method: Method,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Weights stored.
    pub(super) stored: usize,
}

/// A cut of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Output rows of a band.
    pub(super) step: usize,
    /// Whether the tables of all rows are kept, not made again for each band.
    pub(super) kept: bool,
    /// Bands that are packed before the sweeps begin.
    pub(super) held: usize,
}

impl Work<'_> {
    /// Groups of rows.
    pub(super) fn groups(&self) -> usize {
        self.rows.div_ceil(self.method.rows())
    }

    pub(super) fn band<L: Lanes>(&self, step: usize) -> Option<Band> {
        Band::new::<L>(self.geometry, self.geometry.input.channels, step)
    }

    /// Words of tables, the starts of the groups included.
    pub(super) fn table_words(&self, kept: bool) -> usize {
        if kept {
            self.groups() + 1 + self.method.words(self.rows, self.columns, self.stored)
        } else {
            self.method.group_words(self.columns)
        }
    }

    /// Words that a cut needs.
    pub(super) fn words<L: Lanes>(&self, cut: Cut) -> Option<usize> {
        let bands = self.band::<L>(cut.step)?.words::<L>().checked_mul(cut.held)?;
        bands.checked_add(self.table_words(cut.kept))?.checked_add(self.method.offset_words(self.columns))
    }

    /// The least that there is.
    pub(super) fn least(&self) -> Cut {
        Cut { step: 1, kept: false, held: 1 }
    }

    /// The fastest cut: bands that fit the cache, of the height that wastes the fewest pixels. With `all`, they are packed
    /// at once, for threads to share.
    pub(super) fn fastest<L: Lanes>(&self, all: bool) -> Cut {
        let (height, width) = (self.geometry.output.height, self.geometry.output.width);
        let fits = |step: usize| self.band::<L>(step).is_some_and(|band| band.len * size_of::<L::Element>() <= CACHE);
        // Each band costs the pixels of its tiles, and the packing of its lines.
        let cost = |step: usize| {
            let band = self.band::<L>(step)?;
            let blocks = |rows: usize| band.positions(rows, width).div_ceil(L::PIXELS);
            let (whole, rest) = (height / step, height % step);
            Some(whole * blocks(step) + if rest > 0 { blocks(rest) } else { 0 } + height.div_ceil(step))
        };
        let steps = (1..=height).take_while(|step| *step == 1 || fits(*step));
        let step = steps.min_by_key(|step| cost(*step).unwrap_or(usize::MAX)).unwrap_or(1);
        let bands = height.div_ceil(step);
        Cut { step, kept: bands > 1 || all, held: if all { bands } else { 1 } }
    }

    /// The largest band that fits, when the fastest cut does not.
    fn largest<L: Lanes>(&self, words: usize) -> Option<Cut> {
        let cut = |step| Cut { step, ..self.least() };
        let fits = |step| self.words::<L>(cut(step)).is_some_and(|needed| needed <= words);
        let (mut most, mut beyond) = (0, self.geometry.output.height + 1);
        while beyond - most > 1 {
            let middle = most.midpoint(beyond);
            if fits(middle) { most = middle } else { beyond = middle }
        }
        (most > 0).then(|| cut(most))
    }

    /// The best cut for a scratch of so many words; `None` when there are too few.
    pub(super) fn fitting<L: Lanes>(&self, words: usize, all: bool) -> Option<Cut> {
        let fits = |cut: &Cut| self.words::<L>(*cut).is_some_and(|needed| needed <= words);
        let shared = all.then(|| self.fastest::<L>(true)).filter(fits);
        shared.or_else(|| Some(self.fastest::<L>(false)).filter(fits)).or_else(|| self.largest::<L>(words))
    }
}
