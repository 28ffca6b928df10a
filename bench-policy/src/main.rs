//! The policy engine beside two general ones, deciding the same withdrawals under an equivalent policy of twenty rules.
//!
//! Before anything is timed, all of them must decide every sample alike. Rounds go through the engines in turn, so that a
//! disturbance hits all of them, and medians are compared. Nothing here asserts a time.

mod cedar;
mod ours;
mod rego;
mod sample;

use std::{fs, hint::black_box};

use anyhow::{Context as _, Result, ensure};

use sample::{Lists, Sample};

/// Odd, so that the median is one of them.
const ROUNDS: usize = 15;
/// How many customers' destinations the lists have.
const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
/// Decisions of one engine between two looks at the clock.
const BATCH: usize = 2_048;
/// A round of one engine takes at least this long: the kernel counts a thread's time in steps of up to 4 ms.
const MIN_NANOS: f64 = 100e6;

/// No decision: what the signer asks its journal before one. Every withdrawal has something to ask.
const QUESTIONS: &str = "ours, its questions";

/// Something that decides the sample with this number.
type Decide<'a> = Box<dyn FnMut(usize) -> bool + 'a>;

fn main() -> Result<()> {
    println!("medians of {ROUNDS} rounds of 0.1 s or more, ns of CPU a decision; ratio = engine ÷ ours, stateless");
    println!("{:>12}  {:<24} {:>12} {:>10}", "destinations", "engine", "ns", "ratio");
    for size in SIZES {
        measure(size)?;
    }
    Ok(())
}

fn measure(size: usize) -> Result<()> {
    let lists = Lists::new(size);
    let samples = Sample::all(&lists);
    let stateless = ours::Engine::stateless(&lists, &samples)?;
    let counting = ours::Engine::counting(&lists, &samples)?;
    let cedar = cedar::Engine::new(&lists, &samples)?;
    let mut interpreter = rego::Interpreter::new(&lists, &samples)?;
    let mut machine = rego::Machine::new(&lists, &samples)?;
    let mut engines: Vec<(&str, Decide<'_>)> = vec![
        ("ours, stateless", Box::new(|at| stateless.decide(at))),
        ("ours, stateless, trace", Box::new(|at| stateless.evaluate(at))),
        ("ours, eight counters", Box::new(|at| counting.decide(at))),
        ("ours, counters, trace", Box::new(|at| counting.evaluate(at))),
        (QUESTIONS, Box::new(|at| counting.asks(at))),
        ("cedar-policy", Box::new(|at| cedar.decide(at))),
        ("regorus, interpreter", Box::new(|at| interpreter.decide(at))),
        ("regorus, machine", Box::new(|at| machine.decide(at))),
    ];
    for (name, decide) in &mut engines {
        for (at, sample) in samples.iter().enumerate() {
            let is_expected = sample.is_allowed || *name == QUESTIONS;
            ensure!(decide(at) == is_expected, "{name} decides otherwise: {sample:?}");
        }
    }
    let mut rounds = vec![Vec::with_capacity(ROUNDS); engines.len()];
    for _ in 0..ROUNDS {
        for ((_, decide), times) in engines.iter_mut().zip(&mut rounds) {
            times.push(batch(decide, samples.len())?);
        }
    }
    let medians: Vec<f64> = rounds.into_iter().map(median).collect();
    let base = medians.first().copied().unwrap_or(f64::NAN);
    for ((name, _), median) in engines.iter().zip(medians) {
        println!("{size:>12}  {name:<24} {median:>12.0} {:>10.1}", median / base);
    }
    Ok(())
}

fn batch(decide: &mut Decide<'_>, samples: usize) -> Result<f64> {
    let start = cpu_nanos()?;
    let mut decided = 0;
    loop {
        for at in (0..samples).cycle().take(BATCH) {
            black_box(decide(black_box(at)));
        }
        decided += BATCH;
        let ran = cpu_nanos()? - start;
        if ran >= MIN_NANOS {
            return Ok(ran / decided as f64);
        }
    }
}

/// How long this thread has run: what others do on the machine meanwhile is not counted, but for what they take of its
/// caches and of the core that two threads share.
fn cpu_nanos() -> Result<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").context("Linux says how long a thread has run")?;
    let nanos = stat.split(' ').next().context("the time on the CPU comes first")?;
    Ok(nanos.parse()?)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
