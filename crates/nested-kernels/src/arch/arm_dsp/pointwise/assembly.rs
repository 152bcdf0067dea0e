//! The walk of rows over tiles, in assembly. Accumulators live in r0–r7 (r0–r3 for tiles of two words), the place in the
//! tile in r8, gaps in r9, weights in r10 (both from where whole turns of the loop would have begun); r11, r12 and lr pass
//! weights and activations, in tiles of two words r4–r7 as well. The gap of a block is loaded during the block before, into
//! r12 or r4; a chain of blocks is entered just before that load, with an r11 of 0, so that what else stands there adds nothing.
//! On the stack: `sp[0..12]` as in
//! [`State`], then the accumulators' first values (48), the sums of a wide row (80), the turns left before they are added
//! to (112), what they start from (116, 120), what the last tile overlaps (124), the rings' end (128), the bias (132),
//! a 0 (136), the state (140), the bytes of a block's code (144) and where the last one's begins (148), where a run's end leads to (152)
//! and where a long run's does (156).
use super::super::{
    stored_rows::{StoredRows, requantization},
    walk::assembly::wide_outputs,
};
use super::{Pointwise, Rows, Target};
use core::mem::offset_of;
use nested_csr::{MAX_LEVELS, NodeParameters};

/// Blocks between two ends of the inner loop, a power of 2: of one weight, of two.
const UNROLL: usize = 64;
const UNROLL_PAIRS: usize = 16;
/// Turns after which lane 0 may need more than its 24 bits: 256 weights.
const TURNS: usize = 4;
const TURNS_PAIRS: usize = 8;

/// What is left of a ring.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Ring {
    /// 1 when a count has two bytes, else 0.
    long_counts: usize,
    /// Blocks.
    left: usize,
    gaps: *const u8,
    weights: *const u8,
    counts: *const u8,
}

/// A row's blocks in one ring, and where the walk goes before and after them: the assembly's own.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Run([usize; 6]);

/// What the assembly reads.
#[repr(C)]
struct State {
    sign: u32,
    multiplier: i32,
    multiplier_low: i32,
    zero_point: i32,
    outputs: [*mut i8; 2],
    tile: *const u32,
    tile_bytes: usize,
    output_end: *mut i8,
    /// After a run, and the run behind it: the assembly's.
    after: usize,
    next: usize,
    runs: *mut Run,
    bias: i32,
    rings: *mut Ring,
    rings_end: *mut Ring,
    /// Blocks of a whole row.
    blocks: usize,
    wide: usize,
    /// Outputs that a last tile has in common with the one before it; 0 without such a tile.
    overlap: usize,
    /// From a row's outputs to the next's.
    output_step: usize,
    requantizations: StoredRows,
    /// Rows to do; at least 1.
    rows: usize,
}

/// As the assembly loads them: many words at once.
const _: () = {
    assert!(size_of::<Ring>() == 20 && offset_of!(Ring, left) == 4 && offset_of!(Ring, gaps) == 8);
    assert!(offset_of!(Ring, weights) == 12 && offset_of!(Ring, counts) == 16 && size_of::<Run>() == 24);
    assert!(offset_of!(State, outputs) == 16 && offset_of!(State, tile) == 24 && offset_of!(State, output_end) == 32);
    assert!(offset_of!(State, after) == 36 && offset_of!(State, runs) == 44 && offset_of!(State, bias) == 48);
    assert!(offset_of!(State, rings) == 52 && offset_of!(State, blocks) == 60 && offset_of!(State, overlap) == 68);
    assert!(offset_of!(State, output_step) == 72 && offset_of!(State, requantizations) == 76);
    assert!(offset_of!(State, rows) == 88);
};

unsafe extern "C" {
    fn nested_kernels_tiles_all_4(state: &mut State);
    fn nested_kernels_tiles_1_4(state: &mut State);
    fn nested_kernels_tiles_2_4(state: &mut State);
    fn nested_kernels_tiles_all_2(state: &mut State);
    fn nested_kernels_tiles_1_2(state: &mut State);
    fn nested_kernels_tiles_2_2(state: &mut State);
}

