//! What the goals of single layers come to for the layers of a network.
use super::{
    Anchors, Row,
    networks::{READING, SEARCH},
};
use crate::table::{Table, grouped};
use nested_csr::{Level, Model, Operation, Weights, Window};

/// Channels of an image.
const IMAGE: usize = 4;

/// Writes each node's goal into the rows of one model: CMSIS-NN's instructions a multiplication on the nearest reference layer,
/// by its input channels, over the speed-up that is the goal at the layer's own sparsity, which is the row's only where layers are all alike. Sums, pools and what reads boxes have
/// none.
pub fn add_goals(anchors: &Anchors, model: &Model<Vec<u8>>, rows: &mut [Row]) {
    for row in rows {
        for (index, node) in row.nodes.iter_mut().enumerate() {
            node.goal = goal(anchors, model, index, row.level).map(|goal| goal.round() as u32);
        }
    }
}

fn goal(anchors: &Anchors, model: &Model<Vec<u8>>, index: usize, level: usize) -> Option<f64> {
    let node = model.node(index)?;
    let pixels = node.output.height * node.output.width;
    let channels = |input| model.shape(input).map(|shape| shape.channels);
    let (a_mac, speedup, weights) = match node.operation {
        Operation::Convolution { input, window, weights } => {
            let channels = channels(input)?;
            let sparsity = match weights {
                Weights::Sparse(matrix) => {
                    let stored = matrix.stored(Level::new(level).ok()?).ok()?;
                    100.0 * (1.0 - stored as f64 / matrix.shape().len().max(1) as f64)
                }
                Weights::Dense(_) => 0.0,
                _ => return None,
            };
            let (a_mac, speedup) = convolution(anchors, window, channels, sparsity)?;
            let [height, width] = window.kernel.map(usize::from);
            (a_mac, speedup, node.output.channels * channels * height * width)
        }
        Operation::Depthwise { weights, .. } => {
            let (a_mac, speedup) = anchors.nearest("I", 0, 0.0)?;
            (a_mac, speedup, weights.len())
        }
        _ => return None,
    };
    Some(a_mac / speedup * (weights * pixels) as f64)
}

/// CMSIS-NN's instructions a multiplication, and the speed-up that is the goal.
fn convolution(anchors: &Anchors, window: Window, channels: usize, sparsity: f64) -> Option<(f64, f64)> {
    let one_of = match window.kernel {
        _ if channels <= IMAGE => "J",
        [1, 1] => "F",
        _ => "A",
    };
    anchors.nearest(one_of, channels, sparsity)
}

/// Each node of one network beside its goal at each level, and two sums: of the nodes that have a goal, and of all
/// ([`sum_of_goals`]).
pub fn layers_and_goals(anchors: &Anchors, rows: &[&Row]) -> Table {
    let columns = rows.iter().flat_map(|row| [format!("{:.0} %", row.sparsity), "goal".to_owned(), "of it".to_owned()]);
    let mut table = Table::new(["node".to_owned(), "operation".to_owned()].into_iter().chain(columns));
    let cells = |measured: u64, goal: Option<u64>| match goal {
        Some(goal) => [grouped(measured), grouped(goal), format!("{:.2}", measured as f64 / goal.max(1) as f64)],
        None => [grouped(measured), String::new(), String::new()],
    };
    for (index, node) in rows.first().into_iter().flat_map(|first| &first.nodes).enumerate() {
        let nodes = rows.iter().filter_map(|row| row.nodes.get(index));
        let cells = nodes.flat_map(|node| cells(node.instructions.into(), node.goal.map(u64::from)));
        table.row([node.node.clone(), node.kind.clone()].into_iter().chain(cells));
    }
    let with_goals = |row: &&Row| {
        let (measured, goal) = with_goals_of(row);
        cells(measured, Some(goal))
    };
    let of_goals = rows.iter().flat_map(with_goals);
    table.row(["those with a goal".to_owned(), String::new()].into_iter().chain(of_goals));
    let allowance = anchors.goals.most.sum;
    let sums = rows.iter().flat_map(|row| cells(row.instructions.unwrap_or(0).into(), Some(sum_of_goals(row))));
    table.row(["all, others at what they take".to_owned(), format!("(goal: {allowance})")].into_iter().chain(sums));
    table
}

