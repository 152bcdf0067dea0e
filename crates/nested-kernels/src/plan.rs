//! Where each tensor lies in the arena: decided once, from the tensors' lifetimes, without allocating.
//!
//! Tensor 0 (the image) and the last tensor (the output) are the caller's own slices. The others are placed greedily,
//! the largest first, each at the lowest offset that no tensor alive at the same time occupies. What lies above the
//! tensors alive at a node is that node's scratch.
use nested_csr::TensorId;

/// The most nodes of a network.
pub const MAX_NODES: usize = 128;

/// What the plan needs to know of one node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step {
    /// The tensors read; one that is read alone is given twice.
    pub(crate) inputs: [u16; 2],
    /// Whether the output may take the place of an input that is not needed any more.
    pub(crate) in_place: bool,
    /// Bytes of the output.
    pub(crate) len: usize,
}

impl Step {
    pub(crate) fn new(inputs: [TensorId; 2], in_place: bool, len: usize) -> Self {
        Step { inputs: inputs.map(|tensor| tensor.0), in_place, len }
    }
}

/// Offsets in bytes, multiples of 4.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Of the output of each node.
    offsets: [u32; MAX_NODES],
    /// End of the tensors that are alive at each node.
    tops: [u32; MAX_NODES],
}

/// Tensors that share a place: an output that is made in place of an input joins the input's.
#[derive(Clone, Copy, Default)]
struct Place {
    first: usize,
    last: usize,
    len: u32,
}

