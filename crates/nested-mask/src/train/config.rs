//! What a training run is determined by.
use super::TrainError;
use crate::{Allocation, Ladder, Routing, RoutingMatrix, Saliency, schedule::Ramp};
use nested_csr::Block;

/// The most images a step, so that a slip is refused before memory is asked for.
const MAX_BATCH: usize = 65_536;

/// Light changes of the training images, drawn anew each epoch; [`Config`] has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augmentation {
    /// The image is moved by up to this many pixels each way; what comes in is black.
    pub shift: u8,
    /// Whether half of the images are mirrored left to right.
    pub flip: bool,
    /// Half of the images lose a rectangle whose sides are up to this many pixels: it becomes the mean pixel. Source: Zhong
    /// et al., Random Erasing (2020).
    pub erase: u8,
    /// Scenes with objects are enlarged or reduced by up to this many per cent, about a random place; at most 90. A classifier refuses
    /// it.
    pub zoom: u8,
}

/// In-place distillation: the densest level learns from the labels, the others from its outputs too, which are detached.
///
/// Their loss is `(1 − mix) · CE(labels) + mix · T² · CE(teacher at T)`, where at temperature T logits are divided by T. When
/// the densest level is not itself in a step, it makes one forward pass more. Source: Hinton et al., Distilling the Knowledge
/// in a Neural Network (2015), section 2; in place: Yu & Huang, Universally Slimmable Networks (2019).
/// [`Config`] has an example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distillation {
    /// Share of the training after which it begins, in `[0, 1]`: an untrained teacher hurts.
    pub start: f64,
    /// The teacher's part of the loss, in `[0, 1]`.
    pub mix: f64,
    /// T, positive.
    pub temperature: f64,
}

/// What the levels are, and whether their gradients are masked: nested masks, or the methods they are compared with.
/// [`super::Trained::narrowed`] has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Masking {
    /// Nested masks that are frozen once sparsity is reached; a step trains the weights that its levels use.
    #[default]
    Nested,
    /// As [`Masking::Nested`], but without gradient masking: the gradient of a level goes to all weights, also to those that it
    /// does not use (straight through the mask), unless their row varies by no more than ε in the batch: there normalisation would
    /// make it `1/√ε` times as large. Of a routing matrix the first row counts, so that routings which train rings
    /// apart ([`Routing::Ring`], [`Routing::Frozen`], [`Routing::Staged`], a [`Routing::Weighted`] whose first row has only 0
    /// beyond level 1) are refused.
    StraightThrough,
    /// As [`Masking::StraightThrough`], of one weight tensor whose greatest weights are taken anew for each level to the end of
    /// the training, at every `rank_every`-th step.
    Dsnn,
    /// Levels are widths: level k uses the leading `1 − sparsity` of each layer's channels (all of those that a concatenation
    /// puts together), with batch normalisations of its own (switchable); ramp, block and allocation have no effect. Source: Yu
    /// et al., Slimmable Neural Networks (2019).
    Slimmable,
}

impl Masking {
    /// Whether weights learn from levels that do not use them.
    pub(super) fn is_straight_through(self) -> bool {
        matches!(self, Masking::StraightThrough | Masking::Dsnn)
    }

    /// The block of its masks, where the configuration says this one: widths are of channels, not of pairs.
    pub(super) fn block(self, configured: Block) -> Block {
        if self == Masking::Slimmable { Block::OneByOne } else { configured }
    }
}

/// Exchange of weights after the ramp: at every `rank_every`-th step from its end to `until`, a share of each layer's densest
/// support leaves it for weights of great gradient ([`crate::NestedMask::regrow`]); the share falls with a cosine to 0. The inner
/// rings of what survives are ranked anew by magnitude, so that [`Saliency::FirstOrder`] is refused beside it. Nothing comes into a
/// row that hardly varies in the batch, as one without a weight does: its normalisation makes gradients great whatever they are worth.
///
/// ```
/// use nested_mask::schedule::Ramp;
/// use nested_mask::train::{Config, Regrowth};
/// // Sparsity grows over the first half; then up to a fifth of the weights is exchanged, until three quarters.
/// let regrowth = Some(Regrowth { until: 0.75, share: 0.2 });
/// Config { ramp: Ramp { start: 0.0, end: 0.5 }, regrowth, ..Config::default() }.check()?;
/// # Ok::<(), nested_mask::train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regrowth {
    /// Share of the training after which supports are frozen; beyond the ramp's end.
    pub until: f64,
    /// The share exchanged at first, in `[0, 1]`.
    pub share: f64,
}

