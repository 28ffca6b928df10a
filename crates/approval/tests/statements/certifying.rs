//! Headers against deployment, epoch and clock, at their exact bounds.

use countersign_approval::*;
use countersign_types::{GenesisHash, Tag, Timestamp};

use crate::support::*;

fn certify(change: impl FnOnce(&mut Header), millis: i64) -> Result<(), Tag> {
    let mut header = header();
    let start = header.validity.issued_at().to_timestamp().unix_millis();
    change(&mut header);
    header
        .certify(GenesisHash::of(b"abc"), 0, Timestamp::from_unix_millis(start + millis))
        .map_err(|error| error.tag())
}

#[test]
fn a_header_counts_in_its_deployment_epoch_and_time_only() {
    const HOUR: i64 = 3_600_000;
    assert_eq!(certify(|_| {}, 0), Ok(()));
    assert_eq!(certify(|_| {}, HOUR - 1), Ok(()));
    assert_eq!(certify(|_| {}, -1), Err(Tag::StatementNotYetValid));
    assert_eq!(certify(|_| {}, HOUR), Err(Tag::StatementExpired));
    assert_eq!(certify(|_| {}, i64::MAX / 2), Err(Tag::StatementExpired));
    assert_eq!(certify(|_| {}, i64::MIN / 2), Err(Tag::StatementNotYetValid));
    assert_eq!(
        certify(|h| h.deployment = GenesisHash::of(b"x"), 0),
        Err(Tag::StatementWrongDeployment)
    );
    assert_eq!(certify(|h| h.epoch = 1, 0), Err(Tag::StatementWrongEpoch));
    assert_eq!(
        header()
            .certify(header().deployment, 1, Timestamp::from_unix_millis(0))
            .unwrap_err()
            .tag(),
        Tag::StatementWrongEpoch
    );
}
