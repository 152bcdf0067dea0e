//! Quantisation to int8: from a trained network to a `nested_csr` model.
use crate::train::{Dataset, Trained};
use nested_csr::{FormatError, Model};

/// What can go wrong in quantisation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// The format refused the model.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// The int8 model of all levels; activation ranges come from the calibration images.
///
/// # Errors
/// [`QuantError`].
pub fn quantize(trained: &Trained, calibration: &Dataset) -> Result<Model<Vec<u8>>, QuantError> {
    let _ = (trained, calibration);
    todo!()
}
