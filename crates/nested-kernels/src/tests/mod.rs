//! One runner for every backend, against one naive reference.
use crate::{Geometry, arch::all, requant::Finish, rows::RowSource};
use nested_csr::{Multiplier, Requantization, TensorShape, Window};
use proptest::prelude::*;
use std::vec::Vec;

mod naive;

struct SparseRows<'a> {
    rows: std::slice::ChunksExact<'a, i8>,
}
impl RowSource for SparseRows<'_> {
    fn next_row(&mut self, mut f: impl FnMut(usize, i8)) -> Option<()> {
        let row = self.rows.next()?;
        // rings interleaved: even columns first, then the odd ones
        for odd in [0, 1] {
            for (column, weight) in row.iter().enumerate() {
                if *weight != 0 && column % 2 == odd {
                    f(column, *weight);
                }
            }
        }
        Some(())
    }
}

proptest! {
    #[test]
    fn temporary(
        c in 1..9usize, h in 1..12usize, w in 1..12usize, r in 1..5usize, k in 1..6u8, kw in 1..6u8, s in 1..4u8, p in [0..3u8,0..3u8,0..3u8,0..3u8],
        zp: i8, data in prop::collection::vec(any::<i8>(), 4000), weights in prop::collection::vec(prop_oneof![Just(0i8), any::<i8>()], 1000), extra in 0..2000usize,
        code in 0x1000..0x7000u16,
    ) {
        let mut window = Window::square(k, s, 0);
        window.kernel[1] = kw;
        window.padding = nested_csr::Padding { top: p[0], left: p[1], bottom: p[2], right: p[3] };
        let Ok(g) = Geometry::new(TensorShape { channels: c, height: h, width: w }, window, r, zp) else { return Ok(()) };
        let columns = g.columns().unwrap();
        let input = &data[..g.input.len()];
        let weights = &weights[..columns * r];
        let out = naive::Output { rows: (0..r).map(|i| Requantization { multiplier: Multiplier::from_code(code), bias: i as i32 * 1000 - 2000 }).collect(), zero_point: 3, low: -120, high: 127 };
        let expected = naive::convolution(weights, &out, &g, input);
        let mut output = std::vec![0i8; g.output.len()];
        let need = all::convolution_scratch(&nested_csr::Weights::Dense(weights), &g).unwrap();
        let mut scratch: Vec<u32> = std::vec![0x55aa_55aa; need.minimum + extra.min(need.preferred - need.minimum)];
        all::convolve_rows(|| Ok::<_, crate::KernelError>(SparseRows { rows: weights.chunks_exact(columns) }), |row| Finish::from_parts(out.rows[row], 3, -120, 127), &g, input, &mut output, &mut scratch).unwrap();
        prop_assert_eq!(output, expected);
    }
}
