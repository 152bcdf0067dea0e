//! The arithmetic that every reader shares.
use nested_csr::Multiplier;
use proptest::prelude::*;

#[test]
fn codes_ascend_and_span_what_the_specification_says() {
    let ms: Vec<i32> = (0..=u16::MAX).map(|code| Multiplier::from_code(code).m()).collect();
    assert!(ms.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!((ms[0], ms[1], ms[0xffff]), (0, 4097 << 3, 8191 << 18));
    for (code, &m) in ms.iter().enumerate().skip(1) {
        assert_eq!(i64::from(m), (4096 + (code as i64 & 0xfff)) << ((code >> 12) + 3));
        assert_eq!(Multiplier::nearest(f64::from(m) / 4_294_967_296.0), Some(Multiplier::from_code(code as u16)));
    }
}

#[test]
fn multipliers_outside_the_range_are_refused() {
    for real in [-1e-30, -0.1, 0.5, 0.499_999_99, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Multiplier::nearest(real), None, "{real}");
    }
    assert_eq!(Multiplier::nearest(0.0), Some(Multiplier::from_code(0)));
    assert_eq!(Multiplier::nearest(-0.0), Some(Multiplier::from_code(0)));
    assert_eq!(Multiplier::nearest(f64::MIN_POSITIVE), Some(Multiplier::from_code(0)));
}

/// That many cases; failures print their smallest input and are kept in no file.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn nearest_is_nearer_than_its_neighbours(exponent in -20.0..-1.0f64) {
        let real = exponent.exp2();
        if let Some(nearest) = Multiplier::nearest(real) {
            let distance = |code: u16| (f64::from(Multiplier::from_code(code).m()) / 4_294_967_296.0 - real).abs();
            let own = distance(nearest.code());
            prop_assert!(own <= distance(nearest.code().saturating_sub(1)));
            prop_assert!(own <= distance(nearest.code().saturating_add(1)));
        } else {
            prop_assert!(real > 0.49996);
        }
    }

    #[test]
    fn apply_rounds_half_up(code in any::<u16>(), acc in any::<i32>()) {
        let multiplier = Multiplier::from_code(code);
        let product = i128::from(acc) * i128::from(multiplier.m());
        prop_assert_eq!(i128::from(multiplier.apply(acc)), (product + (1 << 31)).div_euclid(1 << 32));
    }
}
