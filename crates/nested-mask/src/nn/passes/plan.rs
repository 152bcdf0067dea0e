//! How passes are planned: how a batch is cut, the maps of all tensors, and who is the first to give a tensor its gradient.
use crate::nn::{
    Network, Operation,
    map::{Map, Margin, input_margin},
};
use pulp::Arch;

/// The most chunks of a batch, so the most threads that one pass uses.
const CHUNKS: usize = 8;

/// How a batch is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub arch: Arch,
    pub lanes: usize,
    pub batch: usize,
    pub groups: usize,
    groups_a_chunk: usize,
}

impl Plan {
    /// For batches of up to `batch` images (at least 1) of a scalar that has `lanes` lanes.
    pub(super) fn new(arch: Arch, lanes: usize, batch: usize) -> Plan {
        let batch = batch.max(1);
        let groups = batch.div_ceil(lanes);
        Plan { arch, lanes, batch, groups, groups_a_chunk: groups.div_ceil(CHUNKS) }
    }

    pub(super) fn chunks(&self) -> usize {
        self.groups.div_ceil(self.groups_a_chunk)
    }

    /// Elements of a chunk, for a group of `length` vectors.
    pub(super) fn chunk(&self, length: usize) -> usize {
        self.groups_a_chunk * self.group(length)
    }

    /// Elements of a group of `length` vectors.
    pub(super) fn group(&self, length: usize) -> usize {
        (length * self.lanes).max(1)
    }
}

/// Maps of all tensors, with the margins that their readers need.
pub(super) fn maps(network: &Network) -> Vec<Map> {
    let shapes = std::iter::once(network.input()).chain(network.nodes().iter().map(|node| node.output));
    let mut maps: Vec<Map> = shapes.map(|shape| Map { shape, margin: Margin::default() }).collect();
    for node in network.nodes() {
        if let Operation::Convolution { input, window, .. } | Operation::Depthwise { input, window, .. } =
            node.operation
        {
            let map = &mut maps[usize::from(input.0)];
            map.margin = map.margin.union(input_margin(window, map.shape, node.output));
        }
    }
    maps
}

/// For each operand of each node, whether a later node gives its tensor a gradient first.
pub(super) fn later_readers(network: &Network) -> Vec<[bool; 2]> {
    let mut given = vec![false; network.nodes().len() + 1];
    let mut later: Vec<[bool; 2]> = network
        .nodes()
        .iter()
        .rev()
        .map(|node| {
            let operands = match node.operation {
                Operation::Convolution { input, .. }
                | Operation::Depthwise { input, .. }
                | Operation::AveragePool { input, .. }
                | Operation::MaxPool { input, .. } => [Some(input), None],
                Operation::Add { left, right, .. } | Operation::Concatenation { left, right } => {
                    [Some(left), Some(right)]
                }
            };
            operands
                .map(|tensor| tensor.is_some_and(|tensor| std::mem::replace(&mut given[usize::from(tensor.0)], true)))
        })
        .collect();
    later.reverse();
    later
}
