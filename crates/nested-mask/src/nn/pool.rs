//! Pools and their gradients, on one group of images.
use super::{map::Map, vector::Scalar};
use nested_csr::Window;
use pulp::{Arch, Simd, WithSimd};

/// The mean or the greatest of each window.
pub(crate) struct Pool<'a, T> {
    pub from: &'a Map,
    pub to: &'a Map,
    pub window: Window,
    pub greatest: bool,
    pub source: &'a [T],
    pub target: &'a mut [T],
}

impl<T: Scalar> Pool<'_, T> {
    pub(crate) fn run(self, arch: Arch) {
        arch.dispatch(self);
    }
}

/// The source pixels of a window, in order.
#[inline(always)]
fn pixels(window: Window, y: usize, x: usize) -> impl Iterator<Item = (usize, usize)> {
    let [height, width] = window.kernel.map(usize::from);
    let stride = usize::from(window.stride);
    (0..height).flat_map(move |ky| (0..width).map(move |kx| (y * stride + ky, x * stride + kx)))
}

impl<T: Scalar> WithSimd for Pool<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let source = T::vectors::<S>(self.source);
        let target = T::vectors_mut::<S>(self.target);
        let share = T::splat(simd, share(self.window));
        for c in 0..self.to.shape.channels {
            for y in 0..self.to.shape.height {
                for x in 0..self.to.shape.width {
                    let first = source
                        [self.from.at(c, y * usize::from(self.window.stride), x * usize::from(self.window.stride))];
                    let inputs = pixels(self.window, y, x).skip(1).map(|(y, x)| source[self.from.at(c, y, x)]);
                    target[self.to.at(c, y, x)] = if self.greatest {
                        inputs.fold(first, |a, b| T::greater(simd, a, b))
                    } else {
                        T::times(simd, inputs.fold(first, |a, b| T::plus(simd, a, b)), share)
                    };
                }
            }
        }
    }
}

fn share<T: Scalar>(window: Window) -> T {
    T::from_f64(1.0 / (f64::from(window.kernel[0]) * f64::from(window.kernel[1])))
}

/// The gradient of [`Pool`], added to the input's: shared alike (mean), or to the first of the greatest.
pub(crate) struct PoolGradient<'a, T> {
    pub from: &'a Map,
    pub to: &'a Map,
    pub window: Window,
    pub greatest: bool,
    pub source: &'a [T],
    pub gradient: &'a [T],
    pub input_gradient: &'a mut [T],
    /// Images side by side in a vector.
    pub lanes: usize,
}

impl<T: Scalar> PoolGradient<'_, T> {
    pub(crate) fn run(self) {
        let (from, to) = (self.from.shape, self.to.shape);
        for c in 0..to.channels {
            for y in 0..to.height {
                for x in 0..to.width {
                    let gradient = &self.gradient[((c * to.height + y) * to.width + x) * self.lanes..][..self.lanes];
                    let into = |(y, x): (usize, usize)| ((c * from.height + y) * from.width + x) * self.lanes;
                    if self.greatest {
                        for (lane, &g) in gradient.iter().enumerate() {
                            let value =
                                |&(y, x): &(usize, usize)| self.source[self.from.at(c, y, x) * self.lanes + lane];
                            let best =
                                pixels(self.window, y, x).reduce(|a, b| if value(&b) > value(&a) { b } else { a });
                            if let Some(pixel) = best {
                                self.input_gradient[into(pixel) + lane] += g;
                            }
                        }
                    } else {
                        let share = share::<T>(self.window);
                        for pixel in pixels(self.window, y, x) {
                            let target = &mut self.input_gradient[into(pixel)..][..self.lanes];
                            target.iter_mut().zip(gradient).for_each(|(to, &g)| *to += g * share);
                        }
                    }
                }
            }
        }
    }
}
