//! `manifest.json`: what belongs to the bundle, byte for byte. Its digest is the bundle's identity.

use std::collections::BTreeMap;

use countersign_policy::{MAX_LIST_BYTES, SEMANTICS};
use countersign_types::{BundleDigest, FileDigest, MAX_TABLE_KEYS, PolicyDigest, TABLE_RECORD_BYTES, Tag};
use serde::{Deserialize, Serialize};

use crate::descriptors;

/// The `format` of a manifest.
pub const FORMAT: &str = "countersign.bundle/1";
/// The manifest's own name.
pub const MANIFEST_PATH: &str = "manifest.json";
/// The most files: five, the networks, the key tables, the lists and the descriptors.
pub const MAX_FILES: usize = 64;
/// The largest file: 100 000 destinations with names.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;
/// The largest key table: [`MAX_TABLE_KEYS`] records.
pub const MAX_KEY_TABLE_BYTES: usize = MAX_TABLE_KEYS * TABLE_RECORD_BYTES;
/// The largest bundle, manifest aside: one list of the largest size, or one key table and a list of a million short addresses,
/// and as much again as all other files need.
pub const MAX_BUNDLE_BYTES: usize = 128 * 1024 * 1024;
/// The longest name of a network file, a key table, a list or a descriptor, directory included.
const MAX_PATH_LEN: usize = 64;
/// A manifest of [`MAX_FILES`] entries is far smaller.
const MAX_MANIFEST_BYTES: usize = 64 * 1024;
/// The files that every bundle has.
const REQUIRED: [&str; 5] = [
    "assets.yaml",
    "destinations.yaml",
    "policy.yaml",
    "roster.yaml",
    "wallets.yaml",
];

/// Why a manifest is refused, or files against it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// There is none.
    #[error("the bundle has no `{MANIFEST_PATH}`")]
    Missing,
    /// Not the JSON of a manifest.
    #[error("{message}")]
    Json {
        /// What the JSON reader says.
        message: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The right content in other bytes: one manifest has one digest.
    #[error(
        "the manifest is not in its canonical form (docs/policy.md): the same content in other bytes has another digest"
    )]
    NotCanonical,
    /// Another format.
    #[error("`format` must be `{FORMAT}`, not `{0}`")]
    Format(String),
    /// Other semantics.
    #[error("`semantics` must be `{SEMANTICS}`, not `{0}`: this version evaluates nothing else")]
    Semantics(String),
    /// Version 0, version 1 with a predecessor, or a later one without.
    #[error("versions count from 1, and all but the first name the `previous` bundle")]
    Version,
    /// A file that bundles do not have.
    #[error(
        "`{0}` is not a file of a bundle: expected {REQUIRED_WORDS}, `networks/<name>.yaml`, `keys/<name>.keys`, \
         `lists/<name>.list` or `descriptors/<name>.json`"
    )]
    UnknownFile(String),
    /// The wrong component.
    #[error(
        "`{0}` has the wrong `component`: destinations.yaml, lists and descriptors are `data`, every other file is `policy`"
    )]
    Component(String),
    /// A file that every bundle has is not named.
    #[error("the bundle has no `{0}`")]
    MissingFile(String),
    /// The manifest names a file that is not there.
    #[error("the manifest names this file, and it is not there")]
    AbsentFile,
    /// A file that the manifest does not name.
    #[error("the manifest does not name this file")]
    UnlistedFile,
    /// Too many files.
    #[error("{0} files; at most {MAX_FILES} are accepted")]
    TooManyFiles(usize),
    /// Too large.
    #[error(
        "{0} bytes; at most {MAX_FILE_BYTES} in one file ({MAX_KEY_TABLE_BYTES} in a key table, {MAX_LIST_BYTES} in a list) \
         and {MAX_BUNDLE_BYTES} in all are accepted"
    )]
    TooLarge(usize),
    /// Another size than the manifest says.
    #[error("the file has {found} bytes, and the manifest says {expected}")]
    Size {
        /// Of the manifest.
        expected: u64,
        /// Of the file.
        found: u64,
    },
    /// Another digest than the manifest says.
    #[error("the file's digest is {found}, and the manifest says {expected}")]
    Digest {
        /// Of the manifest.
        expected: FileDigest,
        /// Of the file.
        found: FileDigest,
    },
}

