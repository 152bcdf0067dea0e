//! Rows of byte rings, each decoded and walked in one call: what [`super::table`] and [`super::walk`] do, for the commonest
//! way to store weights.
use super::stored_rows::{StoredRows, requantization};
use super::{
    Bounds,
    band::{Band, Lines, Parts},
    pack::Pairing,
    table,
    walk::{Walk, assembly},
};
use crate::Geometry;
use assembly::{UNROLL, pixels_body, pixels_store, walk, walk_channels, walk_pixels};
use nested_csr::{Level, MAX_LEVELS, MatrixView, NodeParameters};

/// What is left of a ring.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Ring {
    gaps: *const u8,
    weights: *const u8,
    counts: *const u8,
    count_width: usize,
    /// Blocks.
    left: usize,
}

/// What the assembly reads.
#[repr(C)]
struct State {
    multiplier: i32,
    multiplier_low: i32,
    zero_point: i32,
    outputs: [*mut i8; 2],
    segments: *const i32,
    table: *mut u32,
    packed: *const u32,
    rings: *mut Ring,
    rings_end: *mut Ring,
    /// One block before the first.
    places: *const u32,
    blocks: usize,
    /// `blocks`, less what a sum of four gaps is short of.
    limit: usize,
    bias: i32,
    /// From a row's outputs to the next's.
    output_step: usize,
    /// Rows to do; at least 1.
    rows: usize,
    /// Of a row that was not walked.
    entries: usize,
    start: i32,
    sum: i32,
    requantizations: StoredRows,
}

/// The assembly's result when a row was not walked but only decoded.
const DECODED: usize = 1;

unsafe extern "C" {
    fn nested_kernels_ring_rows_pixels(state: &mut State) -> usize;
    fn nested_kernels_ring_rows_channels(state: &mut State) -> usize;
}

/// The rings of a matrix up to a level.
#[derive(Clone, Debug)]
pub(super) struct RingRows<'a> {
    rings: [Ring; MAX_LEVELS],
    count: usize,
    rows: usize,
    lent: core::marker::PhantomData<&'a [u8]>,
}

impl<'a> RingRows<'a> {
    /// `None` when some ring is not one for the assembly, or when the rows need its slower form.
    pub(super) fn new(
        matrix: &MatrixView<'a>,
        level: Level,
        lines: Lines,
        geometry: &Geometry,
        parameters: &NodeParameters<'_>,
    ) -> Option<Self> {
        let (shape, width) = (matrix.shape(), matrix.block().width());
        let suits = match lines.pairing {
            Pairing::Pixels => width == 1 && parameters.narrow,
            // A block is a pair of channels.
            Pairing::Channels => width == 2 && geometry.input.channels.is_multiple_of(2),
        };
        if !suits || parameters.rows.len() != shape.rows || StoredRows::new(&parameters.rows).is_none() {
            return None;
        }
        let none = core::ptr::null();
        let mut rings = [Ring { gaps: none, weights: none, counts: none, count_width: 1, left: 0 }; MAX_LEVELS];
        for (slot, level) in rings.iter_mut().zip(level.up_to()) {
            let ring = matrix.byte_ring(level).ok()??;
            // As many gaps as blocks: no gap has two bytes. Rows of all columns are decoded faster elsewhere.
            let counted = ring.counts.len() >= usize::from(ring.count_width) * shape.rows && ring.count_width <= 2;
            let whole = ring.weights.len() == shape.rows * shape.columns;
            if !counted || whole || ring.gaps.len() * width != ring.weights.len() {
                return None;
            }
            *slot = Ring {
                gaps: ring.gaps.as_ptr(),
                weights: ring.weights.as_ptr(),
                counts: ring.counts.as_ptr(),
                count_width: ring.count_width.into(),
                left: ring.gaps.len(),
            };
        }
        let lent = core::marker::PhantomData;
        Some(RingRows { rings, count: level.number(), rows: shape.rows, lent })
    }

