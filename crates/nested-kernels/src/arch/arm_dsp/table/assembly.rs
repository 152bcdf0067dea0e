//! The decoding of a run in assembly: 14 instructions an entry.
use core::mem::offset_of;

/// How far the decoding of a row has come. The assembly fills in `gaps` and what follows it for a run.
#[repr(C)]
#[derive(Debug)]
pub(super) struct State {
    gaps: *const u8,
    weights: *const u8,
    left: usize,
    places: *const u32,
    table: *mut [u32; 2],
    places_end: *const u32,
    pub(super) place: u32,
    pub(super) sum: i32,
    /// Places, less 1.
    most: usize,
    gaps_end: *const u8,
    places_start: *const u32,
}

/// Where the assembly finds what it reads and writes.
const _: () = {
    assert!(offset_of!(State, places) == 12 && offset_of!(State, places_end) == 20 && offset_of!(State, sum) == 28);
    assert!(
        offset_of!(State, most) == 32 && offset_of!(State, gaps_end) == 36 && offset_of!(State, places_start) == 40
    );
};

/// The most columns of a row whose sum the assembly adds up, for pairs of pixels: in the upper 24 bits of a word.
const MOST_COLUMNS: usize = (1 << 23) / 128 - 1;

unsafe extern "C" {
    fn nested_kernels_decode_pixels(gaps: *const u8, weights: *const u8, count: usize, state: &mut State) -> usize;
    fn nested_kernels_decode_channels(gaps: *const u8, weights: *const u8, count: usize, state: &mut State) -> usize;
    fn nested_kernels_decode_singles(gaps: *const u8, weights: *const u8, count: usize, state: &mut State) -> usize;
}

impl State {
    /// Before the first entry of a table.
    pub(super) fn new(places: &[u32], table: &mut [[u32; 2]]) -> State {
        let ends = places.as_ptr_range();
        State {
            gaps: core::ptr::null(),
            weights: core::ptr::null(),
            left: 0,
            places: ends.start,
            table: table.as_mut_ptr(),
            places_end: ends.end,
            place: 0,
            sum: 0,
            most: places.len().saturating_sub(1),
            gaps_end: core::ptr::null(),
            places_start: ends.start,
        }
    }

    /// Entries written to this table.
    #[inline(always)]
    pub(super) fn entries(&self, table: &[[u32; 2]]) -> usize {
        (self.table.addr() - table.as_ptr().addr()) / 8
    }

    /// Says that an entry was written otherwise.
    pub(super) fn written(&mut self) {
        self.table = self.table.wrapping_add(1);
    }

    /// Decodes blocks of `WIDTH` weights for pairs of pixels (`WIDTH` 1) or of channels (2, or 1 for single weights) to the
    /// table that this was made for. Returns the blocks taken, and the number of the block behind them: none of a row for
    /// pairs of pixels that has so many columns that its sum may need more than 24 bits.
    #[inline(always)]
    pub(super) fn run<const WIDTH: usize, const CHANNELS: bool>(
        &mut self,
        table: &mut [[u32; 2]],
        gaps: &[u8],
        weights: &[[u8; WIDTH]],
    ) -> (usize, u32) {
        let room = table.len().saturating_sub(self.entries(table));
        let count = gaps.len().min(weights.len()).min(room);
        if count == 0 || (!CHANNELS && self.most >= MOST_COLUMNS) {
            return (0, 0);
        }
        // What the table's owner has written since is behind this pointer, not the one before.
        self.table = table.as_mut_ptr().with_addr(self.table.addr());
        let (gaps, weights) = (gaps.as_ptr(), weights.as_ptr().cast());
        // SAFETY: the assembly reads at most `count` gaps and blocks of weights and writes as many entries, for which
        // there is room; it reads a place only below `places_end`, and with blocks of two the places are a whole number
        // of blocks (the caller has checked that they are pairs). A first single weight joins no entry: at offset 0 the
        // last place would be 24, and it is 0 before the first entry.
        let left = unsafe {
            match (WIDTH, CHANNELS) {
                (_, false) => nested_kernels_decode_pixels(gaps, weights, count, self),
                (1, true) => nested_kernels_decode_singles(gaps, weights, count, self),
                (_, true) => nested_kernels_decode_channels(gaps, weights, count, self),
            }
        };
        let passed = (self.places.addr() - self.places_start.addr()) / (4 * WIDTH);
        (count - left, passed as u32)
    }
}

// r0: gaps, r1: weights, r2: blocks left, r3: places, r4: table, r5: the places' end, r6 (and r8): the last place,
// r7: sum, lr: the arguments.
macro_rules! decode {
    ($name:literal, $start:literal, $body:literal) => {
        dsp_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            ".syntax unified",
            ".p2align 2",
            concat!(".global ", $name),
            concat!(".type ", $name, ",%function"),
            ".thumb_func",
            concat!($name, ":"),
            "push {{r4-r11, lr}}",
            "mov lr, r3",
            "add r4, r0, r2",
            "str r4, [lr, #36]",
            "ldr r3, [lr, #40]",
            "add r4, lr, #16",
            "ldm r4, {{r4-r7}}",
            $start,
            "2:",
            $body,
            "subs r2, #1",
            "bne 2b",
            "b 3f",
            "4:",
            "mov r6, r8",
            "3:",
            "stm lr, {{r0-r7}}",
            "mov r0, r2",
            "pop {{r4-r11, pc}}",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
        );
    };
}

