//! The executor: a checked model, and the plan of the memory that it runs in.
use crate::{
    Geometry, KernelError, MAX_NODES, NodeFault, Scratch, add, add_in_place, average_pool, concatenation,
    conv::check_weights,
    convolution, convolution_scratch, depthwise,
    depthwise::check_depthwise,
    depthwise_scratch,
    geometry::check_length,
    max_pool,
    plan::{Plan, Step},
};
use core::ops::Range;
use nested_csr::{Level, MAX_LEVELS, Model, Node, NodeParameters, Operation, TensorId, TensorShape, Window};

/// Bytes that aligning the arena to words may cost.
const ALIGNMENT: usize = 3;

/// A model that is ready to run at any of its levels, in memory that the caller lends.
///
/// Making one checks the whole graph, so that a run cannot fail half-way; it holds no weights, only the model (a `Vec`,
/// a memory map or a `static`) and a plan of about 1 kB. Choosing another level on the next call costs nothing.
///
/// ```
/// use nested_kernels::Network;
/// use nested_kernels::nested_csr::{Level, Model};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use nested_csr::{Block, ConvolutionWeights, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization};
/// # use nested_csr::{TensorShape, Window};
/// # let quantization = Quantization { scale: 0.1, zero_point: 0 };
/// # let quarter = Multiplier::nearest(0.25).ok_or("a half or more")?;
/// # let rows = vec![Requantization { multiplier: quarter, bias: 0 }];
/// # let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows };
/// # let image = TensorShape { channels: 2, height: 1, width: 2 };
/// # let mut builder = ModelBuilder::new(Level::new(2)?, image, quantization)?;
/// # let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &[4, 8], rings: &[1, 2] };
/// # builder.convolution("", builder.input(), Window::square(1, 1, 0), 1, weights, &[level.clone(), level])?;
/// # let bytes = builder.finish(Profile::Size)?.into_bytes();
/// // The `bytes` of a model that makes one channel of two: `¼ · (4 · a + 8 · b)`, whose second weight joins at level 2.
/// let network = Network::new(Model::parse(bytes)?)?;
/// let mut arena = vec![0; network.arena_len(Level::new(2)?)?]; // or up to `preferred_arena_len`, to go faster
/// let mut output = [0; 2];
/// for (level, expected) in [(Level::FIRST, [10, 20]), (Level::new(2)?, [12, 24])] {
///     network.run(level, &[10, 20, 1, 2], &mut arena, &mut output)?;
///     assert_eq!(output, expected);
/// }
/// // A device that never runs level 2 need not hold it.
/// assert!(network.flash_len(Level::FIRST)? < network.flash_len(Level::new(2)?)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Network<B> {
    model: Model<B>,
    /// Nodes that are run: all, or all but a detection that reads the tensor made last, which is then the output already.
    steps: usize,
    plan: Plan,
    /// Bytes for the levels up to each; those that the model does not hold are as the densest.
    arenas: [Scratch; MAX_LEVELS],
}

impl<B: AsRef<[u8]>> Network<B> {
    /// Checks that every node of `model` can run at every level, and plans the memory.
    ///
    /// # Errors
    /// [`KernelError::TooManyNodes`], or [`KernelError::Node`] for a node whose shapes, weights or parameters do not
    /// belong together.
    pub fn new(model: Model<B>) -> Result<Self, KernelError> {
        let nodes = model.node_count();
        if nodes > MAX_NODES {
            return Err(KernelError::TooManyNodes { nodes, most: MAX_NODES });
        }
        let mut steps = [Step::default(); MAX_NODES];
        for (index, step) in steps.iter_mut().enumerate().take(nodes) {
            let fault = |fault| KernelError::Node { node: index, fault };
            let node = model.node(index).ok_or(fault(NodeFault::Missing))?;
            check_node(&model, &node).map_err(fault)?;
            let in_place = matches!(node.operation, Operation::Add { .. });
            let reads = inputs(&node.operation).ok_or(fault(NodeFault::Unknown))?;
            *step = Step::new(reads, in_place, node.output.len());
        }
        let too_large = KernelError::TooLarge;
        let run = nodes - usize::from(ends_in_place(&model));
        let plan = steps.get(..run).and_then(Plan::new).ok_or(too_large.clone())?;
        let mut arenas = [Scratch::default(); MAX_LEVELS];
        for index in 0..run {
            let fault = |fault| KernelError::Node { node: index, fault };
            let node = model.node(index).ok_or(fault(NodeFault::Missing))?;
            let bytes = |words: usize| words.checked_mul(4)?.checked_add(plan.top(index))?.checked_add(ALIGNMENT);
            for (level, arena) in model.levels().up_to().zip(&mut arenas) {
                let scratch = scratch(&model, level, &node).map_err(|_| fault(NodeFault::TooLarge))?;
                arena.minimum = arena.minimum.max(bytes(scratch.minimum).ok_or(too_large.clone())?);
                arena.preferred = arena.preferred.max(bytes(scratch.preferred).ok_or(too_large.clone())?);
            }
        }
        let mut most = Scratch::default();
        for Scratch { minimum, preferred } in &mut arenas {
            most = Scratch { minimum: most.minimum.max(*minimum), preferred: most.preferred.max(*preferred) };
            (*minimum, *preferred) = (most.minimum, most.preferred);
        }
        Ok(Network { model, steps: run, plan, arenas })
    }

