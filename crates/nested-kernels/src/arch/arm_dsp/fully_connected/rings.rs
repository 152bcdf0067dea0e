//! Rows of byte rings in assembly: each row's gaps and weights are streamed past the input, and its sum is made an output.
use crate::{
    KernelError,
    arch::arm_dsp::{ops, stored_rows::StoredRows},
};
use core::mem::offset_of;
use nested_csr::{Block, ByteRing, Level, MatrixView, NodeParameters};

/// What the assembly reads.
#[repr(C)]
struct Rows {
    /// Of the first row.
    requantizations: StoredRows,
    /// The bit that a multiplier's fraction is put below.
    leading: u32,
    zero_point: i32,
    output_end: *mut i8,
    /// One before the input.
    start: *const i8,
    sums_end: *mut i32,
    /// Four before the first gap and the first weight.
    gaps: *const u8,
    weights: *const u8,
    /// Four before the end of the input.
    limit: *const i8,
    counts_end: *const u8,
    /// Less than 0.
    minus_rows: isize,
}

/// As the assembly loads them: many words at once.
const _: () = {
    assert!(offset_of!(Rows, leading) == 12 && offset_of!(Rows, output_end) == 20 && offset_of!(Rows, sums_end) == 28);
    assert!(offset_of!(Rows, gaps) == 32 && offset_of!(Rows, limit) == 40 && offset_of!(Rows, minus_rows) == 48);
};

/// Returns 0, or something else when it has stopped at a column that lies behind the input.
type Function = unsafe extern "C" fn(rows: &Rows) -> usize;

unsafe extern "C" {
    fn nested_kernels_rings_only_1(rows: &Rows) -> usize;
    fn nested_kernels_rings_only_2(rows: &Rows) -> usize;
    fn nested_kernels_rings_last_1(rows: &Rows) -> usize;
    fn nested_kernels_rings_last_2(rows: &Rows) -> usize;
    fn nested_kernels_rings_sums_1(rows: &Rows) -> usize;
    fn nested_kernels_rings_sums_2(rows: &Rows) -> usize;
}

