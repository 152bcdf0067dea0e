//! Every way of asking for the impossible: a typed error, and nothing written.
use super::{
    naive::Output,
    networks::Graph,
    random::{Values, level, one_convolution, one_depthwise, output, seeded},
};
use crate::{
    Geometry, KernelError, Network, add, add_in_place, average_pool, concatenation, convolution, convolution_scratch,
    depthwise, depthwise_scratch, max_pool,
};
use nested_csr::{
    Block, ConvolutionWeights, Model, NestedCsr, Operation, Profile, Shape, TensorShape, Weights, Window,
};
use std::{vec, vec::Vec};

const SHAPE: TensorShape = TensorShape { channels: 3, height: 6, width: 5 };
const WINDOW: Window = Window::square(3, 1, 1);

fn outputs(rows: usize) -> Vec<Output> {
    vec![output(rows, 1000.0, &mut seeded(1))]
}

fn network() -> Network<Vec<u8>> {
    Network::new(Graph::random(12, 2, &mut seeded(5)).build()).unwrap()
}

#[test]
fn a_run_refuses_what_it_cannot_do_before_the_first_layer() {
    let network = network();
    let (image, result) = (network.model().input_shape().len(), network.model().output_shape().len());
    let (input, mut out) = (vec![1i8; image + 1], vec![77i8; result + 1]);
    let mut arena = vec![0u8; network.arena_len(level(1)).unwrap()];
    let least = arena.len();
    let mut run = |number: usize, image: usize, bytes: usize, result: usize| {
        let error = network.run(level(number), &input[..image], &mut arena[..bytes], &mut out[..result]);
        assert!(out.iter().all(|value| *value == 77), "the output was touched");
        assert!(arena.iter().all(|value| *value == 0), "the arena was touched");
        error.unwrap_err()
    };
    assert_eq!(run(3, image, least, result), KernelError::NoSuchLevel { level: 3, levels: 2 });
    assert_eq!(run(1, image + 1, least, result), KernelError::InputLength { needed: image, given: image + 1 });
    assert_eq!(run(1, image - 1, least, result), KernelError::InputLength { needed: image, given: image - 1 });
    assert_eq!(run(1, image, least, result + 1), KernelError::OutputLength { needed: result, given: result + 1 });
    assert_eq!(run(1, image, least - 1, result), KernelError::ArenaTooShort { needed: least, given: least - 1 });
    assert_eq!(run(1, image, 0, result), KernelError::ArenaTooShort { needed: least, given: 0 });
}

#[test]
fn a_prefix_runs_its_levels_and_refuses_the_others() {
    let graph = Graph::random(10, 3, &mut seeded(9));
    let whole = graph.build();
    let network = Network::new(Model::parse(whole.prefix(level(2)).unwrap()).unwrap()).unwrap();
    let image = Values::Any.many(network.model().input_shape().len(), &mut seeded(2));
    let mut arena = vec![0; network.arena_len(level(2)).unwrap()];
    let mut out = vec![0; network.model().output_shape().len()];
    for number in 1..=2 {
        network.run(level(number), &image, &mut arena, &mut out).unwrap();
        assert_eq!(out, graph.interpret(number, &image));
    }
    let no_level = KernelError::NoSuchLevel { level: 3, levels: 2 };
    assert_eq!(network.run(level(3), &image, &mut arena, &mut out), Err(no_level.clone()));
    assert_eq!(network.arena_len(level(3)), Err(no_level.clone()));
    assert_eq!(network.preferred_arena_len(level(3)), Err(no_level.clone()));
    assert_eq!(network.flash_len(level(3)), Err(no_level));
}

#[test]
fn a_network_of_too_many_nodes_is_refused() {
    let graph = Graph::random(crate::MAX_NODES + 1, 1, &mut seeded(3));
    let error = Network::new(graph.build()).unwrap_err();
    assert_eq!(error, KernelError::TooManyNodes { nodes: 129, most: 128 });
}

