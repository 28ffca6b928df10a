//! A Solana wallet beside the EVM one, four observers of its network, and messages whose meaning rests on what they say.

use std::collections::BTreeMap;

use countersign_approval::{
    Approval, ApprovalItem, Body, Envelope, FeeCeiling, Observation, ObservedFact, ObserverRecord, Payment,
    PersonRecord, Request, RosterFile, ServiceRecord, TemplateKind, TransactionBinding,
};
use countersign_bundle::{Bundle, write_roster, write_wallets};
use countersign_chains::solana::Address;
use countersign_types::{
    Amount, ChainFacts, Destination, EffectsText, LookupTable, NonceAccount, PublicKey, Tier, TransactionDigest,
    WalletNetwork, WalletRecord,
};

use super::{World, bundle_files, dalek, ed25519_text, ids, public_line, roster, sealed, withdrawal};

/// The network of `chains/solana/networks/dev.yaml`.
pub const NETWORK: &str = "solana:localnet";
/// Its native asset.
pub const SOL: &str = "solana:localnet/slip44:501";
/// The private key of the wallet `sol-hot`.
pub const WALLET_SEED: [u8; 32] = [0x46; 32];
/// The observers of the network: services of alice, bob, carol and erin. Two of them make a fact.
pub const NODES: [&str; 4] = ["node-a", "node-b", "node-c", "node-d"];
/// Seed of the key of `erin`, who is behind nothing but her observer.
const ERIN: u8 = 0x0e;
/// What the durable nonce account stores.
pub const NONCE_VALUE: [u8; 32] = [0x55; 32];

const SYSTEM: [u8; 32] = [0; 32];
/// The address of the wallet's, the seed `x` and the System program: SHA-256 of the three.
const SEEDED: [u8; 32] = [
    0x21, 0x83, 0x68, 0x9f, 0xe0, 0xb7, 0x4e, 0x21, 0x7f, 0xf2, 0xf4, 0xf4, 0x51, 0xff, 0x82, 0x0e, 0xd4, 0x45, 0x46,
    0x4f, 0x78, 0x5f, 0xdb, 0x2c, 0x5e, 0xcb, 0x88, 0x47, 0x5b, 0x37, 0xf0, 0xf8,
];

/// Who an address of these fixtures belongs to.
fn address_of(seed: u8) -> [u8; 32] {
    dalek([seed; 32]).verifying_key().to_bytes()
}

fn place(address: [u8; 32]) -> Destination {
    let text = format!("{NETWORK}:{}", Address::new(address));
    text.parse().expect("a destination")
}

/// The customer that the list names.
pub fn customer() -> [u8; 32] {
    address_of(0x11)
}

/// On no list.
pub fn thief() -> [u8; 32] {
    address_of(0x12)
}

/// The durable nonce account.
pub fn nonce_account() -> Destination {
    place(address_of(0x13))
}

/// The address lookup table.
pub fn table() -> Destination {
    place(address_of(0x15))
}

/// The wallet's address.
pub fn wallet() -> Destination {
    place(dalek(WALLET_SEED).verifying_key().to_bytes())
}

/// The key of a node.
pub(super) fn node_seed(node: &str) -> Option<[u8; 32]> {
    let at = NODES.iter().position(|name| *name == node)?;
    Some([u8::try_from(at).ok()?.saturating_add(0x20); 32])
}

fn blockhashes() -> Address {
    "SysvarRecentB1ockHashes11111111111111111111"
        .parse()
        .expect("an address")
}

/// How a message says whom it pays, and what keeps it from landing twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The address stands in the message, which lands while its blockhash is young.
    Plain,
    /// The address is the second one of the lookup table.
    LookedUp,
    /// The message takes the place of a durable nonce.
    Durable,
    /// Nothing but the advance of the durable nonce, which takes the place of a payment under it.
    Advance,
    /// The lamports come from an account that is derived from the wallet's: the same effects, and no plain transfer.
    Seeded,
}

/// A withdrawal of one SOL from `sol-hot`.
#[derive(Debug, Clone)]
pub struct SolanaAsk {
    /// The reference; payment references derive from it.
    pub reference: String,
    /// In lamports.
    pub amount: u64,
    /// The recent blockhash, or the nonce's value.
    pub blockhash: [u8; 32],
    /// How it is built.
    pub shape: Shape,
    /// Bind a template instead of the exact bytes.
    pub is_template: bool,
}

impl Default for SolanaAsk {
    fn default() -> Self {
        Self {
            reference: "sol-1".to_owned(),
            amount: 1_000_000_000,
            blockhash: [0x77; 32],
            shape: Shape::Plain,
            is_template: true,
        }
    }
}

impl SolanaAsk {
    /// A payment whose recipient stands in the lookup table.
    pub fn looked_up() -> Self {
        Self {
            shape: Shape::LookedUp,
            ..Self::default()
        }
    }

    /// A payment under the durable nonce.
    pub fn durable() -> Self {
        Self {
            shape: Shape::Durable,
            blockhash: NONCE_VALUE,
            ..Self::default()
        }
    }

