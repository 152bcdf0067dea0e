//! Dot products of dense rows in assembly.

unsafe extern "C" {
    fn nested_kernels_dot_dense(weights: *const i8, halves: *const u32, chunks: usize, sum: i32) -> i32;
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