/// All outputs but for their clamp, from the input in the order of columns; with more rings than one, the sums of the ones
/// before the last stand in `sums`. `first` is the matrix's first ring. False where some ring is not one for the assembly, or
/// has a column that parsing has ruled out: nothing here is then of use.
pub(super) fn outputs(
    matrix: &MatrixView<'_>,
    first: Option<ByteRing<'_>>,
    level: Level,
    parameters: &NodeParameters<'_>,
    input: &[i8],
    sums: &mut [i32],
    output: &mut [i8],
) -> Result<bool, KernelError> {
    let rows = matrix.shape().rows;
    let Some(requantizations) = StoredRows::new(&parameters.rows, 0) else { return Ok(false) };
    let lengths = [parameters.rows.len(), sums.len(), output.len()];
    if matrix.block() != Block::OneByOne || rows == 0 || lengths != [rows; 3] {
        return Ok(false);
    }
    if level != Level::FIRST {
        sums.fill(0);
    }
    let mut next = first;
    for each in level.up_to() {
        if each != Level::FIRST {
            next = matrix.byte_ring(each)?;
        }
        let Some(ring) = next.as_ref().filter(|ring| suits(ring, rows)) else { return Ok(false) };
        let functions: [Function; 2] = match (each == level, level == Level::FIRST) {
            (true, true) => [nested_kernels_rings_only_1, nested_kernels_rings_only_2],
            (true, false) => [nested_kernels_rings_last_1, nested_kernels_rings_last_2],
            _ => [nested_kernels_rings_sums_1, nested_kernels_rings_sums_2],
        };
        let rows = Rows {
            requantizations,
            leading: 0x8000,
            zero_point: parameters.zero_point.into(),
            output_end: output.as_mut_ptr_range().end,
            start: input.as_ptr().wrapping_sub(1),
            sums_end: sums.as_mut_ptr_range().end,
            gaps: ring.gaps.as_ptr().wrapping_sub(4),
            weights: ring.weights.as_ptr().wrapping_sub(4),
            limit: input.as_ptr_range().end.wrapping_sub(4),
            counts_end: ring.counts.as_ptr_range().end,
            minus_rows: -(rows as isize),
        };
        let [one, two] = functions;
        // SAFETY: `suits` has seen a count for each row, and as many gaps and weights as the counts say; the words that the
        // assembly takes them by begin at most 3 bytes before the gaps, where at least 3 bytes of counts are, or before
        // the weights, where the gaps are. It reads the input only where it has compared the place with its end, and
        // stops where a column lies behind it. Sums, outputs and requantisations are one a row.
        let stopped = unsafe { if ring.count_width == 1 { one(&rows) } else { two(&rows) } };
        if stopped != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the assembly can stream a ring of so many rows.
fn suits(ring: &ByteRing<'_>, rows: usize) -> bool {
    let ByteRing { counts, count_width, gaps, weights } = *ring;
    // As many gaps as weights: no gap has two bytes.
    let counted = gaps.len() == weights.len() && counts.len() == usize::from(count_width) * rows;
    let joined = counts.as_ptr_range().end == gaps.as_ptr() && gaps.as_ptr_range().end == weights.as_ptr();
    let total = match count_width {
        1 => {
            let (words, rest) = counts.as_chunks::<4>();
            let sum = words.iter().fold(0, |sum, word| ops::byte_distances(u32::from_le_bytes(*word), 0, sum));
            rest.iter().fold(sum, |sum, count| sum + u32::from(*count))
        }
        2 => counts.as_chunks::<2>().0.iter().map(|count| u32::from(u16::from_le_bytes(*count))).sum(),
        _ => return false,
    };
    counted && joined && counts.len() >= 3 && total as usize == weights.len()
}

// r0: four before the gaps, r1: four before the weights, r2: blocks left in the row, r3: the limit, r4: the row's sum, r5: the
// place of the last weight, r12: the counts' end, lr: the row, counted up to 0. On the stack: the requantisations (0), the
// leading bit (12), the zero point (16), the outputs' end (20), the place before the input (24), the sums' end (28).

/// Four weights.
macro_rules! four {
    () => {
        "ldr r9, [r0, #4]!
         ldr r10, [r1, #4]!
         uxtab r6, r5, r9
         uxtab r7, r6, r9, ror #8
         uxtab r8, r7, r9, ror #16
         uxtab r5, r8, r9, ror #24
         cmp r5, r3
         bhs.w 99f
         ldrsb r6, [r6, #1]
         sxtb16 r11, r10, ror #8
         ldrsb r7, [r7, #2]
         sxtb16 r10, r10
         ldrsb r8, [r8, #3]
         smlabb r4, r6, r10, r4
         ldrsb r9, [r5, #4]!
         smlabb r4, r7, r11, r4
         smlabt r4, r8, r10, r4
         smlabt r4, r9, r11, r4\n"
    };
}

/// A row's sum: `$count` loads its blocks, `$sum` its first value. The rest of fours comes first: the words that end with it.
macro_rules! row {
    ($count:literal, $sum:literal) => {
        concat!(
            $count,
            "\n",
            $sum,
            "
             ldr r5, [sp, #24]
             and r6, r2, #3
             tbb [pc, r6]
             10:
             .byte (20f - 10b) / 2, (11f - 10b) / 2, (12f - 10b) / 2, (13f - 10b) / 2
             11:
             ldr r9, [r0, #1]!
             ldr r10, [r1, #1]!
             subs r5, #3
             add r5, r5, r9, lsr #24
             cmp r5, r3
             bhs.w 99f
             ldrsb r9, [r5, #4]!
             asr r10, r10, #24
             smlabb r4, r9, r10, r4
             b 20f
             12:
             ldr r9, [r0, #2]!
             ldr r10, [r1, #2]!
             subs r5, #2
             uxtab r6, r5, r9, ror #16
             uxtab r5, r6, r9, ror #24
             cmp r5, r3
             bhs.w 99f
             ldrsb r6, [r6, #3]
             sxtb16 r11, r10, ror #16
             ldrsb r9, [r5, #4]!
             asr r10, r10, #24
             smlabb r4, r6, r11, r4
             smlabb r4, r9, r10, r4
             b 20f
             13:
             ldr r9, [r0, #3]!
             ldr r10, [r1, #3]!
             subs r5, #1
             uxtab r6, r5, r9, ror #8
             uxtab r7, r6, r9, ror #16
             uxtab r5, r7, r9, ror #24
             cmp r5, r3
             bhs.w 99f
             ldrsb r6, [r6, #2]
             sxtb16 r11, r10, ror #8
             ldrsb r7, [r7, #3]
             sxtb16 r10, r10
             ldrsb r9, [r5, #4]!
             smlabb r4, r6, r11, r4
             smlabt r4, r7, r10, r4
             smlabt r4, r9, r11, r4
             20:
             lsrs r2, r2, #3
             bcs 22f
             subs r2, #1
             blo 23f
             21:\n",
            four!(),
            "22:\n",
            four!(),
            "subs r2, #1
             bhs 21b
             23:\n"
        )
    };
}

/// Keeps the sum.
macro_rules! sum {
    () => {
        "ldr r6, [sp, #28]
         str r4, [r6, lr, lsl #2]\n"
    };
}

/// Makes an output of the sum.
macro_rules! output {
    () => {
        "ldm sp, {{r5-r10}}
         ldrh r2, [r5], #2
         add r5, r6
         ldr r6, [r5], #4
         str r5, [sp]
         bfi r8, r2, #3, #12
         asrs r6, r7
         lsrs r5, r2, #12
         add r4, r6
         lsl r8, r8, r5
         cbz r2, 31f
         30:
         smmlar r4, r4, r8, r9
         ssat r4, #8, r4
         strb r4, [r10, lr]\n"
    };
}

macro_rules! rings {
    ($name:literal, $count:literal, $sum:literal, $end:expr) => {
        dsp_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            ".syntax unified",
            ".p2align 2",
            concat!(".global ", $name),
            concat!(".type ", $name, ",%function"),
            ".thumb_func",
            concat!($name, ":"),
            "push {{r4-r11, lr}}
             sub sp, #36
             ldm r0!, {{r1-r8}}
             stm sp, {{r1-r8}}
             ldm r0, {{r0, r1, r3, r12, lr}}
             1:",
            row!($count, $sum),
            $end,
            "adds lr, #1
             bne.w 1b
             99:
             mov r0, lr
             add sp, #36
             pop {{r4-r11, pc}}
             31:
             mov r8, #0
             b 30b",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
        );
    };
}

rings!("nested_kernels_rings_only_1", "ldrb r2, [r12, lr]", "mov r4, #0", output!());
rings!("nested_kernels_rings_only_2", "ldrh r2, [r12, lr, lsl #1]", "mov r4, #0", output!());
rings!("nested_kernels_rings_last_1", "ldrb r2, [r12, lr]", "ldr r4, [sp, #28]\nldr r4, [r4, lr, lsl #2]", output!());
rings!(
    "nested_kernels_rings_last_2",
    "ldrh r2, [r12, lr, lsl #1]",
    "ldr r4, [sp, #28]\nldr r4, [r4, lr, lsl #2]",
    output!()
);
rings!("nested_kernels_rings_sums_1", "ldrb r2, [r12, lr]", "ldr r4, [sp, #28]\nldr r4, [r4, lr, lsl #2]", sum!());
rings!(
    "nested_kernels_rings_sums_2",
    "ldrh r2, [r12, lr, lsl #1]",
    "ldr r4, [sp, #28]\nldr r4, [r4, lr, lsl #2]",
    sum!()
);
