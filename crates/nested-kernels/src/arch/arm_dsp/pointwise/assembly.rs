//! The walk of a row's runs over tiles, in assembly. Accumulators live in r0–r7 (r0–r3 for tiles of two words), the place
//! in the tile in r8, gaps in r9, weights in r10; r11, r12 and lr pass a weight and activations. On the stack:
//! `sp[0..12]` as in [`State`], then the accumulators' first values (48), the sums of a wide row (80), the turns left
//! before they are added to (112) and what they start from (116).
use super::Tiles;
use nested_csr::{MAX_LEVELS, Requantization};

/// Blocks between two ends of the inner loop, a power of 2. Eight turns hold at most 256 weights, for which lane 0 needs
/// no more than its 24 bits.
const UNROLL: usize = 32;
const UNROLL_PAIRS: usize = 16;

/// A run of blocks. The assembly replaces `count` and fills in what follows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Run {
    gaps: *const u8,
    weights: *const u8,
    count: usize,
    entry: usize,
    end: usize,
    then: usize,
}

/// What the assembly reads.
#[repr(C)]
#[derive(Debug)]
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
    first: *mut Run,
    bias: i32,
    runs_end: *mut Run,
    /// Blocks of a whole row.
    blocks: usize,
    wide: usize,
}

unsafe extern "C" {
    fn nested_kernels_tiles_all_4(state: &mut State);
    fn nested_kernels_tiles_1_4(state: &mut State);
    fn nested_kernels_tiles_2_4(state: &mut State);
    fn nested_kernels_tiles_all_2(state: &mut State);
    fn nested_kernels_tiles_1_2(state: &mut State);
    fn nested_kernels_tiles_2_2(state: &mut State);
}

/// Walks rows, one after another, over the same tiles.
pub(super) struct Walk<'a> {
    function: unsafe extern "C" fn(&mut State),
    tiles: Tiles,
    runs: [Run; MAX_LEVELS],
    count: usize,
    state: State,
    weights: core::marker::PhantomData<&'a [u8]>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tiles: Tiles, zero_point: i8) -> Self {
        let function = match (tiles.block, tiles.words) {
            (0, 4) => nested_kernels_tiles_all_4,
            (1, 4) => nested_kernels_tiles_1_4,
            (_, 4) => nested_kernels_tiles_2_4,
            (0, _) => nested_kernels_tiles_all_2,
            (1, _) => nested_kernels_tiles_1_2,
            (_, _) => nested_kernels_tiles_2_2,
        };
        let run = Run { gaps: core::ptr::null(), weights: core::ptr::null(), count: 0, entry: 0, end: 0, then: 0 };
        let state = State {
            sign: 1 << 31,
            multiplier: 0,
            multiplier_low: 0,
            zero_point: zero_point.into(),
            outputs: [core::ptr::null_mut(); 2],
            tile: core::ptr::null(),
            tile_bytes: 4 * tiles.len(),
            output_end: core::ptr::null_mut(),
            after: 0,
            next: 0,
            first: core::ptr::null_mut(),
            bias: 0,
            runs_end: core::ptr::null_mut(),
            blocks: tiles.blocks(),
            wide: 0,
        };
        Walk { function, tiles, runs: [run; MAX_LEVELS], count: 0, state, weights: core::marker::PhantomData }
    }

    /// Begins a row that has no weights yet.
    pub(super) fn begin(&mut self) {
        self.count = 0;
    }

    /// Adds a run; `gaps` is empty for a run of all columns.
    #[inline(always)]
    pub(super) fn push(&mut self, gaps: &'a [u8], weights: &'a [u8]) {
        let count = match self.tiles.block {
            0 => weights.len().min(self.state.blocks),
            1 => gaps.len().min(weights.len()),
            _ => gaps.len().min(weights.len() / 2),
        };
        if count > 0
            && let Some(run) = self.runs.get_mut(self.count)
        {
            (run.gaps, run.weights, run.count) = (gaps.as_ptr(), weights.as_ptr(), count);
            self.count += 1;
        }
    }

    /// Writes the outputs of `count` tiles from the start of `packed`, at `outputs` for each lane.
    #[inline(always)]
    pub(super) fn row(
        &mut self,
        packed: &[u32],
        count: usize,
        row: Requantization,
        wide: bool,
        outputs: [usize; 2],
        plane: &mut [i8],
    ) {
        if self.count == 0 {
            // One weight of 0 in column 0, so that there is a run.
            self.push(&[0], &[0, 0]);
        }
        let written = count * self.tiles.words;
        let fits = |at: &usize| at + written <= plane.len();
        if count == 0 || count * self.tiles.len() > packed.len() || !outputs.iter().all(fits) {
            return;
        }
        let multiplier = row.multiplier.m();
        let state = &mut self.state;
        state.multiplier = multiplier;
        state.multiplier_low = multiplier >> 8;
        state.outputs = outputs.map(|at| plane.as_mut_ptr().wrapping_add(at));
        state.tile = packed.as_ptr();
        state.output_end = state.outputs[0].wrapping_add(written);
        state.first = self.runs.as_mut_ptr();
        state.bias = row.bias;
        state.runs_end = state.first.wrapping_add(self.count);
        state.wide = wide.into();
        // SAFETY: the assembly reads as many gaps and weights as each run's count, which `push` took from the slices'
        // lengths; the slices outlive `self`. Before the walk it adds up each run's gaps and returns when a block would
        // lie behind the row's last, so that it reads only inside `count` tiles of `packed`; it writes `written` bytes at
        // each of the outputs, all checked above. `first..runs_end` are runs of `self`, which nothing else borrows. It
        // keeps the registers that the C ABI asks for.
        unsafe { (self.function)(state) }
    }
}

