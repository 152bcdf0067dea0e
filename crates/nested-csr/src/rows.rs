//! Decoding a matrix row by row, all rings up to a level side by side.
use crate::index::{Cursor, IndexCode, Map, Span, empty_rows};
use crate::{Block, Level, MAX_LEVELS, MatrixView};

/// What takes a row's weights as they are decoded.
///
/// Every closure `FnMut(column, weight)` is one. Kernels that want whole runs at once implement [`Sink::blocks`] as well;
/// they still get weights one by one wherever a run is not handed out.
///
/// ```
/// # use nested_csr::{Block, Level, NestedCsr, Profile, Shape, Sink};
/// struct Sum(i32);
/// impl Sink for Sum {
///     fn weight(&mut self, _column: usize, weight: i8) {
///         self.0 += i32::from(weight);
///     }
/// }
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let shape = Shape { rows: 1, columns: 3 };
/// let matrix = NestedCsr::compress(shape, Block::OneByOne, Level::FIRST, &[4, 0, -9], &[1, 0, 1], Profile::Speed)?;
/// let mut sum = Sum(0);
/// matrix.rows(Level::FIRST)?.next_row_into(&mut sum);
/// assert_eq!(sum.0, -5);
/// # Ok(()) }
/// ```
pub trait Sink {
    /// One weight.
    fn weight(&mut self, column: usize, weight: i8);

    /// The weights of all columns, from column 0 on. No row of this crate's is handed out so: it is for readers that have dense
    /// rows too and feed the same sink with them.
    #[inline(always)]
    fn all(&mut self, weights: &[i8]) {
        weights.iter().enumerate().for_each(|(column, weight)| self.weight(column, *weight));
    }

    /// A run of blocks of `WIDTH` weights from block 0 on, each `gaps[i]` blocks behind the one before.
    /// It may stop anywhere, and stops before a gap of 255, which is longer than that. Returns how many
    /// blocks it took, and the number of the block behind the last of them; what it left comes as [`Sink::weight`].
    ///
    /// Runs are handed out for rings of [`IndexCode::Bytes`] whose blocks are whole, and only at levels none of whose rings but
    /// the first is of [`IndexCode::FreeGaps`]: those count what inner rings left free, so that blocks are noted one by one.
    #[inline(always)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        let (mut block, mut done) = (0u32, 0usize);
        for (gap, weights) in gaps.iter().zip(weights) {
            if *gap == u8::MAX {
                break;
            }
            block = block.wrapping_add(u32::from(*gap));
            let column = (block as usize).wrapping_mul(WIDTH);
            for (place, weight) in weights.iter().enumerate() {
                self.weight(column.wrapping_add(place), weight.cast_signed());
            }
            block = block.wrapping_add(1);
            done = done.wrapping_add(1);
        }
        (done, block)
    }
}

impl<F: FnMut(usize, i8)> Sink for F {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        self(column, weight);
    }
}

/// A sink that marks a map on the way.
struct Marked<'m, S, const WIDTH: usize> {
    map: &'m mut Map,
    sink: &'m mut S,
}

impl<S: Sink, const WIDTH: usize> Sink for Marked<'_, S, WIDTH> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        let block = if WIDTH == 2 { column >> 1 } else { column };
        self.map.take(u32::try_from(block).unwrap_or(u32::MAX));
        self.sink.weight(column, weight);
    }
}

/// The rows of a matrix at one level, in order: a lending iterator, because a row's decoding advances the cursors of
/// all its rings. About 1.5 KiB, no allocation.
///
/// A row takes time even when nothing is in it, and a file can state 2³¹ − 1 rows in a few bytes: over a file that is not
/// yours, call [`Rows::skip_empty`] before each row.
///
/// ```
/// use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let shape = Shape { rows: 1, columns: 4 };
/// let matrix = NestedCsr::compress(shape, Block::OneByOne, Level::new(2)?, &[0, 7, -3, 0], &[0, 2, 1, 0], Profile::Size)?;
/// let mut rows = matrix.rows(Level::new(2)?)?;
/// while let Some(row) = rows.row() {
///     assert_eq!(row.collect::<Vec<_>>(), [(2, -3), (1, 7)]); // ring 1 first
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    cursors: [Cursor<'a>; MAX_LEVELS],
    level: Level,
    block: Block,
    columns: usize,
    /// Blocks in a row.
    blocks: u32,
    rows_left: usize,
    /// Whether some ring counts free positions, so that inner rings mark theirs.
    mapped: bool,
    map: Map,
    /// A row that [`Rows::row`] began.
    open: Option<Open>,
}

/// How far an external iteration of a row has come.
#[derive(Clone, Copy, Debug)]
struct Open {
    ring: usize,
    span: Span,
    /// Free positions before the ring was entered.
    free: u32,
    /// Blocks of the ring met so far.
    met: u32,
    /// The second weight of a block whose first was handed out.
    second: Option<(usize, i8)>,
}

