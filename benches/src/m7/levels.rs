//! What each level of any model needs of a Cortex-M7, for those that want one row a level.
use super::{Anchors, Case, Firmware, Kernels, M7, M7Error, Row, add_goals, measure_networks, random_images};
use crate::{deployed, error::Error};
use nested_csr::{FormatError, Model};

/// The firmware, or why there is none: counts are then left out.
pub fn firmware() -> Result<Option<Firmware>, Error> {
    match Firmware::build(M7, Kernels::Dsp) {
        Ok(firmware) => Ok(Some(firmware)),
        Err(error @ (M7Error::NoTarget(_) | M7Error::Missing { .. })) => {
            eprintln!("no Cortex-M7 figures: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What each level needs in the arena that the network prefers, counted on the first of these images; on all of them the board
/// must find what the host finds.
pub fn level_rows(firmware: &Firmware, model: Model<Vec<u8>>, images: &[Vec<i8>]) -> Result<Vec<Row>, Error> {
    // Of the names nothing is shown.
    let sparsities = sparsities(&model)?;
    let case = Case { network: String::new(), width: 1.0, block: "", weights: "", sparsities };
    let mut rows = measure_networks(firmware, None, &case, model.clone(), images)?.rows;
    rows.retain(|row| !row.least_arena || row.instructions.is_none());
    add_goals(&Anchors::read()?, &model, &mut rows);
    Ok(rows)
}

/// What the sparse layers leave out at each level, per cent.
pub fn sparsities(model: &Model<Vec<u8>>) -> Result<Vec<f64>, FormatError> {
    model.levels().up_to().map(|level| Ok(100.0 - deployed::stored(model, level)?)).collect()
}

/// Instructions of one image of random pixels at each level; see [`level_rows`].
pub fn instructions(firmware: &Firmware, model: Model<Vec<u8>>) -> Result<Vec<Option<u64>>, Error> {
    let images = random_images(model.input_shape().len(), 1);
    Ok(level_rows(firmware, model, &images)?.into_iter().map(|row| row.instructions.map(u64::from)).collect())
}
