//! A second reader of the format, written from `docs/format.md` alone: slow, plain, and without a line of the crate.
//! It accepts exactly the files that the specification allows.
#![allow(dead_code)] // each test uses a part of it
#![allow(clippy::all)] // plain on purpose

use std::collections::BTreeSet;

/// Why a file is refused, in the specification's words.
pub type Refusal = &'static str;

#[derive(Debug, PartialEq)]
pub struct File {
    pub kind: u8,
    pub stated: usize,
    pub held: usize,
    pub layers: Vec<Layer>,
    /// Names of the layers of a set, or of the nodes of a model.
    pub names: Vec<String>,
    pub model: Option<Model>,
}

/// Row, column, weight.
pub type Weight = (u64, u64, i8);
/// End, blocks, weights, index code, parameter.
type Record = (u64, u64, u64, u8, u16);

#[derive(Debug, PartialEq)]
pub struct Layer {
    pub rows: u64,
    pub columns: u64,
    pub width: u64,
    /// For each ring its index code, parameter, and weights as (row, column, weight), in order.
    pub rings: Vec<(u8, u16, Vec<Weight>)>,
}

#[derive(Debug, PartialEq)]
pub struct Model {
    pub image: [u16; 3],
    pub zero_point: i8,
    pub scale: u32,
    pub costs: Vec<u32>,
    pub nodes: Vec<Node>,
}

#[derive(Debug, PartialEq)]
pub struct Node {
    pub operation: u8,
    pub weights: u8,
    pub inputs: [u16; 2],
    pub window: [u8; 7],
    pub output: [u16; 3],
    pub dense: Vec<i8>,
    pub levels: Vec<NodeLevel>,
}

#[derive(Debug, PartialEq)]
pub struct NodeLevel {
    pub scale: u32,
    pub zero_point: i8,
    pub low: i8,
    pub high: i8,
    pub operands: [i16; 2],
    pub wide: bool,
    /// Multiplier code and bias.
    pub rows: Vec<(u16, i32)>,
}

fn need(condition: bool, why: Refusal) -> Result<(), Refusal> {
    if condition { Ok(()) } else { Err(why) }
}

/// Bytes with a place in them; every read is checked.
#[derive(Clone)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Refusal> {
        let count = usize::try_from(count).map_err(|_| "too long")?;
        need(count <= self.0.len(), "too short")?;
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }
    fn u8(&mut self) -> Result<u8, Refusal> {
        Ok(self.take(1)?[0])
    }
    fn u16(&mut self) -> Result<u16, Refusal> {
        let bytes = self.take(2)?;
        Ok(u16::from(bytes[0]) | u16::from(bytes[1]) << 8)
    }
    fn u32(&mut self) -> Result<u32, Refusal> {
        Ok(u32::from(self.u16()?) | u32::from(self.u16()?) << 16)
    }
    fn zeros(&mut self, count: u64) -> Result<(), Refusal> {
        need(self.take(count)?.iter().all(|&byte| byte == 0), "reserved or padding is not 0")
    }
    /// What is left is padding: fewer than 4 zeros.
    fn padding(&mut self) -> Result<(), Refusal> {
        need(self.0.len() < 4, "more than padding is left")?;
        self.zeros(self.0.len() as u64)
    }
    fn pad(&mut self, len: u64) -> Result<(), Refusal> {
        self.zeros(len.wrapping_neg() % 4)
    }
}

pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// Makes the checksums fit the content, as far as lengths allow. A header cut short is left alone.
pub fn reseal(file: &mut [u8]) {
    if file.len() < 20 {
        return;
    }
    let levels = usize::from(file[7]);
    let header = 20 + 8 * levels;
    if file.len() < header {
        return;
    }
    let mut start = header;
    for part in 0..=levels {
        let at = if part == 0 { 8 } else { 8 + 8 * part };
        let len = u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let Some(end) = start.checked_add(len).filter(|end| *end <= file.len()) else { break };
        let crc = crc32(&file[start..end]);
        file[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        start = end;
    }
    let crc = crc32(&file[..header - 4]);
    file[header - 4..header].copy_from_slice(&crc.to_le_bytes());
}

/// Reads a file of any kind.
pub fn decode(file: &[u8]) -> Result<File, Refusal> {
    let mut header = Bytes(file);
    need(header.take(4)? == b"NCSR", "not this format")?;
    need(header.u16()? == 1, "version")?;
    let kind = header.u8()?;
    need(kind <= 2, "kind")?;
    let stated = usize::from(header.u8()?);
    need((1..=8).contains(&stated), "levels")?;
    let mut parts = Vec::new();
    let mut total = 20 + 8 * stated as u64;
    for _ in 0..=stated {
        let (len, crc) = (u64::from(header.u32()?), header.u32()?);
        need(len != 0 && len % 4 == 0, "length of a part")?;
        total += len;
        parts.push((len, crc));
    }
    need(total < 1 << 32, "length of the file")?;
    let sealed = file.len() - header.0.len();
    need(header.u32()? == crc32(&file[..sealed]), "checksum of the header")?;

    let mut rest = header;
    let mut contents = Vec::new();
    for (len, crc) in parts {
        if rest.0.is_empty() && contents.len() >= 2 {
            break;
        }
        let content = rest.take(len)?;
        need(crc32(content) == crc, "checksum of a part")?;
        contents.push(content);
    }
    need(rest.0.is_empty(), "bytes behind the last section")?;
    let (body, sections) = (Bytes(contents[0]), &contents[1..]);
    let mut file = File { kind, stated, held: sections.len(), layers: vec![], names: vec![], model: None };
    match kind {
        0 => matrix(&mut file, body, sections)?,
        1 => layers(&mut file, body, sections)?,
        _ => model(&mut file, body, sections)?,
    }
    Ok(file)
}

fn shape(bytes: &mut Bytes<'_>) -> Result<Layer, Refusal> {
    let (rows, columns) = (u64::from(bytes.u32()?), u64::from(bytes.u32()?));
    check_shape(rows, columns)?;
    let block = bytes.u8()?;
    need(block <= 1, "block")?;
    bytes.zeros(3)?;
    Ok(Layer { rows, columns, width: u64::from(block) + 1, rings: vec![] })
}

fn check_shape(rows: u64, columns: u64) -> Result<(), Refusal> {
    need(rows >= 1 && columns >= 1 && columns <= 1 << 24 && rows * columns < 1 << 31, "shape")
}

/// Reads the ring records of a section.
fn records(section: &mut Bytes<'_>, count: usize) -> Result<Vec<Record>, Refusal> {
    let mut records = Vec::new();
    for _ in 0..count {
        let (end, blocks, weights) = (section.u32()?, section.u32()?, section.u32()?);
        let code = section.u8()?;
        section.zeros(1)?;
        records.push((end.into(), blocks.into(), weights.into(), code, section.u16()?));
    }
    Ok(records)
}

/// Reads the rings' data that start at `start` of the section.
fn rings(layers: &mut [Layer], section: &mut Bytes<'_>, mut start: u64, records: &[Record]) -> Result<(), Refusal> {
    for (layer, &(end, blocks, weights, code, parameter)) in layers.iter_mut().zip(records) {
        let len = end.checked_sub(start).ok_or("the end of a ring")?;
        let index = section.take(len.checked_sub(weights).ok_or("the weights of a ring")?)?;
        need(index.len() <= 1 << 28, "an index stream that is too long")?;
        let values = section.take(weights)?;
        start = end;
        let weights = ring(layer, blocks, code, parameter, index, values)?;
        layer.rings.push((code, parameter, weights));
    }
    Ok(())
}

/// The blocks of a ring, then their weights.
fn ring(
    layer: &Layer,
    blocks: u64,
    code: u8,
    parameter: u16,
    index: &[u8],
    values: &[u8],
) -> Result<Vec<Weight>, Refusal> {
    let in_row = layer.columns.div_ceil(layer.width);
    let taken: BTreeSet<u64> = layer
        .rings
        .iter()
        .flat_map(|ring| &ring.2)
        .map(|(row, column, _)| row * in_row + column / layer.width)
        .collect();
    let positions = match (code, parameter) {
        (0, 1 | 2 | 4) => counted(layer.rows, in_row, parameter, index)?,
        (1, 0) => run_on(nibbles(index, blocks)?),
        (2, 1..) => run_on(golomb(index, blocks, parameter)?),
        (3, 1..) if in_row <= 8192 => free_to_all(&run_on(golomb(index, blocks, parameter)?), &taken),
        _ => return Err("index code"),
    };
    need(positions.len() as u64 == blocks, "the number of blocks")?;
    need(positions.iter().all(|position| *position < layer.rows * in_row), "a block past the last row")?;
    need(positions.iter().all(|position| !taken.contains(position)), "a block of an inner ring")?;

    let mut values = values.iter().map(|&byte| byte as i8);
    let mut weights = Vec::new();
    for position in positions {
        let (row, block) = (position / in_row, position % in_row);
        let columns = block * layer.width..((block + 1) * layer.width).min(layer.columns);
        let start = weights.len();
        for column in columns {
            weights.push((row, column, values.next().ok_or("too few weights")?));
        }
        need(weights[start..].iter().any(|(_, _, weight)| *weight != 0), "a block of zeros")?;
    }
    need(values.next().is_none(), "too many weights")?;
    Ok(weights)
}

/// Code 0.
fn counted(rows: u64, in_row: u64, width: u16, index: &[u8]) -> Result<Vec<u64>, Refusal> {
    let mut bytes = Bytes(index);
    let mut counts = Bytes(bytes.take(rows * u64::from(width))?);
    let (mut positions, mut most) = (Vec::new(), 0);
    for row in 0..rows {
        let count = match width {
            1 => counts.u8()?.into(),
            2 => counts.u16()?.into(),
            _ => counts.u32()?,
        };
        most = most.max(count);
        let mut next = 0u64;
        for _ in 0..count {
            let mut byte = bytes.u8()?;
            while byte == 255 {
                next += 255;
                byte = bytes.u8()?;
            }
            next += u64::from(byte);
            need(next < in_row, "a block past the end of its row")?;
            positions.push(row * in_row + next);
            next += 1;
        }
    }
    need(bytes.0.is_empty(), "an index stream that is too long")?;
    let least = if most < 1 << 8 {
        1
    } else if most < 1 << 16 {
        2
    } else {
        4
    };
    need(width == least, "counts wider than needed")?;
    Ok(positions)
}

/// Bits of a stream, taken one by one.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<u64, Refusal> {
        let byte = self.bytes.get(self.at / 8).ok_or("an index stream that is too short")?;
        let bit = byte >> (self.at % 8) & 1;
        self.at += 1;
        Ok(bit.into())
    }
    fn number(&mut self, bits: u32) -> Result<u64, Refusal> {
        (0..bits).try_fold(0, |number, place| Ok(number | self.bit()? << place))
    }
    fn end(mut self) -> Result<(), Refusal> {
        need(self.at.div_ceil(8) == self.bytes.len(), "an index stream that is too long")?;
        while self.at % 8 != 0 {
            need(self.bit()? == 0, "spare bits")?;
        }
        Ok(())
    }
}

