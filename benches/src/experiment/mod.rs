//! Experiments: lists of runs, each done once, whose figures lie in one file.
pub mod execute;
pub mod images;
pub mod measure;
pub mod options;
mod origin;
pub mod plan;
pub mod record;
pub mod settings;
mod training;

use crate::error::Error;
use execute::Folder;
use images::Images;
use plan::Planned;
use record::Store;
use std::time::Instant;

/// Does the runs that the store does not have yet, in their order, and writes the file after each.
///
/// # Errors
/// The first run that cannot be done; those before it are in the file.
pub fn run_all(plan: &[Planned], store: &mut Store, images: &Images, folder: &Folder) -> Result<(), Error> {
    let mut left: u64 = plan.iter().filter(|run| !run.is_done(&store.record)).map(Planned::passes).sum();
    for planned in plan {
        store.has_room_for(&planned.candidates())?;
    }
    let (mut done, start) = (0, Instant::now());
    for planned in plan {
        // A plan may name a run twice, so this is asked anew each time.
        if planned.is_done(&store.record) {
            continue;
        }
        let settings = planned.resolve(&store.record)?;
        store.has_room_for(std::slice::from_ref(&settings))?;
        let time = if done == 0 {
            String::new()
        } else {
            let minutes = start.elapsed().as_secs_f64() / 60.0 * left as f64 / done as f64;
            format!(" (about {minutes:.0} minutes left in all)")
        };
        eprintln!("{}{time}", settings.name());
        let (finished, rows) = execute::execute(&settings, &store.record, images, folder)?;
        match &finished.failed {
            Some(problem) => eprintln!("  failed: {problem}"),
            None => rows.iter().for_each(|row| eprintln!("  {:.0} %: {:.2}", row.sparsity, row.top1_int8)),
        }
        store.add(finished, rows)?;
        done += planned.passes();
        left -= planned.passes();
    }
    Ok(())
}
