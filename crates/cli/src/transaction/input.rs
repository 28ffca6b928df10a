//! Unsigned bytes as people hold them: raw, hex, base64 (PSBT and Solana tools write it), typed data as wallets take it; from a
//! file or from standard input.

use std::{io::Read as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_chains::evm::{self, TypedData};
use countersign_types::{ChainId, Tag};

use crate::{
    failure::{Failure, Result},
    files,
};

/// The API's own bound (`countersign_proto::limits`).
pub(super) const MAX_TRANSACTION_BYTES: usize = 1024 * 1024;
/// Hex with line ends between its lines, and some room.
const MAX_TEXT_BYTES: u64 = 3 * 1024 * 1024;
/// Standard input, as many programs write it.
const STANDARD_INPUT: &str = "-";

/// What is said where they were rewritten.
pub(crate) const REWRITTEN: &str =
    "the typed data was rewritten to the one text that is signed (docs/formats.md); what it says is the same";

/// Unsigned bytes, in the form in which they are submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsigned {
    pub(crate) bytes: Vec<u8>,
    /// Whether the file held another text of the same typed data.
    pub(crate) is_rewritten: bool,
}

/// Unsigned bytes from a file.
pub(crate) fn read(path: &Path, network: &ChainId) -> Result<Unsigned> {
    understand(path, network, files::read(path)?)
}

/// The same, where `-` is standard input.
pub(super) fn read_or_listen(path: &Path, network: &ChainId) -> Result<Unsigned> {
    if path.as_os_str() != STANDARD_INPUT {
        return read(path, network);
    }
    let mut bytes = Vec::new();
    let limited = std::io::stdin().lock().take(MAX_TEXT_BYTES).read_to_end(&mut bytes);
    limited.map_err(|error| Failure::file(path, "read", error))?;
    understand(path, network, bytes)
}

/// No raw transaction of any family is printable text, except the JSON of typed data, which no other family signs.
fn understand(path: &Path, network: &ChainId, given: Vec<u8>) -> Result<Unsigned> {
    let is_json = given.trim_ascii_start().starts_with(b"{");
    let unsigned = match text(&given) {
        _ if is_json && network.namespace() == evm::NAMESPACE => {
            let bytes = canonical(path, &given)?;
            let is_rewritten = bytes != given;
            Unsigned { bytes, is_rewritten }
        }
        Some(text) if !is_json => as_they_stand(decode(text).map_err(|why| Failure::file(path, "understand", why))?),
        Some(_) | None => as_they_stand(given),
    };
    match unsigned.bytes.len() > MAX_TRANSACTION_BYTES {
        true => Err(Failure::refused(
            Tag::TransactionTooLarge,
            format!("`{}` is over {MAX_TRANSACTION_BYTES} bytes", path.display()),
        )),
        false => Ok(unsigned),
    }
}

fn as_they_stand(bytes: Vec<u8>) -> Unsigned {
    Unsigned {
        bytes,
        is_rewritten: false,
    }
}

/// Typed data in any text that wallets take, as the one text that the signer takes.
fn canonical(path: &Path, json: &[u8]) -> Result<Vec<u8>> {
    let data = TypedData::from_wallet_json(json).and_then(|data| data.canonical_bytes());
    data.map_err(|error| Failure::refused(error.tag(), format!("`{}`: {error}", path.display())))
}

/// Bytes that are printable ASCII, spaces and line ends.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_printable = text.bytes().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    (is_printable && !text.is_empty()).then_some(text)
}

