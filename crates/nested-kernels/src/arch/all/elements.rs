//! Element by element: what compilers turn into vector instructions by themselves, once they may use them.
use super::lanes::Task;
use crate::add::Sum;

/// [`crate::add`]'s loop.
pub(super) struct Elements<'a> {
    pub(super) sum: Sum,
    pub(super) left: &'a [i8],
    pub(super) right: &'a [i8],
    pub(super) output: &'a mut [i8],
}

impl Task for Elements<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (output, (left, right)) in self.output.iter_mut().zip(self.left.iter().zip(self.right)) {
            *output = self.sum.of(*left, *right);
        }
    }
}

/// [`crate::add_in_place`]'s loop.
pub(super) struct ElementsInPlace<'a> {
    pub(super) sum: Sum,
    pub(super) left: &'a mut [i8],
    pub(super) right: &'a [i8],
}

impl Task for ElementsInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (left, right) in self.left.iter_mut().zip(self.right) {
            *left = self.sum.of(*left, *right);
        }
    }
}
