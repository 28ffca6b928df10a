"""LiteSVM, with signatures verified, as a judge: a question a line, an answer a line, both JSON. Keys are in base58.

{"do": "open", "accounts": [...]}            a new machine with these accounts; the answer has its blockhash
{"do": "build", "version", "payer", "blockhash", "tables", "instructions"}    the message that solders makes
{"do": "try" or "send", "signed": hex}       executes without or with consequences; the answer says what moved

An answer with "error" is about the question or its bytes, one with "failed" about the execution.
"""

import json
import struct
import sys

from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.litesvm import LiteSVM
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM
from solders.system_program import AdvanceNonceAccountParams, TransferParams, advance_nonce_account, transfer
from solders.token import ID as TOKEN
from solders.token.associated import get_associated_token_address
from solders.token.state import Mint, TokenAccount, TokenAccountState
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

ASSOCIATED = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
TABLES = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
TRANSFER_CHECKED = 12
RENT = 10_000_000

vm = LiteSVM()
tables = {}


def key(text):
    return Pubkey.from_string(text)


def put(address, owner, data, lamports=RENT):
    vm.set_account(address, Account(lamports, data, owner))


def set_up(account):
    kind = account["kind"]
    if kind == "lamports":
        put(key(account["address"]), SYSTEM, b"", account["lamports"])
    elif kind == "mint":
        put(key(account["address"]), TOKEN, bytes(Mint(None, 10**18, account["decimals"], True, None)))
    elif kind == "tokens":
        mint, owner = key(account["mint"]), key(account["owner"])
        state = TokenAccount(mint, owner, account["amount"], None, TokenAccountState.Initialized, None, 0, None)
        put(get_associated_token_address(owner, mint), TOKEN, bytes(state))
    elif kind == "nonce":
        # Versions::Current of State::Initialized: authority, durable nonce, fee calculator.
        state = struct.pack("<II", 1, 1) + bytes(key(account["authority"]))
        state += bytes.fromhex(account["value"]) + struct.pack("<Q", 5_000)
        put(key(account["address"]), SYSTEM, state)
    elif kind == "table":
        addresses = [key(address) for address in account["addresses"]]
        # LookupTable, never deactivated, extended long ago, without authority.
        state = struct.pack("<IQQB", 1, 2**64 - 1, 0, 0).ljust(56, b"\0")
        put(key(account["address"]), TABLES, state + b"".join(bytes(address) for address in addresses))
        tables[key(account["address"])] = addresses
    else:
        raise ValueError(kind)


def open_machine(question):
    global vm
    vm = LiteSVM()
    vm.warp_to_slot(10)  # entries of a table are usable from the slot after they were added
    tables.clear()
    for account in question["accounts"]:
        set_up(account)
    return {"blockhash": bytes(vm.latest_blockhash()).hex()}


def instruction(payer, spec):
    """One by solders' own builders where it has them."""
    match spec["do"]:
        case "transfer":
            return transfer(
                TransferParams(from_pubkey=payer, to_pubkey=key(spec["to"]), lamports=spec["lamports"])
            )
        case "advance-nonce":
            return advance_nonce_account(
                AdvanceNonceAccountParams(nonce_pubkey=key(spec["account"]), authorized_pubkey=payer)
            )
        case "unit-price":
            return set_compute_unit_price(spec["micro_lamports"])
        case "unit-limit":
            return set_compute_unit_limit(spec["units"])
        case "open-associated":
            owner, mint = key(spec["owner"]), key(spec["mint"])
            account = get_associated_token_address(owner, mint)
            metas = [AccountMeta(payer, True, True), AccountMeta(account, False, True)]
            metas += [AccountMeta(other, False, False) for other in (owner, mint, SYSTEM, TOKEN)]
            return Instruction(ASSOCIATED, bytes([1]), metas)
        case "transfer-checked":
            mint = key(spec["mint"])
            source = get_associated_token_address(payer, mint)
            destination = get_associated_token_address(key(spec["owner"]), mint)
            data = struct.pack("<BQB", TRANSFER_CHECKED, spec["amount"], spec["decimals"])
            metas = [AccountMeta(source, False, True), AccountMeta(mint, False, False)]
            metas += [AccountMeta(destination, False, True), AccountMeta(payer, True, False)]
            return Instruction(TOKEN, data, metas)
        case other:
            raise ValueError(other)


def build(question):
    payer = key(question["payer"])
    blockhash = Hash.from_bytes(bytes.fromhex(question["blockhash"]))
    instructions = [instruction(payer, spec) for spec in question["instructions"]]
    if question["version"] == "legacy":
        return {"message": bytes(Message.new_with_blockhash(instructions, payer, blockhash)).hex()}
    known = [AddressLookupTableAccount(key(address), tables[key(address)]) for address in question["tables"]]
    message = MessageV0.try_compile(payer, instructions, known, blockhash)
    return {"message": to_bytes_versioned(message).hex()}


def accounts_of(message):
    accounts = list(message.account_keys)
    for lookup in getattr(message, "address_table_lookups", []):
        known = tables.get(lookup.account_key, [])
        indexes = list(lookup.writable_indexes) + list(lookup.readonly_indexes)
        accounts += [known[index] for index in indexes if index < len(known)]
    return accounts


def tokens_of(account):
    if account is None or account.owner != TOKEN or len(account.data) != 165:
        return None
    return TokenAccount.from_bytes(bytes(account.data))


def change(address, before, after):
    lamports = [account.lamports if account else 0 for account in (before, after)]
    tokens = [tokens_of(account) for account in (before, after)]
    state = tokens[1] or tokens[0]
    amounts = [token.amount if token else 0 for token in tokens]
    return {
        "address": str(address),
        "lamports": lamports[1] - lamports[0],
        "created": before is None and after is not None,
        "mint": str(state.mint) if state else None,
        "owner": str(state.owner) if state else None,
        "tokens": amounts[1] - amounts[0],
    }


def execute(question):
    encoded = bytes.fromhex(question["signed"])
    tx = VersionedTransaction.from_bytes(encoded)
    accounts = accounts_of(tx.message)
    before = {address: vm.get_account(address) for address in accounts}
    is_trial = question["do"] == "try"
    result = vm.simulate_transaction(tx) if is_trial else vm.send_transaction(tx)
    answer = {"reencoded": bytes(tx).hex(), "failed": None}
    if isinstance(result, FailedTransactionMetadata):
        return answer | {"failed": str(result.err())}
    if is_trial:
        after = before | dict(result.post_accounts())
        fee = result.meta().fee
    else:
        after = {address: vm.get_account(address) for address in accounts}
        fee = result.fee
    changes = [change(address, before.get(address), after[address]) for address in after]
    return answer | {"fee": fee() if callable(fee) else fee, "changes": changes}


ACTIONS = {"open": open_machine, "build": build, "try": execute, "send": execute}

for line in sys.stdin:
    try:
        question = json.loads(line)
        answer = ACTIONS[question["do"]](question)
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
