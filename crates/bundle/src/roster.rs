//! `roster.yaml`: people, services, groups, initiators, admins, officers.

use countersign_approval::{Roster, RosterFile};

use crate::{
    error::{Found, Problem},
    yaml::{self, Doc},
};

const FILE: &str = "roster.yaml";

/// Checks the roster; each of its errors names a path, and the path has a place.
pub(crate) fn load(bytes: &[u8], found: &mut Found) -> Option<Roster> {
    let doc: Doc<'_, RosterFile> = yaml::read(FILE, bytes, found)?;
    let threshold = u64::from(doc.raw.admins.threshold);
    if let Err(problem) = doc.places.number("admins.threshold", threshold, (1, 64)) {
        found.push(doc.value("admins.threshold", problem));
        return None;
    }
    match Roster::new(doc.raw.clone()) {
        Ok(roster) => Some(roster),
        Err(errors) => {
            for error in errors {
                found.push(doc.value(&error.path, Problem::Roster(error.problem)));
            }
            None
        }
    }
}