    /// Every row's outputs in a band.
    pub(super) fn walk(
        mut self,
        band: &Band<'_>,
        first: usize,
        parameters: &NodeParameters<'_>,
        bounds: Bounds,
        parts: &mut Parts<'_>,
        output: &mut [i8],
    ) {
        let pairing = band.lines.pairing;
        let (function, width): (unsafe extern "C" fn(&mut State) -> usize, _) = match pairing {
            Pairing::Pixels => (nested_kernels_ring_rows_pixels, 1),
            Pairing::Channels => (nested_kernels_ring_rows_channels, 2),
        };
        let Some(requantizations) = StoredRows::new(&parameters.rows) else { return };
        let plane = band.geometry.output.height * band.geometry.output.width;
        let narrow = band.narrow();
        let outputs = band.outputs(first);
        let blocks = parts.places.len() / width;
        let target = if narrow { parts.strip.as_mut_ptr() } else { output.as_mut_ptr() };
        let rings = self.rings.as_mut_ptr();
        let mut state = State {
            multiplier: 0,
            multiplier_low: 0,
            zero_point: bounds.zero_point.into(),
            outputs: outputs.map(|at| target.wrapping_add(at)),
            segments: parts.segments.as_ptr(),
            table: parts.table.as_mut_ptr(),
            packed: parts.packed.as_ptr(),
            rings,
            rings_end: rings.wrapping_add(self.count),
            places: parts.places.as_ptr().wrapping_sub(width),
            blocks,
            limit: blocks.wrapping_sub(2),
            bias: 0,
            output_step: if narrow { 0 } else { plane },
            rows: 0,
            entries: 0,
            start: 0,
            sum: 0,
            requantizations,
        };
        let total = self.rows.min(output.len() / plane.max(1));
        let mut left = total;
        while left > 0 {
            // A strip is copied after each row.
            let rows = if narrow { 1 } else { left };
            state.rows = rows;
            // SAFETY: the assembly reads a requantisation and a count of each ring for each of `rows` rows, which the
            // matrix has, and takes no more gaps and weights than the ring has left. It reads a place only after it has
            // compared its number with `blocks`, and takes no more blocks a row than there are entries in the table for.
            // What it reads and writes then is as in `walk::assembly`: each row's outputs lie `output_step` behind those of
            // the row before, for no more rows than the output holds. It keeps the registers that the C ABI asks for.
            let result = unsafe { function(&mut state) };
            left -= rows - state.rows;
            if result == DECODED {
                left -= 1;
                let at = (total - left - 1) * plane;
                let target =
                    if narrow { &mut *parts.strip } else { output.get_mut(at..at + plane).unwrap_or_default() };
                state.walk_wide(parts.packed, parts.table, parts.segments, outputs, target);
            } else if state.rows > 0 {
                return;
            }
            if narrow {
                let at = (total - left - 1) * plane;
                band.copy_strip(first, parts.strip, output.get_mut(at..at + plane).unwrap_or_default());
            }
        }
    }
}

impl State {
    /// Walks the row that was only decoded: the multiplier of lane 0, which comes in the upper 24 bits of a word, would be
    /// taken without its lowest byte.
    #[inline(never)]
    fn walk_wide(
        &mut self,
        packed: &[u32],
        table: &mut [u32],
        segments: &[i32],
        outputs: [usize; 2],
        target: &mut [i8],
    ) {
        self.outputs = self.outputs.map(|output| output.wrapping_add(self.output_step));
        let decoded = table::Row { entries: self.entries, start: self.start, sum: self.sum };
        decoded.write_wide_head(table);
        let walk = Walk {
            packed,
            table,
            entries: decoded.entries,
            segments,
            start: decoded.start,
            multiplier: self.multiplier,
            zero_point: self.zero_point,
            outputs,
        };
        walk.pixels_wide(decoded.biases(self.bias), target);
    }
}