    /// The model.
    pub fn model(&self) -> &Model<B> {
        &self.model
    }

    /// The least bytes of arena that [`Network::run`] accepts at this level, of any alignment: enough for it and all sparser
    /// levels, so that firmware that switches between levels needs what its densest one needs.
    ///
    /// # Errors
    /// [`KernelError::NoSuchLevel`] for a level that the model does not hold.
    ///
    /// ```
    /// # use nested_csr::{Level, ModelBuilder, Profile, Quantization, TensorShape, Window};
    /// # use nested_kernels::Network;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let image = TensorShape { channels: 1, height: 1, width: 2 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// # let (input, window) = (builder.input(), Window { kernel: [1, 2], ..Window::square(1, 1, 0) });
    /// # builder.max_pool("", input, window)?;
    /// # let network = Network::new(builder.finish(Profile::Size)?)?;
    /// let densest = network.model().levels();
    /// let (ram, flash) = (network.arena_len(densest)?, network.flash_len(densest)?);
    /// assert!(network.arena_len(Level::FIRST)? <= ram && network.flash_len(Level::FIRST)? <= flash);
    /// # Ok(()) }
    /// ```
    pub fn arena_len(&self, level: Level) -> Result<usize, KernelError> {
        Ok(self.arena(level)?.minimum)
    }

    /// The bytes of arena with which runs at this level and all sparser ones are fastest; more is of no use.
    ///
    /// # Errors
    /// Those of [`Network::arena_len`].
    pub fn preferred_arena_len(&self, level: Level) -> Result<usize, KernelError> {
        Ok(self.arena(level)?.preferred)
    }

    fn arena(&self, level: Level) -> Result<Scratch, KernelError> {
        let levels = self.model.levels();
        let arena = self.arenas.get(level.number() - 1).filter(|_| level <= levels);
        arena.copied().ok_or(KernelError::NoSuchLevel { level: level.number(), levels: levels.number() })
    }

    /// The bytes of flash that a level needs: the length of the prefix that serves levels `1..=level`.
    ///
    /// # Errors
    /// Those of [`Network::arena_len`].
    pub fn flash_len(&self, level: Level) -> Result<usize, KernelError> {
        Ok(self.model.prefix(level)?.len())
    }

    /// Runs one image at `level`: `input` and `output` are channel-major, in the model's quantisation.
    ///
    /// The result does not depend on the arena's length, alignment or content.
    ///
    /// # Errors
    /// Before the first layer runs: [`KernelError::NoSuchLevel`], [`KernelError::InputLength`],
    /// [`KernelError::OutputLength`], [`KernelError::ArenaTooShort`]. Afterwards none, unless the bytes are no longer those
    /// that were parsed: where that is noticed, [`KernelError::WeightsChanged`] or what the changed node is refused for.
    pub fn run(&self, level: Level, input: &[i8], arena: &mut [u8], output: &mut [i8]) -> Result<(), KernelError> {
        self.run_observed(level, input, arena, output, |_| ())
    }

