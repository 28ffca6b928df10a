//! Files: secrets that only we may read, and writes that either happen whole or not at all.

use std::{
    fmt,
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::{Zeroize as _, Zeroizing};

/// Larger than any PIN, passphrase, seed or private key in PEM.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// Larger than any configuration, certificate chain or genesis file.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The permissions of a file that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// 0600.
    Secret,
    /// 0644.
    Public,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Secret => 0o600,
            Self::Public => 0o644,
        }
    }
}

/// Why a file was not read or written. The message says what to do; it never holds the content.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Opening, reading or writing failed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, a device, a pipe.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Others can read or write a secret.
    #[error("`{}` holds a secret and has mode {mode:04o}: others can read or change it; run `chmod 600 {}`", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Everybody can change a file that we trust.
    #[error("`{}` can be changed by everybody (mode {mode:04o}); run `chmod o-w {}`", path.display(), path.display())]
    WritableByAll {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The secret of another user.
    #[error("`{}` belongs to user {owner}, and the signer runs as user {ours}; run it as the owner, or `chown {ours} {}`", path.display(), path.display())]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// Its user id.
        owner: u32,
        /// Our effective user id.
        ours: u32,
    },
    /// Over the bound.
    #[error("`{}` is larger than {max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound in bytes.
        max: u64,
    },
    /// Nothing is ever overwritten.
    #[error("`{}` already exists and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// The content is not of the form that the file must have.
    #[error("`{}` is not {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it must be.
        expected: &'static str,
    },
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { action, path, source }
}

/// A secret text; zeroized when dropped, never printed.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Reads a secret: a regular file of ours that nobody else may read or write.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let (file, metadata) = open(path)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::TooOpen {
            path: path.to_owned(),
            mode,
        });
    }
    let ours = rustix::process::geteuid().as_raw();
    if metadata.uid() != ours {
        return Err(FileError::OtherOwner {
            path: path.to_owned(),
            owner: metadata.uid(),
            ours,
        });
    }
    read_bounded(path, file, &metadata, MAX_SECRET_BYTES)
}

/// Reads a secret of one line, such as a PIN: what stands before the one newline that may end the file.
pub fn read_secret_line(path: &Path) -> Result<SecretText, FileError> {
    let malformed = || FileError::Malformed {
        path: path.to_owned(),
        expected: "one line of printable ascii",
    };
    let bytes = read_secret(path)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if line.is_empty() || !line.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return Err(malformed());
    }
    let text = std::str::from_utf8(line).map_err(|_| malformed())?;
    Ok(SecretText(Zeroizing::new(text.to_owned())))
}

/// Reads a file that is no secret, but that we trust: not everybody may change it.
pub fn read_trusted(path: &Path) -> Result<Vec<u8>, FileError> {
    let (file, metadata) = open(path)?;
    refuse_writable_by_all(path, &metadata)?;
    // What is read is no secret.
    read_bounded(path, file, &metadata, MAX_FILE_BYTES).map(|mut bytes| std::mem::take(&mut *bytes))
}

/// Makes sure that a folder exists, is one, and cannot be changed by everybody.
pub fn verify_folder(path: &Path) -> Result<(), FileError> {
    let metadata = std::fs::metadata(path).map_err(io_error("open the folder", path))?;
    if !metadata.is_dir() {
        return Err(FileError::Malformed {
            path: path.to_owned(),
            expected: "a folder",
        });
    }
    refuse_writable_by_all(path, &metadata)
}

fn refuse_writable_by_all(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(FileError::WritableByAll {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// The metadata are those of the opened file: it cannot be exchanged between the look and the read.
fn open(path: &Path) -> Result<(File, Metadata), FileError> {
    // A pipe must not hang the process before it can be refused.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(io_error("open", path))?;
    let metadata = file.metadata().map_err(io_error("open", path))?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    Ok((file, metadata))
}

fn read_bounded(path: &Path, file: File, metadata: &Metadata, max: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let too_large = || FileError::TooLarge {
        path: path.to_owned(),
        max,
    };
    if metadata.len() > max {
        return Err(too_large());
    }
    // Room for everything at once: a growing buffer would leave copies behind.
    let room = usize::try_from(max.saturating_add(1)).map_err(|_| too_large())?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    if bytes.len() >= room {
        bytes.zeroize();
        return Err(too_large());
    }
    Ok(bytes)
}

/// Writes a new file, whole and durable, or none. What exists is never replaced.
pub fn write_new(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let draft = write_draft(path, bytes, access)?;
    // A link, unlike a rename, fails when the name is taken.
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft).map_err(io_error("remove", &draft))?;
    match linked {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(FileError::Exists(path.to_owned())),
        Err(error) => Err(io_error("write", path)(error)),
    }
}

/// Replaces a file: readers see the old content or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let draft = write_draft(path, bytes, Access::Public)?;
    std::fs::rename(&draft, path).map_err(io_error("replace", path))?;
    sync_folder(path)
}

fn write_draft(path: &Path, bytes: &[u8], access: Access) -> Result<PathBuf, FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let draft = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(access.mode())
            .open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error("write", &draft))?;
    Ok(draft)
}

