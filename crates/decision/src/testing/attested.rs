//! Fixtures of attestations: three price sources, and a desk that screens payments and keeps the customers' address book.

use std::collections::BTreeMap;

use countersign_approval::{
    Body, BookEntry, BookState, Envelope, PriceSourceRecord, Quote, RosterFile, Screening, ScreeningResult,
};
use countersign_types::{AttestationKind, Currency, Duration, Timestamp};

use super::{Ask, World, bundle_files, ids, sealed, solana::observed_roster, withdrawal};

/// The price sources, of which two make a price, at most two percent apart and five minutes old.
pub const SOURCES: [&str; 3] = ["node-a", "node-b", "node-c"];
/// Screens payments and keeps the address book.
pub const DESK: &str = "node-d";

/// Whatever goes to customers of the book, up to 50 000 dollars; above 1 000 it takes two of the treasury, and every payment is
/// screened.
pub const POLICY: &str = r#"schema: countersign.policy/1
permits:
  - id: customer-payouts
    effects: [transfer]
    initiators: [payout-service]
    wallets: [eth-hot]
    assets: [ETH, DEMO]
    to: { address-book: node-d }
    total: { max: { USD: "50000 USD" } }
  - id: network-fees
    effects: [fee]
    wallets: [eth-hot]
    fee: { max: "0.05 ETH" }
requires:
  - id: tier-1
    when: { effects: [transfer], total: { over: { USD: "1000 USD" } } }
    approvals: { treasury: 2 }
  - id: screening
    when: { effects: [transfer] }
    attestations: [{ kind: sanctions, by: node-d, max-age: 15m }]
limits: []
forbids:
  - id: no-code-or-authority
    when: { effects: [code-change, authority-change, delayed-authorization, opaque] }
"#;

/// The development roster with the services above.
pub fn attested_roster() -> RosterFile {
    RosterFile {
        observers: Vec::new(),
        price_sources: vec![PriceSourceRecord {
            currency: Currency::Usd,
            threshold: 2,
            members: ids(&SOURCES),
            max_age: Duration::from_secs(300),
            max_spread: "2 %".parse().expect("a spread"),
        }],
        ..observed_roster()
    }
}

/// The files of the development bundle with a roster and a policy, without a manifest.
pub fn attested_files(roster: &RosterFile, policy: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = bundle_files(roster);
    files.insert("policy.yaml".to_owned(), policy.as_bytes().to_vec());
    files
}

impl World {
    /// The world with the services above and a policy.
    pub fn attested(policy: &str) -> Self {
        let mut world = Self::new();
        world.roster = attested_roster();
        world.files = sealed(1, None, attested_files(&world.roster, policy));
        world
    }

    /// A quote of an ether in dollars.
    pub fn quote(&self, source: &str, sequence: u64, price: &str, at: Timestamp) -> Envelope {
        let body = Quote {
            asset: super::ETH.parse().expect("an asset"),
            currency: Currency::Usd,
            price: price.parse().expect("a price"),
            sequence,
            observed_at: at.to_seconds(),
        };
        self.sign(source, Body::Price(body))
    }

    /// What the desk found about a payment.
    pub fn screening_body(&self, request: &Envelope, ask: &Ask, at: Timestamp) -> Screening {
        Screening {
            check: AttestationKind::Sanctions,
            withdrawal: withdrawal(request),
            destination: ask.destination.parse().expect("a destination"),
            asset: ask.asset.parse().expect("an asset"),
            amount: ask.amount.into(),
            result: ScreeningResult::Pass,
            sequence: 1,
            screened_at: at.to_seconds(),
        }
    }

    /// The desk's word about the customer's destination: registered then, or removed.
    pub fn book_entry(&self, ask: &Ask, sequence: u64, registered: Option<Timestamp>) -> Envelope {
        let body = BookEntry {
            tenant: "main".parse().expect("a tenant"),
            subject: "customer-1".parse().expect("a subject"),
            destination: ask.destination.parse().expect("a destination"),
            entry: registered.map_or(BookState::Removed, |at| BookState::Registered { at: at.to_seconds() }),
            sequence,
        };
        self.sign(DESK, Body::AddressBook(body))
    }
}
