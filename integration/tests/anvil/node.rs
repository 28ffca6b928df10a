//! A real EVM node: anvil, on a port of its own, and as much JSON-RPC as it takes to ask it.

use std::{
    env,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use countersign_integration::workspace_root;
use serde_json::{Value, json};
use tempfile::TempDir;

const VARIABLE: &str = "COUNTERSIGN_ANVIL";
/// Where `cargo xtask test` installs it.
const INSTALLED: &str = ".tools/npm/node_modules/@foundry-rs";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The program: the one that is named, which must be there, or the one that is installed.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        assert!(
            path.is_file(),
            "{VARIABLE} names `{}`, which is not there",
            path.display()
        );
        return Some(path);
    }
    let platforms = fs::read_dir(workspace_root().join(INSTALLED)).ok()?;
    let mut programs = platforms.flatten().map(|platform| platform.path().join("bin/anvil"));
    let found = programs.find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no anvil is here; `cargo xtask test` installs it, or set {VARIABLE}");
    }
    found
}

/// A node with its own chain; killed when dropped.
pub(crate) struct Node {
    child: Child,
    address: String,
    _folder: TempDir,
}

impl Node {
    pub(crate) fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("anvil.log");
        let mut child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", "0", "--chain-id", "31337"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let address = loop {
            let said = fs::read_to_string(&log).unwrap();
            // Whole lines only: the address may still be on its way.
            let mut lines = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(address) = lines.find_map(|line| line.trim_end().strip_prefix("Listening on ")) {
                break address.to_owned();
            }
            let ended = child.try_wait().unwrap();
            let is_late = start.elapsed() > READY_WITHIN;
            assert!(
                ended.is_none() && !is_late,
                "anvil does not listen ({ended:?}):\n{said}"
            );
            thread::sleep(Duration::from_millis(20));
        };
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    /// Calls a method; an error of the node is an error here.
    pub(crate) fn try_call(&self, method: &str, parameters: Value) -> Result<Value, String> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters }).to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a response of HTTP");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        let answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        match answer.get("error") {
            None => Ok(answer["result"].clone()),
            Some(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn call(&self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Sends a transaction from one of anvil's own accounts and returns its receipt.
    pub(crate) fn send(&self, transaction: Value) -> Value {
        let txid = self.call("eth_sendTransaction", json!([transaction]));
        self.mined(txid.as_str().unwrap())
    }

    /// The receipt of a transaction that was mined and did not revert. Anvil mines each transaction at once.
    pub(crate) fn mined(&self, txid: &str) -> Value {
        let start = Instant::now();
        loop {
            let receipt = self.call("eth_getTransactionReceipt", json!([txid]));
            if !receipt.is_null() {
                assert_eq!(receipt["status"], "0x1", "{receipt}");
                return receipt;
            }
            assert!(start.elapsed() < READY_WITHIN, "{txid} is not mined");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// In wei.
    pub(crate) fn balance(&self, account: &str) -> u128 {
        quantity(&self.call("eth_getBalance", json!([account, "latest"])))
    }

    /// `balanceOf(account)`, in base units.
    pub(crate) fn token_balance(&self, token: &str, account: &str) -> u128 {
        let data = format!("0x70a08231{}", word(account));
        let word = self.call("eth_call", json!([{ "to": token, "data": data }, "latest"]));
        let word = word.as_str().unwrap();
        assert_eq!(word.len(), 66, "{word}");
        u128::from_str_radix(&word[2..], 16).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

/// A quantity of JSON-RPC.
pub(crate) fn quantity(value: &Value) -> u128 {
    let text = value.as_str().unwrap();
    u128::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

/// An address as a word of the ABI.
pub(crate) fn word(account: &str) -> String {
    format!("{:0>64}", account.strip_prefix("0x").unwrap().to_lowercase())
}
