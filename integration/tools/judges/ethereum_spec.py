"""The executable specification of Ethereum as a judge: a question a line, an answer a line, both JSON.

{"signed": hex, "chain_id": n}                    a signed transaction as it is broadcast; with "high_s" its other s
{"unsigned": hex, "chain_id": n}                  what would be signed; a placeholder stands for the signature

The answer is {"error": text}, or the fields, the sender, the id and the authorities that the specification finds, with the
transaction's encoding by the specification and, under "invalid", why no block could hold it.
"""

import json
import sys
from dataclasses import replace

from ethereum.crypto.elliptic_curve import SECP256K1N
from ethereum.crypto.hash import keccak256
from ethereum.exceptions import InvalidSignatureError
from ethereum.forks.osaka import transactions
from ethereum.forks.osaka.vm.eoa_delegation import recover_authority
from ethereum_rlp import rlp
from ethereum_types.numeric import U64, Uint

FIRST_LIST_BYTE = 0xC0


def decode(encoded):
    """A legacy transaction is an item of a block's list itself, the other types are byte strings in it."""
    if not encoded:
        raise ValueError("no bytes")
    if encoded[0] >= FIRST_LIST_BYTE:
        return rlp.decode_to(transactions.LegacyTransaction, encoded)
    return transactions.decode_transaction(encoded)


def encode(tx):
    encoded = transactions.encode_transaction(tx)
    return encoded if isinstance(encoded, bytes) else rlp.encode(encoded)


def sign_with_placeholders(unsigned, chain_id):
    """The signature's fields take the place that they have in the signed form; whoever signs is no question here."""
    if not unsigned:
        raise ValueError("no bytes")
    is_legacy = unsigned[0] >= FIRST_LIST_BYTE
    prefix, payload = (b"", unsigned) if is_legacy else (unsigned[:1], unsigned[1:])
    fields = rlp.decode(payload)
    if isinstance(fields, bytes):
        raise ValueError("no list")
    fields = list(fields)
    if is_legacy:
        if len(fields) != 9 or fields[7:] != [b"", b""]:
            raise ValueError("not the nine fields of EIP-155")
        if Uint.from_be_bytes(fields[6]) != Uint(chain_id):
            raise ValueError("another chain id")
        if fields[6][:1] == b"\x00":
            raise ValueError("leading zero")
        fields = fields[:6]
    v = rlp.encode(Uint(35 + 2 * chain_id) if is_legacy else Uint(1))
    fields += [rlp.decode(v), b"\x01", b"\x01"]
    return prefix + rlp.encode(fields)


def text(value):
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    return str(int(value))


def optional(tx, name):
    return text(getattr(tx, name)) if hasattr(tx, name) else None


def validity(tx):
    try:
        transactions.validate_transaction(tx)
        return None
    except Exception as error:
        return type(error).__name__


def authority(authorization):
    """A network skips an authorization that nobody can have signed; the transaction stays valid."""
    try:
        return text(recover_authority(authorization))
    except InvalidSignatureError:
        return None


def judge(question):
    chain_id = question["chain_id"]
    if "unsigned" in question:
        encoded = sign_with_placeholders(bytes.fromhex(question["unsigned"]), chain_id)
    else:
        encoded = bytes.fromhex(question["signed"])
    tx = decode(encoded)
    if hasattr(tx, "chain_id") and int(tx.chain_id) != chain_id:
        raise ValueError("another chain id")
    names = ["nonce", "gas", "to", "value", "data", "gas_price", "max_fee_per_gas", "max_priority_fee_per_gas"]
    names += ["max_fee_per_blob_gas"]
    answer = {name: optional(tx, name) for name in names}
    answer["access"] = [
        [text(entry.account), [text(slot) for slot in entry.slots]] for entry in getattr(tx, "access_list", [])
    ]
    answer["blobs"] = [text(blob) for blob in getattr(tx, "blob_versioned_hashes", [])]
    answer["encoded"] = text(encode(tx))
    answer["invalid"] = validity(tx)
    if question.get("high_s"):
        tx = replace(tx, s=SECP256K1N - tx.s)
    if "signed" in question:
        answer["sender"] = text(transactions.recover_sender(U64(chain_id), tx))
        answer["txid"] = text(keccak256(encoded))
    answer["authorities"] = [authority(entry) for entry in getattr(tx, "authorizations", [])]
    return answer


for line in sys.stdin:
    try:
        answer = judge(json.loads(line))
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
