//! A whole network: the host's model at each level, its logits compared with the host's; of a detector also what it finds.
use crate::{
    counter::{Counter, Instant, nested_m7_mark},
    job::Job,
};
use alloc::{vec, vec::Vec};
use core::hint::black_box;
use cortex_m_semihosting::hprintln;
use nested_csr::{Level, Model};
use nested_kernels::{Detection, Detector, Governor, Network, Thresholds};

/// SRAM of the reference microcontroller: no run gets a longer arena.
const SRAM: usize = 512 << 10;

/// One image as the host ran it.
struct Example {
    image: &'static [i8],
    logits: &'static [i8],
    /// None for a classifier.
    found: Vec<Detection>,
}

/// Runs the job: for each level and each of two arenas one record, then the price of a switch.
///
/// # Panics
/// When the host's model is none, or cannot run.
pub fn measure() {
    let counter = Counter::start();
    counter.check();
    let mut job = Job::read();
    let (len, examples, room) = (job.word() as usize, job.word() as usize, job.word() as usize);
    let mut readings = [Reading::new(room, job.word()), Reading::new(job.word() as usize, job.word())];
    let network = Network::new(Model::parse(job.bytes(len)).expect("a model")).expect("a network that can run");
    let image_len = network.model().input_shape().len();
    let logits_len = network.model().output_shape().len();
    let images: Vec<&[i8]> = (0..examples).map(|_| job.numbers(image_len)).collect();
    for level in network.model().levels().up_to() {
        let of_image = |&image| {
            let logits = job.numbers(logits_len);
            let found = if room > 0 { (0..job.word()).map(|_| detection(&mut job)).collect() } else { Vec::new() };
            Example { image, logits, found }
        };
        let examples: Vec<Example> = images.iter().map(of_image).collect();
        count_level(&counter, &network, level, &examples, &mut readings);
    }
    count_switch(&counter, &network, images[0]);
}

/// As the host wrote it.
fn detection(job: &mut Job) -> Detection {
    let [[class, score], [top, left], [bottom, right]] = [(); 3].map(|()| pair(job.word()));
    Detection { class, score, top, left, bottom, right }
}

fn pair(word: u32) -> [u16; 2] {
    [word as u16, (word >> 16) as u16]
}

/// How a detector's output is read, and where to; without room, of a classifier, not at all.
struct Reading {
    thresholds: Thresholds,
    found: Vec<Detection>,
}

impl Reading {
    fn new(room: usize, thresholds: u32) -> Reading {
        let [score, iou] = pair(thresholds);
        Reading { thresholds: Thresholds { score, iou }, found: vec![Detection::default(); room] }
    }

    /// How many objects are found.
    fn read(&mut self, network: &Network<&[u8]>, level: Level, logits: &[i8]) -> usize {
        let mut read = |detector: Detector<'_, _>| detector.detect(level, logits, self.thresholds, &mut self.found);
        Detector::new(network.model()).map_or(0, |detector| read(detector).expect("all lengths fit"))
    }
}

fn count_level(
    counter: &Counter,
    network: &Network<&[u8]>,
    level: Level,
    examples: &[Example],
    readings: &mut [Reading; 2],
) {
    let [reading, searching] = readings;
    // With the lower threshold, of each image the most.
    let mut search = |example: &Example| counter.count(|| _ = searching.read(network, level, example.logits));
    let searched = examples.iter().map(&mut search).max().unwrap_or(0);
    let [least, preferred] =
        [network.arena_len(level), network.preferred_arena_len(level)].map(|len| len.expect("a level that is held"));
    for arena_len in [preferred.min(SRAM).max(least), least] {
        let mut arena = vec![0x55; arena_len];
        let (mut most, mut wrong) = (0, 0);
        for (index, example) in examples.iter().enumerate() {
            let mut logits = vec![0x55; example.logits.len()];
            let mut count = 0;
            let run = || {
                network.run(level, example.image, &mut arena, &mut logits).expect("all lengths fit");
                count = reading.read(network, level, &logits);
            };
            // The first run is between two marks.
            if index == 0 {
                nested_m7_mark();
            }
            most = counter.count(run).max(most);
            if index == 0 {
                nested_m7_mark();
            }
            wrong += usize::from(logits != example.logits || reading.found[..count] != example.found);
        }
        hprintln!(
            "{{\"level\":{},\"instructions\":{},\"flash_bytes\":{},\"sram_bytes\":{},\"images\":{},\"wrong\":{},\"searched\":{},\"nodes\":{:?}}}",
            level.number(),
            most,
            network.flash_len(level).expect("a level that is held"),
            arena_len,
            examples.len(),
            wrong,
            searched,
            count_nodes(network, level, examples, &mut arena, reading)
        );
    }
}

/// Instructions of each node in a run of the first image, to within a few. A detection takes none: the last node of a detector
/// stands for reading boxes from its output.
fn count_nodes(
    network: &Network<&[u8]>,
    level: Level,
    examples: &[Example],
    arena: &mut [u8],
    reading: &mut Reading,
) -> Vec<u32> {
    let Some(example) = examples.first() else { return Vec::new() };
    let mut logits = vec![0x55; example.logits.len()];
    let mut readings = Vec::with_capacity(network.model().node_count() + 1);
    readings.push(Instant::now());
    network
        .run_observed(level, example.image, arena, &mut logits, |_| readings.push(Instant::now()))
        .expect("all lengths fit");
    if !reading.found.is_empty() {
        reading.read(network, level, &logits);
        readings.pop();
        readings.push(Instant::now());
    }
    readings.windows(2).map(|pair| pair[0].until(pair[1])).collect()
}

/// The governor's choice, and what a run costs more after a run at another level than after one at its own.
fn count_switch(counter: &Counter, network: &Network<&[u8]>, image: &[i8]) {
    let levels = network.model().levels();
    let mut arena = vec![0x55; network.arena_len(levels).expect("a level that is held")];
    let mut logits = vec![0x55; network.model().output_shape().len()];
    let mut run = |level| counter.count(|| network.run(level, image, &mut arena, &mut logits).expect("it ran"));
    let mut more = 0;
    if levels > Level::FIRST {
        run(Level::FIRST);
        let alone = run(Level::FIRST);
        run(levels);
        more = run(Level::FIRST).saturating_sub(alone);
    }
    let governor = black_box(Governor::from_levels(|level| Some(level.number() as u64)));
    let choice = counter.count(|| {
        black_box(governor.densest_within(black_box(u64::MAX)));
    });
    hprintln!("{{\"switch\":{}}}", more + choice);
}