/// Code 1.
fn nibbles(index: &[u8], blocks: u64) -> Result<Vec<u64>, Refusal> {
    let (mut bits, mut gaps) = (Bits { bytes: index, at: 0 }, Vec::new());
    for _ in 0..blocks {
        let mut gap = 0;
        loop {
            let nibble = bits.number(4)?;
            gap += nibble;
            if nibble < 15 {
                break;
            }
        }
        gaps.push(gap);
    }
    bits.end()?;
    Ok(gaps)
}

/// Codes 2 and 3.
fn golomb(index: &[u8], blocks: u64, modulus: u16) -> Result<Vec<u64>, Refusal> {
    let modulus = u64::from(modulus);
    let mut b = 0;
    while 1 << b < modulus {
        b += 1;
    }
    let t = (1 << b) - modulus;
    let (mut bits, mut gaps) = (Bits { bytes: index, at: 0 }, Vec::new());
    for _ in 0..blocks {
        let mut quotient = 0;
        while bits.bit()? == 0 {
            quotient += 1;
        }
        let mut remainder = 0;
        if modulus > 1 {
            remainder = bits.number(b - 1)?;
            if remainder >= t {
                remainder = 2 * remainder + bits.bit()? - t;
            }
        }
        gaps.push(quotient * modulus + remainder);
    }
    bits.end()?;
    Ok(gaps)
}

