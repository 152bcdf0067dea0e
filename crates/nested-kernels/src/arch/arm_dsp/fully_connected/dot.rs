//! Dot products in assembly.
use crate::KernelError;
use nested_csr::{Block, Level, MatrixView};

/// What the sparse products read.
#[repr(C)]
struct Rows {
    gaps: *const u8,
    weights: *const u8,
    /// Blocks of the ring.
    left: usize,
    counts: *const u8,
    /// Three before the end of the input: fours of columns end before it.
    limit: *const i8,
    sums: *mut i32,
    input: *const i8,
    sums_end: *const i32,
}

unsafe extern "C" {
    fn nested_kernels_dot_rows_1(rows: &Rows);
    fn nested_kernels_dot_rows_2(rows: &Rows);
    fn nested_kernels_dot_dense(weights: *const i8, halves: *const u32, chunks: usize, sum: i32) -> i32;
}

/// Adds each row's product to its sum, ring by ring. False where some ring is not one for the assembly: the sums are
/// then of no use.
pub(super) fn rings(
    matrix: &MatrixView<'_>,
    level: Level,
    input: &[i8],
    sums: &mut [i32],
) -> Result<bool, KernelError> {
    if matrix.block() != Block::OneByOne || sums.is_empty() {
        return Ok(false);
    }
    for level in level.up_to() {
        let Some(ring) = matrix.byte_ring(level)? else { return Ok(false) };
        // As many gaps as weights: no gap has two bytes.
        let counts = usize::from(ring.count_width) * sums.len();
        if ring.gaps.len() != ring.weights.len() || ring.counts.len() != counts || ring.count_width > 2 {
            return Ok(false);
        }
        let ends = sums.as_mut_ptr_range();
        let rows = Rows {
            gaps: ring.gaps.as_ptr(),
            weights: ring.weights.as_ptr(),
            left: ring.weights.len(),
            counts: ring.counts.as_ptr(),
            limit: input.as_ptr().wrapping_add(input.len()).wrapping_sub(3),
            sums: ends.start,
            input: input.as_ptr(),
            sums_end: ends.end,
        };
        // SAFETY: the assembly reads a count for each sum, of which there is at least one, and as many gaps and weights
        // as the counts say but never more than `left`; it reads the input only where it has compared the place with its
        // end, and stops where a column lies behind it (which parsing has ruled out).
        unsafe {
            match ring.count_width {
                1 => nested_kernels_dot_rows_1(&rows),
                _ => nested_kernels_dot_rows_2(&rows),
            }
        }
    }
    Ok(true)
}

/// Adds the products of whole chunks of four to `sum`.
#[inline(always)]
pub(super) fn dense(weights: &[[i8; 4]], halves: &[[u32; 2]], sum: i32) -> i32 {
    let chunks = weights.len().min(halves.len());
    if chunks == 0 {
        return sum;
    }
    // SAFETY: the assembly reads `chunks` chunks of both.
    unsafe { nested_kernels_dot_dense(weights.as_ptr().cast(), halves.as_ptr().cast(), chunks, sum) }
}

// r0: gaps, r1: weights, r2: blocks left in the row, r3: counts, r4: the limit, r5: sums, r6: a sum, r7: a place in the
// input, r12: 0, from which the distance of four gaps is their sum; on the stack: the input, the sums' end, blocks left.
macro_rules! dot_rows {
    ($name:literal, $count:literal) => {
        dsp_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            ".syntax unified",
            ".p2align 2",
            concat!(".global ", $name),
            concat!(".type ", $name, ",%function"),
            ".thumb_func",
            concat!($name, ":"),
            "push {{r4-r11, lr}}",
            "sub sp, #12",
            "ldm r0, {{r0-r7}}",
            "strd r6, r7, [sp]",
            "str r2, [sp, #8]",
            "mov r12, #0",
            "1:",
            $count,
            "ldr r10, [sp, #8]",
            "ldr r7, [sp]",
            "ldr r6, [r5]",
            "subs r10, r10, r2",
            "blo 7f",
            "str r10, [sp, #8]",
            "subs r2, #4",
            "blo 3f",
            "2:",
            "ldr r8, [r0], #4",
            "ldr r9, [r1], #4",
            "usada8 r10, r8, r12, r7",
            "cmp r10, r4",
            "bhs 7f",
            "sxtb16 r11, r9",
            "sxtb16 r9, r9, ror #8",
            "uxtab r7, r7, r8",
            "ldrsb r10, [r7], #1",
            "uxtab r7, r7, r8, ror #8",
            "ldrsb lr, [r7], #1",
            "smlabb r6, r10, r11, r6",
            "uxtab r7, r7, r8, ror #16",
            "ldrsb r10, [r7], #1",
            "smlabb r6, lr, r9, r6",
            "uxtab r7, r7, r8, ror #24",
            "ldrsb lr, [r7], #1",
            "smlabt r6, r10, r11, r6",
            "smlabt r6, lr, r9, r6",
            "subs r2, #4",
            "bhs 2b",
            "3:",
            "adds r2, #4",
            "beq 5f",
            "add r11, r4, #3",
            "4:",
            "ldrb r8, [r0], #1",
            "ldrsb r9, [r1], #1",
            "add r7, r7, r8",
            "cmp r7, r11",
            "bhs 7f",
            "ldrsb r10, [r7], #1",
            "subs r2, #1",
            "smlabb r6, r10, r9, r6",
            "bne 4b",
            "5:",
            "ldr r10, [sp, #4]",
            "str r6, [r5], #4",
            "cmp r5, r10",
            "bne 1b",
            "7:",
            "add sp, #12",
            "pop {{r4-r11, pc}}",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
        );
    };
}

dot_rows!("nested_kernels_dot_rows_1", "ldrb r2, [r3], #1");
dot_rows!("nested_kernels_dot_rows_2", "ldrh r2, [r3], #2");

dsp_asm!(
    ".pushsection .text.nested_kernels_dot_dense,\"ax\",%progbits",
    ".syntax unified",
    ".p2align 2",
    ".global nested_kernels_dot_dense",
    ".type nested_kernels_dot_dense,%function",
    ".thumb_func",
    "nested_kernels_dot_dense:",
    "push {{r4-r7, lr}}",
    // Turns of two chunks; the first may be a half one.
    "adds r2, #1",
    "lsrs r2, r2, #1",
    "bcc 3f",
    "2:",
    "ldr r4, [r0], #4",
    "ldrd r6, r7, [r1], #8",
    "sxtb16 r5, r4",
    "sxtb16 r4, r4, ror #8",
    "smlad r3, r5, r6, r3",
    "smlad r3, r4, r7, r3",
    "3:",
    "ldr r4, [r0], #4",
    "ldrd r6, r7, [r1], #8",
    "sxtb16 r5, r4",
    "sxtb16 r4, r4, ror #8",
    "smlad r3, r5, r6, r3",
    "smlad r3, r4, r7, r3",
    "subs r2, #1",
    "bne 2b",
    "mov r0, r3",
    "pop {{r4-r7, pc}}",
    ".size nested_kernels_dot_dense, . - nested_kernels_dot_dense",
    ".popsection",
);
