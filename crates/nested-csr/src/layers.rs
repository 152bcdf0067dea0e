//! A set of named matrices in one file: what a network's sparse layers are before there is a graph around them.
use crate::bytes::{padded, range, u8_at, u32_at};
use crate::header::Layout;
use crate::ring::{Directory, RING_LEN};
use crate::shape::{LAYER_LEN, check_layer_record, layer_record};
use crate::view::{check_directory, check_padding};
use crate::{FormatError, Kind, Level, MatrixView, Part};
use core::fmt;

/// Bytes of the body before the layers' records: their number and the length of all names.
const LAYERS_LEN: usize = 8;
/// Bytes of a layer in the body: its record and the end of its name.
const ENTRY_LEN: usize = LAYER_LEN + 4;

/// A file that holds a set of matrices of the same number of levels, each with a name.
///
/// ```
/// use nested_csr::{Block, Layers, LayersBuilder, Level, Profile, Shape};
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let mut builder = LayersBuilder::new(Level::FIRST, Profile::Size);
/// builder.push("stem", Shape { rows: 1, columns: 2 }, Block::OneByOne, &[0, 5], &[0, 1])?;
/// builder.push("head", Shape { rows: 2, columns: 1 }, Block::OneByOne, &[7, 0], &[1, 0])?;
/// let file = builder.finish()?;
///
/// let layers = Layers::parse(file.as_bytes())?;
/// assert_eq!(layers.find("head").map(|layer| layer.shape().rows), Some(2));
/// for index in 0..layers.len() {
///     if let (Some(name), Some(layer)) = (layers.name(index), layers.layer(index)) {
///         println!("{name}: {} weights", layer.stored(layers.levels())?);
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Layers<B> {
    bytes: B,
    layout: Layout,
}

/// Where the parts lie, without the bytes.
impl<B> fmt::Debug for Layers<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl<B: AsRef<[u8]>> Layers<B> {
    /// Checks all of `bytes` once, in O(n), without allocating; what it returns cannot fail.
    ///
    /// # Errors
    /// [`FormatError`], which says where and what.
    pub fn parse(bytes: B) -> Result<Self, FormatError> {
        let layout = Layout::parse(bytes.as_ref(), Kind::Layers)?;
        let layers = Layers { bytes, layout };
        layers.check_body()?;
        for level in layout.held.up_to() {
            layers.check_section(level)?;
        }
        for index in 0..layers.len() {
            layers.view(index).check(|_, _| Ok(()))?;
        }
        Ok(layers)
    }

    /// The file's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Gives the bytes back.
    pub fn into_bytes(self) -> B {
        self.bytes
    }

    /// The densest level held.
    pub fn levels(&self) -> Level {
        self.layout.held
    }

    /// The densest level of the whole file, of which these bytes may be a prefix.
    pub fn levels_stated(&self) -> Level {
        self.layout.stated
    }

    /// How many layers; at least 1.
    pub fn len(&self) -> usize {
        u32_at(self.body(), 0) as usize
    }

