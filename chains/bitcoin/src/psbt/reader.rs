//! From bytes to maps of fields.

use super::{MAX_FIELDS, Place, PsbtError, field::Field};

/// What has not been read yet.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], PsbtError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PsbtError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, PsbtError> {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(self.take(N)?) {
            *to = *from;
        }
        Ok(u64::from_le_bytes(bytes))
    }

    /// Bitcoin's variable-length integer, in its shortest form only.
    pub(super) fn compact_size(&mut self) -> Result<usize, PsbtError> {
        let (number, least) = match self.number::<1>()? {
            0xfd => (self.number::<2>()?, 0xfd),
            0xfe => (self.number::<4>()?, 0x1_0000),
            0xff => (self.number::<8>()?, 0x1_0000_0000),
            small => (small, 0),
        };
        if number < least {
            return Err(PsbtError::NotMinimal);
        }
        // A number that no `usize` holds is also over the end.
        usize::try_from(number).map_err(|_| PsbtError::Truncated)
    }

    fn bytes(&mut self) -> Result<&'a [u8], PsbtError> {
        let count = self.compact_size()?;
        self.take(count)
    }

    /// Fields up to the zero that ends a map, keys strictly ascending: unique, and one order for one content.
    pub(super) fn map(&mut self, place: Place) -> Result<Vec<Field<'a>>, PsbtError> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        loop {
            let key = self.bytes()?;
            let Some(kind) = key.first().copied() else {
                return Ok(fields);
            };
            if fields.last().is_some_and(|last| last.key >= key) {
                return Err(PsbtError::Unordered(place));
            }
            if fields.len() >= MAX_FIELDS {
                return Err(PsbtError::TooManyFields(place));
            }
            let value = self.bytes()?;
            fields.push(Field {
                place,
                kind,
                key,
                value,
            });
        }
    }
}
