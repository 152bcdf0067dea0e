//! Rows of byte rings, each decoded and walked in one call: what [`super::table`] and [`super::walk`] do, for the commonest
//! way to store weights.
use super::{
    Bounds,
    band::{Band, Lines, Parts},
    pack::Pairing,
    row_walk::{Function, State, begin_row, begin_walk, next_row, pixels_head},
    stored_rows::requantization,
    walk::assembly::{UNROLL, both_lanes, one_lane, pixels_body, walk, walk_channels, walk_pixels},
};
use crate::Geometry;
use core::mem::offset_of;
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

/// Where the rows come from.
#[repr(C)]
struct Source {
    rings: *mut Ring,
    rings_end: *mut Ring,
    /// One block before the first.
    places: *const u32,
    blocks: usize,
    /// `blocks`, less what a sum of four gaps is short of.
    limit: usize,
}

/// As the assembly loads them: many words at once.
const _: () = {
    assert!(offset_of!(Ring, counts) == 8 && offset_of!(Ring, count_width) == 12 && offset_of!(Ring, left) == 16);
    assert!(size_of::<Ring>() == 20 && offset_of!(Source, rings_end) == 4 && offset_of!(Source, places) == 8);
    assert!(offset_of!(Source, blocks) == 12 && offset_of!(Source, limit) == 16);
};

unsafe extern "C" {
    fn nested_kernels_ring_rows_pixels(state: &mut State<Source>) -> usize;
    fn nested_kernels_ring_rows_channels(state: &mut State<Source>) -> usize;
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
        if !suits || parameters.rows.len() != shape.rows {
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

    /// Every row's outputs in a band. False when some row's blocks lie behind its last column, or out of its ring.
    #[must_use]
    pub(super) fn walk(
        mut self,
        band: &Band<'_>,
        first: usize,
        parameters: &NodeParameters<'_>,
        bounds: Bounds,
        parts: &mut Parts<'_>,
        output: &mut [i8],
    ) -> bool {
        let (function, width): (Function<Source>, _) = match band.lines.pairing {
            Pairing::Pixels => (nested_kernels_ring_rows_pixels, 1),
            Pairing::Channels => (nested_kernels_ring_rows_channels, 2),
        };
        let blocks = parts.places.len() / width;
        let rings = self.rings.as_mut_ptr();
        let source = Source {
            rings,
            rings_end: rings.wrapping_add(self.count),
            places: parts.places.as_ptr().wrapping_sub(width),
            blocks,
            limit: blocks.wrapping_sub(2),
        };
        let Some(mut state) = State::new(source, &parameters.rows, 0, bounds) else { return false };
        // SAFETY: the assembly reads a count of each ring for each of the matrix's rows, and takes no more gaps and weights
        // than the ring has left. It reads a place only after it has compared its number, counted from 1 and at least that
        // whatever the gaps are, with `blocks`, and takes no more blocks a row than that, which is what the table has room for.
        unsafe { state.walk(function, self.rows, band, first, parts, output) }
    }
}

/// From the state in r0: r0: gaps, r1: weights, r3: one block before the places, r4: where the next entry goes, r6: where the
/// walk stands before it, r7: 256 times the sum, r8: the block behind the last one, lr: 256 in both halves. On the stack
/// above the walk's 36 bytes: entries left in the table, blocks of a row (40), the state (44), the ring (48) and the rings'
/// end, the end of the gaps that come in fours (56), blocks left after them (60), the limit of sums of four gaps (64), 1 in each
/// byte (68).
///
/// Four gaps become steps at once, each its gap and 1. They saturate: a gap of 255, which no ring here has when it is parsed,
/// then neither carries into the next nor becomes a step of 0, which would lead from a row's beginning to before the places.
macro_rules! decode {
    ($first:literal, $fours:literal, $one:literal, $($rest:expr),*) => {
        concat!(
            "mov r1, #0x01010101
             str r1, [sp, #68]\n",
            begin_row!(),
            "ldrd r9, r10, [r0, #32]
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
             blo.w 98f
             str r10, [r9, #16]
             ldr r10, [sp, #36]
             mov r8, #0
             subs r10, r11
             blo.w 98f
             str r10, [sp, #36]
             and r2, r11, #3
             str r2, [sp, #60]
             bics r10, r11, #3
             beq.w 9f
             add r10, r0
             str r10, [sp, #56]
             lsls r11, r11, #29
             bmi.w 7f
             8:\n",
            $fours,
            "
             7:\n",
            $fours,
            "
             ldr r2, [sp, #56]
             cmp r0, r2
             bne.w 8b
             9:
             ldr r2, [sp, #60]
             ldr r12, [sp, #40]
             cbz r2, 12f
             11:
             ldrb r9, [r0], #1
             add r8, r9
             adds r8, #1
             cmp r8, r12
             bhi.w 98f\n",
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
            $($rest,)*
            "\n",
            begin_walk!(),
            "b 97f
             98:
             mov r0, #2
             b.w 99f
             97:"
        )
    };
}

walk_pixels!(
    "nested_kernels_ring_rows_pixels",
    "76",
    decode!(
        "28",
        "ldr r9, [r0], #4
         ldr r11, [r1], #4
         ldrd r2, r12, [sp, #64]
         uqadd8 r9, r9, r12
         usada8 r12, r9, lr, r8
         sxtb16 r10, r11
         sxtb16 r11, r11, ror #8
         cmp r12, r2
         bhi.w 98f
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
",
        pixels_head!()
    ),
    next_row!()
);

walk_channels!(
    "nested_kernels_ring_rows_channels",
    "76",
    decode!(
        "32",
        "ldr r9, [r0], #4
         ldr r10, [r1], #4
         ldr r11, [r1], #4
         ldrd r2, r12, [sp, #64]
         uqadd8 r9, r9, r12
         usada8 r12, r9, lr, r8
         cmp r12, r2
         bhi.w 98f
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
