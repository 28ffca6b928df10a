//! The life cycle of a withdrawal: one exhaustive table, state by event.
//!
//! ```text
//!             ┌──────── pending ───────▶ PENDING_APPROVAL ─┐
//! RECEIVED ───┼──────── malformed ─────▶ MALFORMED ────────┤ another attempt or statement: RECEIVED again
//!             ├──────── denied for now ▶ REFUSED ──────────┤
//!             ├──────── frozen ────────▶ FROZEN ───────────┘ asked again by itself
//!             ├──────── denied ────────▶ DENIED     │
//!             ├──────── cancelled ─────▶ CANCELLED  ├─ signed after all ─▶ SIGNED
//!             ├──────── expired ───────▶ EXPIRED    │
//!             └──────── signed ────────▶ SIGNED ── another attempt ─▶ REPLACING ── signed, or any no ─▶ SIGNED
//! ```
//!
//! A cancel attempt opens `DENIED`, `CANCELLED` and `EXPIRED` as well, to `RECEIVED`: the signer may have recorded a signature that it
//! then kept in, which nobody here knows of, and whose nonce nothing else uses up.
//!
//! What is written here is advice, the signer's log is the truth: `Signed` wins in every state, and nothing unsigns: who is
//! `Replacing` has a signed attempt, and goes back to `Signed` whatever becomes of the replacement. A cancel attempt is a replacement
//! too: it pays nobody, and its cancel comes with it. A cancel alone stops only what is not signed.

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
    /// A freeze holds it: the signer is asked again until the freeze is thawed or the request expires.
    Frozen,
    /// An attempt is signed, and a later one is being decided: it waits for the signer, for approvals or for a thaw.
    Replacing,
}

/// What can happen to a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// The signer signed the latest attempt.
    Signed,
    /// The signer signed an attempt that has a later one, which is not decided.
    SignedEarlier,
    /// The signer misses approvals or waits for a time-lock.
    Pending,
    /// The signer denied the latest attempt, not for good.
    Refused,
    /// The signer denied the latest attempt because of freezes, and of nothing else.
    Frozen,
    /// The signer denied the withdrawal for good.
    Denied,
    /// The signer did not understand the bytes of the latest attempt.
    Malformed,
    /// The signer acknowledged a cancel and then did not sign, or said no to its cancel attempt.
    Cancelled,
    /// The request has expired and the signer, asked once more, did not sign.
    Expired,
    /// The signer did not answer, or could not: its keys failed, say.
    Unavailable,
    /// An approval, a rejection, a raised fee ceiling or an observation arrived.
    StatementArrived,
    /// A cancel arrived alone.
    CancelArrived,
    /// Another attempt arrived: a refresh or a replacement.
    AttemptAdded,
    /// A cancel attempt arrived with its cancel.
    CancelAttemptAdded,
    /// The same request arrived again, with other signatures or with its own.
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
        State::Received | State::PendingApproval | State::Refused | State::Malformed | State::Frozen
    };
}
/// States that only a signature or a cancel attempt can leave.
macro_rules! closed {
    () => {
        State::Denied | State::Cancelled | State::Expired
    };
}
/// Answers of the signer that are a no to the latest attempt.
macro_rules! no {
    () => {
        Event::Refused | Event::Denied | Event::Malformed | Event::Cancelled | Event::Expired
    };
}
/// What is decided next.
macro_rules! added {
    () => {
        Event::AttemptAdded | Event::CancelAttemptAdded
    };
}
/// Answers of the signer after which it is asked again.
macro_rules! not_yet {
    () => {
        Event::Pending | Event::Frozen
    };
}

