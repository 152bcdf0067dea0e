//! What a level says of a node: quantisation of its output, clamps, operand weights and each row's requantisation.
use crate::body::{self, NodeRecord};
use crate::bytes::{array_at, range, u8_at, u16_at, u32_at};
use crate::check::Sums;
use crate::{FormatError, Level, MAX_LEVELS, Model, Multiplier, Quantization, Requantization};

/// Bytes of a node's parameters before its rows.
pub(crate) const PARAMETERS_LEN: usize = 16;
/// Bit of the form byte: some row's accumulator may leave ±2²³.
pub(crate) const WIDE: u8 = 0x80;
/// Bytes of a row's multiplier code.
pub(crate) const CODE_LEN: usize = 2;

/// A node's requantisation at one level.
///
/// ```
/// use nested_csr::{ConvolutionWeights, Level, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization};
/// use nested_csr::{TensorShape, Window};
///
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let quantization = Quantization { scale: 0.1, zero_point: 0 };
/// let rows = [100, -200].map(|bias| Requantization { multiplier: Multiplier::from_code(0xf000), bias });
/// let level = NodeLevel { output: quantization, low: 0, high: 127, input_weights: [0; 2], rows: rows.to_vec() };
/// # let image = TensorShape { channels: 1, height: 8, width: 8 };
/// # let mut builder = ModelBuilder::new(Level::FIRST, image, quantization)?;
/// # let (input, window) = (builder.input(), Window::square(1, 1, 0));
/// # builder.convolution("only", input, window, 2, ConvolutionWeights::Dense(&[5, -7]), &[level])?;
/// # let model = builder.finish(Profile::Size)?;
/// // … and of a `model` that was built with it:
/// let parameters = model.parameters(Level::FIRST, 0);
/// assert!(parameters.is_some_and(|parameters| parameters.narrow && parameters.low == 0));
/// assert!(parameters.is_some_and(|parameters| parameters.rows.iter().eq(rows)));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NodeParameters<'a> {
    /// The bits of the output's scale: kernels need no scale, and then touch no floating point, not even to copy it.
    scale: u32,
    /// Zero point of the tensor that the node makes.
    pub zero_point: i8,
    /// Least output value (ReLU: the zero point).
    pub low: i8,
    /// Greatest output value.
    pub high: i8,
    /// Integer weights of the operands of `Add` (left, right) or of the sum of `AveragePool` (first); 0 otherwise.
    pub input_weights: [i16; 2],
    /// Whether `bias + dot product` stays in −2²³..2²³ for all rows and any int8 input; checked when parsed.
    pub narrow: bool,
    /// One a row for convolution and depthwise; one in all for add and average pool; none for the others.
    pub rows: Requantizations<'a>,
}

impl NodeParameters<'_> {
    /// Quantisation of the tensor that the node makes.
    pub fn output(&self) -> Quantization {
        Quantization { scale: f32::from_bits(self.scale), zero_point: self.zero_point }
    }
}

/// Each row's requantisation, in order; [`NodeParameters`] has an example.
#[derive(Clone, Copy, Debug)]
pub struct Requantizations<'a> {
    bytes: &'a [u8],
    /// Rows.
    len: usize,
    /// Bytes of a bias.
    width: usize,
}

