//! Random small layers at every level, each output against the naive reference; and what sparse ones do when their bytes change.
mod changed;
mod maps;
mod weighted;

use crate::job::Job;
use cortex_m_semihosting::hprintln;
use nested_csr::Profile;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro128PlusPlus;

/// Cases, and how many of them are wrong.
#[derive(Clone, Copy, Default)]
struct Count {
    checked: u32,
    wrong: u32,
}

impl Count {
    /// One case.
    fn one(output: &[i8], expected: &[i8]) -> Count {
        Count { checked: 1, wrong: u32::from(output != expected) }
    }

    fn add(&mut self, other: Count) {
        self.checked += other.checked;
        self.wrong += other.wrong;
    }
}

/// The job's number of cases from its seed: a case is one layer at one level on one input.
///
/// # Panics
/// When a layer of the allowed sizes is refused.
pub fn check() {
    let mut job = Job::read();
    let (cases, seed) = (job.word(), job.word());
    let mut random = Random(Xoshiro128PlusPlus::seed_from_u64(seed.into()));
    let mut all = changed::check_fours();
    if all.wrong > 0 {
        hprintln!("wrong: changed bytes");
    }
    let heavy = weighted::Case::heavy();
    let of_heavy = heavy.check_as(Profile::Speed, &mut Random(Xoshiro128PlusPlus::seed_from_u64(1)));
    if of_heavy.wrong > 0 {
        hprintln!("wrong: {:?}", heavy);
    }
    all.add(of_heavy);
    while all.checked < cases {
        let first = all.wrong == 0;
        let report = |count: Count, what: &dyn core::fmt::Debug| {
            if count.wrong > 0 && first {
                hprintln!("wrong: {:?}", what);
            }
            count
        };
        let count = match random.below(16) {
            0 | 1 => report(maps::check_sum(&mut random), &"a sum"),
            2 => report(maps::check_average_pool(&mut random), &"an average pool"),
            3 => report(maps::check_max_pool(&mut random), &"a max pool"),
            4 => report(maps::check_concatenation(&mut random), &"a concatenation"),
            _ => {
                let case = weighted::Case::new(&mut random);
                report(case.check(&mut random), &case)
            }
        };
        all.add(count);
    }
    hprintln!("{{\"cases_checked\":{},\"wrong\":{}}}", all.checked, all.wrong);
}

struct Random(Xoshiro128PlusPlus);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u32() as usize) % bound
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Half of the time an extreme.
    #[inline(never)]
    fn number(&mut self) -> i8 {
        let uniform = self.0.next_u32() as i8;
        self.one_of(&[-128, 127, uniform, uniform])
    }

    #[inline(never)]
    fn numbers(&mut self, len: usize) -> alloc::vec::Vec<i8> {
        (0..len).map(|_| self.number()).collect()
    }

    /// An output's zero point, and a clamp: none half of the time, or a ReLU's, one with an upper bound, any.
    #[inline(never)]
    fn finish(&mut self) -> crate::reference::Finish {
        let zero_point = self.number();
        let [a, b] = [(); 2].map(|()| self.number());
        let bounds = [(-128, 127), (zero_point, 127), (zero_point, zero_point.max(a)), (a.min(b), a.max(b))];
        let (low, high) = if self.below(2) == 0 { bounds[0] } else { self.one_of(&bounds[1..]) };
        crate::reference::Finish { zero_point, low, high }
    }
}