    /// As [`Network::run`], and tells `done` each node's index after it has run: to time the nodes one by one.
    ///
    /// # Errors
    /// Those of [`Network::run`].
    ///
    /// ```
    /// use std::time::Instant;
    /// # use nested_csr::{Level, ModelBuilder, Profile, Quantization, TensorShape, Window};
    /// # use nested_kernels::Network;
    /// # let image = TensorShape { channels: 1, height: 2, width: 4 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// # let half = builder.max_pool("first", builder.input(), Window::square(2, 2, 0))?;
    /// # builder.concatenation("second", half, half)?;
    /// # let network = Network::new(builder.finish(Profile::Size)?)?;
    /// # let (image, mut arena, mut output) = ([1, 2, 3, 4, 5, 6, 7, 8], [0; 64], [0; 4]);
    /// let mut times = Vec::new();
    /// let mut start = Instant::now();
    /// network.run_observed(Level::FIRST, &image, &mut arena, &mut output, |node| {
    ///     times.push((node, start.elapsed()));
    ///     start = Instant::now();
    /// })?;
    /// for (node, time) in times {
    ///     println!("{}: {time:?}", network.model().name(node).unwrap_or(""));
    /// }
    /// # assert_eq!(output, [6, 8, 6, 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_observed(
        &self,
        level: Level,
        input: &[i8],
        arena: &mut [u8],
        output: &mut [i8],
        mut done: impl FnMut(usize),
    ) -> Result<(), KernelError> {
        let needed = self.arena_len(level)?;
        let (image, result) = (self.model.input_shape().len(), self.model.output_shape().len());
        check_length(image, input.len(), |needed, given| KernelError::InputLength { needed, given })?;
        check_length(result, output.len(), |needed, given| KernelError::OutputLength { needed, given })?;
        if arena.len() < needed {
            return Err(KernelError::ArenaTooShort { needed, given: arena.len() });
        }
        let (_, arena, _) = bytemuck::pod_align_to_mut::<u8, u32>(arena);
        for index in 0..self.model.node_count() {
            if index < self.steps {
                self.run_node(level, index, input, arena, output)?;
            }
            done(index);
        }
        Ok(())
    }

    /// Runs one node.
    fn run_node(
        &self,
        level: Level,
        index: usize,
        image: &[i8],
        arena: &mut [u32],
        result: &mut [i8],
    ) -> Result<(), KernelError> {
        let fault = |fault| KernelError::Node { node: index, fault };
        let node = self.model.node(index).ok_or(fault(NodeFault::Missing))?;
        let top = self.plan.top(index) / 4;
        let (tensors, scratch) = arena.split_at_mut_checked(top).ok_or(fault(NodeFault::Order))?;
        let tensors: &mut [i8] = bytemuck::cast_slice_mut(tensors);
        let operands = self.operands(&node, image, tensors, result).ok_or(fault(NodeFault::Order))?;
        let geometry = |window| self.geometry(level, &node, window).ok_or(fault(NodeFault::Missing));
        let parameters = || self.model.parameters(level, index).ok_or(fault(NodeFault::Missing));
        match (node.operation, operands) {
            (Operation::Convolution { window, weights, .. }, Operands::Apart { left, output, .. }) => {
                convolution(&weights, level, &parameters()?, &geometry(window)?, left, output, scratch)
            }
            (Operation::Depthwise { window, weights, .. }, Operands::Apart { left, output, .. }) => {
                depthwise(weights, &parameters()?, &geometry(window)?, left, output, scratch)
            }
            (Operation::Add { .. }, Operands::Apart { left, right, output }) => {
                add(&parameters()?, left, right, output)
            }
            (Operation::Add { .. }, Operands::OnLeft { sum, right }) => add_in_place(&parameters()?, sum, right),
            (Operation::Add { .. }, Operands::OnRight { left, sum }) => {
                add_in_place(&swapped(parameters()?), sum, left)
            }
            (Operation::AveragePool { window, .. }, Operands::Apart { left, output, .. }) => {
                average_pool(&parameters()?, &geometry(window)?, left, output)
            }
            (Operation::MaxPool { window, .. }, Operands::Apart { left, output, .. }) => {
                max_pool(&geometry(window)?, left, output)
            }
            (Operation::Concatenation { .. }, Operands::Apart { left, right, output }) => {
                concatenation(left, right, output)
            }
            (Operation::Detection { .. }, Operands::Apart { left, output, .. }) => concatenation(left, &[], output),
            // Only sums are planned in place.
            (_, Operands::OnLeft { .. } | Operands::OnRight { .. }) => Err(fault(NodeFault::Order)),
            _ => Err(fault(NodeFault::Unknown)),
        }
    }

    /// A node's tensors, taken from the arena or from the caller's slices; `None` when the plan has them overlap.
    fn operands<'a>(
        &self,
        node: &Node<'_>,
        image: &'a [i8],
        tensors: &'a mut [i8],
        result: &'a mut [i8],
    ) -> Option<Operands<'a>> {
        let [left, right] = inputs(&node.operation)?;
        let places = [self.place(left)?, self.place(right)?];
        let made = self.place(TensorId(u16::try_from(node.index + 1).ok()?))?;
        let in_arena = !made.is_empty();
        let of = |tensor, slice: &'a mut [i8]| if tensor == TensorId(0) { image } else { &*slice };
        match places {
            [on_left, other] if in_arena && on_left == made => {
                let [sum, other] = tensors.get_disjoint_mut([made, other]).ok()?;
                Some(Operands::OnLeft { sum, right: of(right, other) })
            }
            [other, on_right] if in_arena && on_right == made => {
                let [other, sum] = tensors.get_disjoint_mut([other, made]).ok()?;
                Some(Operands::OnRight { left: of(left, other), sum })
            }
            [one, _] if left == right => {
                let [input, made] = tensors.get_disjoint_mut([one, made]).ok()?;
                let left = of(left, input);
                Some(Operands::Apart { left, right: left, output: if in_arena { made } else { result } })
            }
            [one, other] => {
                let [one, other, made] = tensors.get_disjoint_mut([one, other, made]).ok()?;
                let output = if in_arena { made } else { result };
                Some(Operands::Apart { left: of(left, one), right: of(right, other), output })
            }
        }
    }

    /// Where a tensor lies in the arena; nowhere when it is one of the caller's slices.
    fn place(&self, tensor: TensorId) -> Option<Range<usize>> {
        let tensor = usize::from(tensor.0);
        match tensor.checked_sub(1) {
            None => Some(0..0),
            Some(_) if tensor == self.steps => Some(0..0),
            Some(maker) => {
                let start = self.plan.offset(maker);
                Some(start..start + self.model.node(maker)?.output.len())
            }
        }
    }

    /// The geometry of a node at a level.
    fn geometry(&self, level: Level, node: &Node<'_>, window: Window) -> Option<Geometry> {
        let [input, _] = inputs(&node.operation)?;
        let zero_point = zero_point(&self.model, level, input)?;
        Some(Geometry { input: shape(&self.model, input)?, output: node.output, window, zero_point })
    }
}