/// What is left of a row: blocks from `start` on, of a row of `blocks` blocks and `columns` columns, of which `free`
/// blocks were free before the ring.
struct Stretch {
    start: u32,
    blocks: u32,
    free: u32,
    columns: usize,
}

impl Stretch {
    /// Decodes it a block at a time; returns how many there were. Not inlined: the loop over rings stays small.
    #[inline(never)]
    fn walk<S: Sink, const WIDTH: usize, const MAPPED: bool>(
        &self,
        cursor: &mut Cursor<'_>,
        map: &mut Map,
        sink: &mut S,
    ) -> u32 {
        // A copy, so that the loops keep the cursor in registers.
        let mut local = *cursor;
        let mut values = local.values.iter();
        let mut met = 0u32;
        // For bytes: what a long gap or a lone block left.
        local.walk::<MAPPED>(map, self.start, self.blocks, self.free, |map, block| {
            if MAPPED {
                map.take(block);
            }
            met = met.wrapping_add(1);
            let column = (block as usize).wrapping_mul(WIDTH);
            if let Some(weight) = values.next() {
                sink.weight(column, weight.cast_signed());
            }
            let column = column.wrapping_add(1);
            if WIDTH == 2
                && column < self.columns
                && let Some(weight) = values.next()
            {
                sink.weight(column, weight.cast_signed());
            }
        });
        local.values = values.as_slice();
        *cursor = local;
        met
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn new(view: &MatrixView<'a>, level: Level) -> Rows<'a> {
        let shape = view.shape();
        let empty = Cursor::new(IndexCode::Gaps { modulus: 1 }, 0, 0, &[], &[]);
        let mut cursors = [empty; MAX_LEVELS];
        for (slot, level) in cursors.iter_mut().zip(level.up_to()) {
            *slot = view.ring(level).cursor(shape);
        }
        Rows {
            mapped: cursors.iter().take(level.number()).skip(1).any(Cursor::counts_free),
            cursors,
            level,
            block: view.block(),
            columns: shape.columns,
            blocks: shape.blocks(view.block()),
            rows_left: shape.rows,
            map: Map::new(),
            open: None,
        }
    }

    /// Decodes the next row whole, calling `f(column, weight)` for each stored weight: ring 1 ascending by column,
    /// then ring 2, … (both weights of a 1×2 block, even when one is 0). `None` after the last row. This is the fast way;
    /// the code's kind is matched once a ring.
    ///
    /// ```
    /// # use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
    /// # fn main() -> Result<(), nested_csr::FormatError> {
    /// # let shape = Shape { rows: 2, columns: 3 };
    /// # let (weights, rings) = ([4, 0, -9, 0, 5, 0], [1, 0, 1, 0, 1, 0]);
    /// # let matrix = NestedCsr::compress(shape, Block::OneByOne, Level::FIRST, &weights, &rings, Profile::Size)?;
    /// // The product of a matrix of three columns with a vector.
    /// let vector = [1, 2, 3];
    /// let mut rows = matrix.rows(Level::FIRST)?;
    /// let mut product = Vec::with_capacity(rows.rows_left());
    /// let mut sum = 0;
    /// while rows.next_row(|column, weight| sum += i32::from(weight) * vector[column]).is_some() {
    ///     product.push(std::mem::take(&mut sum));
    /// }
    /// assert_eq!(product, [-23, 10]);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn next_row(&mut self, mut f: impl FnMut(usize, i8)) -> Option<()> {
        self.next_row_into(&mut f)
    }

    /// As [`Rows::next_row`], into a [`Sink`].
    #[inline]
    pub fn next_row_into(&mut self, sink: &mut impl Sink) -> Option<()> {
        if self.open.is_some() {
            self.finish_row();
        }
        self.rows_left = self.rows_left.checked_sub(1)?;
        match (self.mapped, self.block) {
            (false, Block::OneByOne) => self.whole_row::<_, 1, false>(sink),
            (false, Block::OneByTwo) => self.whole_row::<_, 2, false>(sink),
            (true, Block::OneByOne) => self.whole_row::<_, 1, true>(sink),
            (true, Block::OneByTwo) => self.whole_row::<_, 2, true>(sink),
        }
        Some(())
    }

    fn whole_row<S: Sink, const WIDTH: usize, const MAPPED: bool>(&mut self, sink: &mut S) {
        if MAPPED {
            self.map.clear(self.blocks);
        }
        // An odd row's last block is alone: its weights do not come in whole blocks.
        let whole = self.columns.is_multiple_of(WIDTH);
        let (columns, blocks) = (self.columns, self.blocks);
        let mut free = blocks;
        for cursor in self.cursors.iter_mut().take(self.level.number()) {
            let (mut start, mut met) = (0, 0u32);
            if cursor.counts_rows() {
                let (gaps, weights) = cursor.begin_row::<WIDTH>(whole);
                let (done, next) = if MAPPED {
                    Marked::<_, WIDTH> { map: &mut self.map, sink }.blocks(gaps, weights)
                } else {
                    sink.blocks(gaps, weights)
                };
                cursor.pass_blocks::<WIDTH>(done);
                (start, met) = (next, u32::try_from(done).unwrap_or(u32::MAX));
            }
            if cursor.pending() > 0 {
                let stretch = Stretch { start, blocks, free, columns };
                met = met.wrapping_add(stretch.walk::<S, WIDTH, MAPPED>(cursor, &mut self.map, sink));
            }
            free = free.wrapping_sub(met);
        }
    }

    /// Begins the next row, as an iterator; what it leaves is passed over by the next call. `None` after the last row.
    pub fn row(&mut self) -> Option<Row<'_, 'a>> {
        self.finish_row();
        self.rows_left = self.rows_left.checked_sub(1)?;
        self.map.clear(self.blocks);
        self.open = self.enter(0, self.blocks);
        Some(Row { rows: self })
    }

    /// Passes rows from the next on in which this level holds no weight, and returns how many it passed; the time is that of
    /// one row, however many they are. Rows that a byte of the file describes, as the counts of [`IndexCode::Bytes`] do, are
    /// not passed, so that 0 does not mean that the next row holds a weight.
    ///
    /// With it a walk takes time in proportion to the file's bytes, whatever number of rows they state.
    ///
    /// ```
    /// # use nested_csr::{Block, IndexCode, Level, NestedCsr, Shape};
    /// # fn main() -> Result<(), nested_csr::FormatError> {
    /// # let shape = Shape { rows: 1000, columns: 2 };
    /// # let mut weights = [0; 2000];
    /// # weights[1601] = 7;
    /// # let rings = weights.map(|weight| u8::from(weight != 0));
    /// # let matrix = NestedCsr::compress_as(shape, Block::OneByOne, &[IndexCode::Nibbles], &weights, &rings)?;
    /// // A `matrix` of 1000 rows of which one holds a weight:
    /// let mut rows = matrix.rows(Level::FIRST)?;
    /// let (mut row, mut found) = (0, Vec::new());
    /// loop {
    ///     row += rows.skip_empty();
    ///     if rows.next_row(|column, weight| found.push((row, column, weight))).is_none() {
    ///         break;
    ///     }
    ///     row += 1;
    /// }
    /// assert_eq!(found, [(800, 1, 7)]);
    /// # Ok(()) }
    /// ```
    pub fn skip_empty(&mut self) -> usize {
        self.finish_row();
        let rings = self.cursors.get_mut(..self.level.number()).unwrap_or(&mut []);
        let empty = empty_rows(&*rings, self.blocks, self.rows_left);
        rings.iter_mut().for_each(|ring| ring.pass(empty.wrapping_mul(self.blocks)));
        self.rows_left = self.rows_left.saturating_sub(empty as usize);
        empty as usize
    }

    /// Rows not yet decoded.
    pub fn rows_left(&self) -> usize {
        self.rows_left
    }

    fn finish_row(&mut self) {
        while self.open.is_some() {
            self.advance();
        }
    }

    /// Enters a ring of the open row.
    fn enter(&mut self, ring: usize, free: u32) -> Option<Open> {
        let cursor = self.cursors.get_mut(ring).filter(|_| ring < self.level.number())?;
        cursor.start_row();
        let span = if cursor.counts_free() { Span::free(&self.map, free) } else { Span::new(0, self.blocks) };
        Some(Open { ring, span, free, met: 0, second: None })
    }

    /// The next weight of the open row; closes the row after its last.
    fn advance(&mut self) -> Option<(usize, i8)> {
        loop {
            let open = self.open.as_mut()?;
            if let Some(second) = open.second.take() {
                return Some(second);
            }
            let cursor = self.cursors.get_mut(open.ring)?;
            let Some(block) = cursor.step(&mut open.span, &self.map) else {
                cursor.end_span(&open.span);
                let (ring, free) = (open.ring.wrapping_add(1), open.free.wrapping_sub(open.met));
                self.open = self.enter(ring, free);
                continue;
            };
            if self.mapped {
                self.map.take(block);
            }
            open.met = open.met.wrapping_add(1);
            let column = (block as usize).wrapping_mul(self.block.width());
            let width = self.block.width().min(self.columns.saturating_sub(column));
            let weights = cursor.take_values(width).unwrap_or(&[]);
            if let [_, second] = weights {
                open.second = Some((column.wrapping_add(1), second.cast_signed()));
            }
            return weights.first().map(|weight| (column, weight.cast_signed()));
        }
    }
}

/// One row as an external iterator of `(column, weight)`, in the order of [`Rows::next_row`]; [`Rows`] has an example.
#[derive(Debug)]
pub struct Row<'r, 'a> {
    rows: &'r mut Rows<'a>,
}

impl Iterator for Row<'_, '_> {
    type Item = (usize, i8);

    fn next(&mut self) -> Option<(usize, i8)> {
        self.rows.advance()
    }
}