macro_rules! tiles {
    (
        $name:literal, $unroll:expr, $size:expr, [$end:literal, $first_end:literal, $weights:literal],
        gaps $gaps:literal, body $body:literal, accumulators $accumulators:literal, lanes $lanes:literal,
        spill $spill:literal, wide $wide:literal, narrow $narrow:literal, store $store:literal
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
            "sub sp, #124",
            "ldm r0!, {{r1-r12}}",
            "stm sp, {{r1-r12}}",
            "ldm r0, {{r1-r4}}",
            // r1: bias, r2: the runs' end, r3: blocks of a row, r4: wide, r5: weights + 128 added up, r6: less their number,
            // r7: gaps, r8: weights, r9: blocks of the run, r11: 0, from which the distance of four bytes is their sum,
            // r12: the run.
            "mov r5, #0",
            "mov r6, #0",
            "mov r11, #0",
            "10:",
            "ldm r12, {{r7-r9}}",
            $gaps,
            $weights,
            "sub r6, r6, r0",
            "subs r0, #4",
            "blo 16f",
            "15:",
            "ldr lr, [r8], #4",
            "eor lr, lr, #0x80808080",
            "usada8 r5, lr, r11, r5",
            "subs r0, #4",
            "bhs 15b",
            "16:",
            "adds r0, #4",
            "beq 18f",
            "17:",
            "ldrsb lr, [r8], #1",
            "add r5, #128",
            "add r5, lr",
            "subs r0, #1",
            "bne 17b",
            "18:",
            // The loop is entered so that the last block is the last before its end.
            "subs r0, r9, #1",
            "and r0, r0, #{unroll} - 1",
            "adds r0, #1",
            "mov lr, #{size}",
            "mul r0, r0, lr",
            "adr.w lr, 2f",
            "sub r0, lr, r0",
            "orr r10, r0, #1",
            // Behind the run: its target when it is the last, or the way to the next.
            "add lr, r12, #24",
            "cmp lr, r2",
            "bne 19f",
            "adr.w r0, 6f",
            "cmp r4, #0",
            "beq 20f",
            "adr.w r0, 8f",
            "b 20f",
            "19:",
            "adr.w r0, 5f",
            "20:",
            "orr r0, r0, #1",
            "str r0, [r12, #20]",
            concat!("str ", $first_end, ", [r12, #16]"),
            "str r10, [r12, #12]",
            "cmp r9, #{unroll}",
            "bls 21f",
            "adr.w r0, 4f",
            "orr r0, r0, #1",
            "21:",
            "cmp r4, #0",
            "beq 22f",
            "adr.w r0, 7f",
            "orr r0, r0, #1",
            "22:",
            "str r0, [r12, #8]",
            "mov r12, lr",
            "cmp r12, r2",
            "bne 10b",
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
            "mov r5, #8",
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
            "9:",
            "ldm r12!, {{r9-r11, lr}}",
            "strd r11, r12, [sp, #36]",
            "bx lr",
            // The next run.
            "5:",
            "ldr r12, [sp, #40]",
            "ldr r8, [sp, #24]",
            "adds r12, #8",
            "b 9b",
            ".p2align 3",
            "3:",
            ".rept {unroll}",
            $body,
            ".endr",
            "2:",
            "ldr pc, [sp, #36]",
            // Whether a long run has ended.
            "4:",
            "ldr r12, [sp, #40]",
            "ldr r11, [r12]",
            concat!("cmp ", $end, ", r11"),
            "bne.w 3b",
            "ldr pc, [r12, #4]",
            // The same in a wide row.
            "7:",
            "ldr r12, [sp, #40]",
            "ldr r11, [r12]",
            "ldr lr, [sp, #112]",
            "subs lr, #1",
            "str lr, [sp, #112]",
            "beq 11f",
            concat!("cmp ", $end, ", r11"),
            "bne.w 3b",
            "11:",
            $lanes,
            "eor r0, r0, #0x800000",
            "eor r2, r2, #0x800000",
            "sbfx r0, r0, #0, #24",
            "sbfx r2, r2, #0, #24",
            $spill,
            "mov lr, #8",
            "str lr, [sp, #112]",
            "add r12, sp, #48",
            $accumulators,
            "ldr r12, [sp, #40]",
            "ldr r11, [r12]",
            concat!("cmp ", $end, ", r11"),
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
            "b 12f",
            // The outputs of any other row.
            "6:",
            "ldm sp, {{r8-r12, lr}}",
            $lanes,
            "eor r0, r8, r0, lsl #8",
            "eor r2, r8, r2, lsl #8",
            $narrow,
            "12:",
            $store,
            "strd r12, lr, [sp, #16]",
            "ldrd r8, r9, [sp, #24]",
            "ldr r10, [sp, #32]",
            "add r8, r8, r9",
            "str r8, [sp, #24]",
            "cmp r12, r10",
            "bne.w 1b",
            "99:",
            "add sp, #124",
            "pop {{r4-r11, pc}}",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            unroll = const $unroll,
            size = const $size,
        );
    };
}

