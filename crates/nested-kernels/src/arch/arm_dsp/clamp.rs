//! Bounds tighter than int8's own, which the walks already keep.
use super::{Bounds, ops};

/// Clamps every output, four at a time: a saturating addition and its undoing move the int8 bound to where it is wanted.
pub(super) fn clamp(output: &mut [i8], bounds: Bounds) {
    let Bounds { low, high, .. } = bounds;
    if (low, high) == (i8::MIN, i8::MAX) {
        return;
    }
    let word = |byte: i8| u32::from_le_bytes([byte as u8; 4]);
    // The distances to int8's own bounds; beyond 127 (a high below 0, a low of 0 or more) they are no int8.
    let (chunks, tail) = output.as_chunks_mut::<4>();
    let (low, high) = (low.min(high), high);
    let [above, below] = [i8::MAX.wrapping_sub(high), low.wrapping_sub(i8::MIN)];
    if above >= 0 && below >= 0 {
        for bytes in chunks {
            let v = u32::from_le_bytes(bytes.map(|byte| byte as u8));
            let v = ops::qsub8(ops::qadd8(v, word(above)), word(above));
            let v = ops::qadd8(ops::qsub8(v, word(below)), word(below));
            *bytes = v.to_le_bytes().map(|byte| byte as i8);
        }
    } else {
        chunks.as_flattened_mut().iter_mut().for_each(|q| *q = (*q).max(low).min(high));
    }
    tail.iter_mut().for_each(|q| *q = (*q).max(low).min(high));
}