/// What a node reads and writes.
enum Operands<'a> {
    Apart {
        left: &'a [i8],
        right: &'a [i8],
        output: &'a mut [i8],
    },
    /// The sum takes the left operand's place.
    OnLeft {
        sum: &'a mut [i8],
        right: &'a [i8],
    },
    /// The sum takes the right operand's place.
    OnRight {
        left: &'a [i8],
        sum: &'a mut [i8],
    },
}

/// The tensors that an operation reads; one that it reads alone is given twice. `None` for one that is not known here.
fn inputs(operation: &Operation<'_>) -> Option<[TensorId; 2]> {
    Some(match *operation {
        Operation::Add { left, right } | Operation::Concatenation { left, right } => [left, right],
        Operation::Convolution { input, .. }
        | Operation::Depthwise { input, .. }
        | Operation::AveragePool { input, .. }
        | Operation::MaxPool { input, .. }
        | Operation::Detection { input, .. } => [input, input],
        _ => return None,
    })
}

/// Whether the last node is a detection of the tensor made before it, which no other node reads.
fn ends_in_place<B: AsRef<[u8]>>(model: &Model<B>) -> bool {
    let last = model.node_count().saturating_sub(1);
    match model.node(last).map(|node| node.operation) {
        Some(Operation::Detection { input, .. }) => last > 0 && usize::from(input.0) == last,
        _ => false,
    }
}

