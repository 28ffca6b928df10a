//! Descriptors are part of a bundle's identity, of no approval, and of what people read.

use countersign_bundle::{Bundle, Component};
use countersign_chains::evm::{GasPrice, TransferDraft};
use countersign_types::{Amount, ChainId, WalletId};

use crate::support::{Files, dev, errors, seal};

const PATH: &str = "descriptors/demo.json";
const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

fn descriptor() -> String {
    let fields = r##"[
        { "path": "value", "label": "Amount", "format": "tokenAmount", "params": { "tokenPath": "@.to" } },
        { "path": "#.to", "label": "To", "format": "addressName" }
    ]"##;
    format!(
        r#"{{
  "context": {{ "contract": {{ "deployments": [{{ "chainId": 31337, "address": "{TOKEN}" }}] }} }},
  "metadata": {{ "owner": "Demo" }},
  "display": {{ "formats": {{ "transfer(address to,uint256 value)": {{ "intent": "Send", "fields": {fields} }} }} }}
}}
"#
    )
}

fn with(path: &str, text: &str) -> Files {
    let mut files = dev();
    files.insert(path.to_owned(), text.as_bytes().to_vec());
    seal(files)
}

#[test]
fn a_descriptor_is_data_of_the_bundle() {
    let (without, with) = (dev(), with(PATH, &descriptor()));
    let (without, with) = (Bundle::load(&without).unwrap(), Bundle::load(&with).unwrap());
    assert_eq!(Component::of(PATH), Some(Component::Data));
    assert_ne!(without.digest(), with.digest());
    assert_eq!(without.policy_digest(), with.policy_digest());
    assert_eq!(without.descriptors(), []);
    assert_eq!(with.descriptors().len(), 1);
}

#[test]
fn a_payment_is_displayed_in_its_words() {
    let bundle = Bundle::load(&with(PATH, &descriptor())).unwrap();
    let chain: ChainId = "eip155:31337".parse().unwrap();
    let wallet: WalletId = bundle.registry().wallets().iter().next().unwrap().id.clone();
    let to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let draft = |asset: &str| TransferDraft {
        asset: asset.parse().unwrap(),
        amount: Amount::from_base_units(1_500_000),
        destination: bundle.registry().parse_destination(&chain, to).unwrap(),
        nonce: 0,
        gas_limit: 65_000,
        price: GasPrice::Legacy { gas_price: 1 },
    };
    let display = |asset: &str| {
        let unsigned = draft(asset).encode().unwrap();
        let found = bundle
            .registry()
            .display(&chain, &wallet, &unsigned, bundle.descriptors());
        found.unwrap()
    };
    let found = display(&format!("eip155:31337/erc20:{TOKEN}")).unwrap();
    assert_eq!((found.owner.as_str(), found.intent.as_str()), ("Demo", "Send"));
    let lines: Vec<_> = found
        .lines
        .iter()
        .map(|line| (line.label.as_str(), line.text.as_str()))
        .collect();
    assert_eq!(lines, [("Amount", "1.5 DEMO"), ("To", to)]);
    assert_eq!(display("eip155:31337/slip44:60"), None);
}

#[test]
fn a_descriptor_that_does_not_load_is_told() {
    let changed = |from: &str, to: &str| {
        let text = descriptor();
        assert_eq!(text.matches(from).count(), 1);
        errors(&with(PATH, &text.replace(from, to))).to_string()
    };
    assert_eq!(
        changed("\"Send\"", "null"),
        "descriptors/demo.json:4:82: bundle/bad-value: line 4, column 82 is not JSON of objects, arrays, strings, whole numbers up to 64 bits, true and false"
    );
    assert_eq!(
        changed("\"addressName\"", "\"nftname\""),
        "descriptors/demo.json:1:1: bundle/bad-value: `descriptor.display.formats.transfer(address to,uint256 value).fields.format` is missing, or not what ERC-7730 has there"
    );
    for path in [
        "descriptors/Demo.json",
        "descriptors/demo.yaml",
        "descriptors/.json",
        "descriptors/a/b.json",
    ] {
        assert_eq!(Component::of(path), None, "{path}");
    }
}
