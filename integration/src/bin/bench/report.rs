//! Medians of the runs, and ratios between them and the floors: ratios hold on other machines, rates do not.

use std::{fmt, fs};

use serde::Serialize;

use crate::{
    floors::{Floors, RawSign},
    load::Run,
    site::Backend,
    statistics::median,
};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    format: &'static str,
    machine: Machine,
    withdrawals: u32,
    repeat: u32,
    pub(crate) backends: Vec<Measured>,
}

/// Where it was measured, and how busy that was before.
#[derive(Debug, Serialize)]
struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    /// The load average of the minute before the first run. Over 0: somebody else worked here.
    load_before: String,
}

/// One level and its runs.
#[derive(Debug, Serialize)]
pub(crate) struct Level {
    pub(crate) in_flight: u32,
    pub(crate) runs: Vec<Run>,
}

/// One backend: medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    backend: Backend,
    fdatasync_us: f64,
    empty_call_us: f64,
    raw_sign_per_second_one_thread: Option<f64>,
    raw_sign_per_second_all_sessions: Option<f64>,
    levels: Vec<Medians>,
}

/// One level: medians over its runs, and ratios of medians.
#[derive(Debug, Serialize)]
struct Medians {
    in_flight: u32,
    signed_per_second: f64,
    slowest_run_per_second: f64,
    fastest_run_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    signer_cpu_ms: f64,
    orchestrator_cpu_ms: f64,
    load_cpu_ms: f64,
    signer_commits: f64,
    orchestrator_commits: f64,
    /// Signed per second ÷ C_Sign per second on all sessions.
    signed_per_raw_sign: Option<f64>,
    /// p50 ÷ an empty mTLS call.
    p50_per_empty_call: f64,
    /// p50 ÷ fdatasync.
    p50_per_fdatasync: f64,
    runs: Vec<Run>,
}

impl Level {
    pub(crate) fn new(in_flight: u32) -> Self {
        Self {
            in_flight,
            runs: Vec::new(),
        }
    }
}

fn of<T>(values: &[T], field: impl Fn(&T) -> f64) -> f64 {
    median(values.iter().map(field))
}

impl Measured {
    pub(crate) fn new(backend: Backend, floors: &[Floors], levels: Vec<Level>) -> Self {
        let raw: Vec<RawSign> = floors.iter().filter_map(|floors| floors.raw_sign).collect();
        let is_measured = !raw.is_empty();
        let mut measured = Self {
            backend,
            fdatasync_us: of(floors, |floors| floors.fdatasync_us),
            empty_call_us: of(floors, |floors| floors.empty_call_us),
            raw_sign_per_second_one_thread: is_measured.then(|| of(&raw, |raw| raw.one_thread)),
            raw_sign_per_second_all_sessions: is_measured.then(|| of(&raw, |raw| raw.all_sessions)),
            levels: Vec::new(),
        };
        measured.levels = levels.into_iter().map(|level| measured.medians(level)).collect();
        measured
    }

    fn medians(&self, Level { in_flight, runs }: Level) -> Medians {
        let rates = || runs.iter().map(|run| run.signed_per_second);
        let (signed_per_second, p50_ms) = (median(rates()), of(&runs, |run| run.p50_ms));
        Medians {
            in_flight,
            signed_per_second,
            slowest_run_per_second: rates().fold(f64::INFINITY, f64::min),
            fastest_run_per_second: rates().fold(0.0, f64::max),
            p50_ms,
            p99_ms: of(&runs, |run| run.p99_ms),
            signer_cpu_ms: of(&runs, |run| run.signer_cpu_ms),
            orchestrator_cpu_ms: of(&runs, |run| run.orchestrator_cpu_ms),
            load_cpu_ms: of(&runs, |run| run.load_cpu_ms),
            signer_commits: of(&runs, |run| run.signer_commits),
            orchestrator_commits: of(&runs, |run| run.orchestrator_commits),
            signed_per_raw_sign: self.raw_sign_per_second_all_sessions.map(|raw| signed_per_second / raw),
            p50_per_empty_call: p50_ms * 1e3 / self.empty_call_us,
            p50_per_fdatasync: p50_ms * 1e3 / self.fdatasync_us,
            runs,
        }
    }
}

