"""The commits of `golden_commit`, `golden_counter_writes`, `golden_observer_writes`, `golden_freeze_writes`, `golden_service_writes`
and `golden_given_up` in src/codec/tests.rs, hashed from the description alone: prints content and commit hash of the first and the contents of the others."""

import hashlib
import struct


def u64(number):
    return struct.pack(">Q", number)


def i64(number):
    return struct.pack(">q", number)


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return u64(len(value)) + value


def digest(byte):
    return bytes([byte]) * 32


def prefixed(kind, value):
    return hashlib.sha256(b"countersign/" + kind + b"/v1\n" + value).digest()


AT = 1_780_000_000_000
ACCOUNT = "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7"
request, statement, bundle = digest(1), digest(2), digest(3)
writes = [
    b"\x01" + statement + text("alice") + text("04" * 16) + u64(1) + request + text("envelope"),
    b"\x02" + request + statement + text("acme") + text("ref") + bundle,
    b"\x03" + request + text("withdrawal/cancelled"),
    b"\x04" + request + digest(5),
    b"\x05" + request + text("acme") + u64(1) + text("pay") + u64(1) + digest(6) + text("unsigned")
    + u64(1) + text(f"account-nonce {ACCOUNT} {2**64 - 1}") + (7).to_bytes(32, "big") + digest(8) + i64(9),
    b"\x06" + request + u64(1) + text(b"\x01" + b"\x0a" * 64) + text("signed") + text("0x0b"),
    b"\x07" + u64(12) + bundle + u64(1) + text("policy.yaml") + text("rules") + u64(1) + statement,
]
entries = u64(1) + text("entry") + u64(1) + request
content = prefixed(b"commit-content", i64(AT) + entries + u64(len(writes)) + b"".join(writes))
commit = prefixed(b"commit", bytes(32) + u64(1) + i64(AT) + content + u64(1) + digest(13))
print(content.hex())
print(commit.hex())

attempt, charge = request + u64(2), digest(14) + (15).to_bytes(32, "big")
writes = [
    b"\x14" + attempt + text("facts") + u64(1) + charge,
    b"\x15" + attempt,
    b"\x16" + attempt,
    b"\x1c" + attempt,
    b"\x17" + u64(1) + attempt + charge,
]
print(prefixed(b"commit-content", i64(AT) + entries + u64(len(writes)) + b"".join(writes)).hex())

writes = [
    b"\x08" + statement + request,
    b"\x09" + text("node-a") + text("solana:localnet") + u64(16),
]
print(prefixed(b"commit-content", i64(AT) + entries + u64(len(writes)) + b"".join(writes)).hex())

writes = [
    b"\x0a" + digest(17) + text("wallet eth-hot") + text("a cause"),
    b"\x0b" + digest(17) + i64(AT + 1),
    b"\x0c" + text("a topic") + text("alice"),
]
print(prefixed(b"commit-content", i64(AT) + entries + u64(len(writes)) + b"".join(writes)).hex())

word = b"\x18" + text("book") + text("address-book main customer-1 somewhere") + u64(17)
writes = [
    word + u64(1) + i64(18),
    word + u64(0),
    b"\x19" + request + u64(1) + text(ACCOUNT),
    b"\x1d" + u64(1) + text("customers") + u64(1) + text(ACCOUNT) + u64(0),
    b"\x1d" + u64(0) + u64(0) + u64(1) + text(ACCOUNT) + i64(19),
]
print(prefixed(b"commit-content", i64(AT) + entries + u64(len(writes)) + b"".join(writes)).hex())

outpoint = "outpoint bip122:000000000019d6689c085ae165831e93 " + "ab" * 32 + " 7"
writes = [b"\x1e" + request + u64(2) + text(f"account-nonce {ACCOUNT} {2**64 - 1}") + text(outpoint)]
print(prefixed(b"commit-content", i64(AT) + entries + u64(len(writes)) + b"".join(writes)).hex())