/// All that determines a training run, besides the network and the data.
///
/// ```
/// use nested_mask::train::{Augmentation, Config, Distillation};
/// use nested_mask::{Allocation, Block, Ladder};
///
/// let config = Config {
///     ladder: Ladder::new([0.9, 0.8])?,
///     allocation: Allocation::ErdosRenyiKernel,
///     block: Block::OneByTwo,
///     epochs: 30,
///     augmentation: Augmentation { shift: 2, flip: true, ..Augmentation::default() },
///     distillation: Some(Distillation { start: 0.5, mix: 0.5, temperature: 2.0 }),
///     ..Config::default()
/// };
/// config.check()?;
/// let impossible = Config { momentum: 1.0, ..config };
/// let error = impossible.check().map_err(|error| error.to_string());
/// assert_eq!(error, Err("momentum is 1: it must be in [0, 1)".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Sparsity of each level; [`Ladder::dense`] trains without masks.
    pub ladder: Ladder,
    /// What the levels are.
    pub masking: Masking,
    /// How the ladder's sparsities are spread over the layers.
    pub allocation: Allocation,
    /// What a weight is worth when the weights of a layer are ranked.
    pub saliency: Saliency,
    /// Whether supports change after the ramp; under [`Masking::Nested`].
    pub regrowth: Option<Regrowth>,
    /// The block that is pruned as one.
    pub block: Block,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images a step, up to 65,536; the images left over at the end of an epoch are left out of it.
    pub batch: usize,
    /// Determines initial weights, order, augmentation and drawn levels.
    pub seed: u64,
    /// How gradients of the levels reach the rings.
    pub routing: Routing,
    /// Peak learning rate: after `warm_up` it falls to 0 as a cosine does.
    pub learning_rate: f64,
    /// Share of the training in which the rate rises from 0.
    pub warm_up: f64,
    /// Momentum of the gradient descent.
    pub momentum: f64,
    /// Weight decay, on the weights of all layers; γ, β and biases do not decay, nor do weights that a step does not train.
    pub weight_decay: f64,
    /// Whether all levels share γ and β of their normalisations, which then learn as biases do, with ring 1. Each level has its own
    /// all the same where ring 1 does not learn from all ([`Routing::Ring`], [`Routing::Frozen`], [`Routing::Staged`], a
    /// [`Routing::Weighted`] that keeps a level from it) and with [`Masking::Slimmable`], whose levels lack channels. Statistics
    /// always are each level's own.
    pub shared_affine: bool,
    /// Share of the label's probability that is spread over all classes; a detector is refused one.
    pub label_smoothing: f64,
    /// Whether sparser levels learn from the densest, where there are several.
    pub distillation: Option<Distillation>,
    /// Share of the training after which passes use weights rounded to int8, on the one scale a row that all levels share, as
    /// [`crate::quant`] exports them; gradients go straight through the rounding. At the end the weights are what they were
    /// rounded to. 1: never, as it must be for [`Masking::Slimmable`].
    pub int8_from: f64,
    /// When sparsity grows. Where rings are trained in turn ([`Routing::Frozen`], [`Routing::Staged`]) it ends before the first
    /// ring's turn does, so early that a step of that turn follows; how long a step is is known when an epoch begins.
    pub ramp: Ramp,
    /// Steps between two rankings of the weights: while sparsity grows, in [`Regrowth`]'s time and, with [`Masking::Dsnn`], to
    /// the end.
    pub rank_every: usize,
    /// Changes of the images.
    pub augmentation: Augmentation,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            // Three constants, of which the doc test makes a ladder too.
            ladder: Ladder::new([0.9, 0.8, 0.7]).expect("strictly falling"),
            masking: Masking::Nested,
            allocation: Allocation::Uniform,
            saliency: Saliency::Magnitude,
            regrowth: None,
            block: Block::OneByOne,
            epochs: 80,
            batch: 64,
            seed: 1,
            routing: Routing::default(),
            learning_rate: 0.4,
            warm_up: 0.05,
            momentum: 0.9,
            weight_decay: 3e-4,
            shared_affine: true,
            label_smoothing: 0.0,
            distillation: None,
            int8_from: 1.0,
            ramp: Ramp { start: 0.0, end: 0.75 },
            rank_every: 16,
            augmentation: Augmentation { shift: 1, flip: false, erase: 0, zoom: 0 },
        }
    }
}

