//! How a layer's work is cut to fit the scratch, and the caches.
use super::{band::Band, lanes::Lanes, table::Method};
use crate::{Geometry, KernelError, Scratch};

/// Bytes of copies that leave the tables and the outputs some room in a first-level cache, and in a second-level one.
const FIRST: usize = 32 << 10;
const SECOND: usize = 704 << 10;

/// The most shares of threads, and the least rows of one, below which packing its edges costs too much.
pub(super) const SHARES: usize = 8;
const LEAST_SHARE: usize = 4;

/// What all levels of a layer have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) geometry: &'a Geometry,
    /// Whether copies are spread: while they fit the first-level cache all the same.
    spread: bool,
}

/// The work of a layer at one level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work<'a> {
    pub(super) frame: Frame<'a>,
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
    /// Shares of threads: so many bands, one behind the other, with tables and a copy of their own. Memory that two cores
    /// write in turns costs more than decoding twice.
    pub(super) shares: usize,
}

impl Cut {
    /// The least that there is.
    pub(super) const LEAST: Cut = Cut { step: 1, kept: false, shares: 1 };
}

impl<'a> Frame<'a> {
    pub(super) fn new<L: Lanes>(geometry: &'a Geometry) -> Self {
        let whole = Band::new::<L>(geometry, geometry.output.height, true);
        Frame { geometry, spread: whole.is_some_and(|band| band.len * size_of::<L::Element>() <= FIRST) }
    }

    pub(super) fn band<L: Lanes>(&self, step: usize) -> Option<Band> {
        Band::new::<L>(self.geometry, step, self.spread)
    }

    /// Words of the offsets of all columns.
    pub(super) fn place_words(&self) -> usize {
        self.geometry.columns().unwrap_or(0).next_multiple_of(4)
    }

    /// Words that a cut needs, with so many of tables in each share.
    fn words<L: Lanes>(&self, cut: Cut, tables: usize) -> Option<usize> {
        let share = self.band::<L>(cut.step)?.words::<L>().checked_add(self.place_words())?.checked_add(tables)?;
        share.checked_mul(cut.shares)
    }

    /// Output rows of the largest band that fits the cache.
    fn most<L: Lanes>(&self) -> usize {
        let height = self.geometry.output.height;
        let bytes = |step: usize| self.band::<L>(step).map(|band| band.len * size_of::<L::Element>());
        match bytes(height) {
            Some(whole) if whole <= SECOND => height,
            _ => match (bytes(1), bytes(2)) {
                (Some(one), Some(two)) if one < two => (1 + SECOND.saturating_sub(one) / (two - one)).min(height),
                _ => 1,
            },
        }
    }

    /// The fastest cut: bands of at most so many rows, as equal as they can be. With more than one share, there are about so
    /// many of them.
    fn cut(&self, most: usize, shares: usize) -> Cut {
        let height = self.geometry.output.height;
        let share = height.div_ceil(shares.max(1)).max(LEAST_SHARE.min(height));
        let step = share.div_ceil(share.div_ceil(most));
        let bands = height.div_ceil(step);
        let shares = bands.div_ceil(share.div_ceil(step));
        Cut { step, kept: bands > 1 || !self.spread, shares }
    }
}

impl Cut {
    /// Output rows of a share.
    #[cfg(feature = "rayon")]
    pub(super) fn share(self, height: usize) -> usize {
        height.div_ceil(self.step).div_ceil(self.shares) * self.step
    }
}

impl Work<'_> {
    /// Groups of rows.
    pub(super) fn groups(&self) -> usize {
        self.rows.div_ceil(self.method.rows())
    }

    /// Words of tables, the starts of the groups included.
    pub(super) fn table_words<L: Lanes>(&self, kept: bool) -> usize {
        if kept {
            self.groups() + 1 + self.method.words::<L>(self.rows, self.columns, self.stored)
        } else {
            self.method.group_words::<L>(self.columns)
        }
    }

    /// Words that a cut needs.
    pub(super) fn words<L: Lanes>(&self, cut: Cut) -> Option<usize> {
        self.frame.words::<L>(cut, self.table_words::<L>(cut.kept))
    }

    /// Words for the least cut, and for a share of the fastest.
    pub(super) fn scratch<L: Lanes>(&self) -> Result<Scratch, KernelError> {
        let words = |cut: Cut| self.words::<L>(Cut { shares: 1, ..cut });
        let minimum = words(Cut::LEAST).ok_or(KernelError::TooLarge)?;
        let (most, mut preferred) = (self.frame.most::<L>(), minimum);
        let mut before = None;
        // One of many shares may need more than a single one, which need not keep its tables.
        for shares in 1..=if cfg!(feature = "rayon") { SHARES } else { 1 } {
            let cut = self.frame.cut(most, shares);
            if before.replace(cut) != Some(cut) {
                preferred = preferred.max(words(cut).unwrap_or(0));
            }
            // From here on shares are of the least rows.
            if shares > 1 && self.frame.geometry.output.height.div_ceil(shares) <= LEAST_SHARE {
                break;
            }
        }
        Ok(Scratch { minimum, preferred })
    }

    /// The largest band that fits, when the fastest cut does not.
    fn largest<L: Lanes>(&self, words: usize) -> Option<Cut> {
        let cut = |step| Cut { step, ..Cut::LEAST };
        let fits = |step| self.words::<L>(cut(step)).is_some_and(|needed| needed <= words);
        let (mut most, mut beyond) = (0, self.frame.geometry.output.height + 1);
        while beyond - most > 1 {
            let middle = most.midpoint(beyond);
            if fits(middle) { most = middle } else { beyond = middle }
        }
        (most > 0).then(|| cut(most))
    }

    /// The best cut for a scratch of so many words; `None` when there are too few.
    pub(super) fn fitting<L: Lanes>(&self, words: usize, shares: usize) -> Option<Cut> {
        let fits = |cut: &Cut| self.words::<L>(*cut).is_some_and(|needed| needed <= words);
        let most = self.frame.most::<L>();
        let shares = (1..=shares.clamp(1, SHARES)).rev();
        shares.map(|shares| self.frame.cut(most, shares)).find(fits).or_else(|| self.largest::<L>(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::portable::Plain;
    use nested_csr::{TensorShape, Window};

    #[test]
    fn the_preferred_scratch_holds_the_fastest_cut_for_any_number_of_shares() {
        for height in 1..80 {
            for (channels, window) in [(3, Window::square(3, 1, 1)), (600, Window::square(3, 2, 1))] {
                let input = TensorShape { channels, height, width: 50 };
                let geometry = Geometry::new(input, window, 5, 0).unwrap();
                let columns = geometry.columns().unwrap();
                let frame = Frame::new::<Plain>(&geometry);
                let work = Work { frame, method: Method::Alone, rows: 5, columns, stored: 2 * columns };
                let preferred = work.scratch::<Plain>().unwrap().preferred;
                for shares in 1..=if cfg!(feature = "rayon") { SHARES + 1 } else { 1 } {
                    let fastest = frame.cut(frame.most::<Plain>(), shares.min(SHARES));
                    assert_eq!(work.fitting::<Plain>(shares * preferred, shares), Some(fastest), "{height}, {shares}");
                    assert!((1..=shares).contains(&fastest.shares), "{height}, {shares}");
                    #[cfg(feature = "rayon")]
                    assert_eq!(height.div_ceil(fastest.share(height)), fastest.shares, "{height}, {shares}");
                }
            }
        }
    }
}
