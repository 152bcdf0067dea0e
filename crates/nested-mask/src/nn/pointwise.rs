//! The loops without weights: normalisation with its activation, sums, and their gradients, on one group of images.
use super::{Activation, map::Map, vector::Scalar};
use pulp::{Arch, Simd, WithSimd};

/// `activation(x · scale + shift) · lane mask`, channel by channel.
pub(crate) struct Finish<'a, T> {
    pub from: &'a Map,
    pub to: &'a Map,
    pub scale: &'a [T],
    pub shift: &'a [T],
    pub activation: Activation,
    /// One a lane: 1, or 0 where there is no image.
    pub lanes: &'a [T],
    pub source: &'a [T],
    pub target: &'a mut [T],
}

impl<T: Scalar> Finish<'_, T> {
    pub(crate) fn run(self, arch: Arch) {
        arch.dispatch(self);
    }
}

impl<T: Scalar> WithSimd for Finish<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (source, target) = (T::vectors::<S>(self.source), T::vectors_mut::<S>(self.target));
        let lanes = T::vectors::<S>(self.lanes)[0];
        let (zero, six) = (T::splat(simd, T::zero()), T::splat(simd, T::from_f64(6.0)));
        let width = self.from.shape.width;
        for c in 0..self.from.shape.channels {
            let (scale, shift) = (T::splat(simd, self.scale[c]), T::splat(simd, self.shift[c]));
            for y in 0..self.from.shape.height {
                let source = &source[self.from.at(c, y, 0)..][..width];
                let target = &mut target[self.to.at(c, y, 0)..][..width];
                for (to, &x) in target.iter_mut().zip(source) {
                    let sum = T::times_plus(simd, x, scale, shift);
                    let value = match self.activation {
                        Activation::Identity => sum,
                        Activation::Relu => T::greater(simd, sum, zero),
                        Activation::Relu6 => T::smaller(simd, T::greater(simd, sum, zero), six),
                    };
                    *to = T::times(simd, value, lanes);
                }
            }
        }
    }
}

/// Adds to `sums`, two a channel, the sum of the elements and of their squares.
pub(crate) struct Moments<'a, T> {
    pub map: &'a Map,
    pub source: &'a [T],
    pub sums: &'a mut [f64],
}

impl<T: Scalar> Moments<'_, T> {
    pub(crate) fn run(self, arch: Arch) {
        arch.dispatch(self);
    }
}

impl<T: Scalar> WithSimd for Moments<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let source = T::vectors::<S>(self.source);
        let zero = T::splat(simd, T::zero());
        for (c, into) in self.sums.chunks_exact_mut(2).enumerate() {
            let (mut sum, mut squares) = ([zero; 4], [zero; 4]);
            for y in 0..self.map.shape.height {
                let row = &source[self.map.at(c, y, 0)..][..self.map.shape.width];
                let (fours, rest) = row.as_chunks::<4>();
                for four in fours {
                    for i in 0..4 {
                        sum[i] = T::plus(simd, sum[i], four[i]);
                        squares[i] = T::times_plus(simd, four[i], four[i], squares[i]);
                    }
                }
                for &x in rest {
                    sum[0] = T::plus(simd, sum[0], x);
                    squares[0] = T::times_plus(simd, x, x, squares[0]);
                }
            }
            into[0] += total::<T, S>(simd, sum);
            into[1] += total::<T, S>(simd, squares);
        }
    }
}

#[inline(always)]
fn total<T: Scalar, S: Simd>(simd: S, sums: [T::Vector<S>; 4]) -> f64 {
    sums.into_iter().map(|v| T::sum_lanes(simd, v).to_f64()).sum()
}

/// Closes the gradient's gate where the activation was flat (in place), and adds to `sums`, two a channel, the sum of the
/// gradient and of gradient · (x − mean).
pub(crate) struct Gate<'a, T> {
    /// The node's output.
    pub output: &'a Map,
    pub values: &'a [T],
    /// What was normalised.
    pub pre: &'a Map,
    pub inputs: &'a [T],
    pub mean: &'a [T],
    pub activation: Activation,
    pub gradient: &'a mut [T],
    pub sums: &'a mut [f64],
}

impl<T: Scalar> Gate<'_, T> {
    pub(crate) fn run(self, arch: Arch) {
        arch.dispatch(self);
    }
}

impl<T: Scalar> WithSimd for Gate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (values, inputs) = (T::vectors::<S>(self.values), T::vectors::<S>(self.inputs));
        let gradient = T::vectors_mut::<S>(self.gradient);
        let (width, height) = (self.output.shape.width, self.output.shape.height);
        let zero = T::splat(simd, T::zero());
        for (c, into) in self.sums.chunks_exact_mut(2).enumerate() {
            let minus_mean = T::splat(simd, -self.mean[c]);
            let (mut sum, mut product) = ([zero; 4], [zero; 4]);
            for y in 0..height {
                let gradient = &mut gradient[(c * height + y) * width..][..width];
                let values = &values[self.output.at(c, y, 0)..][..width];
                let inputs = &inputs[self.pre.at(c, y, 0)..][..width];
                for (x, g) in gradient.iter_mut().enumerate() {
                    *g = open::<T, S>(simd, self.activation, values[x], *g);
                    sum[x % 4] = T::plus(simd, sum[x % 4], *g);
                    product[x % 4] = T::times_plus(simd, *g, T::plus(simd, inputs[x], minus_mean), product[x % 4]);
                }
            }
            into[0] += total::<T, S>(simd, sum);
            into[1] += total::<T, S>(simd, product);
        }
    }
}

