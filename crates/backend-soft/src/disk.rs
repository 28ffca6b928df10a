//! Reading and replacing the file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::KeystoreError;

/// The bound of keys, each under 500 bytes, fits well.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Readable and writable by the owner alone.
const MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Held while the file is changed; gone with the process.
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Lock {
    pub(crate) fn acquire(path: &Path) -> Result<Self, KeystoreError> {
        let open = || {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(MODE)
                .open(beside(path, ".lock"))?;
            file.lock()?;
            Ok(file)
        };
        open().map(Self).map_err(not_written(path))
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, KeystoreError> {
    let file = File::open(path).map_err(not_read(path))?;
    let metadata = file.metadata().map_err(not_read(path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(KeystoreError::Permissions(mode));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(KeystoreError::TooLarge(MAX_FILE_BYTES));
    }
    let mut bytes = Vec::new();
    // Bounded again: the file may grow meanwhile.
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(not_read(path))?;
    Ok(bytes)
}

/// Writes a file that does not exist yet. Claims the name first, so that nothing is ever overwritten.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeystoreError::Exists(path.to_owned()));
        }
        Err(error) => return Err(not_written(path)(error)),
    }
    let replaced = replace(path, bytes);
    if replaced.is_err() {
        // The claim is empty; left behind, it would stand in the way of the next try.
        drop(fs::remove_file(path));
    }
    replaced
}

/// Replaces the file as a whole or not at all, and durably. Only under the [`Lock`].
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    let temporary = beside(path, ".tmp");
    let write = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {} // a crash may have left one
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder(path))?.sync_all()
    };
    write().map_err(not_written(path))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn not_read(path: &Path) -> impl Fn(io::Error) -> KeystoreError {
    failed("read", path)
}

fn not_written(path: &Path) -> impl Fn(io::Error) -> KeystoreError {
    failed("written", path)
}

fn failed(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> KeystoreError {
    let path = path.to_owned();
    move |source| KeystoreError::Io {
        verb,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_by_create() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, b"first").unwrap();
        assert!(matches!(create(&path, b"second"), Err(KeystoreError::Exists(_))));
        assert_eq!(read(&path).unwrap(), b"first");
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, b"x").unwrap();
        replace(&path, b"y").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(read(&path), Err(KeystoreError::Permissions(found)) if found == mode));
        }
    }

    #[test]
    fn a_leftover_of_a_crash_is_no_obstacle_and_stays_out_of_sight() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, b"old").unwrap();
        fs::write(beside(&path, ".tmp"), b"half").unwrap();
        assert_eq!(read(&path).unwrap(), b"old");
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap(), b"new");
        assert!(!beside(&path, ".tmp").exists());
    }

    #[test]
    fn a_failed_create_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        fs::create_dir(beside(&path, ".tmp")).unwrap();
        assert!(matches!(
            create(&path, b"x"),
            Err(KeystoreError::Io { verb: "written", .. })
        ));
        assert!(!path.exists());
        assert!(matches!(read(&path), Err(KeystoreError::Io { verb: "read", .. })));
    }

    #[test]
    fn a_huge_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, b"x").unwrap();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        assert!(matches!(read(&path), Err(KeystoreError::TooLarge(_))));
    }
}
