//! The requantisations of rows as they are stored, for assembly that reads them itself.
use core::mem::offset_of;
use nested_csr::Requantizations;

/// What is left of them: [`requantization`] takes a row's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredRows {
    next: *const u8,
    /// From a bias to the word that ends with it, in bytes, and what shifts the word to the bias.
    offset: isize,
    shift: usize,
}

/// As [`requantization`] finds them.
const _: () = assert!(offset_of!(StoredRows, offset) == 4 && offset_of!(StoredRows, shift) == 8);

impl StoredRows {
    /// From row `skipped` on. `None` when the rows are not as they must be; a model's are.
    ///
    /// The word that ends with a bias of one byte begins one byte before its row. The first row of a model's requantisations
    /// lies behind a node's record in the same section, so that this byte is the file's too.
    pub(super) fn new(rows: &Requantizations<'_>, skipped: usize) -> Option<Self> {
        let (bytes, width) = rows.stored();
        let suits = (1..=4).contains(&width) && bytes.len() >= rows.len() * (2 + width);
        let next = bytes.get(skipped * (2 + width)..)?.as_ptr();
        suits.then_some(StoredRows { next, offset: width as isize - 4, shift: 32 - 8 * width })
    }
}

/// Takes the next row of the [`StoredRows`] at `r0 + $next` (`$offset` is 4 more): r5: its bias, r6: its multiplier,
/// r7: the same >> 8; r1–r4 and the flags are lost.
macro_rules! requantization {
    ($next:literal, $offset:literal) => {
        concat!(
            "ldr r1, [r0, #",
            $next,
            "]
             ldrd r2, r3, [r0, #",
            $offset,
            "]
             ldrh r4, [r1], #2
             ldr r5, [r1, r2]
             adds r2, #4
             add r1, r2
             asr r5, r3
             str r1, [r0, #",
            $next,
            "]
             mov r6, #0x8000
             bfi r6, r4, #3, #12
             lsr r7, r4, #12
             lsl r6, r7
             cbnz r4, 77f
             mov r6, #0
             77:
             lsr r7, r6, #8\n"
        )
    };
}
pub(super) use requantization;