/// From the state in r0: r0: gaps, r1: weights, r3: one block before the places, r4: where the next entry goes, r6: where the
/// walk stands before it, r7: 256 times the sum, r8: the block behind the last one, lr: 256 in both halves. On the stack
/// above the walk's 36 bytes: entries left in the table, blocks of a row (40), the state (44), the ring (48) and the rings'
/// end, the end of the gaps that come in fours (56), blocks left after them (60), the limit of sums of four gaps (64).
macro_rules! decode {
    ($first:literal, $fours:literal, $one:literal, $rest:literal) => {
        concat!(
            "str r0, [sp, #44]
             89:\n",
            requantization!("76", "80"),
            "strd r6, r7, [r0]
             str r5, [r0, #52]
             ldrd r9, r10, [r0, #32]
             strd r9, r10, [sp, #48]
             ldr r4, [r0, #24]
             add r9, r0, #40
             ldm r9, {{r3, r10, r11}}
             str r10, [sp, #36]
             str r10, [sp, #40]
             str r11, [sp, #64]
             mov r6, #0
             mov r7, #0
             mov lr, #0x01000100
             add r4, #",
            $first,
            "
             10:
             ldr r9, [sp, #48]
             ldm r9, {{r0, r1, r2, r5, r10}}
             cmp r5, #1
             ite eq
             ldrbeq r11, [r2], #1
             ldrhne r11, [r2], #2
             str r2, [r9, #8]
             subs r10, r11
             blo 98f
             str r10, [r9, #16]
             ldr r10, [sp, #36]
             mov r8, #0
             subs r10, r11
             blo 98f
             str r10, [sp, #36]
             bics r10, r11, #3
             and r11, r11, #3
             str r11, [sp, #60]
             beq 9f
             add r10, r0
             str r10, [sp, #56]
             8:\n",
            $fours,
            "
             ldr r2, [sp, #56]
             cmp r0, r2
             bne 8b
             9:
             ldr r2, [sp, #60]
             ldr r12, [sp, #40]
             cbz r2, 12f
             11:
             ldrb r9, [r0], #1
             add r8, r9
             adds r8, #1
             cmp r8, r12
             bhi 98f\n",
            $one,
            "
             subs r2, #1
             bne 11b
             12:
             ldrd r9, r10, [sp, #48]
             stm r9!, {{r0, r1}}
             adds r9, #12
             str r9, [sp, #48]
             cmp r9, r10
             bne 10b
             ldr r0, [sp, #44]
             ldr r12, [r0, #24]\n",
            $rest,
            // What the walk begins with.
            "
             ldr r7, [r0, #28]
             add r9, r7
             mov r7, r12
             ldr r11, [r0, #56]
             ldm r0, {{r1-r6}}
             add r10, r4, r11
             add r11, r5
             strd r10, r11, [r0, #12]
             b 97f
             98:
             mov r0, #2
             b.w 99f
             97:"
        )
    };
}

macro_rules! next_row {
    () => {
        "ldr r0, [sp, #44]
         ldr r1, [r0, #60]
         subs r1, #1
         str r1, [r0, #60]
         bne.w 89b
         mov r0, #0"
    };
}

walk_pixels!(
    "nested_kernels_ring_rows_pixels",
    "68",
    decode!(
        "28",
        "ldr r9, [r0], #4
         ldr r11, [r1], #4
         ldr r2, [sp, #64]
         add r9, r9, #0x01010101
         usada8 r12, r9, lr, r8
         sxtb16 r10, r11
         sxtb16 r11, r11, ror #8
         cmp r12, r2
         bhi 98f
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
         strd r12, r2, [r4], #8",
        "ldrsb r10, [r1], #1
         ldr r5, [r3, r8, lsl #2]
         lsl r10, r10, #8
         sub r9, r5, r6
         add r7, r10
         mov r6, r5
         strd r9, r10, [r4], #8",
        // A row without weights has one of 0.
        "add r10, r12, #28
         cmp r4, r10
         bne 13f
         ldr r6, [r3, #4]
         mov r9, #0
         strd r6, r9, [r4], #8
         13:
         ldr r9, [r10]
         sub r8, r4, r10
         add r2, r9, #17
         lsr r8, r8, #3
         sub r2, r6
         str r2, [r4]
         ldrb r1, [r0]
         ldr r5, [r0, #52]
         cbz r1, 14f
         asr r7, r7, #8
         strd r8, r9, [r0, #64]
         str r7, [r0, #72]
         mov r0, #1
         b.w 99f
         14:
         asr r2, r7, #1
         sub r2, r5, r2
         lsl r6, r2, #8
         asr r7, r2, #24
         adds r6, r6, #0x80000000
         adc r7, r7, r5
         strd r6, r7, [r12]
         strd r6, r7, [r12, #8]
         strd r6, r7, [r12, #16]
         strd r6, r7, [r12, #24]"
    ),
    next_row!()
);

walk_channels!(
    "nested_kernels_ring_rows_channels",
    "68",
    decode!(
        "32",
        "ldr r9, [r0], #4
         ldr r10, [r1], #4
         ldr r11, [r1], #4
         ldr r2, [sp, #64]
         add r9, r9, #0x01010101
         usada8 r12, r9, lr, r8
         cmp r12, r2
         bhi 98f
         sxtb16 r2, r10
         sxtb16 r10, r10, ror #8
         uxtab r8, r8, r9
         pkhbt r7, r2, r10, lsl #16
         ldr r12, [r3, r8, lsl #3]
         pkhtb r10, r10, r2, asr #16
         sub r5, r12, r6
         add r6, r12, #24
         uxtab r8, r8, r9, ror #8
         strd r7, r5, [r4], #8
         ldr r12, [r3, r8, lsl #3]
         sxtb16 r2, r11
         sub r5, r12, r6
         add r6, r12, #24
         uxtab r8, r8, r9, ror #16
         strd r10, r5, [r4], #8
         ldr r12, [r3, r8, lsl #3]
         sxtb16 r11, r11, ror #8
         sub r5, r12, r6
         add r6, r12, #24
         pkhbt r7, r2, r11, lsl #16
         uxtab r8, r8, r9, ror #24
         strd r7, r5, [r4], #8
         ldr r12, [r3, r8, lsl #3]
         pkhtb r11, r11, r2, asr #16
         sub r5, r12, r6
         add r6, r12, #24
         strd r11, r5, [r4], #8",
        "ldrsb r10, [r1], #1
         ldrsb r11, [r1], #1
         ldr r5, [r3, r8, lsl #3]
         pkhbt r10, r10, r11, lsl #16
         sub r9, r5, r6
         add r6, r5, #24
         strd r10, r9, [r4], #8",
        "add r10, r12, #32
         cmp r4, r10
         bne 13f
         ldr r5, [r3, #8]
         mov r9, #0
         add r6, r5, #24
         strd r9, r5, [r4], #8
         13:
         sub r8, r4, r10
         mov r2, #1
         lsr r8, r8, #3
         str r2, [r4, #4]
         sub r9, r6, #32
         ldr r2, [r12, #36]
         ldr r5, [r0, #52]
         sub r2, r9
         str r2, [r12, #36]
         mov r6, r5
         strd r5, r6, [r12]
         strd r5, r6, [r12, #8]
         strd r5, r6, [r12, #16]
         strd r5, r6, [r12, #24]"
    ),
    next_row!()
);
