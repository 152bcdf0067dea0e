//! Whole random models through the executor, against an interpreter of the same graph that knows no plan and no level
//! but the one it runs.
use super::{
    naive::{self, Output},
    random::{Nested, Random, Values, level, output, quantization, seeded, to_node_level},
};
use crate::{Geometry, Network};
use nested_csr::{
    Anchor, ConvolutionWeights, HeadAnchors, Model, ModelBuilder, Profile, TensorId, TensorShape, Window,
};
use proptest::prelude::*;
use rand::{RngExt, seq::IndexedRandom};
use std::{vec, vec::Vec};

/// Values of a box of one class.
const DETECTED: usize = 6;

#[derive(Debug)]
enum Operation {
    Sparse(usize, Window, Nested),
    Dense(usize, Window, Vec<i8>),
    Depthwise(usize, Window, Vec<i8>),
    Add(usize, usize, Vec<[i16; 2]>),
    AveragePool(usize, Window, Vec<i16>),
    MaxPool(usize, Window),
    Concatenation(usize, usize),
    Detection(usize),
}

#[derive(Debug)]
struct Node {
    operation: Operation,
    /// One a level.
    outputs: Vec<Output>,
}

/// A model as the tests see it: tensor 0 is the image.
#[derive(Debug)]
pub(crate) struct Graph {
    levels: usize,
    zero_point: i8,
    shapes: Vec<TensorShape>,
    nodes: Vec<Node>,
}

impl Graph {
    pub(crate) fn random(nodes: usize, levels: usize, random: &mut Random) -> Graph {
        let [channels, height, width] = [1..6, 4..13, 4..13].map(|range| random.random_range(range));
        let image = TensorShape { channels, height, width };
        let mut graph = Graph { levels, zero_point: random.random(), shapes: vec![image], nodes: Vec::new() };
        for _ in 0..nodes {
            graph.push(random);
        }
        if random.random() {
            graph.push_detection(random);
        }
        graph
    }

    /// Ends the graph in a detection, if a recent tensor has as many values as one of a class needs.
    fn push_detection(&mut self, random: &mut Random) {
        let recent = (1..self.shapes.len()).rev().take(3);
        let fitting: Vec<_> = recent.filter(|tensor| self.shapes[*tensor].len().is_multiple_of(DETECTED)).collect();
        if let Some(&input) = fitting.choose(random) {
            self.shapes.push(self.shapes[input]);
            self.nodes.push(Node { operation: Operation::Detection(input), outputs: Vec::new() });
        }
    }

    /// Adds a random node that reads what is there, mostly what is recent.
    fn push(&mut self, random: &mut Random) {
        let count = self.shapes.len();
        let input = count - 1 - random.random_range(0..count.min(3));
        let shape = self.shapes[input];
        let rows = random.random_range(1..9);
        let same: Vec<_> = (0..count).filter(|tensor| self.shapes[*tensor] == shape).collect();
        let window = window(shape, random);
        let bare = Window { padding: Default::default(), kernel: [1, 1], ..window };
        let columns = shape.channels * usize::from(window.kernel[0]) * usize::from(window.kernel[1]);
        let levels = 0..self.levels;
        let (operation, channels, window, products) = match random.random_range(0..9) {
            0 | 1 => {
                let weights = Nested::new(rows, columns, self.levels, Values::Any, random);
                (Operation::Sparse(input, window, weights), rows, window, columns)
            }
            2 => {
                let weights = Values::Any.many(rows * columns, random);
                (Operation::Dense(input, window, weights), rows, window, columns)
            }
            3 => {
                let weights = Values::Any.many(columns, random);
                (Operation::Depthwise(input, window, weights), shape.channels, window, columns / shape.channels)
            }
            4 | 5 => {
                let weights =
                    levels.map(|_| [random.random_range(-300..300), random.random_range(-300..300)]).collect();
                let unit = Window::square(1, 1, 0);
                (Operation::Add(input, *same.choose(random).unwrap(), weights), shape.channels, unit, 4)
            }
            6 => {
                let window = Window { kernel: window.kernel, ..bare };
                let window = if fits(shape, window) { window } else { bare };
                let weights = levels.map(|_| random.random_range(1..100)).collect();
                (Operation::AveragePool(input, window, weights), shape.channels, window, 9)
            }
            7 => {
                let alike: Vec<_> = (0..count).filter(|other| self.is_quantized_alike(input, *other)).collect();
                let other = *alike.choose(random).unwrap();
                let len = shape.len() + self.shapes[other].len();
                if u16::try_from(len).is_err() {
                    return self.push(random);
                }
                self.shapes.push(TensorShape { channels: len, height: 1, width: 1 });
                self.nodes.push(Node { operation: Operation::Concatenation(input, other), outputs: Vec::new() });
                return;
            }
            _ => {
                // The format wants a real element in every max pool's window.
                let window = if window.kernel.contains(&1) { bare } else { window };
                (Operation::MaxPool(input, window), shape.channels, window, 1)
            }
        };
        let (height, width) = window.output(shape.height, shape.width).unwrap();
        let count = match operation {
            Operation::Add(..) | Operation::AveragePool(..) => 1,
            _ => channels,
        };
        let size = (products as f64).sqrt() * 5000.0;
        let outputs = (0..self.levels).map(|_| output(count, size, random)).collect();
        self.shapes.push(TensorShape { channels, height, width });
        self.nodes.push(Node { operation, outputs });
    }