/// Every row's outputs in some tiles. False when some run leads behind the row's last column, or out of its ring.
#[must_use]
pub(super) fn walk(
    layer: &Pointwise<'_>,
    target: &Target,
    parameters: &NodeParameters<'_>,
    packed: &[u32],
    output: &mut [i8],
) -> bool {
    let tiles = layer.tiles;
    let Some(requantizations) = StoredRows::new(&parameters.rows, 0) else { return false };
    let function: unsafe extern "C" fn(&mut State) = match (tiles.block, tiles.words) {
        (0, 4) => nested_kernels_tiles_all_4,
        (1, 4) => nested_kernels_tiles_1_4,
        (_, 4) => nested_kernels_tiles_2_4,
        (0, _) => nested_kernels_tiles_all_2,
        (1, _) => nested_kernels_tiles_1_2,
        (_, _) => nested_kernels_tiles_2_2,
    };
    let plane = target.plane;
    let whole = target.whole * tiles.words;
    let last = usize::from(target.overlap > 0);
    let short = tiles.is_short();
    let fits = |start: &usize| short || start + whole + last * tiles.words <= plane + target.overlap;
    if target.whole == 0 || (target.whole + last) * tiles.len() > packed.len() || !target.outputs.iter().all(fits) {
        return false;
    }
    // One more than there are: where the assembly leaves a row without weights.
    let none = core::ptr::null();
    let mut rings = [Ring { long_counts: 0, left: 0, gaps: none, weights: none, counts: none }; MAX_LEVELS + 1];
    let (mut runs, mut strip) = ([Run([0; 6]); MAX_LEVELS], [0; 8]);
    let count = layer.rows.to_rings(&mut rings);
    let rings = rings.as_mut_ptr();
    // The strip's are set row by row.
    let first = output.as_mut_ptr();
    let outputs = target.outputs.map(|at| first.wrapping_add(at));
    let mut state = State {
        sign: 1 << 31,
        multiplier: 0,
        multiplier_low: 0,
        zero_point: parameters.zero_point.into(),
        outputs,
        tile: packed.as_ptr(),
        tile_bytes: 4 * tiles.len(),
        output_end: outputs[0].wrapping_add(whole),
        after: 0,
        next: 0,
        runs: runs.as_mut_ptr(),
        bias: 0,
        rings,
        rings_end: rings.wrapping_add(count),
        blocks: tiles.blocks(),
        wide: (!parameters.narrow).into(),
        overlap: target.overlap,
        output_step: if short { 0 } else { plane },
        requantizations,
        rows: 0,
    };
    let total = layer.count.min(parameters.rows.len()).min(output.len() / plane.max(1));
    let mut left = total;
    while left > 0 {
        state.rows = left;
        if short {
            // A strip is copied after each row.
            let first = strip.as_mut_ptr();
            state.outputs = [first, first.wrapping_add(4)];
            state.output_end = first.wrapping_add(whole);
            state.rows = 1;
        }
        left -= state.rows;
        // SAFETY: the assembly reads a requantisation and a count of each ring for each of `rows` rows, which the matrix
        // has, and takes no more gaps and weights than the ring has left. Before the walk it adds up each run's gaps and
        // returns when a block would lie behind the row's last, so that it reads only inside the tiles, which `packed`
        // holds; its outputs lie in the row's plane, for no more rows than the output holds (or in the strip, which has
        // room for both lanes of a tile). `runs` has room for a run of each ring, or for the one of a row without weights.
        // It keeps the registers that the C ABI asks for.
        unsafe { function(&mut state) }
        if state.rows > 0 {
            return false;
        }
        if short {
            target.copy(&strip, &tiles, output.get_mut((total - left - 1) * plane..).unwrap_or_default());
        }
    }
    true
}

