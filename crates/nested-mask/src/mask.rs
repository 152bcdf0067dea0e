//! Nested masks: the ring of each weight. Supports nest by construction, because one ranking is cut at N places.
use crate::{Ladder, LadderError, ladder::not_rising};
use ndarray::{Array, ArrayView, Dimension, Zip};
use nested_csr::{Block, Level};
use num_traits::Float;

/// The ring of each weight of one layer: `1..=levels`, or 0 when it is in no level.
///
/// The support of level k is where the ring is in `1..=k`, so `Support(1) ⊂ … ⊂ Support(N)` whatever the rings are.
/// Axis 0 is the rows (output channels); the rest, flattened in logical order, are the columns: 1×2 blocks pair neighbours in
/// that order. Files have the columns of a convolution as `(kh · KW + kw) · Cin + cin`; for weights of `[Cout, Cin, KH, KW]`, as
/// PyTorch has them, take the mask of `weights.permuted_axes([0, 2, 3, 1])`.
///
/// ```
/// use nested_mask::{Block, Level, NestedMask};
/// use ndarray::array;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mask = NestedMask::from_rings(array![[1, 0, 2, 0]], Level::new(2)?, Block::OneByOne)?;
/// assert_eq!(mask.support(Level::FIRST), array![[true, false, false, false]]);
/// assert_eq!((mask.count(mask.levels()), mask.sparsity(mask.levels())), (2, 0.5));
/// let weights = array![[0.5, -0.1, 2.0, 0.3]];
/// assert_eq!(mask.apply(Level::FIRST, weights.view())?, array![[0.5, 0.0, 0.0, 0.0]]);
/// assert_eq!(mask.apply(mask.levels(), weights.view())?, array![[0.5, 0.0, 2.0, 0.0]]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NestedMask<D: Dimension> {
    /// In standard layout, whatever array it was made from, so that it can be walked beside the weights' memory.
    rings: Array<u8, D>,
    levels: Level,
    block: Block,
}

/// What can be wrong with a mask.
///
/// ```
/// use nested_mask::{Block, Level, MaskError, NestedMask};
/// let error = NestedMask::from_rings(ndarray::array![[1, 2]], Level::FIRST, Block::OneByOne);
/// assert_eq!(error, Err(MaskError::Ring { index: 1, ring: 2, levels: 1 }));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskError {
    /// A ring beyond the levels.
    #[error("ring {ring} of weight {index}: there are {levels} levels")]
    Ring {
        /// Position, flattened.
        index: usize,
        /// The ring.
        ring: u8,
        /// The levels.
        levels: usize,
    },
    /// A 1×2 block whose two weights are in different rings.
    #[error("weights {index} and {} are one 1×2 block, but in rings {left} and {right}", index + 1)]
    SplitBlock {
        /// Position of the first weight, flattened.
        index: usize,
        /// Its ring.
        left: u8,
        /// The other's.
        right: u8,
    },
    /// A weight that cannot be ranked.
    #[error("weight {index} is not a number")]
    NotANumber {
        /// Position, flattened.
        index: usize,
    },
    /// No weight at all.
    #[error("a mask of no weights (shape {shape:?})")]
    Empty {
        /// The shape given.
        shape: Vec<usize>,
    },
    /// An array of another shape than the mask's, or than the weights' that it belongs to.
    #[error("shape of {what}: {found:?}, not {expected:?}")]
    Shape {
        /// The array.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that it must have.
        expected: Vec<usize>,
    },
    /// Of several layers, one that is wrong.
    #[error("layer {layer}: {error}")]
    Layer {
        /// Position of the layer.
        layer: usize,
        /// What is wrong with it.
        error: Box<MaskError>,
    },
    /// A sparsity that no ladder allows.
    #[error(transparent)]
    Ladder(#[from] LadderError),
    /// A number of costs that is not that of the layers.
    #[error("{costs} costs for {layers} layers")]
    Costs {
        /// Costs given.
        costs: usize,
        /// Layers given.
        layers: usize,
    },
    /// A cost that scores cannot be divided by.
    #[error(
        "a weight of layer {layer} costs {cost}: it must be above 0 and finite, as a number of the scores' type too"
    )]
    Cost {
        /// Position of the layer.
        layer: usize,
        /// Its cost.
        cost: f64,
    },
}