/// The table. Rows are states, columns events; nothing else in this crate decides a state.
pub fn step(state: State, event: Event) -> Step {
    use Step::{Refuse, Stay, To};
    match (state, event) {
        (State::Signed, Event::Signed | Event::SignedEarlier) => Stay,
        (_, Event::Signed) => To(State::Signed),
        (State::Replacing, Event::SignedEarlier) => Stay,
        (open!() | closed!(), Event::SignedEarlier) => To(State::Replacing),
        (_, Event::Unavailable) => Stay,

        // Open: the signer's last word on the latest attempt is the state.
        (State::PendingApproval, Event::Pending) => Stay,
        (State::Received | State::Refused | State::Malformed | State::Frozen, Event::Pending) => {
            To(State::PendingApproval)
        }
        (State::Refused, Event::Refused) => Stay,
        (State::Received | State::PendingApproval | State::Malformed | State::Frozen, Event::Refused) => {
            To(State::Refused)
        }
        (State::Frozen, Event::Frozen) => Stay,
        (State::Received | State::PendingApproval | State::Refused | State::Malformed, Event::Frozen) => {
            To(State::Frozen)
        }
        (State::Malformed, Event::Malformed) => Stay,
        (State::Received | State::PendingApproval | State::Refused | State::Frozen, Event::Malformed) => {
            To(State::Malformed)
        }
        (open!(), Event::Denied) => To(State::Denied),
        (open!(), Event::Cancelled) => To(State::Cancelled),
        (open!(), Event::Expired) => To(State::Expired),

        // Open: callers may add to it.
        (State::Received | State::PendingApproval | State::Frozen, Event::StatementArrived | Event::CancelArrived) => {
            Stay
        }
        // Who waits for what comes of it must not take the last no for it.
        (State::Refused | State::Malformed, Event::StatementArrived | Event::CancelArrived) => To(State::Received),
        (State::Received, added!() | Event::Resigned) => Stay,
        (State::PendingApproval | State::Refused | State::Malformed | State::Frozen, added!()) => To(State::Received),
        (State::Refused, Event::Resigned) => To(State::Received),
        (State::PendingApproval | State::Malformed | State::Frozen, Event::Resigned) => Stay,

        // Signed: a replacement and its approvals are welcome, and a no to it leaves what is signed as it was.
        (State::Signed, added!() | Event::Pending) => To(State::Replacing),
        (State::Signed, Event::StatementArrived | Event::Resigned | Event::Frozen | no!()) => Stay,
        (State::Replacing, added!() | Event::StatementArrived | Event::Resigned | not_yet!()) => Stay,
        (State::Replacing, no!()) => To(State::Signed),
        (State::Signed | State::Replacing, Event::CancelArrived) => Refuse,

        // Closed.
        (closed!(), Event::Resigned | not_yet!() | no!()) => Stay,
        (closed!(), Event::StatementArrived | Event::CancelArrived | Event::AttemptAdded) => Refuse,
        (closed!(), Event::CancelAttemptAdded) => To(State::Received),
    }
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Received,
        Self::PendingApproval,
        Self::Refused,
        Self::Malformed,
        Self::Signed,
        Self::Denied,
        Self::Cancelled,
        Self::Expired,
        Self::Frozen,
        Self::Replacing,
    ];

    /// Whether nothing was signed and something still may be.
    pub fn is_open(self) -> bool {
        matches!(self, open!())
    }

    /// Whether an attempt is signed.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Signed | Self::Replacing)
    }

    /// The name in texts, as the command line has it.
    pub fn as_str(self) -> &'static str {
        self.wire().text()
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
            Self::Frozen => WithdrawalState::Frozen,
            Self::Replacing => WithdrawalState::Replacing,
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

    const EVENTS: [Event; 15] = [
        Event::Signed,
        Event::SignedEarlier,
        Event::Pending,
        Event::Refused,
        Event::Frozen,
        Event::Denied,
        Event::Malformed,
        Event::Cancelled,
        Event::Expired,
        Event::Unavailable,
        Event::StatementArrived,
        Event::CancelArrived,
        Event::AttemptAdded,
        Event::Resigned,
        Event::CancelAttemptAdded,
    ];

    /// Every pair, written out a second time in another form: R P F Z M S L D C E are states (Z frozen, L replacing), `.` stays,
    /// `!` refuses. Columns are `EVENTS` in order.
    const TABLE: [(State, &str); 10] = [
        (State::Received, "SLPFZDMCE......"),
        (State::PendingApproval, "SL.FZDMCE...R.R"),
        (State::Refused, "SLP.ZDMCE.RRRRR"),
        (State::Malformed, "SLPFZD.CE.RRR.R"),
        (State::Signed, "..L........!L.L"),
        (State::Denied, "SL........!!!.R"),
        (State::Cancelled, "SL........!!!.R"),
        (State::Expired, "SL........!!!.R"),
        (State::Frozen, "SLPF.DMCE...R.R"),
        (State::Replacing, "S..S.SSSS..!..."),
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
            Step::To(State::Frozen) => 'Z',
            Step::To(State::Replacing) => 'L',
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
    fn no_event_moves_a_state_to_itself_and_only_a_signature_or_a_cancel_attempt_leaves_a_closed_one() {
        for state in State::ALL {
            for event in EVENTS {
                let Step::To(next) = step(state, event) else { continue };
                assert_ne!(next, state, "{event:?}");
                let leaves_closed = matches!(event, Event::Signed | Event::SignedEarlier | Event::CancelAttemptAdded);
                assert!(
                    state.is_open() || state.is_signed() || leaves_closed,
                    "{state:?} {event:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_unsigns() {
        for state in [State::Signed, State::Replacing] {
            for event in EVENTS {
                let step = step(state, event);
                assert!(
                    !matches!(step, Step::To(next) if !next.is_signed()),
                    "{state:?} {event:?}"
                );
            }
        }
    }

    /// Golden: the numbers are stored.
    #[test]
    fn golden_numbers() {
        let numbers = State::ALL.map(|state| state.wire() as i32);
        assert_eq!(numbers, [1, 2, 8, 5, 3, 4, 6, 7, 9, 10]);
        for state in State::ALL {
            assert_eq!(State::from_wire(state.wire()), Some(state));
        }
        assert_eq!(State::from_wire(WithdrawalState::Unspecified), None);
    }
}
