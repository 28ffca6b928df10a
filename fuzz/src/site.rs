//! What the targets know: the development bundle with a wallet on a network of each family, and facts about two accounts.

use std::{collections::BTreeMap, sync::LazyLock};

use countersign_audit::VerifierKey;
use countersign_bundle::{Bundle, MANIFEST_PATH, Manifest};
use countersign_types::{ChainFacts, ChainId, Destination, LookupTable, NonceAccount};

pub(crate) const ETHEREUM: &str = "eip155:1";
pub(crate) const DEV: &str = "eip155:31337";
pub(crate) const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
pub(crate) const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";

/// The trust root of the deployment that wrote the seeds of `receipt` and `manifest`: one of `countersign init`, gone since.
pub(crate) const GENESIS: &[u8] = include_bytes!("genesis.json");
/// The one withdrawal that it signed.
pub(crate) const WITHDRAWAL: &str = "wd_mf5nbrbigz3kb3bglauhxaveyb4pqznuqfcas6jgly7woosjkbua";
pub(crate) const TXID: &str = "0x48112cc3d1b524ef50b8a0ab5f61a210cc336d4bc31c1da31192860c0ff6b237";

/// The keys are those of the families' vectors: of private keys 1, 0x46…46 and 0x47…47, and of the messages of `solders`.
const WALLETS: &str = r#"
wallets:
  - id: eth-hot
    tier: hot
    keys: ["secp256k1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"]
    networks: [{ chain: "eip155:31337", first-nonce: 0 }, { chain: "eip155:1", first-nonce: 0 }]
  - id: btc-hot
    tier: hot
    keys: ["secp256k1:024bc2a31265153f07e70e0bab08724e6b85e217f8cd628ceb62974247bb493382"]
    networks: [{ chain: "bip122:000000000019d6689c085ae165831e93", first-nonce: 0 }]
  - id: sol-hot
    tier: hot
    keys: ["ed25519:ee93a4f66f8d16b819bb9beb9ffccdfcdc1412e87fee6a324c2a99a1e0e67148"]
    networks: [{ chain: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", first-nonce: 0 }]
"#;

const ASSETS: &str = r#"
assets:
  - { id: "eip155:31337/slip44:60", symbol: ETH, decimals: 18 }
  - { id: "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3", symbol: DEMO, decimals: 6 }
  - { id: "eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", symbol: USDC, decimals: 6 }
  - { id: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/token:EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", symbol: USDC, decimals: 6 }
"#;

/// Every wallet is within reach of the policy.
const FEES: &str = "permits:\n  - { id: fees, effects: [fee], wallets: [btc-hot, sol-hot] }\n";

static FILES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let policy = include_str!("../../policies/dev/policy.yaml").replacen("permits:\n", FEES, 1);
    let files = [
        ("assets.yaml", ASSETS),
        (
            "destinations.yaml",
            include_str!("../../policies/dev/destinations.yaml"),
        ),
        (
            "networks/dev.yaml",
            include_str!("../../policies/dev/networks/dev.yaml"),
        ),
        (
            "networks/ethereum.yaml",
            include_str!("../../chains/evm/networks/ethereum.yaml"),
        ),
        (
            "networks/bitcoin.yaml",
            include_str!("../../chains/bitcoin/networks/bitcoin.yaml"),
        ),
        (
            "networks/solana.yaml",
            include_str!("../../chains/solana/networks/mainnet.yaml"),
        ),
        ("policy.yaml", policy.as_str()),
        ("roster.yaml", include_str!("../../policies/dev/roster.yaml")),
        ("wallets.yaml", WALLETS),
    ];
    let owned = |(path, text): (&str, &str)| (path.to_owned(), text.as_bytes().to_vec());
    files.into_iter().map(owned).collect()
});

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
    let files = sealed(FILES.clone()).expect("the files have a manifest");
    Bundle::load(&files).unwrap_or_else(|errors| panic!("the bundle of the targets:\n{errors}"))
});

/// What observers would have attested of the seeds' two accounts: the table of `transfer-to-a-looked-up-account`, and the nonce
/// account of `durable-nonce-transfer`, which stores the nonce that the message is built on and which the wallet may advance.
static FACTS: LazyLock<ChainFacts> = LazyLock::new(|| {
    let (table, nonce) = (
        account("FMUEmtxhU46GzhKF4FW9MLJdQWiLgjiXP9TYRWSrqTpV"),
        account("7vJDrxN46rmZXKAuVyv2ZRCNRMyRn3d25B5P2pkFcvrn"),
    );
    let addresses = (0..=u8::MAX).map(|n| [n; 32]).collect();
    ChainFacts {
        tables: BTreeMap::from([(table, LookupTable { height: 1, addresses })]),
        nonces: BTreeMap::from([(
            nonce,
            NonceAccount {
                height: 1,
                authority: account("H4JcMPicKkHcxxDjkyyrLoQj7Kcibd9t815ak4UvTr9M"),
                value: [0x77; 32],
            },
        )]),
    }
});

static LOG_KEY: LazyLock<VerifierKey> = LazyLock::new(|| {
    let genesis = countersign_approval::Genesis::parse(GENESIS).expect("a genesis");
    VerifierKey::new(genesis.log_origin().parse().expect("a name"), genesis.log_key()).expect("a key")
});

fn account(address: &str) -> Destination {
    Destination::new(&chain(SOLANA), address).expect("an address")
}

pub(crate) fn chain(text: &str) -> ChainId {
    text.parse().expect("a chain")
}

pub(crate) fn bundle() -> &'static Bundle {
    &BUNDLE
}

/// Facts about the lookup table and the nonce account of the seeds.
pub(crate) fn facts() -> &'static ChainFacts {
    &FACTS
}

pub(crate) fn log_key() -> &'static VerifierKey {
    &LOG_KEY
}

/// The bundle's files with one of them replaced, under a manifest of their own; without one where none can be made.
pub(crate) fn sealed_with(path: &str, bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = FILES.clone();
    files.insert(path.to_owned(), bytes.to_vec());
    sealed(files.clone()).unwrap_or(files)
}

fn sealed(mut files: BTreeMap<String, Vec<u8>>) -> Option<BTreeMap<String, Vec<u8>>> {
    let manifest = Manifest::build(1, None, &files).ok()?;
    files.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    Some(files)
}
