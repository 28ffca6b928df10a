//! Fixtures for tests: a small, complete deployment with fixed keys, on the development bundle of `policies/dev`.
//!
//! Every fixture is valid as it stands; a test changes one thing.

#![allow(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "fixtures fail by panicking; this module is behind the `testing` feature"
)]

use std::collections::BTreeMap;

use countersign_approval::{
    Activation, AdminsRecord, Approval, ApprovalItem, Body, Cancel, Ed25519Signer, Envelope, Environment, FeeCeiling,
    Freeze, Genesis, GenesisFile, GroupRecord, Header, InitiatorRecord, Payment, PersonRecord, Rejection,
    RejectionItem, Replace, Request, RosterFile, ServiceRecord, SshSigner, Statement, StatementSigner, TemplateKind,
    Thaw, TransactionBinding, seal,
};
use countersign_bundle::{Bundle, Manifest, write_roster, write_wallets};
use countersign_chains::evm::{GasPrice, TransferDraft};
use countersign_types::{
    Amount, BundleDigest, Destination, EffectsText, FreezeId, PublicKey, RequestDigest, StatementNonce, Tier,
    Timestamp, TransactionDigest, UtcSeconds, Validity, WalletNetwork, WalletRecord, WithdrawalId,
};

pub mod attested;
pub mod solana;

/// The customer that `policies/dev/destinations.yaml` lists first.
pub const CUSTOMER: &str = "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// On no list.
pub const STRANGER: &str = "eip155:31337:0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
/// The development network's native asset.
pub const ETH: &str = "eip155:31337/slip44:60";
/// The token of the development bundle.
pub const DEMO: &str = "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3";

const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// A deployment: genesis, bundle files, and everybody's keys.
pub struct World {
    /// The genesis file's bytes.
    pub genesis_bytes: Vec<u8>,
    /// The same, checked.
    pub genesis: Genesis,
    /// The files of bundle version 1.
    pub files: BTreeMap<String, Vec<u8>>,
    /// When statements of this world are issued.
    pub issued_at: Timestamp,
    roster: RosterFile,
    next_nonce: std::cell::Cell<u16>,
}

/// What a withdrawal asks for; [`Ask::default`] pays the customer 1 ETH, which takes two of the treasury.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The reference; payment references derive from it.
    pub reference: String,
    /// CAIP-19.
    pub asset: String,
    /// Base units.
    pub amount: u128,
    /// CAIP-10.
    pub destination: String,
    /// The EVM nonce.
    pub nonce: u64,
    /// Wei per gas, at most.
    pub max_fee_per_gas: u128,
    /// Bind a template instead of the exact bytes.
    pub is_template: bool,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            reference: "order-1".to_owned(),
            asset: ETH.to_owned(),
            amount: 1_000_000_000_000_000_000,
            destination: CUSTOMER.to_owned(),
            nonce: 0,
            max_fee_per_gas: 20_000_000_000,
            is_template: false,
        }
    }
}

impl Ask {
    /// The unsigned bytes.
    pub fn unsigned(&self) -> Vec<u8> {
        let draft = TransferDraft {
            asset: self.asset.parse().expect("asset"),
            amount: Amount::from(self.amount),
            destination: self.destination.parse().expect("destination"),
            nonce: self.nonce,
            gas_limit: if self.asset == ETH { 21_000 } else { 80_000 },
            price: GasPrice::Eip1559 {
                max_fee_per_gas: self.max_fee_per_gas,
                max_priority_fee_per_gas: 1_000_000_000,
            },
        };
        draft.encode().expect("a transfer encodes")
    }

    /// The request's body.
    pub fn request(&self) -> Request {
        let transaction = if self.is_template {
            TransactionBinding::Template(TemplateKind::EvmNonceAndFee)
        } else {
            TransactionBinding::Exact(TransactionDigest::of(&self.unsigned()))
        };
        Request {
            tenant: "main".parse().expect("tenant"),
            reference: self.reference.parse().expect("reference"),
            wallet: "eth-hot".parse().expect("wallet"),
            network: "eip155:31337".parse().expect("network"),
            payments: vec![Payment {
                reference: format!("{}/1", self.reference).parse().expect("payment reference"),
                subject: Some("customer-1".parse().expect("subject")),
                asset: self.asset.parse().expect("asset"),
                amount: Amount::from(self.amount),
                destination: self.destination.parse().expect("destination"),
            }],
            effects: Vec::new(),
            fee_ceiling: ceiling(),
            transaction,
            attributes: BTreeMap::new(),
        }
    }
}

