//! Both ways against the `ssh-keygen` of the machine: what it signs we accept, what we sign it accepts.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use countersign_approval::*;
use countersign_types::Tag;
use tempfile::TempDir;

use crate::support::*;

fn ssh_keygen() -> Command {
    let mut command = Command::new("ssh-keygen");
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// A new key pair of `kind`, made by `ssh-keygen`.
fn generate(folder: &TempDir, kind: &[&str]) -> PathBuf {
    let file = folder.path().join("key");
    let made = ssh_keygen()
        .arg("-q")
        .arg("-t")
        .args(kind)
        .args(["-N", "", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    file
}

/// The armored signature that `ssh-keygen -Y sign` makes over `message`.
fn sign(key: &Path, namespace: &str, options: &[&str], message: &[u8]) -> String {
    let file = key.with_file_name("message");
    fs::write(&file, message).unwrap();
    let signature = key.with_file_name("message.sig");
    drop(fs::remove_file(&signature));
    let signed = ssh_keygen()
        .args(["-Y", "sign", "-n", namespace])
        .args(options)
        .arg("-f")
        .arg(key)
        .arg(&file)
        .output()
        .unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    fs::read_to_string(signature).unwrap()
}

/// Whether `ssh-keygen -Y verify` calls the signature good, under an allowed_signers file with this one key.
pub(crate) fn ssh_keygen_accepts(key_line: &str, namespace: &str, message: &[u8], armored: &str) -> bool {
    let folder = TempDir::new().unwrap();
    let (allowed, signature) = (folder.path().join("allowed_signers"), folder.path().join("message.sig"));
    fs::write(&allowed, format!("signer@example.com {key_line}\n")).unwrap();
    fs::write(&signature, armored).unwrap();
    let mut verify = ssh_keygen();
    verify
        .args(["-Y", "verify", "-I", "signer@example.com", "-n", namespace, "-f"])
        .arg(&allowed)
        .arg("-s")
        .arg(&signature);
    let mut running = verify.stdin(Stdio::piped()).spawn().unwrap();
    // It may refuse the signature and leave before it has read the message.
    drop(running.stdin.take().unwrap().write_all(message));
    let ended = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.success(), said.contains("Good \""), "{said}");
    ended.status.success()
}

fn armored(envelope: &Envelope) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let lines: Vec<String> = STANDARD
        .encode(envelope.signature())
        .as_bytes()
        .chunks(70)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!(
        "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        lines.join("\n")
    )
}

/// A roster in which alice has exactly the key of this file.
fn roster_with(key: &Path) -> (Roster, String) {
    let line = fs::read_to_string(key.with_extension("pub"))
        .unwrap()
        .trim_end()
        .to_owned();
    let mut file = roster_file();
    file.people[0].keys = vec![line.clone()];
    (Roster::new(file).unwrap(), line)
}

const KINDS: [&[&str]; 2] = [&["ed25519"], &["ecdsa", "-b", "256"]];

#[test]
fn what_ssh_keygen_signs_we_accept() {
    for kind in KINDS {
        let folder = TempDir::new().unwrap();
        let key = generate(&folder, kind);
        let (roster, _) = roster_with(&key);
        for statement in every_kind() {
            let (kind, payload) = (statement.body.kind(), statement.to_payload());
            let message = Envelope::message_to_sign(kind, &payload);
            for options in [&[][..], &["-O", "hashalg=sha256"], &["-O", "hashalg=sha512"]] {
                let armored = sign(&key, &kind.namespace(), options, &message);
                let envelope = Envelope::from_ssh_signature(kind, payload.clone(), &armored).unwrap();
                let verified = verify(&envelope, &roster).unwrap();
                assert_eq!(
                    (verified.statement(), verified.signer().as_str()),
                    (&statement, "alice")
                );
                // DOS line ends and a second line end, as mail programs leave them.
                let mailed = format!("{}\r\n", armored.replace('\n', "\r\n"));
                assert_eq!(
                    Envelope::from_ssh_signature(kind, payload.clone(), &mailed),
                    Ok(envelope)
                );
            }
            let elsewhere = sign(&key, "git", &[], &message);
            let envelope = Envelope::from_ssh_signature(kind, payload.clone(), &elsewhere).unwrap();
            assert_eq!(
                verify(&envelope, &roster).unwrap_err().tag(),
                Tag::StatementBadSignature
            );
        }
    }
}

#[test]
fn what_we_sign_ssh_keygen_accepts() {
    for kind in KINDS {
        let folder = TempDir::new().unwrap();
        let key = generate(&folder, kind);
        let (roster, line) = roster_with(&key);
        let signer = SshSigner::new(ssh_key::PrivateKey::from_openssh(fs::read_to_string(&key).unwrap()).unwrap());
        for statement in every_kind() {
            let envelope = seal(&statement, &signer).unwrap();
            assert_eq!(verify(&envelope, &roster).unwrap().statement(), &statement);
            let (namespace, message, signature) = (envelope.kind().namespace(), envelope.pae(), armored(&envelope));
            assert!(ssh_keygen_accepts(&line, &namespace, &message, &signature));
            assert!(!ssh_keygen_accepts(&line, "git", &message, &signature));
            assert!(!ssh_keygen_accepts(&line, &namespace, &message[1..], &signature));
        }
    }
}

/// `ssh-keygen -l` prints the `keyid` of an envelope.
#[test]
fn the_key_id_is_what_ssh_keygen_prints() {
    for kind in KINDS {
        let folder = TempDir::new().unwrap();
        let key = generate(&folder, kind);
        let signer = SshSigner::new(ssh_key::PrivateKey::from_openssh(fs::read_to_string(&key).unwrap()).unwrap());
        let printed = ssh_keygen().arg("-l").arg("-f").arg(&key).output().unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        assert_eq!(
            printed.split(' ').nth(1).unwrap(),
            seal(&cancel(), &signer).unwrap().key_id()
        );
    }
}

/// Keys that no roster takes: made and used by `ssh-keygen` as its own judge would accept them.
#[test]
fn keys_of_other_kinds_are_refused() {
    let message = Envelope::message_to_sign(Kind::Approval, &approval().to_payload());
    for (kind, name) in [
        (&["rsa", "-b", "2048"][..], "ssh-rsa"),
        (&["ecdsa", "-b", "384"], "ecdsa-sha2-nistp384"),
        (&["ecdsa", "-b", "521"], "ecdsa-sha2-nistp521"),
    ] {
        let folder = TempDir::new().unwrap();
        let key = generate(&folder, kind);
        let line = fs::read_to_string(key.with_extension("pub")).unwrap();
        let armored = sign(&key, "countersign-approval-v1", &[], &message);
        assert!(ssh_keygen_accepts(
            line.trim_end(),
            "countersign-approval-v1",
            &message,
            &armored
        ));
        assert_eq!(
            KeyRecord::parse(line.trim_end()),
            Err(KeyError::Unsupported(name.to_owned()))
        );
        let refused = Envelope::from_ssh_signature(Kind::Approval, approval().to_payload(), &armored);
        assert!(matches!(refused, Err(SealError::Unusable(_))), "{refused:?}");
    }
}

/// A certificate for alice's own key, signed by a CA: the key inside is in the roster, the certificate is not.
#[test]
fn certificates_are_refused() {
    let folder = TempDir::new().unwrap();
    let key = generate(&folder, &["ed25519"]);
    let (_, line) = roster_with(&key);
    let made = ssh_keygen()
        .args(["-q", "-s"])
        .arg(&key)
        .args(["-I", "id", "-n", "alice"])
        .arg(key.with_extension("pub"))
        .output()
        .unwrap();
    assert!(made.status.success());
    let certificate = fs::read_to_string(key.with_file_name("key-cert.pub")).unwrap();
    let unsupported = KeyError::Unsupported("ssh-ed25519-cert-v01@openssh.com".to_owned());
    assert_eq!(KeyRecord::parse(certificate.trim_end()), Err(unsupported));
    assert!(KeyRecord::parse(&line).is_ok());
}
