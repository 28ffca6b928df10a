//! Mutations of the other files, and of what only several files together show.

/// File, text to replace (it stands once), replacement, and the whole report.
pub(crate) const MUTATIONS: &[(&str, &str, &str, &str)] = &[
    // Reach.
    (
        "policy.yaml",
        "treasury: 2",
        "treasury: 4",
        "policy.yaml:23:5: wallet `eth-hot`, initiator `payout-service`: the quorum (4 of treasury) can never be reached without the initiator and the people who operate it: add people to the groups, or ask for fewer",
    ),
    (
        "roster.yaml",
        "operators: [dave]",
        "operators: [alice, bob]",
        "policy.yaml:23:5: wallet `eth-hot`, initiator `payout-service`: the quorum (2 of treasury) can never be reached without the initiator and the people who operate it: add people to the groups, or ask for fewer",
    ),
    (
        "roster.yaml",
        "members: [alice, bob, carol] }\ninitiators",
        "members: [dave, bob] }\ninitiators",
        "policy.yaml:23:5: wallet `eth-hot`, initiator `payout-service`: the quorum (2 of treasury) can never be reached without the initiator and the people who operate it: add people to the groups, or ask for fewer",
    ),
    (
        "roster.yaml",
        "members: [alice, bob, carol] }\ninitiators",
        "members: [] }\ninitiators",
        "roster.yaml:22:30: group `treasury` has no people",
    ),
    (
        "wallets.yaml",
        "  - id: eth-hot\n",
        "  - id: eth-cold\n    tier: cold\n    keys: [\"secp256k1:02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5\"]\n    networks: [{ chain: \"eip155:31337\" }]\n  - id: eth-hot\n",
        "wallets.yaml:3:9: no permit can ever reach wallet `eth-cold`: add one, or remove the wallet",
    ),
    // Roster.
    (
        "roster.yaml",
        "admins: { threshold: 2",
        "admins: { threshold: 4",
        "roster.yaml:25:22: a threshold of 4 can never be reached by 3 members",
    ),
    (
        "roster.yaml",
        "admins: { threshold: 2",
        "admins: { threshold: 0",
        "roster.yaml:25:22: write a whole number from 1 to 64 in plain decimal digits",
    ),
    (
        "roster.yaml",
        "admins: { threshold: 2",
        "admins: { threshold: 1_0",
        "roster.yaml:25:22: write a whole number from 1 to 64 in plain decimal digits",
    ),
    (
        "roster.yaml",
        "officers: [dave]",
        "officers: [erin]",
        "roster.yaml:26:12: `erin` is not a person of the roster",
    ),
    (
        "roster.yaml",
        "  - id: bob",
        "  - id: alice",
        "roster.yaml:7:9: `alice` is listed twice\nroster.yaml:22:38: `bob` is not a person of the roster\nroster.yaml:25:42: `bob` is not a person of the roster",
    ),
    (
        "roster.yaml",
        "officers: [dave]\n",
        "",
        "roster.yaml:25:1: missing field `officers`",
    ),
    // Wallets, networks, assets, destinations.
    (
        "wallets.yaml",
        "tier: hot",
        "tier: warmish",
        "wallets.yaml:4:11: `warmish` is not one of `hot`, `warm`, `cold`",
    ),
    (
        "wallets.yaml",
        "secp256k1:0279be",
        "secp256k1:0579be",
        "wallets.yaml:5:12: a public key is written `secp256k1:` and 66, or `ed25519:` and 64 lower-case hex characters",
    ),
    (
        "wallets.yaml",
        "secp256k1:0279be667",
        "secp256k1:0279be",
        "wallets.yaml:5:12: a public key is written `secp256k1:` and 66, or `ed25519:` and 64 lower-case hex characters",
    ),
    (
        "wallets.yaml",
        "eip155:31337",
        "eip155:1",
        "wallets.yaml:7:18: unknown network `eip155:1`: no file in networks/ has this chain",
    ),
    (
        "wallets.yaml",
        "first-nonce: 0",
        "first-nonce: 00",
        "wallets.yaml:7:47: write a whole number in plain decimal digits",
    ),
    (
        "wallets.yaml",
        "first-nonce: 0",
        "first-nonce: -1",
        "wallets.yaml:7:47: write a whole number in plain decimal digits",
    ),
    (
        "wallets.yaml",
        "first-nonce: 0 }",
        "first-nonce: 0 }\n      - { chain: \"eip155:31337\" }",
        "wallets.yaml:8:18: network `eip155:31337` is listed twice",
    ),
    (
        "networks/dev.yaml",
        "eip155:31337",
        "eip155:031337",
        "networks/dev.yaml:3:3: `eip155:031337` is not the id of an EVM network: `eip155:` and a number from 1 to 9223372036854775771",
    ),
    (
        "networks/dev.yaml",
        "evm:",
        "tron:",
        "networks/dev.yaml:2:1: unknown variant `tron`, expected one of evm, bitcoin, solana",
    ),
    (
        "assets.yaml",
        "symbol: DEMO",
        "symbol: ETH",
        "assets.yaml:5:11: symbol `ETH` names two assets of network `eip155:31337`",
    ),
    (
        "assets.yaml",
        "symbol: DEMO",
        "symbol: demo",
        "assets.yaml:5:84: asset symbol `demo` may hold only A-Z, a-z, 0-9 and `.`, starting with A-Z",
    ),
    (
        "assets.yaml",
        "decimals: 6",
        "decimals: 37",
        "assets.yaml:5:100: write a whole number from 0 to 36 in plain decimal digits",
    ),
    (
        "assets.yaml",
        "symbol: ETH, decimals: 18",
        "symbol: ETH, decimals: 8",
        "assets.yaml:3:11: asset `eip155:31337/slip44:60` is the native asset of its network and must be `ETH` with 18 decimals",
    ),
    (
        "assets.yaml",
        "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "0x5fbdb2315678afecb367f032d93f642f64180aa3",
        "assets.yaml:5:11: the contract of `eip155:31337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3` is refused: the address does not carry its EIP-55 checksum",
    ),
    (
        "assets.yaml",
        "eip155:31337/erc20",
        "eip155:1/erc20",
        "assets.yaml:5:11: unknown network `eip155:1`: no file in networks/ has this chain",
    ),
    (
        "assets.yaml",
        "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3\", symbol: DEMO",
        "eip155:31337/slip44:60\", symbol: DEMO",
        "assets.yaml:5:11: asset `eip155:31337/slip44:60` is listed twice",
    ),
    (
        "destinations.yaml",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79c8",
        "destinations.yaml:5:40: `eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79c8`: the address does not carry its EIP-55 checksum",
    ),
    (
        "destinations.yaml",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
        "destinations.yaml:5:40: the address is wallet `eth-hot` of this bundle: use `to: { own: [eth-hot] }`",
    ),
    (
        "destinations.yaml",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x0000000000000000000000000000000000000000",
        "destinations.yaml:5:40: `eip155:31337:0x0000000000000000000000000000000000000000`: the address is the zero address: whatever is sent there is lost",
    ),
    (
        "destinations.yaml",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
        "destinations.yaml:6:40: address `eip155:31337:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC` is listed twice",
    ),
    (
        "destinations.yaml",
        "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "destinations.yaml:5:40: unknown network `eip155:1`: no file in networks/ has this chain",
    ),
    (
        "destinations.yaml",
        "Customer one",
        "Customer two",
        "destinations.yaml:6:17: name `Customer two` is listed twice",
    ),
    (
        "destinations.yaml",
        "Customer one",
        "Kundin \u{c4}nne",
        "destinations.yaml:5:17: a name has 1 to 64 printable ASCII characters",
    ),
];