const REQUIRED_WORDS: &str = "`assets.yaml`, `destinations.yaml`, `policy.yaml`, `roster.yaml`, `wallets.yaml`";

impl ManifestError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::AbsentFile | Self::UnlistedFile | Self::Size { .. } | Self::Digest { .. } => {
                Tag::BundleDigestMismatch
            }
            Self::Missing | Self::MissingFile(_) => Tag::BundleMissingValue,
            Self::UnknownFile(_) => Tag::BundleUnknownName,
            Self::Json { .. }
            | Self::NotCanonical
            | Self::Format(_)
            | Self::Semantics(_)
            | Self::Version
            | Self::Component(_) => Tag::BundleBadValue,
            Self::TooManyFiles(_) | Self::TooLarge(_) => Tag::BundleTooMany,
        }
    }
}

/// What a file is to an approval: it binds the policy digest, which covers the files marked `policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// Part of what approvers approve under.
    Policy,
    /// May change without voiding approvals: an approval names its destinations itself.
    Data,
}

impl Component {
    /// The component of a file; it follows from the name and is not a choice. `None` for what is no file of a bundle.
    pub fn of(path: &str) -> Option<Self> {
        if path == "destinations.yaml" || is_list(path) || is_named(path, descriptors::FOLDER, ".json") {
            return Some(Self::Data);
        }
        let is_network = is_named(path, "networks/", ".yaml");
        let is_known = REQUIRED.contains(&path) || is_network || is_key_table(path);
        is_known.then_some(Self::Policy)
    }
}

/// Whether it is the name of a key table. What is listed there is ours without anybody's approval, as change is: it is
/// policy, never data.
pub(crate) fn is_key_table(path: &str) -> bool {
    is_named(path, "keys/", ".keys")
}

/// Whether it is the name of a list of its own file. It is what `destinations.yaml` might hold itself, so it is data as well.
pub(crate) fn is_list(path: &str) -> bool {
    is_named(path, "lists/", ".list")
}

/// A short name of plain characters in a folder.
fn is_named(path: &str, folder: &str, extension: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let name = path.strip_prefix(folder).and_then(|name| name.strip_suffix(extension));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(is_plain)) && path.len() <= MAX_PATH_LEN
}

/// One file of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    path: String,
    size: u64,
    sha256: FileDigest,
    component: Component,
}

impl ManifestFile {
    /// The name within the bundle.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Its digest.
    pub fn digest(&self) -> FileDigest {
        self.sha256
    }
    /// What it is to an approval.
    pub fn component(&self) -> Component {
        self.component
    }
}

/// A manifest that holds together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u64,
    previous: Option<BundleDigest>,
    semantics: String,
    files: Vec<ManifestFile>,
}

