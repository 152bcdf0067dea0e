//! Rows decoded and walked many in one call: what the assembly of [`super::ring_rows`] and [`super::filter_rows`] shares.
use super::{
    Bounds,
    band::{Band, Parts},
    stored_rows::StoredRows,
    table,
    walk::Walk,
};
use core::mem::offset_of;
use nested_csr::Requantizations;

/// What the assembly reads. `S` is five words that say where the rows come from: [`State::new`] counts them.
#[repr(C)]
pub(super) struct State<S> {
    multiplier: i32,
    multiplier_low: i32,
    zero_point: i32,
    outputs: [*mut i8; 2],
    segments: *const i32,
    table: *mut u32,
    packed: *const u32,
    source: S,
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

/// Decodes and walks `state.rows` rows, which become 0; or fewer, and returns [`DECODED`] or an error.
pub(super) type Function<S> = unsafe extern "C" fn(&mut State<S>) -> usize;

/// The assembly's result when a row was not walked but only decoded.
const DECODED: usize = 1;

/// Where the assembly finds what it reads and writes; `requantizations` begins at 76.
const _: () = {
    type Any = State<[usize; 5]>;
    assert!(offset_of!(Any, outputs) == 12 && offset_of!(Any, table) == 24 && offset_of!(Any, packed) == 28);
    assert!(offset_of!(Any, source) == 32 && offset_of!(Any, bias) == 52 && offset_of!(Any, output_step) == 56);
    assert!(offset_of!(Any, rows) == 60 && offset_of!(Any, entries) == 64 && offset_of!(Any, start) == 68);
    assert!(offset_of!(Any, sum) == 72 && offset_of!(Any, requantizations) == 76);
};

impl<S> State<S> {
    /// Before the first of the rows; `skipped` of the requantisations belong to rows before it.
    pub(super) fn new(
        source: S,
        requantizations: &Requantizations<'_>,
        skipped: usize,
        bounds: Bounds,
    ) -> Option<State<S>> {
        const { assert!(size_of::<S>() == 20 && align_of::<S>() == 4, "a source is five words") };
        Some(State {
            multiplier: 0,
            multiplier_low: 0,
            zero_point: bounds.zero_point.into(),
            outputs: [core::ptr::null_mut(); 2],
            segments: core::ptr::null(),
            table: core::ptr::null_mut(),
            packed: core::ptr::null(),
            source,
            bias: 0,
            output_step: 0,
            rows: 0,
            entries: 0,
            start: 0,
            sum: 0,
            requantizations: StoredRows::new(requantizations, skipped)?,
        })
    }

    /// Every output of `total` rows in a band. False when `function` has stopped at an error before the last of them.
    ///
    /// # Safety
    /// `function` does as [`Function`] says for this source, which has `total` rows, as the requantisations have; its tables
    /// lead to places in the band, and have no more entries than `parts.table` has room for.
    #[must_use]
    pub(super) unsafe fn walk(
        &mut self,
        function: Function<S>,
        total: usize,
        band: &Band<'_>,
        first: usize,
        parts: &mut Parts<'_>,
        output: &mut [i8],
    ) -> bool {
        let plane = band.geometry.output.height * band.geometry.output.width;
        let total = total.min(output.len() / plane.max(1));
        let lanes = band.lanes_from(first);
        let mut left = total;
        self.segments = parts.segments.as_ptr();
        self.table = parts.table.as_mut_ptr();
        self.packed = parts.packed.as_ptr();
        while left > 0 {
            let at = (total - left) * plane;
            let direct = band.direct(lanes, output.len() - at, left);
            self.rows = direct.max(1);
            // A strip is copied after each row.
            let (outputs, target) = match direct {
                0 => (band.strip_lanes(), parts.strip.as_mut_ptr()),
                _ => (lanes, output.as_mut_ptr().wrapping_add(at)),
            };
            self.outputs = outputs.map(|at| target.wrapping_add(at));
            self.output_step = plane;
            left -= self.rows;
            // SAFETY: what it reads and writes of band, segments and outputs is as in `walk::assembly`: each row's outputs
            // lie `output_step` behind those of the row before, for no more rows than the output holds (or there is one row,
            // in the strip). The rest the caller has promised. It keeps the registers that the C ABI asks for.
            let result = unsafe { function(self) };
            left += self.rows;
            if result == DECODED {
                left -= 1;
            } else if self.rows > 0 {
                return false;
            }
            let last = output.get_mut((total - left - 1) * plane..).unwrap_or_default();
            if result == DECODED {
                self.walk_wide(parts, outputs, (direct > 0).then_some(&mut *last));
                // It has written to the table otherwise, which ends the life of a pointer from before.
                self.table = parts.table.as_mut_ptr();
            }
            if direct == 0 {
                band.copy_strip(first, parts.strip, last.get_mut(..plane).unwrap_or_default());
            }
        }
        true
    }

    /// Walks the row that was only decoded: the multiplier of lane 0, which comes in the upper 24 bits of a word, would be
    /// taken without its lowest byte.
    #[inline(never)]
    fn walk_wide(&mut self, parts: &mut Parts<'_>, outputs: [usize; 2], target: Option<&mut [i8]>) {
        let decoded = table::Row { entries: self.entries, start: self.start, sum: self.sum };
        decoded.write_wide_head(parts.table);
        let walk = Walk {
            packed: parts.packed,
            table: parts.table,
            entries: decoded.entries,
            segments: parts.segments,
            start: decoded.start,
            multiplier: self.multiplier,
            zero_point: self.zero_point,
            outputs,
        };
        walk.pixels_wide(decoded.biases(self.bias), target.unwrap_or(parts.strip));
    }
}

/// Begins a row of the state in r0, which is kept at `sp + 44`; the way back to the next row.
macro_rules! begin_row {
    () => {
        concat!(
            "str r0, [sp, #44]
             89:\n",
            requantization!("76", "80"),
            "strd r6, r7, [r0]
             str r5, [r0, #52]\n"
        )
    };
}

/// The head of a table of pixel pairs at r12, with r8 entries, from where r9 says on, and 256 times its sum in r7; a row
/// whose multiplier has something in its lowest byte is left to the caller.
macro_rules! pixels_head {
    () => {
        "ldrb r1, [r0]
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
         strd r6, r7, [r12, #24]\n"
    };
}

/// What a walk begins with, from the state in r0, the table in r12, its entries in r8 and where they begin in r9.
macro_rules! begin_walk {
    () => {
        "ldr r7, [r0, #28]
         add r9, r7
         mov r7, r12
         ldr r11, [r0, #56]
         ldm r0, {{r1-r6}}
         add r10, r4, r11
         add r11, r5
         strd r10, r11, [r0, #12]\n"
    };
}

/// After a row.
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
pub(super) use {begin_row, begin_walk, next_row, pixels_head};