/// The fee ceiling of every request: 0.01 ETH.
pub fn ceiling() -> FeeCeiling {
    FeeCeiling {
        asset: ETH.parse().expect("asset"),
        amount: Amount::from(10_000_000_000_000_000_u128),
    }
}

/// The private key of the wallet `eth-hot`: 32 bytes of 7.
pub const WALLET_SEED: [u8; 32] = [7; 32];
/// Its public key.
pub const WALLET_KEY: &str = "secp256k1:02989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f";
/// How long a quorum's thaw takes.
pub const THAW_DELAY: countersign_types::Duration = countersign_types::Duration::from_secs(600);
/// The log key's seed.
pub const LOG_SEED: [u8; 32] = [9; 32];

fn ssh_key(seed: u8) -> ssh_key::PrivateKey {
    ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]).into()
}

fn seed_of(person: &str) -> u8 {
    PEOPLE
        .iter()
        .position(|name| *name == person)
        .map_or(0, |at| u8::try_from(at).unwrap_or(0))
        + 1
}

fn public_line(seed: u8) -> String {
    ssh_key(seed).public_key().to_openssh().expect("a public key line")
}

fn dalek(seed: [u8; 32]) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&seed)
}

fn ed25519_text(seed: [u8; 32]) -> String {
    let bytes = dalek(seed).verifying_key().to_bytes();
    format!(
        "ed25519:{}",
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    )
}

fn ids<T: std::str::FromStr>(names: &[&str]) -> Vec<T>
where
    T::Err: std::fmt::Debug,
{
    names.iter().map(|name| name.parse().expect("an id")).collect()
}

/// The roster: alice, bob and carol are the treasury and the admins (2 of 3); dave operates `payout-service` and is an
/// officer.
pub fn roster() -> RosterFile {
    let person = |name: &&str| PersonRecord {
        id: name.parse().expect("an id"),
        keys: vec![public_line(seed_of(name))],
    };
    RosterFile {
        people: PEOPLE.iter().map(person).collect(),
        services: vec![ServiceRecord {
            id: "payout-service".parse().expect("an id"),
            operators: ids(&["dave"]),
            keys: vec![ed25519_text([8; 32])],
        }],
        groups: vec![GroupRecord {
            id: "treasury".parse().expect("an id"),
            members: ids(&["alice", "bob", "carol"]),
        }],
        initiators: vec![InitiatorRecord {
            tenant: "main".parse().expect("a tenant"),
            principals: ids(&["payout-service"]),
        }],
        admins: AdminsRecord {
            threshold: 2,
            members: ids(&["alice", "bob", "carol"]),
            time_lock: None,
        },
        officers: ids(&["dave"]),
        observers: Vec::new(),
        thaw_delay: Some(THAW_DELAY),
        price_sources: Vec::new(),
    }
}

/// The files of the development bundle with a roster, without a manifest.
pub fn bundle_files(roster: &RosterFile) -> BTreeMap<String, Vec<u8>> {
    let wallet = WalletRecord {
        id: "eth-hot".parse().expect("a wallet"),
        tier: Tier::Hot,
        keys: vec![WALLET_KEY.parse::<PublicKey>().expect("a key")],
        table: None,
        networks: BTreeMap::from([("eip155:31337".parse().expect("a chain"), WalletNetwork::default())]),
    };
    let fixed = [
        ("assets.yaml", include_str!("../../../policies/dev/assets.yaml")),
        (
            "destinations.yaml",
            include_str!("../../../policies/dev/destinations.yaml"),
        ),
        ("policy.yaml", include_str!("../../../policies/dev/policy.yaml")),
        (
            "networks/dev.yaml",
            include_str!("../../../policies/dev/networks/dev.yaml"),
        ),
    ];
    let mut files: BTreeMap<String, Vec<u8>> = fixed
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect();
    files.insert("roster.yaml".to_owned(), write_roster(roster).into_bytes());
    files.insert("wallets.yaml".to_owned(), write_wallets(&[wallet]).into_bytes());
    files
}

