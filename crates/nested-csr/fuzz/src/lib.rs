//! What the fuzz targets share: a mutator that makes checksums fit, an allocator that counts, and the two readers.
use nested_csr::{Kind, Layers, Model, NestedCsr};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

#[path = "../../tests/agree/mod.rs"]
pub mod agree;
#[path = "../../tests/naive/mod.rs"]
pub mod naive;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged; the counter touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: `place` came from `System.alloc` with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `read` and panics when it allocated.
pub fn without_allocating<T>(read: impl FnOnce() -> T) -> T {
    let before = ALLOCATIONS.with(Cell::get);
    let read = read();
    assert_eq!(ALLOCATIONS.with(Cell::get), before, "reading allocated");
    read
}

/// Counts executions and those that got past `parse`, and prints both now and then.
pub fn tally(accepted: bool) {
    static CASES: AtomicU64 = AtomicU64::new(0);
    static ACCEPTED: AtomicU64 = AtomicU64::new(0);
    let accepted = ACCEPTED.fetch_add(accepted.into(), Ordering::Relaxed) + u64::from(accepted);
    let cases = CASES.fetch_add(1, Ordering::Relaxed) + 1;
    if cases % (1 << 18) == 0 {
        eprintln!("TALLY {cases} executions, {accepted} past parse");
    }
}

/// Files to start from: the golden ones, then what the mutator met that is a file.
static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

const GOLDEN: [&[u8]; 7] = [
    include_bytes!("../../tests/golden/detector.ncsr"),
    include_bytes!("../../tests/golden/layers.ncsr"),
    include_bytes!("../../tests/golden/matrix-1x1.ncsr"),
    include_bytes!("../../tests/golden/matrix-1x2.ncsr"),
    include_bytes!("../../tests/golden/matrix-empty.ncsr"),
    include_bytes!("../../tests/golden/matrix-gaps.ncsr"),
    include_bytes!("../../tests/golden/model.ncsr"),
];

/// Whether the bytes are a file of some kind.
fn is_file(bytes: &[u8]) -> bool {
    match Kind::of(bytes) {
        Ok(Kind::Matrix) => NestedCsr::parse(bytes).is_ok(),
        Ok(Kind::Layers) => Layers::parse(bytes).is_ok(),
        Ok(_) => Model::parse(bytes).is_ok(),
        Err(_) => false,
    }
}

/// Mutates a file and makes its checksums fit. Damage piles up in the engine's corpus, so most of the time what is no
/// file is replaced by one before it is mutated; most mutations touch one or two bytes and keep the length.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    engine: fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below.max(1)
    };
    let mut size = size;
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.is_empty() {
        *pool = GOLDEN.map(<[u8]>::to_vec).into();
    }
    if size >= 21 && is_file(&data[..size]) {
        let at = random(256);
        match pool.get_mut(GOLDEN.len() + at) {
            Some(slot) => *slot = data[..size].to_vec(),
            None => pool.push(data[..size].to_vec()),
        }
    } else if random(8) != 0 {
        let start = &pool[random(pool.len())];
        if start.len() <= max_size {
            data[..start.len()].copy_from_slice(start);
            size = start.len();
        }
    }
    let size = if size < 21 || random(8) == 0 {
        engine(data, size, max_size)
    } else {
        for _ in 0..=random(2) {
            let at = 16 + random(size - 16);
            match random(6) {
                0 => data[at] ^= 1 << random(8),
                1 => data[at] = random(256) as u8,
                2 => data[at] = data[at].wrapping_add(1),
                3 => data[at] = data[at].wrapping_sub(1),
                4 => data[at] = [0, 1, 127, 128, 254, 255][random(6)],
                // Streams keep their lengths.
                _ => data.swap(at, 16 + random(size - 16)),
            }
        }
        size
    };
    naive::reseal(&mut data[..size]);
    size
}
