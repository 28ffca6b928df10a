//! bitcoinjs-lib and @scure/btc-signer build PSBTs that we parse, and sign to the very bytes that we assemble.

use bitcoin::{Transaction, TxOut, consensus::serialize};
use countersign_types::{RawSignature, SigningBytes};
use serde_json::{Value, json};

use crate::{
    oracle::{Disagreements, Judge, NODE_MODULES, World},
    site::{
        Form, HOT, STRANGER, effect, fee, forms, hex_of, output, p2wpkh, previous, reason, sign, signatures, world,
    },
};

const LIBRARIES: [&str; 2] = ["bitcoinjs-lib", "@scure/btc-signer"];
const EACH_SAT: u64 = 100_000;
const FEE_SAT: u64 = 1_000;
const PAID_SAT: u64 = 60_000;

/// A payment from outputs of some forms, with change to the wallet's first key.
struct Payment {
    forms: Vec<Form>,
    previous: Vec<Transaction>,
    outputs: Vec<TxOut>,
}

impl Payment {
    fn from(forms: &[Form]) -> Self {
        let previous = (1_u8..)
            .zip(forms)
            .map(|(number, form)| previous(number, output(EACH_SAT, form.script.clone())));
        let total = EACH_SAT * forms.len() as u64;
        Self {
            forms: forms.to_vec(),
            previous: previous.collect(),
            outputs: vec![
                output(PAID_SAT, p2wpkh(&STRANGER)),
                output(total - PAID_SAT - FEE_SAT, p2wpkh(&[0x4b; 32])),
            ],
        }
    }

    fn spent(&self) -> Vec<TxOut> {
        self.previous.iter().map(|tx| tx.output[0].clone()).collect()
    }

    /// As the libraries take it. Taproot inputs come without a previous transaction where all of them are.
    fn json(&self) -> Value {
        let all_taproot = self.forms.iter().all(|form| form.is_taproot);
        let script = |script: &Option<bitcoin::ScriptBuf>| script.as_ref().map(|script| hex_of(script));
        let input = |(tx, form): (&Transaction, &Form)| {
            json!({
                "txid": tx.compute_txid().to_string(),
                "vout": 0,
                "sequence": 0xffff_fffd_u32,
                "previous": (!all_taproot).then(|| hex::encode(serialize(tx))),
                "script": hex_of(&form.script),
                "amount": EACH_SAT.to_string(),
                "taproot": form.is_taproot,
                "redeem": script(&form.redeem_script),
                "witness": script(&form.witness_script),
            })
        };
        let output = |output: &TxOut| json!({ "script": hex_of(&output.script_pubkey), "amount": output.value.to_sat().to_string() });
        json!({
            "inputs": self.previous.iter().zip(&self.forms).map(input).collect::<Vec<_>>(),
            "outputs": self.outputs.iter().map(output).collect::<Vec<_>>(),
        })
    }
}

struct Peers {
    judge: Judge,
}

impl Peers {
    fn start() -> Option<Self> {
        let modules = NODE_MODULES.find()?;
        let judge = Judge::start("node".as_ref(), "bitcoin_psbt.mjs", &[modules.as_os_str()]);
        Some(Self { judge })
    }

    fn ask(&mut self, library: &str, question: Value) -> Result<Value, String> {
        let mut question = question;
        question["library"] = library.into();
        let answer = self.judge.ask(&question);
        match answer.get("error") {
            None => Ok(answer),
            Some(error) => Err(error.as_str().unwrap().to_owned()),
        }
    }

    fn build(&mut self, library: &str, version: u32, payment: &Payment) -> Vec<u8> {
        let question = json!({ "do": "build", "version": version, "tx": payment.json() });
        let answer = self.ask(library, question);
        let answer = answer.unwrap_or_else(|error| panic!("{library} builds nothing: {error}"));
        hex::decode(answer["psbt"].as_str().unwrap()).unwrap()
    }

    /// What the library makes of the PSBT: with the keys, or for @scure/btc-signer and taproot with our signatures, because
    /// it signs for keys tweaked by BIP 86 alone.
    fn sign(&mut self, library: &str, psbt: &[u8], world: &World, payment: &Payment) -> Value {
        let question = if payment.forms.iter().all(|form| form.is_taproot) && library != LIBRARIES[0] {
            let signatures = signatures(&world.parse(psbt).unwrap());
            let hex = |signature: &RawSignature| hex::encode(signature.as_bytes());
            json!({ "do": "finish", "psbt": hex::encode(psbt), "schnorr": signatures.iter().map(hex).collect::<Vec<_>>() })
        } else {
            // Two keys, as many as the multisig takes: the first m of its keys are the ones that we sign with.
            json!({ "do": "sign", "psbt": hex::encode(psbt), "keys": self.keys(payment) })
        };
        self.ask(library, question)
            .unwrap_or_else(|error| panic!("{library}: {error}"))
    }

