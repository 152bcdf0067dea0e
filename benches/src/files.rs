//! Reading files, and writing them so that none is ever half there.
use crate::error::Error;
use nested_csr::Model;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Held while a file is written; whoever holds it may end the program without leaving a temporary file behind.
static WRITING: Mutex<()> = Mutex::new(());

/// Waits until no file is being written, and keeps it so.
pub fn hold_writes() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the folder, and checks that files can be written there.
pub fn prepare_folder(folder: &Path) -> Result<(), Error> {
    let probe = folder.join(".writable.tmp");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&probe, []))
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|source| Error::Write { path: folder.to_owned(), source })
}

/// Keeps other programs that ask for it out of a folder until the result is dropped.
///
/// # Errors
/// A folder in which another program works.
pub fn lock(folder: &Path) -> Result<fs::File, Error> {
    let path = folder.join(".lock");
    let file = fs::File::create(&path).map_err(|source| Error::Write { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy(folder.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(Error::Write { path, source }),
    }
}

/// Checks that a file can be written where its folder is, before much work is done for it; leaves a file that is there.
pub fn check_writable(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Err(Error::Write { path: path.to_owned(), source: io::ErrorKind::IsADirectory.into() });
    }
    let probe = temporary(path);
    fs::write(&probe, [])
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// [`check_writable`] of a file that is asked for.
pub fn check_writable_if(path: Option<&Path>) -> Result<(), Error> {
    path.map_or(Ok(()), check_writable)
}

/// Lets `write` make the file under a temporary name in the same folder, then renames it: at any moment the file is the
/// old one or the new one, whole.
pub fn replace<E: From<Error>>(path: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let _writing = hold_writes();
    let temporary = temporary(path);
    let result = write(&temporary).and_then(|()| {
        fs::File::open(&temporary)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&temporary, path))
            .map_err(|source| Error::Write { path: path.to_owned(), source }.into())
    });
    if result.is_err() {
        // The error to report is the one of the writing, not of the tidying up after it.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Writes `bytes`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, |temporary| {
        fs::write(temporary, bytes).map_err(|source| Error::Write { path: path.to_owned(), source })
    })
}

/// Writes `value` as JSON for machines, indented for people. A number that is not finite becomes `null`, for JSON has none:
/// where only numbers are read, there may be none.
///
/// # Errors
/// A file that cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    write_text(path, serde_json::to_string_pretty(value))
}

/// [`write_json`] in one line, of what is too long to be looked at.
pub fn write_long_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    write_text(path, serde_json::to_string(value))
}

fn write_text(path: &Path, text: serde_json::Result<String>) -> Result<(), Error> {
    let text = text.map_err(|source| Error::Json { path: path.to_owned(), source })? + "\n";
    write(path, text.as_bytes())
}

/// The trained models that the repository holds, by name.
pub fn committed_models() -> Result<Vec<PathBuf>, Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let wrong = |source| Error::Read { path: folder.clone(), source };
    let mut models = Vec::new();
    for entry in fs::read_dir(&folder).map_err(wrong)? {
        models.push(entry.map_err(wrong)?.path());
    }
    models.retain(|path| path.extension().is_some_and(|extension| extension == "ncsr"));
    models.sort();
    Ok(models)
}

/// CRC-32 of parts that follow each other, in hexadecimal: tells contents apart.
pub fn crc32<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut digest = flate2::Crc::new();
    parts.into_iter().for_each(|part| digest.update(part));
    format!("{:08x}", digest.sum())
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Reads what [`write_json`] wrote.
///
/// # Errors
/// A file that cannot be read, or is not a `T`.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    serde_json::from_slice(&read(path)?).map_err(|source| Error::Json { path: path.to_owned(), source })
}

/// Reads a model file.
///
/// # Errors
/// A file that cannot be read, or is not a model.
pub fn model(path: &Path) -> Result<Model<Vec<u8>>, Error> {
    Model::parse(read(path)?).map_err(|source| Error::Model { path: path.to_owned(), source })
}

/// Removes a file if it is there.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Write { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

/// The same folder and extension (writers choose the file's kind by it), another name.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".tmp-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"old").unwrap();
        let failed = replace(&path, |temporary| {
            fs::write(temporary, "half").unwrap();
            Err(Error::Read { path: temporary.to_owned(), source: io::ErrorKind::Other.into() })
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_whose_folder_is_missing_or_none_cannot_be_written_and_others_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        check_writable(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        write(&path, b"old").unwrap();
        check_writable(&path).unwrap();
        assert_eq!(read(&path).unwrap(), b"old");
        for wrong in [folder.path().join("none/a.json"), path.join("a.json"), folder.path().to_owned()] {
            assert!(matches!(check_writable(&wrong), Err(Error::Write { path, .. }) if path == wrong));
        }
    }

    #[test]
    fn a_folder_is_locked_for_as_long_as_its_lock_lives() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        let problem = lock(folder.path()).unwrap_err().to_string();
        assert!(
            problem.starts_with(folder.path().to_str().unwrap()) && problem.contains("another program"),
            "{problem}"
        );
        drop(first);
        assert!(lock(folder.path()).is_ok());
    }

    #[test]
    fn json_comes_back_as_it_was_and_a_file_that_holds_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for write in [write_json, write_long_json] {
            write(&path, &vec![Some(0.1), None]).unwrap();
            assert_eq!(read_json::<Vec<Option<f64>>>(&path).unwrap(), [Some(0.1), None]);
        }
        for wrong in [read_json::<u8>(&path).map(|_| ()), model(&path).map(|_| ())] {
            let problem = wrong.unwrap_err().to_string();
            assert!(problem.starts_with(&format!("{}: ", path.display())), "{problem}");
        }
    }

    /// Checkpoints, models and records of earlier runs are found by it.
    #[test]
    fn a_checksum_is_that_of_the_parts_together() {
        for parts in [&[&b"123456789"[..]][..], &[b"1234", b"", b"56789"]] {
            // The check value of CRC-32/ISO-HDLC.
            assert_eq!(crc32(parts.iter().copied()), "cbf43926");
        }
    }

    #[test]
    fn a_write_replaces_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap(), b"new");
    }
}