impl Report {
    /// An empty report that says where it is made.
    pub(crate) fn of_this_machine(withdrawals: u32, repeat: u32) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let machine = Machine {
            processor: processor.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        };
        Self {
            format: "countersign.bench/1",
            machine,
            withdrawals,
            repeat,
            backends: Vec::new(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            processor,
            cores,
            kernel,
            load_before,
        } = &self.machine;
        writeln!(
            f,
            "{cores} cores of {processor}, Linux {kernel}, load before the first run {load_before}"
        )?;
        writeln!(f, "medians of {} runs of {} withdrawals", self.repeat, self.withdrawals)?;
        self.backends.iter().try_for_each(|backend| write!(f, "\n{backend}"))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            backend,
            fdatasync_us,
            empty_call_us,
            ..
        } = self;
        write!(
            f,
            "{backend}: fdatasync {fdatasync_us:.0} µs, empty mTLS call {empty_call_us:.0} µs"
        )?;
        if let (Some(one), Some(all)) = (
            self.raw_sign_per_second_one_thread,
            self.raw_sign_per_second_all_sessions,
        ) {
            write!(f, ", raw C_Sign {one:.0}/s on one thread, {all:.0}/s on all sessions")?;
        }
        writeln!(f)?;
        HEADER.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        self.levels.iter().try_for_each(|level| writeln!(f, "{level}"))
    }
}

const HEADER: [&str; 2] = [
    "    in  signed/s  slowest-fastest      p50      p99   CPU ms/withdrawal     commits/withdrawal  signed/s    p50 ÷  p50 ÷",
    "flight                  run             ms       ms   signer  orch.   load   signer   orch.     ÷ C_Sign/s    call   sync",
];

impl fmt::Display for Medians {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = format!(
            "({:.0}-{:.0})",
            self.slowest_run_per_second, self.fastest_run_per_second
        );
        write!(f, "{:>6} {:>9.0}  {range:^17}", self.in_flight, self.signed_per_second)?;
        write!(f, " {:>7.2} {:>8.2}", self.p50_ms, self.p99_ms)?;
        write!(
            f,
            " {:>8.2} {:>6.2} {:>6.2}",
            self.signer_cpu_ms, self.orchestrator_cpu_ms, self.load_cpu_ms
        )?;
        write!(f, " {:>8.2} {:>7.2}", self.signer_commits, self.orchestrator_commits)?;
        let raw = self
            .signed_per_raw_sign
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
        write!(
            f,
            " {raw:>14} {:>6.0} {:>6.0}",
            self.p50_per_empty_call, self.p50_per_fdatasync
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(signed_per_second: f64) -> Run {
        Run {
            held_before: 0,
            withdrawals: 10,
            signed_per_second,
            p50_ms: 2.0,
            p99_ms: 3.0,
            signer_cpu_ms: 1.0,
            orchestrator_cpu_ms: 1.0,
            load_cpu_ms: 1.0,
            signer_commits: 2.0,
            orchestrator_commits: 3.0,
        }
    }

    #[test]
    fn ratios_are_of_medians() {
        let raw_sign = Some(RawSign {
            one_thread: 500.0,
            all_sessions: 1_000.0,
        });
        let floors = [Floors {
            fdatasync_us: 100.0,
            empty_call_us: 200.0,
            raw_sign,
        }];
        let level = Level {
            in_flight: 4,
            runs: vec![run(300.0), run(100.0), run(200.0)],
        };
        let measured = Measured::new(Backend::Pkcs11, &floors, vec![level]);
        let medians = &measured.levels[0];
        assert_eq!(medians.signed_per_raw_sign, Some(0.2));
        assert_eq!((medians.p50_per_empty_call, medians.p50_per_fdatasync), (10.0, 20.0));
        assert_eq!(
            (medians.slowest_run_per_second, medians.fastest_run_per_second),
            (100.0, 300.0)
        );
        let text = measured.to_string();
        assert!(
            text.contains("1000/s on all sessions") && text.contains("(100-300)"),
            "{text}"
        );
    }

    #[test]
    fn a_keystore_has_no_token_to_compare_with() {
        let floors = [Floors {
            fdatasync_us: 100.0,
            empty_call_us: 200.0,
            raw_sign: None,
        }];
        let level = Level {
            in_flight: 1,
            runs: vec![run(1.0)],
        };
        let measured = Measured::new(Backend::InsecureDev, &floors, vec![level]);
        assert_eq!(measured.levels[0].signed_per_raw_sign, None);
        assert!(!measured.to_string().contains("C_Sign/s on"));
    }
}