/// Tiles of four words.
macro_rules! fours {
    ($name:literal, $unroll:expr, $size:expr, $kind:tt, $gaps:literal, $body:literal) => {
        tiles!(
            $name, $unroll, $size, $kind, gaps $gaps, body $body,
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
            wide "smmlar r0, r0, r9, r11
                smmlar r2, r2, r9, r11
                smmlar r4, r4, r9, r11
                smmlar r6, r6, r9, r11
                smmlar r1, r1, r9, r11
                smmlar r3, r3, r9, r11
                smmlar r5, r5, r9, r11
                smmlar r7, r7, r9, r11",
            narrow "eor r4, r8, r4, lsl #8
                eor r6, r8, r6, lsl #8
                smmlar r0, r0, r10, r11
                smmlar r2, r2, r10, r11
                smmlar r4, r4, r10, r11
                smmlar r6, r6, r10, r11
                smmlar r1, r1, r9, r11
                smmlar r3, r3, r9, r11
                smmlar r5, r5, r9, r11
                smmlar r7, r7, r9, r11",
            store "ssat r0, #8, r0
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
        );
    };
}

/// Tiles of two words.
macro_rules! twos {
    ($name:literal, $unroll:expr, $size:expr, $kind:tt, $gaps:literal, $body:literal) => {
        tiles!(
            $name, $unroll, $size, $kind, gaps $gaps, body $body,
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
            wide "smmlar r0, r0, r9, r11
                smmlar r2, r2, r9, r11
                smmlar r1, r1, r9, r11
                smmlar r3, r3, r9, r11",
            narrow "smmlar r0, r0, r10, r11
                smmlar r2, r2, r10, r11
                smmlar r1, r1, r9, r11
                smmlar r3, r3, r9, r11",
            store "ssat r0, #8, r0
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

/// All the columns: no gaps.
macro_rules! all {
    ($tiles:ident, $name:literal, $size:expr, $body:literal) => {
        $tiles!($name, UNROLL, $size, ["r10", "r8", "mov r0, r9"], "", $body);
    };
}

/// Blocks with gaps: their sum and their number are at most the blocks of a row.
macro_rules! some {
    ($tiles:ident, $name:literal, $unroll:expr, $size:expr, $weights:literal, $body:literal) => {
        $tiles!(
            $name,
            $unroll,
            $size,
            ["r9", "r7", $weights],
            "mov r10, r9
             subs r0, r9, #4
             blo 12f
             11:
             ldr lr, [r7], #4
             usada8 r10, lr, r11, r10
             subs r0, #4
             bhs 11b
             12:
             adds r0, #4
             beq 14f
             13:
             ldrb lr, [r7], #1
             add r10, lr
             subs r0, #1
             bne 13b
             14:
             cmp r10, r3
             bhi.w 99f",
            $body
        );
    };
}

all!(
    fours,
    "nested_kernels_tiles_all_4",
    28,
    "ldrsb r11, [r10], #1
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
    "mov r0, r9",
    "ldrb r12, [r9], #1
     ldrsb r11, [r10], #1
     add.w r8, r8, r12, lsl #4
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr
     ldrd r12, lr, [r8], #8
     smlal r4, r5, r11, r12
     smlal r6, r7, r11, lr"
);
some!(
    fours,
    "nested_kernels_tiles_2_4",
    UNROLL_PAIRS,
    64,
    "lsl r0, r9, #1",
    "ldrb r12, [r9], #1
     ldrsb r11, [r10], #1
     add.w r8, r8, r12, lsl #5
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr
     ldrd r12, lr, [r8], #8
     smlal r4, r5, r11, r12
     smlal r6, r7, r11, lr
     ldrsb r11, [r10], #1
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr
     ldrd r12, lr, [r8], #8
     smlal r4, r5, r11, r12
     smlal r6, r7, r11, lr"
);
all!(
    twos,
    "nested_kernels_tiles_all_2",
    16,
    "ldrsb r11, [r10], #1
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr"
);
some!(
    twos,
    "nested_kernels_tiles_1_2",
    UNROLL,
    24,
    "mov r0, r9",
    "ldrb r12, [r9], #1
     ldrsb r11, [r10], #1
     add.w r8, r8, r12, lsl #3
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr"
);
some!(
    twos,
    "nested_kernels_tiles_2_2",
    UNROLL_PAIRS,
    40,
    "lsl r0, r9, #1",
    "ldrb r12, [r9], #1
     ldrsb r11, [r10], #1
     add.w r8, r8, r12, lsl #4
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr
     ldrsb r11, [r10], #1
     ldrd r12, lr, [r8], #8
     smlal r0, r1, r11, r12
     smlal r2, r3, r11, lr"
);