    /// What takes the place of a payment under the durable nonce.
    pub fn advance() -> Self {
        Self {
            shape: Shape::Advance,
            ..Self::durable()
        }
    }

    /// The unsigned message.
    pub fn unsigned(&self) -> Vec<u8> {
        let payer = dalek(WALLET_SEED).verifying_key().to_bytes();
        let transfer = [&[2, 0, 0, 0][..], &self.amount.to_le_bytes()].concat();
        match self.shape {
            Shape::Plain => [
                &[1, 0, 1, 3],
                &payer[..],
                &customer(),
                &SYSTEM,
                &self.blockhash,
                &[1, 2, 2, 0, 1, 12],
                &transfer,
            ]
            .concat(),
            Shape::LookedUp => [
                &[0x80, 1, 0, 1, 2],
                &payer[..],
                &SYSTEM,
                &self.blockhash,
                &[1, 1, 2, 0, 2, 12],
                &transfer,
                &[1],
                &address_of(0x15),
                &[1, 1, 0],
            ]
            .concat(),
            Shape::Seeded => [
                &[1, 0, 1, 4],
                &payer[..],
                &SEEDED,
                &customer(),
                &SYSTEM,
                &self.blockhash,
                &[1, 3, 3, 1, 0, 2, 53, 11, 0, 0, 0],
                &self.amount.to_le_bytes(),
                &[1, 0, 0, 0, 0, 0, 0, 0, b'x'],
                &SYSTEM,
            ]
            .concat(),
            Shape::Advance => [
                &[1, 0, 2, 4],
                &payer[..],
                &address_of(0x13),
                &SYSTEM,
                blockhashes().as_bytes(),
                &self.blockhash,
                &[1, 2, 3, 1, 3, 0, 4, 4, 0, 0, 0],
            ]
            .concat(),
            Shape::Durable => [
                &[1, 0, 2, 5],
                &payer[..],
                &address_of(0x13),
                &customer(),
                &SYSTEM,
                blockhashes().as_bytes(),
                &self.blockhash,
                &[2, 3, 3, 1, 4, 0, 4, 4, 0, 0, 0],
                &[3, 2, 0, 2, 12],
                &transfer,
            ]
            .concat(),
        }
    }

    /// The request's body.
    pub fn request(&self) -> Request {
        let transaction = if self.is_template {
            TransactionBinding::Template(TemplateKind::SolanaBlockhashAndFee)
        } else {
            TransactionBinding::Exact(TransactionDigest::of(&self.unsigned()))
        };
        let effects = match self.shape {
            Shape::Plain | Shape::LookedUp | Shape::Seeded => Vec::new(),
            Shape::Durable | Shape::Advance => vec![format!("delayed-authorization through {}", nonce_account())],
        };
        Request {
            tenant: "main".parse().expect("tenant"),
            reference: self.reference.parse().expect("reference"),
            wallet: "sol-hot".parse().expect("wallet"),
            network: NETWORK.parse().expect("network"),
            payments: vec![Payment {
                reference: format!("{}/1", self.reference).parse().expect("payment reference"),
                subject: None,
                asset: SOL.parse().expect("asset"),
                amount: Amount::from(u128::from(self.amount)),
                destination: place(customer()),
            }],
            effects,
            fee_ceiling: FeeCeiling {
                asset: SOL.parse().expect("asset"),
                amount: Amount::from(1_000_000_u128),
            },
            transaction,
            attributes: BTreeMap::new(),
        }
    }
}

/// What honest observers say of the lookup table: somebody, and then the customer.
pub fn table_fact() -> ObservedFact {
    ObservedFact::LookupTable {
        account: table(),
        addresses: vec![address_of(0x30), customer()],
    }
}

/// What honest observers say of the durable nonce account.
pub fn nonce_fact() -> ObservedFact {
    ObservedFact::NonceAccount {
        account: nonce_account(),
        authority: wallet(),
        value: NONCE_VALUE,
    }
}

/// What bytes are parsed with once the facts above are attested.
pub fn honest_facts(height: u64) -> ChainFacts {
    let contents = LookupTable {
        height,
        addresses: vec![address_of(0x30), customer()],
    };
    let stored = NonceAccount {
        height,
        authority: wallet(),
        value: NONCE_VALUE,
    };
    ChainFacts {
        tables: BTreeMap::from([(table(), contents)]),
        nonces: BTreeMap::from([(nonce_account(), stored)]),
    }
}

/// The development roster with the four observers, of which two make a fact. `dave` operates the initiator, so somebody else
/// operates the fourth.
pub fn observed_roster() -> RosterFile {
    let mut roster = roster();
    roster.people.push(PersonRecord {
        id: "erin".parse().expect("an id"),
        keys: vec![public_line(ERIN)],
    });
    let operators = ["alice", "bob", "carol", "erin"];
    for (node, operator) in NODES.iter().zip(operators) {
        roster.services.push(ServiceRecord {
            id: node.parse().expect("an id"),
            operators: ids(&[operator]),
            keys: vec![ed25519_text(node_seed(node).expect("a node"))],
        });
    }
    roster.observers = vec![ObserverRecord {
        network: NETWORK.parse().expect("a network"),
        threshold: 2,
        members: ids(&NODES),
    }];
    roster
}