impl<D: Dimension> NestedMask<D> {
    /// A mask from the ring of each weight, in any memory order: the mask's own is row-major.
    ///
    /// # Errors
    /// [`MaskError::Ring`], [`MaskError::SplitBlock`], [`MaskError::Empty`].
    pub fn from_rings(rings: Array<u8, D>, levels: Level, block: Block) -> Result<Self, MaskError> {
        let columns = columns(rings.shape())?;
        let flat: Vec<u8> = rings.iter().copied().collect();
        if let Some(index) = flat.iter().position(|&ring| usize::from(ring) > levels.number()) {
            return Err(MaskError::Ring { index, ring: flat[index], levels: levels.number() });
        }
        for start in block_starts(flat.len(), columns, block) {
            let end = block_end(start, columns, block);
            if flat[start] != flat[end - 1] {
                return Err(MaskError::SplitBlock { index: start, left: flat[start], right: flat[end - 1] });
            }
        }
        // `flat` was made with one for each ring.
        let rings = Array::from_shape_vec(rings.raw_dim(), flat).expect("one ring a weight");
        Ok(NestedMask { rings, levels, block })
    }

    /// Ranks blocks by the sum of their squared weights, greatest first, ties by position, and cuts the ranking at the
    /// ladder's sparsities. Level k holds the number of weights nearest to `(1 − sparsity) · weights` that whole blocks
    /// allow, and at least one block, so that no level is empty.
    ///
    /// # Errors
    /// [`MaskError::NotANumber`], [`MaskError::Empty`].
    ///
    /// ```
    /// use nested_mask::{Block, Ladder, NestedMask};
    /// use ndarray::array;
    /// let weights = array![[0.1_f64, -3.0, 2.0, 2.0]];
    /// let mask = NestedMask::by_magnitude(weights.view(), &Ladder::new([0.5])?, Block::OneByTwo)?;
    /// assert_eq!(mask.rings(), &array![[1, 1, 0, 0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_magnitude<T: Float>(weights: ArrayView<T, D>, ladder: &Ladder, block: Block) -> Result<Self, MaskError> {
        Self::by_score(weights.mapv(|w| w * w).view(), ladder, block)
    }

    /// The same for any score of a weight (a saliency); a block's score is the sum of its weights'.
    ///
    /// # Errors
    /// [`MaskError::NotANumber`], [`MaskError::Empty`].
    ///
    /// ```
    /// use nested_mask::{Block, Ladder, NestedMask, saliency::first_order};
    /// use ndarray::array;
    /// let (weights, gradient) = (array![[3.0, 0.5, 1.0]], array![[0.0, -4.0, 1.0]]);
    /// let scores = first_order(weights.view(), gradient.view())?; // 0, 4, 1
    /// let mask = NestedMask::by_score(scores.view(), &Ladder::new([0.6, 0.3])?, Block::OneByOne)?;
    /// assert_eq!(mask.rings(), &array![[0, 1, 2]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_score<T: Float>(scores: ArrayView<T, D>, ladder: &Ladder, block: Block) -> Result<Self, MaskError> {
        Self::by_score_at(scores, ladder.sparsities(), ladder.levels(), block)
    }

    /// Ranks the blocks of all layers together, by the score of a weight of them on average, and cuts that ranking at the
    /// ladder's sparsities, which then hold for all layers together; each layer keeps at least one block at each level.
    ///
    /// # Errors
    /// [`MaskError::Layer`] with [`MaskError::NotANumber`] or [`MaskError::Empty`], of the first layer that has one.
    ///
    /// ```
    /// use nested_mask::{Block, Ladder, NestedMask};
    /// use ndarray::array;
    /// let (small, great) = (array![[0.1_f32, 0.2, 0.3]], array![[3.0, 2.0, 1.0]]);
    /// let layers = [small.view(), great.view()];
    /// let masks = NestedMask::by_score_across(&layers, &Ladder::new([0.5])?, Block::OneByOne)?;
    /// assert_eq!(masks[1].rings(), &array![[1, 1, 1]]);
    /// assert_eq!(masks[0].rings(), &array![[0, 0, 1]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_score_across<T: Float>(
        scores: &[ArrayView<T, D>],
        ladder: &Ladder,
        block: Block,
    ) -> Result<Vec<Self>, MaskError> {
        let of_layers = sparsities_across(scores, &vec![1.0; scores.len()], ladder.sparsities(), block)?;
        let layers = scores.iter().zip(of_layers);
        layers.map(|(scores, at)| Self::by_score_at(scores.view(), &at, ladder.levels(), block)).collect()
    }

    /// [`Self::by_score`] for one sparsity a level, sparsest first, that may be equal: those of a ramp, which begins with 0 at
    /// every level ([`crate::schedule::Ramp::sparsities`]), or of an allocation, which may leave a layer dense at several
    /// levels ([`crate::Allocation::sparsities`], [`sparsities_across`]). A level that is to be no denser than the one below
    /// it adds nothing: its ring is empty. What is below 0, above 1 or above the level before by no more than 10⁻⁹ counts as a rounding error, and as equal.
    ///
    /// # Errors
    /// [`MaskError::Ladder`] for no or too many sparsities, one outside `[0, 1]`, one that rises; [`MaskError::NotANumber`],
    /// [`MaskError::Empty`].
    ///
    /// ```
    /// use nested_mask::{Block, NestedMask};
    /// use ndarray::array;
    /// let weights = array![[0.1_f32, -3.0, 2.0, 1.0]];
    /// let scores = weights.mapv(|weight| weight * weight);
    /// let mask = |sparsities: &[f64]| NestedMask::by_score_with(scores.view(), sparsities, Block::OneByOne);
    /// assert_eq!(mask(&[0.0, -1e-16])?.rings(), &array![[1, 1, 1, 1]]); // two levels, both dense
    /// assert_eq!(mask(&[0.75, 0.5])?.rings(), &array![[0, 1, 2, 0]]);
    /// assert_eq!(mask(&[0.5, 0.5])?.rings(), &array![[0, 1, 1, 0]]);
    /// assert!(mask(&[0.5, 0.6]).is_err());
    /// # Ok::<(), nested_mask::MaskError>(())
    /// ```
    pub fn by_score_with<T: Float>(
        scores: ArrayView<T, D>,
        sparsities: &[f64],
        block: Block,
    ) -> Result<Self, MaskError> {
        let (levels, sparsities) = not_rising(sparsities)?;
        Self::by_score_at(scores, &sparsities, levels, block)
    }

    /// [`Self::by_score_with`], for sparsities that are known to be in order, one a level.
    pub(crate) fn by_score_at<T: Float>(
        scores: ArrayView<T, D>,
        sparsities: &[f64],
        levels: Level,
        block: Block,
    ) -> Result<Self, MaskError> {
        let columns = columns(scores.shape())?;
        let mut ranking = blocks(scores.view(), columns, block)?;
        sort(&mut ranking);
        let mut rings = vec![0; scores.len()];
        let mut blocks = ranking.iter().map(|&(_, start)| start..block_end(start, columns, block)).peekable();
        let mut kept = 0usize;
        for (index, sparsity) in sparsities.iter().enumerate() {
            let goal = (1.0 - sparsity) * scores.len() as f64;
            while let Some(next) = blocks.next_if(|next| kept == 0 || kept as f64 + 0.5 * next.len() as f64 <= goal) {
                kept += next.len();
                rings[next].fill(index as u8 + 1);
            }
        }
        // `rings` was made with one for each score.
        let rings = Array::from_shape_vec(scores.raw_dim(), rings).expect("one ring a score");
        Ok(NestedMask { rings, levels, block })
    }

    /// The ring of each weight.
    pub fn rings(&self) -> &Array<u8, D> {
        &self.rings
    }

    /// The ring of each weight, row-major.
    pub(crate) fn flat(&self) -> &[u8] {
        self.rings.as_slice().expect("masks are made from row-major rings")
    }

    /// The densest level.
    pub fn levels(&self) -> Level {
        self.levels
    }

    /// The positions that share one index.
    pub fn block(&self) -> Block {
        self.block
    }

    /// Whether each weight is in the support of a level; beyond the mask's levels, of the densest.
    pub fn support(&self, level: Level) -> Array<bool, D> {
        self.rings.mapv(|ring| is_in(ring, level))
    }

    /// Weights in the support of a level; beyond the mask's levels, of the densest.
    pub fn count(&self, level: Level) -> usize {
        self.rings.iter().filter(|&&ring| is_in(ring, level)).count()
    }

    /// Blocks in the support of a level.
    pub(crate) fn blocks(&self, level: Level) -> usize {
        let Ok(columns) = columns(self.rings.shape()) else { return 0 };
        let rings = self.flat();
        block_starts(rings.len(), columns, self.block).filter(|&start| is_in(rings[start], level)).count()
    }

    /// Share of the weights that are not in the support of a level, in `[0, 1]`: `1 − support / weights`.
    pub fn sparsity(&self, level: Level) -> f64 {
        1.0 - self.count(level) as f64 / self.rings.len() as f64
    }

    /// The weights of a level: 0 outside its support ([`Self::support`]).
    ///
    /// # Errors
    /// [`MaskError::Shape`] for weights of another shape than the mask's.
    pub fn apply<T: Float>(&self, level: Level, weights: ArrayView<T, D>) -> Result<Array<T, D>, MaskError> {
        self.check_shape("the weights", weights.shape())?;
        let kept = |&ring: &u8, &weight: &T| if is_in(ring, level) { weight } else { T::zero() };
        Ok(Zip::from(&self.rings).and(&weights).map_collect(kept))
    }

    /// Sum of squares and place of each block.
    pub(crate) fn blocks_of<T: Float>(&self, values: ArrayView<T, D>) -> Result<Vec<(T, usize)>, MaskError> {
        blocks(values.mapv(|value| value * value).view(), columns(values.shape())?, self.block)
    }

    /// The weights of the block that begins here, flattened.
    pub(crate) fn block_at(&self, start: usize) -> std::ops::Range<usize> {
        let columns = self.rings.len() / self.rings.shape().first().copied().unwrap_or(1).max(1);
        start..block_end(start, columns, self.block)
    }

    pub(crate) fn check_shape(&self, what: &'static str, found: &[usize]) -> Result<(), MaskError> {
        check_shape(what, found, self.rings.shape())
    }
}

