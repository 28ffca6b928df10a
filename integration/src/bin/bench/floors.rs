//! What nothing built on this machine and this token can beat, measured in the same run.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use countersign_client::{Client, ClientError};
use countersign_integration::Binaries;
use countersign_types::Class;

use crate::{
    process::run,
    site::{Backend, Site},
    statistics::median,
};

const SYNCS: u32 = 300;
/// What SQLite appends to its log for one changed page, roughly.
const SYNCED_BYTES: usize = 4_096;
/// Under the orchestrator's burst of 4 000 calls, so that its rate limit is not what is measured.
const CALLS: u32 = 1_000;
const RAW_SIGN_SECONDS: &str = "1";

/// One measurement of each.
#[derive(Debug, Clone)]
pub(crate) struct Floors {
    /// Appending 4 096 bytes to a file and fdatasync, median, in microseconds.
    pub(crate) fdatasync_us: f64,
    /// One mTLS call after the other that ends before the orchestrator's database, median, in microseconds.
    pub(crate) empty_call_us: f64,
    /// C_Sign per second of the token with secp256k1, on one thread and on as many as the signer has sessions.
    pub(crate) raw_sign: Option<RawSign>,
}

/// C_Sign per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawSign {
    pub(crate) one_thread: f64,
    pub(crate) all_sessions: f64,
}

impl Floors {
    /// Measures while nothing else of ours works.
    pub(crate) async fn measure(site: &mut Site) -> Result<Self> {
        let raw_sign = match site.backend {
            Backend::Pkcs11 => Some(RawSign {
                one_thread: raw_sign(site, "1")?,
                all_sessions: raw_sign(site, &site.signer_setting("sessions")?)?,
            }),
            Backend::InsecureDev => None,
        };
        let file = site.path("run/sync");
        Ok(Self {
            fdatasync_us: fdatasync(&file)?,
            empty_call_us: empty_call(site).await?,
            raw_sign,
        })
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn fdatasync(path: &Path) -> Result<f64> {
    let mut file = fs::File::create(path)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[0x5a; SYNCED_BYTES])?;
        file.sync_data()?;
        times.push(micros(begun.elapsed()));
    }
    fs::remove_file(path)?;
    Ok(median(times))
}

async fn empty_call(site: &mut Site) -> Result<f64> {
    site.deployment.start().await?;
    let client = site.deployment.client("pipeline").await?;
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let begun = Instant::now();
        call_in_vain(&client).await?;
        times.push(micros(begun.elapsed()));
    }
    drop(client);
    site.stop().await?;
    Ok(median(times))
}

/// A listing behind a page that does not exist: authenticated, admitted and refused before the database.
async fn call_in_vain(client: &Client) -> Result<()> {
    match client.list(&[], 1, "no page").await {
        Err(ClientError::Refused { tag, .. }) if tag.class() == Class::Malformed => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => bail!("the orchestrator listed a page that does not exist"),
    }
}

/// The example of the PKCS#11 backend, in the signer's own token, with a key that it makes and destroys.
fn raw_sign(site: &Site, threads: &str) -> Result<f64> {
    let pin = fs::read_to_string(site.path("signer/pin"))?;
    let mut raw = Command::new(Binaries::locate()?.path("examples/raw_sign"));
    raw.arg(site.signer_setting("module")?)
        .arg(site.signer_setting("token")?);
    raw.args([threads, RAW_SIGN_SECONDS]);
    raw.env("COUNTERSIGN_PKCS11_PIN", pin.trim_end())
        .env("SOFTHSM2_CONF", site.softhsm_config());
    let printed = run(&mut raw).context("`cargo xtask bench` builds the example `raw_sign`")?;
    per_second(&printed).with_context(|| format!("raw_sign printed no rate of secp256k1: {printed}"))
}

fn per_second(printed: &str) -> Option<f64> {
    let mut lines = printed
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let line = lines.find(|line| line.get("algorithm").is_some_and(|name| name == "secp256k1"))?;
    line.get("per_second")?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_secp256k1() {
        let printed =
            "{\"algorithm\":\"ed25519\",\"per_second\":9.0}\n{\"algorithm\":\"secp256k1\",\"per_second\":5.0}\n";
        assert_eq!(per_second(printed), Some(5.0));
        assert_eq!(per_second("nothing\n"), None);
    }

    #[test]
    fn syncing_takes_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(fdatasync(&folder.path().join("sync")).unwrap() > 0.0);
    }
}
