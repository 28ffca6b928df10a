//! Unsigned bytes as a bundle reads them with what observers attest.

use countersign_approval::Request;
use countersign_bundle::Bundle;
use countersign_chains::ParseError;
use countersign_types::{BundleDigest, ChainFacts, ChainId, FactKey, ParsedTransaction, TransactionDigest, WalletId};

/// A parse together with everything that it was made from, so that a decision sees whether it is of the same.
///
/// Parsing is done outside the journal's lock; the decision inside derives the facts again and refuses a reading that was
/// made with others.
#[derive(Debug, Clone)]
pub struct Reading {
    bundle: BundleDigest,
    network: ChainId,
    wallet: WalletId,
    transaction: TransactionDigest,
    facts: ChainFacts,
    parsed: Result<ParsedTransaction, ParseError>,
    wanted: Vec<FactKey>,
}

impl Reading {
    /// Parses bytes for a request's wallet and network.
    pub fn new(bundle: &Bundle, request: &Request, unsigned: &[u8], facts: ChainFacts) -> Self {
        let registry = bundle.registry();
        // Bytes of which this cannot be told do not parse either, and that is the answer then.
        let wanted = registry.wanted_facts(&request.network, &request.wallet, unsigned);
        Self {
            bundle: bundle.digest(),
            network: request.network.clone(),
            wallet: request.wallet.clone(),
            transaction: TransactionDigest::of(unsigned),
            parsed: registry.parse(&request.network, &request.wallet, unsigned, &facts),
            wanted: wanted.unwrap_or_default(),
            facts,
        }
    }

    /// The digest of the bytes.
    pub fn transaction(&self) -> TransactionDigest {
        self.transaction
    }

    /// The network that the bytes are for.
    pub fn network(&self) -> &ChainId {
        &self.network
    }

    /// The facts that it was made with.
    pub fn facts(&self) -> &ChainFacts {
        &self.facts
    }

    /// The facts that it asks for.
    pub fn wanted(&self) -> &[FactKey] {
        &self.wanted
    }

    /// What the bytes do, or why they are not understood.
    pub fn parsed(&self) -> Result<&ParsedTransaction, &ParseError> {
        self.parsed.as_ref()
    }

    /// The facts that it asks for and was made without.
    pub(crate) fn unattested(&self) -> impl Iterator<Item = &FactKey> {
        self.wanted.iter().filter(|key| match key {
            FactKey::LookupTable(account) => !self.facts.tables.contains_key(account),
            FactKey::NonceAccount(account) => !self.facts.nonces.contains_key(account),
        })
    }

    /// Whether it is what this bundle makes of a request's bytes with these facts.
    pub(crate) fn is_of(&self, bundle: &Bundle, request: &Request, facts: &ChainFacts) -> bool {
        self.bundle == bundle.digest()
            && self.network == request.network
            && self.wallet == request.wallet
            && self.facts == *facts
    }
}
