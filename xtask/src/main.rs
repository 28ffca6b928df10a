//! Developer commands: `cargo xtask test | tools | tidy | deny | demo | bench | fuzz | mutants`.
//!
//! `test` is all of CI, and `.ci/run` calls nothing else. What the tests need is installed by it, each thing with a
//! reason, under `.tools/` or as a Debian package. Nothing here is linked into the product.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]
#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "tests fail by panicking"
    )
)]

mod bench;
mod demo;
mod deny;
mod fuzz;
mod install;
mod mutants;
mod programs;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--no-install]   all of CI: install what tests need, fmt, clippy, tidy, fuzz, cargo test
  tools                 install what tests need and print the variables that tell them where it is
  tidy                  rules that the compiler does not know: dependency direction, purity, licences, tags, links
  deny                  cargo-deny (bans, licenses, sources); installs it under .tools/ when missing
  demo                  one withdrawal that is approved and signed, and one that is denied, on this machine
  bench [args]          release build and the benchmarks of countersign-integration; args are passed through
  bench parsers         the parsers beside the bare decoders of other libraries
  bench policy          the policy engine beside two general ones
  fuzz [--seconds N] [TARGET…]
                        coverage-guided fuzzing of everything that reads bytes from outside, each target for N seconds (60)
  mutants [PACKAGE…] [--since COMMIT] [--shard K/N]
                        what cargo-mutants changes in approval and policy and no test notices; survivors stand in docs/mutants.md";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("which command?\n\n{USAGE}")
    };
    match command.as_str() {
        "test" => test::run(rest),
        "tools" => no_arguments("tools", rest).and_then(|()| test::tools()),
        "tidy" => tidy::run(rest),
        "deny" => deny::run(rest),
        "demo" => demo::run(rest),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        "mutants" => mutants::run(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}

/// For commands that take no arguments.
fn no_arguments(command: &str, rest: &[String]) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(extra) => bail!("`cargo xtask {command}` takes no arguments, but got `{extra}`\n\n{USAGE}"),
    }
}
