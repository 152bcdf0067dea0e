//! The tasks that a convolution consists of, each run inside a backend's instructions.
use super::{
    Band,
    lanes::{Lanes, Task},
    sweep::Sweep,
    table::{Method, Places, TOGETHER},
};
use crate::{Geometry, requant::Finish, rows::RowSource};

/// Packs the band whose first output row is `first`.
pub(super) struct Pack<'a, L: Lanes> {
    pub(super) band: &'a Band,
    pub(super) geometry: &'a Geometry,
    pub(super) first: usize,
    pub(super) input: &'a [i8],
    pub(super) copy: &'a mut [L::Element],
}

impl<L: Lanes> Task for Pack<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.band.fill::<L>(self.geometry, self.first, self.input, self.copy);
    }
}

/// Decodes all rows; `starts[g]..starts[g + 1]` are then the words of group `g`.
pub(super) struct Decode<'a, L, R> {
    pub(super) places: Places<'a, L>,
    pub(super) method: Method,
    pub(super) columns: usize,
    pub(super) rows: R,
    pub(super) starts: &'a mut [u32],
    pub(super) words: &'a mut [u32],
}

impl<L: Lanes, R: RowSource> Task for Decode<'_, L, R> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let mut end = 0;
        for start in self.starts {
            *start = end as u32;
            let Some(words) = self.words.get_mut(end..) else { return };
            end += decode(&self.places, self.method, self.columns, &mut self.rows, words).unwrap_or(0);
        }
    }
}

/// Decodes the next group of rows; the words used, `None` after the last group.
#[inline(always)]
fn decode<L: Lanes>(
    places: &Places<'_, L>,
    method: Method,
    columns: usize,
    rows: &mut impl RowSource,
    words: &mut [u32],
) -> Option<usize> {
    match method {
        Method::Alone => places.alone(rows, words),
        Method::Together => Places::<L>::together(rows, columns, words),
    }
}

/// Sweeps groups of rows over bands.
#[derive(Clone, Copy)]
pub(super) struct Groups<'a, L: Lanes, F> {
    pub(super) sweep: Sweep<'a, L>,
    pub(super) method: Method,
    pub(super) columns: usize,
    /// Of rows together.
    pub(super) offsets: &'a [u32],
    pub(super) finish: F,
}

impl<L: Lanes, F: Fn(usize) -> Finish> Groups<'_, L, F> {
    /// Output elements of a group.
    pub(super) fn len(&self) -> usize {
        self.method.rows() * self.sweep.geometry.output.height * self.sweep.geometry.output.width
    }

    #[inline(always)]
    fn group(&self, group: usize, words: &[u32], output: &mut [i8]) {
        let first = group * self.method.rows();
        match self.method {
            Method::Alone => self.sweep.alone(words, &(self.finish)(first), output),
            Method::Together => {
                let mut finishes = [(self.finish)(first); TOGETHER];
                for (row, finish) in (first..).zip(&mut finishes) {
                    *finish = (self.finish)(row);
                }
                self.sweep.together(self.offsets, words, &finishes, output)
            }
        };
    }
}

/// Groups whose tables are kept: from group `first` on, over each of the bands that are held.
pub(super) struct Kept<'a, L: Lanes, F> {
    pub(super) groups: Groups<'a, L, F>,
    pub(super) first: usize,
    pub(super) starts: &'a [u32],
    pub(super) words: &'a [u32],
    /// Output rows of a band.
    pub(super) step: usize,
    /// The copies of all bands, one behind the other.
    pub(super) copies: &'a [L::Element],
    /// The maps of these groups.
    pub(super) output: &'a mut [i8],
}

impl<L: Lanes, F: Fn(usize) -> Finish> Task for Kept<'_, L, F> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let len = self.groups.len().max(1);
        let height = self.groups.sweep.geometry.output.height;
        for copy in self.copies.chunks_exact(self.groups.sweep.band.len) {
            self.groups.sweep.copy = copy;
            self.groups.sweep.rows = self.step.min(height.saturating_sub(self.groups.sweep.first));
            for (group, output) in (self.first..).zip(self.output.chunks_mut(len)) {
                if let (Some(start), Some(end)) = (self.starts.get(group), self.starts.get(group + 1))
                    && let Some(words) = self.words.get(*start as usize..*end as usize)
                {
                    self.groups.group(group, words, output);
                }
            }
            self.groups.sweep.first += self.step;
        }
    }
}

/// All groups over one band, each decoded just before it is swept.
pub(super) struct Streamed<'a, L: Lanes, F, R> {
    pub(super) groups: Groups<'a, L, F>,
    pub(super) rows: R,
    /// Room for one group.
    pub(super) words: &'a mut [u32],
    pub(super) output: &'a mut [i8],
}

impl<L: Lanes, F: Fn(usize) -> Finish, R: RowSource> Task for Streamed<'_, L, F, R> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let Groups { sweep, method, columns, .. } = self.groups;
        let places = Places::<L>::new(sweep.band, sweep.geometry);
        for (group, output) in self.output.chunks_mut(self.groups.len().max(1)).enumerate() {
            let Some(used) = decode(&places, method, columns, &mut self.rows, self.words) else { return };
            self.groups.group(group, self.words.get(..used).unwrap_or(&[]), output);
        }
    }
}
