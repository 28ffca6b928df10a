//! Unsigned bytes as people hold them: raw, hex, base64 (PSBT and Solana tools write it), from a file or from standard input.

use std::{io::Read as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_types::Tag;

use crate::{
    failure::{Failure, Result},
    files,
};

/// The API's own bound.
pub(super) const MAX_TRANSACTION_BYTES: usize = 128 * 1024;
/// Hex with line ends between its lines, and some room.
const MAX_TEXT_BYTES: u64 = 512 * 1024;
/// Standard input, as many programs write it.
const STANDARD_INPUT: &str = "-";

/// Unsigned bytes from a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    understand(path, files::read(path)?)
}

/// The same, where `-` is standard input.
pub(super) fn read_or_listen(path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str() != STANDARD_INPUT {
        return read(path);
    }
    let mut bytes = Vec::new();
    let limited = std::io::stdin().lock().take(MAX_TEXT_BYTES).read_to_end(&mut bytes);
    limited.map_err(|error| Failure::file(path, "read", error))?;
    understand(path, bytes)
}

/// No raw transaction of any family is printable text, except signed JSON, which is taken as it stands.
fn understand(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let bytes = match text(&bytes) {
        Some(text) => decode(text).map_err(|why| Failure::file(path, "understand", why))?,
        None => bytes,
    };
    match bytes.len() > MAX_TRANSACTION_BYTES {
        true => Err(Failure::refused(
            Tag::TransactionTooLarge,
            format!("`{}` is over {MAX_TRANSACTION_BYTES} bytes", path.display()),
        )),
        false => Ok(bytes),
    }
}

/// The text of bytes that are hex or base64: printable ASCII and line ends.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_printable = text.bytes().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    (is_printable && !text.is_empty() && !text.starts_with('{')).then_some(text)
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

    fn reading(written: &[u8]) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tx");
        files::write(&path, written).unwrap();
        read(&path)
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
            (b"{\"a\": 1}\n", b"{\"a\": 1}\n"),
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
