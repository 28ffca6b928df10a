//! The unsigned transaction that a PSBT of version 2 describes (BIP 370).

use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, absolute::LockTime, consensus::serialize,
};

use super::{
    MAX_UNSIGNED_BYTES, Place, PsbtError, Unknown,
    field::kind,
    maps::{Frame, LockField, PayFields, SpendFields},
};

pub(super) fn transaction<'a>(
    frame: &Frame<'a>,
    spends: &[SpendFields<'a>],
    pays: &[PayFields<'_>],
    unknown: &mut Vec<Unknown<'a>>,
) -> Result<Transaction, PsbtError> {
    let lock_time = lock_time(frame, spends)?;
    unknown.extend(idle_lock_times(frame, spends, lock_time));
    let input = spends.iter().enumerate().map(|(index, spend)| txin(index, spend));
    let output = pays.iter().enumerate().map(|(index, pay)| txout(index, pay));
    let tx = Transaction {
        version: frame.version,
        lock_time: LockTime::from_consensus(lock_time),
        input: input.collect::<Result<_, _>>()?,
        output: output.collect::<Result<_, _>>()?,
    };
    let len = serialize(&tx).len();
    match len > MAX_UNSIGNED_BYTES {
        true => Err(PsbtError::TransactionTooLarge(len)),
        false => Ok(tx),
    }
}

fn txin(index: usize, spend: &SpendFields<'_>) -> Result<TxIn, PsbtError> {
    let missing = |kind| {
        let place = Place::Input(index);
        PsbtError::MissingField { place, kind }
    };
    let txid = spend.txid.ok_or_else(|| missing(kind::IN_PREVIOUS_TXID))?;
    let vout = spend.index.ok_or_else(|| missing(kind::IN_OUTPUT_INDEX))?;
    Ok(TxIn {
        previous_output: OutPoint::new(txid, vout),
        script_sig: ScriptBuf::new(),
        sequence: spend.sequence.map_or(Sequence::MAX, Sequence::from_consensus),
        witness: Witness::new(),
    })
}

fn txout(index: usize, pay: &PayFields<'_>) -> Result<TxOut, PsbtError> {
    let missing = |kind| {
        let place = Place::Output(index);
        PsbtError::MissingField { place, kind }
    };
    let sat = pay.sat.ok_or_else(|| missing(kind::OUT_AMOUNT))?;
    let script = pay.script.ok_or_else(|| missing(kind::OUT_SCRIPT))?;
    Ok(TxOut {
        value: Amount::from_sat(sat),
        script_pubkey: script.to_owned(),
    })
}

/// BIP 370, "Determining Lock Time": the highest of the kind that every input with a requirement accepts, heights
/// before times; without a requirement the fallback.
fn lock_time(frame: &Frame<'_>, spends: &[SpendFields<'_>]) -> Result<u32, PsbtError> {
    let requiring = spends
        .iter()
        .filter(|spend| spend.time.is_some() || spend.height.is_some());
    let highest = |of: fn(&SpendFields<'_>) -> Option<u32>| {
        let all: Option<Vec<u32>> = requiring.clone().map(of).collect();
        all?.into_iter().max()
    };
    if requiring.clone().next().is_none() {
        return Ok(frame.fallback.map_or(0, |fallback| fallback.at));
    }
    highest(|spend| Some(spend.height?.at))
        .or_else(|| highest(|spend| Some(spend.time?.at)))
        .ok_or(PsbtError::NoCommonLockTime)
}

/// Lock times that are not the transaction's: nothing that is signed says what they say, so a person must see them.
fn idle_lock_times<'a>(frame: &Frame<'a>, spends: &[SpendFields<'a>], lock_time: u32) -> Vec<Unknown<'a>> {
    let required = spends.iter().flat_map(|spend| [spend.time, spend.height]);
    let all = std::iter::once(frame.fallback).chain(required).flatten();
    all.filter(|lock| lock.at != lock_time)
        .map(|LockField { field, .. }| field.unknown())
        .collect()
}