/// The same sum with its operands exchanged.
fn swapped(mut parameters: NodeParameters<'_>) -> NodeParameters<'_> {
    parameters.input_weights.reverse();
    parameters
}

/// Shape of a tensor.
fn shape<B: AsRef<[u8]>>(model: &Model<B>, tensor: TensorId) -> Option<TensorShape> {
    match usize::from(tensor.0).checked_sub(1) {
        None => Some(model.input_shape()),
        Some(maker) => Some(model.node(maker)?.output),
    }
}

/// Zero point of a tensor at a level.
fn zero_point<B: AsRef<[u8]>>(model: &Model<B>, level: Level, tensor: TensorId) -> Option<i8> {
    match usize::from(tensor.0).checked_sub(1) {
        Some(maker) => Some(model.parameters(level, maker)?.zero_point),
        None => Some(model.input_quantization().zero_point),
    }
}

/// Words of scratch of a node at a level.
fn scratch<B: AsRef<[u8]>>(model: &Model<B>, level: Level, node: &Node<'_>) -> Result<Scratch, KernelError> {
    let input = inputs(&node.operation).and_then(|[input, _]| shape(model, input)).ok_or(KernelError::Geometry)?;
    let geometry = |window| Geometry { input, output: node.output, window, zero_point: 0 };
    match &node.operation {
        Operation::Convolution { window, weights, .. } => convolution_scratch(weights, level, &geometry(*window)),
        Operation::Depthwise { window, .. } => depthwise_scratch(&geometry(*window)),
        _ => Ok(Scratch::default()),
    }
}

/// Whether a node can run at every level.
fn check_node<B: AsRef<[u8]>>(model: &Model<B>, node: &Node<'_>) -> Result<(), NodeFault> {
    let reads = inputs(&node.operation).ok_or(NodeFault::Unknown)?;
    if reads.iter().any(|tensor| usize::from(tensor.0) > node.index) {
        return Err(NodeFault::Order);
    }
    let [left, right] = reads.map(|tensor| shape(model, tensor));
    let (left, right) = (left.ok_or(NodeFault::Missing)?, right.ok_or(NodeFault::Missing)?);
    let geometry = |window| Geometry { input: left, output: node.output, window, zero_point: 0 };
    let fault = |error| match error {
        KernelError::WeightsLength { .. } | KernelError::WeightsShape { .. } => NodeFault::Weights,
        KernelError::UnknownWeights => NodeFault::Unknown,
        KernelError::TooLarge => NodeFault::TooLarge,
        _ => NodeFault::Shape,
    };
    let rows = match &node.operation {
        Operation::Convolution { window, weights, .. } => {
            let geometry = geometry(*window);
            geometry.check().and_then(|()| check_weights(weights, &geometry)).map_err(fault)?;
            if let nested_csr::Weights::Sparse(matrix) = weights
                && matrix.levels() < model.levels()
            {
                return Err(NodeFault::Missing);
            }
            node.output.channels
        }
        Operation::Depthwise { window, weights, .. } => {
            let geometry = geometry(*window);
            geometry.check().and_then(|()| check_depthwise(weights.len(), &geometry)).map_err(fault)?;
            node.output.channels
        }
        Operation::Add { .. } if left == right && left == node.output => 1,
        Operation::Add { .. } => return Err(NodeFault::Shape),
        Operation::AveragePool { window, .. } => {
            let geometry = geometry(*window);
            geometry.check().and_then(|()| geometry.check_channels()).map_err(fault)?;
            if window.padding != nested_csr::Padding::default() {
                return Err(NodeFault::Shape);
            }
            1
        }
        Operation::MaxPool { window, .. } => {
            let geometry = geometry(*window);
            return geometry.check().and_then(|()| geometry.check_channels()).map_err(fault);
        }
        Operation::Concatenation { .. } if left.len().checked_add(right.len()) == Some(node.output.len()) => 0,
        Operation::Detection { .. } if left == node.output => 0,
        Operation::Concatenation { .. } | Operation::Detection { .. } => return Err(NodeFault::Shape),
        _ => return Err(NodeFault::Unknown),
    };
    for level in model.levels().up_to() {
        let parameters = model.parameters(level, node.index).ok_or(NodeFault::Missing)?;
        if parameters.rows.len() != rows {
            return Err(NodeFault::Requantizations);
        }
    }
    Ok(())
}