impl<'a> Requantizations<'a> {
    /// The rows as they are stored, for readers with loops of their own, and the bytes of a bias (1 to 4): each row is the
    /// code of its multiplier in 2 bytes, then its bias, two's complement; all little-endian.
    ///
    /// ```
    /// # use nested_csr::{ConvolutionWeights, Level, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization};
    /// # use nested_csr::{TensorShape, Window};
    /// # let quantization = Quantization { scale: 0.1, zero_point: 0 };
    /// # let rows = [100, -200].map(|bias| Requantization { multiplier: Multiplier::from_code(0xf000), bias }).to_vec();
    /// # let level = NodeLevel { output: quantization, low: 0, high: 127, input_weights: [0; 2], rows };
    /// # let image = TensorShape { channels: 1, height: 8, width: 8 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, image, quantization)?;
    /// # let (input, window) = (builder.input(), Window::square(1, 1, 0));
    /// # builder.convolution("only", input, window, 2, ConvolutionWeights::Dense(&[5, -7]), &[level])?;
    /// # let model = builder.finish(Profile::Size)?;
    /// // Two rows with multiplier 0xf000 and biases 100 and −200, which needs two bytes:
    /// if let Some(parameters) = model.parameters(Level::FIRST, 0) {
    ///     assert_eq!(parameters.rows.stored(), (&[0x00, 0xf0, 100, 0, 0x00, 0xf0, 0x38, 0xff][..], 2));
    /// }
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn stored(&self) -> (&'a [u8], usize) {
        (self.bytes, self.width)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Row `row`'s, O(1). Past the end: a requantisation that yields 0, never a panic.
    pub fn get(&self, row: usize) -> Requantization {
        let nothing = Requantization { multiplier: Multiplier::from_code(0), bias: 0 };
        let stride = self.width.wrapping_add(CODE_LEN);
        let Some(at) = row.checked_mul(stride).filter(|_| row < self.len) else { return nothing };
        let bias = at.wrapping_add(CODE_LEN);
        let raw = match self.width {
            1 => i32::from(u8_at(self.bytes, bias).cast_signed()),
            2 => i32::from(u16_at(self.bytes, bias).cast_signed()),
            3 => {
                let [low, middle, high] = array_at(self.bytes, bias);
                i32::from_le_bytes([0, low, middle, high]) >> 8
            }
            _ => u32_at(self.bytes, bias).cast_signed(),
        };
        Requantization { multiplier: Multiplier::from_code(u16_at(self.bytes, at)), bias: raw }
    }

    /// Calls `f` with each of them, in order; the width of a bias is matched once.
    #[inline]
    pub fn each(&self, mut f: impl FnMut(Requantization)) {
        fn rows<const STRIDE: usize>(
            bytes: &[u8],
            bias: impl Fn(&[u8; STRIDE]) -> i32,
            f: &mut impl FnMut(Requantization),
        ) {
            for row in bytes.as_chunks::<STRIDE>().0 {
                f(Requantization { multiplier: Multiplier::from_code(u16_at(row, 0)), bias: bias(row) });
            }
        }
        match self.width {
            1 => rows(self.bytes, |[_, _, a]: &[u8; 3]| a.cast_signed().into(), &mut f),
            2 => rows(self.bytes, |[_, _, a, b]: &[u8; 4]| i16::from_le_bytes([*a, *b]).into(), &mut f),
            3 => rows(self.bytes, |[_, _, a, b, c]: &[u8; 5]| i32::from_le_bytes([0, *a, *b, *c]) >> 8, &mut f),
            _ => rows(self.bytes, |[_, _, a, b, c, d]: &[u8; 6]| i32::from_le_bytes([*a, *b, *c, *d]), &mut f),
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Requantization> + '_ {
        (0..self.len).map(|row| self.get(row))
    }
}

/// Bytes of the narrowest two's complement form of `bias`: 1 to 4.
pub(crate) fn bias_width(bias: i32) -> usize {
    match bias {
        -0x80..=0x7f => 1,
        -0x8000..=0x7fff => 2,
        -0x80_0000..=0x7f_ffff => 3,
        _ => 4,
    }
}

/// The fixed part of a node's parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// The bits of the output's scale.
    pub scale: u32,
    pub zero_point: i8,
    pub low: i8,
    pub high: i8,
    pub form: u8,
    pub input_weights: [i16; 2],
    /// Where the rows start in the section.
    pub rows: usize,
}

/// The part of a section that is not yet used by anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub start: usize,
    pub len: usize,
}

impl Fields {
    pub(crate) fn read(section: &[u8], at: usize) -> Fields {
        let record: [u8; PARAMETERS_LEN] = array_at(section, at);
        Fields {
            scale: u32_at(&record, 0),
            zero_point: u8_at(&record, 4).cast_signed(),
            low: u8_at(&record, 5).cast_signed(),
            high: u8_at(&record, 6).cast_signed(),
            form: u8_at(&record, 7),
            input_weights: [u16_at(&record, 8).cast_signed(), u16_at(&record, 10).cast_signed()],
            rows: u32_at(&record, 12) as usize,
        }
    }

