//! Rows of several seeds as one: means and spreads.
use crate::{
    experiment::{
        plan::Kind,
        record::{Record, Row},
        settings::{AllocationName, Budget, Method, NetworkName, Suite},
    },
    options::BlockOption,
};

/// What rows have in common that differ in their seed or level alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub suite: Suite,
    pub network: NetworkName,
    /// `None` for slimmable networks, whose levels are widths.
    pub width: Option<f64>,
    pub method: Method,
    pub budget: Option<Budget>,
    pub variant: Option<String>,
    /// `None` of a method without masks.
    pub block: Option<BlockOption>,
    /// Likewise.
    pub allocation: Option<AllocationName>,
}

impl Key {
    /// That of a row.
    pub fn of(row: &Row) -> Key {
        Key {
            suite: row.suite,
            network: row.network,
            width: (row.method != Method::Slimmable).then_some(row.width),
            method: row.method,
            budget: row.budget,
            variant: row.variant.clone(),
            block: row.block,
            allocation: row.allocation,
        }
    }

    /// What tables call it.
    pub fn name(&self) -> String {
        let budget = match self.budget {
            Some(Budget::A) => " (a)",
            Some(Budget::B) => " (b)",
            None => "",
        };
        let block = if self.block == Some(BlockOption::OneByTwo) { " 1×2" } else { "" };
        let allocation = match self.allocation.unwrap_or(AllocationName::Uniform) {
            AllocationName::Uniform => "",
            AllocationName::Erk => ", ERK",
            AllocationName::Global => ", global",
            AllocationName::Automatic => ", automatic",
            AllocationName::PerInstruction => ", per instruction (exponent 1)",
            AllocationName::GlobalPerInstruction => ", global, per instruction",
        };
        let variant = self.variant.as_ref().map_or(String::new(), |variant| format!(", {variant}"));
        format!("{}{block}{budget}{allocation}{variant}", self.method.name())
    }
}

/// One level of one method, all seeds.
pub struct Cell<'a> {
    /// Per cent.
    pub sparsity: f64,
    pub rows: Vec<&'a Row>,
}

impl Cell<'_> {
    /// Mean of a figure over the seeds.
    pub fn mean(&self, figure: impl Fn(&Row) -> f64) -> f64 {
        self.rows.iter().map(|row| figure(row)).sum::<f64>() / self.rows.len().max(1) as f64
    }

    /// Its standard deviation (of a sample); `None` with fewer than two seeds.
    pub fn deviation(&self, figure: impl Fn(&Row) -> f64) -> Option<f64> {
        let mean = self.mean(&figure);
        let squares: f64 = self.rows.iter().map(|row| (figure(row) - mean).powi(2)).sum();
        (self.rows.len() > 1).then(|| (squares / (self.rows.len() - 1) as f64).sqrt())
    }

    /// `mean ± deviation` with two decimals.
    pub fn spread(&self, figure: impl Fn(&Row) -> f64) -> String {
        let mean = self.mean(&figure);
        self.deviation(&figure).map_or(format!("{mean:.2}"), |deviation| format!("{mean:.2} ± {deviation:.2}"))
    }

    /// Mean int8 accuracy.
    pub fn top1(&self) -> f64 {
        self.mean(|row| row.top1_int8)
    }

    /// Points of int8 accuracy over another cell, of the seeds that both have; `None` without one.
    pub fn over(&self, other: &Cell<'_>) -> Option<Estimate> {
        let of_seed = |row: &&Row| {
            let rival = other.rows.iter().find(|rival| rival.seed == row.seed)?;
            Some(row.top1_int8 - rival.top1_int8)
        };
        Estimate::of(self.rows.iter().filter_map(of_seed))
    }

    /// The learning rate, which all seeds share.
    pub fn rate(&self) -> f64 {
        self.rows.first().map_or(0.0, |row| row.learning_rate)
    }

    /// Mean of a figure that some rows may not have; `None` unless all have it.
    pub fn mean_of(&self, figure: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.rows.iter().map(|row| figure(row)).collect();
        values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Milliseconds an image on the host, of the seeds whose models were there when all were timed.
    pub fn host_ms(&self) -> Option<f64> {
        Estimate::of(self.rows.iter().filter_map(|row| row.host_ms)).map(|estimate| estimate.mean)
    }

    /// Instructions on a Cortex-M7.
    pub fn instructions(&self) -> Option<f64> {
        self.mean_of(|row| row.m7_instructions.map(|count| count as f64))
    }
}

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    /// Its standard error; `None` with fewer than two seeds.
    pub error: Option<f64>,
    pub seeds: usize,
}

