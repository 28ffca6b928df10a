//! The one request that we make to an ssh-agent: sign with a key that it holds (draft-ietf-sshm-ssh-agent, §3.6).
//!
//! The answer is put into an SSHSIG blob (OpenSSH PROTOCOL.sshsig) as it came; the statement's own verification, which runs
//! before anything is sent, is what believes it.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use countersign_approval::{SealError, StatementSigner};
use ssh_key::{HashAlg, PublicKey, SshSig, public::KeyData};

use crate::failure::{Failure, Result};

const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const FAILURE: u8 = 5;
/// OpenSSH's own bound of an agent message.
const MAX_FRAME_BYTES: usize = 256 * 1024;
/// A person may have to touch a security key or confirm in a window.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// The agent behind a Unix socket.
pub(crate) struct Agent(PathBuf);

impl Agent {
    /// The agent that `SSH_AUTH_SOCK` names.
    pub(crate) fn from_environment() -> Result<Self> {
        match std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()) {
            Some(path) => Ok(Self(path.into())),
            None => Err(Failure::failed("`SSH_AUTH_SOCK` is not set: there is no ssh-agent")
                .advise("start one with `eval $(ssh-agent)`, add the key with `ssh-add`")),
        }
    }

    /// The signature blob (`string algorithm, string signature`) of `key` over `data`.
    fn sign(&self, key: &[u8], data: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        let mut message = vec![SIGN_REQUEST];
        put_string(&mut message, key)?;
        put_string(&mut message, data)?;
        message.extend_from_slice(&0_u32.to_be_bytes()); // no flags: they choose RSA hashes
        write_frame(&mut stream, &message)?;
        signature_of(&read_frame(&mut stream)?)
    }
}

/// One key inside an agent.
pub(crate) struct AgentSigner {
    agent: Agent,
    blob: Vec<u8>,
    fingerprint: String,
}

impl AgentSigner {
    pub(crate) fn new(agent: Agent, key: KeyData) -> Result<Self> {
        let public = PublicKey::new(key, "");
        Ok(Self {
            agent,
            blob: public.to_bytes().map_err(Failure::failed)?,
            fingerprint: public.fingerprint(HashAlg::Sha256).to_string(),
        })
    }
}

impl StatementSigner for AgentSigner {
    fn sign(&self, namespace: &str, message: &[u8]) -> std::result::Result<(String, Vec<u8>), SealError> {
        let data = SshSig::signed_data(namespace, HashAlg::Sha512, message)
            .map_err(|error| SealError::Signer(error.to_string()))?;
        let signed = self.agent.sign(&self.blob, &data).and_then(|signature| {
            let blob = sshsig(&self.blob, namespace, &signature)?;
            Ok((self.fingerprint.clone(), blob))
        });
        signed.map_err(|error| SealError::Signer(format!("the ssh-agent: {error}")))
    }
}

/// The SSHSIG blob around an agent's signature.
fn sshsig(key: &[u8], namespace: &str, signature: &[u8]) -> io::Result<Vec<u8>> {
    let mut blob = b"SSHSIG".to_vec();
    blob.extend_from_slice(&1_u32.to_be_bytes());
    for field in [key, namespace.as_bytes(), b"", b"sha512", signature] {
        put_string(&mut blob, field)?;
    }
    Ok(blob)
}

fn signature_of(answer: &[u8]) -> io::Result<Vec<u8>> {
    let unexpected = || io::Error::new(io::ErrorKind::InvalidData, "its answer is not a signature");
    match answer.split_first() {
        Some((&SIGN_RESPONSE, rest)) => {
            let (length, signature) = rest.split_first_chunk::<4>().ok_or_else(unexpected)?;
            let is_whole = usize::try_from(u32::from_be_bytes(*length)).is_ok_and(|length| length == signature.len());
            is_whole.then(|| signature.to_vec()).ok_or_else(unexpected)
        }
        Some((&FAILURE, _)) => Err(io::Error::other(
            "it refused: is the key added (`ssh-add -l`), was it confirmed?",
        )),
        Some(_) | None => Err(unexpected()),
    }
}

fn put_string(to: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    to.extend_from_slice(&length_of(bytes)?);
    to.extend_from_slice(bytes);
    Ok(())
}

fn length_of(bytes: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(bytes.len())
        .map(u32::to_be_bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"))
}

fn write_frame(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    if message.len() > MAX_FRAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the message is too large for an agent",
        ));
    }
    to.write_all(&length_of(message)?)?;
    to.write_all(message)
}

