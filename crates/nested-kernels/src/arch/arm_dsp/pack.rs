//! The packed copy of a band of the input: two activations a word.
use super::ops;

/// What a word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairing {
    /// Two far pixels of one channel: `(a0 ⊕ 0x80) + (a1 << 24)`. A 64-bit product with a weight adds to both sums.
    Pixels,
    /// One pixel of two neighbouring channels, 16 bits each: a dual 16-bit product adds both to one sum.
    Channels,
}

impl Pairing {
    /// The word of one pair.
    pub(super) fn word(self, a: i8, b: i8) -> u32 {
        match self {
            Pairing::Pixels => u32::from(a as u8 ^ 0x80) | u32::from(b as u8) << 24,
            Pairing::Channels => u32::from(a as u16) | u32::from(b as u16) << 16,
        }
    }

    /// The words of four pairs, from four bytes of each row.
    #[inline(always)]
    fn four(self, a: [i8; 4], b: [i8; 4]) -> [u32; 4] {
        let [a, b] = [a, b].map(|bytes| u32::from_le_bytes(bytes.map(|byte| byte as u8)));
        match self {
            Pairing::Pixels => {
                let a = a ^ 0x8080_8080;
                let (a02, a13) = (ops::uxtb16(a), ops::uxtb16_ror8(a));
                let (b02, b13) = ((b << 8) & 0xff00_ff00, b & 0xff00_ff00);
                [ops::bottoms(a02, b02), ops::bottoms(a13, b13), ops::tops(a02, b02), ops::tops(a13, b13)]
            }
            Pairing::Channels => {
                let (a02, a13) = (ops::sxtb16(a), ops::sxtb16_ror8(a));
                let (b02, b13) = (ops::sxtb16(b), ops::sxtb16_ror8(b));
                [ops::bottoms(a02, b02), ops::bottoms(a13, b13), ops::tops(a02, b02), ops::tops(a13, b13)]
            }
        }
    }
}

/// One packed row: `columns` padded input columns, column `j` at word `start(j % stride) + j / stride`, so that the
/// columns that one tap meets are neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowLayout {
    stride: usize,
    columns: usize,
    left: usize,
}

impl RowLayout {
    pub(super) fn new(stride: usize, columns: usize, left: usize) -> Self {
        RowLayout { stride, columns, left }
    }

    /// Words of a packed row.
    pub(super) fn words(&self) -> usize {
        self.columns
    }

    /// Where padded column `j` is.
    pub(super) fn position(&self, j: usize) -> usize {
        if self.stride == 1 {
            return j;
        }
        let (plane, index) = (j % self.stride, j / self.stride);
        // Plane `p` has ⌈(columns − p) / stride⌉ columns.
        let (each, more) = (self.columns / self.stride, self.columns % self.stride);
        plane * each + plane.min(more) + index
    }

    /// Packs two rows of the input (of one length), padded on both sides with `padding`.
    #[inline(always)]
    pub(super) fn pack(&self, pairing: Pairing, a: &[i8], b: &[i8], padding: u32, row: &mut [u32]) {
        match self.stride {
            1 => {
                interleave(pairing, a, b, skip_padding(row, self.left, a.len(), padding));
            }
            2 => self.pack_halves(pairing, a, b, padding, row),
            _ => self.pack_any(pairing, a, b, padding, row),
        }
    }

    /// Stride 2: even padded columns, then odd ones.
    #[inline(always)]
    fn pack_halves(&self, pairing: Pairing, a: &[i8], b: &[i8], padding: u32, row: &mut [u32]) {
        let Some((even, odd)) = row.split_at_mut_checked(self.columns.div_ceil(2)) else { return };
        // Input column x is padded column x + left.
        let (first, second) = if self.left % 2 == 0 { (even, odd) } else { (odd, even) };
        let (first, second) = (
            skip_padding(first, self.left / 2, a.len().div_ceil(2), padding),
            skip_padding(second, self.left.div_ceil(2), a.len() / 2, padding),
        );
        let (first4, first) = first.as_chunks_mut::<2>();
        let (second4, second) = second.as_chunks_mut::<2>();
        let mut done = 0;
        for (((first, second), a), b) in
            first4.iter_mut().zip(second4.iter_mut()).zip(a.as_chunks::<4>().0).zip(b.as_chunks::<4>().0)
        {
            let words = pairing.four(*a, *b);
            *first = [words[0], words[2]];
            *second = [words[1], words[3]];
            done += 1;
        }
        let rest = |chunks: &mut [[u32; 2]], tail: &mut [u32], parity: usize| {
            let from = done * 4 + parity;
            let cells = chunks.get_mut(done..).unwrap_or_default().as_flattened_mut().iter_mut().chain(tail);
            let pairs = a.iter().skip(from).step_by(2).zip(b.iter().skip(from).step_by(2));
            cells.zip(pairs).for_each(|(cell, (a, b))| *cell = pairing.word(*a, *b));
        };
        rest(first4, first, 0);
        rest(second4, second, 1);
    }

    /// Any stride, a column at a time.
    #[inline(never)]
    fn pack_any(&self, pairing: Pairing, a: &[i8], b: &[i8], padding: u32, row: &mut [u32]) {
        row.fill(padding);
        for (x, (a, b)) in a.iter().zip(b).enumerate() {
            let j = x + self.left;
            if let Some(cell) = (j < self.columns).then(|| row.get_mut(self.position(j))).flatten() {
                *cell = pairing.word(*a, *b);
            }
        }
    }
}

/// Fills the padding around a plane's `len` columns and returns the part between.
#[inline(always)]
fn skip_padding(plane: &mut [u32], before: usize, len: usize, padding: u32) -> &mut [u32] {
    let (left, rest) = plane.split_at_mut(before.min(plane.len()));
    left.fill(padding);
    let (body, right) = rest.split_at_mut(len.min(rest.len()));
    right.fill(padding);
    body
}

/// `words[i]` from `a[i]` and `b[i]`, as far as the shortest goes.
#[inline(always)]
fn interleave(pairing: Pairing, a: &[i8], b: &[i8], words: &mut [u32]) {
    let (chunks, tail) = words.as_chunks_mut::<4>();
    let (a_chunks, _) = a.as_chunks::<4>();
    let (b_chunks, _) = b.as_chunks::<4>();
    let done = chunks.len().min(a_chunks.len()) * 4;
    for ((words, a), b) in chunks.iter_mut().zip(a_chunks).zip(b_chunks) {
        *words = pairing.four(*a, *b);
    }
    let cells = chunks.as_flattened_mut().iter_mut().chain(tail).skip(done);
    cells.zip(a.iter().zip(b).skip(done)).for_each(|(cell, (a, b))| *cell = pairing.word(*a, *b));
}
