//! Names of wire enums in texts: one table for both ends of a wire.

use crate::v1::WithdrawalState;

impl WithdrawalState {
    /// The name in texts. `unspecified` is no state: nobody sends or shows it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Received => "received",
            Self::PendingApproval => "pending-approval",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::Signed => "signed",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Frozen => "frozen",
            Self::Replacing => "replacing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the generated names of `/proto` have them, in the case of texts.
    #[test]
    fn names_are_those_of_the_interface() {
        let mut count = 0;
        for state in (0..64).filter_map(|number| WithdrawalState::try_from(number).ok()) {
            let name = format!("WITHDRAWAL_STATE_{}", state.text().to_uppercase().replace('-', "_"));
            assert_eq!(name, state.as_str_name());
            count += 1;
        }
        assert_eq!(count, 11, "every number is among them");
    }
}
