//! Experiments: lists of runs, each done once, whose figures lie in one file.
pub mod execute;
pub mod images;
pub mod measure;
pub mod options;
pub mod plan;
pub mod record;
pub mod settings;
mod training;
mod work;

use crate::error::Error;
use execute::{Executed, Folder};
use images::Images;
use plan::Planned;
use record::Store;
use std::time::Instant;
use work::Work;

/// Does the runs that the store does not have yet, in their order, and writes the file after each.
///
/// # Errors
/// The first run that cannot be done; those before it are in the file.
pub fn run_all(plan: &[Planned], store: &mut Store, images: &Images, folder: &Folder) -> Result<(), Error> {
    for planned in plan {
        store.has_room_for(&planned.candidates())?;
    }
    let mut work = Work::new(images, folder);
    for planned in plan {
        // A plan may name a run twice, so this is asked anew each time.
        if planned.is_done(&store.record) {
            continue;
        }
        let settings = planned.resolve(&store.record)?;
        store.has_room_for(std::slice::from_ref(&settings))?;
        let left = work.left(plan, &store.record)?;
        let minutes = work.time(left).map(|time| time.as_secs_f64() / 60.0);
        let left = minutes.map_or_else(String::new, |minutes| format!(" (about {minutes:.0} minutes left in all)"));
        eprintln!("{}{left}", settings.name());
        let (open, start) = (work.left_of(&settings.training)?, Instant::now());
        let Executed { run, rows, epochs } = execute::execute(&settings, &store.record, images, folder)?;
        match &run.failed {
            Some(problem) => eprintln!("  failed: {problem}"),
            None => rows.iter().for_each(|row| eprintln!("  {:.0} %: {:.2}", row.sparsity, row.top1_int8)),
        }
        store.add(run, rows)?;
        if epochs > 0 {
            work.add(open, start.elapsed());
        }
    }
    Ok(())
}