    #[cfg(feature = "alloc")]
    #[allow(clippy::cast_possible_truncation)] // a section's length fits 32 bits
    pub(crate) fn write(&self, out: &mut alloc::vec::Vec<u8>) {
        out.extend(self.scale.to_le_bytes());
        out.extend([self.zero_point, self.low, self.high].map(i8::cast_unsigned));
        out.push(self.form);
        out.extend(self.input_weights.iter().flat_map(|weight| weight.to_le_bytes()));
        out.extend((self.rows as u32).to_le_bytes());
    }

    /// Quantisation of the node's output.
    pub(crate) fn output(&self) -> Quantization {
        Quantization { scale: f32::from_bits(self.scale), zero_point: self.zero_point }
    }

    pub(crate) fn width(&self) -> usize {
        usize::from(self.form & !WIDE)
    }

    pub(crate) fn parameters<'a>(&self, section: &'a [u8], rows: usize) -> NodeParameters<'a> {
        let len = rows.saturating_mul(self.width().wrapping_add(CODE_LEN));
        NodeParameters {
            scale: self.scale,
            zero_point: self.zero_point,
            low: self.low,
            high: self.high,
            input_weights: self.input_weights,
            narrow: self.form & WIDE == 0,
            rows: Requantizations {
                bytes: range(section, self.rows, self.rows.saturating_add(len)),
                len: rows,
                width: self.width(),
            },
        }
    }

    /// Checks what a level says of a node, which is for whoever builds a model to say; the other fields follow from it.
    pub(crate) fn check_said(
        &self,
        index: usize,
        level: Level,
        node: &NodeRecord,
        inputs: [Quantization; 2],
    ) -> Result<(), FormatError> {
        let wrong = |field| Err(FormatError::Parameters { node: index, level: level.number(), field });
        let kept = node.keeps_values();
        if !body::is_scale(self.output().scale) {
            return wrong("the scale");
        }
        if self.low > self.high || (kept && (self.low, self.high) != (i8::MIN, i8::MAX)) {
            return wrong("the clamp");
        }
        // To the bit, so that the encoding is canonical.
        if kept && inputs.iter().any(|input| input.bits() != self.output().bits()) {
            return wrong("a quantisation that is not its inputs'");
        }
        let unused = match node.operation {
            body::ADD => false,
            body::AVERAGE_POOL => self.input_weights[1] != 0,
            _ => self.input_weights != [0, 0],
        };
        if unused { wrong("the input weights") } else { Ok(()) }
    }

    /// Checks the fields and that the rows start where the last node's ended.
    pub(crate) fn check(
        &self,
        index: usize,
        level: Level,
        node: &NodeRecord,
        inputs: [Quantization; 2],
        free: &mut Range,
    ) -> Result<(), FormatError> {
        self.check_said(index, level, node, inputs)?;
        let (level, kept) = (level.number(), node.keeps_values());
        if kept != (self.width() == 0) || self.width() > 4 || (kept && self.form != 0) {
            return Err(FormatError::Parameters { node: index, level, field: "the form byte" });
        }
        let part = crate::Part::Section(level);
        if self.rows != free.start {
            return Err(FormatError::Offset { part, what: "node", index, found: self.rows, expected: free.start });
        }
        free.start = free.start.saturating_add(node.rows().saturating_mul(self.width().wrapping_add(CODE_LEN)));
        if free.start > free.len {
            return Err(FormatError::Length { part, stated: free.len, needed: free.start });
        }
        Ok(())
    }
}

/// What the rows of a node need at each level.
#[derive(Clone, Copy, Debug, Default)]
struct Need {
    /// Bytes of the widest bias.
    width: usize,
    /// Whether some accumulator may leave ±2²³.
    wide: bool,
}

/// Whether an accumulator that spans `least..=greatest` fits 32 bits, and whether it leaves 24.
pub(crate) fn accumulator(least: i64, greatest: i64) -> Option<bool> {
    let fits = i32::try_from(least).is_ok() && i32::try_from(greatest).is_ok();
    fits.then_some(least < -(1 << 23) || greatest >= 1 << 23)
}

/// The least and greatest of `Σ weight · input` for `taps` int8 inputs of each operand.
pub(crate) fn operand_extremes(input_weights: [i16; 2], taps: i64) -> (i64, i64) {
    let mut sum = (0i64, 0i64);
    for weight in input_weights {
        let weight = i64::from(weight).wrapping_mul(taps);
        let (a, b) = (weight.wrapping_mul(-128), weight.wrapping_mul(127));
        sum = (sum.0.wrapping_add(a.min(b)), sum.1.wrapping_add(a.max(b)));
    }
    sum
}