/// Whether a ring's weights are in the support of a level.
pub(crate) fn is_in(ring: u8, level: Level) -> bool {
    ring != 0 && usize::from(ring) <= level.number()
}

/// Whether an array has the shape that it must have.
pub(crate) fn check_shape(what: &'static str, found: &[usize], expected: &[usize]) -> Result<(), MaskError> {
    if found == expected {
        return Ok(());
    }
    Err(MaskError::Shape { what, found: found.to_vec(), expected: expected.to_vec() })
}

/// Score and place of each block.
fn blocks<T: Float, D: Dimension>(
    scores: ArrayView<T, D>,
    columns: usize,
    block: Block,
) -> Result<Vec<(T, usize)>, MaskError> {
    let flat: Vec<T> = scores.iter().copied().collect();
    let score = |start| {
        let scores = &flat[start..block_end(start, columns, block)];
        let sum = scores.iter().fold(T::zero(), |sum, &score| sum + score);
        // Of a block without such a score the sum may still be none: ∞ − ∞.
        let wrong = || start + scores.iter().position(|score| score.is_nan()).unwrap_or(0);
        if sum.is_nan() { Err(MaskError::NotANumber { index: wrong() }) } else { Ok((sum, start)) }
    };
    block_starts(flat.len(), columns, block).map(score).collect()
}

