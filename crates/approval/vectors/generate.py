#!/usr/bin/env python3
"""Computes statements.json apart from the Rust code: payloads with Python's `json`, digests with `hashlib`, signatures with
the package `cryptography` from OpenSSH's PROTOCOL.sshsig and PROTOCOL.u2f. Usage: python3 generate.py > statements.json

ECDSA signatures are random: a new run gives other, equally valid bytes for the p256 rows, and the same for all others."""
import base64
import hashlib
import json
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def sha256(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def digest(kind, data):
    return "sha256:" + sha256(f"countersign/{kind}/v1\n".encode() + data).hex()


def withdrawal(data):
    request = sha256(b"countersign/request/v1\n" + data)
    return "wd_" + base64.b32encode(request).decode().rstrip("=").lower()


# Statements ------------------------------------------------------------------------------------------------------

NETWORK = "eip155:31337"
SOLANA = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
ETHER = NETWORK + "/slip44:60"
TOKEN = NETWORK + "/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3"
RECIPIENT = NETWORK + ":0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
FEE = {"asset": ETHER, "amount": "420000000000000"}
EFFECTS = f"""effects/v1
network {NETWORK}
wallet eth-hot
transfer 1500000000000000000 {ETHER} (1.5 ETH) to {RECIPIENT}
fee at most 420000000000000 {ETHER} (0.00042 ETH)
"""


def payment(reference, subject, asset, amount):
    return {"reference": reference, "subject": subject, "asset": asset, "amount": amount, "destination": RECIPIENT}


BODIES = {
    "request": {
        "tenant": "main",
        "reference": "payout-7",
        "wallet": "eth-hot",
        "network": NETWORK,
        "payments": [
            payment("INV-2026/0001", "customer:42", ETHER, "1500000000000000000"),
            payment("INV-2026/0002", None, TOKEN, str(2**256 - 1)),
        ],
        "effects": [],
        "fee_ceiling": FEE,
        "transaction": {"exact": digest("transaction", b"abc")},
    },
    "approval": {
        "items": [
            {
                "withdrawal": withdrawal(name),
                "effects": EFFECTS,
                "fee_ceiling": FEE,
                "policy": digest("policy", b"abc"),
            }
            for name in (b"one", b"two")
        ]
    },
    "rejection": {
        "items": [
            {"withdrawal": withdrawal(name), "reason": 'the customer said: "not me"'} for name in (b"one", b"two")
        ]
    },
    "cancel": {"withdrawal": withdrawal(b"one"), "reason": "sent twice by the pipeline"},
    "activation": {
        "bundle": digest("bundle", b"abc"),
        "version": 2,
        "previous": digest("bundle", b"before"),
        "not_before": None,
    },
    "observation": {
        "network": SOLANA,
        "sequence": 7,
        "height": 300000000,
        "facts": [
            {
                "lookup-table": {
                    "account": SOLANA + ":8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR",
                    "addresses": ["01" * 32, "02" * 32],
                }
            },
            {
                "nonce-account": {
                    "account": SOLANA + ":CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8",
                    "authority": SOLANA + ":GgBaCs3NCBuZN12kCJgAW63ydqohFkHEdfdEXBPzLHq",
                    "value": "03" * 32,
                }
            },
            {"expired": {"transaction": digest("transaction", b"abc"), "last_valid_height": 299999999}},
            {
                "spent": {
                    "conflict_key": f"nonce-account {SOLANA}:CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8 {'04' * 32}",
                    "txid": "5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZyv2sUYv",
                    "outcome": "succeeded",
                }
            },
            {
                "mined": {
                    "transaction": digest("transaction", b"def"),
                    "txid": "2AXDGYSE4f2sz7tvMMzyHvUfcoJmxudvdhBcmiUSo6iu",
                    "outcome": "failed",
                }
            },
        ],
    },
    "freeze": {"scope": {"wallet": "eth-hot"}, "reason": "a laptop was stolen"},
    "thaw": {
        "freeze": digest("freeze", b"statement " + digest("statement", b"abc").encode() + b"\n"),
        "reason": "the laptop was found",
    },
    "replace": {
        "withdrawal": withdrawal(b"one"),
        "fee_ceiling": {"asset": "eip155:1/slip44:60", "amount": "3000000000000000"},
        "reason": "stuck since noon",
    },
    "price": {
        "asset": ETHER,
        "currency": "USD",
        "price": "2500.25",
        "sequence": 7,
        "observed_at": "2026-01-31T11:59:58Z",
    },
    "screening": {
        "check": "travel-rule",
        "withdrawal": withdrawal(b"one"),
        "destination": RECIPIENT,
        "asset": ETHER,
        "amount": "1500000000000000000",
        "result": "pass",
        "sequence": 1,
        "screened_at": "2026-01-31T11:59:00Z",
    },
    "address-book": {
        "tenant": "main",
        "subject": "customer:42",
        "destination": RECIPIENT,
        "entry": {"registered": {"at": "2026-01-01T00:00:00Z"}},
        "sequence": 3,
    },
    "veto": {
        "bundle": digest("bundle", b"next"),
        "previous": digest("bundle", b"previous"),
        "reason": "nobody told us",
    },
}


def payload(kind):
    statement = {
        "kind": kind,
        "deployment": digest("genesis", b"abc"),
        "epoch": 0,
        "nonce": "000102030405060708090a0b0c0d0e0f",
        "issued_at": "2026-01-31T12:00:00Z",
        "expires_at": "2026-01-31T13:00:00Z",
        "body": BODIES[kind],
    }
    return json.dumps(statement, indent=2, ensure_ascii=True).encode() + b"\n"


def payload_type(kind):
    return f"application/vnd.countersign.{kind}.v1+json"


def pae(kind, data):
    name = payload_type(kind).encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(data), data)