#[test]
fn a_convolution_checks_what_it_is_lent() {
    let weights = vec![1i8; 4 * 27];
    let model = one_convolution(SHAPE, WINDOW, 4, ConvolutionWeights::Dense(&weights), &outputs(4));
    let Operation::Convolution { weights, .. } = model.node(0).unwrap().operation else { unreachable!() };
    let geometry = Geometry::new(SHAPE, WINDOW, 4, 0).unwrap();
    let words = convolution_scratch(&weights, level(1), &geometry).unwrap().minimum;
    let run = |weights: &Weights<'_>, geometry: &Geometry, input: usize, output: usize, words: usize| {
        let parameters = model.parameters(level(1), 0).unwrap();
        let (input, mut output, mut scratch) = (vec![0; input], vec![0; output], vec![0; words]);
        convolution(weights, level(1), &parameters, geometry, &input, &mut output, &mut scratch)
    };
    assert_eq!(run(&weights, &geometry, 90, 120, words), Ok(()));
    let error = KernelError::InputLength { needed: 90, given: 89 };
    assert_eq!(run(&weights, &geometry, 89, 120, words), Err(error));
    let error = KernelError::OutputLength { needed: 120, given: 119 };
    assert_eq!(run(&weights, &geometry, 90, 119, words), Err(error));
    let error = KernelError::ScratchTooShort { needed: words, given: words - 1 };
    assert_eq!(run(&weights, &geometry, 90, 120, words - 1), Err(error));
    let error = KernelError::WeightsLength { needed: 108, given: 107 };
    assert_eq!(run(&Weights::Dense(&[0; 107]), &geometry, 90, 120, words), Err(error));
    let five = Geometry::new(SHAPE, WINDOW, 5, 0).unwrap();
    let error = KernelError::Requantizations { needed: 5, given: 4 };
    assert_eq!(run(&Weights::Dense(&[0; 135]), &five, 90, 150, words), Err(error));
    let wrong = Geometry { output: TensorShape { channels: 4, height: 6, width: 6 }, ..geometry };
    assert_eq!(run(&weights, &wrong, 90, 144, words), Err(KernelError::Geometry));
}

#[test]
fn a_sparse_matrix_of_another_shape_is_refused() {
    // As many weights as the geometry needs, one fewer, and what has its columns or its rows alone.
    let (input, window) = (TensorShape { channels: 3, height: 2, width: 2 }, Window::square(1, 1, 0));
    let geometry = Geometry::new(input, window, 3, 0).unwrap();
    let model = one_convolution(input, window, 3, ConvolutionWeights::Dense(&[1; 9]), &outputs(3));
    let parameters = model.parameters(level(1), 0).unwrap();
    for (rows, columns) in [(9, 1), (1, 9), (2, 4), (4, 2), (2, 3), (4, 3), (3, 2), (3, 4), (3, 3)] {
        for block in [Block::OneByOne, Block::OneByTwo] {
            let (given, weights) = (Shape { rows, columns }, vec![1; rows * columns]);
            let rings = vec![1; weights.len()];
            let matrix = NestedCsr::compress(given, block, level(1), &weights, &rings, Profile::Speed).unwrap();
            let weights = Weights::Sparse(matrix.view());
            let words = convolution_scratch(&weights, level(1), &geometry).unwrap().preferred;
            let (mut output, mut scratch) = (vec![77; 12], vec![0; words]);
            let done = convolution(&weights, level(1), &parameters, &geometry, &[1; 12], &mut output, &mut scratch);
            let needed = Shape { rows: 3, columns: 3 };
            if given == needed {
                assert_eq!(done, Ok(()));
                let two = convolution(&weights, level(2), &parameters, &geometry, &[1; 12], &mut output, &mut scratch);
                assert_eq!(two, Err(KernelError::NoSuchLevel { level: 2, levels: 1 }));
            } else {
                assert_eq!(done, Err(KernelError::WeightsShape { needed, given }));
                assert!(output.iter().all(|value| *value == 77), "the output was touched");
            }
        }
    }
}

