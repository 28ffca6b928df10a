//! The other attempts of a receipt's withdrawal: an auditor who is shown one signature must hear of the rest.

use std::collections::BTreeSet;

use countersign_types::WithdrawalId;

use crate::{Entry, ReceiptError, receipt_error::broken};

/// The ids of every signature that the entries prove, in the order of the log. Every attempt that a decision among them saw as
/// signed must be one of these. What came behind the last of them only the log can show.
pub(crate) fn signed(withdrawal: WithdrawalId, entries: &[Entry]) -> Result<Vec<String>, ReceiptError> {
    let mut proven = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in entries {
        match entry {
            Entry::Signature(signature) if signature.withdrawal == withdrawal => proven.push(signature.txid.clone()),
            Entry::Decision(decision) if decision.withdrawal == withdrawal => {
                seen.extend(
                    decision
                        .ledger
                        .attempts
                        .iter()
                        .filter_map(|attempt| attempt.txid.clone()),
                );
            }
            Entry::Genesis(_)
            | Entry::Request(_)
            | Entry::Statement(_)
            | Entry::Decision(_)
            | Entry::Signature(_)
            | Entry::Activation(_)
            | Entry::Freeze(_)
            | Entry::Thaw(_) => {}
        }
    }
    let missing = seen.iter().find(|txid| !proven.contains(*txid));
    missing.map_or(Ok(proven), |txid| {
        Err(broken(format!(
            "a decision saw `{txid}` signed, and the entry of its signature is missing"
        )))
    })
}
