//! A wallet on Ethereum, a second own wallet, a registered token, and drafts to change.

use std::collections::BTreeMap;

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use countersign_types::{
    Amount, AssetId, AssetRecord, AssetRegistry, AuthorityScope, CodeChangeKind, Decimals, Destination, Effect,
    OpaqueKind, ParsedTransaction, PublicKey, RawSignature, Selector, SignedTransaction, SigningBytes, WalletId,
};
use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};
use serde::Deserialize;

use crate::{Account, AssembleError, Contracts, EvmNetwork, Known, ParseError, Sender, assemble, parse};

/// The private key of EIP-155's own example.
pub(super) const HOT_KEY: [u8; 32] = [0x46; 32];
pub(super) const WARM_KEY: [u8; 32] = [0x47; 32];
/// The key of an account that is not ours.
pub(super) const THEIR_KEY: [u8; 32] = [0x48; 32];
pub(super) const TOKEN: Address = address!("A0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48");
pub(super) const STRANGER: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
/// Registered as an ERC-721 collection.
pub(super) const APES: Address = address!("BC4CA0EdA7647A8aB7C2061c2E118A18a936f13D");
/// Registered as an ERC-1155 collection.
pub(super) const ITEMS: Address = address!("76BE3b62873462d2142405439777e971754E8E77");
/// A contract that nobody registered.
pub(super) const CONTRACT: Address = address!("5FC8d32690cc91D4c39d9d3abcBD16989F875707");
pub(super) const THIEF: Address = address!("47666Fab8bd0Ac7003bce3f5C3585383F09486E2");
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
    /// Of the assets, made once: tests parse millions of times.
    pub(super) contracts: Contracts,
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
        let token = |kind: &str, contract: Address, symbol: &str, decimals| AssetRecord {
            id: format!("{}/{kind}:{contract}", network.chain()).parse().unwrap(),
            symbol: symbol.parse().unwrap(),
            decimals: Decimals::new(decimals).unwrap(),
            quirks: std::collections::BTreeSet::new(),
        };
        let assets = [
            network.native().clone(),
            token("erc20", TOKEN, "USDC", 6),
            token("erc721", APES, "BAYC", 0),
            token("erc1155", ITEMS, "ITEMS", 0),
        ];
        let assets = AssetRegistry::new(assets).unwrap();
        Self {
            contracts: Contracts::new(&assets),
            assets,
            wallet: "eth-hot".parse().unwrap(),
            own: own.into(),
            network,
            account,
            warm,
        }
    }

    /// Lists other assets.
    pub(super) fn list(&mut self, assets: AssetRegistry) {
        self.contracts = Contracts::new(&assets);
        self.assets = assets;
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
            contracts: &self.contracts,
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
        self.asset_transfer("erc20", TOKEN, amount, to)
    }

    pub(super) fn asset_transfer(&self, kind: &str, contract: Address, amount: u64, to: Address) -> Effect {
        Effect::Transfer {
            asset: self.asset(kind, contract),
            amount: Amount::from_base_units(amount),
            destination: self.destination(to),
        }
    }

    pub(super) fn asset(&self, kind: &str, contract: Address) -> AssetId {
        format!("{}/{kind}:{contract}", self.network.chain()).parse().unwrap()
    }

    pub(super) fn allowance(&self, kind: &str, contract: Address, amount: Amount, spender: Address) -> Effect {
        Effect::Allowance {
            asset: self.asset(kind, contract),
            amount,
            spender: self.destination(spender),
        }
    }

    pub(super) fn contract_call(&self, contract: Address, input: &[u8]) -> Effect {
        let (selector, args) = input.split_first_chunk().unwrap();
        Effect::ContractCall {
            contract: self.destination(contract),
            selector: Selector(*selector),
            args: args.to_vec(),
        }
    }

    pub(super) fn opaque(&self, contract: Address, input: &[u8]) -> Effect {
        Effect::Opaque {
            what: OpaqueKind::Calldata,
            target: Some(self.destination(contract)),
            bytes: input.to_vec(),
        }
    }

    pub(super) fn authority(&self, subject: Address, scope: AuthorityScope, holder: Option<Address>) -> Effect {
        Effect::AuthorityChange {
            subject: self.destination(subject),
            scope,
            holder: holder.map(|holder| self.destination(holder)),
        }
    }

    pub(super) fn code_change(&self, subject: Address, change: CodeChangeKind, code: &[u8]) -> Effect {
        Effect::CodeChange {
            subject: Some(self.destination(subject)),
            change,
            code: code.to_vec(),
        }
    }

    /// The effects of a call without value, but for the fee.
    pub(super) fn effects_of_call(&self, to: Address, input: &[u8]) -> Vec<Effect> {
        self.effects_of_paying_call(to, 0, input)
    }

    pub(super) fn effects_of_paying_call(&self, to: Address, value: u64, input: &[u8]) -> Vec<Effect> {
        let parsed = self.parse(&call_with(to, value, input)).unwrap();
        let (fee, effects) = parsed.effects().split_last().unwrap();
        assert!(matches!(fee, Effect::Fee { .. }));
        effects.to_vec()
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
        access_list: AccessList::default(),
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

/// The same transfer with an access list.
pub(super) fn eip2930() -> TxEip2930 {
    TxEip2930 {
        chain_id: 1,
        nonce: 7,
        gas_price: 20_000_000_000,
        gas_limit: 21_000,
        to: TxKind::Call(STRANGER),
        value: U256::from(ETHER),
        access_list: access_list(1, 1),
        input: Bytes::new(),
    }
}

pub(super) fn access_list(addresses: usize, keys: usize) -> AccessList {
    let item = AccessListItem {
        address: TOKEN,
        storage_keys: vec![B256::repeat_byte(7); keys],
    };
    AccessList(vec![item; addresses])
}

/// An authorization that the holder of a key signed.
pub(super) fn authorize(secret: &[u8; 32], authorization: Authorization) -> SignedAuthorization {
    let key = SigningKey::from_slice(secret).unwrap();
    let hash = authorization.signature_hash();
    let (signature, id) = key.sign_prehash_recoverable(hash.as_slice());
    let (r, s) = signature.split_bytes();
    let scalar = |bytes: &[u8]| U256::from_be_slice(bytes);
    SignedAuthorization::new_unchecked(authorization, id.is_y_odd().into(), scalar(&r), scalar(&s))
}

/// A stranger's account (the key of [`THEIR_KEY`]) becomes code of [`CONTRACT`], and 1 ether goes to a stranger.
pub(super) fn eip7702() -> TxEip7702 {
    let authorization = Authorization {
        chain_id: U256::from(1),
        address: CONTRACT,
        nonce: 3,
    };
    TxEip7702 {
        chain_id: 1,
        nonce: 7,
        gas_limit: 100_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_500_000_000,
        to: STRANGER,
        value: U256::from(ETHER),
        access_list: AccessList::default(),
        authorization_list: vec![authorize(&THEIR_KEY, authorization)],
        input: Bytes::new(),
    }
}

pub(super) fn eip7702_with(change: impl FnOnce(&mut TxEip7702)) -> Vec<u8> {
    let mut tx = eip7702();
    change(&mut tx);
    tx.encoded_for_signing()
}

/// 1 ether to a stranger, with two blobs.
pub(super) fn eip4844() -> TxEip4844 {
    TxEip4844 {
        chain_id: 1,
        nonce: 7,
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_500_000_000,
        to: STRANGER,
        value: U256::from(ETHER),
        access_list: AccessList::default(),
        blob_versioned_hashes: vec![blob_hash(1), blob_hash(2)],
        max_fee_per_blob_gas: 3,
        input: Bytes::new(),
    }
}

pub(super) fn blob_hash(number: u8) -> B256 {
    let mut hash = B256::repeat_byte(number);
    hash[0] = 0x01;
    hash
}

pub(super) fn eip4844_with(change: impl FnOnce(&mut TxEip4844)) -> Vec<u8> {
    let mut tx = eip4844();
    change(&mut tx);
    tx.encoded_for_signing()
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

/// A transaction that calls a contract.
pub(super) fn call_with(to: Address, value: u64, input: &[u8]) -> Vec<u8> {
    let input = Bytes::copy_from_slice(input);
    token_with(|tx| (tx.to, tx.value, tx.input) = (TxKind::Call(to), U256::from(value), input))
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

/// What a byte is changed to: these bits of it, or with `COUNTERSIGN_EVERY_BYTE` set every other value (CONTRIBUTING.md).
#[expect(clippy::disallowed_methods, reason = "a test may be asked to go further")]
pub(super) fn other_values(byte: u8, flips: &[u8]) -> Vec<u8> {
    match std::env::var_os("COUNTERSIGN_EVERY_BYTE") {
        Some(_) => (0..=u8::MAX).filter(|value| *value != byte).collect(),
        None => flips.iter().map(|flip| byte ^ flip).collect(),
    }
}