impl Rows<'_> {
    /// How many rings.
    fn to_rings(&self, rings: &mut [Ring; MAX_LEVELS + 1]) -> usize {
        match self {
            Rows::All(weights) => {
                rings[0].weights = weights.as_ptr().cast();
                1
            }
            Rows::Rings(source) => {
                let mut count = 0;
                for (slot, ring) in rings.iter_mut().zip(source.iter().flatten()) {
                    *slot = Ring {
                        long_counts: (ring.count_width > 1).into(),
                        left: ring.gaps.len(),
                        gaps: ring.gaps.as_ptr(),
                        weights: ring.weights.as_ptr(),
                        counts: ring.counts.as_ptr(),
                    };
                    count += 1;
                }
                count
            }
        }
    }
}

macro_rules! tiles {
    (
        $name:literal, $unroll:expr, $size:expr, $words:literal, [$end:literal, $first_end:literal, $take:literal],
        sums $sums:expr, body $body:expr, lead [$lead:expr, $lead_bytes:literal, $nothing:literal],
        advance $advance:literal, shift $shift:literal,
        accumulators $accumulators:literal, lanes $lanes:literal, spill $spill:literal, outputs $outputs:literal,
        wide $wide:expr
    ) => {
        dsp_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            ".syntax unified",
            ".p2align 3",
            concat!(".global ", $name),
            concat!(".type ", $name, ",%function"),
            ".thumb_func",
            concat!($name, ":"),
            "push {{r4-r11, lr}}",
            "sub sp, #164",
            "str r0, [sp, #140]",
            // What each ring's runs are entered by.
            "mov r1, #0",
            "str r1, [sp, #136]",
            "mov r1, #{size}",
            "adr.w r2, 2f",
            "subs r2, r2, r1",
            concat!("sub r2, r2, #", $lead_bytes),
            "orr r2, r2, #1",
            "strd r1, r2, [sp, #144]",
            "adr.w r1, 5f",
            "adr.w r2, 4f",
            "orr r1, r1, #1",
            "orr r2, r2, #1",
            "strd r1, r2, [sp, #152]",
            "89:",
            requantization!("76", "80"),
            "strd r6, r7, [r0, #4]",
            "str r5, [r0, #48]",
            "ldm r0!, {{r1-r12}}",
            "stm sp, {{r1-r12}}",
            // The next row's outputs.
            "ldrd r2, r3, [r0, #20]",
            "add r5, r3",
            "add r6, r3",
            "add r9, r3",
            "strd r5, r6, [r0, #-32]",
            "str r9, [r0, #-16]",
            "ldm r0, {{r1, r7, r8, r9, r10}}",
            "strd r8, r1, [sp, #128]",
            "str r2, [sp, #124]",
            // r2: the ring, r3: blocks of a row, r4: wide, r5: weights + 128 added up, r6: less their number, r7: gaps,
            // r8: weights, r9: blocks of the run, r11: 0, from which the distance of four bytes is their sum, r12: the run.
            "mov r2, r7",
            "mov r3, r9",
            // The multiplier of lane 0, which comes in the upper 24 bits of a word, is taken without its lowest byte.
            "ldrb r4, [sp, #4]",
            "orr r4, r4, r10",
            "mov r5, #0",
            "mov r6, #0",
            "mov r11, #0",
            "10:",
            $take,
            "26:",
            $sums,
            "18:",
            "strd r7, r8, [r2, #8]",
            // The loop is entered so that the last block is the last before its end. Gaps and weights are taken from where
            // they would be if whole turns had gone before: at offsets that do not change, so that no load waits for a pointer.
            "subs r0, r9, #1",
            "orr lr, r0, #{unroll} - 1",
            "add lr, lr, #1",
            "sub r1, r7, lr",
            concat!("sub lr, r8, lr", $shift),
            "strd r1, lr, [r12]",
            "and r0, r0, #{unroll} - 1",
            "ldrd lr, r10, [sp, #144]",
            "mls r10, r0, lr, r10",
            "ldrd r1, r0, [sp, #152]",
            "cmp r9, #{unroll}",
            "it ls",
            "movls r0, r1",
            "cbnz r4, 22f",
            "21:",
            "strd r0, r10, [r12, #8]",
            concat!("strd ", $first_end, ", r1, [r12, #16]"),
            "add r12, #24",
            "25:",
            "ldr lr, [sp, #128]",
            "add r2, #20",
            "cmp r2, lr",
            "blo.w 10b",
            // Without a run, a weight of 0 in the first column.
            "ldr lr, [sp, #44]",
            "cmp r12, lr",
            "bne 27f",
            "add r7, sp, #136",
            "mov r8, r7",
            "mov r9, #1",
            "ldr r2, [sp, #128]",
            "b 26b",
            // The same of a wide row.
            "22:",
            "adr.w r0, 7f",
            "orr r0, r0, #1",
            "b 21b",
            // After the last run.
            "27:",
            "adr.w r0, 6f",
            "cbz r4, 28f",
            "adr.w r0, 8f",
            "28:",
            "orr r0, r0, #1",
            "str r0, [r12, #-4]",
            "ldr lr, [sp, #152]",
            "ldr r7, [r12, #-16]",
            "cmp r7, lr",
            "it eq",
            "streq r0, [r12, #-16]",
            "ldr r1, [sp, #132]",
            // r5: lane 0's sum less what the activations' bias of 128 adds to it.
            "add r5, r5, r6, lsl #7",
            "sub r5, r1, r5, lsl #7",
            "cmp r4, #0",
            "bne 23f",
            "add r5, r5, #0x800000",
            "lsl r6, r1, #24",
            "asr r7, r1, #8",
            "adds r6, r6, r5",
            "adc r7, r7, r5, asr #31",
            "b 24f",
            "23:",
            "strd r5, r1, [sp, #80]",
            "strd r5, r1, [sp, #88]",
            "strd r5, r1, [sp, #96]",
            "strd r5, r1, [sp, #104]",
            "strd r5, r1, [sp, #116]",
            "mov r5, #{turns}",
            "str r5, [sp, #112]",
            "mov r6, #0x800000",
            "mov r7, #0",
            "24:",
            "strd r6, r7, [sp, #48]",
            "strd r6, r7, [sp, #56]",
            "strd r6, r7, [sp, #64]",
            "strd r6, r7, [sp, #72]",
            "ldr r8, [sp, #24]",
            // A tile.
            "1:",
            "add r12, sp, #48",
            $accumulators,
            "ldr r12, [sp, #44]",
            "b 9f",
            // The next run.
            "5:",
            "ldr r12, [sp, #40]",
            "ldr r8, [sp, #24]",
            "adds r12, #8",
            "9:",
            "ldm r12!, {{r9-r11, lr}}",
            "strd r11, r12, [sp, #36]",
            $nothing,
            "bx lr",
            ".p2align 3",
            "3:",
            ".set nested_kernels_block, 0",
            $lead,
            ".rept {unroll}",
            $body,
            ".endr",
            "2:",
            "ldr pc, [sp, #36]",
            // Whether a long run has ended.
            "4:",
            $advance,
            "ldr r12, [sp, #40]",
            "ldr r11, [r12]",
            concat!("cmp ", $end, ", r11"),
            $nothing,
            "bne.w 3b",
            "ldr pc, [r12, #4]",
            // The same in a wide row.
            "7:",
            $advance,
            "ldr r12, [sp, #40]",
            "ldr r11, [r12]",
            "ldr lr, [sp, #112]",
            "subs lr, #1",
            "str lr, [sp, #112]",
            "beq 11f",
            concat!("cmp ", $end, ", r11"),
            $nothing,
            "bne.w 3b",
            "11:",
            $lanes,
            "eor r0, r0, #0x800000",
            "eor r2, r2, #0x800000",
            "sbfx r0, r0, #0, #24",
            "sbfx r2, r2, #0, #24",
            $spill,
            "mov lr, #{turns}",
            "str lr, [sp, #112]",
            "add r12, sp, #48",
            $accumulators,
            "ldr r12, [sp, #40]",
            "ldr r11, [r12]",
            concat!("cmp ", $end, ", r11"),
            $nothing,
            "bne.w 3b",
            "ldr pc, [r12, #4]",
            // The outputs of a wide row.
            "8:",
            "add r12, sp, #80",
            $accumulators,
            "ldrd r9, r10, [sp, #116]",
            "strd r9, r10, [sp, #80]",
            "strd r9, r10, [sp, #88]",
            "strd r9, r10, [sp, #96]",
            "strd r9, r10, [sp, #104]",
            "ldm sp, {{r8-r12, lr}}",
            $wide,
            "ldrd r8, r9, [sp, #24]",
            "ldr r10, [sp, #32]",
            "b 12f",
            // The outputs of any other row, in an order that lets a core with two pipelines use both.
            "6:",
            $outputs,
            "12:",
            "strd r12, lr, [sp, #16]",
            "add r8, r8, r9",
            "str r8, [sp, #24]",
            "cmp r12, r10",
            "bne.w 1b",
            // A last tile that overlaps the one before it.
            "ldr r9, [sp, #124]",
            "cmp r9, #0",
            "beq 29f",
            "mov r10, #0",
            "str r10, [sp, #124]",
            "sub r12, r9",
            "sub lr, r9",
            "strd r12, lr, [sp, #16]",
            concat!("add r12, #", $words),
            "str r12, [sp, #32]",
            "b.w 1b",
            "29:",
            "ldr r0, [sp, #140]",
            "ldr r1, [r0, #88]",
            "subs r1, #1",
            "str r1, [r0, #88]",
            "bne.w 89b",
            "99:",
            "add sp, #164",
            "pop {{r4-r11, pc}}",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            unroll = const $unroll,
            turns = const if $unroll == UNROLL { TURNS } else { TURNS_PAIRS },
            size = const $size,
        );
    };
}

