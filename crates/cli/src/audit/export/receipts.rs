//! The receipts beside an exported log: one of every signed withdrawal, verified.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use countersign_approval::Genesis;
use countersign_client::PeopleClient;
use countersign_decision::Entry;
use countersign_types::WithdrawalId;

use super::{CHECKPOINT, ENTRIES, read_verified, unverified};
use crate::{
    audit::verify::Proven,
    failure::{Failure, Result},
    files,
};

const FOLDER: &str = "receipts";

/// Whether a folder is an exported log.
pub(crate) fn is_export(folder: &Path) -> bool {
    folder.join(ENTRIES).is_file() && folder.join(CHECKPOINT).is_file()
}

/// An exported log, verified, with the withdrawals that it says were signed.
pub(crate) struct Exported {
    folder: PathBuf,
    /// How many entries the checkpoint signs.
    pub(crate) entries: u64,
    signed: Signed,
}

/// Withdrawals whose signature is in the log, and where the decision stands that allowed their first one.
type Signed = BTreeMap<WithdrawalId, u64>;

impl Exported {
    /// Reads and verifies a folder.
    pub(crate) fn open(folder: &Path, genesis: &Genesis) -> Result<Self> {
        let (entries, signed) = signed_since(folder, genesis, 0)?;
        Ok(Self {
            folder: folder.to_owned(),
            entries,
            signed,
        })
    }

    /// The receipts of what was signed, in the order in which it was decided. A back-test over part of a log would say nothing.
    pub(crate) fn receipts(&self) -> Result<Vec<PathBuf>> {
        let mut signed: Vec<(u64, WithdrawalId)> = self.signed.iter().map(|(id, at)| (*at, *id)).collect();
        signed.sort_unstable();
        let paths: Vec<PathBuf> = signed.iter().map(|(_, id)| path(&self.folder, *id)).collect();
        let missing = paths.iter().filter(|path| !path.is_file()).count();
        if missing == 0 {
            return Ok(paths);
        }
        let why = format!(
            "`{}` has no receipts of {missing} of the {} withdrawals that its log has signatures of",
            self.folder.display(),
            self.signed.len()
        );
        Err(Failure::failed(why).advise("repeat `countersign audit export` with --receipts"))
    }
}

fn path(folder: &Path, id: WithdrawalId) -> PathBuf {
    folder.join(FOLDER).join(format!("{id}.json"))
}

/// The withdrawals with a signature at an index or behind it, out of the whole verified log.
fn signed_since(folder: &Path, genesis: &Genesis, from: u64) -> Result<(u64, Signed)> {
    let (mut signed, mut allowed) = (Signed::new(), BTreeMap::new());
    let entries = read_verified(folder, genesis, |index, bytes| {
        let entry = Entry::parse(bytes).map_err(|error| unverified(format!("entry {index}: {error}")))?;
        if let Entry::Decision(decision) = &entry
            && let Some(authorization) = &decision.authorization
        {
            allowed.insert(authorization.id, index);
        }
        if let (Entry::Signature(signature), true) = (&entry, index >= from) {
            let decided = allowed.get(&signature.authorization);
            // From its first signature on it counts, and that is its place in the order.
            signed.entry(signature.withdrawal).or_insert(*decided.unwrap_or(&index));
        }
        Ok(())
    })?;
    Ok((entries, signed))
}

/// Copies the receipts that are missing and those of what was signed among the `fetched` last entries: how many.
pub(super) async fn copy(folder: &Path, people: &PeopleClient, genesis_bytes: &[u8], fetched: u64) -> Result<u64> {
    let genesis = Genesis::parse(genesis_bytes).map_err(Failure::failed)?;
    let log = Exported::open(folder, &genesis)?;
    let (_, fresh) = signed_since(folder, &genesis, log.entries.saturating_sub(fetched))?;
    files::create_folder(&folder.join(FOLDER))?;
    let mut copied = 0_u64;
    for id in log.signed.keys() {
        let path = path(folder, *id);
        if path.is_file() && !fresh.contains_key(id) {
            continue;
        }
        let receipt = people.receipt(id).await;
        let receipt = receipt.map_err(|error| Failure::answered("signer", &error))?;
        let found = Proven::verify(&receipt, genesis_bytes)?.withdrawal();
        if found != *id {
            return Err(unverified(format!(
                "the signer sent the receipt of {found} instead of that of {id}"
            )));
        }
        files::write(&path, &receipt)?;
        copied = copied.saturating_add(1);
    }
    Ok(copied)
}
