//! The life cycle of a withdrawal: one exhaustive table, state by event.
//!
//! ```text
//!             ┌──────── pending ───────▶ PENDING_APPROVAL ─┐
//! RECEIVED ───┼──────── malformed ─────▶ MALFORMED ────────┤ another attempt: RECEIVED again
//!             ├──────── denied for now ▶ REFUSED ──────────┘
//!             ├──────── denied ────────▶ DENIED     │
//!             ├──────── cancelled ─────▶ CANCELLED  ├─ signed after all ─▶ SIGNED
//!             ├──────── expired ───────▶ EXPIRED    │
//!             └──────── signed ────────▶ SIGNED (stays, whatever later attempts meet)
//! ```
//!
//! What is written here is advice, the signer's log is the truth: `Signed` wins in every state.

use countersign_proto::v1::WithdrawalState;

/// Where a withdrawal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Durable here, the signer has not answered for the latest attempt.
    Received,
    /// Allowed, but approvals or a time-lock are outstanding.
    PendingApproval,
    /// The latest attempt was denied, but another attempt or statement may be allowed.
    Refused,
    /// The bytes of the latest attempt were not understood.
    Malformed,
    /// At least one attempt is signed.
    Signed,
    /// Denied for good.
    Denied,
    /// Cancelled before anything was signed.
    Cancelled,
    /// The request expired before anything was signed.
    Expired,
}

/// What can happen to a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// The signer signed the latest attempt.
    Signed,
    /// The signer misses approvals or waits for a time-lock.
    Pending,
    /// The signer denied the latest attempt, not for good.
    Refused,
    /// The signer denied the withdrawal for good.
    Denied,
    /// The signer did not understand the bytes of the latest attempt.
    Malformed,
    /// The signer acknowledged a cancel and then did not sign.
    Cancelled,
    /// The request has expired and the signer, asked once more, did not sign.
    Expired,
    /// The signer did not answer.
    Unavailable,
    /// An approval, a rejection or an observation arrived.
    StatementArrived,
    /// A cancel arrived.
    CancelArrived,
    /// Another attempt arrived.
    AttemptAdded,
    /// The same request arrived with other signatures.
    Resigned,
}

/// What an event does in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To this state.
    To(State),
    /// Nothing changes.
    Stay,
    /// The caller is told that the state does not allow it (`withdrawal/wrong-state`).
    Refuse,
}

/// States in which nothing was signed and something still may be.
macro_rules! open {
    () => {
        State::Received | State::PendingApproval | State::Refused | State::Malformed
    };
}
/// States that only a signature can leave.
macro_rules! closed {
    () => {
        State::Denied | State::Cancelled | State::Expired
    };
}
/// Answers of the signer other than a signature.
macro_rules! outcome {
    () => {
        Event::Pending | Event::Refused | Event::Denied | Event::Malformed | Event::Cancelled | Event::Expired
    };
}

