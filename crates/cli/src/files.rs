//! Files: read with a bound, written whole or not at all, secrets for their owner alone.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// The largest file that a command reads whole: a receipt, with every bundle in it (`countersign_decision` accepts as much).
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Larger than any key file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// A whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    read_up_to(path, MAX_FILE_BYTES)
}

/// A whole file with a secret in it: wiped when dropped.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    read_up_to(path, MAX_SECRET_BYTES).map(Zeroizing::new)
}

fn read_up_to(path: &Path, max: u64) -> Result<Vec<u8>> {
    let file = fs::File::open(path).map_err(|error| Failure::file(path, "read", error))?;
    // Room for everything at once: a growing buffer would leave copies of a secret behind.
    let size = file.metadata().map_or(0, |metadata| metadata.len()).min(max);
    let mut bytes = Vec::with_capacity(usize::try_from(size.saturating_add(1)).unwrap_or_default());
    let limited = file.take(max.saturating_add(1)).read_to_end(&mut bytes);
    limited.map_err(|error| Failure::file(path, "read", error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        return Err(Failure::file(path, "read", format!("it is over {max} bytes")));
    }
    Ok(bytes)
}

/// A whole file of text.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Failure::file(path, "read", "it is not UTF-8 text"))
}

/// A JSON file; unknown fields are errors where the type says so.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?).map_err(|error| Failure::file(path, "understand", error))
}

/// A folder for its owner alone, with its parents.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    let built = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    built.map_err(|error| Failure::file(path, "create folder", error))
}

/// Creates or replaces a file, durably and in one step.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o644)
}

/// The same for something that only its owner may read.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o600)
}

/// The same for JSON that people read too.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(Failure::failed)?;
    bytes.push(b'\n');
    write(path, &bytes)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let failed = |error: std::io::Error| Failure::file(path, "write", error);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    let mut file = tempfile::Builder::new()
        .permissions(permissions)
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // A rename is durable once its folder is.
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

/// Creates a file that must not be there yet.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let created = options.write(true).create_new(true).mode(0o644).open(path);
    let mut file = created.map_err(|error| Failure::file(path, "create", error))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure::file(path, "write", error))
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(path, "remove", error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (deep, secret) = (folder.path().join("a/b"), folder.path().join("a/b/key"));
        create_folder(&deep).unwrap();
        write_secret(&secret, b"one").unwrap();
        write_secret(&secret, b"two").unwrap();
        assert_eq!((mode(&deep), mode(&secret)), (0o700, 0o600));
        assert_eq!(read_secret(&secret).unwrap().as_slice(), b"two");
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn create_never_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("once");
        create(&path, b"first").unwrap();
        let failure = create(&path, b"second").unwrap_err();
        assert!(failure.message().contains("cannot create `"), "{failure}");
        assert_eq!(read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_file_over_its_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        write(&path, &vec![b'x'; 65 * 1024]).unwrap();
        assert!(read_secret(&path).unwrap_err().message().contains("over 65536 bytes"));
        assert_eq!(read(&path).unwrap().len(), 65 * 1024);
        assert!(
            read(&folder.path().join("none"))
                .unwrap_err()
                .message()
                .contains("none")
        );
    }
}
