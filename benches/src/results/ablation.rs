//! The ablation's table: each change beside the default.
use super::summary::{Cell, Group, groups};
use crate::{
    experiment::{record::Record, settings::Suite},
    table::{Table, grouped},
};

/// One row a change, with its best learning rate where several were tried; `None` before the first run.
pub fn table(record: &Record) -> Option<Table> {
    let groups = groups(record, Suite::Ablation);
    let default = groups.iter().find(|group| group.key.variant.as_deref() == Some("default"))?;
    let ladder: Vec<f64> = default.cells.iter().map(|cell| cell.sparsity).collect();
    let headings = ["change", "rate", "passes", "seeds"].map(str::to_owned).into_iter();
    let levels = ladder.iter().map(|sparsity| format!("{sparsity:.0} %"));
    let mut table = Table::new(headings.chain(levels).chain(["mean over the default's".to_owned()]));
    let base = mean(default);
    let mut shown: Vec<&str> = Vec::new();
    for group in &groups {
        let name = group.key.variant.as_deref().unwrap_or_default();
        if shown.contains(&name) {
            continue;
        }
        shown.push(name);
        let Some(best) = best(&groups, name) else { continue };
        let Some(first) = best.cells.first() else { continue };
        let cells = ladder.iter().map(|&sparsity| best.at(sparsity).map_or(String::new(), top1));
        let costs = [
            name.to_owned(),
            first.rate().to_string(),
            grouped(first.mean(|row| row.passes as f64).round() as u64),
            first.rows.len().to_string(),
        ];
        table.row(costs.into_iter().chain(cells).chain([format!("{:+.2}", mean(best) - base)]));
    }
    Some(table)
}

/// Of a change's groups, one a learning rate, those with most seeds; of them the most accurate.
fn best<'g, 'a>(groups: &'g [Group<'a>], name: &str) -> Option<&'g Group<'a>> {
    let seeds = |group: &Group<'_>| group.cells.first().map_or(0, |cell| cell.rows.len());
    let of_name = groups.iter().filter(|group| group.key.variant.as_deref() == Some(name));
    of_name.max_by(|a, b| seeds(a).cmp(&seeds(b)).then(mean(a).total_cmp(&mean(b))))
}

fn mean(group: &Group<'_>) -> f64 {
    group.cells.iter().map(Cell::top1).sum::<f64>() / group.cells.len().max(1) as f64
}

fn top1(cell: &Cell<'_>) -> String {
    cell.spread(|row| row.top1_int8)
}
