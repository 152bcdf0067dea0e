//! Instruction counts as they were, by the compiler's version.
use super::{Layer, M7Error, Row, ShapeRow};
use crate::files;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// A count for each name of a row.
pub type Counts = BTreeMap<String, u32>;

/// How a run stands to the baseline.
#[derive(Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Nothing is slower; so many counts fell by more than 1 %.
    Holds { compared: usize, faster: usize },
    /// The baseline has no counts of this compiler.
    OtherCompiler,
}

/// The counts of a run.
pub fn counts(core: &str, layers: &[Layer], shapes: &[ShapeRow], networks: &[Row]) -> Counts {
    let memory = |least: bool| if least { "least" } else { "preferred" };
    let layers = layers.iter().map(|row| {
        let Layer { layer, path, block, sparsity, .. } = row;
        let of = row.source.as_ref().map_or(sparsity.to_string(), |source| source.replace(' ', "/"));
        (format!("{core}/{path}/{layer}/{block}/{of}/{}", memory(row.least_scratch)), row.instructions)
    });
    let shapes = shapes.iter().map(|row| (format!("{core}/dsp/{}/{}", row.shape, row.sparsity), row.instructions));
    let networks = networks.iter().filter_map(|row| {
        let Row { network, width, weights, block, level, .. } = row;
        let memory = memory(row.least_arena);
        Some((format!("{core}/dsp/{network}-{width}/{weights}/{block}/{level}/{memory}"), row.instructions?))
    });
    layers.chain(shapes).chain(networks).collect()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines").join("m7.json")
}

fn read(path: &Path) -> Result<BTreeMap<String, Counts>, M7Error> {
    let wrong = |problem: String| M7Error::File { path: path.to_owned(), problem };
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Compares with the committed counts of the same compiler.
///
/// # Errors
/// [`M7Error::Slower`], [`M7Error::Lost`], or a file that cannot be read.
pub fn compare(compiler: &str, counts: &Counts) -> Result<Comparison, M7Error> {
    match read(&path())?.get(compiler) {
        None => Ok(Comparison::OtherCompiler),
        Some(baseline) => against(baseline, counts),
    }
}

fn against(baseline: &Counts, counts: &Counts) -> Result<Comparison, M7Error> {
    if let Some(lost) = baseline.keys().find(|name| !counts.contains_key(*name)) {
        return Err(M7Error::Lost(lost.clone()));
    }
    let pairs = baseline.iter().map(|(name, &before)| (name, u64::from(before), u64::from(counts[name])));
    let slower: Vec<String> = pairs
        .clone()
        .filter(|(_, before, now)| now * 100 > before * 101)
        .map(|(name, before, now)| format!("{name}: {before} -> {now}"))
        .collect();
    if !slower.is_empty() {
        return Err(M7Error::Slower(slower));
    }
    let faster = pairs.filter(|(_, before, now)| now * 100 < before * 99).count();
    Ok(Comparison::Holds { compared: baseline.len(), faster })
}

/// Makes these counts the baseline of their compiler.
///
/// # Errors
/// A file that cannot be read or written.
pub fn rebase(compiler: &str, counts: Counts) -> Result<(), crate::error::Error> {
    let mut all = read(&path())?;
    all.insert(compiler.to_owned(), counts);
    files::write_json(&path(), &all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_may_rise_by_one_per_cent_and_no_more() {
        let of = |count| Counts::from([("a".to_owned(), count)]);
        assert_eq!(against(&of(1000), &of(1010)).unwrap(), Comparison::Holds { compared: 1, faster: 0 });
        assert_eq!(against(&of(1000), &of(989)).unwrap(), Comparison::Holds { compared: 1, faster: 1 });
        assert!(matches!(against(&of(1000), &of(1011)), Err(M7Error::Slower(rows)) if rows == ["a: 1000 -> 1011"]));
        assert!(matches!(against(&of(1000), &Counts::new()), Err(M7Error::Lost(name)) if name == "a"));
    }
}
