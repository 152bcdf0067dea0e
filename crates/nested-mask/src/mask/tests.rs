//! What holds for every mask.
use super::*;
use crate::{Allocation, allocation::LayerShape, schedule::Ramp};
use ndarray::{Array2, array};
use nested_csr::Shape;
use proptest::prelude::*;

fn cases() -> impl Strategy<Value = (Array2<f32>, Ladder, Block)> {
    let ladder = prop::collection::btree_set(0u32..1000, 1..6)
        .prop_map(|set| Ladder::new(set.into_iter().rev().map(|s| f64::from(s) / 1000.0).collect::<Vec<_>>()).unwrap());
    let block = prop_oneof![Just(Block::OneByOne), Just(Block::OneByTwo)];
    // Few distinct values, so that ties are common.
    let weights = (1usize..6, 1usize..40).prop_flat_map(|(rows, columns)| {
        prop::collection::vec(-4i8..=4, rows * columns)
            .prop_map(move |w| Array2::from_shape_vec((rows, columns), w).unwrap().mapv(f32::from))
    });
    (weights, ladder, block)
}

proptest! {
    #[test]
    fn support_of_a_level_contains_the_one_below((weights, ladder, block) in cases()) {
        let mask = NestedMask::by_magnitude(weights.view(), &ladder, block).unwrap();
        let supports: Vec<_> = ladder.levels().up_to().map(|level| mask.support(level)).collect();
        for pair in supports.windows(2) {
            prop_assert!(pair[0].iter().zip(&pair[1]).all(|(&inner, &outer)| outer || !inner));
        }
    }

    #[test]
    fn sparsity_is_the_ladders_within_half_a_block_and_no_level_is_empty((weights, ladder, block) in cases()) {
        let mask = NestedMask::by_magnitude(weights.view(), &ladder, block).unwrap();
        for level in ladder.levels().up_to() {
            let goal = (1.0 - ladder.sparsity(level).unwrap()) * weights.len() as f64;
            let kept = mask.count(level) as f64;
            prop_assert!(kept >= 1.0);
            prop_assert!((kept - goal).abs() <= block.width() as f64 / 2.0 + 1e-9 || kept <= block.width() as f64);
        }
    }

    #[test]
    fn no_weight_left_out_is_greater_than_one_kept((weights, ladder, _) in cases()) {
        let mask = NestedMask::by_magnitude(weights.view(), &ladder, Block::OneByOne).unwrap();
        for level in ladder.levels().up_to() {
            let support = mask.support(level);
            let of = |kept: bool| weights.iter().zip(&support).filter(move |&(_, &s)| s == kept).map(|(w, _)| w.abs());
            let least_kept = of(true).fold(f32::INFINITY, f32::min);
            prop_assert!(of(false).all(|w| w <= least_kept));
        }
    }

    #[test]
    fn ranked_together_layers_share_the_sparsity_and_the_least_score((weights, ladder, block) in cases()) {
        // A second layer of other magnitudes.
        let scores = weights.mapv(|w| w * w);
        let other = scores.mapv(|score| 3.0 * score + 1.0);
        let layers = [scores.view(), other.view()];
        let masks = NestedMask::by_score_across(&layers, &ladder, block).unwrap();
        for level in ladder.levels().up_to() {
            let kept: usize = masks.iter().map(|mask| mask.count(level)).sum();
            let goal = (1.0 - ladder.sparsity(level).unwrap()) * 2.0 * scores.len() as f64;
            // Rounding, and one block that each layer keeps whatever its scores.
            prop_assert!((kept as f64 - goal).abs() <= 2.0 * block.width() as f64 + 1e-6);
            prop_assert!(masks.iter().all(|mask| mask.count(level) > 0));
        }
        if block == Block::OneByOne {
            let all = |kept: bool| masks.iter().zip(&layers).flat_map(move |(mask, scores)| {
                let support = mask.support(mask.levels());
                let floor = support.iter().filter(|&&s| s).count() == 1;
                let scores = scores.to_owned();
                support.into_iter().zip(scores).filter(move |&(s, _)| s == kept && !(kept && floor)).map(|(_, s)| s)
            });
            let least = all(true).fold(f32::INFINITY, f32::min);
            prop_assert!(all(false).all(|score| score <= least));
        }
    }

    #[test]
    fn what_a_ladder_allows_is_the_same_without_one((weights, ladder, block) in cases()) {
        let with = NestedMask::by_score_with(weights.view(), ladder.sparsities(), block);
        prop_assert_eq!(with, NestedMask::by_score(weights.view(), &ladder, block));
        // A ramp goes from one level for all to the ladder's.
        let ramp = Ramp { start: 0.2, end: 0.7 };
        for progress in [0.0, 0.2, 0.3, 0.5, 0.7, 1.0] {
            let mask = NestedMask::by_score_with(weights.view(), &ramp.sparsities(&ladder, progress), block).unwrap();
            prop_assert_eq!(mask.levels(), ladder.levels());
            prop_assert!(progress > 0.2 || mask.rings().iter().all(|&ring| ring == 1));
        }
    }

    #[test]
    fn an_allocation_feeds_masks_whatever_its_rounding((weights, ladder, block) in cases(), sides in (1usize..4, 1usize..9)) {
        let half = (weights.ncols() / 2).max(1);
        let small = Array2::from_shape_fn((1, half), |place| weights[place]);
        let layers = [small, weights];
        let of = |layer: &Array2<f32>, pixels| LayerShape {
            matrix: Shape { rows: layer.nrows(), columns: layer.ncols() }, kernel: [1, sides.0], pixels,
        };
        let shapes = [of(&layers[0], 1), of(&layers[1], sides.1)];
        for allocation in [Allocation::Uniform, Allocation::ErdosRenyiKernel, Allocation::AUTOMATIC] {
            let of_levels: Vec<Vec<f64>> =
                ladder.sparsities().iter().map(|&s| allocation.sparsities(&shapes, s).unwrap()).collect();
            for (layer, scores) in layers.iter().enumerate() {
                let sparsities: Vec<f64> = of_levels.iter().map(|of_layers| of_layers[layer]).collect();
                let mask = NestedMask::by_score_with(scores.view(), &sparsities, block).unwrap();
                for (level, sparsity) in mask.levels().up_to().zip(sparsities) {
                    let gap = (mask.count(level) as f64 - (1.0 - sparsity) * scores.len() as f64).abs();
                    prop_assert!(gap <= block.width() as f64 / 2.0 + 1e-6 || mask.count(level) <= block.width());
                }
            }
        }
        let views: Vec<_> = layers.iter().map(|scores| scores.view()).collect();
        let across = sparsities_across(&views, &[1.0; 2], ladder.sparsities(), block).unwrap();
        let masks: Vec<_> = views.iter().zip(&across)
            .map(|(scores, at)| NestedMask::by_score_with(scores.view(), at, block).unwrap()).collect();
        prop_assert_eq!(Ok(masks), NestedMask::by_score_across(&views, &ladder, block));
    }

    #[test]
    fn a_mask_does_not_depend_on_the_memory_order_of_its_rings((weights, ladder, block) in cases()) {
        let mask = NestedMask::by_magnitude(weights.view(), &ladder, block).unwrap();
        // The same rings, column after column in memory.
        let turned = mask.rings().t().as_standard_layout().into_owned().reversed_axes();
        let again = NestedMask::from_rings(turned, mask.levels(), block).unwrap();
        prop_assert!(again.rings().as_slice().is_some());
        prop_assert_eq!(again, mask);
    }

    #[test]
    fn a_mask_is_rebuilt_from_its_rings((weights, ladder, block) in cases()) {
        let mask = NestedMask::by_magnitude(weights.view(), &ladder, block).unwrap();
        let again = NestedMask::from_rings(mask.rings().clone(), mask.levels(), block);
        prop_assert_eq!(again, Ok(mask));
    }
}

