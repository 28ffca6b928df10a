//! The development CA and its certificates: ECDSA P-256, one URI name a client, `localhost` for servers.

use std::{net::Ipv4Addr, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::{
    environment::Layout,
    failure::{Failure, Result},
    files,
};

/// Development certificates are made once and not renewed.
const VALID_DAYS: i64 = 825;
/// Machines in a development set-up disagree on the time.
const SKEW: Duration = Duration::hours(1);

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Shown by a server that is reached as `localhost`.
    Server,
    /// Shown by a client; the URI names the caller (`countersign://…`).
    Client(String),
    /// Shown by a server that is a client of another one.
    Both(String),
}

/// The CA of one environment. Its key is needed again only to add certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Makes the CA and writes `ca/ca.pem` and `ca/ca.key`.
    pub(crate) fn create(layout: &Layout, now: OffsetDateTime) -> Result<Self> {
        let mut params = params("Countersign development CA", now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(Failure::failed)?;
        files::write_secret(&layout.path("ca/ca.key"), key.serialize_pem().as_bytes())?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(Failure::failed)?;
        files::write(&layout.ca(), issuer.pem().as_bytes())?;
        Ok(Self(issuer))
    }

    /// Makes a certificate and writes it with its key.
    pub(crate) fn issue(&self, layout: &Layout, name: &str, purpose: &Purpose, now: OffsetDateTime) -> Result<()> {
        let mut params = params(name, now)?;
        let (usages, names) = names_of(purpose)?;
        params.extended_key_usages = usages;
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(Failure::failed)?;
        let certificate = params.signed_by(&key, &self.0).map_err(Failure::failed)?;
        write(
            &layout.certificate_key(name),
            &layout.certificate(name),
            &key,
            &certificate.pem(),
        )
    }
}

fn write(key_path: &Path, path: &Path, key: &KeyPair, pem: &str) -> Result<()> {
    files::write_secret(key_path, key.serialize_pem().as_bytes())?;
    files::write(path, pem.as_bytes())
}

fn params(name: &str, now: OffsetDateTime) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let out_of_range = || Failure::failed("this machine's clock is out of range");
    params.not_before = now.checked_sub(SKEW).ok_or_else(out_of_range)?;
    params.not_after = now.checked_add(Duration::days(VALID_DAYS)).ok_or_else(out_of_range)?;
    Ok(params)
}

fn names_of(purpose: &Purpose) -> Result<(Vec<ExtendedKeyUsagePurpose>, Vec<SanType>)> {
    let server = || -> Result<[SanType; 2]> {
        let name = "localhost".try_into().map_err(Failure::failed)?;
        Ok([SanType::DnsName(name), SanType::IpAddress(Ipv4Addr::LOCALHOST.into())])
    };
    let client = |uri: &str| uri.try_into().map(SanType::URI).map_err(Failure::failed);
    Ok(match purpose {
        Purpose::Server => (vec![ExtendedKeyUsagePurpose::ServerAuth], server()?.into()),
        Purpose::Client(uri) => (vec![ExtendedKeyUsagePurpose::ClientAuth], vec![client(uri)?]),
        Purpose::Both(uri) => {
            let names = server()?.into_iter().chain([client(uri)?]).collect();
            (
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
                names,
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use countersign_proto::identity::Caller;
    use std::process::Command;

    use super::*;

    fn issued(purpose: &Purpose) -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        for below in ["ca", "tls"] {
            files::create_folder(&layout.path(below)).unwrap();
        }
        let now = OffsetDateTime::now_utc();
        Authority::create(&layout, now)
            .unwrap()
            .issue(&layout, "x", purpose, now)
            .unwrap();
        (folder, layout)
    }

    fn caller(layout: &Layout) -> std::result::Result<Caller, countersign_proto::identity::IdentityError> {
        let der = Command::new("openssl")
            .args(["x509", "-outform", "der", "-in"])
            .arg(layout.certificate("x"))
            .output()
            .unwrap();
        Caller::from_certificate(&der.stdout)
    }

    #[test]
    fn a_client_carries_exactly_its_name() {
        let uri = "countersign://pipeline/main/payout-service";
        for purpose in [Purpose::Client(uri.to_owned()), Purpose::Both(uri.to_owned())] {
            let (_folder, layout) = issued(&purpose);
            assert_eq!(caller(&layout).unwrap().to_string(), uri);
        }
        let (_folder, layout) = issued(&Purpose::Server);
        caller(&layout).unwrap_err();
    }

    #[test]
    fn openssl_verifies_the_chain_for_its_purpose() {
        let both = Purpose::Both("countersign://orchestrator/main".to_owned());
        let client = Purpose::Client("countersign://person/alice".to_owned());
        for (purpose, asked, holds) in [
            (&Purpose::Server, "sslserver", true),
            (&Purpose::Server, "sslclient", false),
            (&client, "sslclient", true),
            (&client, "sslserver", false),
            (&both, "sslserver", true),
            (&both, "sslclient", true),
        ] {
            let (_folder, layout) = issued(purpose);
            let mut verify = Command::new("openssl");
            verify
                .args(["verify", "-purpose", asked, "-CAfile"])
                .arg(layout.ca())
                .arg(layout.certificate("x"));
            assert_eq!(
                verify.output().unwrap().status.success(),
                holds,
                "{purpose:?} as {asked}"
            );
        }
    }
}