/// Greatest score first, ties by position. No score is NaN: [`blocks`] refuses what is, and what divides scores divides by a
/// finite number above 0.
pub(crate) fn sort<T: Float, P: Ord>(ranking: &mut [(T, P)]) {
    ranking.sort_unstable_by(|a, b| b.0.partial_cmp(&a.0).expect("no score is NaN").then_with(|| a.1.cmp(&b.1)));
}

/// The sparsities of each layer, `[layer][level]`, when the blocks of all layers are ranked together by what a weight of them
/// is worth for its cost (one cost a layer, in any unit), and each level keeps those that cost `1 − sparsity` of the whole.
/// [`NestedMask::by_score_with`] makes the mask of a layer from them; a layer of which a level keeps nothing has sparsity 1
/// there, and its mask one block. [`crate::allocation::LayerShape::instructions`] is a cost.
///
/// # Errors
/// [`MaskError::Costs`], [`MaskError::Cost`]; [`MaskError::Ladder`] as [`NestedMask::by_score_with`]; [`MaskError::Layer`] with
/// [`MaskError::NotANumber`] or [`MaskError::Empty`], of the first layer that has one.
///
/// ```
/// use nested_mask::mask::sparsities_across;
/// use nested_mask::Block;
/// use ndarray::array;
/// // A weight of the second layer costs three times as much, and is worth twice as much.
/// let (cheap, dear) = (array![[1.0_f32, 1.0, 1.0, 1.0]], array![[2.0, 2.0, 2.0, 2.0]]);
/// let across = |costs| sparsities_across(&[cheap.view(), dear.view()], costs, &[0.75, 0.5], Block::OneByOne);
/// assert_eq!(across(&[1.0, 3.0])?, [[0.0, 0.0], [1.0, 0.75]]); // `[layer][level]`
/// assert_eq!(across(&[1.0, 1.0])?, [[1.0, 1.0], [0.5, 0.0]]); // at one price, the worthier layer first
/// # Ok::<(), nested_mask::MaskError>(())
/// ```
pub fn sparsities_across<T: Float, D: Dimension>(
    scores: &[ArrayView<T, D>],
    costs: &[f64],
    sparsities: &[f64],
    block: Block,
) -> Result<Vec<Vec<f64>>, MaskError> {
    if costs.len() != scores.len() {
        return Err(MaskError::Costs { costs: costs.len(), layers: scores.len() });
    }
    let (_, sparsities) = not_rising(sparsities)?;
    let mut ranking: Vec<(T, (usize, usize))> = Vec::new();
    for (layer, (scores, &cost)) in scores.iter().zip(costs).enumerate() {
        let of_layer = |error| MaskError::Layer { layer, error: Box::new(error) };
        let columns = columns(scores.shape()).map_err(of_layer)?;
        let of_block =
            |length: usize| T::from(length as f64 * cost).filter(|cost| *cost > T::zero() && cost.is_finite());
        if of_block(1).and(of_block(block.width())).is_none() {
            return Err(MaskError::Cost { layer, cost });
        }
        let worth = |(sum, start): (T, usize)| {
            let length = block_end(start, columns, block) - start;
            (sum / of_block(length).unwrap_or_else(T::one), (layer, length))
        };
        ranking.extend(blocks(scores.view(), columns, block).map_err(of_layer)?.into_iter().map(worth));
    }
    // Blocks of one score and layer are alike here: only how many are kept counts.
    sort(&mut ranking);
    let all: f64 = scores.iter().zip(costs).map(|(scores, cost)| scores.len() as f64 * cost).sum();
    let mut kept = vec![0usize; scores.len()];
    let mut of_layers = vec![Vec::with_capacity(sparsities.len()); scores.len()];
    let mut next = ranking.into_iter().map(|(_, place)| place).peekable();
    let mut total = 0.0;
    for sparsity in sparsities {
        let goal = (1.0 - sparsity) * all;
        let cost = |&(layer, length): &(usize, usize)| length as f64 * costs[layer];
        while let Some(place) = next.next_if(|place| total + 0.5 * cost(place) <= goal) {
            total += cost(&place);
            kept[place.0] += place.1;
        }
        for ((of_layer, &kept), scores) in of_layers.iter_mut().zip(&kept).zip(scores) {
            of_layer.push(1.0 - kept as f64 / scores.len() as f64);
        }
    }
    Ok(of_layers)
}

/// Columns of a row: all axes but the first.
fn columns(shape: &[usize]) -> Result<usize, MaskError> {
    let columns = shape.iter().skip(1).product();
    if columns == 0 || shape.first().is_none_or(|&rows| rows == 0) {
        return Err(MaskError::Empty { shape: shape.to_vec() });
    }
    Ok(columns)
}

/// Where each block begins, in a row-major matrix of `weights` weights.
fn block_starts(weights: usize, columns: usize, block: Block) -> impl Iterator<Item = usize> {
    (0..weights).filter(move |index| (index % columns).is_multiple_of(block.width()))
}

/// Where the block that begins at `start` ends: an odd last column is a block alone.
fn block_end(start: usize, columns: usize, block: Block) -> usize {
    start + block.width().min(columns - start % columns)
}

#[cfg(test)]
mod tests;