#[test]
fn ties_are_broken_by_position() {
    let mask =
        NestedMask::by_magnitude(array![[1.0, -1.0, 1.0, 1.0]].view(), &Ladder::new([0.5]).unwrap(), Block::OneByOne);
    assert_eq!(mask.unwrap().rings(), &array![[1, 1, 0, 0]]);
}

#[test]
fn what_is_wrong_is_named() {
    let ladder = Ladder::new([0.5]).unwrap();
    let nan = array![[0.0, f32::NAN]];
    assert_eq!(NestedMask::by_magnitude(nan.view(), &ladder, Block::OneByOne), Err(MaskError::NotANumber { index: 1 }));
    assert_eq!(
        NestedMask::by_magnitude(Array2::<f32>::zeros((0, 3)).view(), &ladder, Block::OneByOne),
        Err(MaskError::Empty { shape: vec![0, 3] })
    );
    assert_eq!(
        NestedMask::from_rings(array![[1, 0, 0]], Level::FIRST, Block::OneByTwo),
        Err(MaskError::SplitBlock { index: 0, left: 1, right: 0 })
    );
    assert_eq!(
        NestedMask::from_rings(array![[1, 2]], Level::FIRST, Block::OneByOne),
        Err(MaskError::Ring { index: 1, ring: 2, levels: 1 })
    );
    let mask = NestedMask::from_rings(array![[1, 0]], Level::FIRST, Block::OneByOne).unwrap();
    assert_eq!(mask.apply(Level::FIRST, array![[2.0, 3.0]].view()), Ok(array![[2.0, 0.0]]));
    assert_eq!(
        mask.apply(Level::FIRST, array![[2.0], [3.0]].view()),
        Err(MaskError::Shape { what: "the weights", found: vec![2, 1], expected: vec![1, 2] })
    );
}

#[test]
fn a_block_whose_score_is_no_number_is_refused() {
    let scores = array![[1.0, 2.0, f32::INFINITY, f32::NEG_INFINITY]];
    let ladder = Ladder::new([0.5]).unwrap();
    let across = NestedMask::by_score_across(&[array![[1.0]].view(), scores.view()], &ladder, Block::OneByTwo);
    let error = Box::new(MaskError::NotANumber { index: 2 });
    assert_eq!(across, Err(MaskError::Layer { layer: 1, error }));
    assert_eq!(NestedMask::by_score(scores.view(), &ladder, Block::OneByTwo), Err(MaskError::NotANumber { index: 2 }));
    assert!(NestedMask::by_score(scores.view(), &ladder, Block::OneByOne).is_ok());
}

#[test]
fn costs_that_scores_cannot_be_divided_by_are_refused() {
    let scores = array![[1.0_f32, f32::INFINITY, 0.0]];
    let across = |costs: &[f64]| sparsities_across(&[scores.view()], costs, &[0.5], Block::OneByTwo);
    assert!(across(&[2.0]).is_ok());
    assert_eq!(across(&[]), Err(MaskError::Costs { costs: 0, layers: 1 }));
    // The last two are 0 and infinite in single precision.
    for cost in [0.0, -1.0, f64::INFINITY, 1e-60, 3e38] {
        assert_eq!(across(&[cost]), Err(MaskError::Cost { layer: 0, cost }));
    }
    assert!(matches!(across(&[f64::NAN]), Err(MaskError::Cost { layer: 0, .. })));
    let rising = sparsities_across(&[scores.view()], &[1.0], &[0.5, 0.6], Block::OneByOne);
    assert!(matches!(rising, Err(MaskError::Ladder(LadderError::NotFalling { level: 2, .. }))));
}
