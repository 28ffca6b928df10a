//! A wallet on Ethereum, a second own wallet, a registered token, and drafts to change.

use std::collections::BTreeMap;

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxLegacy};
use alloy_primitives::{Address, Bytes, TxKind, U256, address};
use countersign_types::{
    Amount, AssetRecord, AssetRegistry, Decimals, Destination, Effect, ParsedTransaction, PublicKey, RawSignature,
    SignedTransaction, SigningBytes, WalletId,
};
use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};
use serde::Deserialize;

use crate::{Account, AssembleError, EvmNetwork, Known, ParseError, Sender, assemble, parse};

/// The private key of EIP-155's own example.
pub(super) const HOT_KEY: [u8; 32] = [0x46; 32];
pub(super) const WARM_KEY: [u8; 32] = [0x47; 32];
pub(super) const TOKEN: Address = address!("A0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48");
pub(super) const STRANGER: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
pub(super) const ETHER: u64 = 1_000_000_000_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    evm: EvmNetwork,
}

pub(super) fn network_of(yaml: &str) -> Result<EvmNetwork, String> {
    let file: Result<File, _> = serde_saphyr::from_str(yaml);
    file.map(|file| file.evm).map_err(|error| error.to_string())
}

pub(super) fn ethereum() -> EvmNetwork {
    network_of(include_str!("../../networks/ethereum.yaml")).unwrap()
}

pub(super) fn public_key(secret: &[u8; 32]) -> PublicKey {
    let key = SigningKey::from_slice(secret).unwrap();
    let point = key.verifying_key().to_sec1_point(true);
    PublicKey::Secp256k1(point.as_bytes().try_into().unwrap())
}

pub(super) fn sign(secret: &[u8; 32], hash: &[u8; 32]) -> RawSignature {
    let key = SigningKey::from_slice(secret).unwrap();
    let signature: Signature = key.sign_prehash(hash).unwrap();
    RawSignature::Ecdsa(signature.to_bytes().into())
}

/// What a bundle with one network would give a parser.
pub(super) struct World {
    pub(super) network: EvmNetwork,
    pub(super) wallet: WalletId,
    pub(super) account: Account,
    pub(super) warm: Account,
    pub(super) assets: AssetRegistry,
    pub(super) own: BTreeMap<Destination, WalletId>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::on(ethereum(), public_key(&HOT_KEY))
    }

    pub(super) fn on(network: EvmNetwork, key: PublicKey) -> Self {
        let account = Account::derive(&[key]).unwrap();
        let warm = Account::derive(&[public_key(&WARM_KEY)]).unwrap();
        let own = [(&account, "eth-hot"), (&warm, "eth-warm")]
            .map(|(account, wallet)| (account.destination(network.chain()).unwrap(), wallet.parse().unwrap()));
        let token = AssetRecord {
            id: format!("{}/erc20:{TOKEN}", network.chain()).parse().unwrap(),
            symbol: "USDC".parse().unwrap(),
            decimals: Decimals::new(6).unwrap(),
        };
        Self {
            assets: AssetRegistry::new([network.native().clone(), token]).unwrap(),
            wallet: "eth-hot".parse().unwrap(),
            own: own.into(),
            network,
            account,
            warm,
        }
    }

    pub(super) fn sender(&self) -> Sender<'_> {
        Sender {
            network: &self.network,
            wallet: &self.wallet,
            account: &self.account,
        }
    }

    pub(super) fn parse(&self, unsigned: &[u8]) -> Result<ParsedTransaction, ParseError> {
        let known = Known {
            assets: &self.assets,
            own: &self.own,
        };
        parse(unsigned, &self.sender(), &known)
    }

    pub(super) fn assemble(
        &self,
        unsigned: &[u8],
        signatures: &[RawSignature],
    ) -> Result<SignedTransaction, AssembleError> {
        assemble(unsigned, &self.sender(), signatures)
    }

    pub(super) fn destination(&self, address: Address) -> Destination {
        Destination::new(self.network.chain(), &address.to_checksum(None)).unwrap()
    }

    pub(super) fn ether(&self, amount: u64, to: Address) -> Effect {
        Effect::Transfer {
            asset: self.network.native().id.clone(),
            amount: Amount::from_base_units(amount),
            destination: self.destination(to),
        }
    }

    pub(super) fn token(&self, amount: u64, to: Address) -> Effect {
        Effect::Transfer {
            asset: format!("{}/erc20:{TOKEN}", self.network.chain()).parse().unwrap(),
            amount: Amount::from_base_units(amount),
            destination: self.destination(to),
        }
    }

    pub(super) fn fee(&self, wei: u64) -> Effect {
        Effect::Fee {
            asset: self.network.native().id.clone(),
            max: Amount::from_base_units(wei),
        }
    }
}

/// The one hash that a parsed transaction needs signed.
pub(super) fn prehash(parsed: &ParsedTransaction) -> [u8; 32] {
    let [payload] = parsed.signing_payloads() else {
        panic!("one payload");
    };
    match payload.bytes() {
        SigningBytes::EcdsaPrehash(hash) => *hash,
        other => panic!("{other:?}"),
    }
}

/// 1 ether to a stranger; the most it can cost is 42·10¹³ wei.
pub(super) fn eip1559() -> TxEip1559 {
    TxEip1559 {
        chain_id: 1,
        nonce: 7,
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_500_000_000,
        to: TxKind::Call(STRANGER),
        value: U256::from(ETHER),
        access_list: alloy_eips::eip2930::AccessList::default(),
        input: Bytes::new(),
    }
}

/// The example of EIP-155.
pub(super) fn legacy() -> TxLegacy {
    TxLegacy {
        chain_id: Some(1),
        nonce: 9,
        gas_price: 20_000_000_000,
        gas_limit: 21_000,
        to: TxKind::Call(address!("3535353535353535353535353535353535353535")),
        value: U256::from(ETHER),
        input: Bytes::new(),
    }
}

/// 5 tokens (5 000 000 units) to a stranger.
pub(super) fn token_transfer() -> TxEip1559 {
    TxEip1559 {
        to: TxKind::Call(TOKEN),
        value: U256::ZERO,
        gas_limit: 65_000,
        input: transfer_input(STRANGER, 5_000_000),
        ..eip1559()
    }
}

pub(super) fn transfer_input(to: Address, amount: u64) -> Bytes {
    let amount = U256::from(amount).to_be_bytes::<32>();
    [&[0xa9, 0x05, 0x9c, 0xbb][..], &[0; 12], to.as_slice(), &amount]
        .concat()
        .into()
}

/// The bytes of a valid transaction with one change.
pub(super) fn eip1559_with(change: impl FnOnce(&mut TxEip1559)) -> Vec<u8> {
    let mut tx = eip1559();
    change(&mut tx);
    tx.encoded_for_signing()
}

pub(super) fn token_with(change: impl FnOnce(&mut TxEip1559)) -> Vec<u8> {
    let mut tx = token_transfer();
    change(&mut tx);
    tx.encoded_for_signing()
}

pub(super) fn legacy_with(change: impl FnOnce(&mut TxLegacy)) -> Vec<u8> {
    let mut tx = legacy();
    change(&mut tx);
    tx.encoded_for_signing()
}

/// A list over fields that are already encoded, however badly.
pub(super) fn list(fields: &[Vec<u8>]) -> Vec<u8> {
    let payload = fields.concat();
    let mut bytes = Vec::new();
    alloy_rlp::Header {
        list: true,
        payload_length: payload.len(),
    }
    .encode(&mut bytes);
    [bytes, payload].concat()
}