impl Manifest {
    /// The manifest of some files (without the manifest itself), in order of name.
    pub fn build(
        version: u64,
        previous: Option<BundleDigest>,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, ManifestError> {
        let entry = |(path, bytes): (&String, &Vec<u8>)| {
            Ok(ManifestFile {
                component: Component::of(path).ok_or_else(|| ManifestError::UnknownFile(quote(path)))?,
                path: path.clone(),
                size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                sha256: FileDigest::of(bytes),
            })
        };
        let manifest = Self {
            format: FORMAT.to_owned(),
            version,
            previous,
            semantics: SEMANTICS.to_owned(),
            files: files.iter().map(entry).collect::<Result<_, ManifestError>>()?,
        };
        manifest.certify()?;
        Ok(manifest)
    }

    /// Reads a manifest; the same content in other bytes is refused, because its digest is the bundle's identity.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| {
            let message = error.to_string();
            ManifestError::Json {
                line: error.line().max(1),
                column: error.column().max(1),
                message: message
                    .rsplit_once(" at line ")
                    .map_or(message.clone(), |(message, _)| message.to_owned()),
            }
        })?;
        manifest.certify()?;
        if manifest.to_bytes() != bytes {
            return Err(ManifestError::NotCanonical);
        }
        Ok(manifest)
    }

    fn certify(&self) -> Result<(), ManifestError> {
        if self.format != FORMAT {
            return Err(ManifestError::Format(quote(&self.format)));
        }
        if self.semantics != SEMANTICS {
            return Err(ManifestError::Semantics(quote(&self.semantics)));
        }
        if self.version == 0 || (self.version == 1) != self.previous.is_none() {
            return Err(ManifestError::Version);
        }
        if self.files.len() > MAX_FILES {
            return Err(ManifestError::TooManyFiles(self.files.len()));
        }
        for file in &self.files {
            match Component::of(&file.path) {
                None => return Err(ManifestError::UnknownFile(quote(&file.path))),
                Some(component) if component != file.component => {
                    return Err(ManifestError::Component(quote(&file.path)));
                }
                Some(_) => {}
            }
        }
        let is_sorted = self.files.windows(2).all(|pair| match pair {
            [first, second] => first.path < second.path,
            _ => true,
        });
        if !is_sorted {
            return Err(ManifestError::NotCanonical);
        }
        match REQUIRED.iter().find(|path| self.file(path).is_none()) {
            Some(missing) => Err(ManifestError::MissingFile((*missing).to_owned())),
            None => Ok(()),
        }
    }

    /// The one form of this manifest: two spaces, fields in order, files in order of name, a newline at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A manifest is strings and integers: there is nothing that JSON cannot write.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The bundle's identity.
    pub fn digest(&self) -> BundleDigest {
        BundleDigest::of(&self.to_bytes())
    }

    /// What approvals bind: one line `<path> <size> <digest>` for each file marked `policy`, in order of name.
    pub fn policy_digest(&self) -> PolicyDigest {
        let policy = self.files.iter().filter(|file| file.component == Component::Policy);
        let lines: String = policy
            .map(|file| format!("{} {} {}\n", file.path, file.size, file.sha256))
            .collect();
        PolicyDigest::of(lines.as_bytes())
    }

    /// Counts from 1.
    pub fn version(&self) -> u64 {
        self.version
    }
    /// The bundle that it replaces; none for version 1.
    pub fn previous(&self) -> Option<BundleDigest> {
        self.previous
    }
    /// The files, in order of name.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }
    /// Under which semantics it is evaluated.
    pub fn semantics(&self) -> &str {
        &self.semantics
    }
    pub(crate) fn file(&self, path: &str) -> Option<&ManifestFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Every way in which files (the manifest among them) are not those of the manifest, with the file at fault.
    pub(crate) fn compare(&self, files: &BTreeMap<String, Vec<u8>>) -> Vec<(String, ManifestError)> {
        let mut errors = Vec::new();
        for entry in &self.files {
            match files.get(&entry.path) {
                None => errors.push((entry.path.clone(), ManifestError::AbsentFile)),
                Some(bytes) => errors.extend(entry.compare(bytes).err().map(|error| (entry.path.clone(), error))),
            }
        }
        let others = files
            .keys()
            .filter(|path| *path != MANIFEST_PATH && self.file(path).is_none());
        errors.extend(others.map(|path| (path.clone(), ManifestError::UnlistedFile)));
        let sizes = files
            .iter()
            .filter(|(path, _)| *path != MANIFEST_PATH)
            .map(|(_, bytes)| bytes.len());
        let total = sizes.fold(0, usize::saturating_add);
        if total > MAX_BUNDLE_BYTES {
            errors.push((MANIFEST_PATH.to_owned(), ManifestError::TooLarge(total)));
        }
        errors
    }
}

impl ManifestFile {
    fn compare(&self, bytes: &[u8]) -> Result<(), ManifestError> {
        let max = match (is_key_table(&self.path), is_list(&self.path)) {
            (true, _) => MAX_KEY_TABLE_BYTES,
            (false, true) => MAX_LIST_BYTES,
            (false, false) => MAX_FILE_BYTES,
        };
        if bytes.len() > max {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let found = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if found != self.size {
            return Err(ManifestError::Size {
                expected: self.size,
                found,
            });
        }
        let found = FileDigest::of(bytes);
        if found != self.sha256 {
            return Err(ManifestError::Digest {
                expected: self.sha256,
                found,
            });
        }
        Ok(())
    }
}

fn quote(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_default).collect()
}
