//! Adding a node: what a file could not say, or a reader would refuse, is refused here, and the error names the node.
use super::{BuiltNode, ModelBuilder, NodeLevel};
use crate::body::{self, NodeRecord, output_shape};
use crate::builder::{Source, check_len, pad};
use crate::check::Sums;
use crate::parameters::{Fields, accumulator, operand_extremes};
use crate::{FormatError, Place, Quantization, TensorId, TensorShape, Window};
use alloc::vec;
use alloc::vec::Vec;

impl ModelBuilder {
    /// Adds a node that keeps the quantisation of its inputs, which have to share it.
    pub(super) fn push_kept(&mut self, name: &str, record: NodeRecord) -> Result<TensorId, FormatError> {
        let kept = |level| NodeLevel {
            output: self.quantization_of(record.input, level),
            low: i8::MIN,
            high: i8::MAX,
            input_weights: [0, 0],
            rows: Vec::new(),
        };
        let levels: Vec<NodeLevel> = (0..self.levels.number()).map(kept).collect();
        self.push(name, record, &levels, &|_, _| (0, 0))
    }

    /// Quantisation of a tensor that was made, at a level from 0.
    fn quantization_of(&self, tensor: TensorId, level: usize) -> Quantization {
        match usize::from(tensor.0).checked_sub(1) {
            None => self.quantization,
            Some(node) => self.nodes[node].levels[level].output,
        }
    }

    pub(super) fn tensor(&self, tensor: TensorId) -> Result<TensorShape, FormatError> {
        self.shape(tensor).ok_or(FormatError::Node { node: self.nodes.len(), field: "the input" })
    }

    /// A node's record, its output shape worked out.
    pub(super) fn record(
        &self,
        operation: u8,
        [input, second]: [TensorId; 2],
        window: Window,
        output: TensorShape,
    ) -> Result<NodeRecord, FormatError> {
        let wrong = |field| FormatError::Node { node: self.nodes.len(), field };
        let mut record =
            NodeRecord { operation, weights: body::NO_WEIGHTS, input, second, window, output, source: 0, name_end: 0 };
        let shapes = [self.tensor(input)?, self.tensor(second)?];
        record.output = output_shape(&record, shapes).ok_or(wrong("the window"))?;
        if !fits(record.output) {
            return Err(wrong("the output shape"));
        }
        Ok(record)
    }

    /// For each row and level, the extremes of the dot product of the weights up to that level; refuses what cannot be
    /// compressed.
    pub(super) fn ring_sums(
        &self,
        rows: usize,
        source: &Source<'_>,
    ) -> Result<impl Fn(usize, usize) -> (i64, i64) + use<>, FormatError> {
        let levels = self.levels.number();
        let mut sums = vec![Sums::default(); rows * levels];
        source.each_stored(self.levels, |row, _, ring, weights| {
            let ring = &mut sums[row * levels + ring];
            *ring = ring.add(Sums::of(bytemuck::must_cast_slice::<i8, u8>(weights)));
        })?;
        for row in sums.chunks_mut(levels) {
            for level in 1..levels {
                row[level] = row[level].add(row[level - 1]);
            }
        }
        Ok(move |level: usize, row: usize| sums[row * levels + level].extremes())
    }

    pub(super) fn push_dense(
        &mut self,
        name: &str,
        mut record: NodeRecord,
        weights: &[i8],
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let shape = record.matrix(self.tensor(record.input)?);
        shape.check(Place::Node(self.nodes.len()))?;
        check_len("weights", shape.len(), weights.len())?;
        record.weights = body::DENSE;
        record.source = self.dense.len();
        let bytes: &[u8] = bytemuck::must_cast_slice(weights);
        let sums: Vec<Sums> = bytes.chunks(shape.columns).map(Sums::of).collect();
        let id = self.push(name, record, levels, &|_, row: usize| sums[row].extremes())?;
        self.dense.extend(bytes);
        pad(&mut self.dense)?;
        Ok(id)
    }

    pub(super) fn push_operands(
        &mut self,
        name: &str,
        record: NodeRecord,
        taps: i64,
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let weights: Vec<[i16; 2]> = levels.iter().map(|level| level.input_weights).collect();
        self.push(name, record, levels, &|level: usize, _| operand_extremes(weights[level], taps))
    }

    /// Adds a node after checking each level's parameters; `extremes(level, row)` bounds the dot product.
    pub(super) fn push(
        &mut self,
        name: &str,
        mut record: NodeRecord,
        levels: &[NodeLevel],
        extremes: &dyn Fn(usize, usize) -> (i64, i64),
    ) -> Result<TensorId, FormatError> {
        let index = self.nodes.len();
        if self.nodes.last().is_some_and(|last| last.record.operation == body::DETECTION) {
            return Err(FormatError::Node { node: index.saturating_sub(1), field: "a node behind a detection" });
        }
        check_len("levels", self.levels.number(), levels.len())?;
        let too_many = FormatError::TooLarge { what: "the graph" };
        let id = u16::try_from(index + 1).map(TensorId).map_err(|_| too_many.clone())?;
        let name_end = self.names.len() + name.len();
        u32::try_from(name_end.max(self.dense.len())).map_err(|_| too_many)?;

        let second = if record.is_binary() { record.second } else { record.input };
        let mut wide = Vec::new();
        for (number, (level, parameters)) in self.levels.up_to().zip(levels).enumerate() {
            check_len("rows", record.rows(), parameters.rows.len())?;
            let inputs = [record.input, second].map(|tensor| self.quantization_of(tensor, number));
            parameters.said().check_said(index, level, &record, inputs)?;
            let mut some = false;
            for (row, requantization) in parameters.rows.iter().enumerate() {
                let (least, greatest) = extremes(number, row);
                let bias = i64::from(requantization.bias);
                let overflow = FormatError::AccumulatorOverflow { node: index, level: level.number(), row };
                some |= accumulator(least + bias, greatest + bias).ok_or(overflow)?;
            }
            wide.push(some);
        }
        record.name_end = name_end;
        self.names.extend(name.as_bytes());
        self.nodes.push(BuiltNode { record, levels: levels.to_vec(), wide });
        Ok(id)
    }
}

impl NodeLevel {
    /// The fields that it says; those that follow from the rows and from their place are 0.
    pub(super) fn said(&self) -> Fields {
        Fields {
            scale: self.output.scale.to_bits(),
            zero_point: self.output.zero_point,
            low: self.low,
            high: self.high,
            form: 0,
            input_weights: self.input_weights,
            rows: 0,
        }
    }
}

/// Whether a shape's sides fit their fields and its elements 31 bits.
pub(super) fn fits(shape: TensorShape) -> bool {
    let sides = [shape.channels, shape.height, shape.width];
    body::is_tensor(shape) && sides.iter().all(|&side| u16::try_from(side).is_ok())
}
