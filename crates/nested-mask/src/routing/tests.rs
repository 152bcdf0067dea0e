//! What holds for every routing.
use super::*;
use ndarray::{Array3, array};
use nested_csr::{Block, Level};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

fn mask() -> NestedMask<ndarray::Ix3> {
    NestedMask::from_rings(array![[[1, 2], [3, 0]]], Level::new(3).unwrap(), Block::OneByOne).unwrap()
}

/// `Σ_k (mask of k by `keep`) ⊙ g_k` straight from the definition, with g_k = 10^k everywhere.
fn by_definition(keep: impl Fn(usize, usize) -> f64) -> Array3<f64> {
    mask().rings().mapv(|ring| {
        let ring = usize::from(ring);
        (1..=3).map(|k| if ring != 0 && ring <= k { keep(ring, k) * 10f64.powi(k as i32) } else { 0.0 }).sum()
    })
}

fn routed(routing: &Routing) -> Array3<f64> {
    let gradients: Vec<Array3<f64>> = (1..=3).map(|k| Array3::from_elem((1, 2, 2), 10f64.powi(k))).collect();
    routing.route(&gradients.iter().map(|g| g.view()).collect::<Vec<_>>(), &mask()).unwrap()
}

#[test]
fn each_variant_is_its_formula() {
    assert_eq!(routed(&Routing::Joint), by_definition(|_, _| 1.0));
    assert_eq!(routed(&Routing::Normalised), by_definition(|ring, _| 1.0 / (4 - ring) as f64));
    assert_eq!(routed(&Routing::Ring), by_definition(|ring, k| f64::from(ring == k)));
    let weights = vec![1.0, 1.0, 2.0];
    assert_eq!(routed(&Routing::Sampled { weights: weights.clone() }), by_definition(|_, k| weights[k - 1] / 4.0));
    let anchored = Routing::Anchored { weights };
    assert_eq!(routed(&anchored), by_definition(|_, k| [0.125, 0.125, 0.75][k - 1]));
    let matrix = RoutingMatrix::new(3, (0..9).map(f64::from).collect()).unwrap();
    assert_eq!(routed(&Routing::Weighted(matrix)), by_definition(|ring, k| ((ring - 1) * 3 + k - 1) as f64));
}

#[test]
fn a_sampled_step_is_one_level_and_follows_its_weights() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let routing = Routing::Sampled { weights: vec![1.0, 0.0, 3.0] };
    let mut drawn = [0; 3];
    for _ in 0..4000 {
        let matrix = routing.draw(3, 0.0, &mut random).unwrap();
        let used: Vec<usize> = (1..=3).filter(|&level| matrix.uses(level)).collect();
        assert_eq!(used.len(), 1);
        assert!((1..=used[0]).all(|ring| matrix.coefficient(ring, used[0]) == 1.0));
        drawn[used[0] - 1] += 1;
    }
    assert_eq!(drawn[1], 0);
    assert!((900..1100).contains(&drawn[0]), "{drawn:?}");
}

#[test]
fn an_anchored_step_is_the_densest_level_and_one_more() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let routing = Routing::Anchored { weights: vec![1.0, 1.0, 0.0] };
    for _ in 0..50 {
        let matrix = routing.draw(3, 0.0, &mut random).unwrap();
        assert!(matrix.uses(3) && matrix.uses(1) != matrix.uses(2));
        assert_eq!((1..=3).map(|level| matrix.coefficient(1, level)).sum::<f64>(), 1.0);
    }
    let same = Routing::Anchored { weights: vec![0.0, 0.0, 1.0] }.draw(3, 0.0, &mut random).unwrap();
    assert_eq!(same.coefficient(1, 3), 1.0);
}

#[test]
fn frozen_trains_one_ring_at_a_time() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    for (progress, turn) in [(0.0, 1), (0.32, 1), (0.34, 2), (0.99, 3)] {
        let matrix = Routing::Frozen.draw(3, progress, &mut random).unwrap();
        assert_eq!((1..=3).filter(|&ring| matrix.trains(ring)).collect::<Vec<_>>(), [turn]);
        assert_eq!((1..=3).filter(|&level| matrix.uses(level)).collect::<Vec<_>>(), [turn]);
    }
}