fn decode(text: &str) -> std::result::Result<Vec<u8>, String> {
    let text = text.trim_ascii();
    if let Some(digits) = text.strip_prefix("0x") {
        return hex::decode(digits).map_err(|error| format!("it starts with 0x and is no hex: {error}"));
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return hex::decode(text).map_err(|error| error.to_string());
    }
    // `base64` breaks its lines.
    let joined: String = text.split(['\n', '\r']).collect();
    STANDARD
        .decode(joined)
        .map_err(|error| format!("it is text, and neither hex nor base64 ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_on(network: &str, written: &[u8]) -> Result<Unsigned> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tx");
        files::write(&path, written).unwrap();
        read(&path, &network.parse().unwrap())
    }

    fn reading(written: &[u8]) -> Result<Vec<u8>> {
        read_on("eip155:1", written).map(|unsigned| unsigned.bytes)
    }

    #[test]
    fn bytes_are_read_raw_as_hex_or_as_base64() {
        for (written, expected) in [
            (&b"\x02\xff"[..], &b"\x02\xff"[..]),
            (b"0x02ff\n", b"\x02\xff"),
            (b"02fF\n", b"\x02\xff"),
            (b"0x", b""),
            (b"", b""),
            (b"cHNidP8=\n", b"psbt\xff"),
            (b"cHNi\r\ndP8=\n", b"psbt\xff"),
            (b"psbt\xff\x01", b"psbt\xff\x01"),
        ] {
            assert_eq!(reading(written).unwrap(), expected, "{written:?}");
        }
        for bad in [
            "0x0",
            "0xzz",
            "0x02 ff",
            "02f",
            "cHNidP8",
            "cHNidP8=x",
            "cHNi dP8=",
            "_-8=",
            "hello!",
        ] {
            let failure = reading(bad.as_bytes()).unwrap_err();
            assert!(failure.message().contains("cannot understand `"), "{failure}");
        }
    }

    /// The vectors' own canonical texts were written by JavaScript.
    #[test]
    fn typed_data_becomes_its_one_text() {
        let vectors = include_str!("../../../../chains/evm/vectors/typed-data.json");
        let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
        assert!(vectors.len() > 10);
        for vector in vectors {
            let canonical = vector["unsigned"].as_str().unwrap().as_bytes().to_vec();
            let read = read_on("eip155:1", &serde_json::to_vec_pretty(&vector["wallet"]).unwrap()).unwrap();
            assert_eq!(
                (&read.bytes, read.is_rewritten),
                (&canonical, true),
                "{}",
                vector["name"]
            );
            assert_eq!(
                read_on("eip155:1", &canonical).unwrap(),
                as_they_stand(canonical.clone())
            );
            let with_line_end = [b" ", &canonical[..], b"\n"].concat();
            assert_eq!(read_on("eip155:1", &with_line_end).unwrap(), read);
            // Nothing is guessed of hex, and other families have no typed data.
            assert_eq!(reading(hex::encode(&with_line_end).as_bytes()).unwrap(), with_line_end);
            assert_eq!(
                read_on("solana:localnet", &with_line_end).unwrap(),
                as_they_stand(with_line_end)
            );
        }
        for (bad, tag) in [
            (&b"{"[..], Tag::TransactionMalformed),
            (b"{}", Tag::TransactionMalformed),
            (b" {\"types\": null}", Tag::TransactionMalformed),
            (b"{\"a\": \"\xff\"}", Tag::TransactionMalformed),
            (
                &[&b"{"[..], &[b' '; MAX_TRANSACTION_BYTES]].concat(),
                Tag::TransactionTooLarge,
            ),
        ] {
            let failure = reading(bad).unwrap_err();
            assert_eq!(failure.tag(), Some(tag), "{failure}");
            assert!(failure.message().contains("/tx`: "), "{failure}");
        }
    }

    #[test]
    fn what_the_api_would_refuse_is_refused_here() {
        let failure = reading(&vec![2; MAX_TRANSACTION_BYTES + 1]).unwrap_err();
        assert_eq!(failure.tag(), Some(Tag::TransactionTooLarge));
        let text = "02".repeat(MAX_TRANSACTION_BYTES + 1);
        assert_eq!(
            reading(text.as_bytes()).unwrap_err().tag(),
            Some(Tag::TransactionTooLarge)
        );
    }
}