    /// The tensor whose quantisation a tensor has.
    fn source(&self, tensor: usize) -> usize {
        match tensor.checked_sub(1).map(|node| &self.nodes[node].operation) {
            Some(Operation::MaxPool(input, _) | Operation::Concatenation(input, _) | Operation::Detection(input)) => {
                self.source(*input)
            }
            _ => tensor,
        }
    }

    fn is_quantized_alike(&self, one: usize, other: usize) -> bool {
        let [one, other] = [one, other].map(|tensor| self.source(tensor));
        let zero_points = |tensor| (1..=self.levels).map(move |level| self.zero_point(tensor, level));
        // The image has another scale than all else.
        (one == 0) == (other == 0) && zero_points(one).eq(zero_points(other))
    }

    fn zero_point(&self, tensor: usize, level: usize) -> i8 {
        match self.source(tensor).checked_sub(1) {
            None => self.zero_point,
            Some(node) => self.nodes[node].outputs[level - 1].zero_point,
        }
    }

    /// The output, by the book.
    pub(crate) fn interpret(&self, level: usize, image: &[i8]) -> Vec<i8> {
        let mut tensors = vec![image.to_vec()];
        for (index, node) in self.nodes.iter().enumerate() {
            let out = || &node.outputs[level - 1];
            let geometry = |input: usize, window| Geometry {
                input: self.shapes[input],
                output: self.shapes[index + 1],
                window,
                zero_point: self.zero_point(input, level),
            };
            let made = match &node.operation {
                Operation::Sparse(t, window, weights) => {
                    naive::convolution(&weights.at(level), out(), &geometry(*t, *window), &tensors[*t])
                }
                Operation::Dense(t, window, weights) => {
                    naive::convolution(weights, out(), &geometry(*t, *window), &tensors[*t])
                }
                Operation::Depthwise(t, window, weights) => {
                    naive::depthwise(weights, out(), &geometry(*t, *window), &tensors[*t])
                }
                Operation::Add(l, r, weights) => naive::add(weights[level - 1], out(), &tensors[*l], &tensors[*r]),
                Operation::AveragePool(t, window, weights) => {
                    naive::average_pool(weights[level - 1], out(), &geometry(*t, *window), &tensors[*t])
                }
                Operation::MaxPool(t, window) => naive::max_pool(&geometry(*t, *window), &tensors[*t]),
                Operation::Concatenation(l, r) => [&tensors[*l][..], &tensors[*r][..]].concat(),
                Operation::Detection(t) => tensors[*t].clone(),
            };
            tensors.push(made);
        }
        tensors.pop().unwrap()
    }

