//! Vectors of floats: one lane an image. All passes work on groups of images, as many as the machine's vectors have lanes,
//! so no kernel depends on a map's width. `pulp` chooses the instruction set at run time.
use ndarray::NdFloat;
use pulp::{Arch, Simd, WithSimd};

/// The floats that networks compute in: `f32`, and `f64` for exact checks. No other type can be one: how it is put into machine
/// vectors is this crate's own business.
///
/// ```
/// use nested_mask::nn::Scalar;
///
/// fn mean<T: Scalar>(values: &[T]) -> T {
///     values.iter().fold(T::zero(), |sum, &value| sum + value) / T::from_f64(values.len() as f64)
/// }
/// assert_eq!((mean(&[1.0_f32, 2.0]), mean(&[1.0_f64, 2.0])), (1.5, 1.5));
/// ```
pub trait Scalar: NdFloat + Default + Lanes {
    /// From a double, rounded.
    fn from_f64(value: f64) -> Self;
    /// To a double.
    fn to_f64(self) -> f64;
}

/// A float in machine vectors. Public in a private module, so that it seals [`Scalar`] and `pulp` is in no signature of the crate.
pub trait Lanes: Sized {
    /// A machine vector.
    type Vector<S: Simd>: Copy + Send + Sync;

    /// Lanes of a vector.
    fn lanes<S: Simd>() -> usize;
    /// The whole vectors of a slice.
    fn vectors<S: Simd>(slice: &[Self]) -> &[Self::Vector<S>];
    /// The whole vectors of a slice.
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Vector<S>];
    /// The same number in each lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `a · b`.
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `a · b + c`, rounded once where the machine can.
    fn times_plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
    /// The greater.
    fn greater<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// The smaller.
    fn smaller<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `value` where `a < b`, 0 elsewhere.
    fn where_less<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, value: Self::Vector<S>) -> Self::Vector<S>;
    /// Sum of the lanes.
    fn sum_lanes<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;
}

macro_rules! scalar {
    ($t:ty, $vector:ident, $lanes:ident, $as:ident, $as_mut:ident, $splat:ident, $add:ident, $mul:ident, $fma:ident,
     $max:ident, $min:ident, $less:ident, $select:ident, $sum:ident) => {
        impl Scalar for $t {
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
        }

        impl Lanes for $t {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn vectors<S: Simd>(slice: &[Self]) -> &[S::$vector] {
                S::$as(slice).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut(slice).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn times<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn times_plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$fma(a, b, c)
            }
            #[inline(always)]
            fn greater<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$max(a, b)
            }
            #[inline(always)]
            fn smaller<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$min(a, b)
            }
            #[inline(always)]
            fn where_less<S: Simd>(simd: S, a: S::$vector, b: S::$vector, value: S::$vector) -> S::$vector {
                simd.$select(simd.$less(a, b), value, simd.$splat(0.0))
            }
            #[inline(always)]
            fn sum_lanes<S: Simd>(simd: S, a: S::$vector) -> Self {
                simd.$sum(a)
            }
        }
    };
}

scalar!(
    f32,
    f32s,
    F32_LANES,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    add_f32s,
    mul_f32s,
    mul_add_e_f32s,
    max_f32s,
    min_f32s,
    less_than_f32s,
    select_f32s,
    reduce_sum_f32s
);
scalar!(
    f64,
    f64s,
    F64_LANES,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    add_f64s,
    mul_f64s,
    mul_add_e_f64s,
    max_f64s,
    min_f64s,
    less_than_f64s,
    select_f64s,
    reduce_sum_f64s
);

/// Lanes of this machine's vectors.
pub(crate) fn lanes<T: Scalar>(arch: Arch) -> usize {
    struct Lanes<T>(std::marker::PhantomData<T>);
    impl<T: Scalar> WithSimd for Lanes<T> {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            T::lanes::<S>()
        }
    }
    arch.dispatch(Lanes(std::marker::PhantomData::<T>))
}

/// Zeroed memory that begins at a cache line: a vector that crosses a line costs two loads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer<T> {
    memory: Vec<T>,
    start: usize,
    length: usize,
}

const LINE: usize = 64;

impl<T: Scalar> Buffer<T> {
    pub(crate) fn zeros(length: usize) -> Buffer<T> {
        let memory = vec![T::zero(); length + LINE / size_of::<T>()];
        let start = match memory.as_ptr().align_offset(LINE) {
            offset if offset <= LINE / size_of::<T>() => offset,
            _ => 0,
        };
        Buffer { memory, start, length }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.memory[self.start..self.start + self.length]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.length]
    }
}