/// Prints [`layers_and_goals`].
pub fn print_goals(anchors: &Anchors, rows: &[Row]) {
    let rows: Vec<&Row> = rows.iter().filter(|row| !row.least_arena && !row.nodes.is_empty()).collect();
    let Some(first) = rows.first() else { return };
    println!(
        "\n{} of width {}, {} weights, {}: its layers and their goals\n",
        first.network, first.width, first.weights, first.block
    );
    println!("{}", layers_and_goals(anchors, &rows));
    let searches: Vec<String> =
        rows.iter().filter_map(|row| row.search_instructions).map(|count| grouped(count.into())).collect();
    println!(
        "\nThe detection is counted at {READING}. At {SEARCH}, as for average precision, it takes {} instructions at these \
         levels.",
        searches.join(", ")
    );
}

/// Instructions of the nodes that have a goal, and the sum of the goals.
fn with_goals_of(row: &Row) -> (u64, u64) {
    let pairs = row.nodes.iter().filter_map(|node| Some((u64::from(node.instructions), u64::from(node.goal?))));
    pairs.fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
}

/// The sum of all nodes' goals, where a node without a goal has its own instructions for one.
pub fn sum_of_goals(row: &Row) -> u64 {
    row.nodes.iter().map(|node| u64::from(node.goal.unwrap_or(node.instructions))).sum()
}

/// What the first level of one network takes of the last, in the arena that it prefers; with both their sparsities.
pub(super) fn span<'r>(rows: impl IntoIterator<Item = &'r Row>) -> Option<(f64, [f64; 2])> {
    let rows: Vec<&Row> = rows.into_iter().filter(|row| !row.least_arena).collect();
    let ([first, .., last], true) = (&rows[..], rows.len() > 1) else { return None };
    let share = f64::from(first.instructions?) / f64::from(last.instructions?);
    Some((share, [first.sparsity, last.sparsity]))
}

/// Prints what the first level takes of the last.
pub fn print_span(anchors: &Anchors, rows: &[Row]) {
    if let Some((share, [sparsity, less])) = span(rows) {
        let goal = anchors.goals.most.span;
        println!("\nInstructions at {sparsity:.0} % over those at {less:.0} %: {share:.3} (goal: at most {goal}).");
    }
}

impl Anchors {
    /// Of the layers that share a goal with `one_of`: instructions a multiplication of the one whose input channels are the
    /// nearest, and the goal at a sparsity.
    fn nearest(&self, one_of: &str, channels: usize, sparsity: f64) -> Option<(f64, f64)> {
        let goal = self.speedup(one_of)?;
        let distance = |of: usize| (of.max(1) as f64 / channels.max(1) as f64).ln().abs();
        let named = goal.layers.iter().filter_map(|name| self.layer(name));
        let (_, a_mac) = named.min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)))?;
        Some((a_mac, goal.at(sparsity)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_those_of_the_nearest_reference_layer() {
        let anchors = Anchors::read().unwrap();
        let point = Window::square(1, 1, 0);
        let (a_mac, speedup) = convolution(&anchors, point, 240, 90.0).unwrap();
        assert!((a_mac - 1_827_131.0 / 1_048_576.0).abs() < 1e-9 && speedup == 8.4, "{a_mac} {speedup}");
        let (a_mac, speedup) = convolution(&anchors, point, 32, 75.0).unwrap();
        assert!((a_mac - 542_171.0 / 262_144.0).abs() < 1e-9 && (speedup - 4.8).abs() < 1e-9, "{a_mac} {speedup}");
        let (a_mac, speedup) = convolution(&anchors, Window::square(3, 2, 1), 1, 90.0).unwrap();
        assert!((a_mac - 2_127_113.0 / 442_368.0).abs() < 1e-9 && speedup == 3.5, "{a_mac} {speedup}");
    }
}
