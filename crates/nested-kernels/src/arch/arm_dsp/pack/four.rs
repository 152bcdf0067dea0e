//! Four pixels of each lane at a time, in assembly: 3 to 3¼ instructions a word.
use super::{Channels, Lane, Pairing};
use core::mem::offset_of;

/// What the assembly reads: pointers, counts, and what is added to a pointer at the end of a row.
#[repr(C)]
struct Rows {
    a: *const i8,
    b: *const i8,
    even: *mut u32,
    odd: *mut u32,
    /// Plus 1: half of it counts turns of two chunks, the first of which may be a half one.
    chunks: usize,
    rows: usize,
    a_step: isize,
    b_step: isize,
    step: isize,
}

/// As the assembly loads them.
const _: () = assert!(offset_of!(Rows, chunks) == 16 && offset_of!(Rows, rows) == 20 && offset_of!(Rows, a_step) == 24);

unsafe extern "C" {
    fn nested_kernels_pack_pixels_1(rows: &Rows);
    fn nested_kernels_pack_pixels_2(rows: &Rows);
    fn nested_kernels_pack_channels_1(rows: &Rows);
    fn nested_kernels_pack_channels_2(rows: &Rows);
    fn nested_kernels_pack_columns(a: *const i8, b: *const i8, words: *mut u32, turns: usize, step: usize);
}

