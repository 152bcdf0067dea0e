//! Rows of weights for all of the same few columns, as depthwise filters are, walked in one call: a table's steps are written
//! once, and each row replaces the weights.
use super::{
    Bounds,
    band::{Band, Parts},
    row_walk::{Function, State, begin_row, begin_walk, next_row, pixels_head},
    stored_rows::requantization,
    table,
    walk::assembly::{UNROLL, both_lanes, pixels_body, walk, walk_pixels},
};
use crate::rows::DenseRows;
use core::mem::offset_of;
use nested_csr::NodeParameters;

/// Where the rows come from.
#[repr(C)]
struct Source {
    weights: *const i8,
    columns: usize,
    /// From where a row begins in the band to where the next does.
    step: i32,
    start: i32,
    unused: usize,
}

/// As the assembly loads them.
const _: () =
    assert!(offset_of!(Source, columns) == 4 && offset_of!(Source, step) == 8 && offset_of!(Source, start) == 12);

unsafe extern "C" {
    fn nested_kernels_filter_rows(state: &mut State<Source>) -> usize;
}

/// Every output of the filters `weights` in a band; `skipped` of the requantisations belong to filters before them. False
/// when some row needs the slower form; what has been done is then of no use.
pub(super) fn walk(
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    skipped: usize,
    band: &Band<'_>,
    first: usize,
    parts: &mut Parts<'_>,
    output: &mut [i8],
) -> bool {
    let columns = parts.places.len();
    let rows = (weights.len() / columns.max(1)).min(parameters.rows.len().saturating_sub(skipped));
    let decoded = table::pixels(&mut DenseRows::new(weights, columns), parts.places, parts.table);
    let Some(decoded) = decoded.filter(|_| parameters.narrow && columns > 0) else { return false };
    let source = Source { weights: weights.as_ptr(), columns, step: band.row_step(), start: decoded.start, unused: 0 };
    let Some(mut state) = State::new(source, &parameters.rows, skipped, Bounds::new(parameters)) else { return false };
    let function: Function<Source> = nested_kernels_filter_rows;
    // SAFETY: the assembly reads `columns` weights for each of `rows` rows, which the slice holds, and writes as many into
    // the entries of the table, whose steps were made for the first row; each row's channel lies `step` behind the one
    // before, and the band holds a channel for each row (or `step` is 0).
    unsafe { state.walk(function, rows, band, first, parts, output) }
}

// r1: weights, r3: columns left, r4: where the next weight goes, r7: 256 times the sum, lr: 256 in both halves.
walk_pixels!(
    "nested_kernels_filter_rows",
    "52",
    concat!(
        begin_row!(),
        "ldrd r1, r8, [r0, #32]
         ldr r12, [r0, #24]
         mov lr, #0x01000100
         mov r7, #0
         add r4, r12, #32
         lsr r3, r8, #2
         cbz r3, 9f
         8:
         ldr r9, [r1], #4
         sxtb16 r10, r9
         sxtb16 r11, r9, ror #8
         smulbb r5, r10, lr
         smulbb r6, r11, lr
         str r5, [r4]
         str r6, [r4, #8]
         smultb r5, r10, lr
         smultb r6, r11, lr
         str r5, [r4, #16]
         str r6, [r4, #24]
         smlad r7, r10, lr, r7
         smlad r7, r11, lr, r7
         adds r4, #32
         subs r3, #1
         bne 8b
         9:
         ands r3, r8, #3
         beq 12f
         11:
         ldrsb r5, [r1], #1
         lsl r5, r5, #8
         add r7, r5
         str r5, [r4], #8
         subs r3, #1
         bne 11b
         12:
         str r1, [r0, #32]
         ldrd r3, r9, [r0, #40]
         add r3, r9
         str r3, [r0, #44]\n",
        pixels_head!(),
        begin_walk!()
    ),
    next_row!()
);
