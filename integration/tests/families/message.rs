//! What people sign with wallets and no transaction is: EIP-191 messages.

use crate::line::Line;

const NETWORK: &str = "eip155:31337";

/// Whoever is shown the signature decides what it means, so no example policy permits one.
pub(crate) fn a_message_for_people_is_denied(line: &Line) {
    let text = "I give everything to 0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
    let message = format!("\u{19}Ethereum Signed Message:\n{}{text}", text.len());
    let file = line.file("message", message.as_bytes());
    let decoded = line
        .countersign(&["tx", "decode", "--network", NETWORK, &file])
        .expect(0);
    assert!(decoded["effects"].as_str().unwrap().contains(text), "{decoded}");
    let said = line.submit("eth-hot", NETWORK, "message-1", ["--tx", &file]);
    line.deny(said, "permit/uncovered");
}
