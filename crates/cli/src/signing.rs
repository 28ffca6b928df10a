//! How a person signs a statement: a key file, an ssh-agent, or `ssh-keygen -Y sign` on another machine.

use std::path::PathBuf;

use clap::Args;
use countersign_approval::{Body, Envelope, Header, Kind, Statement, seal};
use countersign_types::{Duration, GenesisHash, PrincipalId, Tag};

use crate::{
    clock,
    environment::Layout,
    failure::{Failure, Result},
    files,
    keys::SigningKey,
    owners::Owners,
};

/// Which key signs, and where.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct SigningOptions {
    /// The private key file; with --agent the public key file. Default: people/<person>/id_ed25519[.pub] of the environment.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Sign with the ssh-agent behind SSH_AUTH_SOCK (security keys, encrypted keys).
    #[arg(long, conflicts_with_all = ["print_message", "attach_signature"])]
    agent: bool,
    /// Write what is to be signed to FILE and stop: sign it elsewhere with `ssh-keygen -Y sign`.
    #[arg(long, value_name = "FILE", conflicts_with = "attach_signature")]
    print_message: Option<PathBuf>,
    /// Attach the output of `ssh-keygen -Y sign`, made over the file given with --message.
    #[arg(long, value_name = "FILE", requires = "message")]
    attach_signature: Option<PathBuf>,
    /// The file that --print-message wrote.
    #[arg(long, value_name = "FILE", requires = "attach_signature")]
    message: Option<PathBuf>,
}

/// What signing came to.
pub(crate) enum Signed {
    /// An envelope to send.
    Envelope(Envelope),
    /// The message was written; nothing is signed yet.
    Printed {
        /// Where.
        file: PathBuf,
        /// The command that signs it.
        command: String,
    },
}

/// What is to be stated, for how long.
pub(crate) struct Draft {
    pub(crate) deployment: GenesisHash,
    pub(crate) validity: Duration,
    pub(crate) body: Body,
}

impl SigningOptions {
    /// Signs as a person.
    pub(crate) fn sign(&self, layout: &Layout, person: &PrincipalId, draft: Draft) -> Result<Signed> {
        if let (Some(signature), Some(message)) = (&self.attach_signature, &self.message) {
            let envelope = attach(&files::read(message)?, &files::read_text(signature)?, &draft)?;
            Owners::of(layout).certify_signed(person, &envelope)?;
            return Ok(Signed::Envelope(envelope));
        }
        let kind = draft.body.kind();
        let statement = Statement {
            header: header(&draft)?,
            body: draft.body,
        };
        if let Some(file) = &self.print_message {
            let message = Envelope::message_to_sign(kind, &statement.to_payload());
            files::create(file, &message)?;
            let command = format!("ssh-keygen -Y sign -n {} -f KEY {}", kind.namespace(), file.display());
            return Ok(Signed::Printed {
                file: file.clone(),
                command,
            });
        }
        let key = self.key(layout, person)?;
        Owners::of(layout).certify(person, &key)?;
        seal(&statement, &key).map(Signed::Envelope).map_err(Failure::failed)
    }

    /// Whether nobody said how to sign.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Signs as a service of the environment, whose key is a file.
    pub(crate) fn sign_as_service(&self, layout: &Layout, service: &PrincipalId, draft: Draft) -> Result<Envelope> {
        let Self {
            key,
            agent,
            print_message,
            attach_signature,
            message,
        } = self;
        if *agent || print_message.is_some() || attach_signature.is_some() || message.is_some() {
            return Err(Failure::usage(
                "a service signs with a key file; --agent, --print-message and --attach-signature are for people: add --as PERSON",
            ));
        }
        let own = || layout.service_key(service);
        let key = SigningKey::read(&key.clone().unwrap_or_else(own))?;
        let statement = Statement {
            header: header(&draft)?,
            body: draft.body,
        };
        seal(&statement, &key).map_err(Failure::failed)
    }

    fn key(&self, layout: &Layout, person: &PrincipalId) -> Result<SigningKey> {
        let own = layout.person_key(person);
        match (&self.key, self.agent) {
            (Some(path), true) => SigningKey::in_agent(path),
            (None, true) => SigningKey::in_agent(&own.with_extension("pub")),
            (Some(path), false) => SigningKey::read(path),
            (None, false) => SigningKey::read(&own),
        }
    }
}

fn header(draft: &Draft) -> Result<Header> {
    clock::header(draft.deployment, draft.validity)
}

/// Puts a signature that was made elsewhere on the message that was printed. The message must still state exactly what was
/// decoded now: between printing and attaching, files and servers were out of sight.
fn attach(message: &[u8], armored: &str, draft: &Draft) -> Result<Envelope> {
    let kind = draft.body.kind();
    let payload = payload_of(kind, message)?;
    let statement = Statement::parse(kind, payload).map_err(|error| Failure::refused(error.tag(), error))?;
    if statement.body != draft.body || statement.header.deployment != draft.deployment {
        let why = "the message that was signed does not state what was decoded here now";
        return Err(Failure::refused(Tag::StatementMalformed, why).advise("print and sign a new message"));
    }
    Envelope::from_ssh_signature(kind, payload.to_vec(), armored)
        .map_err(|error| Failure::refused(Tag::StatementBadSignature, error))
}