    fn keys(&self, payment: &Payment) -> Vec<String> {
        let is_multisig = payment.forms.iter().any(|form| form.witness_script.is_some());
        let keys = if is_multisig { &HOT[..2] } else { &HOT[1..2] };
        keys.iter().map(hex::encode).collect()
    }
}

#[test]
fn both_libraries_build_what_we_parse_and_sign_what_we_assemble() {
    let Some(mut peers) = Peers::start() else { return };
    let world = world();
    let mut disagreements = Disagreements::with("@scure/btc-signer v2");
    for form in forms() {
        let payment = Payment::from(&[form.clone(), form.clone()]);
        let mut expected: Vec<_> = payment.outputs.iter().map(|output| effect(&world, output)).collect();
        expected.push(fee(&world, FEE_SAT));
        for (library, version) in [(LIBRARIES[0], 0), (LIBRARIES[1], 0), (LIBRARIES[1], 2)] {
            let name = format!("{} {library} v{version}", form.name);
            let mut psbt = peers.build(library, version, &payment);
            if version == 2 {
                // It says that inputs and outputs may still be added, and does so until somebody signed.
                disagreements.note(&reason(&world.parse(&psbt).unwrap_err()), &name);
                finish_construction(&mut psbt);
            }
            let parsed = world
                .parse(&psbt)
                .unwrap_or_else(|error| panic!("{name}: {error}: {}", hex::encode(&psbt)));
            assert_eq!(parsed.effects(), expected, "{name}");
            let ours = sign(&world, &psbt, &payment.spent(), &name);
            let theirs = peers.sign(library, &psbt, &world, &payment);
            assert_eq!(theirs["tx"], hex::encode(&ours.bytes), "{name}");
            assert_eq!(theirs["txid"], ours.txid, "{name}");
        }
    }
    disagreements.settle();
}

/// `PSBT_GLOBAL_TX_MODIFIABLE` (BIP 370) loses its flags, as it must before anybody signs.
fn finish_construction(psbt: &mut [u8]) {
    let field = [1, 6, 1, 3];
    let at = psbt.windows(field.len()).position(|window| window == field);
    psbt[at.unwrap() + 3] = 0;
}

#[test]
fn all_forms_in_one_transaction() {
    let Some(mut peers) = Peers::start() else { return };
    let world = world();
    let payment = Payment::from(&forms());
    let psbt = peers.build(LIBRARIES[0], 0, &payment);
    let ours = sign(&world, &psbt, &payment.spent(), "all forms");
    let theirs = peers.sign(LIBRARIES[0], &psbt, &world, &payment);
    assert_eq!(theirs["tx"], hex::encode(&ours.bytes));
    let schnorr =
        |payload: &&countersign_types::SigningPayload| matches!(payload.bytes(), SigningBytes::SchnorrPrehash(_));
    assert_eq!(
        world
            .parse(&psbt)
            .unwrap()
            .signing_payloads()
            .iter()
            .filter(schnorr)
            .count(),
        1
    );
}

/// A PSBT of each kind whose bytes are changed one at a time: who builds it, its version, and the form that it spends.
const CHANGED: [(&str, u32, &str); 4] = [
    (LIBRARIES[0], 0, "p2wpkh"),
    (LIBRARIES[1], 0, "p2sh-p2wpkh"),
    (LIBRARIES[1], 2, "p2wsh 2 of 3"),
    (LIBRARIES[1], 2, "p2wpkh"),
];

/// Where both sign, the bytes are equal. Where one refuses what the other signs, it is listed.
#[test]
fn of_changed_bytes_we_sign_no_more_than_the_libraries() {
    let Some(mut peers) = Peers::start() else { return };
    let world = world();
    for (library, version, form) in CHANGED {
        let oracle = format!("{library} v{version} {form}");
        let mut disagreements = Disagreements::with(&oracle);
        let form = forms().into_iter().find(|found| found.name == form).unwrap();
        let payment = Payment::from(&[form]);
        let mut psbt = peers.build(library, version, &payment);
        if version == 2 {
            finish_construction(&mut psbt);
        }
        let changed = (0..psbt.len()).map(|index| {
            let mut mutant = psbt.clone();
            mutant[index] ^= 1;
            mutant
        });
        let mut both = 0;
        for mutant in changed.chain([[&psbt[..], &[0]].concat()]) {
            let name = hex::encode(&mutant);
            let question = json!({ "do": "sign", "psbt": name, "keys": peers.keys(&payment) });
            match (world.parse(&mutant), peers.ask(library, question)) {
                (Ok(parsed), Ok(theirs)) => {
                    let ours = world.assemble(&mutant, &signatures(&parsed)).unwrap();
                    assert_eq!(theirs["tx"], hex::encode(&ours.bytes), "{oracle}: {name}");
                    both += 1;
                }
                (Ok(_), Err(error)) => disagreements.note(&format!("accepted: {error}"), &name),
                (Err(error), Ok(_)) => disagreements.note(&format!("refused: {}", reason(&error)), &name),
                (Err(_), Err(_)) => {}
            }
        }
        assert!(both > 30, "{oracle}: only {both}");
        disagreements.settle();
    }
}
