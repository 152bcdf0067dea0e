//! How fast files are checked and decoded, with `memcpy` of the same bytes and `sprs` iteration beside.
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::hint::black_box;

const LADDER: [f64; 3] = [0.9, 0.8, 0.7];

/// Random supports of exactly the ladder's sparsities; weights are never 0.
fn random(shape: Shape, block: Block) -> (Vec<i8>, Vec<u8>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let width = block.width();
    let blocks = shape.len() / width;
    let mut order: Vec<usize> = (0..blocks).collect();
    order.shuffle(&mut rng);
    let (mut weights, mut rings) = (vec![0; shape.len()], vec![0; shape.len()]);
    let mut start = 0;
    for (ring, sparsity) in LADDER.iter().enumerate() {
        let end = ((1.0 - sparsity) * blocks as f64).round() as usize;
        for &at in &order[start..end] {
            for i in at * width..(at + 1) * width {
                rings[i] = ring as u8 + 1;
                weights[i] = (i % 127) as i8 + 1;
            }
        }
        start = end;
    }
    (weights, rings)
}

fn compressed(shape: Shape, block: Block, profile: Profile) -> NestedCsr<Vec<u8>> {
    let (weights, rings) = random(shape, block);
    NestedCsr::compress(shape, block, top(), &weights, &rings, profile).expect("a valid matrix")
}

fn top() -> Level {
    Level::new(LADDER.len()).expect("a level")
}

fn cases() -> impl Iterator<Item = (String, NestedCsr<Vec<u8>>)> {
    let shape = Shape { rows: 1024, columns: 1024 };
    [Block::OneByOne, Block::OneByTwo].into_iter().flat_map(move |block| {
        [Profile::Size, Profile::Balanced, Profile::Speed].map(|profile| {
            let name = format!("1x{}-{profile:?}", block.width()).to_lowercase();
            (name, compressed(shape, block, profile))
        })
    })
}

fn decode_sum(matrix: &NestedCsr<Vec<u8>>) -> usize {
    let mut rows = matrix.rows(top()).expect("the level is there");
    let mut sum = 0usize;
    while rows.next_row(|column, weight| sum = sum.wrapping_add(column ^ weight as usize)).is_some() {}
    sum
}

/// The matrix of the 1×1 cases at the top level, as `sprs` holds it.
fn sprs_matrix() -> sprs::CsMat<i8> {
    let (weights, _) = random(Shape { rows: 1024, columns: 1024 }, Block::OneByOne);
    let mut triplets = sprs::TriMat::new((1024, 1024));
    for (i, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0) {
        triplets.add_triplet(i / 1024, i % 1024, weight);
    }
    triplets.to_csr()
}

fn sprs_sum(matrix: &sprs::CsMat<i8>) -> usize {
    let mut sum = 0usize;
    for row in matrix.outer_iterator() {
        row.iter().for_each(|(column, &weight)| sum = sum.wrapping_add(column ^ weight as usize));
    }
    sum
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for (name, matrix) in cases() {
        group.throughput(Throughput::Bytes(matrix.as_bytes().len() as u64));
        group.bench_function(BenchmarkId::new("parse", &name), |b| {
            b.iter(|| NestedCsr::parse(black_box(matrix.as_bytes())).expect("a valid file").levels());
        });
        group.bench_function(BenchmarkId::new("memcpy", &name), |b| {
            let mut to = vec![0u8; matrix.as_bytes().len()];
            b.iter(|| {
                to.copy_from_slice(black_box(matrix.as_bytes()));
                black_box(to.first().copied())
            });
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, matrix) in cases() {
        let stored = matrix.view().stored(top()).expect("the level is there");
        group.throughput(Throughput::Elements(stored as u64));
        group.bench_function(BenchmarkId::new("rows", &name), |b| {
            b.iter(|| decode_sum(&matrix));
        });
    }
    let peer = sprs_matrix();
    group.throughput(Throughput::Elements(peer.nnz() as u64));
    group.bench_function("sprs/1x1", |b| b.iter(|| sprs_sum(&peer)));
    group.finish();
}

fn compress(c: &mut Criterion) {
    let shape = Shape { rows: 2048, columns: 2048 };
    let (weights, rings) = random(shape, Block::OneByOne);
    let mut group = c.benchmark_group("compress");
    group.throughput(Throughput::Elements(shape.len() as u64)).sample_size(10);
    group.bench_function("1x1-size", |b| {
        b.iter_batched(
            || (),
            |()| NestedCsr::compress(shape, Block::OneByOne, top(), &weights, &rings, Profile::Size),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// The shortest of many runs, in seconds: what the machine can do when nothing else runs.
fn shortest<T>(mut run: impl FnMut() -> T) -> f64 {
    let once = |_| {
        let clock = std::time::Instant::now();
        black_box(run());
        clock.elapsed().as_secs_f64()
    };
    (0..60).map(once).fold(f64::INFINITY, f64::min)
}

/// Prints each case's ratio to `memcpy` of the same bytes and to `sprs` iteration over as many non-zeros.
fn ratios(_: &mut Criterion) {
    let peer = sprs_matrix();
    let sprs = shortest(|| sprs_sum(&peer)) / peer.nnz() as f64;
    println!("sprs iterates over {:.0} M non-zeros a second", 1e-6 / sprs);
    for (name, matrix) in cases() {
        let bytes = matrix.as_bytes();
        let mut to = vec![0u8; bytes.len()];
        let copied = shortest(|| to.copy_from_slice(black_box(bytes)));
        let parsed = shortest(|| NestedCsr::parse(black_box(bytes)).map(|matrix| matrix.levels()));
        let stored = matrix.view().stored(top()).expect("the level is there") as f64;
        let decoded = shortest(|| decode_sum(&matrix)) / stored;
        println!(
            "{name}: parse {:.0} MB/s, {:.0} times memcpy's time; decode {:.0} M non-zeros/s, {:.2} times sprs's time",
            bytes.len() as f64 / parsed * 1e-6,
            parsed / copied,
            1e-6 / decoded,
            decoded / sprs
        );
    }
}

criterion_group!(benches, parse, decode, compress, ratios);
criterion_main!(benches);