/// The payload inside a pre-authentication encoding of this kind (`DSSEv1 …`), which is the only one that encodes to it again.
fn payload_of(kind: Kind, message: &[u8]) -> Result<&[u8]> {
    let bad = || {
        Failure::refused(
            Tag::StatementMalformed,
            format!("the message file is not that of one {kind}"),
        )
    };
    let mut parts = message.splitn(5, |byte| *byte == b' ');
    let payload = parts.nth(4).ok_or_else(bad)?;
    match Envelope::message_to_sign(kind, payload) == message {
        true => Ok(payload),
        false => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command};

    use countersign_approval::{Cancel, Rejection, RejectionItem};
    use countersign_types::{RequestDigest, WithdrawalId};

    use super::*;
    use crate::keys;

    fn withdrawal() -> WithdrawalId {
        WithdrawalId::of(RequestDigest::of(b"x"))
    }

    fn draft(reason: &str) -> Draft {
        let item = RejectionItem {
            withdrawal: withdrawal(),
            reason: reason.to_owned(),
        };
        Draft {
            deployment: GenesisHash::of(b"g"),
            validity: Duration::from_secs(600),
            body: Body::Rejection(Rejection { items: vec![item] }),
        }
    }

    struct Bench {
        folder: tempfile::TempDir,
        layout: Layout,
        alice: PrincipalId,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(folder.path()).unwrap();
            let alice = PrincipalId::parse("alice").unwrap();
            files::create_folder(&layout.path("people/alice")).unwrap();
            keys::generate_openssh(&layout.person_key(&alice), "alice").unwrap();
            Self { folder, layout, alice }
        }
        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }
        fn print(&self, draft: Draft) -> PathBuf {
            let file = self.path("message");
            let options = SigningOptions {
                print_message: Some(file.clone()),
                ..SigningOptions::default()
            };
            let Signed::Printed { command, .. } = options.sign(&self.layout, &self.alice, draft).unwrap() else {
                panic!("an envelope")
            };
            assert!(command.contains("-n countersign-rejection-v1"), "{command}");
            file
        }
        fn ssh_keygen(&self, message: &Path) -> PathBuf {
            let mut sign = Command::new("ssh-keygen");
            sign.args(["-q", "-Y", "sign", "-n", "countersign-rejection-v1", "-f"]);
            sign.arg(self.layout.person_key(&self.alice)).arg(message);
            assert!(sign.output().unwrap().status.success());
            message.with_extension("sig")
        }
        fn attach(&self, message: PathBuf, signature: PathBuf, draft: Draft) -> Result<Signed> {
            let options = SigningOptions {
                attach_signature: Some(signature),
                message: Some(message),
                ..SigningOptions::default()
            };
            options.sign(&self.layout, &self.alice, draft)
        }
    }

    #[test]
    fn what_stock_openssh_signs_elsewhere_is_attached() {
        let bench = Bench::new();
        let message = bench.print(draft("no"));
        let signature = bench.ssh_keygen(&message);
        let Signed::Envelope(envelope) = bench.attach(message.clone(), signature, draft("no")).unwrap() else {
            panic!("printed")
        };
        assert_eq!(envelope.pae(), files::read(&message).unwrap());
    }

    #[test]
    fn a_message_that_states_something_else_is_refused() {
        let bench = Bench::new();
        let message = bench.print(draft("no"));
        let signature = bench.ssh_keygen(&message);
        let failure = bench
            .attach(message.clone(), signature.clone(), draft("yes"))
            .map(drop)
            .unwrap_err();
        assert_eq!(failure.tag(), Some(Tag::StatementMalformed));
        let other_deployment = Draft {
            deployment: GenesisHash::of(b"other"),
            ..draft("no")
        };
        bench
            .attach(message, signature, other_deployment)
            .map(drop)
            .unwrap_err();
    }

    #[test]
    fn only_the_exact_encoding_of_the_kind_has_a_payload() {
        let good = Envelope::message_to_sign(Kind::Rejection, b"a b\n");
        assert_eq!(payload_of(Kind::Rejection, &good).unwrap(), b"a b\n");
        payload_of(Kind::Approval, &good).unwrap_err();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad.remove(at);
            assert_eq!(
                payload_of(Kind::Rejection, &bad).map(drop).unwrap_err().tag(),
                Some(Tag::StatementMalformed)
            );
        }
        let cancel = Body::Cancel(Cancel {
            withdrawal: withdrawal(),
            fee_ceiling: None,
            reason: String::new(),
        });
        assert_eq!(cancel.kind(), Kind::Cancel);
    }

    #[test]
    fn a_message_is_never_printed_over_a_file() {
        let bench = Bench::new();
        let file = bench.print(draft("no"));
        let options = SigningOptions {
            print_message: Some(file),
            ..SigningOptions::default()
        };
        options
            .sign(&bench.layout, &bench.alice, draft("no"))
            .map(drop)
            .unwrap_err();
    }
}
