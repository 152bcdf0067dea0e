//! Batch-norm statistics of each level against those that the definition gives.
use nested_csr::{Level, TensorShape, Window};
use nested_mask::nn::{Activation, Finish, NetworkBuilder, Parameters};
use nested_mask::train::{Dataset, Normalization, Trained};
use nested_mask::{Block, Ladder, NestedMask};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

#[test]
fn recalibration_measures_the_mean_and_variance_of_each_levels_sums_over_all_images() {
    let shape = TensorShape { channels: 2, height: 3, width: 2 };
    let mut b = NetworkBuilder::new(shape);
    let x = b.convolution("sums", b.input(), Window::square(1, 1, 0), 3, Finish::NORM.sparse()).unwrap();
    let x = b.global_average_pool("pool", x).unwrap();
    b.fully_connected("logits", x, 2).unwrap();
    let network = b.finish().unwrap();

    // A row that both levels use alike, one that they do not, one that level 1 lacks.
    let rings = ndarray::array![[1, 1], [1, 2], [2, 0]];
    let weights = ndarray::array![[0.5_f32, -1.25], [2.0, 0.75], [-0.5, 9.0]];
    let ladder = Ladder::new([0.5, 0.2]).unwrap();
    let mut parameters = Parameters::random(&network, ladder.levels(), 1);
    let layer = parameters.layers[0].as_mut().unwrap();
    layer.weights = weights.clone();
    layer.mask = Some(NestedMask::from_rings(rings.clone(), ladder.levels(), Block::OneByOne).unwrap());
    let normalization = Normalization { mean: 100, deviation: 50.0 };
    let mut trained = Trained { network, parameters, ladder, block: Block::OneByOne, normalization };

    // More images than a pass takes, and a last pass that is not full.
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
    let pixels = (0..150 * shape.len()).map(|_| random.random_range(0..=255u8)).collect();
    let dataset = Dataset::new(shape, 2, pixels, vec![0; 150]).unwrap();
    trained.recalibrate(&dataset).unwrap();

    let plane = shape.height * shape.width;
    for level in trained.levels().up_to() {
        let norm = &trained.parameters.layers[0].as_ref().unwrap().norms[level.number() - 1];
        for row in 0..3 {
            let used = |channel: usize| (1..=level.number() as u8).contains(&rings[(row, channel)]);
            let sums: Vec<f64> = (0..dataset.len() * plane)
                .map(|at| {
                    let image = dataset.image(at / plane);
                    let one = |channel: usize| {
                        let pixel = f64::from(image[channel * plane + at % plane]);
                        f64::from(weights[(row, channel)]) * (pixel - 100.0) / 50.0
                    };
                    (0..2).filter(|&channel| used(channel)).map(one).sum()
                })
                .collect();
            let mean = sums.iter().sum::<f64>() / sums.len() as f64;
            let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / sums.len() as f64;
            let (found_mean, found_variance) = (f64::from(norm.mean[row]), f64::from(norm.variance[row]));
            assert!((found_mean - mean).abs() < 1e-5, "level {level} row {row}: {found_mean} {mean}");
            assert!((found_variance - variance).abs() < 1e-5, "level {level} row {row}: {found_variance} {variance}");
            assert_eq!(variance == 0.0, level == Level::FIRST && row == 2);
        }
    }
}

/// Images sorted by class would give each pass a mean of its own, which the layer before takes out.
#[test]
fn what_deeper_layers_measure_does_not_depend_on_the_order_of_the_images() {
    const CLASSES: usize = 4;
    let shape = TensorShape { channels: 1, height: 4, width: 4 };
    let mut b = NetworkBuilder::new(shape);
    let x = b.convolution("first", b.input(), Window::square(3, 1, 1), 4, Finish::NORM.then(Activation::Relu)).unwrap();
    let x = b.convolution("second", x, Window::square(3, 1, 1), 4, Finish::NORM).unwrap();
    let x = b.global_average_pool("pool", x).unwrap();
    b.fully_connected("logits", x, CLASSES).unwrap();
    let network = b.finish().unwrap();
    let parameters = Parameters::random(&network, Level::FIRST, 1);
    let normalization = Normalization { mean: 100, deviation: 50.0 };
    let block = Block::OneByOne;
    let untouched = Trained { network, parameters, ladder: Ladder::dense(), block, normalization };

    let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
    let labels: Vec<u8> = (0..640).map(|image| (image % CLASSES) as u8).collect();
    let image =
        |&label: &u8| -> Vec<u8> { (0..shape.len()).map(|_| label * 60 + random.random_range(0..20u8)).collect() };
    let mut images: Vec<(u8, Vec<u8>)> = labels.iter().copied().zip(labels.iter().map(image)).collect();
    let mut measure = || {
        let (labels, pixels): (Vec<u8>, Vec<Vec<u8>>) = images.iter().cloned().unzip();
        let mut trained = untouched.clone();
        trained.recalibrate(&Dataset::new(shape, CLASSES, pixels.concat(), labels).unwrap()).unwrap();
        images.sort();
        trained.parameters.layers[1].as_ref().unwrap().norms[0].clone()
    };
    let [mixed, sorted] = [measure(), measure()];
    for row in 0..4 {
        let deviation = mixed.variance[row].sqrt();
        let shift = (mixed.mean[row] - sorted.mean[row]).abs() / deviation;
        let ratio = sorted.variance[row].sqrt() / deviation;
        assert!(shift < 0.02 && (ratio - 1.0).abs() < 0.02, "row {row}: mean {shift} off, deviation times {ratio}");
    }
}
