//! The reference: every operation as its definition says, one multiplication at a time in 64 bits, sharing nothing with
//! the kernels.
use crate::Geometry;
use nested_csr::Requantization;
use std::vec::Vec;

/// What a node does to an accumulator.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) rows: Vec<Requantization>,
    pub(crate) zero_point: i8,
    pub(crate) low: i8,
    pub(crate) high: i8,
}

impl Output {
    pub(crate) fn of(&self, row: usize, dot: i64) -> i8 {
        let Requantization { multiplier, bias } = self.rows[row];
        let scaled = ((i64::from(bias) + dot) * i64::from(multiplier.m()) + (1i64 << 31)) >> 32;
        (scaled + i64::from(self.zero_point)).clamp(self.low.into(), self.high.into()) as i8
    }
}

/// The input's value under a tap, or `None` in the padding.
fn under(geometry: &Geometry, input: &[i8], [c, y, x]: [usize; 3], [kh, kw]: [usize; 2]) -> Option<i8> {
    let stride = geometry.window.stride as isize;
    let row = y as isize * stride + kh as isize - geometry.window.padding.top as isize;
    let column = x as isize * stride + kw as isize - geometry.window.padding.left as isize;
    let (height, width) = (geometry.input.height as isize, geometry.input.width as isize);
    let inside = (0..height).contains(&row) && (0..width).contains(&column);
    inside.then(|| input[((c as isize * height + row) * width + column) as usize])
}

/// Every `[kh, kw]` of a window.
fn taps(geometry: &Geometry) -> impl Iterator<Item = [usize; 2]> {
    let [height, width] = geometry.window.kernel.map(usize::from);
    (0..height).flat_map(move |kh| (0..width).map(move |kw| [kh, kw]))
}

/// Calls `f` for each output element, in order.
fn each(geometry: &Geometry, mut f: impl FnMut([usize; 3]) -> i8) -> Vec<i8> {
    let mut output = Vec::new();
    for c in 0..geometry.output.channels {
        for y in 0..geometry.output.height {
            for x in 0..geometry.output.width {
                output.push(f([c, y, x]));
            }
        }
    }
    output
}

/// A convolution with a row-major weight matrix.
pub(crate) fn convolution(weights: &[i8], out: &Output, geometry: &Geometry, input: &[i8]) -> Vec<i8> {
    let columns = weights.len() / geometry.output.channels;
    each(geometry, |[r, y, x]| {
        let mut dot = 0i64;
        for ([kh, kw], tap) in taps(geometry).zip(0..) {
            for c in 0..geometry.input.channels {
                let value = under(geometry, input, [c, y, x], [kh, kw]).unwrap_or(geometry.zero_point);
                dot += i64::from(weights[r * columns + tap * geometry.input.channels + c]) * i64::from(value);
            }
        }
        out.of(r, dot)
    })
}

/// A depthwise convolution.
pub(crate) fn depthwise(weights: &[i8], out: &Output, geometry: &Geometry, input: &[i8]) -> Vec<i8> {
    let count = taps(geometry).count();
    each(geometry, |[c, y, x]| {
        let mut dot = 0i64;
        for (tap, weight) in taps(geometry).zip(&weights[c * count..]) {
            let value = under(geometry, input, [c, y, x], tap).unwrap_or(geometry.zero_point);
            dot += i64::from(*weight) * i64::from(value);
        }
        out.of(c, dot)
    })
}

/// A weighted sum.
pub(crate) fn add(weights: [i16; 2], out: &Output, left: &[i8], right: &[i8]) -> Vec<i8> {
    let one =
        |(l, r): (&i8, &i8)| out.of(0, i64::from(weights[0]) * i64::from(*l) + i64::from(weights[1]) * i64::from(*r));
    left.iter().zip(right).map(one).collect()
}

/// An average pool.
pub(crate) fn average_pool(weight: i16, out: &Output, geometry: &Geometry, input: &[i8]) -> Vec<i8> {
    each(geometry, |at| {
        let sum: i64 = taps(geometry).filter_map(|tap| under(geometry, input, at, tap)).map(i64::from).sum();
        out.of(0, i64::from(weight) * sum)
    })
}

/// A max pool.
pub(crate) fn max_pool(geometry: &Geometry, input: &[i8]) -> Vec<i8> {
    each(geometry, |at| taps(geometry).filter_map(|tap| under(geometry, input, at, tap)).max().unwrap_or(i8::MIN))
}
