//! Withdrawals that need no approval: 0.05 ETH to a listed customer, requests signed before the clock runs.

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, TxKind, U256};
use anyhow::{Context as _, Result};
use countersign_approval::{Body, Envelope, FeeCeiling, Payment, Request, Statement, TransactionBinding, seal};
use countersign_integration::header;
use countersign_types::{Amount, ChainId, Destination, PaymentReference, Reference, TenantId, TransactionDigest};

use crate::site::Site;

const CHAIN_ID: u64 = 31_337;
const NETWORK: &str = "eip155:31337";
const ETH: &str = "eip155:31337/slip44:60";
/// Listed in policies/dev/destinations.yaml.
const CUSTOMER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// 0.05 ETH; the policy asks for approvals over 0.1.
const WEI: u64 = 50_000_000_000_000_000;
const GAS: u64 = 21_000;
const MAX_FEE_PER_GAS: u64 = 30_000_000_000;
const MAX_PRIORITY_FEE_PER_GAS: u64 = 1_000_000_000;

/// A signed request and the transaction that it names.
pub(crate) struct Prepared {
    pub(crate) request: Envelope,
    pub(crate) unsigned: Vec<u8>,
}

/// The next `count` withdrawals of one wallet, in the order of their nonces.
pub(crate) fn prepare(site: &mut Site, wallet: usize, count: u32) -> Result<Vec<Prepared>> {
    let mut prepared = Vec::new();
    for _ in 0..count {
        prepared.push(prepare_one(site, wallet)?);
        let wallet = site.wallets.get_mut(wallet).context("no such wallet")?;
        wallet.next_nonce = wallet.next_nonce.saturating_add(1);
    }
    Ok(prepared)
}

fn prepare_one(site: &Site, wallet: usize) -> Result<Prepared> {
    let wallet = site.wallets.get(wallet).context("no such wallet")?;
    let unsigned = transaction(wallet.next_nonce)?;
    let network: ChainId = NETWORK.parse()?;
    let name = format!("{}-{}", wallet.id, wallet.next_nonce);
    let payment = Payment {
        reference: PaymentReference::parse(name.clone())?,
        subject: None,
        asset: ETH.parse()?,
        amount: Amount::from_base_units(WEI),
        destination: Destination::new(&network, CUSTOMER)?,
    };
    let request = Request {
        tenant: TenantId::parse("main")?,
        reference: Reference::parse(name)?,
        wallet: wallet.id.clone(),
        network,
        payments: vec![payment],
        effects: Vec::new(),
        fee_ceiling: FeeCeiling {
            asset: ETH.parse()?,
            amount: Amount::from_base_units(GAS.saturating_mul(MAX_FEE_PER_GAS)),
        },
        transaction: TransactionBinding::Exact(TransactionDigest::of(&unsigned)),
        attributes: std::collections::BTreeMap::new(),
    };
    let statement = Statement {
        header: header(site.genesis)?,
        body: Body::Request(Box::new(request)),
    };
    let request = seal(&statement, &site.initiator)?;
    Ok(Prepared { request, unsigned })
}

/// The unsigned EIP-1559 bytes.
fn transaction(nonce: u64) -> Result<Vec<u8>> {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: GAS,
        max_fee_per_gas: MAX_FEE_PER_GAS.into(),
        max_priority_fee_per_gas: MAX_PRIORITY_FEE_PER_GAS.into(),
        to: TxKind::Call(CUSTOMER.parse::<Address>()?),
        value: U256::from(WEI),
        ..TxEip1559::default()
    };
    Ok(transaction.encoded_for_signing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_eip_1559_with_the_nonce_inside() {
        // Written by hand: 02 ‖ rlp([chain, nonce, tip, fee, gas, to, value, "", []]).
        let expected = "02f1827a6905843b9aca008506fc23ac0082520894\
                        70997970c51812dc3a010c7d01b50e0d17dc79c887b1a2bc2ec5000080c0";
        assert_eq!(hex::encode(transaction(5).unwrap()), expected);
    }
}
