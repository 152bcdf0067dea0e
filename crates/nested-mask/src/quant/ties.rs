//! Which tensors share one quantisation: an operation that only moves values keeps that of its operands.
use super::QuantError;
use crate::nn::{Network, Operation};
use nested_csr::TensorId;

/// The groups of tensors that share a quantisation. A value of a group comes from a tensor of it that no such operation makes,
/// so the values of those are all that the group holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ties {
    /// The first tensor of each tensor's group.
    first: Vec<usize>,
}

impl Ties {
    /// The groups of a network's tensors.
    ///
    /// # Errors
    /// [`QuantError::TiedToImages`] where the images, whose quantisation is given, would share it with values of another range.
    pub(super) fn new(network: &Network) -> Result<Ties, QuantError> {
        let mut parent: Vec<usize> = (0..=network.nodes().len()).collect();
        for (index, node) in network.nodes().iter().enumerate() {
            for tensor in moved(&node.operation) {
                let (a, b) = (find(&mut parent, usize::from(tensor.0)), find(&mut parent, index + 1));
                parent[a.max(b)] = a.min(b);
            }
        }
        let first: Vec<usize> = (0..parent.len()).map(|tensor| find(&mut parent, tensor)).collect();
        let computed =
            |(index, node): &(usize, &crate::nn::Node)| first[index + 1] == 0 && moved(&node.operation).is_empty();
        match network.nodes().iter().enumerate().find(computed) {
            Some((_, node)) => Err(QuantError::TiedToImages { node: node.name.clone() }),
            None => Ok(Ties { first }),
        }
    }

    /// The group of a tensor, by its first one, which no moving operation makes.
    pub(super) fn group(&self, tensor: usize) -> usize {
        self.first[tensor]
    }
}

/// The operands of an operation that only moves values; none of one that computes.
pub(super) fn moved(operation: &Operation) -> Vec<TensorId> {
    match operation {
        Operation::Concatenation { left, right } => vec![*left, *right],
        Operation::MaxPool { input, .. } => vec![*input],
        Operation::Convolution { .. }
        | Operation::Depthwise { .. }
        | Operation::Add { .. }
        | Operation::AveragePool { .. } => Vec::new(),
    }
}

/// The root of a tensor's tree, the least of it; paths are halved on the way.
fn find(parent: &mut [usize], mut tensor: usize) -> usize {
    while parent[tensor] != tensor {
        parent[tensor] = parent[parent[tensor]];
        tensor = parent[tensor];
    }
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Finish, NetworkBuilder};
    use nested_csr::{TensorShape, Window};

    #[test]
    fn tensors_that_only_move_share_a_group_and_the_images_only_with_themselves() {
        let build = |of_images: bool| {
            let mut b = NetworkBuilder::new(TensorShape { channels: 2, height: 4, width: 4 });
            let pooled = b.max_pool("pooled images", b.input(), Window::square(2, 2, 0)).unwrap();
            let x = b.convolution("x", pooled, Window::square(1, 1, 0), 3, Finish::BIAS).unwrap();
            let y = b.convolution("y", pooled, Window::square(1, 1, 0), 3, Finish::BIAS).unwrap();
            let z = b.max_pool("z", x, Window::square(2, 1, 0)).unwrap();
            let both = b.concatenation("both", y, if of_images { pooled } else { z }).unwrap();
            let sum = b.add("sum", x, x, Default::default()).unwrap();
            b.fully_connected("from sum", sum, 2).unwrap();
            b.fully_connected("logits", both, 2).unwrap();
            b.finish().unwrap()
        };
        let ties = Ties::new(&build(false)).unwrap();
        assert_eq!(ties.first, [0, 0, 2, 2, 2, 2, 6, 7, 8]);
        let error = QuantError::TiedToImages { node: "y".to_owned() };
        assert_eq!(Ties::new(&build(true)), Err(error));
    }
}