/// Positions from gaps.
fn run_on(gaps: Vec<u64>) -> Vec<u64> {
    let mut next = 0;
    gaps.iter().map(|gap| (next + gap, next = next + gap + 1).0).collect()
}

/// Positions among all from positions among those that are not taken; both ascend.
fn free_to_all(free: &[u64], taken: &BTreeSet<u64>) -> Vec<u64> {
    let mut taken = taken.iter().peekable();
    let mut passed = 0;
    let mut place = |free: &u64| {
        while taken.next_if(|position| **position <= free + passed).is_some() {
            passed += 1;
        }
        free + passed
    };
    free.iter().map(&mut place).collect()
}

fn matrix(file: &mut File, mut body: Bytes<'_>, sections: &[&[u8]]) -> Result<(), Refusal> {
    file.layers.push(shape(&mut body)?);
    need(body.0.is_empty(), "length of the body")?;
    for section in sections {
        let mut section = Bytes(section);
        let records = records(&mut section, 1)?;
        rings(&mut file.layers, &mut section, 16, &records)?;
        section.padding()?;
    }
    Ok(())
}

fn layers(file: &mut File, mut body: Bytes<'_>, sections: &[&[u8]]) -> Result<(), Refusal> {
    let (count, names_len) = (body.u32()?, body.u32()?);
    need(count >= 1, "no layers")?;
    let mut ends = Vec::new();
    for _ in 0..count {
        file.layers.push(shape(&mut body)?);
        ends.push(body.u32()?);
    }
    file.names = names(&mut body, names_len, &ends)?;
    need(body.0.is_empty(), "length of the body")?;
    for section in sections {
        let mut section = Bytes(section);
        let records = records(&mut section, count as usize)?;
        rings(&mut file.layers, &mut section, 16 * u64::from(count), &records)?;
        section.padding()?;
    }
    Ok(())
}

fn names(body: &mut Bytes<'_>, len: u32, ends: &[u32]) -> Result<Vec<String>, Refusal> {
    let bytes = body.take(len.into())?;
    body.pad(len.into())?;
    let (mut start, mut names) = (0, Vec::new());
    for &end in ends {
        let name = bytes.get(start..end as usize).ok_or("the end of a name")?;
        names.push(String::from_utf8(name.to_vec()).map_err(|_| "UTF-8")?);
        start = end as usize;
    }
    need(start == bytes.len(), "the names' length")?;
    Ok(names)
}

fn is_scale(bits: u32) -> bool {
    let scale = f32::from_bits(bits);
    scale > 0.0 && scale < f32::INFINITY
}

fn is_tensor(shape: [u16; 3]) -> bool {
    let elements: u64 = shape.iter().map(|&side| u64::from(side)).product();
    elements >= 1 && elements < 1 << 31
}

