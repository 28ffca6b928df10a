//! Time and randomness of statements, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_approval::Header;
use countersign_types::{Duration, GenesisHash, StatementNonce, TimeError, Timestamp, Validity};

use crate::failure::{Failure, Result};

/// The journal's recovery epoch until a recovery statement begins another.
const EPOCH: u64 = countersign_approval::FIRST_EPOCH;

/// This machine's clock.
pub(crate) fn now() -> Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.ok().and_then(|since| i64::try_from(since.as_millis()).ok());
    millis
        .map(Timestamp::from_unix_millis)
        .ok_or_else(|| Failure::failed("this machine's clock is before 1970"))
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
    Ok(bytes)
}

/// The header of a statement that is made now and counts for `validity`.
pub(crate) fn header(deployment: GenesisHash, validity: Duration) -> Result<Header> {
    Ok(Header {
        deployment,
        epoch: EPOCH,
        nonce: StatementNonce::from_bytes(random()?),
        validity: interval(now()?, validity).map_err(Failure::usage)?,
    })
}

fn interval(now: Timestamp, validity: Duration) -> std::result::Result<Validity, TimeError> {
    Validity::new(now.to_seconds(), now.after(validity).to_seconds())
}

/// The epoch that statements are held against.
pub(crate) fn epoch() -> u64 {
    EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_counts_from_the_second_it_was_made_in() {
        let now = Timestamp::from_unix_millis(1_700_000_000_999);
        let validity = interval(now, Duration::from_secs(60)).unwrap();
        assert!(!validity.is_future(now) && !validity.is_expired(now));
        assert_eq!(validity.expires_at().to_timestamp().unix_millis(), 1_700_000_060_000);
        assert!(interval(now, Duration::ZERO).is_err());
    }

    #[test]
    fn two_headers_never_share_a_nonce() {
        let deployment = GenesisHash::of(b"x");
        let made = [(); 2].map(|()| header(deployment, Duration::from_secs(60)).unwrap());
        assert_ne!(made[0].nonce, made[1].nonce);
    }
}