#[test]
fn a_depthwise_convolution_checks_what_it_is_lent() {
    let model = one_depthwise(SHAPE, WINDOW, &[1; 27], &outputs(3));
    let parameters = model.parameters(level(1), 0).unwrap();
    let geometry = Geometry::new(SHAPE, WINDOW, 3, 0).unwrap();
    let words = depthwise_scratch(&geometry).unwrap().minimum;
    let run = |weights: usize, geometry: &Geometry, words: usize| {
        let (input, mut output) = (vec![0; geometry.input.len()], vec![0; geometry.output.len()]);
        depthwise(&vec![0; weights], &parameters, geometry, &input, &mut output, &mut vec![0; words])
    };
    assert_eq!(run(27, &geometry, words), Ok(()));
    assert_eq!(run(26, &geometry, words), Err(KernelError::WeightsLength { needed: 27, given: 26 }));
    let error = KernelError::ScratchTooShort { needed: words, given: words - 1 };
    assert_eq!(run(27, &geometry, words - 1), Err(error));
    let more = Geometry::new(SHAPE, WINDOW, 6, 0).unwrap();
    assert_eq!(run(27, &more, words), Err(KernelError::Channels { needed: 3, given: 6 }));
}

#[test]
fn pools_and_sums_check_what_they_are_lent() {
    let model = one_depthwise(SHAPE, WINDOW, &[1; 27], &outputs(3));
    let parameters = model.parameters(level(1), 0).unwrap();
    let geometry = Geometry::new(SHAPE, Window::square(2, 2, 0), 3, 0).unwrap();
    let mut out = vec![0; geometry.output.len()];
    let error = KernelError::Requantizations { needed: 1, given: 3 };
    assert_eq!(average_pool(&parameters, &geometry, &[0; 90], &mut out), Err(error.clone()));
    assert_eq!(add(&parameters, &[0; 9], &[0; 9], &mut [0; 9]), Err(error));
    let error = KernelError::InputLength { needed: 9, given: 8 };
    assert_eq!(add(&parameters, &[0; 8], &[0; 9], &mut [0; 9]), Err(error.clone()));
    assert_eq!(add_in_place(&parameters, &mut [0; 9], &[0; 8]), Err(error));
    let error = KernelError::OutputLength { needed: 5, given: 6 };
    assert_eq!(concatenation(&[0; 2], &[0; 3], &mut [0; 6]), Err(error));
    let error = KernelError::InputLength { needed: 90, given: 91 };
    assert_eq!(max_pool(&geometry, &[0; 91], &mut out), Err(error));
    let padded = Geometry::new(SHAPE, Window::square(3, 1, 1), 3, 0).unwrap();
    let error = KernelError::PaddedPool(padded.window.padding);
    assert_eq!(average_pool(&parameters, &padded, &[0; 90], &mut [0; 90]), Err(error));
    let wider = Geometry::new(SHAPE, Window::square(2, 2, 0), 4, 0).unwrap();
    assert_eq!(max_pool(&wider, &[0; 90], &mut [0; 24]), Err(KernelError::Channels { needed: 3, given: 4 }));
}

#[test]
fn an_impossible_geometry_is_refused() {
    let huge = TensorShape { channels: usize::MAX / 2, height: 4, width: 4 };
    assert_eq!(Geometry::new(huge, Window::square(1, 1, 0), 1, 0), Err(KernelError::TooLarge));
    assert_eq!(Geometry::new(SHAPE, Window::square(9, 1, 0), 1, 0), Err(KernelError::Geometry));
    assert_eq!(Geometry::new(SHAPE, Window::square(1, 0, 0), 1, 0), Err(KernelError::Geometry));
    let output = TensorShape { channels: 0, ..SHAPE };
    assert_eq!(Geometry::new(SHAPE, Window::square(1, 1, 0), 0, 0), Err(KernelError::Empty { input: SHAPE, output }));
    let wide = TensorShape { channels: 1, height: 1, width: 1 << 25 };
    let geometry = Geometry::new(wide, Window::square(1, 1, 0), 1, 0).unwrap();
    assert_eq!(convolution_scratch(&Weights::Dense(&[1]), level(1), &geometry), Err(KernelError::TooLarge));
}