/// Tiles of four words.
macro_rules! fours {
    ($name:literal, $unroll:expr, $size:expr, $kind:tt, $sums:expr, $lead:tt, $advance:literal, $shift:literal, $body:expr) => {
        tiles!(
            $name, $unroll, $size, "4", $kind, sums $sums, body $body, lead $lead, advance $advance, shift $shift,
            accumulators "ldm r12, {{r0-r7}}",
            lanes "lsl r1, r1, #8
                lsl r3, r3, #8
                lsl r5, r5, #8
                lsl r7, r7, #8
                orr r1, r1, r0, lsr #24
                orr r3, r3, r2, lsr #24
                orr r5, r5, r4, lsr #24
                orr r7, r7, r6, lsr #24",
            spill "eor r4, r4, #0x800000
                eor r6, r6, #0x800000
                sbfx r4, r4, #0, #24
                sbfx r6, r6, #0, #24
                ldrd r11, lr, [sp, #80]
                add r0, r11
                add r1, lr
                strd r0, r1, [sp, #80]
                ldrd r11, lr, [sp, #88]
                add r2, r11
                add r3, lr
                strd r2, r3, [sp, #88]
                ldrd r11, lr, [sp, #96]
                add r4, r11
                add r5, lr
                strd r4, r5, [sp, #96]
                ldrd r11, lr, [sp, #104]
                add r6, r11
                add r7, lr
                strd r6, r7, [sp, #104]",
            outputs "lsl r5, r5, #8
                ldm sp, {{r8-r12, lr}}
                lsl r3, r3, #8
                lsl r7, r7, #8
                orr r3, r3, r2, lsr #24
                eor r2, r8, r2, lsl #8
                orr r5, r5, r4, lsr #24
                eor r4, r8, r4, lsl #8
                smmlar r3, r3, r9, r11
                orr r7, r7, r6, lsr #24
                smmlar r4, r4, r10, r11
                lsl r1, r1, #8
                orr r1, r1, r0, lsr #24
                smmlar r2, r2, r10, r11
                eor r6, r8, r6, lsl #8
                ssat r3, #8, r3
                ssat r2, #8, r2
                smmlar r6, r6, r10, r11
                eor r0, r8, r0, lsl #8
                strb r2, [r12, #1]
                ssat r4, #8, r4
                smmlar r0, r0, r10, r11
                smmlar r5, r5, r9, r11
                strb r4, [r12, #2]
                ssat r0, #8, r0
                smmlar r7, r7, r9, r11
                ssat r6, #8, r6
                strb r6, [r12, #3]
                smmlar r1, r1, r9, r11
                ldrd r8, r9, [sp, #24]
                strb r0, [r12], #4
                ssat r5, #8, r5
                strb r3, [lr, #1]
                ssat r7, #8, r7
                ldr r10, [sp, #32]
                strb r7, [lr, #3]
                ssat r1, #8, r1
                strb r5, [lr, #2]
                strb r1, [lr], #4",
            wide wide_outputs!()
        );
    };
}

/// Tiles of two words.
macro_rules! twos {
    ($name:literal, $unroll:expr, $size:expr, $kind:tt, $sums:expr, $lead:tt, $advance:literal, $shift:literal, $body:expr) => {
        tiles!(
            $name, $unroll, $size, "2", $kind, sums $sums, body $body, lead $lead, advance $advance, shift $shift,
            accumulators "ldm r12, {{r0-r3}}",
            lanes "lsl r1, r1, #8
                lsl r3, r3, #8
                orr r1, r1, r0, lsr #24
                orr r3, r3, r2, lsr #24",
            spill "ldrd r11, lr, [sp, #80]
                add r0, r11
                add r1, lr
                strd r0, r1, [sp, #80]
                ldrd r11, lr, [sp, #88]
                add r2, r11
                add r3, lr
                strd r2, r3, [sp, #88]",
            outputs "lsl r1, r1, #8
                lsl r3, r3, #8
                orr r3, r3, r2, lsr #24
                ldm sp, {{r8-r12, lr}}
                eor r2, r8, r2, lsl #8
                smmlar r3, r3, r9, r11
                orr r1, r1, r0, lsr #24
                eor r0, r8, r0, lsl #8
                smmlar r2, r2, r10, r11
                smmlar r0, r0, r10, r11
                ssat r2, #8, r2
                smmlar r1, r1, r9, r11
                ssat r0, #8, r0
                strb r2, [r12, #1]
                ssat r3, #8, r3
                ldr r10, [sp, #32]
                strb r0, [r12], #2
                ssat r1, #8, r1
                strb r3, [lr, #1]
                ldrd r8, r9, [sp, #24]
                strb r1, [lr], #2",
            wide "smmlar r0, r0, r9, r11
                smmlar r2, r2, r9, r11
                smmlar r1, r1, r9, r11
                smmlar r3, r3, r9, r11
                ssat r0, #8, r0
                ssat r2, #8, r2
                ssat r1, #8, r1
                ssat r3, #8, r3
                strb r2, [r12, #1]
                strb r0, [r12], #2
                strb r3, [lr, #1]
                strb r1, [lr], #2"
        );
    };
}

/// Adds up the bytes of the r9 blocks of a run, `$four` blocks' and then the rest one by one: turns of four fours, the first of
/// which may be shorter and begins `$skip`; `$step` goes on to the next. r1 is the number of fours when `$begin` begins;
/// `$island` is code that is jumped to. r0 and lr may be used.
macro_rules! add_up {
    ($begin:literal, $island:expr, $skip:literal, $four:literal, $step:literal, $one:literal) => {
        concat!(
            "lsrs r1, r9, #2\n",
            $begin,
            "beq.w 13f
             rsb lr, r1, #0
             and lr, lr, #3\n",
            $skip,
            "
             adds r1, #3
             lsr r1, r1, #2
             tbb [pc, lr]
             11:
             .byte (12f - 11b) / 2, (16f - 11b) / 2, (17f - 11b) / 2, (19f - 11b) / 2\n",
            $island,
            ".set nested_kernels_four, 0
             12:\n",
            $four,
            "
             .set nested_kernels_four, 1
             16:\n",
            $four,
            "
             .set nested_kernels_four, 2
             17:\n",
            $four,
            "
             .set nested_kernels_four, 3
             19:\n",
            $four,
            "\n",
            $step,
            "
             subs r1, #1
             bne 12b
             13:
             ands r0, r9, #3
             beq 15f
             14:\n",
            $one,
            "
             subs r0, #1
             bne 14b
             15:\n"
        )
    };
}

/// All the columns: no gaps.
macro_rules! all {
    ($tiles:ident, $name:literal, $size:expr, $body:expr) => {
        $tiles!(
            $name,
            UNROLL,
            $size,
            [
                "r10",
                "r8",
                "ldr r8, [r2, #12]
                 mov r9, r3"
            ],
            add_up!(
                "sub r6, r6, r1, lsl #2\n",
                "",
                "sub r8, r8, lr, lsl #2",
                "ldr lr, [r8, #4 * nested_kernels_four]
                 eor lr, lr, #0x80808080
                 usada8 r5, lr, r11, r5",
                "add r8, #16",
                "ldrsb lr, [r8], #1
                 add r5, lr"
            ),
            ["", "0", ""],
            "add r10, #64",
            "",
            concat!($body, "\n .set nested_kernels_block, nested_kernels_block + 1")
        );
    };
}

/// Takes a count of two bytes.
macro_rules! long_count {
    () => {
        "31:
         ldrh r0, [r9], #2
         b 30b\n"
    };
}

/// Blocks with gaps, whose sum and whose number are at most the blocks of a row.
macro_rules! some {
    ($tiles:ident, $name:literal, $unroll:expr, $size:expr, $sums:expr, $advance:literal, $shift:literal, $gap:literal, [$last:literal, $lead_bytes:literal], $body:literal) => {
        $tiles!(
            $name,
            $unroll,
            $size,
            [
                "r9",
                "r7",
                "ldm r2, {{r0, r1, r7, r8, r9}}
                 cbnz r0, 31f
                 ldrb r0, [r9], #1
                 30:
                 str r9, [r2, #16]
                 mov r9, r0
                 subs r1, r0
                 blo.w 99f
                 str r1, [r2, #4]
                 cmp r0, #0
                 beq.w 25f"
            ],
            concat!(
                "mov r10, r9\n",
                $sums,
                "cmp r10, r3
                 bhi.w 99f"
            ),
            // A block's gap is loaded while the block before is worked on: what comes before the first one adds nothing.
            [concat!("ldrb ", $gap, ", [r9]\n", $last), $lead_bytes, "mov r11, #0"],
            $advance,
            $shift,
            concat!(
                $body,
                "
                 .set nested_kernels_block, nested_kernels_block + 1
                 .if nested_kernels_block < {unroll}
                 ldrb ",
                $gap,
                ", [r9, #nested_kernels_block]
                 .else
                 nop.w
                 .endif\n",
                $last
            )
        );
    };
}

/// A gap a weight.
macro_rules! sums_of_ones {
    () => {
        add_up!(
            "sub r6, r6, r1, lsl #2\n",
            long_count!(),
            "sub r7, r7, lr, lsl #2
             sub r8, r8, lr, lsl #2",
            "ldr lr, [r7, #4 * nested_kernels_four]
             ldr r0, [r8, #4 * nested_kernels_four]
             usada8 r10, lr, r11, r10
             eor r0, r0, #0x80808080
             usada8 r5, r0, r11, r5",
            "add r7, #16
             add r8, #16",
            "ldrb lr, [r7], #1
             add r10, lr
             ldrsb lr, [r8], #1
             add r5, lr"
        )
    };
}

/// A gap two weights.
macro_rules! sums_of_twos {
    () => {
        add_up!(
            "sub r6, r6, r1, lsl #3\n",
            long_count!(),
            "sub r7, r7, lr, lsl #2
             sub r8, r8, lr, lsl #3",
            "ldr lr, [r7, #4 * nested_kernels_four]
             ldr r0, [r8, #8 * nested_kernels_four]
             usada8 r10, lr, r11, r10
             ldr lr, [r8, #8 * nested_kernels_four + 4]
             eor r0, r0, #0x80808080
             usada8 r5, r0, r11, r5
             eor lr, lr, #0x80808080
             usada8 r5, lr, r11, r5",
            "add r7, #16
             add r8, #32",
            "ldrb lr, [r7], #1
             add r10, lr
             ldrsb lr, [r8], #1
             add r5, lr
             ldrsb lr, [r8], #1
             add r5, lr"
        )
    };
}

all!(
    fours,
    "nested_kernels_tiles_all_4",
    28,
    "ldrsb r11, [r10, #nested_kernels_block]
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr
     ldrd r12, lr, [r8], #8
     smlal r4, r5, r11, r12
     smlal r6, r7, r11, lr"
);
some!(
    fours,
    "nested_kernels_tiles_1_4",
    UNROLL,
    36,
    sums_of_ones!(),
    "add r9, #64
     add r10, #64",
    "",
    "r12",
    ["smlal r6, r7, r11, lr", "8"],
    "ldrsb r11, [r10, #nested_kernels_block]
     add.w r8, r8, r12, lsl #4
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr
     ldrd r12, lr, [r8], #8
     smlal r4, r5, r11, r12"
);
some!(
    fours,
    "nested_kernels_tiles_2_4",
    UNROLL_PAIRS,
    64,
    sums_of_twos!(),
    "add r9, #16
     add r10, #32",
    ", lsl #1",
    "r12",
    ["smlal r6, r7, r11, lr", "8"],
    "ldrsb r11, [r10, #2 * nested_kernels_block]
     add.w r8, r8, r12, lsl #5
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr
     ldrd r12, lr, [r8], #8
     smlal r4, r5, r11, r12
     smlal r6, r7, r11, lr
     ldrsb r11, [r10, #2 * nested_kernels_block + 1]
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr
     ldrd r12, lr, [r8], #8
     smlal r4, r5, r11, r12"
);
all!(
    twos,
    "nested_kernels_tiles_all_2",
    16,
    "ldrsb r11, [r10, #nested_kernels_block]
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr"
);
some!(
    twos,
    "nested_kernels_tiles_1_2",
    UNROLL,
    24,
    sums_of_ones!(),
    "add r9, #64
     add r10, #64",
    "",
    "r4",
    ["smlal r2, r3, r11, lr", "8"],
    "ldrsb r11, [r10, #nested_kernels_block]
     add.w r8, r8, r4, lsl #3
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12"
);
some!(
    twos,
    "nested_kernels_tiles_2_2",
    UNROLL_PAIRS,
    36,
    sums_of_twos!(),
    "add r9, #16
     add r10, #32",
    ", lsl #1",
    "r12",
    [
        "smlal r0, r1, r11, r6
     smlal r2, r3, r11, r7",
        "12"
    ],
    "ldrsb lr, [r10, #2 * nested_kernels_block]
     add.w r8, r8, r12, lsl #4
     ldm r8!, {{r4-r7}}
     ldrsb r11, [r10, #2 * nested_kernels_block + 1]
     smlal r0, r1, lr, r4
     smlal r2, r3, lr, r5"
);