/// Checks a node's weights, that no accumulator leaves 32 bits, and that each level's form byte says the truth.
pub(crate) fn check_rows<B: AsRef<[u8]>>(model: &Model<B>, index: usize) -> Result<(), FormatError> {
    let node = model.body().node(index);
    if node.rows() == 0 {
        return Ok(());
    }
    let mut needs = Needs::new(model, index);
    match node.weights {
        body::SPARSE => model.layer(node.source).check(|rows, sums| {
            for row in rows {
                let mut total = Sums::default();
                for (level, ring) in sums.iter().enumerate() {
                    total = total.add(*ring);
                    needs.add(level, row, total.extremes())?;
                }
            }
            Ok(())
        })?,
        body::DENSE => {
            let columns = node.matrix(model.body().tensor(node.input)).columns;
            for (row, weights) in model.body().dense(&node).chunks(columns.max(1)).enumerate() {
                let extremes = Sums::of(weights).extremes();
                (0..MAX_LEVELS).try_for_each(|level| needs.add(level, row, extremes))?;
            }
        }
        _ => {
            let [height, width] = node.window.kernel;
            let taps = if node.operation == body::ADD { 1 } else { i64::from(height).wrapping_mul(width.into()) };
            for level in model.levels().up_to() {
                let extremes = operand_extremes(model.fields(level, index).input_weights, taps);
                needs.add(level.index(), 0, extremes)?;
            }
        }
    }
    needs.check(model)
}

/// What the rows of a node were found to need at each level that is held.
struct Needs<'a> {
    node: usize,
    levels: [Option<(Requantizations<'a>, Need)>; MAX_LEVELS],
}

impl<'a> Needs<'a> {
    fn new<B: AsRef<[u8]>>(model: &'a Model<B>, node: usize) -> Needs<'a> {
        let mut levels = [None; MAX_LEVELS];
        for (slot, level) in levels.iter_mut().zip(model.levels().up_to()) {
            *slot = model.parameters(level, node).map(|parameters| (parameters.rows, Need::default()));
        }
        Needs { node, levels }
    }

    /// Takes note of a row's bias and of the extremes of its dot product at a level (from 0), when the level is held.
    fn add(&mut self, level: usize, row: usize, extremes: (i64, i64)) -> Result<(), FormatError> {
        let Some(Some((rows, need))) = self.levels.get_mut(level) else { return Ok(()) };
        let bias = rows.get(row).bias;
        let (least, greatest) = (extremes.0.wrapping_add(bias.into()), extremes.1.wrapping_add(bias.into()));
        let level = level.wrapping_add(1);
        let overflow = FormatError::AccumulatorOverflow { node: self.node, level, row };
        need.wide |= accumulator(least, greatest).ok_or(overflow)?;
        need.width = need.width.max(bias_width(bias));
        Ok(())
    }

    /// Checks each form byte against what was found.
    fn check<B: AsRef<[u8]>>(&self, model: &Model<B>) -> Result<(), FormatError> {
        for (level, (_, need)) in model.levels().up_to().zip(self.levels.iter().flatten()) {
            let wide = if need.wide { WIDE } else { 0 };
            let form = u8::try_from(need.width).ok().map(|width| width | wide);
            if form != Some(model.fields(level, self.node).form) {
                let (level, field) = (level.number(), "the form byte");
                return Err(FormatError::Parameters { node: self.node, level, field });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gives_what_get_gives() {
        let mut bytes = [0; 24];
        bytes.iter_mut().zip((7..=255).step_by(10)).for_each(|(byte, value)| *byte = value);
        for (width, len, used) in [(1, 8, 24), (2, 6, 24), (3, 4, 20), (4, 4, 24)] {
            let rows = Requantizations { bytes: range(&bytes, 0, used), len, width };
            let mut expected = rows.iter();
            rows.each(|row| assert_eq!(Some(row), expected.next()));
            assert_eq!(expected.len(), 0);
            let (stored, bias) = rows.stored();
            assert_eq!((stored.len(), bias), (len * (CODE_LEN + width), width));
        }
    }
}