const SECTION: &str = r#"permits:
  - id: solana-payouts
    effects: [transfer]
    initiators: [payout-service]
    wallets: [sol-hot]
    assets: [SOL]
    to: { list: solana-customers }
    amount: { max: { SOL: "100 SOL" } }
  - id: solana-nonces
    effects: [delayed-authorization]
    initiators: [payout-service]
    wallets: [sol-hot]
  - id: solana-fees
    effects: [fee]
    wallets: [sol-hot]
    fee: { max: "0.01 SOL" }
"#;

/// The files of the development bundle with the Solana network, its wallet and a roster.
pub fn files(roster: &RosterFile) -> BTreeMap<String, Vec<u8>> {
    let mut files = bundle_files(roster);
    let wallets = [
        WalletRecord {
            id: "eth-hot".parse().expect("a wallet"),
            tier: Tier::Hot,
            keys: vec![super::WALLET_KEY.parse().expect("a key")],
            networks: BTreeMap::from([("eip155:31337".parse().expect("a chain"), WalletNetwork::default())]),
            table: None,
        },
        WalletRecord {
            id: "sol-hot".parse().expect("a wallet"),
            tier: Tier::Hot,
            keys: vec![PublicKey::Ed25519(dalek(WALLET_SEED).verifying_key().to_bytes())],
            networks: BTreeMap::from([(NETWORK.parse().expect("a chain"), WalletNetwork::default())]),
            table: None,
        },
    ];
    files.insert("wallets.yaml".to_owned(), write_wallets(&wallets).into_bytes());
    files.insert("roster.yaml".to_owned(), write_roster(roster).into_bytes());
    files.insert(
        "networks/solana.yaml".to_owned(),
        include_bytes!("../../../../chains/solana/networks/dev.yaml").to_vec(),
    );
    let change = |files: &mut BTreeMap<String, Vec<u8>>, path: &str, from: &str, to: &str| {
        let text = String::from_utf8(files.get(path).expect("a file").clone()).expect("text");
        assert!(text.contains(from), "{path} lacks `{from}`");
        files.insert(path.to_owned(), text.replacen(from, to, 1).into_bytes());
    };
    change(&mut files, "policy.yaml", "permits:\n", SECTION);
    change(
        &mut files,
        "policy.yaml",
        "effects: [code-change, authority-change, delayed-authorization, opaque]",
        "effects: [code-change, authority-change, opaque]",
    );
    change(
        &mut files,
        "policy.yaml",
        "DEMO: \"100 DEMO\" }",
        "DEMO: \"100 DEMO\", SOL: \"0.5 SOL\" }",
    );
    let list = format!(
        "lists:\n  - id: solana-customers\n    entries:\n      - {{ name: Somebody, address: \"{}\" }}\n",
        place(customer())
    );
    change(&mut files, "destinations.yaml", "lists:\n", &list);
    files
}

impl World {
    /// The world with the Solana wallet and its observers.
    pub fn observed() -> Self {
        let mut world = Self::new();
        world.roster = observed_roster();
        world.files = sealed(1, None, files(&world.roster));
        world
    }

    /// A request of `payout-service`.
    pub fn solana_request(&self, ask: &SolanaAsk) -> Envelope {
        self.sign("payout-service", Body::Request(Box::new(ask.request())))
    }

    /// An observation of a node, valid for a day.
    pub fn observation(&self, node: &str, sequence: u64, facts: &[ObservedFact]) -> Envelope {
        self.sign(
            node,
            Body::Observation(Observation {
                network: NETWORK.parse().expect("a network"),
                sequence,
                height: 1_000,
                facts: facts.to_vec(),
            }),
        )
    }

    /// An approval by a person whose program saw what honest observers say.
    pub fn solana_approval(&self, person: &str, request: &Envelope, ask: &SolanaAsk) -> Envelope {
        let bundle = Bundle::load(&self.files).expect("the bundle");
        let body = ask.request();
        let registry = bundle.registry();
        let parsed = registry.parse(&body.network, &body.wallet, &ask.unsigned(), &honest_facts(1_000));
        let ceiling = (&body.fee_ceiling.asset, body.fee_ceiling.amount);
        let effects = EffectsText::render(
            &body.network,
            &body.wallet,
            parsed.expect("the bytes parse").effects(),
            ceiling,
            registry.assets(),
        );
        let item = ApprovalItem {
            withdrawal: withdrawal(request),
            effects: effects.expect("an effects text"),
            fee_ceiling: body.fee_ceiling,
            policy: bundle.policy_digest(),
        };
        self.sign(person, Body::Approval(Approval { items: vec![item] }))
    }
}