#[test]
fn staged_freezes_first_and_draws_then() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let staged = Routing::Staged { until: 0.6 };
    for (progress, turn) in [(0.0, 1), (0.19, 1), (0.21, 2), (0.41, 3), (0.59, 3)] {
        let matrix = staged.draw(3, progress, &mut random).unwrap();
        assert_eq!((1..=3).filter(|&ring| matrix.trains(ring)).collect::<Vec<_>>(), [turn]);
    }
    let mut drawn = [0; 3];
    for _ in 0..300 {
        let matrix = staged.draw(3, 0.6, &mut random).unwrap();
        let level = (1..=3).find(|&level| matrix.uses(level)).unwrap();
        assert!((1..=3).all(|ring| matrix.trains(ring) == (ring <= level)));
        drawn[level - 1] += 1;
    }
    assert!(drawn.iter().all(|&count| count > 70), "{drawn:?}");
    // 0.2 of the training is ring 2's own turn, and 0.4 is drawn.
    let matrix = staged.matrix(3).unwrap();
    assert!((matrix.coefficient(2, 2) - (0.2 + 0.4 / 3.0)).abs() < 1e-12);
    assert!((matrix.coefficient(2, 3) - 0.4 / 3.0).abs() < 1e-12);
    assert_eq!([&staged, &Routing::Frozen, &Routing::Joint].map(|r| r.first_turn(2)), [Some(0.3), Some(0.5), None]);
    assert!(matches!(Routing::Staged { until: 1.5 }.check(3), Err(RoutingError::Until { until: 1.5 })));
    assert_eq!(
        [&staged, &Routing::Frozen].map(|r| (r.first_turn(1), r.is_after_first_turn(1, 0.9))),
        [(None, false); 2]
    );
}

#[test]
fn the_first_turn_is_over_when_a_step_no_longer_trains_ring_1_apart() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    for routing in [Routing::Frozen, Routing::Staged { until: 0.6 }, Routing::Staged { until: 1.0 }] {
        for levels in 2..=MAX_LEVELS {
            let mut over = false;
            for step in 0..997 {
                let progress = f64::from(step) / 997.0;
                let matrix = routing.draw(levels, progress, &mut random).unwrap();
                over |= !matrix.trains(1);
                assert_eq!(routing.is_after_first_turn(levels, progress), over, "{routing:?} {levels} {step}");
            }
            assert!(over);
        }
    }
}

#[test]
fn a_matrix_by_which_nothing_learns_is_refused() {
    let check = |coefficients: [f64; 4]| {
        let routing = Routing::Weighted(RoutingMatrix::new(2, coefficients.to_vec()).unwrap());
        (routing.check(2), routing.matrix(2).map(|_| ()))
    };
    for idle in [[0.0; 4], [0.0, -0.0, 3.0, 0.0]] {
        assert_eq!(check(idle), (Err(RoutingError::Idle), Err(RoutingError::Idle)));
    }
    for usable in [[-1.0, 0.0, 0.0, 0.0], [0.0, 1e-300, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]] {
        assert_eq!(check(usable), (Ok(()), Ok(())));
    }
}

#[test]
fn numbers_of_levels_that_no_ladder_has_are_refused() {
    // The square of the greater overflows to 0.
    for levels in [0, MAX_LEVELS + 1, 1 << (usize::BITS / 2)] {
        let error = RoutingError::Levels { levels };
        assert_eq!(RoutingMatrix::new(levels, Vec::new()), Err(error.clone()));
        assert_eq!(Routing::Joint.check(levels), Err(error.clone()));
        assert_eq!(Routing::default().matrix(levels), Err(error));
    }
}