/// A name is durable once its folder is.
fn sync_folder(path: &Path) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(io_error("write", folder))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn file(folder: &tempfile::TempDir, mode: u32, bytes: &[u8]) -> PathBuf {
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_secret_is_readable_by_us_alone() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o400] {
            assert_eq!(*read_secret(&file(&folder, mode, b"1234")).unwrap(), b"1234");
        }
        for mode in [0o640, 0o604, 0o644, 0o660, 0o601, 0o620] {
            let path = file(&folder, mode, b"1234");
            let error = read_secret(&path).unwrap_err();
            assert!(
                matches!(error, FileError::TooOpen { mode: found, .. } if found == mode),
                "{error}"
            );
            let advice = format!("chmod 600 {}", path.display());
            assert!(error.to_string().contains(&advice), "{error}");
        }
    }

    #[test]
    fn a_secret_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, 0o600, b"1234");
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
            eprintln!("skipped: only root can give files away");
            return;
        }
        let error = read_secret(&path).unwrap_err();
        assert!(matches!(error, FileError::OtherOwner { owner: 12_345, .. }), "{error}");
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_secret(folder.path()), Err(FileError::NotAFile(_))));
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(read_secret(&pipe), Err(FileError::NotAFile(_))));
        let missing = read_secret(&folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("none`: No such file"), "{missing}");
    }

    /// The permissions of the target count, not those of the link.
    #[test]
    fn a_link_does_not_hide_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let target = file(&folder, 0o644, b"1234");
        let link = folder.path().join("link");
        symlink(target, &link).unwrap();
        assert!(matches!(read_secret(&link), Err(FileError::TooOpen { .. })));
    }

    #[test]
    fn size_has_an_exact_edge() {
        let folder = tempfile::tempdir().unwrap();
        let max = usize::try_from(MAX_SECRET_BYTES).unwrap();
        assert_eq!(read_secret(&file(&folder, 0o600, &vec![b'x'; max])).unwrap().len(), max);
        let over = read_secret(&file(&folder, 0o600, &vec![b'x'; max + 1]));
        assert!(matches!(over, Err(FileError::TooLarge { .. })));
    }

    #[test]
    fn a_line_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let line = |bytes: &[u8]| read_secret_line(&file(&folder, 0o600, bytes));
        assert_eq!(line(b"12 34\n").unwrap().as_str(), "12 34");
        assert_eq!(line(b"1234").unwrap().as_str(), "1234");
        for bad in [
            &b""[..],
            b"\n",
            b"1234\n\n",
            b"12\n34",
            b"1234\r\n",
            b"12\xff",
            "pät".as_bytes(),
        ] {
            let error = line(bad).unwrap_err();
            assert!(matches!(error, FileError::Malformed { .. }), "{error}");
            assert!(!error.to_string().contains("12"), "the content stays secret: {error}");
        }
        assert_eq!(format!("{:?}", line(b"1234").unwrap()), "SecretText(…)");
    }

    #[test]
    fn a_trusted_file_is_not_for_everybody_to_change() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_trusted(&file(&folder, 0o644, b"ca")).unwrap(), b"ca");
        let open = read_trusted(&file(&folder, 0o646, b"ca"));
        assert!(matches!(open, Err(FileError::WritableByAll { mode: 0o646, .. })));
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            verify_folder(folder.path()),
            Err(FileError::WritableByAll { .. })
        ));
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        verify_folder(folder.path()).unwrap();
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed");
        write_new(&path, b"first", Access::Secret).unwrap();
        assert!(matches!(
            write_new(&path, b"second", Access::Secret),
            Err(FileError::Exists(_))
        ));
        assert_eq!(*read_secret(&path).unwrap(), b"first");
        replace(&path, b"third").unwrap();
        assert_eq!(read_trusted(&path).unwrap(), b"third");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
