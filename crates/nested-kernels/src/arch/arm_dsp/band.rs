//! A band of the input in packed form: where everything is, and how a walk goes through it.
use super::{
    pack::{Channels, Lane, Pairing, RowLayout},
    table,
};
use crate::Geometry;
use core::mem::take;

/// How a layer's outputs are laid out in lines of words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    pub(super) pairing: Pairing,
    /// Each output channel reads its own input channel only.
    pub(super) depthwise: bool,
    /// A 1×1 kernel without stride or padding: the whole map is one line, and a band is a part of it.
    flat: bool,
    /// Lines, or words of the one flat line.
    pub(super) extent: usize,
    /// From the first lane's pixels to the second's: output lines, or pixels of the flat line. 0 for pairs of channels.
    shift: usize,
}

impl Lines {
    /// Of a convolution.
    pub(super) fn new(geometry: &Geometry, pairing: Pairing) -> Lines {
        let window = geometry.window;
        let flat = window.kernel == [1, 1] && window.stride == 1 && window.padding == Default::default();
        let whole = if flat { geometry.output.height * geometry.output.width } else { geometry.output.height };
        let extent = if pairing == Pairing::Pixels { whole.div_ceil(2) } else { whole };
        Lines { pairing, depthwise: false, flat, extent, shift: whole - extent }
    }

    /// Of a depthwise convolution.
    pub(super) fn depthwise(geometry: &Geometry) -> Lines {
        Lines { depthwise: true, ..Lines::new(geometry, Pairing::Pixels) }
    }

    /// Whether no line is shorter than a block.
    pub(super) fn are_wide(&self, geometry: &Geometry) -> bool {
        self.block() <= if self.flat { self.extent } else { geometry.output.width }
    }

    /// Outputs of a block in one lane.
    fn block(&self) -> usize {
        match self.pairing {
            Pairing::Pixels => 4,
            Pairing::Channels => 8,
        }
    }

    /// The lanes' number.
    fn lanes(&self) -> usize {
        match self.pairing {
            Pairing::Pixels => 2,
            Pairing::Channels => 1,
        }
    }
}

/// A band of `count` lines (or words of the flat line).
#[derive(Clone, Copy, Debug)]
pub(super) struct Band<'g> {
    pub(super) geometry: &'g Geometry,
    pub(super) lines: Lines,
    /// Packed rows of a channel.
    rows: usize,
    row: RowLayout,
    /// Lines that are walked, and outputs of each.
    walked: usize,
    width: usize,
}

/// The scratch of a band, cut up.
pub(super) struct Parts<'s> {
    /// Where each column lies in the band, in bytes; for pairs of channels, bit 0 tells the second of a pair.
    pub(super) places: &'s mut [u32],
    padding: &'s mut [u32],
    pub(super) segments: &'s mut [i32],
    pub(super) strip: &'s mut [i8],
    pub(super) table: &'s mut [u32],
    pub(super) packed: &'s mut [u32],
}

impl<'g> Band<'g> {
    /// `None` when it is too large to be addressed.
    pub(super) fn new(geometry: &'g Geometry, lines: Lines, count: usize) -> Option<Self> {
        let [kernel_height, kernel_width] = geometry.window.kernel.map(usize::from);
        let stride = usize::from(geometry.window.stride);
        let (walked, width) = if lines.flat { (1, count) } else { (count, geometry.output.width) };
        let rows = (walked - 1) * stride + kernel_height;
        let columns = (width.max(lines.block()) - 1) * stride + kernel_width;
        let left = geometry.window.padding.left.into();
        let band = Band { geometry, lines, rows, row: RowLayout::new(stride, columns, left), walked, width };
        // Offsets and their differences are 32-bit.
        (band.channels().checked_mul(rows)?.checked_mul(columns)? < 1 << 27).then_some(band)
    }

    /// Packed channels.
    fn channels(&self) -> usize {
        match self.lines.pairing {
            Pairing::Pixels => self.geometry.input.channels,
            Pairing::Channels => self.geometry.input.channels.div_ceil(2),
        }
    }

    /// Input channels that a row of weights covers.
    fn row_channels(&self) -> usize {
        if self.lines.depthwise { 1 } else { self.geometry.input.channels }
    }

    /// From one output channel's place in the band to the next's, in bytes.
    pub(super) fn row_step(&self) -> i32 {
        if self.lines.depthwise { 4 * (self.rows * self.row.words()) as i32 } else { 0 }
    }