fn model(file: &mut File, mut body: Bytes<'_>, sections: &[&[u8]]) -> Result<(), Refusal> {
    let (layer_count, node_count) = (usize::from(body.u16()?), usize::from(body.u16()?));
    let (names_len, dense_len) = (body.u32()?, body.u32()?);
    need(node_count >= 1, "no nodes")?;
    need(dense_len % 4 == 0, "length of the dense weights")?;
    let image = [body.u16()?, body.u16()?, body.u16()?];
    need(is_tensor(image), "shape of the image")?;
    let zero_point = body.u8()? as i8;
    body.zeros(1)?;
    let scale = body.u32()?;
    need(is_scale(scale), "scale of the image")?;
    let mut model = Model { image, zero_point, scale, costs: vec![], nodes: vec![] };
    for _ in 0..layer_count {
        file.layers.push(shape(&mut body)?);
    }
    let mut node_bytes = Bytes(body.take(28 * node_count as u64)?);
    let mut ends = Vec::new();
    let (mut next_layer, mut sources) = (0, Vec::new());
    for index in 0..node_count {
        let (node, source, end) = node(&mut node_bytes, index, &model)?;
        need(node.operation != 6 || index + 1 == node_count, "a node behind a detection")?;
        ends.push(end);
        sources.push(source);
        model.nodes.push(node);
    }
    file.names = names(&mut body, names_len, &ends)?;
    let mut dense = Bytes(body.take(dense_len.into())?);
    need(body.0.is_empty(), "length of the body")?;
    for index in 0..node_count {
        let (rows, columns) = weight_shape(&model, index);
        let values = elements(tensor(&model, model.nodes[index].inputs[0]));
        let node = &mut model.nodes[index];
        match node.weights {
            0 => need(sources[index] == 0, "source of no weights")?,
            1 => {
                need(sources[index] == next_layer && (next_layer as usize) < layer_count, "number of the layer")?;
                let layer = &file.layers[next_layer as usize];
                need((layer.rows, layer.columns) == (rows, columns), "shape of the layer")?;
                next_layer += 1;
            }
            _ => {
                need(
                    u64::from(sources[index]) == u64::from(dense_len) - dense.0.len() as u64,
                    "start of dense weights",
                )?;
                let len = if node.operation == 6 {
                    anchor_table(dense.clone(), values)?
                } else {
                    check_shape(rows, columns)?;
                    rows * columns
                };
                node.dense = dense.take(len)?.iter().map(|&byte| byte as i8).collect();
                dense.pad(len)?;
            }
        }
    }
    need(next_layer as usize == layer_count, "a layer that nothing uses")?;
    need(dense.0.is_empty(), "dense weights that nothing uses")?;
    for section in sections {
        model_section(file, &mut model, section)?;
    }
    file.model = Some(model);
    Ok(())
}

/// The length of the anchor table that the bytes begin with, which describes so many values.
fn anchor_table(mut bytes: Bytes<'_>, values: u64) -> Result<u64, Refusal> {
    let before = bytes.0.len();
    let (classes, maps) = (u64::from(bytes.u16()?), bytes.u16()?);
    need(classes >= 1 && maps >= 1, "no classes or no maps")?;
    let mut described = 0u128;
    for _ in 0..maps {
        let [height, width, anchors] = [bytes.u16()?, bytes.u16()?, bytes.u16()?].map(u128::from);
        need(height >= 1 && width >= 1 && anchors >= 1, "a map without cells or anchors")?;
        for _ in 0..2 * anchors {
            need(bytes.u16()? >= 1, "an anchor without height or width")?;
        }
        described += height * width * anchors * u128::from(5 + classes);
    }
    need(described == values.into(), "values that the anchor table describes")?;
    Ok((before - bytes.0.len()) as u64)
}

fn elements(shape: [u16; 3]) -> u64 {
    shape.iter().map(|&side| u64::from(side)).product()
}

/// Shape of a node's weights.
fn weight_shape(model: &Model, index: usize) -> (u64, u64) {
    let node = &model.nodes[index];
    let taps = u64::from(node.window[0]) * u64::from(node.window[1]);
    let input = tensor(model, node.inputs[0]);
    let channels = if node.operation == 0 { u64::from(input[0]) } else { 1 };
    (node.output[0].into(), taps * channels)
}