    /// Whether there are none: never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Layer `index`, O(1). `None` past the end.
    pub fn layer(&self, index: usize) -> Option<MatrixView<'_>> {
        (index < self.len()).then(|| self.view(index))
    }

    /// The name of layer `index`, O(1); it may be empty. `None` past the end.
    pub fn name(&self, index: usize) -> Option<&str> {
        (index < self.len()).then(|| core::str::from_utf8(self.raw_name(index)).unwrap_or(""))
    }

    /// The first layer of that name, O(layers).
    pub fn find(&self, name: &str) -> Option<MatrixView<'_>> {
        (0..self.len()).find(|index| self.raw_name(*index) == name.as_bytes()).map(|index| self.view(index))
    }

    /// The bytes that serve levels `1..=level`: a valid file.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn prefix(&self, level: Level) -> Result<&[u8], FormatError> {
        self.layout.prefix(self.as_bytes(), level)
    }

    /// The bytes to append to `prefix(level)` to have this file again.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn sections_after(&self, level: Level) -> Result<&[u8], FormatError> {
        self.layout.sections_after(self.as_bytes(), level)
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes of the header and of the body without names; bytes of the names.
    pub(crate) fn body_lens(&self) -> (usize, usize) {
        let header = crate::header::header_len(self.layout.stated.number());
        let records = self.len().saturating_mul(ENTRY_LEN).saturating_add(LAYERS_LEN);
        (header.saturating_add(records), self.names_len())
    }

    fn body(&self) -> &[u8] {
        self.layout.body(self.as_bytes())
    }

    fn record(&self, index: usize) -> usize {
        LAYERS_LEN.wrapping_add(index.wrapping_mul(ENTRY_LEN))
    }

    fn names_len(&self) -> usize {
        u32_at(self.body(), 4) as usize
    }

    fn names(&self) -> &[u8] {
        let start = LAYERS_LEN.saturating_add(self.len().saturating_mul(ENTRY_LEN));
        range(self.body(), start, start.saturating_add(self.names_len()))
    }

    fn name_end(&self, index: usize) -> usize {
        u32_at(self.body(), self.record(index).wrapping_add(LAYER_LEN)) as usize
    }

    fn raw_name(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.name_end(before));
        range(self.names(), start, self.name_end(index))
    }

    pub(crate) fn view(&self, index: usize) -> MatrixView<'_> {
        let (shape, block) = layer_record(self.body(), self.record(index));
        let directory = self.directory();
        MatrixView { bytes: self.as_bytes(), layout: &self.layout, directory, layer: index, shape, block }
    }

    pub(crate) fn directory(&self) -> Directory {
        Directory { records: 0, data: self.len().saturating_mul(RING_LEN) }
    }

    fn check_body(&self) -> Result<(), FormatError> {
        let body = self.body();
        let names = u32_at(body, 4);
        let padded_names = padded(names).map_or(usize::MAX, |len| len as usize);
        let records = self.len().saturating_mul(ENTRY_LEN).saturating_add(LAYERS_LEN);
        let needed = records.saturating_add(padded_names);
        if body.len() != needed {
            return Err(FormatError::Length { part: Part::Body, stated: body.len(), needed });
        }
        if self.is_empty() {
            return Err(FormatError::Empty);
        }
        let mut end = 0;
        for index in 0..self.len() {
            check_layer_record(body, self.record(index), index)?;
            let name = self.names().get(end..self.name_end(index));
            if name.and_then(|name| core::str::from_utf8(name).ok()).is_none() {
                return Err(FormatError::Name { index });
            }
            end = self.name_end(index);
        }
        if end != self.names_len() {
            let (index, expected) = (self.len().saturating_sub(1), self.names_len());
            return Err(FormatError::Offset { part: Part::Body, what: "name", index, found: end, expected });
        }
        let padding = records.saturating_add(end)..body.len();
        match padding.into_iter().find(|offset| u8_at(body, *offset) != 0) {
            Some(offset) => Err(FormatError::NotZero { part: Part::Body, offset }),
            None => Ok(()),
        }
    }

    fn check_section(&self, level: Level) -> Result<(), FormatError> {
        let section = self.layout.section(self.as_bytes(), level);
        let directory = self.directory();
        check_directory(section, level, directory.data)?;
        let mut end = directory.data;
        for index in 0..self.len() {
            let view = self.view(index);
            directory.check(section, level.number(), index, view.shape, view.block)?;
            end = directory.end(section, index);
        }
        check_padding(section, level, end)
    }
}

#[cfg(feature = "alloc")]
pub use writing::LayersBuilder;

#[cfg(feature = "alloc")]
mod writing {
    use super::Layers;
    use crate::builder::{Choice, EncodedLayer, Source, pad, write_file, write_section};
    use crate::view::append;
    use crate::{Block, FormatError, Kind, Level, Place, Profile, Shape};
    use alloc::vec::Vec;

