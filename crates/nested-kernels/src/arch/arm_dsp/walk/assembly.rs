//! The walks in assembly. Accumulators live in r0–r7, the place in the band in r8, the place in the table in r9; r10–r12
//! and lr pass weights and activations; the rest of the state is on the stack:
//! `sp[0..] = multiplier, multiplier >> 8, zero point, output, second output, end of the segment, segments, table, entry`.
use super::Walk;
use core::mem::offset_of;

/// Entries between two ends of the inner loop; a power of 2.
pub(in super::super) const UNROLL: usize = 32;

/// What the assembly reads once.
#[repr(C)]
struct Start {
    multiplier: i32,
    multiplier_low: i32,
    zero_point: i32,
    outputs: [*mut i8; 2],
    segments: *const i32,
    table: *const u32,
    entries: usize,
    place: *const u32,
}

unsafe extern "C" {
    fn nested_kernels_walk_pixels(start: &Start);
    fn nested_kernels_walk_channels(start: &Start);
    fn nested_kernels_walk_pixels_wide(start: &Start, bias_low: i32, bias_high: i32);
}

impl Start {
    fn new(walk: &Walk<'_>, output: &mut [i8]) -> Start {
        let output = output.as_mut_ptr();
        Start {
            multiplier: walk.multiplier,
            multiplier_low: walk.multiplier >> 8,
            zero_point: walk.zero_point,
            outputs: walk.outputs.map(|at| output.wrapping_add(at)),
            segments: walk.segments.as_ptr(),
            table: walk.table.as_ptr(),
            entries: walk.entries,
            place: walk.packed.as_ptr().wrapping_byte_offset(walk.start as isize),
        }
    }
}

// The prologues load these words in a row, and the walk finds the first of them where it says.
const _: () = assert!(offset_of!(Start, segments) == 20 && offset_of!(Start, place) == 32 && size_of::<Start>() == 36);

pub(super) fn pixels(walk: &Walk<'_>, output: &mut [i8]) {
    let start = Start::new(walk, output);
    // SAFETY: the assembly reads `table` up to its last entry (at least one: `table::pixels` and `table::channels` write a weight
    // of 0 where a row has none), `segments` up to their 0, and four words of `packed` at each place that a segment and the
    // table lead to, and writes four bytes at each of the two outputs of a block: `Band` makes segments that stay in the
    // output's lines, and its offsets stay in the band because every column is below the matrix's. It keeps the registers
    // that the C ABI asks for.
    unsafe { nested_kernels_walk_pixels(&start) }
}

pub(super) fn channels(walk: &Walk<'_>, output: &mut [i8]) {
    let start = Start::new(walk, output);
    // SAFETY: as above, with eight words and eight bytes a block and one output; the table ends with its mark.
    unsafe { nested_kernels_walk_channels(&start) }
}

/// With the head of [`super::super::table::Row::write_wide_head`] in the table.
pub(super) fn pixels_wide(walk: &Walk<'_>, biases: [i32; 2], output: &mut [i8]) {
    let start = Start::new(walk, output);
    // SAFETY: as for `pixels`.
    unsafe { nested_kernels_walk_pixels_wide(&start, biases[0], biases[1]) }
}

/// The prologue leaves in r1–r9 what the fields of [`Start`] are; the frame has 36 bytes for the walk at its bottom.
/// `$lanes` sets the stack up and goes on to the next segment: [`both_lanes`] or [`one_lane`].
macro_rules! walk {
    ($name:expr, $frame:literal, $lanes:ident, $prologue:expr, $after:expr, $body:expr, $size:literal, $loop_end:expr, $epilogue:expr) => {
        dsp_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            ".syntax unified",
            ".p2align 3",
            concat!(".global ", $name),
            concat!(".type ", $name, ",%function"),
            ".thumb_func",
            concat!($name, ":"),
            "push {{r4-r11, lr}}",
            concat!("sub sp, #", $frame),
            $prologue,
            // The loop is entered so that the last entry is the last before its end.
            "subs r8, #1",
            "and r8, r8, #{unroll} - 1",
            "add r8, r8, #1",
            "movs r0, #{size}",
            "mul r8, r8, r0",
            "adr.w r10, 2f",
            "sub r8, r10, r8",
            "orr r8, r8, #1",
            "ldr r10, [r6], #4",
            "add r10, r10, r4",
            $lanes!(start),
            "add r10, sp, #24",
            "stm r10, {{r6-r8}}",
            "mov r8, r9",
            "b 4f",
            ".p2align 3",
            "4:",
            "ldr r9, [sp, #28]",
            "ldm r9!, {{r0-r7}}",
            "ldr pc, [sp, #32]",
            ".p2align 3",
            "3:",
            ".rept {unroll}",
            $body,
            ".endr",
            "2:",
            $loop_end,
            $epilogue,
            "5:",
            "ldr r1, [sp, #24]",
            "ldm r1!, {{r2-r4}}",
            "str r1, [sp, #24]",
            "add r8, r2",
            $lanes!(next),
            "cmp r4, #0",
            "bne 4b",
            $after,
            "99:",
            concat!("add sp, #", $frame),
            "pop {{r4-r11, pc}}",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            unroll = const UNROLL,
            size = const $size,
        );
    };
}

