//! EVM wallets and what a transaction of theirs must parse to, computed from its fields by somebody else.

use alloy_primitives::{Address, U256, keccak256};
use countersign_chains::ParseError;
use countersign_types::{
    Amount, AssetRecord, CodeChangeKind, ConflictKey, Destination, Effect, OpaqueKind, ParsedTransaction, PublicKey,
    Selector, SignedTransaction, SigningBytes,
};

use crate::oracle::{World, public_key, sign_ecdsa};

/// The vectors draw gas limits at random.
const ANY_GAS: u64 = u64::MAX;

pub(crate) fn world(chain_id: u64, wallets: &[&[PublicKey]]) -> World {
    world_with(chain_id, wallets, vec![])
}

pub(crate) fn world_with(chain_id: u64, wallets: &[&[PublicKey]], assets: Vec<AssetRecord>) -> World {
    let network = format!(
        r#"{{"evm": {{"chain": "eip155:{chain_id}", "name": "any", "native": {{"symbol": "ETH", "slip44": 60}}, "max-gas-limit": {ANY_GAS}}}}}"#
    );
    World::new(&network, wallets, assets)
}

pub(crate) fn world_of(chain_id: u64, secret: &[u8; 32]) -> World {
    world(chain_id, &[&[public_key(secret)]])
}

/// The fields of a transaction as an oracle states them.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) nonce: u64,
    pub(crate) gas: U256,
    /// The price of the types without a tip, the maximum of the others.
    pub(crate) gas_price: U256,
    /// `None` creates a contract.
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) data: Vec<u8>,
    /// EIP-4844: the versioned hashes, and the price of one unit of blob gas.
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) blob_gas_price: U256,
}

/// EIP-4844.
const GAS_PER_BLOB: u64 = 131_072;

pub(crate) fn destination(world: &World, address: Address) -> Destination {
    Destination::new(&world.chain, &address.to_checksum(None)).unwrap()
}

pub(crate) fn amount(value: U256) -> Amount {
    Amount::from_be_bytes(value.to_be_bytes())
}

impl Fields {
    /// What a call without a known function to an account that is not ours must be, fee included.
    pub(crate) fn effects(&self, world: &World) -> Vec<Effect> {
        let mut effects = vec![self.fee(world)];
        effects.extend(self.blobs.iter().map(|hash| Effect::Opaque {
            what: OpaqueKind::Blob,
            target: self.to.map(|to| destination(world, to)),
            bytes: hash.clone(),
        }));
        let transfer = |to| Effect::Transfer {
            asset: world.registry.fee_asset(&world.chain).unwrap(),
            amount: amount(self.value),
            destination: destination(world, to),
        };
        match self.to {
            None => {
                effects.push(Effect::CodeChange {
                    subject: None,
                    change: CodeChangeKind::Deploy,
                    code: self.data.clone(),
                });
                let sender: Address = world.address().parse().unwrap();
                effects.extend((!self.value.is_zero()).then(|| transfer(sender.create(self.nonce))));
            }
            Some(to) => {
                effects.extend((!self.value.is_zero() || self.data.is_empty()).then(|| transfer(to)));
                effects.extend(self.call(destination(world, to)));
            }
        }
        effects.sort();
        effects
    }

    pub(crate) fn fee(&self, world: &World) -> Effect {
        let execution = self.gas.checked_mul(self.gas_price).unwrap();
        let blob_gas = U256::from(GAS_PER_BLOB) * U256::from(self.blobs.len());
        Effect::Fee {
            asset: world.registry.fee_asset(&world.chain).unwrap(),
            max: amount(execution + blob_gas * self.blob_gas_price),
        }
    }

    fn call(&self, contract: Destination) -> Option<Effect> {
        match self.data.split_first_chunk::<4>() {
            Some((selector, args)) => Some(Effect::ContractCall {
                contract,
                selector: Selector(*selector),
                args: args.to_vec(),
            }),
            None if self.data.is_empty() => None,
            None => Some(Effect::Opaque {
                what: OpaqueKind::Calldata,
                target: Some(contract),
                bytes: self.data.clone(),
            }),
        }
    }
}

pub(crate) fn sorted(parsed: &ParsedTransaction) -> Vec<Effect> {
    let mut effects = parsed.effects().to_vec();
    effects.sort();
    effects
}

/// The sender's nonce is the anchor.
pub(crate) fn nonce(world: &World, parsed: &ParsedTransaction) -> u64 {
    match &parsed.conflict_keys()[0] {
        ConflictKey::AccountNonce { account, nonce } => {
            assert_eq!(account.address(), world.address());
            *nonce
        }
        other => panic!("{other}"),
    }
}

/// The one digest that is signed: by our parse, and by Keccak-256 over the very bytes.
pub(crate) fn digest(unsigned: &[u8], parsed: &ParsedTransaction) -> [u8; 32] {
    let [payload] = parsed.signing_payloads() else {
        panic!("one payload");
    };
    let SigningBytes::EcdsaPrehash(digest) = payload.bytes() else {
        panic!("ECDSA");
    };
    assert_eq!(*digest, keccak256(unsigned).0);
    *digest
}

pub(crate) fn sign(world: &World, secret: &[u8; 32], unsigned: &[u8], parsed: &ParsedTransaction) -> SignedTransaction {
    let signature = sign_ecdsa(secret, &digest(unsigned, parsed));
    let signed = world.assemble(unsigned, &[signature]).unwrap();
    assert_eq!(signed.txid, keccak256(&signed.bytes).to_string());
    signed
}

/// The name of the error, which is the reason of a disagreement.
pub(crate) fn reason(error: &ParseError) -> String {
    let text = match error {
        ParseError::Evm(error) => format!("{error:?}"),
        other => panic!("not of the EVM family: {other}"),
    };
    let text = text.strip_prefix("TypedData(").unwrap_or(&text);
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}
