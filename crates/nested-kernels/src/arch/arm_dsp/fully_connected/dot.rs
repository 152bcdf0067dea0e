//! Dot products in assembly.
use core::arch::global_asm;

/// What the sparse product reads, and what it leaves.
#[repr(C)]
struct State {
    input: *const i8,
    columns: usize,
    sum: i32,
    next: usize,
}

unsafe extern "C" {
    fn nested_kernels_dot_sparse(gaps: *const u8, weights: *const u8, count: usize, state: &mut State) -> usize;
    fn nested_kernels_dot_dense(weights: *const i8, halves: *const u32, chunks: usize, sum: i32) -> i32;
}

/// Adds the products of a run from column 0 on; returns the weights taken and the column behind them.
#[inline(always)]
pub(super) fn sparse(gaps: &[u8], weights: &[u8], input: &[i8], sum: &mut i32) -> (usize, u32) {
    let count = gaps.len().min(weights.len());
    if count == 0 {
        return (0, 0);
    }
    let mut state = State { input: input.as_ptr(), columns: input.len(), sum: *sum, next: 0 };
    // SAFETY: the assembly reads at most `count` gaps and weights, and the input only below `columns`.
    let left = unsafe { nested_kernels_dot_sparse(gaps.as_ptr(), weights.as_ptr(), count, &mut state) };
    *sum = state.sum;
    (count - left, state.next as u32)
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

// r0: gaps, r1: weights, r2: left, r4: input, r5: columns, r6: sum, r7: the column behind the last one, r12: 0x01000100,
// whose distance from four gaps + 1 is their sum less 2.
global_asm!(
    ".pushsection .text.nested_kernels_dot_sparse,\"ax\",%progbits",
    ".syntax unified",
    ".p2align 2",
    ".global nested_kernels_dot_sparse",
    ".type nested_kernels_dot_sparse,%function",
    ".thumb_func",
    "nested_kernels_dot_sparse:",
    "push {{r4-r11, lr}}",
    "ldm r3, {{r4-r7}}",
    "mov r12, #0x01000100",
    "sub r4, r4, #1",
    "subs r5, r5, #1",
    "subs r2, #4",
    "blo 4f",
    "2:",
    "ldr r8, [r0], #4",
    "ldr r9, [r1], #4",
    "tst r8, #0x80808080",
    "add r8, r8, #0x01010101",
    "bne 3f",
    "usad8 r10, r8, r12",
    "add r10, r10, r7",
    "cmp r10, r5",
    "bhs 3f",
    "sxtb16 r11, r9",
    "sxtb16 r9, r9, ror #8",
    "uxtab r7, r7, r8",
    "ldrsb r10, [r4, r7]",
    "uxtab r7, r7, r8, ror #8",
    "ldrsb lr, [r4, r7]",
    "smlabb r6, r10, r11, r6",
    "uxtab r7, r7, r8, ror #16",
    "ldrsb r10, [r4, r7]",
    "smlabb r6, lr, r9, r6",
    "uxtab r7, r7, r8, ror #24",
    "ldrsb lr, [r4, r7]",
    "smlabt r6, r10, r11, r6",
    "smlabt r6, lr, r9, r6",
    "subs r2, #4",
    "bhs 2b",
    "b 4f",
    "3:",
    "sub r0, r0, #4",
    "sub r1, r1, #4",
    "4:",
    "adds r2, #4",
    "beq 6f",
    "5:",
    "ldrb r8, [r0], #1",
    "ldrsb r9, [r1], #1",
    "cmp r8, #255",
    "beq 6f",
    "add r8, r8, r7",
    "cmp r8, r5",
    "bhi 6f",
    "add r7, r8, #1",
    "ldrsb r10, [r4, r7]",
    "smlabb r6, r10, r9, r6",
    "subs r2, #1",
    "bne 5b",
    "6:",
    "strd r6, r7, [r3, #8]",
    "mov r0, r2",
    "pop {{r4-r11, pc}}",
    ".size nested_kernels_dot_sparse, . - nested_kernels_dot_sparse",
    ".popsection",
);

global_asm!(
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
