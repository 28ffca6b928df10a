use super::*;

const PKCS11_CONFIG: &str = r#"state_dir = "state"
ready_file = "../run/signer.json"
[backend]
kind = "pkcs11"
module = "/usr/lib/softhsm/libsofthsm2.so"
token = "countersign-dev"
pin_file = "pin"
so_pin_file = "so-pin"
sessions = 3
keys = ["ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]
[orchestrator_listener]
listen = "127.0.0.1:0"
certificate = "../tls/signer.pem"
key = "../tls/signer.key"
client_ca = "/abs/ca.pem"
[people_listener]
listen = "[::1]:7002"
certificate = "../tls/signer.pem"
key = "../tls/signer.key"
client_ca = "../ca/people.pem"
"#;

fn soft() -> String {
    let (head, tail) = PKCS11_CONFIG.split_once("kind = ").unwrap();
    let (_, listeners) = tail.split_once("[orchestrator_listener]").unwrap();
    let backend = "kind = \"insecure-dev\"\nkeystore = \"keystore.json\"\npassphrase_file = \"passphrase\"\n";
    format!("{head}{backend}[orchestrator_listener]{listeners}")
}

fn load(text: &str) -> (PathBuf, Result<Config, ConfigError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signer.toml");
    std::fs::write(&path, text).unwrap();
    (folder.path().to_owned(), Config::read(&path))
}

#[test]
fn relative_paths_start_at_the_file() {
    let (folder, config) = load(PKCS11_CONFIG);
    let config = config.unwrap();
    let Backend::Pkcs11(token) = &config.backend else {
        panic!()
    };
    assert_eq!(
        config.journal,
        JournalPlace::Sqlite(folder.join("state/journal.sqlite"))
    );
    assert_eq!(config.ready_file, folder.join("../run/signer.json"));
    assert_eq!(token.pin_file, folder.join("pin"));
    assert_eq!(token.so_pin_file, Some(folder.join("so-pin")));
    assert_eq!(token.module, Path::new("/usr/lib/softhsm/libsofthsm2.so"));
    assert_eq!((token.sessions, token.keys.len()), (3, 1));
    assert_eq!(config.orchestrator_listener.client_ca, Path::new("/abs/ca.pem"));
    assert_eq!(config.people_listener.key, folder.join("../tls/signer.key"));
    assert!(!config.backend.is_development());
}

#[test]
fn the_development_keystore_has_fields_of_its_own() {
    let (folder, config) = load(&soft());
    let config = config.unwrap();
    let expected = InsecureDev {
        keystore: folder.join("keystore.json"),
        passphrase_file: folder.join("passphrase"),
        keys: Vec::new(),
    };
    assert_eq!(config.backend, Backend::InsecureDev(expected));
    assert!(config.backend.is_development());
}

#[test]
fn the_journal_has_one_place() {
    let with = |journal: &str| load(&format!("{PKCS11_CONFIG}[journal]\n{journal}"));
    let (folder, config) = with("sqlite = \"other.sqlite\"\n");
    assert_eq!(
        config.unwrap().journal,
        JournalPlace::Sqlite(folder.join("other.sqlite"))
    );
    let (folder, config) = with("postgres_url_file = \"journal.url\"\n");
    let url_file = folder.join("journal.url");
    assert_eq!(config.unwrap().journal, JournalPlace::Postgres { url_file });
    for bad in ["", "sqlite = \"a\"\npostgres_url_file = \"b\"\n"] {
        assert!(matches!(with(bad).1, Err(ConfigError::BadJournal)), "{bad}");
    }
    // The address itself is a secret, and this file is none.
    let message = with("postgres_url = \"postgresql://u:p@localhost/j\"\n")
        .1
        .unwrap_err()
        .to_string();
    assert!(message.contains("unknown field `postgres_url`"), "{message}");
}

#[test]
fn defaults_are_few() {
    let text = PKCS11_CONFIG
        .replace("sessions = 3\n", "")
        .replace("so_pin_file = \"so-pin\"\n", "");
    let config = load(&text).1.unwrap();
    let Backend::Pkcs11(token) = config.backend else {
        panic!()
    };
    assert_eq!((token.sessions, token.so_pin_file), (DEFAULT_SESSIONS, None));
}

/// One mutation each, and a part of the message that says what and where.
#[test]
fn one_mutation_is_refused() {
    let good = PKCS11_CONFIG;
    let key = "\"ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"";
    let table = [
        (good.replace("state_dir = \"state\"\n", ""), "missing field `state_dir`"),
        (good.replace("ready_file", "readyfile"), "unknown field `readyfile`"),
        (good.replace("sessions = 3", "session = 3"), "unknown field `session`"),
        (good.replace("client_ca = \"/abs", "ca = \"/abs"), "unknown field `ca`"),
        (format!("debug = true\n{good}"), "line 1"),
        (format!("state_dir = \"other\"\n{good}"), "duplicate key"),
        (good.replace("127.0.0.1:0", "localhost:0"), "line 12"),
        (good.replace("127.0.0.1:0", "127.0.0.1"), "line 12"),
        (good.replace("\"pkcs11\"", "\"hsm\""), "`hsm`"),
        (good.replace("\"pkcs11\"", "\"PKCS11\""), "`PKCS11`"),
        (
            good.replace("token = \"countersign-dev\"\n", ""),
            "`backend.token` is missing",
        ),
        (
            good.replace("module = ", "keystore = "),
            "`backend.keystore` does not belong",
        ),
        (
            good.replace("pin_file = \"pin\"\n", ""),
            "`backend.pin_file` is missing",
        ),
        (good.replace("sessions = 3", "sessions = 0"), "`backend.sessions` is 0"),
        (
            good.replace("sessions = 3", "sessions = 65"),
            "`backend.sessions` is 65",
        ),
        (good.replace("sessions = 3", "sessions = -1"), "line 9"),
        (good.replace("ed25519:d7", "ed25519:D7"), "line 10"),
        (good.replace(key, &format!("{key}, {key}")), "twice"),
        (
            soft().replace("keystore = ", "token = "),
            "`backend.token` does not belong",
        ),
        (
            soft().replace("passphrase_file = \"passphrase\"\n", ""),
            "`backend.passphrase_file` is missing",
        ),
        (soft().replace("insecure-dev", "soft"), "`soft`"),
        (good.replace("[people_listener]", "[people]"), "unknown field `people`"),
        (
            good.split_once("[people_listener]").unwrap().0.to_owned(),
            "missing field `people_listener`",
        ),
        ("\u{0}".to_owned(), "line 1"),
    ];
    for (text, expected) in table {
        assert_ne!(text, good);
        let error = load(&text).1.unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signer.toml");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(Config::read(&path), Err(ConfigError::Malformed { .. })));
    let missing = Config::read(&folder.path().join("none.toml")).unwrap_err();
    assert!(missing.to_string().contains("none.toml"), "{missing}");
}

#[test]
fn tls_keys_are_secrets() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["cert", "key", "ca"] {
        std::fs::write(path(name), name).unwrap();
    }
    let listener = Listener {
        listen: "127.0.0.1:0".parse().unwrap(),
        certificate: path("cert"),
        key: path("key"),
        client_ca: path("ca"),
    };
    std::fs::set_permissions(path("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(listener.pem(), Err(FileError::TooOpen { mode: 0o644, .. })));
    std::fs::set_permissions(path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let pem = listener.pem().unwrap();
    assert_eq!(
        (pem.ca, pem.certificate, pem.key),
        (b"ca".to_vec(), b"cert".to_vec(), b"key".to_vec())
    );
}
