//! Who calls: the one URI subject alternative name of an mTLS client certificate.
//!
//! `countersign://<role>/<id>` for orchestrators, people, auditors, observers and attesters, `countersign://pipeline/<tenant>/<principal>` for
//! pipelines. That the chain leads to our CA was verified by rustls before; here the certificate is only read.

use std::{fmt, str::FromStr};

use countersign_types::{PrincipalId, Tag, TenantId};
use tonic::{Request, Status};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _, prelude::X509Certificate};

use crate::errors;

const SCHEME: &str = "countersign://";

/// The holder of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// An orchestrator: may use the signer's first listener.
    Orchestrator(PrincipalId),
    /// A withdrawal pipeline or bot of one tenant.
    Pipeline {
        /// Whose withdrawals it sees.
        tenant: TenantId,
        /// The service.
        principal: PrincipalId,
    },
    /// A person: approver, officer, admin. Statements are signed separately; this only lets them in.
    Person(PrincipalId),
    /// Reads the log.
    Auditor(PrincipalId),
    /// A service that watches a network: brings observations, which are signed separately.
    Observer(PrincipalId),
    /// A service that quotes prices, screens payments or keeps an address book: brings attestations, which are signed separately.
    Attester(PrincipalId),
}

/// Why a certificate names no caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The connection has no client certificate.
    #[error("the connection has no client certificate")]
    NoCertificate,
    /// The end-entity certificate is not one X.509 certificate.
    #[error("the client certificate is not a well-formed X.509 certificate")]
    BadCertificate,
    /// Not exactly one URI name.
    #[error("the client certificate has {0} URI names; exactly one, `countersign://…`, is required")]
    NotOneUri(usize),
    /// Not a caller.
    #[error("`{0}` is not `countersign://<role>/<id>` nor `countersign://pipeline/<tenant>/<principal>`")]
    BadUri(String),
}

impl IdentityError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::NoCertificate | Self::BadCertificate | Self::NotOneUri(_) | Self::BadUri(_) => {
                Tag::CallerUnauthenticated
            }
        }
    }
}

impl From<IdentityError> for Status {
    fn from(error: IdentityError) -> Self {
        errors::status(error.tag(), error.to_string())
    }
}

impl Caller {
    /// The caller that a DER end-entity certificate names.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::BadCertificate)?;
        if !rest.is_empty() {
            return Err(IdentityError::BadCertificate);
        }
        // An extension that occurs twice is an error here, so no second name can hide.
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| IdentityError::BadCertificate)?;
        let names = names
            .map(|names| names.value.general_names.as_slice())
            .unwrap_or_default();
        let uris: Vec<&str> = names.iter().filter_map(uri_of).collect();
        match uris.as_slice() {
            [uri] => uri.parse(),
            uris => Err(IdentityError::NotOneUri(uris.len())),
        }
    }

    /// The caller of a request that arrived over mTLS.
    pub fn of<T>(request: &Request<T>) -> Result<Self, IdentityError> {
        let chain = request.peer_certs().ok_or(IdentityError::NoCertificate)?;
        Self::from_certificate(chain.first().ok_or(IdentityError::NoCertificate)?)
    }
}

fn uri_of<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    if let GeneralName::URI(uri) = name {
        Some(uri)
    } else {
        None
    }
}