/// Outputs in two places.
macro_rules! both_lanes {
    (start) => {
        "stm sp, {{r1-r5, r10}}"
    };
    (next) => {
        "add r12, r3
         add lr, r3
         strd r12, lr, [sp, #12]
         add r1, r4, r12
         str r1, [sp, #20]"
    };
}

/// Outputs in one place: where the second is elsewhere, the end of the segment is here, and behind it where the inner loop's
/// end leads to.
macro_rules! one_lane {
    (start) => {
        "stm sp, {{r1-r4, r10}}
         str r5, [sp, #20]"
    };
    (next) => {
        "add r12, r3
         add lr, r4, r12
         strd r12, lr, [sp, #12]"
    };
}

macro_rules! walk_pixels {
    ($name:literal, $frame:literal, $prologue:expr, $after:expr) => {
        walk!(
            $name,
            $frame,
            both_lanes,
            $prologue,
            $after,
            pixels_body!(),
            32,
            "tst r8, #1
             beq 3b",
            // First the first lane, whose outputs may be overwritten by the second's. In an order that lets a core with two
            // pipelines use both.
            "eor r2, r2, #0x80000000
             ldm sp, {{r9-r12, lr}}
             eor r4, r4, #0x80000000
             smmlar r2, r2, r10, r11
             eor r6, r6, #0x80000000
             smmlar r4, r4, r10, r11
             eor r0, r0, #0x80000000
             smmlar r6, r6, r10, r11
             ssat r2, #8, r2
             smmlar r3, r3, r9, r11
             ssat r4, #8, r4
             smmlar r5, r5, r9, r11
             ssat r6, #8, r6
             smmlar r0, r0, r10, r11
             smmlar r1, r1, r9, r11
             strb r2, [r12, #1]
             ssat r0, #8, r0
             strb r6, [r12, #3]
             ssat r3, #8, r3
             strb r4, [r12, #2]
             strb r0, [r12], #4
             smmlar r7, r7, r9, r11
             ssat r5, #8, r5
             strb r3, [lr, #1]
             ssat r7, #8, r7
             strb r5, [lr, #2]
             ssat r1, #8, r1
             strb r7, [lr, #3]
             sub r8, r8, #1
             ldr r0, [sp, #20]
             strb r1, [lr], #4
             strd r12, lr, [sp, #12]
             cmp r12, r0
             bne 4b"
        );
    };
}

macro_rules! pixels_body {
    () => {
        "ldrd r10, r11, [r9], #8
         ldrd r12, lr, [r8]
         smlal r0, r1, r10, r12
         smlal r2, r3, r10, lr
         ldrd r12, lr, [r8, #8]
         add.w r8, r8, r11
         smlal r4, r5, r10, r12
         smlal r6, r7, r10, lr"
    };
}

/// The outputs of a row whose sums have left 24 bits, from four sums of each lane: by the multiplier in r9 and the zero point in
/// r11, to r12 and lr.
macro_rules! wide_outputs {
    () => {
        "smmlar r0, r0, r9, r11
         smmlar r2, r2, r9, r11
         smmlar r4, r4, r9, r11
         smmlar r6, r6, r9, r11
         smmlar r1, r1, r9, r11
         smmlar r3, r3, r9, r11
         smmlar r5, r5, r9, r11
         smmlar r7, r7, r9, r11
         ssat r0, #8, r0
         ssat r2, #8, r2
         ssat r4, #8, r4
         ssat r6, #8, r6
         ssat r1, #8, r1
         ssat r3, #8, r3
         ssat r5, #8, r5
         ssat r7, #8, r7
         strb r2, [r12, #1]
         strb r4, [r12, #2]
         strb r6, [r12, #3]
         strb r0, [r12], #4
         strb r3, [lr, #1]
         strb r5, [lr, #2]
         strb r7, [lr, #3]
         strb r1, [lr], #4"
    };
}

macro_rules! walk_channels {
    ($name:literal, $frame:literal, $prologue:expr, $after:expr) => {
        walk!(
            $name,
            $frame,
            one_lane,
            concat!(
                $prologue,
                "
                 adr.w r5, 6f
                 adr.w r0, 7f
                 cmp r8, #{unroll}
                 it hi
                 movhi r5, r0
                 orr r5, r5, #1"
            ),
            $after,
            "ldrd r10, r11, [r9], #8
             add.w r8, r8, r11
             ldm r8!, {{r11, r12, lr}}
             smlad r0, r10, r11, r0
             smlad r1, r10, r12, r1
             smlad r2, r10, lr, r2
             ldm r8!, {{r11, r12, lr}}
             smlad r3, r10, r11, r3
             smlad r4, r10, r12, r4
             smlad r5, r10, lr, r5
             ldrd r11, r12, [r8]
             smlad r6, r10, r11, r6
             smlad r7, r10, r12, r7",
            52,
            // A row of few entries has no second turn.
            "ldr pc, [sp, #20]
             7:
             ldr r11, [r9, #4]
             tst r11, #1
             beq 3b
             6:",
            "ldm sp, {{r9-r12, lr}}
             smmlar r1, r1, r9, r11
             smmlar r2, r2, r9, r11
             ssat r1, #8, r1
             smmlar r3, r3, r9, r11
             ssat r2, #8, r2
             smmlar r5, r5, r9, r11
             ssat r3, #8, r3
             smmlar r4, r4, r9, r11
             strb r2, [r12, #2]
             smmlar r0, r0, r9, r11
             ssat r4, #8, r4
             strb r4, [r12, #4]
             smmlar r7, r7, r9, r11
             ssat r5, #8, r5
             strb r3, [r12, #3]
             ssat r7, #8, r7
             strb r1, [r12, #1]
             strb r7, [r12, #7]
             smmlar r6, r6, r9, r11
             ssat r6, #8, r6
             strb r5, [r12, #5]
             ssat r0, #8, r0
             strb r6, [r12, #6]
             strb r0, [r12], #8
             cmp r12, lr
             str r12, [sp, #12]
             bne 4b"
        );
    };
}
pub(in super::super) use {both_lanes, one_lane, pixels_body, walk, walk_channels, walk_pixels, wide_outputs};

walk_pixels!("nested_kernels_walk_pixels", "44", "ldm r0, {{r1-r9}}", "");
walk_channels!("nested_kernels_walk_channels", "44", "ldm r0, {{r1-r9}}", "");

// Rows whose sums may leave 24 bits: both lanes are added to sums on the stack (36) after eight turns (the number left at
// 68), which hold at most 256 weights; what the sums start from is at 72.
walk!(
    "nested_kernels_walk_pixels_wide",
    "84",
    both_lanes,
    "strd r1, r2, [sp, #36]
     strd r1, r2, [sp, #44]
     strd r1, r2, [sp, #52]
     strd r1, r2, [sp, #60]
     strd r1, r2, [sp, #72]
     mov r1, #8
     str r1, [sp, #68]
     ldm r0, {{r1-r9}}",
    "",
    pixels_body!(),
    32,
    "tst r8, #1
     bne 6f
     ldr r10, [sp, #68]
     subs r10, #1
     str r10, [sp, #68]
     bne 3b
     6:
     eor r0, r0, #0x80000000
     eor r2, r2, #0x80000000
     eor r4, r4, #0x80000000
     eor r6, r6, #0x80000000
     ldrd r10, r11, [sp, #36]
     add r0, r10, r0, asr #8
     add r1, r11
     ldrd r10, r11, [sp, #44]
     add r2, r10, r2, asr #8
     add r3, r11
     ldrd r10, r11, [sp, #52]
     add r4, r10, r4, asr #8
     add r5, r11
     ldrd r10, r11, [sp, #60]
     add r6, r10, r6, asr #8
     add r7, r11
     mov r10, #8
     str r10, [sp, #68]
     tst r8, #1
     bne 7f
     strd r0, r1, [sp, #36]
     strd r2, r3, [sp, #44]
     strd r4, r5, [sp, #52]
     strd r6, r7, [sp, #60]
     ldr r10, [sp, #28]
     ldm r10, {{r0-r7}}
     b 3b
     7:",
    concat!(
        "ldrd r10, r11, [sp, #72]
         strd r10, r11, [sp, #36]
         strd r10, r11, [sp, #44]
         strd r10, r11, [sp, #52]
         strd r10, r11, [sp, #60]
         ldm sp, {{r9-r12, lr}}\n",
        wide_outputs!(),
        "
         ldr r0, [sp, #20]
         sub r8, r8, #1
         strd r12, lr, [sp, #12]
         cmp r12, r0
         bne 4b"
    )
);