/// Adds a manifest to files.
pub fn sealed(
    version: u64,
    previous: Option<BundleDigest>,
    mut files: BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, Vec<u8>> {
    files.remove("manifest.json");
    let manifest = Manifest::build(version, previous, &files).expect("a manifest");
    files.insert("manifest.json".to_owned(), manifest.to_bytes());
    files
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A fresh world; always the same one.
    pub fn new() -> Self {
        let roster = roster();
        let file = GenesisFile {
            format: GenesisFile::format(),
            id: StatementNonce::from_bytes([1; 16]),
            environment: Environment::Development,
            people: roster.people.iter().take(3).cloned().collect(),
            admins: roster.admins.quorum(),
            log_origin: "countersign.test/log".to_owned(),
            log_key: ed25519_text(LOG_SEED),
        };
        let genesis_bytes = file.to_bytes();
        Self {
            genesis: Genesis::parse(&genesis_bytes).expect("the genesis"),
            genesis_bytes,
            files: sealed(1, None, bundle_files(&roster)),
            issued_at: Timestamp::from_unix_millis(1_780_272_000_000), // 2026-06-01T00:00:00Z
            roster,
            next_nonce: std::cell::Cell::new(1),
        }
    }

    /// Bundle version 1.
    pub fn bundle(&self) -> Bundle {
        Bundle::load(&self.files).expect("the bundle")
    }

    /// The roster file, to be changed into another version's.
    pub fn roster(&self) -> RosterFile {
        self.roster.clone()
    }

    /// A header issued now, valid for a day, with a fresh nonce.
    pub fn header(&self) -> Header {
        let nonce = self.next_nonce.get();
        self.next_nonce.set(nonce.wrapping_add(1));
        let [high, low] = nonce.to_be_bytes();
        let mut nonce_bytes = [low; 16];
        nonce_bytes[0] ^= high;
        let issued_at: UtcSeconds = self.issued_at.to_seconds();
        let expires_at = self
            .issued_at
            .after(countersign_types::Duration::from_secs(86_400))
            .to_seconds();
        Header {
            deployment: self.genesis.hash(),
            epoch: countersign_approval::FIRST_EPOCH,
            nonce: StatementNonce::from_bytes(nonce_bytes),
            validity: Validity::new(issued_at, expires_at).expect("a validity"),
        }
    }

    /// Signs a body as a person (with an ssh key) or as `payout-service`.
    pub fn sign(&self, signer: &str, body: Body) -> Envelope {
        self.sign_with(signer, self.header(), body)
    }

    /// The same with a given header.
    pub fn sign_with(&self, signer: &str, header: Header, body: Body) -> Envelope {
        let service = match signer {
            "payout-service" => Some([8; 32]),
            other => solana::node_seed(other),
        };
        let key: Box<dyn StatementSigner> = match service {
            Some(seed) => Box::new(Ed25519Signer::new(dalek(seed))),
            None => Box::new(SshSigner::new(ssh_key(seed_of(signer)))),
        };
        seal(&Statement { header, body }, key.as_ref()).expect("a signed statement")
    }

    /// A request of `payout-service`.
    pub fn request(&self, ask: &Ask) -> Envelope {
        self.sign("payout-service", Body::Request(Box::new(ask.request())))
    }

    /// What a person approves: the effects as the bundle decodes them.
    pub fn item(&self, request: &Envelope, ask: &Ask) -> ApprovalItem {
        let bundle = self.bundle();
        let body = ask.request();
        let parsed = bundle
            .registry()
            .parse(
                &body.network,
                &body.wallet,
                &ask.unsigned(),
                countersign_types::ChainFacts::none(),
            )
            .expect("the bytes parse");
        let fee_ceiling = (&body.fee_ceiling.asset, body.fee_ceiling.amount);
        let effects = EffectsText::render(
            &body.network,
            &body.wallet,
            parsed.effects(),
            fee_ceiling,
            bundle.registry().assets(),
        );
        ApprovalItem {
            withdrawal: withdrawal(request),
            effects: effects.expect("an effects text"),
            fee_ceiling: body.fee_ceiling,
            policy: bundle.policy_digest(),
        }
    }

    /// An approval of a withdrawal by a person.
    pub fn approval(&self, person: &str, request: &Envelope, ask: &Ask) -> Envelope {
        self.sign(
            person,
            Body::Approval(Approval {
                items: vec![self.item(request, ask)],
            }),
        )
    }

    /// A rejection of a withdrawal by a person.
    pub fn rejection(&self, person: &str, request: &Envelope) -> Envelope {
        let item = RejectionItem {
            withdrawal: withdrawal(request),
            reason: "not expected".to_owned(),
        };
        self.sign(person, Body::Rejection(Rejection { items: vec![item] }))
    }

    /// A cancel of a withdrawal.
    pub fn cancel(&self, signer: &str, request: &Envelope) -> Envelope {
        self.cancel_with(signer, request, None)
    }

    /// A cancel that a cancel attempt may follow, whose fee is at most this many wei.
    pub fn cancel_for(&self, signer: &str, request: &Envelope, fee_wei: u128) -> Envelope {
        let fee_ceiling = FeeCeiling {
            asset: ETH.parse().expect("asset"),
            amount: Amount::from(fee_wei),
        };
        self.cancel_with(signer, request, Some(fee_ceiling))
    }

    fn cancel_with(&self, signer: &str, request: &Envelope, fee_ceiling: Option<FeeCeiling>) -> Envelope {
        self.sign(
            signer,
            Body::Cancel(Cancel {
                withdrawal: withdrawal(request),
                fee_ceiling,
                reason: "changed plans".to_owned(),
            }),
        )
    }

    /// A freeze of `all` or of a kind and a name, as [`FreezeScope`] writes them.
    pub fn freeze(&self, officer: &str, scope: &str) -> Envelope {
        let body = Freeze {
            scope: scope.parse().expect("a scope"),
            reason: "something is wrong".to_owned(),
        };
        self.sign(officer, Body::Freeze(body))
    }

    /// One admin's voice for a thaw.
    pub fn thaw(&self, admin: &str, freeze: FreezeId) -> Envelope {
        let reason = "it was nothing".to_owned();
        self.sign(admin, Body::Thaw(Thaw { freeze, reason }))
    }

    /// A higher fee ceiling of a withdrawal.
    pub fn replace(&self, signer: &str, request: &Envelope, fee_wei: u128) -> Envelope {
        let body = Replace {
            withdrawal: withdrawal(request),
            fee_ceiling: FeeCeiling {
                asset: ETH.parse().expect("an asset"),
                amount: Amount::from(fee_wei),
            },
            reason: "stuck".to_owned(),
        };
        self.sign(signer, Body::Replace(body))
    }

    /// An admin's activation of files that have a manifest.
    pub fn activation(&self, admin: &str, files: &BTreeMap<String, Vec<u8>>) -> Envelope {
        let bundle = Bundle::load(files).expect("a bundle");
        let body = Activation {
            bundle: bundle.digest(),
            version: bundle.version(),
            previous: bundle.previous(),
            not_before: None,
        };
        self.sign(admin, Body::Activation(body))
    }

    /// The wallet's address on the development network.
    pub fn wallet_address(&self) -> Destination {
        let bundle = self.bundle();
        let network = "eip155:31337".parse().expect("a chain");
        bundle
            .registry()
            .wallet_destination(&network, &"eth-hot".parse().expect("a wallet"))
            .expect("an address")
    }
}

/// The withdrawal that a request envelope is.
pub fn withdrawal(request: &Envelope) -> WithdrawalId {
    WithdrawalId::of(RequestDigest::of(request.payload()))
}
