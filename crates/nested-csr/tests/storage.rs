//! How small files are: the goals that the format was designed for, on random supports of exactly the ladder's sparsities.
//! Figures are printed: `cargo test --test storage -- --nocapture`.
use nested_csr::{
    Block, ConvolutionWeights, Level, ModelBuilder, Multiplier, NestedCsr, NodeLevel, Padding, Profile, Quantization,
    Requantization, Shape, TensorId, TensorShape, Window,
};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const LADDER: [f64; 3] = [0.9, 0.8, 0.7];

fn random(rng: &mut Xoshiro256PlusPlus, shape: Shape, block: Block, ladder: &[f64]) -> (Vec<i8>, Vec<u8>) {
    let width = block.width();
    let mut order: Vec<usize> = (0..shape.len() / width).collect();
    order.shuffle(rng);
    let (mut weights, mut rings) = (vec![0; shape.len()], vec![0; shape.len()]);
    let mut start = 0;
    for (ring, sparsity) in ladder.iter().enumerate() {
        let end = ((1.0 - sparsity) * order.len() as f64).round() as usize;
        for &block in &order[start..end] {
            for i in block * width..(block + 1) * width {
                rings[i] = ring as u8 + 1;
                weights[i] = if rng.random() { rng.random_range(1..=127) } else { -rng.random_range(1..=127) };
            }
        }
        start = end;
    }
    (weights, rings)
}

/// Bits a weight of our file and of the bound.
fn bits(shape: Shape, block: Block, ladder: &[f64], profile: Profile) -> (f64, f64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let (weights, rings) = random(&mut rng, shape, block, ladder);
    let levels = Level::new(ladder.len()).unwrap();
    let file = NestedCsr::compress(shape, block, levels, &weights, &rings, profile).unwrap();
    let ours = file.as_bytes().len() as f64 * 8.0 / shape.len() as f64;
    let bound = file.view().bound_bits(levels).unwrap() / shape.len() as f64;
    println!(
        "{}×{} 1×{} {ladder:?} {profile:?}: {ours:.4} bits, bound {bound:.4}, ratio {:.4}",
        shape.rows,
        shape.columns,
        block.width(),
        ours / bound
    );
    (ours, bound)
}

#[test]
fn files_are_near_their_information_bound() {
    for (rows, columns) in [(64, 576), (128, 1152), (1024, 1024)] {
        let shape = Shape { rows, columns };
        for (ladder, most) in [(&LADDER[..], 1.03), (&[0.95, 0.9, 0.8, 0.7, 0.5], 1.05), (&[0.95, 0.9, 0.8], 1.05)] {
            let (ours, bound) = bits(shape, Block::OneByOne, ladder, Profile::Size);
            assert!(ours <= most * bound);
        }
        assert!(bits(shape, Block::OneByOne, &LADDER, Profile::Speed).0 <= 4.9);
        assert!(bits(shape, Block::OneByOne, &LADDER, Profile::Balanced).0 <= 4.0);
        assert!(bits(shape, Block::OneByTwo, &LADDER, Profile::Size).0 <= 3.2);
    }
}

#[test]
fn one_file_is_smaller_than_copies() {
    let shape = Shape { rows: 64, columns: 576 };
    let (ours, _) = bits(shape, Block::OneByOne, &LADDER, Profile::Size);
    let ours = ours * shape.len() as f64 / 8.0;
    let stored = |sparsity: f64| ((1.0 - sparsity) * shape.len() as f64).round();
    // A pointer of 2 bytes a row, then a weight and a column of 2 bytes or a delta of 1 byte for each non-zero.
    let copies = |a_weight: f64| LADDER.iter().map(|s| stored(*s) * a_weight + 2.0 * shape.rows as f64).sum::<f64>();
    println!("CSR u16 × 3: {:.2} times ours; u8 deltas × 3: {:.2} times ours", copies(3.0) / ours, copies(2.0) / ours);
    assert!(copies(3.0) >= 3.5 * ours && copies(2.0) >= 2.3 * ours);
}