fn tensor(model: &Model, tensor: u16) -> [u16; 3] {
    if tensor == 0 { model.image } else { model.nodes[usize::from(tensor) - 1].output }
}

fn node(bytes: &mut Bytes<'_>, index: usize, model: &Model) -> Result<(Node, u32, u32), Refusal> {
    let (operation, weights) = (bytes.u8()?, bytes.u8()?);
    let inputs = [bytes.u16()?, bytes.u16()?];
    let window: [u8; 7] = bytes.take(7)?.try_into().unwrap();
    bytes.zeros(1)?;
    let output = [bytes.u16()?, bytes.u16()?, bytes.u16()?];
    let (source, end) = (bytes.u32()?, bytes.u32()?);
    need(inputs.iter().all(|&input| usize::from(input) <= index), "an input that is not made yet")?;
    need(operation == 2 || operation == 5 || inputs[1] == 0, "a second input")?;
    let input = tensor(model, inputs[0]);
    let [kernel_height, kernel_width, stride, top, left, bottom, right] = window;
    match operation {
        0 => need(weights == 1 || weights == 2, "weights of a convolution")?,
        1 => need(weights == 2 && output[0] == input[0], "weights of a depthwise convolution")?,
        2 => {
            need(weights == 0 && window == [0; 7], "unused fields of an addition")?;
            need(output == input && tensor(model, inputs[1]) == input, "shapes of an addition")?;
        }
        3 => need(weights == 0 && [top, left, bottom, right] == [0; 4] && output[0] == input[0], "average pool")?,
        4 => {
            let fits = top.max(bottom) < kernel_height && left.max(right) < kernel_width;
            need(weights == 0 && fits && output[0] == input[0], "max pool")?;
        }
        5 => {
            let whole = elements(input) + elements(tensor(model, inputs[1]));
            need(weights == 0 && window == [0; 7], "unused fields of a concatenation")?;
            need(output.map(u64::from) == [whole, 1, 1], "shape of a concatenation")?;
        }
        6 => need(weights == 2 && window == [0; 7] && output == input, "unused fields or shape of a detection")?,
        _ => return Err("operation"),
    }
    if operation != 2 && operation < 5 {
        let side = |size: u16, before: u8, after: u8, kernel: u8| {
            let padded = u64::from(size) + u64::from(before) + u64::from(after);
            let fits = kernel > 0 && stride > 0 && padded >= u64::from(kernel);
            if fits { (padded - u64::from(kernel)) / u64::from(stride) + 1 } else { 0 }
        };
        let expected = [side(input[1], top, bottom, kernel_height), side(input[2], left, right, kernel_width)];
        need(expected == [output[1].into(), output[2].into()], "shape of the output")?;
    }
    need(is_tensor(output), "shape of the output")?;
    let node = Node { operation, weights, inputs, window, output, dense: vec![], levels: vec![] };
    Ok((node, source, end))
}