impl FromStr for Caller {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let bad = || IdentityError::BadUri(text.chars().take(256).flat_map(char::escape_default).collect());
        let path: Vec<&str> = text.strip_prefix(SCHEME).ok_or_else(bad)?.split('/').collect();
        let principal = |id: &str| PrincipalId::parse(id).map_err(|_| bad());
        match path.as_slice() {
            ["orchestrator", id] => principal(id).map(Self::Orchestrator),
            ["person", id] => principal(id).map(Self::Person),
            ["auditor", id] => principal(id).map(Self::Auditor),
            ["observer", id] => principal(id).map(Self::Observer),
            ["attester", id] => principal(id).map(Self::Attester),
            ["pipeline", tenant, id] => Ok(Self::Pipeline {
                tenant: TenantId::parse(*tenant).map_err(|_| bad())?,
                principal: principal(id)?,
            }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orchestrator(id) => write!(f, "{SCHEME}orchestrator/{id}"),
            Self::Pipeline { tenant, principal } => write!(f, "{SCHEME}pipeline/{tenant}/{principal}"),
            Self::Person(id) => write!(f, "{SCHEME}person/{id}"),
            Self::Auditor(id) => write!(f, "{SCHEME}auditor/{id}"),
            Self::Observer(id) => write!(f, "{SCHEME}observer/{id}"),
            Self::Attester(id) => write!(f, "{SCHEME}attester/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn each_role_reads_back() {
        for text in [
            "countersign://orchestrator/main",
            "countersign://pipeline/exchange/hot-pipeline",
            "countersign://person/alice",
            "countersign://auditor/export-1",
            "countersign://observer/watch-1",
            "countersign://attester/prices-1",
        ] {
            let caller = Caller::from_certificate(&certificate(vec![dns("localhost"), uri(text)])).unwrap();
            assert_eq!(caller.to_string(), text);
        }
    }

    #[test]
    fn exactly_one_uri_name_is_required() {
        let alice = uri("countersign://person/alice");
        let cases = [
            (vec![], 0),
            (vec![dns("countersign")], 0),
            (vec![alice.clone(), uri("countersign://person/bob")], 2),
            (vec![alice.clone(), alice.clone()], 2),
            (vec![uri("https://example.com/"), alice], 2),
        ];
        for (names, count) in cases {
            let error = Caller::from_certificate(&certificate(names)).unwrap_err();
            assert_eq!(error, IdentityError::NotOneUri(count));
            assert_eq!(error.tag(), Tag::CallerUnauthenticated);
        }
    }

    #[test]
    fn other_uris_are_refused() {
        for bad in [
            "https://person/alice",
            "Countersign://person/alice",
            "countersign:person/alice",
            "countersign://person",
            "countersign://person/",
            "countersign://person/alice/",
            "countersign://person/Alice",
            "countersign://person/alice?x=1",
            "countersign://person/alice%2e",
            "countersign://admin/alice",
            "countersign://pipeline/hot",
            "countersign://pipeline//hot",
            "countersign://pipeline/a/b/c",
            " countersign://person/alice",
            "",
        ] {
            assert!(
                matches!(bad.parse::<Caller>(), Err(IdentityError::BadUri(_))),
                "{bad:?}"
            );
        }
        let error = Caller::from_certificate(&certificate(vec![uri("spiffe://x/y")])).unwrap_err();
        assert_eq!(error, IdentityError::BadUri("spiffe://x/y".to_owned()));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        let good = certificate(vec![uri("countersign://person/alice")]);
        let mut trailing = good.clone();
        trailing.push(0);
        for bad in [&b""[..], b"hello", &trailing, &good[..good.len() - 1]] {
            assert_eq!(Caller::from_certificate(bad), Err(IdentityError::BadCertificate));
        }
    }

    #[test]
    fn a_plain_connection_has_no_caller() {
        assert_eq!(Caller::of(&Request::new(())), Err(IdentityError::NoCertificate));
    }

    proptest! {
        #[test]
        fn text_round_trips_or_is_refused(text in "(countersign://)?[a-z/:.-]{0,40}|\\PC{0,60}") {
            if let Ok(caller) = text.parse::<Caller>() {
                prop_assert_eq!(caller.to_string(), text);
            }
        }
        #[test]
        fn certificates_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(Caller::from_certificate(&bytes));
        }
        #[test]
        fn a_flipped_byte_never_panics(at in 0usize..250, to: u8) {
            let mut der = certificate(vec![uri("countersign://person/alice")]);
            let at = at % der.len();
            der[at] = to;
            drop(Caller::from_certificate(&der));
        }
    }
}