fn read_frame(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(1..=MAX_FRAME_BYTES).contains(&length) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its answer claims {length} bytes"),
        ));
    }
    let mut frame = vec![0; length];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command};

    use countersign_approval::{AdminsRecord, Body, Cancel, Envelope, GroupRecord, PersonRecord, Roster, RosterFile};
    use countersign_approval::{Statement, seal, verify};
    use countersign_types::{Duration as Span, GenesisHash, GroupId, PrincipalId, RequestDigest, WithdrawalId};
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    /// A real agent, ended with the test.
    struct RealAgent {
        folder: tempfile::TempDir,
        child: std::process::Child,
    }

    impl RealAgent {
        fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut command = Command::new("ssh-agent");
            command.arg("-D").arg("-a").arg(folder.path().join("agent"));
            let child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
            let agent = Self { folder, child };
            for _ in 0..500 {
                if agent.socket().exists() {
                    return agent;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            panic!("ssh-agent made no socket");
        }
        fn socket(&self) -> PathBuf {
            self.folder.path().join("agent")
        }
        fn add(&self, key: &Path) {
            let mut add = Command::new("ssh-add");
            assert!(
                add.arg("-q")
                    .arg(key)
                    .env("SSH_AUTH_SOCK", self.socket())
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }
    impl Drop for RealAgent {
        fn drop(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    fn keygen(path: &Path, kind: &str) -> String {
        let mut keygen = Command::new("ssh-keygen");
        assert!(
            keygen
                .args(["-q", "-t", kind, "-N", "", "-C", "x", "-f"])
                .arg(path)
                .status()
                .unwrap()
                .success()
        );
        std::fs::read_to_string(path.with_extension("pub"))
            .unwrap()
            .trim_end()
            .to_owned()
    }

    fn roster_of(line: &str) -> Roster {
        let alice = || vec![PrincipalId::parse("alice").unwrap()];
        Roster::new(RosterFile {
            people: vec![PersonRecord {
                id: alice().remove(0),
                keys: vec![line.to_owned()],
            }],
            services: vec![],
            groups: vec![GroupRecord {
                id: GroupId::parse("all").unwrap(),
                members: alice(),
            }],
            initiators: vec![],
            admins: AdminsRecord {
                threshold: 1,
                members: alice(),
                time_lock: None,
            },
            officers: vec![],
            observers: vec![],
            thaw_delay: None,
            price_sources: vec![],
        })
        .unwrap()
    }

    fn statement() -> Statement {
        Statement {
            header: clock::header(GenesisHash::of(b"x"), Span::from_secs(60)).unwrap(),
            body: Body::Cancel(Cancel {
                withdrawal: WithdrawalId::of(RequestDigest::of(b"x")),
                fee_ceiling: None,
                reason: String::new(),
            }),
        }
    }

    fn sealed(agent: &RealAgent, line: &str) -> std::result::Result<Envelope, SealError> {
        let key = PublicKey::from_openssh(line).unwrap().key_data().clone();
        seal(&statement(), &AgentSigner::new(Agent(agent.socket()), key).unwrap())
    }

    #[test]
    fn a_real_agent_signs_what_a_roster_verifies() {
        let agent = RealAgent::start();
        for kind in ["ed25519", "ecdsa"] {
            let path = agent.folder.path().join(kind);
            let line = keygen(&path, kind);
            agent.add(&path);
            let verified = verify(&sealed(&agent, &line).unwrap(), &roster_of(&line)).unwrap();
            assert_eq!(verified.signer().as_str(), "alice");
        }
    }

    #[test]
    fn a_key_that_the_agent_does_not_hold_is_an_error() {
        let agent = RealAgent::start();
        let line = keygen(&agent.folder.path().join("absent"), "ed25519");
        let error = sealed(&agent, &line).unwrap_err().to_string();
        assert!(error.contains("it refused"), "{error}");
    }

    #[test]
    fn answers_that_are_no_signature_are_refused() {
        let good = [&[SIGN_RESPONSE, 0, 0, 0, 3][..], b"sig"].concat();
        assert_eq!(signature_of(&good).unwrap(), b"sig");
        let mut long = good.clone();
        long.push(0);
        for bad in [&b""[..], &[FAILURE], &[6], &[SIGN_RESPONSE], &good[..7], &long] {
            signature_of(bad).unwrap_err();
        }
    }

    #[test]
    fn frames_are_bounded() {
        let too_long = u32::try_from(MAX_FRAME_BYTES + 1).unwrap().to_be_bytes();
        for bad in [
            &[0, 0, 0, 0][..],
            &too_long,
            &u32::MAX.to_be_bytes(),
            &[0, 0],
            &[0, 0, 0, 5, 1],
        ] {
            read_frame(&mut &*bad).unwrap_err();
        }
        assert_eq!(read_frame(&mut &[0, 0, 0, 2, 7, 8, 9][..]).unwrap(), [7, 8]);
        write_frame(&mut Vec::new(), &vec![0; MAX_FRAME_BYTES + 1]).unwrap_err();
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(read_frame(&mut &*bytes));
            drop(signature_of(&bytes));
        }
    }
}
