//! What is done to a model whose bytes are its own.
use crate::builder::{check_len, seal};
use crate::model::COST_LEN;
use crate::view::append;
use crate::{FormatError, Model};
use alloc::vec::Vec;

impl Model<Vec<u8>> {
    /// Writes what each level that is held costs, in instructions (0: unknown), and seals the file again.
    ///
    /// # Errors
    /// Another number of costs than levels held.
    ///
    /// ```
    /// # use nested_csr::{Level, Model, ModelBuilder, Profile, Quantization, TensorShape, Window};
    /// # let image = TensorShape { channels: 2, height: 8, width: 8 };
    /// # let mut builder = ModelBuilder::new(Level::new(2)?, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// # builder.max_pool("pool", builder.input(), Window::square(2, 2, 0))?;
    /// # let mut model = builder.finish(Profile::Size)?;
    /// model.set_costs(&[310_000, 480_000])?; // measured on the device, with the file
    /// assert_eq!(Model::parse(model.as_bytes())?.cost(Level::new(2)?), Some(480_000));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn set_costs(&mut self, costs: &[u32]) -> Result<(), FormatError> {
        check_len("costs", self.levels().number(), costs.len())?;
        let starts: Vec<usize> = self.levels().up_to().map(|level| self.layout().section_start(level)).collect();
        let bytes = self.bytes_mut();
        for (start, cost) in starts.into_iter().zip(costs) {
            // A section that was parsed begins with its cost.
            if let Some(field) = bytes.get_mut(start..start.saturating_add(COST_LEN)) {
                field.copy_from_slice(&cost.to_le_bytes());
            }
        }
        seal(bytes);
        Ok(())
    }

    /// Appends later sections (from [`Model::sections_after`] of the whole file) and checks them.
    ///
    /// # Errors
    /// Whatever is wrong with the longer file; this one is then as it was.
    ///
    /// ```
    /// use nested_csr::{Level, Model};
    /// # use nested_csr::{ModelBuilder, Profile, Quantization, TensorShape, Window};
    /// # let image = TensorShape { channels: 2, height: 8, width: 8 };
    /// # let mut builder = ModelBuilder::new(Level::new(2)?, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// # builder.max_pool("pool", builder.input(), Window::square(2, 2, 0))?;
    /// # let whole = builder.finish(Profile::Size)?;
    /// // A device that got the first level of a `whole` model, and later the rest:
    /// let mut model = Model::parse(whole.prefix(Level::FIRST)?.to_vec())?;
    /// model.upgrade(whole.sections_after(Level::FIRST)?)?;
    /// assert_eq!((model.levels().number(), model.as_bytes()), (2, whole.as_bytes()));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn upgrade(&mut self, sections: &[u8]) -> Result<(), FormatError> {
        let layout = append(self.bytes_mut(), sections, |bytes| Model::parse(bytes).map(|longer| *longer.layout()))?;
        self.set_layout(layout);
        Ok(())
    }
}