/// The table. Rows are states, columns events; nothing else in this crate decides a state.
pub fn step(state: State, event: Event) -> Step {
    use Step::{Refuse, Stay, To};
    match (state, event) {
        (State::Signed, Event::Signed) => Stay,
        (_, Event::Signed) => To(State::Signed),
        (_, Event::Unavailable) => Stay,

        // Open: the signer's last word on the latest attempt is the state.
        (State::Received | State::Refused | State::Malformed, Event::Pending) => To(State::PendingApproval),
        (State::PendingApproval, Event::Pending) => Stay,
        (State::Received | State::PendingApproval | State::Malformed, Event::Refused) => To(State::Refused),
        (State::Refused, Event::Refused) => Stay,
        (State::Received | State::PendingApproval | State::Refused, Event::Malformed) => To(State::Malformed),
        (State::Malformed, Event::Malformed) => Stay,
        (open!(), Event::Denied) => To(State::Denied),
        (open!(), Event::Cancelled) => To(State::Cancelled),
        (open!(), Event::Expired) => To(State::Expired),

        // Open: callers may add to it.
        (open!(), Event::StatementArrived | Event::CancelArrived) => Stay,
        (State::Received, Event::AttemptAdded | Event::Resigned) => Stay,
        (State::PendingApproval | State::Refused | State::Malformed, Event::AttemptAdded) => To(State::Received),
        (State::Refused, Event::Resigned) => To(State::Received),
        (State::PendingApproval | State::Malformed, Event::Resigned) => Stay,

        // Signed: a refresh and its approvals are welcome, and what the signer says of it changes no state.
        (State::Signed, Event::AttemptAdded | Event::StatementArrived | Event::Resigned) => Stay,
        (State::Signed, Event::CancelArrived) => Refuse,
        (State::Signed, outcome!()) => Stay,

        // Closed.
        (closed!(), Event::Resigned | outcome!()) => Stay,
        (closed!(), Event::StatementArrived | Event::CancelArrived | Event::AttemptAdded) => Refuse,
    }
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Received,
        Self::PendingApproval,
        Self::Refused,
        Self::Malformed,
        Self::Signed,
        Self::Denied,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Whether nothing was signed and something still may be.
    pub fn is_open(self) -> bool {
        matches!(self, open!())
    }

    /// The number in storage and on the wire: stable.
    pub fn wire(self) -> WithdrawalState {
        match self {
            Self::Received => WithdrawalState::Received,
            Self::PendingApproval => WithdrawalState::PendingApproval,
            Self::Refused => WithdrawalState::Refused,
            Self::Malformed => WithdrawalState::Malformed,
            Self::Signed => WithdrawalState::Signed,
            Self::Denied => WithdrawalState::Denied,
            Self::Cancelled => WithdrawalState::Cancelled,
            Self::Expired => WithdrawalState::Expired,
        }
    }

    /// The state that a stored or received number names.
    pub fn from_wire(state: WithdrawalState) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.wire() == state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 12] = [
        Event::Signed,
        Event::Pending,
        Event::Refused,
        Event::Denied,
        Event::Malformed,
        Event::Cancelled,
        Event::Expired,
        Event::Unavailable,
        Event::StatementArrived,
        Event::CancelArrived,
        Event::AttemptAdded,
        Event::Resigned,
    ];

    /// Every pair, written out a second time in another form: R P F M S D C E are states, `.` stays, `!` refuses.
    /// Columns are `EVENTS` in order.
    const TABLE: [(State, &str); 8] = [
        (State::Received, "SPFDMCE....."),
        (State::PendingApproval, "S.FDMCE...R."),
        (State::Refused, "SP.DMCE...RR"),
        (State::Malformed, "SPFD.CE...R."),
        (State::Signed, ".........!.."),
        (State::Denied, "S.......!!!."),
        (State::Cancelled, "S.......!!!."),
        (State::Expired, "S.......!!!."),
    ];

    fn letter(step: Step) -> char {
        match step {
            Step::Stay => '.',
            Step::Refuse => '!',
            Step::To(State::Received) => 'R',
            Step::To(State::PendingApproval) => 'P',
            Step::To(State::Refused) => 'F',
            Step::To(State::Malformed) => 'M',
            Step::To(State::Signed) => 'S',
            Step::To(State::Denied) => 'D',
            Step::To(State::Cancelled) => 'C',
            Step::To(State::Expired) => 'E',
        }
    }

    #[test]
    fn every_pair_is_as_the_table_says() {
        assert_eq!(TABLE.map(|(state, _)| state), State::ALL);
        for (state, row) in TABLE {
            let found: String = EVENTS.iter().map(|event| letter(step(state, *event))).collect();
            assert_eq!(found, row, "{state:?}");
        }
    }

    #[test]
    fn no_event_moves_a_state_to_itself_and_only_a_signature_leaves_a_closed_one() {
        for state in State::ALL {
            for event in EVENTS {
                let Step::To(next) = step(state, event) else { continue };
                assert_ne!(next, state, "{event:?}");
                assert!(state.is_open() || event == Event::Signed, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn nothing_unsigns() {
        for event in EVENTS {
            assert!(!matches!(step(State::Signed, event), Step::To(_)), "{event:?}");
        }
    }

    /// Golden: the numbers are stored.
    #[test]
    fn golden_numbers() {
        let numbers = State::ALL.map(|state| state.wire() as i32);
        assert_eq!(numbers, [1, 2, 8, 5, 3, 4, 6, 7]);
        for state in State::ALL {
            assert_eq!(State::from_wire(state.wire()), Some(state));
        }
        assert_eq!(State::from_wire(WithdrawalState::Unspecified), None);
    }
}
