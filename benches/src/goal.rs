//! What was to be reached, what was found, and whether that is enough.
use crate::table::Table;
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

    /// A figure with two decimals or, where it would seem to be on the other side, as many as it takes.
    fn shown(self, found: f64) -> String {
        let rounded = |decimals: usize| format!("{found:.decimals$}");
        let seems = |text: &String| text.parse().is_ok_and(|seen| self.holds(seen)) == self.holds(found);
        (2..9).map(rounded).find(seems).unwrap_or_else(|| found.to_string())
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

/// One goal at one level, or a figure that stands beside the goals.
pub struct Goal {
    pub what: String,
    pub needed: String,
    pub found: Option<String>,
    pub verdict: Verdict,
}

/// What comes of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Met,
    Missed,
    /// Nothing was measured, or not all that a verdict needs.
    Open,
    /// No limit was set.
    Beside,
}

impl Verdict {
    fn of(bound: Bound, found: f64) -> Verdict {
        if bound.holds(found) { Verdict::Met } else { Verdict::Missed }
    }
}

impl Goal {
    /// Of one figure.
    pub fn of_figure(what: impl Into<String>, bound: Bound, found: Option<f64>, unit: &str) -> Goal {
        let text = found.map(|found| format!("{}{unit}", bound.shown(found)));
        Goal::of_text(what, bound, unit, text, found)
    }

    /// Of a figure that is told in its own way; without one there is no verdict.
    pub fn of_text(
        what: impl Into<String>,
        bound: Bound,
        unit: &str,
        found: Option<String>,
        figure: Option<f64>,
    ) -> Goal {
        let verdict = figure.map_or(Verdict::Open, |figure| Verdict::of(bound, figure));
        Goal { what: what.into(), needed: format!("{bound:.2}{unit}"), found, verdict }
    }

    /// Of several figures, one a level, each of which must keep to it.
    pub fn of_each(what: impl Into<String>, bound: Bound, found: &[f64], unit: &str) -> Goal {
        // One that fails decides, and one that is not a number fails.
        let decisive = found.iter().copied().find(|&found| !bound.holds(found)).or(found.first().copied());
        let all: Vec<String> = found.iter().map(|&found| bound.shown(found)).collect();
        Goal::of_text(what, bound, unit, decisive.map(|_| format!("{}{unit}", all.join(" / "))), decisive)
    }

    /// A figure that stands beside the goals.
    pub fn beside(what: String, found: Option<String>) -> Goal {
        Goal { what, needed: String::new(), found, verdict: Verdict::Beside }
    }
}

/// How many goals are met, missed and open, in a sentence.
pub fn summary(goals: &[Goal]) -> String {
    let of = |verdict| goals.iter().filter(move |goal| goal.verdict == verdict);
    let named = |verdict| {
        let names: Vec<String> = of(verdict).map(|goal| goal.what.clone()).collect();
        listed(&names)
    };
    let count = |verdict| of(verdict).count();
    let mut text = format!(
        "{} met, {} missed, {} not measured. Missed: {}.",
        count(Verdict::Met),
        count(Verdict::Missed),
        count(Verdict::Open),
        named(Verdict::Missed)
    );
    if count(Verdict::Open) > 0 {
        text += &format!(" Not measured: {}.", named(Verdict::Open));
    }
    text
}

/// Names in a sentence.
pub fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join("; ") }
}

/// Goals as a table.
pub fn table(goals: &[Goal]) -> Table {
    let mut table = Table::new(["goal", "needed", "found", ""]);
    for goal in goals {
        let verdict = match goal.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "**missed**",
            Verdict::Open => "not measured",
            Verdict::Beside => "no goal",
        };
        table.row([goal.what.clone(), goal.needed.clone(), goal.found.clone().unwrap_or_default(), verdict.to_owned()]);
    }
    table
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

    #[test]
    fn a_figure_is_shown_on_its_side_of_the_limit() {
        let shown = [1.153, 1.146, 1.15, 1.2, f64::NAN].map(|found| Bound::AtMost(1.15).shown(found));
        assert_eq!(shown, ["1.153", "1.15", "1.15", "1.20", "NaN"]);
    }

    #[test]
    fn of_several_figures_each_must_keep_to_the_limit() {
        let of = |found: &[f64]| {
            let goal = Goal::of_each("what", Bound::AtLeast(-1.0), found, " points");
            (goal.found, goal.verdict)
        };
        assert_eq!(of(&[0.5, -1.0]), (Some("0.50 / -1.00 points".to_owned()), Verdict::Met));
        assert_eq!(of(&[0.5, -1.25, 2.0]), (Some("0.50 / -1.25 / 2.00 points".to_owned()), Verdict::Missed));
        assert_eq!(of(&[0.5, f64::NAN]).1, Verdict::Missed);
        assert_eq!(of(&[]), (None, Verdict::Open));
    }
}