impl Config {
    /// Whether all values are possible.
    ///
    /// # Errors
    /// [`TrainError::Config`] names the first that is not; [`TrainError::Routing`]; [`TrainError::Combination`] for settings
    /// of which one leaves the other without effect.
    pub fn check(&self) -> Result<(), TrainError> {
        const FRACTION: &str = "in [0, 1]";
        const POSITIVE: &str = "positive and finite";
        const GATHERED: &str = "above 0, for a saliency that is gathered in training";
        const STILL: &str = "before the end of the first ring's turn, after which its weights stand still";
        const IN_TURN: &str = "within the first ring's turn, after which its weights stand still";
        let turn = self.routing.first_turn(self.ladder.levels().number());
        // Channels are never ranked.
        let ranked = self.masking != Masking::Slimmable;
        let rules = [
            ("epochs", self.epochs as f64, self.epochs > 0, "at least 1"),
            ("batch", self.batch as f64, (1..=MAX_BATCH).contains(&self.batch), "from 1 to 65536"),
            ("rank_every", self.rank_every as f64, self.rank_every > 0, "at least 1"),
            ("learning_rate", self.learning_rate, self.learning_rate > 0.0 && self.learning_rate.is_finite(), POSITIVE),
            ("momentum", self.momentum, (0.0..1.0).contains(&self.momentum), "in [0, 1)"),
            ("weight_decay", self.weight_decay, (0.0..1.0).contains(&self.weight_decay), "in [0, 1)"),
            ("label_smoothing", self.label_smoothing, (0.0..1.0).contains(&self.label_smoothing), "in [0, 1)"),
            ("warm_up", self.warm_up, (0.0..=1.0).contains(&self.warm_up), FRACTION),
            ("augmentation.zoom", self.augmentation.zoom.into(), self.augmentation.zoom <= 90, "at most 90"),
            ("int8_from", self.int8_from, (0.0..=1.0).contains(&self.int8_from), FRACTION),
            ("ramp.start", self.ramp.start, (0.0..=1.0).contains(&self.ramp.start), FRACTION),
            ("ramp.end", self.ramp.end, (self.ramp.start..=1.0).contains(&self.ramp.end), "in [ramp.start, 1]"),
            ("ramp.end", self.ramp.end, self.saliency == Saliency::Magnitude || self.ramp.end > 0.0, GATHERED),
            ("ramp.end", self.ramp.end, !ranked || turn.is_none_or(|turn| self.ramp.end < turn), STILL),
        ];
        let of_distillation = self.distillation.map(|Distillation { start, mix, temperature }| {
            [
                ("distillation.start", start, (0.0..=1.0).contains(&start), FRACTION),
                ("distillation.mix", mix, (0.0..=1.0).contains(&mix), FRACTION),
                // Losses are of single precision, in which it may be 0 or infinite.
                (
                    "distillation.temperature",
                    temperature,
                    temperature as f32 > 0.0 && (temperature as f32).is_finite(),
                    POSITIVE,
                ),
            ]
        });
        let of_regrowth = self.regrowth.map(|Regrowth { until, share }| {
            [
                ("regrowth.until", until, (0.0..=1.0).contains(&until), FRACTION),
                ("regrowth.until", until, turn.is_none_or(|turn| until <= turn), IN_TURN),
                ("regrowth.share", share, (0.0..=1.0).contains(&share), FRACTION),
            ]
        });
        let exponent = match self.allocation {
            Allocation::PerInstruction { exponent } => exponent,
            _ => 1.0,
        };
        let of_allocation = [("allocation.exponent", exponent, (0.0..=1.0).contains(&exponent), FRACTION)];
        let rules = rules.into_iter().chain(of_regrowth.into_iter().flatten()).chain(of_allocation);
        if let Some((what, value, _, must)) = rules.chain(of_distillation.into_iter().flatten()).find(|rule| !rule.2) {
            return Err(TrainError::Config { what, value, must });
        }
        self.routing.check(self.ladder.levels().number())?;
        self.check_masking()?;
        self.check_combinations()
    }

    /// Whether γ and β are those of all levels: where there are several, and [`Self::shared_affine`] asks for it and can have it. Channels that a slimmable
    /// level lacks are silent at it alone; and what learns with ring 1 would serve a level badly whose gradient never gets there.
    ///
    /// ```
    /// use nested_mask::{Routing, train::Config};
    /// assert!(Config::default().shares_affine());
    /// // Ring 1 learns from level 1 alone.
    /// assert!(!Config { routing: Routing::Ring, ..Config::default() }.shares_affine());
    /// ```
    pub fn shares_affine(&self) -> bool {
        let levels = self.ladder.levels().number();
        let keeps_from_ring_1 =
            |matrix: RoutingMatrix| (1..=levels).any(|level| matrix.uses(level) && matrix.coefficient(1, level) == 0.0);
        let apart =
            self.routing.first_turn(levels).is_some() || self.routing.matrix(levels).is_ok_and(keeps_from_ring_1);
        self.shared_affine && self.masking != Masking::Slimmable && levels > 1 && !apart
    }

