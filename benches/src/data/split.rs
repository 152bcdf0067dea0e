//! Parting one set of images in two, the same way each time.
use super::Dataset;
use rand::{SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Of this seed's choice nothing depends but that it never changes: figures of different runs are of the same images.
const SEED: u64 = 2023;

/// Parts a set: four fifths of each class, chosen at random with a fixed seed, and the rest. Both keep the set's order.
pub fn stratified(dataset: &Dataset) -> (Dataset, Dataset) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for class in 0..dataset.classes {
        let of_class = |&index: &usize| usize::from(dataset.labels[index]) == class;
        let mut indices: Vec<usize> = (0..dataset.labels.len()).filter(of_class).collect();
        indices.shuffle(&mut random);
        let (kept, held_out) = indices.split_at(indices.len() * 4 / 5);
        first.extend_from_slice(kept);
        second.extend_from_slice(held_out);
    }
    first.sort_unstable();
    second.sort_unstable();
    (dataset.subset(&first), dataset.subset(&second))
}
