//! The anchor table of a detection: how the values of a detector's head maps are to be read.
//!
//! The bytes are those of `docs/format.md`, 6.3. A table is checked when the model is parsed; its accessors trust that.
use crate::bytes::u16_at;

/// Bytes before the first map.
const TABLE_LEN: usize = 4;
/// Bytes of a map before its anchors.
const MAP_LEN: usize = 6;
/// Bytes of an anchor.
const ANCHOR_LEN: usize = 4;

/// Fractions of the image's side are counted in units of one part in so many.
pub const ANCHOR_ONE: u16 = 4096;

/// Values that a cell of a head map holds for one anchor, before those of the classes: the box's four and the background's.
const VALUES: u64 = 5;

/// Size of one anchor (a default box), as fractions of the image's height and width, in units of 1/[`ANCHOR_ONE`].
/// [`AnchorTable`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// Height over the image's height; not 0.
    pub height: u16,
    /// Width over the image's width; not 0.
    pub width: u16,
}

/// One head map, as [`crate::ModelBuilder::detection`] takes it; [`AnchorTable`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadAnchors<'a> {
    /// Rows of cells.
    pub height: u16,
    /// Cells in a row.
    pub width: u16,
    /// The anchors of each cell, centred on it.
    pub anchors: &'a [Anchor],
}

/// One head map, as it is read; [`AnchorTable`] has an example.
#[derive(Clone, Copy, Debug)]
pub struct HeadMap<'a> {
    /// Rows of cells.
    pub height: usize,
    /// Cells in a row.
    pub width: usize,
    anchors: &'a [[u8; ANCHOR_LEN]],
}

impl<'a> HeadMap<'a> {
    /// The anchors of each cell, in the order of the map's channels.
    pub fn anchors(&self) -> impl ExactSizeIterator<Item = Anchor> + use<'a> {
        self.anchors.iter().map(|bytes| Anchor { height: u16_at(bytes, 0), width: u16_at(bytes, 2) })
    }
}

/// How the input of a detection is to be read: head map behind head map, each with `anchors · (5 + classes)` channels.
///
/// Channel `a · (5 + classes) + j` of a map belongs to its anchor `a`: j = 0..4 are the box's code `(t_cy, t_cx, t_h, t_w)`,
/// 4 the background's logit, from 5 on those of the classes.
///
/// ```
/// use nested_csr::{ANCHOR_ONE, Anchor, HeadAnchors, Level, ModelBuilder, Operation, Profile, Quantization, TensorShape};
/// # let image = TensorShape { channels: 7 * 2 * 6, height: 1, width: 1 };
/// # let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
/// // Two classes; a head map of 2 × 3 cells, each with a square and an upright anchor.
/// let sizes = [Anchor { height: 1024, width: 1024 }, Anchor { height: 2048, width: 1024 }];
/// builder.detection("boxes", builder.input(), 2, &[HeadAnchors { height: 2, width: 3, anchors: &sizes }])?;
/// let model = builder.finish(Profile::Size)?;
///
/// if let Some(Operation::Detection { anchors, .. }) = model.node(0).map(|node| node.operation) {
///     assert_eq!((anchors.classes(), anchors.boxes()), (2, 12));
///     let upright = anchors.maps().flat_map(|map| map.anchors()).filter(|anchor| anchor.height > anchor.width);
///     let heights: Vec<f32> = upright.map(|anchor| f32::from(anchor.height) / f32::from(ANCHOR_ONE)).collect();
///     assert_eq!(heights, [0.5]);
/// }
/// # Ok::<(), nested_csr::FormatError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AnchorTable<'a> {
    bytes: &'a [u8],
}