    /// Whether all that is asked for has an effect. What the default says is not asked for, nor is an allocation of a dense
    /// network: the same settings may train it beside a sparse one.
    fn check_combinations(&self) -> Result<(), TrainError> {
        const REGROWTH: &str = "Config::regrowth";
        let (regrows, slimmable) = (self.regrowth.is_some(), self.masking == Masking::Slimmable);
        let too_soon = self.regrowth.is_some_and(|regrowth| regrowth.until <= self.ramp.end);
        let ranked = !slimmable && !self.ladder.is_dense();
        let rules = [
            (regrows && self.ladder.is_dense(), REGROWTH, "Ladder::dense", "has no supports to change"),
            (
                regrows && self.masking != Masking::Nested,
                REGROWTH,
                "a masking that is not Masking::Nested",
                "exchanges nothing",
            ),
            (
                regrows && self.saliency == Saliency::FirstOrder,
                "Saliency::FirstOrder",
                REGROWTH,
                "loses its effect: each exchange ranks the inner rings anew by magnitude",
            ),
            (
                slimmable && self.int8_from < 1.0,
                "Config::int8_from",
                "Masking::Slimmable",
                "rounds to other scales than those of the narrowed networks, whose rows lack channels",
            ),
            (too_soon, REGROWTH, "a ramp that ends no sooner", "exchanges nothing: it begins when the ramp ends"),
            (
                slimmable && self.saliency == Saliency::FirstOrder,
                "Saliency::FirstOrder",
                "Masking::Slimmable",
                "ranks nothing: levels are widths",
            ),
            (
                self.masking.is_straight_through() && self.saliency == Saliency::FirstOrder,
                "Saliency::FirstOrder",
                "a masking straight through the mask",
                "is of weights in use alone, while those that learn without it change",
            ),
            (
                self.distillation.is_some() && self.ladder.levels().number() == 1,
                "Config::distillation",
                "a ladder of one level",
                "has no sparser level to teach",
            ),
        ];
        if let Some((_, what, with, why)) = rules.into_iter().find(|rule| rule.0) {
            return Err(TrainError::Combination { what, with, why });
        }
        if ranked { compares(self.allocation, self.saliency) } else { Ok(()) }
    }

    /// Whether the routing has an effect under the masking. Without gradient masking all weights learn as ring 1 does.
    fn check_masking(&self) -> Result<(), TrainError> {
        const STANDS: &str = "trains no weight once the first ring's turn is over: all weights learn as that ring does";
        const ALONE: &str = "trains level 1 alone: all weights learn as the first ring does";
        let what = match self.masking {
            Masking::StraightThrough => "Masking::StraightThrough",
            Masking::Dsnn => "Masking::Dsnn",
            Masking::Nested | Masking::Slimmable => return Ok(()),
        };
        // Of one level, the first ring's turn is the whole training.
        let levels = self.ladder.levels().number();
        let (with, why) = match &self.routing {
            Routing::Frozen => ("Routing::Frozen", STANDS),
            Routing::Staged { until } if *until > 0.0 => ("Routing::Staged", STANDS),
            Routing::Ring => ("Routing::Ring", ALONE),
            Routing::Weighted(matrix) if (2..=levels).all(|level| matrix.coefficient(1, level) == 0.0) => {
                ("a first row of Routing::Weighted with only 0 beyond level 1", ALONE)
            }
            _ => return Ok(()),
        };
        if levels > 1 { Err(TrainError::Combination { what, with, why }) } else { Ok(()) }
    }
}

/// Whether this allocation may rank by this saliency.
pub(super) fn compares(allocation: Allocation, saliency: Saliency) -> Result<(), TrainError> {
    if (allocation, saliency) != (Allocation::GlobalPerInstruction, Saliency::Magnitude) {
        return Ok(());
    }
    let (what, with) = ("Allocation::GlobalPerInstruction", "Saliency::Magnitude");
    let why = "compares what does not compare: magnitudes of different layers; take Saliency::FirstOrder";
    Err(TrainError::Combination { what, with, why })
}