fn node_levels(rng: &mut Xoshiro256PlusPlus, rows: usize, input_weights: [i16; 2]) -> Vec<NodeLevel> {
    let mut level = || NodeLevel {
        output: Quantization { scale: 0.02, zero_point: -128 },
        low: -128,
        high: 127,
        input_weights,
        // Biases as large as a zero point of −128 folded into a thousand weights makes them.
        rows: (0..rows)
            .map(|_| Requantization {
                multiplier: Multiplier::nearest(rng.random_range(0.0005..0.01)).unwrap(),
                bias: rng.random_range(-200_000..200_000),
            })
            .collect(),
    };
    LADDER.map(|_| level()).into()
}

#[test]
fn mobilenet_v1_fits_where_the_paper_needs_more() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let image = TensorShape { channels: 3, height: 32, width: 32 };
    let quantization = Quantization { scale: 0.02, zero_point: 0 };
    let mut builder = ModelBuilder::new(Level::new(3).unwrap(), image, quantization).unwrap();
    let mut rows_in_all = 0;
    let dense = |rng: &mut Xoshiro256PlusPlus, len| (0..len).map(|_| rng.random_range(-127..=127)).collect::<Vec<i8>>();
    let first = dense(&mut rng, 32 * 27);
    let levels = node_levels(&mut rng, 32, [0, 0]);
    let mut tensor: TensorId = builder
        .convolution("conv1", builder.input(), Window::square(3, 1, 1), 32, ConvolutionWeights::Dense(&first), &levels)
        .unwrap();
    rows_in_all += 32;
    let mut channels = 32;
    let halving =
        |step| Window { padding: Padding { top: 1, left: 1, bottom: 1, right: 1 }, ..Window::square(3, step, 0) };
    let blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)];
    let blocks = blocks.into_iter().chain([(512, 1); 5]).chain([(1024, 2), (1024, 1)]);
    for (index, (rows, step)) in blocks.enumerate() {
        let weights = dense(&mut rng, channels * 9);
        let levels = node_levels(&mut rng, channels, [0, 0]);
        tensor = builder.depthwise(&format!("dw{index}"), tensor, halving(step), &weights, &levels).unwrap();
        let shape = Shape { rows, columns: channels };
        let (weights, rings) = random(&mut rng, shape, Block::OneByTwo, &LADDER);
        let weights = ConvolutionWeights::Sparse { block: Block::OneByTwo, weights: &weights, rings: &rings };
        let levels = node_levels(&mut rng, rows, [0, 0]);
        tensor = builder
            .convolution(&format!("pw{index}"), tensor, Window::square(1, 1, 0), rows, weights, &levels)
            .unwrap();
        rows_in_all += channels + rows;
        channels = rows;
    }
    let shape = builder.shape(tensor).unwrap();
    let whole = Window { kernel: [shape.height as u8, shape.width as u8], ..Window::square(1, 1, 0) };
    tensor = builder.average_pool("pool", tensor, whole, &node_levels(&mut rng, 1, [8192, 0])).unwrap();
    let weights = dense(&mut rng, 1024 * 10);
    let levels = node_levels(&mut rng, 10, [0, 0]);
    let weights = ConvolutionWeights::Dense(&weights);
    builder.convolution("logits", tensor, Window::square(1, 1, 0), 10, weights, &levels).unwrap();
    rows_in_all += 11;

    for (profile, most) in [(Profile::Size, 1290.0), (Profile::Balanced, 1290.0)] {
        let file = builder.clone().finish(profile).unwrap();
        let stats = file.stats();
        let kib = (stats.total() - stats.requantization) as f64 / 1024.0;
        let a_row = stats.requantization as f64 / (rows_in_all * LADDER.len()) as f64;
        println!(
            "MobileNetV1 1×2 {profile:?}: {kib:.1} KiB and {a_row:.3} bytes of requantisation a row and level; {stats:?}"
        );
        assert!(kib <= most);
        assert!(a_row <= 6.0);
    }
}
