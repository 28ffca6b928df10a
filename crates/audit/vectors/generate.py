#!/usr/bin/env python3
"""Computes log.json apart from the Rust code: the recursive definitions of RFC 6962 section 2.1, word for word, and
Ed25519 of the Python package `cryptography`. Usage: python3 generate.py > log.json

The eight leaves are those of the certificate-transparency reference implementation, whose published roots these are."""
import base64
import hashlib
import json
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def sha256(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(d):
    if not d:
        return sha256(b"")
    if len(d) == 1:
        return sha256(b"\x00" + d[0])
    k = split(len(d))
    return sha256(b"\x01" + mth(d[:k]) + mth(d[k:]))


def path(m, d):
    if len(d) == 1:
        return []
    k = split(len(d))
    return path(m, d[:k]) + [mth(d[k:])] if m < k else path(m - k, d[k:]) + [mth(d[:k])]


def subproof(m, d, known):
    if m == len(d):
        return [] if known else [mth(d)]
    k = split(len(d))
    if m <= k:
        return subproof(m, d[:k], known) + [mth(d[k:])]
    return subproof(m - k, d[k:], False) + [mth(d[:k])]


def frontier(d):
    peaks, rest = b"", d
    for bit in reversed(range(len(d).bit_length())):
        if len(d) >> bit & 1:
            peaks += mth(rest[: 1 << bit])
            rest = rest[1 << bit :]
    return b"\x01" + struct.pack(">Q", len(d)) + peaks


def signed_checkpoint(d):
    seed, origin, millis = bytes(range(32)), "countersign.example/log", 1767225600123
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_id = sha256(origin.encode() + b"\n\x01" + public)[:4]
    text = f"{origin}\n{len(d)}\n{b64(mth(d))}\ntime {millis}\n"
    note = f"{text}\n\u2014 {origin} {b64(key_id + key.sign(text.encode()))}\n"
    vkey = f"{origin}+{key_id.hex()}+{b64(bytes([1]) + public)}"
    return {"seed": seed.hex(), "origin": origin, "time": millis, "verifier_key": vkey, "note": note}


leaves = [bytes.fromhex(h) for h in
          ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]]
many = [b"entry %d" % i for i in range(300)]
bundle = b"".join(struct.pack(">H", len(e)) + e for e in many[256:])
print(json.dumps({
    "leaves": [leaf.hex() for leaf in leaves],
    "leaf_hashes": [mth([leaf]).hex() for leaf in leaves],
    "roots": [mth(leaves[:n]).hex() for n in range(9)],
    "inclusion": [{"index": m, "size": n, "proof": [b64(h) for h in path(m, leaves[:n])]}
                  for n in range(1, 9) for m in range(n)],
    "consistency": [{"older": m, "newer": n, "proof": [b64(h) for h in subproof(m, leaves[:n], True)]}
                    for n in range(1, 9) for m in range(1, n + 1)],
    "frontiers": [frontier(leaves[:n]).hex() for n in range(9)],
    "entries_300": {
        "root": b64(mth(many)),
        "tiles": {
            "tile/0/000": sha256(b"".join(mth([e]) for e in many[:256])).hex(),
            "tile/0/001.p/44": sha256(b"".join(mth([e]) for e in many[256:])).hex(),
            "tile/1/000.p/1": sha256(mth(many[:256])).hex(),
        },
        "bundles": {
            "tile/entries/000": sha256(b"".join(struct.pack(">H", len(e)) + e for e in many[:256])).hex(),
            "tile/entries/001.p/44": sha256(bundle).hex(),
        },
    },
    "checkpoint": signed_checkpoint(leaves),
}, indent=1, ensure_ascii=False))