impl<'a> AnchorTable<'a> {
    /// The table that `bytes` begin with; what is behind it is not its own.
    pub(crate) fn new(bytes: &'a [u8]) -> AnchorTable<'a> {
        let mut maps = Maps::new(bytes);
        maps.by_ref().for_each(drop);
        let len = bytes.len().wrapping_sub(maps.rest.len());
        AnchorTable { bytes: bytes.get(..len).unwrap_or(&[]) }
    }

    /// Checks the table that `bytes` begin with; it has to describe so many values.
    pub(crate) fn check(bytes: &'a [u8], values: usize) -> Result<AnchorTable<'a>, &'static str> {
        let table = AnchorTable::new(bytes);
        let stated = usize::from(u16_at(bytes, 2));
        if table.classes() == 0 || stated == 0 || table.maps().count() != stated {
            return Err("the anchor table");
        }
        let mut described = 0u64;
        for map in table.maps() {
            let cells = (map.height as u64).wrapping_mul(map.width as u64);
            if cells == 0
                || map.anchors.is_empty()
                || map.anchors().any(|anchor| anchor.height == 0 || anchor.width == 0)
            {
                return Err("the anchor table");
            }
            let a_cell = (map.anchors.len() as u64).wrapping_mul(VALUES.wrapping_add(table.classes() as u64));
            // 32 + 32 bits: it cannot overflow; the sum saturates.
            described = described.saturating_add(cells.saturating_mul(a_cell));
        }
        if described != values as u64 {
            return Err("the values that the anchor table describes");
        }
        Ok(table)
    }

    /// Classes, the background not among them; at least 1.
    pub fn classes(&self) -> usize {
        usize::from(u16_at(self.bytes, 0))
    }

    /// The head maps in the order in which their values come; at least 1.
    pub fn maps(&self) -> impl Iterator<Item = HeadMap<'a>> + use<'a> {
        Maps::new(self.bytes)
    }

    /// Boxes that the values describe: one for each anchor of each cell.
    pub fn boxes(&self) -> usize {
        let of_map = |map: HeadMap<'_>| map.height.saturating_mul(map.width).saturating_mul(map.anchors.len());
        self.maps().map(of_map).fold(0, usize::saturating_add)
    }

    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Reads map after map; it ends early when the bytes do.
struct Maps<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Maps<'a> {
    fn new(bytes: &'a [u8]) -> Maps<'a> {
        Maps { rest: bytes.get(TABLE_LEN..).unwrap_or(&[]), left: u16_at(bytes, 2) }
    }
}

impl<'a> Iterator for Maps<'a> {
    type Item = HeadMap<'a>;

    fn next(&mut self) -> Option<HeadMap<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (map, rest) = self.rest.split_at_checked(MAP_LEN)?;
        let side = |at| usize::from(u16_at(map, at));
        let (anchors, rest) = rest.split_at_checked(side(4).wrapping_mul(ANCHOR_LEN))?;
        self.rest = rest;
        Some(HeadMap { height: side(0), width: side(2), anchors: anchors.as_chunks().0 })
    }
}

/// Writes a table; `None` when it has more than its fields can count.
#[cfg(feature = "alloc")]
pub(crate) fn write(classes: u16, maps: &[HeadAnchors<'_>]) -> Option<alloc::vec::Vec<u8>> {
    let mut out = alloc::vec::Vec::new();
    out.extend(classes.to_le_bytes());
    out.extend(u16::try_from(maps.len()).ok()?.to_le_bytes());
    for map in maps {
        let anchors = u16::try_from(map.anchors.len()).ok()?;
        out.extend([map.height, map.width, anchors].iter().flat_map(|field| field.to_le_bytes()));
        out.extend(map.anchors.iter().flat_map(|anchor| [anchor.height, anchor.width]).flat_map(u16::to_le_bytes));
    }
    Some(out)
}

#[cfg(all(test, feature = "alloc"))]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)] // nothing is read but what the tests make
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    const ANCHOR: Anchor = Anchor { height: 1024, width: 2048 };
    const MAPS: [HeadAnchors<'static>; 2] = [
        HeadAnchors { height: 3, width: 2, anchors: &[ANCHOR; 3] },
        HeadAnchors { height: 1, width: 1, anchors: &[ANCHOR] },
    ];
    /// Of 2 classes: 7 values for each anchor of each cell.
    const VALUES: usize = 7 * (3 * 2 * 3 + 1);

    #[test]
    fn a_table_is_read_back_and_what_follows_it_is_not_its_own() {
        let mut bytes = write(2, &MAPS).unwrap();
        let len = bytes.len();
        bytes.extend([1, 2]);
        let table = AnchorTable::check(&bytes, VALUES).unwrap();
        assert_eq!((table.classes(), table.boxes(), table.as_bytes().len()), (2, 19, len));
        let maps: Vec<_> = table.maps().map(|map| (map.height, map.width, map.anchors().collect::<Vec<_>>())).collect();
        assert_eq!(maps, [(3, 2, vec![ANCHOR; 3]), (1, 1, vec![ANCHOR])]);
    }

    #[test]
    fn a_table_that_is_empty_short_or_of_other_values_is_refused() {
        let whole = write(2, &MAPS).unwrap();
        let refused = |bytes: &[u8]| AnchorTable::check(bytes, VALUES).unwrap_err();
        for len in 0..whole.len() {
            assert_eq!(refused(&whole[..len]), "the anchor table", "cut at {len}");
        }
        // Classes, maps, a map's height, its anchors, an anchor's width.
        for place in [0, 2, 4, 8, 12] {
            let mut bytes = whole.clone();
            bytes[place..place + 2].fill(0);
            assert!(AnchorTable::check(&bytes, VALUES).is_err(), "byte {place}");
        }
        let error = AnchorTable::check(&whole, VALUES + 1).unwrap_err();
        assert_eq!(error, "the values that the anchor table describes");
        assert!(AnchorTable::check(&[0xff; 100], VALUES).is_err());
    }
}
