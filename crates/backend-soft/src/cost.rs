//! What it costs to try a passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{KeystoreError, Passphrase, seal::Sealer};

const MEMORY_KIB: std::ops::RangeInclusive<u32> = 64..=1_048_576;
const PASSES: std::ops::RangeInclusive<u32> = 1..=16;
const LANES: std::ops::RangeInclusive<u32> = 1..=8;

/// Argon2id parameters (RFC 9106, version 0x13). They are written into the file and bounded when read, so that a file
/// cannot ask for a terabyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// The second recommended option of RFC 9106, section 4: 64 MiB, three passes, four lanes.
    pub const RECOMMENDED: Self = Self {
        memory_kib: 65_536,
        passes: 3,
        lanes: 4,
    };
    /// Protects nothing; makes tests fast.
    pub const FOR_TESTS: Self = Self {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };

    pub(crate) fn check(self) -> Result<Self, KeystoreError> {
        let enough_memory = self.lanes.checked_mul(8).is_some_and(|least| self.memory_kib >= least);
        if MEMORY_KIB.contains(&self.memory_kib)
            && PASSES.contains(&self.passes)
            && LANES.contains(&self.lanes)
            && enough_memory
        {
            return Ok(self);
        }
        Err(self.out_of_bounds())
    }

    fn out_of_bounds(self) -> KeystoreError {
        let Self {
            memory_kib,
            passes,
            lanes,
        } = self;
        KeystoreError::CostOutOfBounds {
            memory_kib,
            passes,
            lanes,
        }
    }

    /// Derives the key that everything in the file is sealed with.
    pub(crate) fn derive(self, passphrase: &Passphrase, salt: &[u8; 16]) -> Result<Sealer, KeystoreError> {
        self.check()?;
        let out_of_bounds = |_| self.out_of_bounds();
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(out_of_bounds)?;
        let mut memory = Zeroizing::new(vec![argon2::Block::default(); params.block_count()]);
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase.as_bytes(), salt, key.as_mut_slice(), memory.as_mut_slice())
            .map_err(out_of_bounds)?;
        Ok(Sealer::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_bounds_is_refused_before_any_memory_is_taken() {
        for good in [Cost::RECOMMENDED, Cost::FOR_TESTS] {
            assert_eq!(good.check().unwrap(), good);
        }
        let base = Cost::RECOMMENDED;
        let bad = [
            Cost { memory_kib: 63, ..base },
            Cost {
                memory_kib: u32::MAX,
                ..base
            },
            Cost { passes: 0, ..base },
            Cost { passes: 17, ..base },
            Cost { lanes: 0, ..base },
            Cost {
                lanes: u32::MAX,
                ..base
            },
        ];
        for cost in bad {
            let error = cost.derive(&Passphrase::new("p".into()), &[0; 16]).err().unwrap();
            assert!(matches!(error, KeystoreError::CostOutOfBounds { .. }), "{cost:?}");
        }
    }

    /// From the reference implementation: `printf password | argon2 somesaltsomesalt -id -v 13 -t 1 -k 64 -p 1 -l 32 -r`.
    #[test]
    fn derivation_is_argon2id_version_0x13() {
        let sealer = Cost::FOR_TESTS
            .derive(&Passphrase::new("password".into()), b"somesaltsomesalt")
            .unwrap();
        assert_eq!(
            sealer.key_hex(),
            "e793d64ef75d58f503d4631b2b149f7f80127c5f3993d89b1c9b781e51d0b413"
        );
    }
}
