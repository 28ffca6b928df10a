//! Reading and writing the few primitives that messages and instruction data are made of.

use crate::Address;

/// The bytes ended early, or a length is not in its shortest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    TooShort,
    NotMinimal,
}

/// Takes primitives from the front; what is left over is the caller's to refuse.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(ReadError::TooShort)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], ReadError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(ReadError::TooShort)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ReadError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn address(&mut self) -> Result<Address, ReadError> {
        self.array().map(Address::new)
    }

    /// A length: seven bits a byte, the lowest first, the highest bit says that more follows; at most 16 bits.
    pub(crate) fn compact_u16(&mut self) -> Result<usize, ReadError> {
        let first = self.u8()?;
        let low = u16::from(first & 0x7f);
        if first < 0x80 {
            return Ok(usize::from(low));
        }
        let second = self.u8()?;
        let low = low | u16::from(second & 0x7f) << 7;
        let (last, value) = if second < 0x80 {
            (second, low)
        } else {
            let third = self.u8()?;
            (third, low | u16::from(third) << 14)
        };
        // A last byte of zero could have been left out; a third byte has two bits at most.
        if last == 0 || (second >= 0x80 && last > 3) {
            return Err(ReadError::NotMinimal);
        }
        Ok(usize::from(value))
    }

    /// A length and as many bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let len = self.compact_u16()?;
        self.slice(len)
    }
}

/// Appends a length in its shortest form. Messages are far under 2¹⁶ bytes, and so is every length in them.
pub(crate) fn write_compact_u16(out: &mut Vec<u8>, len: usize) {
    let [b0, b1, ..] = len.to_le_bytes();
    let value = u16::from_le_bytes([b0, b1]);
    let [low, _] = (value & 0x7f).to_le_bytes();
    let [middle, _] = (value >> 7 & 0x7f).to_le_bytes();
    let [high, _] = (value >> 14).to_le_bytes();
    match (middle, high) {
        (0, 0) => out.push(low),
        (_, 0) => out.extend([low | 0x80, middle]),
        (..) => out.extend([low | 0x80, middle | 0x80, high]),
    }
}

/// Appends a length and the bytes.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_compact_u16(out, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_lengths() {
        // The table in Solana's documentation of compact-u16.
        let table: [(usize, &[u8]); 7] = [
            (0, &[0]),
            (0x7f, &[0x7f]),
            (0x80, &[0x80, 1]),
            (0xff, &[0xff, 1]),
            (0x100, &[0x80, 2]),
            (0x7fff, &[0xff, 0xff, 1]),
            (0xffff, &[0xff, 0xff, 3]),
        ];
        for (value, bytes) in table {
            let mut written = Vec::new();
            write_compact_u16(&mut written, value);
            assert_eq!(written, bytes);
            assert_eq!(Reader::new(bytes).compact_u16(), Ok(value));
        }
    }

    #[test]
    fn longer_forms_are_refused() {
        let cases: [&[u8]; 6] = [
            &[0x80, 0],
            &[0xff, 0],
            &[0x80, 0x80, 0],
            &[0xff, 0xff, 4],
            &[0x80, 0x80, 0x80],
            &[0xff, 0xff, 0xff],
        ];
        for bytes in cases {
            assert_eq!(
                Reader::new(bytes).compact_u16(),
                Err(ReadError::NotMinimal),
                "{bytes:?}"
            );
        }
        assert_eq!(Reader::new(&[0x80]).compact_u16(), Err(ReadError::TooShort));
        assert_eq!(Reader::new(&[0x80, 0x80]).compact_u16(), Err(ReadError::TooShort));
    }

    proptest! {
        #[test]
        fn lengths_have_one_form(bytes: [u8; 3]) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.compact_u16() {
                let mut written = Vec::new();
                write_compact_u16(&mut written, value);
                prop_assert!(bytes.starts_with(&written));
                prop_assert_eq!(reader.0.len(), 3 - written.len());
            }
        }
    }
}