    /// Puts a set of layers together; each is compressed when it is pushed, so its weights need not be kept. [`Layers`] has
    /// the example.
    #[derive(Clone, Debug)]
    pub struct LayersBuilder {
        levels: Level,
        profile: Profile,
        layers: Vec<EncodedLayer>,
        names: Vec<u8>,
        name_ends: Vec<u32>,
    }

    impl LayersBuilder {
        /// An empty set of layers of `levels` levels.
        pub fn new(levels: Level, profile: Profile) -> LayersBuilder {
            LayersBuilder { levels, profile, layers: Vec::new(), names: Vec::new(), name_ends: Vec::new() }
        }

        /// Compresses a layer and adds it; see [`crate::NestedCsr::compress`].
        ///
        /// # Errors
        /// What [`crate::NestedCsr::compress`] refuses; then nothing is added.
        pub fn push(
            &mut self,
            name: &str,
            shape: Shape,
            block: Block,
            weights: &[i8],
            rings: &[u8],
        ) -> Result<(), FormatError> {
            let source = Source::new(Place::Layer(self.layers.len()), shape, block, weights, rings)?;
            let layer = EncodedLayer::new(&source, Choice::Best(self.levels, self.profile))?;
            let end = u32::try_from(self.names.len().saturating_add(name.len()));
            self.name_ends.push(end.map_err(|_| FormatError::TooLarge { what: "the names" })?);
            self.names.extend(name.as_bytes());
            self.layers.push(layer);
            Ok(())
        }

        /// Writes the file.
        ///
        /// # Errors
        /// [`FormatError::Empty`] without a layer, [`FormatError::TooLarge`] for more than 4 GiB.
        pub fn finish(self) -> Result<Layers<Vec<u8>>, FormatError> {
            if self.layers.is_empty() {
                return Err(FormatError::Empty);
            }
            let too_large = |_| FormatError::TooLarge { what: "the number of layers" };
            let mut body = Vec::new();
            body.extend(u32::try_from(self.layers.len()).map_err(too_large)?.to_le_bytes());
            body.extend(self.name_ends.last().copied().unwrap_or(0).to_le_bytes());
            for (layer, end) in self.layers.iter().zip(&self.name_ends) {
                layer.write_record(&mut body);
                body.extend(end.to_le_bytes());
            }
            body.extend(&self.names);
            pad(&mut body)?;
            let layers: Vec<&EncodedLayer> = self.layers.iter().collect();
            let sections = (0..self.levels.number()).map(|ring| write_section(&[], &layers, ring, &[], &[]));
            let sections = sections.collect::<Result<Vec<_>, _>>()?;
            Layers::parse(write_file(Kind::Layers, &body, &sections)?)
        }
    }

    impl Layers<Vec<u8>> {
        /// Appends later sections (from [`Layers::sections_after`] of the whole file) and checks them.
        ///
        /// ```
        /// # use nested_csr::{Block, Layers, LayersBuilder, Level, Profile, Shape};
        /// # fn main() -> Result<(), nested_csr::FormatError> {
        /// # let mut builder = LayersBuilder::new(Level::new(2)?, Profile::Size);
        /// # builder.push("only", Shape { rows: 1, columns: 2 }, Block::OneByOne, &[3, 4], &[1, 2])?;
        /// # let whole = builder.finish()?;
        /// let mut device = Layers::parse(whole.prefix(Level::FIRST)?.to_vec())?; // shipped first
        /// assert!(device.levels() < device.levels_stated());
        /// device.upgrade(whole.sections_after(Level::FIRST)?)?; // sent later
        /// assert_eq!(device.into_bytes(), whole.as_bytes());
        /// # Ok(()) }
        /// ```
        ///
        /// # Errors
        /// Whatever is wrong with the longer file; this one is then as it was.
        pub fn upgrade(&mut self, sections: &[u8]) -> Result<(), FormatError> {
            let check = |bytes: &[u8]| Layers::parse(bytes).map(|longer| *longer.layout());
            self.layout = append(&mut self.bytes, sections, check)?;
            Ok(())
        }
    }
}