fn model_section(file: &mut File, model: &mut Model, bytes: &[u8]) -> Result<(), Refusal> {
    let mut section = Bytes(bytes);
    model.costs.push(section.u32()?);
    let ring_records = records(&mut section, file.layers.len())?;
    let mut fixed = Vec::new();
    for _ in &model.nodes {
        let (scale, zero_point) = (section.u32()?, section.u8()? as i8);
        let (low, high, form) = (section.u8()? as i8, section.u8()? as i8, section.u8()?);
        let operands = [section.u16()? as i16, section.u16()? as i16];
        fixed.push((scale, zero_point, low, high, form, operands, u64::from(section.u32()?)));
    }
    let start = (bytes.len() - section.0.len()) as u64;
    rings(&mut file.layers, &mut section, start, &ring_records)?;
    let level = model.costs.len() - 1;
    for (index, &(scale, zero_point, low, high, form, operands, start)) in fixed.iter().enumerate() {
        need(is_scale(scale) && low <= high, "scale or clamp")?;
        need(start == (bytes.len() - section.0.len()) as u64, "start of rows")?;
        let node = &model.nodes[index];
        let (wide, width) = (form >= 128, u32::from(form % 128));
        let count = match node.operation {
            0 | 1 => node.output[0],
            2 | 3 => 1,
            _ => {
                let source = |input: u16| match input {
                    0 => (model.scale, model.zero_point),
                    tensor => (fixed[usize::from(tensor) - 1].0, fixed[usize::from(tensor) - 1].1),
                };
                need((scale, zero_point) == source(node.inputs[0]), "quantisation of what is kept")?;
                need(node.operation != 5 || source(node.inputs[1]) == (scale, zero_point), "quantisations joined")?;
                need((low, high, form) == (-128, 127, 0), "clamp and form of what is kept")?;
                0
            }
        };
        need(count == 0 || (1..=4).contains(&width), "width of a bias")?;
        need(node.operation == 2 || operands[1] == 0, "u1")?;
        need(node.operation == 2 || node.operation == 3 || operands[0] == 0, "u0")?;
        let mut rows = Vec::new();
        for _ in 0..count {
            let multiplier = section.u16()?;
            let raw = section.take(width.into())?.iter().rev().fold(0i64, |bias, &byte| bias << 8 | i64::from(byte));
            let bias = if raw >> (8 * width - 1) == 1 { raw - (1 << (8 * width)) } else { raw };
            rows.push((multiplier, bias as i32));
        }
        let fits = |bias: i32, width: u32| (-(1i64 << (8 * width - 1))..1 << (8 * width - 1)).contains(&bias.into());
        let narrower = width > 1 && rows.iter().all(|(_, bias)| fits(*bias, width - 1));
        need(!narrower, "biases wider than needed")?;
        let found = accumulators(file, model, index, level, operands, &rows)?;
        need(wide == found, "the wide bit")?;
        model.nodes[index].levels.push(NodeLevel { scale, zero_point, low, high, operands, wide, rows });
    }
    section.padding()
}

/// Whether the node is wide at this level.
fn accumulators(
    file: &File,
    model: &Model,
    index: usize,
    level: usize,
    operands: [i16; 2],
    rows: &[(u16, i32)],
) -> Result<bool, Refusal> {
    let node = &model.nodes[index];
    let mut sums = vec![(0i64, 0i64); rows.len()];
    let mut add = |row: usize, weight: i64| {
        if weight > 0 {
            sums[row].0 += weight;
        } else {
            sums[row].1 += weight;
        }
    };
    match (node.operation, node.weights) {
        (_, 1) => {
            let number = model.nodes[..index].iter().filter(|node| node.weights == 1).count();
            for ring in &file.layers[number].rings[..=level] {
                ring.2.iter().for_each(|(row, _, weight)| add(*row as usize, (*weight).into()));
            }
        }
        (0 | 1, 2) => {
            let columns = weight_shape(model, index).1 as usize;
            node.dense.iter().enumerate().for_each(|(i, weight)| add(i / columns, (*weight).into()));
        }
        (2, _) => operands.iter().for_each(|u| add(0, (*u).into())),
        (3, _) => add(0, i64::from(operands[0]) * i64::from(node.window[0]) * i64::from(node.window[1])),
        _ => {}
    }
    let mut wide = false;
    for ((positive, negative), (_, bias)) in sums.iter().zip(rows) {
        let least = i64::from(*bias) - 128 * positive + 127 * negative;
        let greatest = i64::from(*bias) + 127 * positive - 128 * negative;
        need(least >= -(1 << 31) && greatest < 1 << 31, "an accumulator past 32 bits")?;
        wide |= least < -(1 << 23) || greatest >= 1 << 23;
    }
    Ok(wide)
}
