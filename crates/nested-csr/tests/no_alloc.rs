//! Reading allocates nothing: parse, rows, parameters, prefixes.
#![allow(unsafe_code)] // a counting allocator cannot be written without

use nested_csr::{Kind, Layers, Level, MatrixView, Model, NestedCsr};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged; the counter touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
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

fn sum(view: MatrixView<'_>, level: Level) -> usize {
    let mut sum = view.stored(level).unwrap();
    let mut rows = view.rows(level).unwrap();
    while rows.next_row(|column, weight| sum = sum.wrapping_add(column ^ weight as usize)).is_some() {}
    let mut rows = view.rows(level).unwrap();
    while let Some(row) = rows.row() {
        sum = row.fold(sum, |sum, (column, _)| sum.wrapping_add(column));
    }
    sum
}

/// Reads all of a file.
fn read(file: &[u8]) -> usize {
    match Kind::of(file).unwrap() {
        Kind::Matrix => {
            let matrix = NestedCsr::parse(file).unwrap();
            let stats = matrix.stats().total();
            let read = |level| sum(matrix.view(), level).wrapping_add(matrix.prefix(level).unwrap().len());
            matrix.levels().up_to().map(read).fold(stats, usize::wrapping_add)
        }
        Kind::Layers => {
            let layers = Layers::parse(file).unwrap();
            let read = |index| sum(layers.layer(index).unwrap(), layers.levels());
            (0..layers.len()).map(read).fold(0, usize::wrapping_add)
        }
        _ => {
            let model = Model::parse(file).unwrap();
            let layers = model.sparse_layers().map(|(_, layer)| sum(layer, model.levels()));
            let mut total = layers.fold(0, usize::wrapping_add);
            for level in model.levels().up_to() {
                for index in 0..model.node_count() {
                    let rows = model.parameters(level, index).unwrap().rows;
                    total = rows.iter().fold(total, |total: usize, row| total.wrapping_add(row.bias as usize));
                }
            }
            total
        }
    }
}

#[test]
fn reading_allocates_nothing() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut kinds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut file = std::fs::read(entry.unwrap().path()).unwrap();
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        std::hint::black_box(read(&file));
        let after_reading = ALLOCATIONS.load(Ordering::Relaxed);
        assert_eq!(after_reading, before);
        let last = file.len() - 1;
        file[last] ^= 1;
        assert!(NestedCsr::parse(&file).is_err() && Model::parse(&file).is_err() && Layers::parse(&file).is_err());
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), after_reading);
        kinds += 1;
    }
    assert!(kinds >= 7);
}