    /// Whether a line is shorter than a block: the walk then writes to a strip, from which the outputs are copied.
    pub(super) fn is_short(&self) -> bool {
        self.width < self.lines.block()
    }

    /// The lengths of [`Parts`].
    fn lengths(&self) -> [usize; 6] {
        let columns = self.geometry.taps() * self.row_channels();
        let padding = if self.lines.flat { 0 } else { self.geometry.input.width.div_ceil(4) };
        let segments = 6 * self.walked + 1;
        let strip = if self.is_short() { self.walked * self.lines.block() * self.lines.lanes() / 4 } else { 0 };
        let packed = self.channels() * self.rows * self.row.words();
        [columns, padding, segments, strip, table::words(columns), packed]
    }

    /// Words of scratch.
    pub(super) fn words(&self) -> Option<usize> {
        self.lengths().into_iter().try_fold(0, usize::checked_add)
    }

    /// Cuts a scratch up; `None` when it is too short.
    pub(super) fn parts<'s>(&self, mut scratch: &'s mut [u32]) -> Option<Parts<'s>> {
        let mut next = |length: usize| {
            let (part, rest) = take(&mut scratch).split_at_mut_checked(length)?;
            scratch = rest;
            Some(part)
        };
        let [places, padding, segments, strip, table, packed] = self.lengths();
        Some(Parts {
            places: next(places)?,
            padding: next(padding)?,
            segments: bytemuck::cast_slice_mut(next(segments)?),
            strip: bytemuck::cast_slice_mut(next(strip)?),
            table: next(table)?,
            packed: next(packed)?,
        })
    }

    /// Writes what does not depend on which band it is: the columns' places, the padding, the segments.
    pub(super) fn prepare(&self, parts: &mut Parts<'_>) {
        let kernel_width = usize::from(self.geometry.window.kernel[1]).max(1);
        let pitch = self.row.words();
        let channel = 4 * (self.rows * pitch) as u32;
        for (tap, places) in parts.places.chunks_exact_mut(self.row_channels().max(1)).enumerate() {
            let (kh, kw) = (tap / kernel_width, tap % kernel_width);
            let mut place = 4 * (kh * pitch + self.row.position(kw)) as u32;
            match self.lines.pairing {
                Pairing::Pixels => {
                    for cell in places {
                        *cell = place;
                        place += channel;
                    }
                }
                Pairing::Channels => {
                    for pair in places.chunks_mut(2) {
                        pair.iter_mut().zip(place..).for_each(|(cell, place)| *cell = place);
                        place += channel;
                    }
                }
            }
        }
        self.write_segments(parts.segments);
        if self.lines.flat {
            // Without padding, packing writes every word that an output depends on.
            return;
        }
        let zero_point = self.geometry.zero_point;
        parts.padding.fill(u32::from_le_bytes([zero_point as u8; 4]));
        let word = self.lines.pairing.word(zero_point, zero_point);
        let (chunks, rest) = parts.packed.as_chunks_mut::<8>();
        chunks.iter_mut().for_each(|chunk| *chunk = [word; 8]);
        rest.fill(word);
    }

    fn write_segments(&self, segments: &mut [i32]) {
        let block = self.lines.block();
        let width = self.width.max(block);
        let (whole, left) = (width / block * block, width % block);
        // Where there is a second line, the band holds as much.
        let next_line = (4 * self.row.words()).wrapping_mul(self.geometry.window.stride.into());
        let mut words = segments.iter_mut();
        let mut put = |word: usize| {
            if let Some(cell) = words.next() {
                *cell = word as i32;
            }
        };
        for _ in 0..self.walked {
            put(whole);
            if left > 0 {
                // The last block overlaps the one before it: outputs computed twice are the same.
                let back = block - left;
                put(0usize.wrapping_sub(4 * back));
                put(0usize.wrapping_sub(back));
                put(block);
            }
            put(next_line.wrapping_sub(4 * width));
            put(0);
        }
        put(0);
    }

    /// Packs the band that begins at line (or word) `first`.
    pub(super) fn pack(&self, first: usize, input: &[i8], parts: &mut Parts<'_>) {
        let padding: &[i8] = bytemuck::cast_slice(parts.padding);
        let plane = self.geometry.input.height * self.geometry.input.width;
        let (row_words, pitch) = (self.row.words(), self.rows * self.row.words());
        for row in 0..self.rows {
            match self.lines.pairing {
                Pairing::Pixels => {
                    let lanes =
                        [0, self.lines.shift].map(|shift| self.source(input, first + shift, row, plane, padding));
                    let Some(words) = parts.packed.get_mut(row * row_words..) else { return };
                    self.pack_row(lanes, Channels { words, pitch, count: self.channels() });
                }
                Pairing::Channels => {
                    let second = input.get(plane..).unwrap_or_default();
                    let lanes = [input, second].map(|input| self.source(input, first, row, 2 * plane, padding));
                    let Some(words) = parts.packed.get_mut(row * row_words..) else { return };
                    let count = self.geometry.input.channels / 2;
                    self.pack_row(lanes, Channels { words, pitch, count });
                    if self.geometry.input.channels % 2 == 1 {
                        // A last channel alone is paired with itself, under a weight of 0.
                        let last = input.get(2 * count * plane..).unwrap_or_default();
                        let lane = self.source(last, first, row, 0, padding);
                        let Some(words) = parts.packed.get_mut(count * pitch + row * row_words..) else { return };
                        self.pack_row([lane, lane], Channels { words, pitch, count: 1 });
                    }
                }
            }
        }
    }

    fn pack_row(&self, lanes: [Lane<'_>; 2], channels: Channels<'_>) {
        let width = if self.lines.flat { self.width } else { self.geometry.input.width };
        self.row.pack(self.lines.pairing, width, lanes, channels);
    }

    /// The input pixels that packed row `row` of a lane holds; `step` from a channel to the next.
    fn source<'i>(&self, input: &'i [i8], first: usize, row: usize, step: usize, padding: &'i [i8]) -> Lane<'i> {
        let from = |at: usize| Lane { pixels: input.get(at..).unwrap_or_default(), step };
        if self.lines.flat {
            return from(first);
        }
        let row = first * usize::from(self.geometry.window.stride) + row;
        match row.checked_sub(self.geometry.window.padding.top.into()) {
            Some(row) if row < self.geometry.input.height => from(row * self.geometry.input.width),
            _ => Lane { pixels: padding, step: 0 },
        }
    }

    /// Where a row's outputs begin in its output plane (or in the strip), for each lane.
    pub(super) fn outputs(&self, first: usize) -> [usize; 2] {
        if self.is_short() { self.strip_lanes() } else { self.lanes_from(first) }
    }

    /// Where the lanes' outputs begin in the strip.
    pub(super) fn strip_lanes(&self) -> [usize; 2] {
        [0, self.walked * self.lines.block()]
    }

    /// Where the lanes' outputs begin in a row's output plane.
    pub(super) fn lanes_from(&self, first: usize) -> [usize; 2] {
        let line = if self.lines.flat { 1 } else { self.width };
        [first * line, (first + self.lines.shift) * line]
    }

    /// How many of `rows` rows may be written where they belong, `lanes` being where their outputs begin and `len` the
    /// outputs up to the end.
    ///
    /// Of a line that is shorter than a block, what is written behind it is overwritten by what comes next: the second
    /// lane, whose outputs a block writes last, and the next row. The last row would be written beyond the end.
    #[cfg(nested_kernels_backend = "dsp")]
    pub(super) fn direct(&self, lanes: [usize; 2], len: usize, rows: usize) -> usize {
        let plane = self.geometry.output.height * self.geometry.output.width;
        if !self.is_short() {
            return rows;
        }
        let written = lanes[0].max(lanes[1]) + self.lines.block();
        let in_order = self.lines.pairing == Pairing::Pixels && self.lines.extent == 1;
        if !in_order || len < written || plane == 0 { 0 } else { rows.min((len - written) / plane + 1) }
    }

    /// Copies a strip's outputs to their plane.
    pub(super) fn copy_strip(&self, first: usize, strip: &[i8], plane: &mut [i8]) {
        let lanes = strip.chunks_exact((self.walked * self.lines.block()).max(1));
        for (lane, from) in lanes.zip(self.lanes_from(first)) {
            let cells = plane.get_mut(from..).unwrap_or_default().chunks_exact_mut(self.width.max(1));
            for (cells, outputs) in cells.zip(lane.chunks_exact(self.lines.block())) {
                cells.iter_mut().zip(outputs).for_each(|(cell, output)| *cell = *output);
            }
        }
    }
}
