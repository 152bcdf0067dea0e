//! Little-endian reads that cannot leave their slice: what is not there reads as zero.
//! Parsing checks lengths first, so a zero is never mistaken for data.

/// The byte at `at`.
pub(crate) fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The 16-bit word at `at`, at any alignment.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

/// The 32-bit word at `at`, at any alignment.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// `N` bytes at `at`.
#[inline]
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// `bytes[start..end]`, or nothing where that is not inside `bytes`.
pub(crate) fn range(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    bytes.get(start..end).unwrap_or(&[])
}

/// The least multiple of 4 that is not below `len`; `None` past `u32::MAX`.
pub(crate) fn padded(len: u32) -> Option<u32> {
    Some(len.checked_add(3)? & !3)
}
