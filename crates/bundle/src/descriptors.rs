//! `descriptors/*.json`: ERC-7730 descriptors, one in each file, which displays read and decisions do not.

use std::collections::BTreeMap;

use countersign_chains::evm::{Descriptor, DescriptorError};

use crate::{LoadError, error::Found, places::TOP};

/// The folder.
pub(crate) const FOLDER: &str = "descriptors/";

/// Reads every descriptor, in the order of the files' names; of two for one function the first is displayed.
pub(crate) fn load(files: &BTreeMap<String, Vec<u8>>, found: &mut Found) -> Vec<Descriptor> {
    let mut descriptors = Vec::new();
    for (file, bytes) in files.iter().filter(|(path, _)| path.starts_with(FOLDER)) {
        match Descriptor::read(bytes) {
            Ok(descriptor) => descriptors.push(descriptor),
            Err(error) => found.push(LoadError::new(file, place(&error), error)),
        }
    }
    descriptors
}

fn place(error: &DescriptorError) -> (u32, u32) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    match error {
        DescriptorError::NotJson { line, column } => (number(*line), number(*column)),
        DescriptorError::TooLarge { .. }
        | DescriptorError::Includes
        | DescriptorError::Bad { .. }
        | DescriptorError::Unsupported { .. }
        | DescriptorError::Count { .. } => TOP,
    }
}