#[test]
fn staged_until_the_start_is_sampled() {
    let (staged, sampled) = (Routing::Staged { until: 0.0 }, Routing::default());
    assert_eq!(staged.first_turn(3), None);
    assert_eq!(staged.matrix(3), sampled.matrix(3));
    let mut randoms = [1, 1].map(Xoshiro256PlusPlus::seed_from_u64);
    let [one, other] = &mut randoms;
    for progress in [0.0, 0.3, 0.9] {
        assert_eq!(staged.draw(3, progress, one), sampled.draw(3, progress, other));
    }
}

#[test]
fn a_descent_that_does_not_fit_moves_nothing() {
    let descent = Descent { learning_rate: 1.0, momentum: 0.0, weight_decay: 0.0 };
    let (gradient, before) = (Array3::<f32>::ones((1, 2, 2)), Array3::<f32>::zeros((1, 2, 2)));
    let step = |velocity: (usize, usize, usize), levels: usize| {
        let (mut weights, mut velocity) = (before.clone(), Array3::zeros(velocity));
        let matrix = Routing::Joint.matrix(levels).unwrap();
        let done = descent.step(weights.view_mut(), velocity.view_mut(), gradient.view(), &mask(), &matrix);
        (done, weights)
    };
    assert!(matches!(step((1, 2, 2), 3), (Ok(()), weights) if weights != before));
    let count = RoutingError::Count { what: "rings in the routing matrix", given: 2, levels: 3 };
    assert_eq!(step((1, 2, 2), 2), (Err(count), before.clone()));
    let (error, weights) = step((2, 2, 1), 3);
    let error = error.unwrap_err().to_string();
    assert_eq!((error.as_str(), weights), ("shape of the velocities: [2, 2, 1], not [1, 2, 2]", before.clone()));
}

#[test]
fn infinities_outside_a_levels_support_stay_outside() {
    let gradients: Vec<Array3<f32>> = vec![
        array![[[1.0, f32::INFINITY], [f32::NAN, f32::NAN]]],
        array![[[1.0, 1.0], [f32::INFINITY, 0.0]]],
        Array3::ones((1, 2, 2)),
    ];
    let routed = Routing::Joint.route(&gradients.iter().map(|g| g.view()).collect::<Vec<_>>(), &mask()).unwrap();
    assert_eq!(routed, array![[[3.0, 2.0], [1.0, 0.0]]]);
}

#[test]
fn what_does_not_fit_is_named() {
    let gradient = Array3::<f32>::zeros((1, 2, 2));
    let error = Routing::Joint.route(&[gradient.view()], &mask()).unwrap_err();
    assert_eq!(error, RoutingError::Count { what: "gradients", given: 1, levels: 3 });
    let error = Routing::Sampled { weights: vec![1.0, f64::NAN, 0.0] }.check(3).unwrap_err();
    assert!(matches!(error, RoutingError::Value { what: "sampling weight", index: 1, .. }));
    assert_eq!(Routing::Sampled { weights: vec![0.0; 3] }.check(3), Err(RoutingError::Sum { sum: 0.0 }));
    assert!(RoutingMatrix::new(2, vec![1.0; 3]).is_err());
    let weights = vec![1e308, 1e308, 0.0];
    for routing in [Routing::Sampled { weights: weights.clone() }, Routing::Anchored { weights }] {
        assert_eq!(routing.check(3), Err(RoutingError::Sum { sum: f64::INFINITY }));
    }
    let wrong = Array3::<f32>::zeros((2, 2, 1));
    let error = Routing::Joint.route(&[gradient.view(), wrong.view(), gradient.view()], &mask()).unwrap_err();
    assert_eq!(error.to_string(), "level 2: shape of the gradient: [2, 2, 1], not [1, 2, 2]");
    let matrix = RoutingMatrix::new(2, vec![1.0; 4]).unwrap();
    let error = matrix.route(&[gradient.view(), gradient.view(), gradient.view()], &mask()).unwrap_err();
    assert_eq!(error, RoutingError::Count { what: "rings in the routing matrix", given: 2, levels: 3 });
}