/// The gradient where the activation's slope is 1, else 0.
#[inline(always)]
fn open<T: Scalar, S: Simd>(
    simd: S,
    activation: Activation,
    value: T::Vector<S>,
    gradient: T::Vector<S>,
) -> T::Vector<S> {
    let zero = T::splat(simd, T::zero());
    match activation {
        Activation::Identity => gradient,
        Activation::Relu => T::where_less(simd, zero, value, gradient),
        Activation::Relu6 => {
            let below = T::where_less(simd, value, T::splat(simd, T::from_f64(6.0)), gradient);
            T::where_less(simd, zero, value, below)
        }
    }
}

/// Replaces x by `gradient · a + x · b + c` times the lane mask: the gradient of a normalisation, or of a bias (1, 0, 0).
pub(crate) struct Unfinish<'a, T> {
    pub pre: &'a Map,
    pub factors: &'a [[T; 3]],
    pub lanes: &'a [T],
    pub gradient: &'a [T],
    pub inputs: &'a mut [T],
}

impl<T: Scalar> Unfinish<'_, T> {
    pub(crate) fn run(self, arch: Arch) {
        arch.dispatch(self);
    }
}

impl<T: Scalar> WithSimd for Unfinish<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let gradient = T::vectors::<S>(self.gradient);
        let inputs = T::vectors_mut::<S>(self.inputs);
        let lanes = T::vectors::<S>(self.lanes)[0];
        let (width, height) = (self.pre.shape.width, self.pre.shape.height);
        for (c, factors) in self.factors.iter().enumerate() {
            let [a, b, shift] = factors.map(|f| T::times(simd, T::splat(simd, f), lanes));
            for y in 0..height {
                let gradient = &gradient[(c * height + y) * width..][..width];
                let inputs = &mut inputs[self.pre.at(c, y, 0)..][..width];
                for (x, &g) in inputs.iter_mut().zip(gradient) {
                    *x = T::times_plus(simd, g, a, T::times_plus(simd, *x, b, shift));
                }
            }
        }
    }
}

/// `activation(left + right)`.
pub(crate) struct Add<'a, T> {
    pub left: (&'a Map, &'a [T]),
    pub right: (&'a Map, &'a [T]),
    pub to: &'a Map,
    pub activation: Activation,
    pub target: &'a mut [T],
}

impl<T: Scalar> Add<'_, T> {
    pub(crate) fn run(self, arch: Arch) {
        arch.dispatch(self);
    }
}

impl<T: Scalar> WithSimd for Add<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (left, right) = (T::vectors::<S>(self.left.1), T::vectors::<S>(self.right.1));
        let target = T::vectors_mut::<S>(self.target);
        let (zero, six) = (T::splat(simd, T::zero()), T::splat(simd, T::from_f64(6.0)));
        let width = self.to.shape.width;
        for c in 0..self.to.shape.channels {
            for y in 0..self.to.shape.height {
                let left = &left[self.left.0.at(c, y, 0)..][..width];
                let right = &right[self.right.0.at(c, y, 0)..][..width];
                let target = &mut target[self.to.at(c, y, 0)..][..width];
                for x in 0..width {
                    let sum = T::plus(simd, left[x], right[x]);
                    target[x] = match self.activation {
                        Activation::Identity => sum,
                        Activation::Relu => T::greater(simd, sum, zero),
                        Activation::Relu6 => T::smaller(simd, T::greater(simd, sum, zero), six),
                    };
                }
            }
        }
    }
}

/// The gradient of [`Add`]: gated in place, then given to each operand (added where it is not the first).
pub(crate) struct AddGradient<'a, T> {
    pub output: &'a Map,
    pub values: &'a [T],
    pub activation: Activation,
    pub gradient: &'a mut [T],
}

impl<T: Scalar> AddGradient<'_, T> {
    pub(crate) fn run(self, arch: Arch) {
        arch.dispatch(self);
    }
}

impl<T: Scalar> WithSimd for AddGradient<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let values = T::vectors::<S>(self.values);
        let gradient = T::vectors_mut::<S>(self.gradient);
        let (width, height) = (self.output.shape.width, self.output.shape.height);
        for c in 0..self.output.shape.channels {
            for y in 0..height {
                let gradient = &mut gradient[(c * height + y) * width..][..width];
                let values = &values[self.output.at(c, y, 0)..][..width];
                for (g, &value) in gradient.iter_mut().zip(values) {
                    *g = open::<T, S>(simd, self.activation, value, *g);
                }
            }
        }
    }
}

/// Copies a gradient, or adds it where another node's is already.
pub(crate) fn give<T: Scalar>(from: &[T], to: &mut [T], accumulate: bool) {
    if accumulate {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
    } else {
        to.copy_from_slice(from);
    }
}
