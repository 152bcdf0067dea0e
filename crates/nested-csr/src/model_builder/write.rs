//! The bytes of a model: its body, and a section a level.
use super::ModelBuilder;
use crate::body::NodeRecord;
use crate::builder::{Choice, EncodedLayer, Source, pad, write_section};
use crate::model::COST_LEN;
use crate::parameters::{CODE_LEN, Fields, PARAMETERS_LEN, WIDE, bias_width};
use crate::ring::RING_LEN;
use crate::{FormatError, Padding, Place, Profile, Shape, TensorShape};
use alloc::vec::Vec;

impl ModelBuilder {
    pub(super) fn encode(&self, profile: Profile) -> Result<Vec<EncodedLayer>, FormatError> {
        let layers = self.layers.iter().enumerate().map(|(index, layer)| {
            let shape = Shape { rows: layer.rows, columns: layer.weights.len() / layer.rows };
            let choice = Choice::Best(self.levels, layer.profile.unwrap_or(profile));
            let source = Source::new(Place::Layer(index), shape, layer.block, &layer.weights, &layer.rings)?;
            EncodedLayer::new(&source, choice)
        });
        layers.collect()
    }

    pub(super) fn write_body(&self, layers: &[&EncodedLayer]) -> Result<Vec<u8>, FormatError> {
        let count = |len: usize| u16::try_from(len).map_err(|_| FormatError::TooLarge { what: "the graph" });
        let mut names = self.names.clone();
        pad(&mut names)?;
        let mut out = Vec::new();
        out.extend(count(layers.len())?.to_le_bytes());
        out.extend(count(self.nodes.len())?.to_le_bytes());
        out.extend((self.names.len() as u32).to_le_bytes());
        out.extend((self.dense.len() as u32).to_le_bytes());
        write_tensor(self.input, &mut out);
        out.extend([self.quantization.zero_point.cast_unsigned(), 0]);
        out.extend(self.quantization.scale.to_le_bytes());
        for layer in layers {
            layer.write_record(&mut out);
        }
        for node in &self.nodes {
            write_node(&node.record, &mut out);
        }
        out.extend(names);
        out.extend(&self.dense);
        Ok(out)
    }

    pub(super) fn write_section(&self, level: usize, layers: &[&EncodedLayer]) -> Result<Vec<u8>, FormatError> {
        let records = COST_LEN + layers.len() * RING_LEN + self.nodes.len() * PARAMETERS_LEN;
        let mut start = records + layers.iter().map(|layer| layer.data_len(level)).sum::<usize>();
        let (mut nodes, mut tail) = (Vec::new(), Vec::new());
        for node in &self.nodes {
            let parameters = &node.levels[level];
            let width = parameters.rows.iter().map(|row| bias_width(row.bias)).max().unwrap_or(0);
            let form = width as u8 | if node.wide[level] { WIDE } else { 0 };
            Fields { form, rows: start, ..parameters.said() }.write(&mut nodes);
            for row in &parameters.rows {
                tail.extend(row.multiplier.code().to_le_bytes());
                tail.extend(row.bias.to_le_bytes().iter().take(width));
            }
            start += parameters.rows.len() * (width + CODE_LEN);
        }
        write_section(&self.costs[level].to_le_bytes(), layers, level, &nodes, &tail)
    }
}

fn write_tensor(shape: TensorShape, out: &mut Vec<u8>) {
    for side in [shape.channels, shape.height, shape.width] {
        out.extend((side as u16).to_le_bytes());
    }
}

fn write_node(node: &NodeRecord, out: &mut Vec<u8>) {
    out.extend([node.operation, node.weights]);
    out.extend(node.input.0.to_le_bytes());
    out.extend(node.second.0.to_le_bytes());
    out.extend(node.window.kernel);
    out.push(node.window.stride);
    let Padding { top, left, bottom, right } = node.window.padding;
    out.extend([top, left, bottom, right, 0]);
    write_tensor(node.output, out);
    out.extend((node.source as u32).to_le_bytes());
    out.extend((node.name_end as u32).to_le_bytes());
}
