// bitcoinjs-lib and @scure/btc-signer as judges: a question a line, an answer a line, both JSON.
//
// {"do": "build", "library", "version", "tx"}            the PSBT that the library makes of inputs and outputs
// {"do": "sign", "library", "psbt", "keys"}              the transaction that it makes by signing with these keys
// {"do": "finish", "library", "psbt", "schnorr": [...]}  the one that it makes of these taproot signatures, one an input
//
// The first argument is the folder of node modules.

import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = process.argv[2];
const load = (path) => import(pathToFileURL(join(modules, path)).href);
const bitcoin = await load("bitcoinjs-lib/src/esm/index.js");
const scure = await load("@scure/btc-signer/index.js");
const { secp256k1, schnorr } = await load("@noble/curves/secp256k1.js");

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");
const NO_RANDOMNESS = new Uint8Array(32);

const liftX = (x) => schnorr.utils.lift_x(BigInt(`0x${hex(x)}`));

// What bitcoinjs-lib asks of a library for the curve; it tries it out before it accepts it.
bitcoin.initEccLib({
  isXOnlyPoint: (point) => {
    try {
      liftX(point);
      return true;
    } catch {
      return false;
    }
  },
  xOnlyPointAddTweak: (point, tweak) => {
    const scalar = BigInt(`0x${hex(tweak)}`);
    const sum = scalar === 0n ? liftX(point) : liftX(point).add(secp256k1.Point.BASE.multiply(scalar));
    if (sum.equals(secp256k1.Point.ZERO)) return null;
    const encoded = sum.toBytes(true);
    return { parity: encoded[0] & 1, xOnlyPubkey: encoded.slice(1) };
  },
});

// A previous transaction goes with every input that is not taproot, the spent output with every one that is.
function fieldsOf(input) {
  const fields = {};
  if (input.previous) fields.nonWitnessUtxo = bytes(input.previous);
  if (input.taproot) fields.witnessUtxo = { script: bytes(input.script), amount: BigInt(input.amount) };
  if (input.redeem) fields.redeemScript = bytes(input.redeem);
  if (input.witness) fields.witnessScript = bytes(input.witness);
  return fields;
}

const bitcoinjs = {
  build({ tx, version }) {
    if (version !== 0) throw new Error("bitcoinjs-lib has no PSBT version 2");
    const psbt = new bitcoin.Psbt();
    psbt.setVersion(2).setLocktime(0);
    for (const input of tx.inputs) {
      const fields = fieldsOf(input);
      if (fields.witnessUtxo) fields.witnessUtxo = { script: fields.witnessUtxo.script, value: fields.witnessUtxo.amount };
      psbt.addInput({ hash: input.txid, index: input.vout, sequence: input.sequence, ...fields });
    }
    for (const output of tx.outputs) psbt.addOutput({ script: bytes(output.script), value: BigInt(output.amount) });
    return { psbt: psbt.toHex() };
  },
  sign({ psbt: encoded, keys }) {
    const psbt = bitcoin.Psbt.fromHex(encoded);
    // It signs as many of a multisig's keys as it is given, and has to be told that a taproot input is spent by key.
    for (const key of keys.map(bytes)) {
      const publicKey = secp256k1.getPublicKey(key, true);
      const signer = {
        publicKey,
        sign: (digest) => secp256k1.sign(digest, key, { prehash: false, lowS: true }),
        signSchnorr: (digest) => schnorr.sign(digest, key, NO_RANDOMNESS),
      };
      psbt.data.inputs.forEach((input, index) => {
        const script = input.witnessUtxo?.script;
        if (script && hex(script) === `5120${hex(publicKey.slice(1))}` && !input.tapInternalKey) {
          psbt.updateInput(index, { tapInternalKey: publicKey.slice(1) });
        }
      });
      psbt.signAllInputs(signer);
    }
    const validator = (publicKey, digest, signature) =>
      publicKey.length === 32
        ? schnorr.verify(signature, digest, publicKey)
        : secp256k1.verify(signature, digest, publicKey, { prehash: false });
    if (!psbt.validateSignaturesOfAllInputs(validator)) throw new Error("it does not accept its own signatures");
    psbt.finalizeAllInputs();
    const signed = psbt.extractTransaction(true);
    return { tx: signed.toHex(), txid: signed.getId() };
  },
  finish({ psbt: encoded, schnorr: signatures }) {
    const psbt = bitcoin.Psbt.fromHex(encoded);
    signatures.forEach((signature, index) => psbt.updateInput(index, { tapKeySig: bytes(signature) }));
    const validator = (publicKey, digest, signature) => schnorr.verify(signature, digest, publicKey);
    if (!psbt.validateSignaturesOfAllInputs(validator)) throw new Error("it does not accept the signatures");
    psbt.finalizeAllInputs();
    const signed = psbt.extractTransaction(true);
    return { tx: signed.toHex(), txid: signed.getId() };
  },
};

const OPTIONS = { allowUnknownInputs: true, allowUnknownOutputs: true, allowUnknown: true };

const btcSigner = {
  build({ tx, version }) {
    const psbt = new scure.Transaction({ ...OPTIONS, version: 2, lockTime: 0 });
    for (const input of tx.inputs) {
      psbt.addInput({ txid: bytes(input.txid), index: input.vout, sequence: input.sequence, ...fieldsOf(input) });
    }
    for (const output of tx.outputs) psbt.addOutput({ script: bytes(output.script), amount: BigInt(output.amount) });
    return { psbt: hex(psbt.toPSBT(version)) };
  },
  sign({ psbt: encoded, keys }) {
    const psbt = scure.Transaction.fromPSBT(bytes(encoded), OPTIONS);
    for (const key of keys) psbt.sign(bytes(key), undefined, NO_RANDOMNESS);
    psbt.finalize();
    return { tx: hex(psbt.extract()), txid: psbt.id };
  },
  finish({ psbt: encoded, schnorr: signatures }) {
    const psbt = scure.Transaction.fromPSBT(bytes(encoded), OPTIONS);
    signatures.forEach((signature, index) => psbt.updateInput(index, { tapKeySig: bytes(signature) }, true));
    psbt.finalize();
    return { tx: hex(psbt.extract()), txid: psbt.id };
  },
};

const libraries = { "bitcoinjs-lib": bitcoinjs, "@scure/btc-signer": btcSigner };

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const question = JSON.parse(line);
    answer = libraries[question.library][question.do](question);
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