// Four weights at a time while all their gaps are below 128: r3: places, r8: the column behind the last one, r9: four
// times gap + 1, r10: weights 0 and 2, r11: weights 1 and 3, r12: a step, r2: a weight, r7: 256 times the sum,
// lr: 256 in both halves, r5 and r6: the last place in turn; on the stack: the arguments, and the gaps' fourfold end.
decode!(
    "nested_kernels_decode_pixels",
    "cmp r2, #8
     blo 2f
     bic r2, r2, #3
     add r2, r0, r2
     push {{r2, lr}}
     mov lr, #0x01000100
     lsl r7, r7, #8
     mov r8, #0
     sub r3, r3, #4
     8:
     ldr r9, [r0]
     ldr r11, [r1]
     tst r9, #0x80808080
     add r9, r9, #0x01010101
     bne 9f
     usad8 r12, r9, lr
     ldr r2, [sp, #4]
     ldr r2, [r2, #32]
     add r12, r12, r8
     cmp r12, r2
     bhs 9f
     sxtb16 r10, r11
     sxtb16 r11, r11, ror #8
     uxtab r8, r8, r9
     smlad r7, r10, lr, r7
     ldr r5, [r3, r8, lsl #2]
     uxtab r8, r8, r9, ror #8
     smulbb r2, r10, lr
     sub r12, r5, r6
     ldr r6, [r3, r8, lsl #2]
     strd r12, r2, [r4], #8
     uxtab r8, r8, r9, ror #16
     smulbb r2, r11, lr
     sub r12, r6, r5
     ldr r5, [r3, r8, lsl #2]
     strd r12, r2, [r4], #8
     smlad r7, r11, lr, r7
     smultb r2, r10, lr
     uxtab r8, r8, r9, ror #24
     sub r12, r5, r6
     strd r12, r2, [r4], #8
     ldr r6, [r3, r8, lsl #2]
     smultb r2, r11, lr
     sub r12, r6, r5
     strd r12, r2, [r4], #8
     ldr r2, [sp]
     add r0, r0, #4
     add r1, r1, #4
     cmp r0, r2
     bne 8b
     9:
     pop {{r2, lr}}
     asr r7, r7, #8
     add r3, r3, r8, lsl #2
     add r3, r3, #4
     ldr r5, [lr, #36]
     sub r2, r5, r0
     ldr r5, [lr, #20]
     cmp r2, #0
     beq 3f",
    "ldrb r9, [r0], #1
     ldrsb r10, [r1], #1
     cmp r9, #255
     beq 3f
     add r3, r3, r9, lsl #2
     cmp r3, r5
     bhs 3f
     ldr r8, [r3], #4
     add r7, r10
     lsl r10, r10, #8
     sub r9, r8, r6
     strd r9, r10, [r4], #8
     subs r2, #1
     beq 4f
     ldrb r9, [r0], #1
     ldrsb r10, [r1], #1
     cmp r9, #255
     beq 4f
     add r3, r3, r9, lsl #2
     cmp r3, r5
     bhs 4f
     ldr r6, [r3], #4
     add r7, r10
     lsl r10, r10, #8
     sub r9, r6, r8
     strd r9, r10, [r4], #8"
);

decode!(
    "nested_kernels_decode_channels",
    "",
    "ldrb r9, [r0], #1
     ldrsb r10, [r1], #1
     ldrsb r12, [r1], #1
     cmp r9, #255
     beq 3f
     add r3, r3, r9, lsl #3
     cmp r3, r5
     bhs 3f
     ldr r11, [r3], #8
     pkhbt r10, r10, r12, lsl #16
     sub r9, r11, r6
     add r6, r11, #24
     strd r10, r9, [r4], #8"
);

// Single weights for pairs of channels: the second of a pair joins the first when that was the entry before.
decode!(
    "nested_kernels_decode_singles",
    "",
    "ldrb r9, [r0], #1
     ldrsb r10, [r1], #1
     cmp r9, #255
     beq 3f
     add r3, r3, r9, lsl #2
     cmp r3, r5
     bhs 3f
     ldr r11, [r3], #4
     lsrs r9, r11, #1
     bcs 5f
     uxth r10, r10
     sub r9, r11, r6
     add r6, r11, #24
     strd r10, r9, [r4], #8
     b 7f
     5:
     add r11, r11, #23
     lsl r10, r10, #16
     cmp r11, r6
     bne 6f
     ldr r9, [r4, #-8]
     orr r9, r9, r10
     str r9, [r4, #-8]
     b 7f
     6:
     sub r9, r11, r6
     sub r9, r9, #24
     mov r6, r11
     strd r10, r9, [r4], #8
     7:"
);
