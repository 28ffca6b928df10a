//! The base58 text of 32 bytes. Every effect names accounts, and a writer for any length (which `bs58` is, and which still
//! reads) is several times slower: it divides byte by byte, this one 32 bits by five characters at a time.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// 58⁵, the largest power of 58 below 2³².
const CHUNK: u64 = 656_356_768;
const CHUNK_DIGITS: usize = 5;
/// 58⁴⁵ is over 2²⁵⁶.
const CHUNKS: usize = 9;

/// Writes the text, 32 to 44 characters.
pub(crate) fn encode(bytes: &[u8; 32]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = digits(bytes);
    let significant = digits.iter().skip_while(|digit| **digit == 0);
    let characters = significant.filter_map(|digit| ALPHABET.get(usize::from(*digit)));
    let mut text = String::with_capacity(CHUNKS.saturating_mul(CHUNK_DIGITS));
    text.extend(std::iter::repeat_n('1', zeros));
    text.extend(characters.map(|character| char::from(*character)));
    text
}

/// The number in base 58, most significant digit first.
fn digits(bytes: &[u8; 32]) -> [u8; CHUNKS * CHUNK_DIGITS] {
    let mut chunks = [0_u64; CHUNKS];
    for limb in bytes.as_chunks::<4>().0 {
        // What the number is so far times 2³², and the limb. A chunk is below 2³⁰ and what is carried below 2³³.
        let mut carried = u64::from(u32::from_be_bytes(*limb));
        for chunk in chunks.iter_mut().rev() {
            let number = (*chunk << 32).saturating_add(carried);
            *chunk = number % CHUNK;
            carried = number / CHUNK;
        }
    }
    let mut digits = [0; CHUNKS * CHUNK_DIGITS];
    for (places, mut chunk) in digits.as_chunks_mut::<CHUNK_DIGITS>().0.iter_mut().zip(chunks) {
        for place in places.iter_mut().rev() {
            *place = (chunk % 58).to_le_bytes()[0];
            chunk /= 58;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_range() {
        for bytes in [[0; 32], [0xff; 32]] {
            assert_eq!(encode(&bytes), bs58::encode(bytes).into_string());
        }
        for at in 0..32 {
            let mut bytes = [0; 32];
            bytes[at] = 1;
            assert_eq!(encode(&bytes), bs58::encode(bytes).into_string(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_the_general_encoder(bytes: [u8; 32], zeros in 0usize..=32) {
            let mut bytes = bytes;
            bytes[..zeros].fill(0);
            prop_assert_eq!(encode(&bytes), bs58::encode(bytes).into_string());
        }
    }
}