    pub(crate) fn build(&self) -> Model<Vec<u8>> {
        let mut builder = ModelBuilder::new(level(self.levels), self.shapes[0], quantization(self.zero_point)).unwrap();
        for (index, node) in self.nodes.iter().enumerate() {
            let rows = self.shapes[index + 1].channels;
            let tensor = |index: &usize| TensorId(*index as u16);
            let pairs: Vec<[i16; 2]> = match &node.operation {
                Operation::Add(_, _, weights) => weights.clone(),
                Operation::AveragePool(_, _, weights) => weights.iter().map(|weight| [*weight, 0]).collect(),
                _ => vec![[0; 2]; self.levels],
            };
            let levels: Vec<_> = node.outputs.iter().zip(pairs).map(|(out, pair)| to_node_level(out, pair)).collect();
            let made = match &node.operation {
                Operation::Sparse(t, window, weights) => {
                    builder.convolution("", tensor(t), *window, rows, weights.to_builder(), &levels)
                }
                Operation::Dense(t, window, weights) => {
                    builder.convolution("", tensor(t), *window, rows, ConvolutionWeights::Dense(weights), &levels)
                }
                Operation::Depthwise(t, window, weights) => builder.depthwise("", tensor(t), *window, weights, &levels),
                Operation::Add(l, r, _) => builder.add("", tensor(l), tensor(r), &levels),
                Operation::AveragePool(t, window, _) => builder.average_pool("", tensor(t), *window, &levels),
                Operation::MaxPool(t, window) => builder.max_pool("", tensor(t), *window),
                Operation::Concatenation(l, r) => builder.concatenation("", tensor(l), tensor(r)),
                Operation::Detection(t) => {
                    let anchors = [Anchor { height: 1024, width: 2048 }];
                    let height = (self.shapes[*t].len() / DETECTED) as u16;
                    builder.detection("", tensor(t), 1, &[HeadAnchors { height, width: 1, anchors: &anchors }])
                }
            };
            assert_eq!(made.unwrap(), TensorId(index as u16 + 1));
        }
        builder.finish(Profile::Speed).unwrap()
    }
}

fn fits(shape: TensorShape, window: Window) -> bool {
    window.output(shape.height, shape.width).is_some()
}

/// A window that fits; now and then the whole map, as a fully connected layer has it.
fn window(shape: TensorShape, random: &mut Random) -> Window {
    if random.random_range(0..6) == 0 {
        let kernel = [shape.height as u8, shape.width as u8];
        return Window { kernel, ..Window::square(1, 1, 0) };
    }
    loop {
        let mut window = Window::square(1, random.random_range(1..3), random.random_range(0..2));
        window.kernel = [random.random_range(1..4), random.random_range(1..4)];
        let padding = &mut window.padding;
        if random.random() {
            (padding.top, padding.left) = (0, 0);
        }
        if fits(shape, window) {
            return window;
        }
    }
}

proptest! {
    #[test]
    fn random_networks_equal_the_interpreter(nodes in 1..24usize, levels in 1..=4usize, seed: u64) {
        let mut random = seeded(seed);
        let graph = Graph::random(nodes, levels, &mut random);
        let network = Network::new(graph.build()).unwrap();
        let image = Values::Any.many(graph.shapes[0].len(), &mut random);
        let mut output = vec![0; graph.shapes.last().unwrap().len()];
        let most = network.preferred_arena_len(level(levels)).unwrap();
        let needs: Vec<usize> = (1..=levels).map(|number| network.arena_len(level(number)).unwrap()).collect();
        prop_assert!(needs.is_sorted() && needs[levels - 1] <= most);
        // The levels in any order, in arenas of any length, alignment and content.
        let mut arena = vec![random.random::<u8>(); most + 4];
        for _ in 0..2 * levels {
            let number = random.random_range(1..=levels);
            let least = network.arena_len(level(number)).unwrap();
            let (start, len) = (random.random_range(0..4), random.random_range(least..=most));
            network.run(level(number), &image, &mut arena[start..start + len], &mut output).unwrap();
            prop_assert_eq!(&output, &graph.interpret(number, &image));
        }
    }
}

#[cfg(feature = "rayon")]
proptest! {
    #[test]
    fn a_batch_gives_what_its_images_give_alone(count in 0..9usize, threads in 1..5usize, room in 1..6usize, seed: u64) {
        let mut random = seeded(seed);
        let graph = Graph::random(6, 2, &mut random);
        let network = Network::new(graph.build()).unwrap();
        let len = graph.shapes.last().unwrap().len();
        let images = Values::Any.many(count * graph.shapes[0].len(), &mut random);
        let mut outputs = vec![0; count * len];
        let mut arena = vec![random.random::<u8>(); room * network.arena_len(level(2)).unwrap() + 1];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| network.run_batch(level(2), &images, &mut arena, &mut outputs)).unwrap();
        for (image, output) in images.chunks(graph.shapes[0].len()).zip(outputs.chunks(len)) {
            prop_assert_eq!(output, graph.interpret(2, image));
        }
        let needed = network.arena_len(level(2)).unwrap();
        arena.truncate(needed - 1);
        let short = crate::KernelError::ArenaTooShort { needed, given: arena.len() };
        prop_assert_eq!(network.run_batch(level(2), &images, &mut arena, &mut outputs), Err(short));
    }
}
