//! The signer's part of a new environment: configuration, PINs, log key, token and the wallet key inside it.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use countersign_types::PublicKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Steps;
use crate::{
    clock,
    environment::Layout,
    failure::{Failure, Result},
    files,
    process::Program,
};

const MODULE_VARIABLE: &str = "COUNTERSIGN_PKCS11_MODULE";
const TOKEN: &str = "countersign-dev";
const SESSIONS: usize = 2;

/// What the signer generated.
pub(super) struct Keys {
    pub(super) log_key: String,
    pub(super) wallet: PublicKey,
}

#[derive(Deserialize)]
struct LogKey {
    log_key: String,
}

#[derive(Deserialize)]
struct Generated {
    public_key: PublicKey,
}

/// Writes the signer's files and has it generate its keys.
pub(super) async fn prepare(steps: &Steps, module: Option<&Path>) -> Result<Keys> {
    let Steps {
        layout,
        children,
        output,
        ..
    } = steps;
    write_secrets(layout, module.is_some())?;
    files::write(&layout.signer_config(), config(module, &[])?.as_bytes())?;
    let LogKey { log_key } = children
        .run(Program::Signer, &arguments("log-key", layout, &[]))
        .await?;
    output.progress(format!("log key: {log_key}"));
    children
        .run_silent(Program::Signer, &arguments("token-init", layout, &[]))
        .await?;
    let keygen = ["--label", "eth-hot", "--algorithm", "secp256k1"].map(OsStr::new);
    let Generated { public_key } = children
        .run(Program::Signer, &arguments("keygen", layout, &keygen))
        .await?;
    output.progress(match module {
        Some(module) => format!(
            "wallet eth-hot: {public_key}, generated inside a token of {}",
            module.display()
        ),
        None => format!("wallet eth-hot: {public_key}, in the encrypted insecure-dev keystore (no HSM)"),
    });
    files::write(&layout.signer_config(), config(module, &[public_key])?.as_bytes())?;
    Ok(Keys {
        log_key,
        wallet: public_key,
    })
}

/// `countersign-signer <command> --config …`, then the rest.
pub(super) fn arguments(command: &str, layout: &Layout, rest: &[&OsStr]) -> Vec<OsString> {
    let config = layout.signer_config();
    let start = [OsStr::new(command), OsStr::new("--config"), config.as_os_str()];
    start.iter().chain(rest).map(|word| (*word).to_owned()).collect()
}

fn write_secrets(layout: &Layout, is_token: bool) -> Result<()> {
    let secret = |name: &str| -> Result<()> {
        let random = Zeroizing::new(clock::random::<16>()?);
        files::write_secret(
            &layout.path(&format!("signer/{name}")),
            Zeroizing::new(hex::encode(*random)).as_bytes(),
        )
    };
    if !is_token {
        return secret("passphrase");
    }
    secret("pin")?;
    secret("so-pin")?;
    files::create_folder(&layout.path("signer/token/tokens"))?;
    let tokens = layout.path("signer/token/tokens");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        tokens.display()
    );
    files::write(&layout.softhsm_config(), text.as_bytes())
}

fn config(module: Option<&Path>, keys: &[PublicKey]) -> Result<String> {
    let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    let keys = keys.join(", ");
    let backend = match module {
        Some(module) => {
            let module = module.to_str().filter(|path| !path.contains(['"', '\\', '\n']));
            let module = module.ok_or_else(|| Failure::failed("the module's path cannot be written in TOML"))?;
            format!(
                "kind = \"pkcs11\"\nmodule = \"{module}\"\ntoken = \"{TOKEN}\"\npin_file = \"pin\"\n\
                 so_pin_file = \"so-pin\"\nsessions = {SESSIONS}\nkeys = [{keys}]\n"
            )
        }
        None => format!(
            "kind = \"insecure-dev\"\nkeystore = \"keystore.json\"\npassphrase_file = \"passphrase\"\nkeys = [{keys}]\n"
        ),
    };
    let listener = "listen = \"127.0.0.1:0\"\ncertificate = \"../tls/signer.pem\"\nkey = \"../tls/signer.key\"\n\
                    client_ca = \"../ca/ca.pem\"\n";
    Ok(format!(
        "state_dir = \"state\"\nready_file = \"../run/signer.json\"\n\n[backend]\n{backend}\n\
         [orchestrator_listener]\n{listener}\n[people_listener]\n{listener}"
    ))
}

