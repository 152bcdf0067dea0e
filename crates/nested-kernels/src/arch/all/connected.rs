//! Fully connected layers. They have one pixel: too little to amortise a table over, so each row is streamed.
use super::{finishes::Finishes, lanes::Task};
use crate::{Geometry, rows::RowSource};
use nested_csr::Sink;

/// A layer whose kernel is the whole map.
pub(super) struct FullyConnected<'a, R> {
    pub(super) rows: R,
    pub(super) finishes: Finishes<'a>,
    pub(super) geometry: &'a Geometry,
    pub(super) input: &'a [i8],
    pub(super) output: &'a mut [i8],
}

impl<R: RowSource> Task for FullyConnected<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let (channels, pixels) = (self.geometry.input.channels, self.geometry.taps());
        for (row, output) in self.output.iter_mut().enumerate() {
            let finish = self.finishes.of(row);
            let taps = Taps::new(channels);
            // One pixel: the columns are the channels.
            let decoded = if pixels == 1 {
                let mut dot = Dot { input: self.input, sum: finish.bias };
                self.rows.next_row_into(&mut dot).map(|()| dot.sum)
            } else {
                let mut dot = Dot { input: self.input, sum: finish.bias };
                let mut sink = Scattered { dot: &mut dot, pixels, taps };
                self.rows.next_row_into(&mut sink).map(|()| dot.sum)
            };
            if let Some(sum) = decoded {
                *output = finish.apply(sum);
            }
        }
    }
}

/// A row's product with one pixel.
struct Dot<'a> {
    input: &'a [i8],
    sum: i32,
}

impl Dot<'_> {
    #[inline(always)]
    fn add(&mut self, place: usize, weight: i8) {
        if let Some(value) = self.input.get(place) {
            self.sum = self.sum.wrapping_add(i32::from(weight) * i32::from(*value));
        }
    }
}

impl Sink for Dot<'_> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        self.add(column, weight);
    }

    /// As the trait's own, with the sum in a register.
    #[inline(always)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        let (mut block, mut done, mut sum) = (0u32, 0, self.sum);
        for (gap, weights) in gaps.iter().zip(weights) {
            let at = block.wrapping_add(u32::from(*gap));
            let values = self.input.get(at as usize * WIDTH..).and_then(|values| values.first_chunk::<WIDTH>());
            let Some(values) = values.filter(|_| *gap != u8::MAX) else { break };
            for (weight, value) in weights.iter().zip(values) {
                sum = sum.wrapping_add(i32::from(*weight as i8) * i32::from(*value));
            }
            block = at.wrapping_add(1);
            done += 1;
        }
        self.sum = sum;
        (done, block)
    }

    #[inline(always)]
    fn all(&mut self, weights: &[i8]) {
        let product = |(weight, value): (&i8, &i8)| i32::from(*weight) * i32::from(*value);
        self.sum = weights.iter().zip(self.input).map(product).fold(self.sum, i32::wrapping_add);
    }
}

/// A row's product with a whole map.
struct Scattered<'a, 'd> {
    dot: &'a mut Dot<'d>,
    /// Of the map.
    pixels: usize,
    taps: Taps,
}

impl Sink for Scattered<'_, '_> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        let (tap, channel) = self.taps.split(column);
        self.dot.add(channel * self.pixels + tap, weight);
    }
}

/// Splits columns `tap · Cin + channel` without dividing: within a ring they ascend.
#[derive(Clone, Copy)]
struct Taps {
    channels: usize,
    tap: usize,
    first: usize,
}

impl Taps {
    fn new(channels: usize) -> Self {
        Taps { channels: channels.max(1), tap: 0, first: 0 }
    }

    /// `(column / channels, column % channels)`.
    #[inline(always)]
    fn split(&mut self, column: usize) -> (usize, usize) {
        if column < self.first {
            (self.tap, self.first) = (0, 0);
        }
        while column - self.first >= self.channels {
            self.tap += 1;
            self.first += self.channels;
        }
        (self.tap, column - self.first)
    }
}
