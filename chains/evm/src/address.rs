//! EVM addresses: EIP-55 text, recipients that nobody can spend from, and the account behind a wallet key.

use std::fmt;

use alloy_primitives::{Address, address};
use countersign_types::{ChainId, Destination, DestinationError, KeyId, PublicKey, Tag};
use k256::ecdsa::VerifyingKey;

/// What people write by hand to destroy what they send, and what stands for "anybody" and for ether itself in interfaces.
const BURN: [Address; 5] = [
    address!("000000000000000000000000000000000000dEaD"),
    address!("dEAD000000000000000000000000000000000000"),
    address!("dEAD000000000000000042069420694206942069"),
    address!("EeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE"),
    address!("FFfFfFffFFfffFFfFFfFFFFFffFFFffffFfFFFfF"),
];
/// The last precompile numbered in sequence (EIP-2537, Prague).
const LAST_PRECOMPILE: u64 = 0x11;
/// secp256r1 verification (EIP-7951, Osaka; RIP-7212 on layer 2 networks).
const P256_VERIFY: u64 = 0x100;

/// Why an address is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `0x` and 40 hex digits.
    #[error("an EVM address is written `0x` and 40 hex characters")]
    BadShape,
    /// Not the one mixed-case form of EIP-55. All-lower and all-upper forms carry no checksum and are refused too.
    #[error("the address does not carry its EIP-55 checksum")]
    BadChecksum,
    /// Whatever is sent there is lost.
    #[error("the address is {0}: whatever is sent there is lost")]
    Reserved(Reserved),
    /// Not an address on an EVM network.
    #[error(transparent)]
    Destination(#[from] DestinationError),
}

impl AddressError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::BadShape | Self::BadChecksum | Self::Reserved(_) | Self::Destination(_) => {
                Tag::TransactionBadDestination
            }
        }
    }
}

/// What makes an address one that nobody can spend from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reserved {
    /// `0x00…00`: what an unset field looks like.
    Zero,
    /// `0x00…dEaD`, the customary burn address, and others that were made up like it.
    Burn,
    /// `0x00…01` to `0x00…11` and `0x00…0100`.
    Precompile,
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "the zero address",
            Self::Burn => "a burn address",
            Self::Precompile => "a precompiled contract",
        })
    }
}

/// Refuses an address that nobody can spend from.
pub(crate) fn certify_spendable(address: Address) -> Result<(), AddressError> {
    match reserved(address) {
        Some(reserved) => Err(AddressError::Reserved(reserved)),
        None => Ok(()),
    }
}

fn reserved(address: Address) -> Option<Reserved> {
    if address.is_zero() {
        return Some(Reserved::Zero);
    }
    if BURN.contains(&address) {
        return Some(Reserved::Burn);
    }
    let (high, low) = address.split_last_chunk::<8>()?;
    let number = u64::from_be_bytes(*low);
    let is_precompile = high.iter().all(|b| *b == 0) && (number <= LAST_PRECOMPILE || number == P256_VERIFY);
    is_precompile.then_some(Reserved::Precompile)
}

/// Parses the canonical EIP-55 form, and only that one.
pub(crate) fn parse_address(text: &str) -> Result<Address, AddressError> {
    let digits = text.strip_prefix("0x").ok_or(AddressError::BadShape)?;
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(AddressError::BadShape);
    }
    let address: Address = text.parse().map_err(|_| AddressError::BadShape)?;
    if address.to_checksum_buffer(None).as_str() != text {
        return Err(AddressError::BadChecksum);
    }
    Ok(address)
}

/// Parses a destination that something may be sent to: canonical EIP-55, and not reserved.
pub fn parse_destination(chain: &ChainId, text: &str) -> Result<Destination, AddressError> {
    let address = parse_address(text)?;
    certify_spendable(address)?;
    destination(chain, address)
}

pub(crate) fn destination(chain: &ChainId, address: Address) -> Result<Destination, AddressError> {
    Ok(Destination::new(chain, address.to_checksum_buffer(None).as_str())?)
}

/// Why wallet keys do not make an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// An account has one key; several are a contract wallet, which is another thing.
    #[error("an EVM wallet has exactly one key; this one has {0}")]
    NotOneKey(usize),
    /// Ed25519 keys sign nothing on EVM networks.
    #[error("key `{0}` is not a secp256k1 key")]
    WrongCurve(KeyId),
    /// The 33 bytes are no point on the curve.
    #[error("key `{0}` is not a point on secp256k1")]
    NotAPoint(KeyId),
}

/// The externally owned account of a wallet: one secp256k1 key and the address that follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    address: Address,
    /// The address with its checksum.
    text: String,
    key: KeyId,
    verifying: VerifyingKey,
}

impl Account {
    /// Derives the account of a wallet's keys: exactly one, on secp256k1, a point on the curve.
    pub fn derive(keys: &[PublicKey]) -> Result<Self, AccountError> {
        let [key] = keys else {
            return Err(AccountError::NotOneKey(keys.len()));
        };
        let id = key.id();
        let PublicKey::Secp256k1(bytes) = key else {
            return Err(AccountError::WrongCurve(id));
        };
        let verifying = VerifyingKey::from_sec1_bytes(bytes).map_err(|_| AccountError::NotAPoint(id))?;
        let address = address_of(&verifying).ok_or(AccountError::NotAPoint(id))?;
        Ok(Self {
            address,
            text: address.to_checksum(None),
            key: id,
            verifying,
        })
    }