/// Writes `orchestrator.toml`. Addresses are dynamic: `countersign dev` passes the signer's as a flag, and writes down the
/// orchestrator's own from its ready line.
pub(super) fn write_orchestrator_config(layout: &Layout) -> Result<()> {
    let text = "listen = \"127.0.0.1:0\"\ndatabase = \"store.sqlite\"\n\n\
                [tls]\ncertificate = \"../tls/orchestrator-server.pem\"\nkey = \"../tls/orchestrator-server.key\"\n\
                ca = \"../ca/ca.pem\"\n\n\
                [signer]\naddress = \"https://127.0.0.1:0\"\nserver_name = \"localhost\"\n";
    files::write(&layout.orchestrator_config(), text.as_bytes())
}

/// SoftHSM's module: where the variable says, or where distributions put it.
pub(super) fn find_module() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(MODULE_VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return match path.is_file() {
            true => Ok(path),
            false => Err(Failure::failed(format!(
                "{MODULE_VARIABLE} names `{}`, which is no file",
                path.display()
            ))),
        };
    }
    let candidates = module_candidates();
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    found.ok_or_else(|| {
        Failure::failed("no SoftHSM module: `libsofthsm2.so` is in none of its usual places").advise(format!(
            "install the Debian package softhsm2 (`apt-get install softhsm2`), or set {MODULE_VARIABLE}, or use \
             `--backend insecure-dev`"
        ))
    })
}

fn module_candidates() -> Vec<PathBuf> {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let folders = [
        "/usr/lib",
        &multiarch,
        "/usr/lib64",
        "/usr/local/lib",
        "/opt/homebrew/lib",
    ];
    folders
        .iter()
        .map(|folder| Path::new(folder).join("softhsm/libsofthsm2.so"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_the_contract() {
        let key: PublicKey = "secp256k1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
            .parse()
            .unwrap();
        let text = config(Some(Path::new("/usr/lib/softhsm/libsofthsm2.so")), &[key]).unwrap();
        for line in [
            "state_dir = \"state\"",
            "kind = \"pkcs11\"",
            "module = \"/usr/lib/softhsm/libsofthsm2.so\"",
            "so_pin_file = \"so-pin\"",
            "[people_listener]",
            &format!("keys = [\"{key}\"]"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let text = config(None, &[]).unwrap();
        assert!(
            text.contains("kind = \"insecure-dev\"") && !text.contains("pin_file"),
            "{text}"
        );
        config(Some(Path::new("/a\"b")), &[]).unwrap_err();
    }

    #[test]
    fn every_configuration_is_toml() {
        let text = config(Some(Path::new("/m.so")), &[]).unwrap();
        assert!(text.parse::<toml::Table>().is_ok(), "{text}");
        assert!(config(None, &[]).unwrap().parse::<toml::Table>().is_ok());
    }

    #[test]
    fn secrets_of_the_signer_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        super::super::create_folders(&layout).unwrap();
        write_secrets(&layout, true).unwrap();
        for name in ["signer/pin", "signer/so-pin"] {
            let mode = std::fs::metadata(layout.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
            assert_eq!(files::read(&layout.path(name)).unwrap().len(), 32);
        }
        assert_ne!(
            files::read(&layout.path("signer/pin")).unwrap(),
            files::read(&layout.path("signer/so-pin")).unwrap()
        );
        assert!(!layout.path("signer/passphrase").exists());
    }

    #[test]
    fn the_backend_says_whether_a_module_is_needed() {
        assert_eq!(
            serde_json::to_string(&crate::environment::Backend::InsecureDev).unwrap(),
            "\"insecure-dev\""
        );
        assert!(module_candidates().iter().all(|path| path.is_absolute()));
    }
}
