//! Limits that figures are held against.
use serde::Serialize;
use std::fmt;

/// What a figure must not be beyond.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    /// Whether a figure keeps to it; one that is not a number does not. Limits and figures are decimals, whose differences are
    /// not exact: 92.95 − 92.75 is a little more than 0.2.
    pub fn holds(self, found: f64) -> bool {
        const ROUNDING: f64 = 1e-9;
        match self {
            Bound::AtLeast(limit) => found >= limit - ROUNDING,
            Bound::AtMost(limit) => found <= limit + ROUNDING,
        }
    }

    /// The limit itself.
    pub fn limit(self) -> f64 {
        let (Bound::AtLeast(limit) | Bound::AtMost(limit)) = self;
        limit
    }
}

/// `≥ 1.5`, with the decimals asked for.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Bound::AtLeast(_)) { "≥ " } else { "≤ " })?;
        self.limit().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_itself_is_within_it_and_what_is_not_a_number_never_is() {
        let [least, most] = [Bound::AtLeast(1.5), Bound::AtMost(1.5)];
        assert_eq!([1.4, 1.5, 1.6].map(|found| least.holds(found)), [false, true, true]);
        assert_eq!([1.4, 1.5, 1.6].map(|found| most.holds(found)), [true, true, false]);
        assert!(
            92.95 - 92.75 > 0.2 && Bound::AtMost(0.2).holds(92.95 - 92.75) && Bound::AtLeast(-0.2).holds(92.75 - 92.95)
        );
        assert!(!Bound::AtMost(0.2).holds(0.2001));
        assert!(!least.holds(f64::NAN) && !most.holds(f64::NAN));
        assert_eq!([format!("{least:.2}"), format!("{most}")], ["≥ 1.50", "≤ 1.5"]);
    }
}
