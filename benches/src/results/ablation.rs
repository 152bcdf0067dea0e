//! The ablation's table: each change beside the default.
use super::summary::{Cell, Estimate, Group, groups};
use crate::{
    experiment::{record::Record, settings::Suite},
    table::{Table, grouped},
};

/// One row a change; `None` before the first run.
pub fn table(record: &Record) -> Option<Table> {
    let groups = groups(record, Suite::Ablation);
    let default = groups.iter().find(|group| group.key.variant.as_deref() == Some("default"))?;
    let ladder: Vec<f64> = default.cells.iter().map(|cell| cell.sparsity).collect();
    let headings = ["change", "rate", "passes", "seeds"].map(str::to_owned).into_iter();
    let levels = ladder.iter().map(|sparsity| format!("{sparsity:.0} %"));
    let last = ["mean over the default's", "MACs"].map(str::to_owned);
    let mut table = Table::new(headings.chain(levels).chain(last));
    let macs = |group: &Group<'_>| group.cells.iter().map(|cell| cell.mean(|row| row.nonzero_macs as f64)).sum::<f64>();
    for group in &groups {
        let Some(first) = group.cells.first() else { continue };
        let cells = ladder.iter().map(|&sparsity| group.at(sparsity).map_or(String::new(), top1));
        let costs = [
            group.key.variant.clone().unwrap_or_default(),
            first.rate().to_string(),
            grouped(first.mean(|row| row.passes as f64).round() as u64),
            first.rows.len().to_string(),
        ];
        let over = over(group, default).map_or(String::new(), |over| over.signed());
        let macs = format!("{:.2}", macs(group) / macs(default));
        table.row(costs.into_iter().chain(cells).chain([over, macs]));
    }
    Some(table)
}

/// Points of accuracy over the default, mean over the levels, seed by seed.
fn over(group: &Group<'_>, default: &Group<'_>) -> Option<Estimate> {
    let rows = |group: &'_ Group<'_>, seed: u64| -> Vec<f64> {
        let of_cell = |cell: &Cell<'_>| cell.rows.iter().find(|row| row.seed == seed).map(|row| row.top1_int8);
        group.cells.iter().filter_map(of_cell).collect()
    };
    let mean = |group: &Group<'_>, seed| {
        let all = rows(group, seed);
        (all.len() == default.cells.len()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    };
    let seeds = group.cells.first()?.rows.iter().map(|row| row.seed);
    Estimate::of(seeds.filter_map(|seed| Some(mean(group, seed)? - mean(default, seed)?)))
}

fn top1(cell: &Cell<'_>) -> String {
    cell.spread(|row| row.top1_int8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{record::Row, settings::Settings};

    #[test]
    fn changes_are_compared_with_the_default_of_the_same_seed() {
        let row = |variant: &str, seed, top1_int8| {
            let row = Row::example(&Settings::example(), "run");
            Row { suite: Suite::Ablation, variant: Some(variant.to_owned()), seed, top1_int8, ..row }
        };
        let defaults = [(2, 80.0), (3, 90.0)].map(|(seed, top1)| row("default", seed, top1));
        let changes = [(3, 91.0), (4, 50.0), (2, 83.0)].map(|(seed, top1)| row("change", seed, top1));
        let rows = defaults.into_iter().chain(changes).collect();
        let table = table(&Record { rows, ..Record::default() }).unwrap().to_string();
        // 3 and 1 points; the seed that the default lacks tells nothing.
        let line = table.lines().last().unwrap();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(cells[cells.len() - 3..], ["+2.00 ± 1.00", "1.00", ""], "{table}");
    }
}