# Keys ------------------------------------------------------------------------------------------------------------


def string(data):
    return struct.pack(">I", len(data)) + data


def mpint(number):
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


class Ed25519:
    plain, security = b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"

    def __init__(self, seed):
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))
        self.point = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.fields = string(self.point)

    def sign(self, message):
        return self.key.sign(message)

    def sign_with_no_nonce(self, message):
        """R is the neutral point, S = H(R, A, M) * a: RFC 8032's equation holds, and `verify_strict` refuses."""
        expanded = hashlib.sha512(self.key.private_bytes_raw()).digest()
        secret = int.from_bytes(expanded[:32], "little") & ((1 << 254) - 8) | (1 << 254)
        neutral = (1).to_bytes(32, "little")
        challenge = int.from_bytes(hashlib.sha512(neutral + self.point + message).digest(), "little")
        order = 2**252 + 27742317777372353535851937790883648493
        return neutral + (challenge * secret % order).to_bytes(32, "little")


class NoNonce(Ed25519):
    sign = Ed25519.sign_with_no_nonce


class P256:
    plain, security = b"ecdsa-sha2-nistp256", b"sk-ecdsa-sha2-nistp256@openssh.com"

    def __init__(self, seed):
        self.key = ec.derive_private_key(int.from_bytes(bytes([seed] * 32), "big"), ec.SECP256R1())
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.fields = string(b"nistp256") + string(point)

    def sign(self, message):
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return mpint(r) + mpint(s)


def sshsig(key, kind, data, application=None, flags=1, hash_name=b"sha512"):
    """The public key line, the key id and the SSHSIG blob."""
    algorithm = key.plain if application is None else key.security
    blob = string(algorithm) + key.fields + (b"" if application is None else string(application))
    namespace = f"countersign-{kind}-v1".encode()
    hashed = hashlib.new(hash_name.decode(), pae(kind, data)).digest()
    signed = b"SSHSIG" + string(namespace) + string(b"") + string(hash_name) + string(hashed)
    if application is None:
        signature = string(algorithm) + string(key.sign(signed))
    else:
        trailer = struct.pack(">BI", flags, 7)
        signature = key.sign(sha256(application) + trailer + sha256(signed))
        signature = string(algorithm) + string(signature) + trailer
    whole = b"SSHSIG" + struct.pack(">I", 1) + string(blob) + string(namespace)
    whole += string(b"") + string(hash_name) + string(signature)
    line = f"{algorithm.decode()} {b64(blob)}"
    return line, "SHA256:" + b64(sha256(blob)).rstrip("="), whole


def envelope(kind, data, key_id, signature):
    dsse = {
        "payloadType": payload_type(kind),
        "payload": b64(data),
        "signatures": [{"keyid": key_id, "sig": b64(signature)}],
    }
    return json.dumps(dsse, separators=(",", ":"))


def signatures(kind, data):
    def row(what, made, verdict="ok"):
        line, key_id, blob = made
        return {"what": what, "key": line, "envelope": envelope(kind, data, key_id, blob), "verdict": verdict}

    service = Ed25519(1)
    plain = "ed25519:" + service.point.hex()
    untouched, bad = "statement/no-touch", "statement/bad-signature"
    return [
        row("plain ed25519", (plain, plain, service.sign(pae(kind, data)))),
        row("plain ed25519 with R neutral", (plain, plain, NoNonce(1).sign(pae(kind, data))), bad),
        row("ed25519 with R neutral", sshsig(NoNonce(1), kind, data), bad),
        row("sk-ed25519 with R neutral", sshsig(NoNonce(4), kind, data, b"ssh:"), bad),
        row("ed25519", sshsig(Ed25519(1), kind, data)),
        row("ed25519 over sha256", sshsig(Ed25519(1), kind, data, hash_name=b"sha256")),
        row("p256", sshsig(P256(3), kind, data)),
        row("sk-ed25519", sshsig(Ed25519(4), kind, data, b"ssh:")),
        row("sk-ed25519 without touch", sshsig(Ed25519(4), kind, data, b"ssh:", 0), untouched),
        row("sk-p256", sshsig(P256(5), kind, data, b"ssh:")),
        row("sk-p256 without touch", sshsig(P256(5), kind, data, b"ssh:", 0), untouched),
    ]


def vector(kind):
    data = payload(kind)
    return {
        "kind": kind,
        "payload_type": payload_type(kind),
        "namespace": f"countersign-{kind}-v1",
        "payload": data.decode(),
        "pae_sha256": sha256(pae(kind, data)).hex(),
        "statement_digest": digest("statement", payload_type(kind).encode() + b"\n" + data),
        "request_digest": digest("request", data) if kind == "request" else None,
        "withdrawal": withdrawal(data) if kind == "request" else None,
        "signatures": signatures(kind, data),
    }


json.dump([vector(kind) for kind in BODIES], sys.stdout, indent=1)
print()
