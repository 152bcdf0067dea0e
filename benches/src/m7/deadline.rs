//! The example firmware that holds a deadline: were all frames in time, at the densest level that fitted?
use super::{
    Firmware, M7Error, Program,
    networks::{append, bytes},
};
use nested_csr::{Level, Model};
use nested_kernels::{Governor, Network};
use serde::{Deserialize, Serialize};

/// One frame as the firmware ran it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Frame {
    /// Instructions of the other work.
    pub load: u32,
    /// 0: no level fitted.
    pub level: usize,
    /// Instructions of the whole frame.
    pub used: u32,
    #[serde(skip_serializing)]
    logits: Vec<i8>,
}

/// What the firmware keeps back for its choice, and as much again for the counting around it.
const MARGIN: u32 = 2_000;
const FRAMES: u32 = 24;

/// Runs a model, whose costs are known, under a load that rises and falls; returns the period and the frames.
///
/// # Errors
/// A frame that is late, at another level than the densest that fits, or with other logits than the host's; a level that
/// was never chosen.
pub fn check_deadline(firmware: &Firmware, model: Model<Vec<u8>>, image: &[i8]) -> Result<(u32, Vec<Frame>), M7Error> {
    let governor = Governor::of(&model);
    let wrong = |text: String| M7Error::Firmware(format!("deadline: {text}"));
    let levels = model.levels();
    let most = levels.up_to().filter_map(|level| governor.cost(level)).max().unwrap_or(0) as u32;
    let period = most + most / 10;
    // Up to nearly the whole period and back.
    let load = |frame: u32| period / (FRAMES / 2 + 1) * frame.min(FRAMES - frame);
    let mut job = Vec::new();
    for word in [model.as_bytes().len() as u32, period, FRAMES] {
        append(&mut job, &word.to_le_bytes());
    }
    append(&mut job, model.as_bytes());
    append(&mut job, &bytes(image));
    (0..FRAMES).for_each(|frame| append(&mut job, &load(frame).to_le_bytes()));
    let network = Network::new(model)?;
    let expected = logits(&network, image)?;
    let frames: Vec<Frame> = firmware.run(Program::Deadline, &job, true)?;
    for frame in &frames {
        let fits = |margin: u32| {
            let left = period.saturating_sub(frame.load + margin);
            governor.densest_within(left.into()).map_or(0, Level::number)
        };
        if frame.used > period {
            return Err(wrong(format!("{frame:?} is late, the period is {period}")));
        }
        if !(fits(MARGIN)..=fits(0)).contains(&frame.level) {
            return Err(wrong(format!("{frame:?} is not at the densest level that fits")));
        }
        if frame.level > 0 && frame.logits != expected[frame.level - 1] {
            return Err(wrong(format!("{frame:?} has other logits than the host")));
        }
    }
    match (0..=levels.number()).find(|&level| frames.iter().all(|frame| frame.level != level)) {
        Some(level) => Err(wrong(format!("level {level} was never chosen"))),
        None => Ok((period, frames)),
    }
}

/// The host's, level by level.
fn logits(network: &Network<Vec<u8>>, image: &[i8]) -> Result<Vec<Vec<i8>>, M7Error> {
    let mut arena = vec![0; network.preferred_arena_len(network.model().levels())?];
    let of_level = |level| {
        let mut logits = vec![0; network.model().output_shape().len()];
        network.run(level, image, &mut arena, &mut logits)?;
        Ok(logits)
    };
    network.model().levels().up_to().map(of_level).collect()
}