impl Estimate {
    /// `None` without a value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Estimate> {
        let values: Vec<f64> = values.into_iter().collect();
        let (seeds, count) = (values.len(), values.len() as f64);
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = (seeds > 1).then(|| (squares / (count - 1.0) / count).sqrt());
        (seeds > 0).then_some(Estimate { mean, error, seeds })
    }

    /// With the sign of its mean.
    pub fn signed(&self) -> String {
        format!("{}{self}", if self.mean >= 0.0 { "+" } else { "" })
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2}", self.mean)?;
        self.error.map_or(Ok(()), |error| write!(f, " ± {error:.2}"))
    }
}

/// A method with its levels, sparsest first.
pub struct Group<'a> {
    pub key: Key,
    pub cells: Vec<Cell<'a>>,
}

impl<'a> Group<'a> {
    /// The level of a sparsity.
    pub fn at(&self, sparsity: f64) -> Option<&Cell<'a>> {
        self.cells.iter().find(|cell| cell.sparsity == sparsity)
    }
}

/// All rows of a suite, grouped; groups in the order of the methods, then as found.
pub fn groups(record: &Record, suite: Suite) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in record.rows.iter().filter(|row| row.suite == suite) {
        let key = Key::of(row);
        let index = groups.iter().position(|group| group.key == key).unwrap_or_else(|| {
            groups.push(Group { key, cells: Vec::new() });
            groups.len() - 1
        });
        let cells = &mut groups[index].cells;
        match cells.iter_mut().find(|cell| cell.sparsity == row.sparsity) {
            Some(cell) => cell.rows.push(row),
            None => cells.push(Cell { sparsity: row.sparsity, rows: vec![row] }),
        }
    }
    for group in &mut groups {
        group.cells.sort_by(|a, b| b.sparsity.total_cmp(&a.sparsity));
    }
    if suite != Suite::Ablation {
        groups.sort_by_key(|group| (group.key.method, group.key.block, group.key.allocation, group.key.budget));
    }
    groups
}

/// The group of a row of the comparison.
pub fn of_kind<'g, 'a>(groups: &'g [Group<'a>], kind: Kind) -> Option<&'g Group<'a>> {
    let uniform = AllocationName::Uniform;
    groups.iter().find(|group| {
        let Key { method, budget, variant, block, allocation, .. } = &group.key;
        (*method, *budget, variant.as_deref()) == (kind.method(), kind.budget(), kind.variant())
            && block.unwrap_or(BlockOption::OneByOne) == kind.block()
            && allocation.unwrap_or(uniform) == kind.allocation().unwrap_or(uniform)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{plan, settings::Settings};

    #[test]
    fn seeds_are_one_cell_and_levels_come_sparsest_first() {
        let text = r#"{"suite":"full","method":"nested","budget":null,"training":{"network":"resnet8","width":0.5,"ladder":[90.0,70.0],"block":"1x1","allocation":"uniform","measured":"test","images":9,"epochs":9,"batch":3,"learning_rate":0.2,"seed":1}}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        let row = |seed, sparsity, top1_int8| Row { seed, sparsity, top1_int8, ..Row::example(&settings, "run") };
        let rows = vec![row(1, 70.0, 90.0), row(1, 90.0, 80.0), row(2, 70.0, 92.0), row(3, 70.0, 94.0)];
        let record = Record { rows, ..Record::default() };
        let groups = groups(&record, Suite::Full);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].cells.iter().map(|cell| cell.sparsity).collect::<Vec<_>>(), [90.0, 70.0]);
        let spread = |sparsity| groups[0].at(sparsity).unwrap().spread(|row| row.top1_int8);
        assert_eq!([spread(90.0), spread(70.0)], ["80.00", "92.00 ± 2.00"]);
        let cell = |sparsity| groups[0].at(sparsity).unwrap();
        assert_eq!(cell(70.0).over(cell(90.0)), Some(Estimate { mean: 10.0, error: None, seeds: 1 }));
        assert_eq!(Estimate::of([1.0, 2.0, 3.0]).unwrap().to_string(), "2.00 ± 0.58");
        assert_eq!(cell(90.0).over(&Cell { sparsity: 90.0, rows: Vec::new() }), None);
        assert!(of_kind(&groups, Kind::Nested).is_some());
        for other in plan::all().filter(|kind| *kind != Kind::Nested) {
            assert!(of_kind(&groups, other).is_none(), "{other:?}");
        }
    }
}
