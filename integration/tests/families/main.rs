//! The whole line of the families beside EVM transactions: a PSBT, a Solana message, EIP-191 messages and EIP-712 typed data, submitted and
//! approved with the command line, decided by the signer, signed in the token, and judged by somebody else's verifier. One
//! deployment serves them all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod bitcoin;
mod line;
mod message;
mod solana;

use line::Line;

#[tokio::test]
async fn every_family_goes_through_the_whole_line() {
    let line = Line::start().await;
    bitcoin::a_listed_customer_is_paid_and_change_comes_back(&line);
    bitcoin::a_stranger_is_not(&line);
    bitcoin::no_outpoint_is_spent_twice(&line);
    bitcoin::a_stuck_payment_is_replaced_by_fee(&line);
    bitcoin::a_stuck_payment_is_cancelled_by_fee(&line);
    solana::a_listed_customer_is_paid(&line);
    solana::an_expired_payment_is_replaced_once_observers_say_so(&line);
    solana::a_stake_authorization_behind_a_payment_is_denied(&line);
    solana::a_customer_behind_a_lookup_table_is_paid_once_observers_say_who_it_is(&line);
    solana::a_table_that_observers_read_otherwise_pays_nobody(&line);
    solana::a_stuck_payment_is_cancelled_under_its_nonce(&line);
    message::a_message_for_people_is_denied(&line);
    message::a_permit_in_typed_data_is_denied(&line);
    message::a_wallet_for_messages_signs_them(&line);
}