/// Packs four pixels of each column, a column's words together.
pub(super) fn columns(lanes: [Lane<'_>; 2], columns: usize, packed: &mut [u32]) {
    let step = lanes[0].step;
    let read = |lane: &Lane<'_>| lane.step == step && columns.saturating_sub(1) * step + 4 <= lane.pixels.len();
    if columns == 0 || 4 * columns > packed.len() || !lanes.iter().all(read) {
        return;
    }
    let [a, b] = lanes.map(|lane| lane.pixels.as_ptr());
    // SAFETY: the assembly reads four pixels of each lane for each of the columns, `step` apart, and writes four words a
    // column, all checked above. It keeps the registers that the C ABI asks for.
    unsafe { nested_kernels_pack_columns(a, b, packed.as_mut_ptr(), columns + 1, step) }
}

/// Packs `chunks` times four pixels of each channel, even ones from word `starts[0]` on, odd ones from `starts[1]`.
pub(super) fn pack(
    pairing: Pairing,
    stride: usize,
    chunks: usize,
    starts: [usize; 2],
    lanes: [Lane<'_>; 2],
    channels: &mut Channels<'_>,
) {
    let pixels = 4 * chunks;
    let more = channels.count.saturating_sub(1);
    // Without a stride all pixels are one run.
    let (last, words) = if stride == 1 { (starts[0], pixels) } else { (starts[0].max(starts[1]), pixels / 2) };
    let read = |lane: &Lane<'_>| more * lane.step + pixels <= lane.pixels.len();
    let written = more * channels.pitch + last + words <= channels.words.len();
    if channels.count == 0 || !lanes.iter().all(read) || !written {
        return;
    }
    let back = |step: usize| step as isize - pixels as isize;
    let first = channels.words.as_mut_ptr();
    let args = Rows {
        a: lanes[0].pixels.as_ptr(),
        b: lanes[1].pixels.as_ptr(),
        even: first.wrapping_add(starts[0]),
        odd: first.wrapping_add(starts[1]),
        chunks: chunks + 1,
        rows: channels.count,
        a_step: back(lanes[0].step),
        b_step: back(lanes[1].step),
        step: 4 * (channels.pitch as isize - words as isize),
    };
    // SAFETY: the lanes hold what is read, and the words what is written, both checked above: of the last channel as of those
    // before it, whose rows begin `pitch` earlier each. The assembly keeps the registers that the C ABI asks for.
    unsafe {
        match (pairing, stride) {
            (Pairing::Pixels, 1) => nested_kernels_pack_pixels_1(&args),
            (Pairing::Pixels, _) => nested_kernels_pack_pixels_2(&args),
            (Pairing::Channels, 1) => nested_kernels_pack_channels_1(&args),
            (Pairing::Channels, _) => nested_kernels_pack_channels_2(&args),
        }
    }
}

// r0, r1: the lanes; r2, r3: where even and odd pixels go; r4–r9: a chunk; r10: chunks left; r11: rows left;
// r12: 0xff00ff00; lr: the arguments.
macro_rules! pack {
    ($name:literal, $pair:expr, $store:literal) => {
        dsp_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            ".syntax unified",
            ".p2align 2",
            concat!(".global ", $name),
            concat!(".type ", $name, ",%function"),
            ".thumb_func",
            concat!($name, ":"),
            "push {{r4-r11, lr}}",
            "mov lr, r0",
            "ldr r11, [lr, #20]",
            "ldm lr, {{r0-r3}}",
            "mov r12, #0xff00ff00",
            "2:",
            "ldr r10, [lr, #16]",
            "lsrs r10, r10, #1",
            "bcc 4f",
            "3:",
            $pair,
            $store,
            "4:",
            $pair,
            $store,
            "subs r10, #1",
            "bne 3b",
            "add r4, lr, #24",
            "ldm r4, {{r4-r6}}",
            "add r0, r4",
            "add r1, r5",
            "add r2, r6",
            "add r3, r6",
            "subs r11, #1",
            "bne 2b",
            "pop {{r4-r11, pc}}",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
        );
    };
}

/// From four pixels of both lanes in r4 and r5 to four words in r4–r7.
macro_rules! pixel_pairs {
    () => {
        "eor r4, r4, #0x80808080
         uxtb16 r6, r4
         and r8, r12, r5, lsl #8
         uxtb16 r7, r4, ror #8
         and r9, r5, r12
         pkhbt r4, r6, r8, lsl #16
         pkhbt r5, r7, r9, lsl #16
         pkhtb r6, r8, r6, asr #16
         pkhtb r7, r9, r7, asr #16\n"
    };
}

macro_rules! pack_pixels {
    ($name:literal, $store:literal) => {
        pack!($name, concat!("ldr r4, [r0], #4\n ldr r5, [r1], #4\n", pixel_pairs!()), $store);
    };
}

macro_rules! pack_channels {
    ($name:literal, $store:literal) => {
        pack!(
            $name,
            "ldr r4, [r0], #4
             ldr r5, [r1], #4
             sxtb16 r6, r4
             sxtb16 r8, r5
             sxtb16 r7, r4, ror #8
             sxtb16 r9, r5, ror #8
             pkhbt r4, r6, r8, lsl #16
             pkhbt r5, r7, r9, lsl #16
             pkhtb r6, r8, r6, asr #16
             pkhtb r7, r9, r7, asr #16",
            $store
        );
    };
}

pack_pixels!("nested_kernels_pack_pixels_1", "stm r2!, {{r4-r7}}");
pack_pixels!("nested_kernels_pack_pixels_2", "strd r4, r6, [r2], #8\n strd r5, r7, [r3], #8");
pack_channels!("nested_kernels_pack_channels_1", "stm r2!, {{r4-r7}}");
pack_channels!("nested_kernels_pack_channels_2", "strd r4, r6, [r2], #8\n strd r5, r7, [r3], #8");

dsp_asm!(
    ".pushsection .text.nested_kernels_pack_columns,\"ax\",%progbits",
    ".syntax unified",
    ".p2align 2",
    ".global nested_kernels_pack_columns",
    ".type nested_kernels_pack_columns,%function",
    ".thumb_func",
    "nested_kernels_pack_columns:",
    "push {{r4-r11, lr}}",
    "ldr r10, [sp, #36]",
    "mov r12, #0xff00ff00",
    // Turns of two columns; the first may be a half one.
    "lsrs r3, r3, #1",
    "bcc 3f",
    "2:",
    "ldr r4, [r0]",
    "ldr r5, [r1]",
    "add r0, r10",
    "add r1, r10",
    pixel_pairs!(),
    "stm r2!, {{r4-r7}}",
    "3:",
    "ldr r4, [r0]",
    "ldr r5, [r1]",
    "add r0, r10",
    "add r1, r10",
    pixel_pairs!(),
    "stm r2!, {{r4-r7}}",
    "subs r3, #1",
    "bne 2b",
    "pop {{r4-r11, pc}}",
    ".size nested_kernels_pack_columns, . - nested_kernels_pack_columns",
    ".popsection",
);