    /// The account as a destination on one network.
    pub fn destination(&self, chain: &ChainId) -> Result<Destination, AddressError> {
        Ok(Destination::new(chain, &self.text)?)
    }

    /// The wallet key.
    pub fn key(&self) -> KeyId {
        self.key
    }

    pub(crate) fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }
}

/// The last 20 bytes of the Keccak-256 of the key's two coordinates.
pub(crate) fn address_of(key: &VerifyingKey) -> Option<Address> {
    let point = key.to_sec1_point(false);
    // SEC 1: the first byte says "uncompressed", the coordinates follow.
    let (_, coordinates) = point.as_bytes().split_first()?;
    let hash = alloy_primitives::keccak256(coordinates);
    Some(Address::from_word(hash))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The checksum examples that EIP-55 itself lists.
    const EIP_55: [&str; 8] = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    fn mainnet() -> ChainId {
        "eip155:1".parse().unwrap()
    }

    #[test]
    fn eip_55_vectors() {
        for text in EIP_55 {
            let parsed = parse_destination(&mainnet(), text).unwrap();
            assert_eq!(parsed.to_string(), format!("eip155:1:{text}"));
        }
    }

    #[test]
    fn one_letter_in_the_other_case_is_refused() {
        for text in EIP_55 {
            for (at, letter) in text.char_indices().skip(2).filter(|(_, c)| c.is_ascii_alphabetic()) {
                let swapped = if letter.is_ascii_uppercase() {
                    letter.to_ascii_lowercase()
                } else {
                    letter.to_ascii_uppercase()
                };
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, &swapped.to_string());
                assert_eq!(
                    parse_destination(&mainnet(), &changed),
                    Err(AddressError::BadChecksum),
                    "{changed}"
                );
            }
        }
    }

    #[test]
    fn other_texts_are_no_addresses() {
        let address = EIP_55[4];
        for bad in [
            "".to_owned(),
            address.trim_start_matches("0x").to_owned(),
            address.replace("0x", "0X"),
            format!("{address}0"),
            address.split_at(41).0.to_owned(),
            format!(" {address}"),
            address.replace('5', "g"),
            address.replace('5', "５"),
        ] {
            assert_eq!(parse_address(&bad), Err(AddressError::BadShape), "{bad}");
        }
        assert_eq!(parse_address(&address.to_lowercase()), Err(AddressError::BadChecksum));
        let upper = format!("0x{}", address.trim_start_matches("0x").to_uppercase());
        assert_eq!(parse_address(&upper), Err(AddressError::BadChecksum));
    }

    #[test]
    fn reserved_addresses_are_no_destinations() {
        let numbered = |number: u64| Address::left_padding_from(&number.to_be_bytes());
        let refused = [
            (numbered(0), Reserved::Zero),
            (numbered(1), Reserved::Precompile),
            (numbered(0x11), Reserved::Precompile),
            (numbered(0x100), Reserved::Precompile),
            (numbered(0xdead), Reserved::Burn),
            (address!("dEAD000000000000000000000000000000000000"), Reserved::Burn),
            (address!("dEAD000000000000000042069420694206942069"), Reserved::Burn),
            (address!("EeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE"), Reserved::Burn),
            (Address::repeat_byte(0xff), Reserved::Burn),
        ];
        for (address, why) in refused {
            let error = parse_destination(&mainnet(), &address.to_checksum(None)).unwrap_err();
            assert_eq!(error, AddressError::Reserved(why));
            assert_eq!(error.tag(), Tag::TransactionBadDestination);
        }
        let mut one_high_bit = numbered(1);
        one_high_bit[0] = 0x80;
        let near_burn = address!("dEAD000000000000000000000000000000000001");
        for address in [numbered(0x12), numbered(0xff), numbered(0x101), one_high_bit, near_burn] {
            assert!(
                parse_destination(&mainnet(), &address.to_checksum(None)).is_ok(),
                "{address}"
            );
        }
    }

    #[test]
    fn an_account_is_one_point_on_secp256k1() {
        // Private key 1: the generator and its well-known address.
        let generator: PublicKey = "secp256k1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
            .parse()
            .unwrap();
        let account = Account::derive(&[generator]).unwrap();
        assert_eq!(account.key(), generator.id());
        assert_eq!(
            account.destination(&mainnet()).unwrap().address(),
            "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
        );

        // x = 5 is on no point: 5³ + 7 is not a square modulo p.
        let mut off_curve = [0; 33];
        (off_curve[0], off_curve[32]) = (2, 5);
        let off_curve = PublicKey::Secp256k1(off_curve);
        let other_curve = PublicKey::Ed25519([1; 32]);
        let identity = PublicKey::Secp256k1([0; 33]);
        let refused: [(&[PublicKey], AccountError); 5] = [
            (&[], AccountError::NotOneKey(0)),
            (&[generator, off_curve], AccountError::NotOneKey(2)),
            (&[other_curve], AccountError::WrongCurve(other_curve.id())),
            (&[off_curve], AccountError::NotAPoint(off_curve.id())),
            (&[identity], AccountError::NotAPoint(identity.id())),
        ];
        for (keys, error) in refused {
            assert_eq!(Account::derive(keys), Err(error));
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 20]) {
            let text = Address::from(bytes).to_checksum(None);
            prop_assert_eq!(parse_address(&text), Ok(Address::from(bytes)));
        }
        #[test]
        fn parsing_never_panics(text in "(0x)?\\PC{0,44}") {
            drop(parse_destination(&mainnet(), &text));
        }
    }
}