impl Place {
    fn meets(&self, other: &Place) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl Plan {
    /// Plans for `steps`, at most [`MAX_NODES`] of them, each reading only the image or outputs of earlier steps.
    /// `None` when that does not hold or when lengths overflow.
    pub(crate) fn new(steps: &[Step]) -> Option<Plan> {
        let mut owners = [0; MAX_NODES];
        let mut places = [Place::default(); MAX_NODES];
        let last = last_uses(steps)?;
        let final_step = steps.len().checked_sub(1)?;
        for (node, step) in steps.iter().enumerate() {
            let lives_until = *last.get(node)?;
            let donor = if step.in_place && node != final_step { donor(step, node, &last, steps) } else { None };
            let owner = match donor {
                Some(donor) => *owners.get(donor)?,
                None => node,
            };
            *owners.get_mut(node)? = owner;
            let place = places.get_mut(owner)?;
            if owner == node && node != final_step {
                *place = Place { first: node, last: lives_until, len: align(step.len)? };
            } else {
                place.last = lives_until;
            }
        }
        let offsets = place_by_size(places.get(..steps.len())?)?;
        let mut plan = Plan { offsets: [0; MAX_NODES], tops: [0; MAX_NODES] };
        for node in 0..steps.len() {
            *plan.offsets.get_mut(node)? = *offsets.get(*owners.get(node)?)?;
            let alive = places.iter().zip(&offsets).filter(|(place, _)| place.first <= node && node <= place.last);
            let top = alive.map(|(place, offset)| offset + place.len).max();
            *plan.tops.get_mut(node)? = top.unwrap_or(0);
        }
        Some(plan)
    }

    /// Where the output of a node starts.
    pub(crate) fn offset(&self, node: usize) -> usize {
        self.offsets.get(node).map_or(0, |offset| *offset as usize)
    }

    /// Bytes below a node's scratch.
    pub(crate) fn top(&self, node: usize) -> usize {
        self.tops.get(node).map_or(0, |top| *top as usize)
    }
}

/// The last node that reads each node's output, or the node itself.
fn last_uses(steps: &[Step]) -> Option<[usize; MAX_NODES]> {
    let mut last = [0; MAX_NODES];
    for (node, step) in steps.iter().enumerate() {
        *last.get_mut(node)? = node;
        for input in step.inputs.map(usize::from) {
            if input > node {
                return None;
            }
            if let Some(maker) = input.checked_sub(1) {
                *last.get_mut(maker)? = node;
            }
        }
    }
    Some(last)
}

/// An input of `step` that ends with it and is as long as its output, so that the output can replace it.
fn donor(step: &Step, node: usize, last: &[usize; MAX_NODES], steps: &[Step]) -> Option<usize> {
    let [left, right] = step.inputs;
    let makers = [left, right].into_iter().filter_map(|input| usize::from(input).checked_sub(1));
    let fits = |maker: &usize| {
        left != right && last.get(*maker) == Some(&node) && steps.get(*maker).is_some_and(|made| made.len == step.len)
    };
    makers.into_iter().find(fits)
}

/// Rounded up to whole words.
fn align(len: usize) -> Option<u32> {
    u32::try_from(len.checked_add(3)? & !3).ok()
}

/// The offset of each place: largest first, each as low as the ones placed before allow.
fn place_by_size(places: &[Place]) -> Option<[u32; MAX_NODES]> {
    let mut offsets = [None; MAX_NODES];
    for _ in places {
        let unplaced = places.iter().enumerate().filter(|(i, _)| offsets.get(*i) == Some(&None));
        // `max_by_key` returns the last of equals: `rev` makes it the first in the graph.
        let Some((index, place)) = unplaced.rev().max_by_key(|(_, place)| place.len) else { break };
        let offset = lowest_offset(place, places, &offsets)?;
        *offsets.get_mut(index)? = Some(offset);
    }
    Some(offsets.map(|offset| offset.unwrap_or(0)))
}

/// The lowest offset at which `place` meets none of those placed.
fn lowest_offset(place: &Place, places: &[Place], offsets: &[Option<u32>; MAX_NODES]) -> Option<u32> {
    let mut offset = 0u32;
    loop {
        let end = offset.checked_add(place.len)?;
        let placed = places.iter().zip(offsets).filter_map(|(other, at)| Some((other, (*at)?)));
        let ends = placed.filter_map(|(other, at)| {
            let collides = other.meets(place) && at < end && offset < at + other.len;
            collides.then_some(at + other.len)
        });
        match ends.min() {
            Some(next) => offset = next,
            None => return Some(offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>(), 1..5usize),
            1..40,
        )
        .prop_map(|steps| {
            let one =
                |(node, (left, right, two, len)): (usize, (prop::sample::Index, prop::sample::Index, bool, usize))| {
                    // Mostly recent tensors, as in real networks.
                    let recent = |index: prop::sample::Index| (node - index.index(node.min(4) + 1)) as u16;
                    let left = recent(left);
                    Step { inputs: [left, if two { recent(right) } else { left }], in_place: two, len: len * 10 }
                };
            steps.into_iter().enumerate().map(one).collect()
        })
    }

    /// Runs the plan on symbols: every step reads what its inputs' makers wrote.
    fn check(steps: &[Step], plan: &Plan) {
        let mut memory: Vec<Option<usize>> = std::vec![None; 4000];
        for (node, step) in steps.iter().enumerate() {
            let range = |maker: usize| plan.offset(maker)..plan.offset(maker) + steps[maker].len;
            for input in step.inputs {
                if let Some(maker) = usize::from(input).checked_sub(1) {
                    assert!(memory[range(maker)].iter().all(|m| *m == Some(maker)), "node {node} reads tensor {input}");
                    assert!(range(maker).end <= plan.top(node));
                }
            }
            let top = plan.top(node);
            memory[top..].fill(Some(usize::MAX));
            if node + 1 < steps.len() {
                assert!(range(node).end <= top);
                let disjoint =
                    |maker: usize| range(maker).end <= range(node).start || range(node).end <= range(maker).start;
                let same = |maker: usize| step.in_place && range(maker) == range(node);
                assert!(
                    step.inputs.iter().filter_map(|t| usize::from(*t).checked_sub(1)).all(|m| disjoint(m) || same(m))
                );
                memory[range(node)].fill(Some(node));
            }
        }
    }

    proptest! {
        #[test]
        fn every_step_reads_what_was_written_for_it(steps in steps()) {
            check(&steps, &Plan::new(&steps).unwrap());
        }
    }

    #[test]
    fn a_chain_alternates_between_two_places() {
        let steps: Vec<_> = (0..6).map(|i| Step { inputs: [i; 2], in_place: false, len: 100 }).collect();
        let plan = Plan::new(&steps).unwrap();
        assert_eq!((0..5).map(|n| plan.offset(n)).collect::<Vec<_>>(), [0, 100, 0, 100, 0]);
        assert_eq!((0..6).map(|n| plan.top(n)).max(), Some(200));
    }

    #[test]
    fn a_residual_sum_takes_the_place_of_its_operand() {
        let conv = |input| Step { inputs: [input; 2], in_place: false, len: 64 };
        let steps = [conv(0), conv(1), conv(2), Step { inputs: [3, 1], in_place: true, len: 64 }, conv(4)];
        let plan = Plan::new(&steps).unwrap();
        assert_eq!(plan.offset(3), plan.offset(2));
        assert_eq!((0..5).map(|n| plan.top(n)).max(), Some(192));
        check(&steps, &plan);
    }

    #[test]
    fn a_step_cannot_read_what_is_made_later() {
        assert!(Plan::new(&[Step { inputs: [1, 0], in_place: false, len: 4 }]).is_none());
        assert!(Plan::new(&[]).is_none());
    }
}
