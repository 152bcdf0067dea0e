//! Random layers on the board against the naive reference.
use super::{Firmware, M7Error, Program};
use serde::Deserialize;

#[derive(Deserialize)]
struct Record {
    cases_checked: u64,
    wrong: u64,
}

/// Checks at least `cases` random cases; returns how many.
///
/// # Errors
/// The firmware's, or a case that differs from the reference.
pub fn check_cases(firmware: &Firmware, cases: u32, seed: u32) -> Result<u64, M7Error> {
    let job: Vec<u8> = [cases, seed].iter().flat_map(|word| word.to_le_bytes()).collect();
    let records: Vec<Record> = firmware.run(Program::Cases, &job, false)?;
    match records.first() {
        Some(Record { cases_checked, wrong: 0 }) => Ok(*cases_checked),
        Some(Record { cases_checked, wrong }) => {
            let text = format!("{wrong} of {cases_checked} random cases (seed {seed}) differ from the reference");
            Err(M7Error::Firmware(text))
        }
        None => Err(M7Error::Firmware("no cases were checked".to_owned())),
    }
}
