//! The last word of each service on each matter: what it said before does not stand any more. And what
//! people said, as it verifies now.

use std::collections::BTreeMap;

use countersign_approval::{Attestation, BookState, Envelope, Kind, ScreeningResult, StatementError, Verified};
use countersign_decision::{Seen, matter};
use countersign_types::{PrincipalId, StatementDigest, Timestamp};

use crate::{JournaledStatement, LastWord};

/// A service and what it speaks about.
pub(crate) type Matter = (PrincipalId, String);

/// Whether a statement says that something is not so (any more). The last word keeps it: it stands when its statement verifies no more.
pub(crate) fn is_removal(verified: &Verified) -> bool {
    match verified.statement().body.attestation() {
        Some(Attestation::AddressBook(entry)) => entry.entry == BookState::Removed,
        Some(Attestation::Screening(screening)) => screening.result == ScreeningResult::Fail,
        Some(Attestation::Price(_)) | None => false,
    }
}

/// Whether a statement is at least as late as what its service said last. Of two with one number the removal stands.
pub(crate) fn replaces(verified: &Verified, known: impl Fn(&Matter) -> Option<LastWord>) -> bool {
    let Some((matter, sequence)) = matter(verified) else {
        return false;
    };
    let known = known(&(verified.signer().clone(), matter));
    known.is_none_or(|known| {
        known.sequence < sequence || (known.sequence == sequence && (known.since.is_some() || is_removal(verified)))
    })
}

/// Whether a journaled statement is what its service says now, or something later that says as much.
pub(crate) fn is_last(verified: &Verified, known: impl Fn(&Matter) -> Option<LastWord>) -> bool {
    let Some((matter, sequence)) = matter(verified) else {
        return false;
    };
    let known = known(&(verified.signer().clone(), matter));
    known.is_some_and(|known| sequence >= known.sequence && (known.since.is_some() || is_removal(verified)))
}

/// What a service says from now on by a statement that [`replaces`] its last word; `None` where that says as much.
pub(crate) fn word(
    verified: &Verified,
    known: impl Fn(&Matter) -> Option<LastWord>,
    now: Timestamp,
) -> Option<(Matter, LastWord)> {
    let (about, sequence) = matter(verified)?;
    let matter = (verified.signer().clone(), about);
    let known = known(&matter);
    // An entry that is attested again has stood all the time.
    let since = known.and_then(|known| known.since).unwrap_or(now);
    let word = LastWord {
        sequence,
        since: (!is_removal(verified)).then_some(since),
    };
    (known != Some(word)).then_some((matter, word))
}

/// The attestations that no later word has replaced, and since when the journal has what they say.
pub(crate) fn standing(
    statements: &[Seen],
    known: impl Fn(&Matter) -> Option<LastWord>,
) -> BTreeMap<StatementDigest, Timestamp> {
    let stands = |seen: &Seen| {
        let verified = seen.verified.as_ref().ok()?;
        let (about, _) = matter(verified)?;
        let last = known(&(verified.signer().clone(), about))?;
        let since = last.since.unwrap_or(seen.first_seen_at);
        is_last(verified, &known).then_some((seen.digest, since))
    };
    statements.iter().filter_map(stands).collect()
}

/// Those of one or another kind. Statements are filed under names of one length, whatever has the name, and a person may approve
/// or reject any name as a withdrawal's, a bundle's among them.
pub(crate) fn of_kinds(
    said: Vec<JournaledStatement>,
    kinds: &[Kind],
) -> Result<Vec<JournaledStatement>, StatementError> {
    let mut kept = Vec::new();
    for statement in said {
        if kinds.contains(&Envelope::parse(&statement.envelope)?.kind()) {
            kept.push(statement);
        }
    }
    Ok(kept)
}

/// What is journaled, each with the statement as it verifies now: whoever left the roster, or changed the key, says nothing any more.
pub(crate) fn heard(
    said: &[JournaledStatement],
    verify: impl Fn(&Envelope) -> Result<Verified, StatementError>,
) -> Result<Vec<(StatementDigest, Option<Verified>)>, StatementError> {
    let one = |statement: &JournaledStatement| {
        let envelope = Envelope::parse(&statement.envelope)?;
        Ok((envelope.statement_digest(), verify(&envelope).ok()))
    };
    said.iter().map(one).collect()
}
