//! The signer's second listener: for people, past the orchestrator.

use std::time::Duration;

use countersign_approval::Envelope;
use countersign_proto::{
    fields,
    limits::MAX_RESPONSE_BYTES,
    signer::v1::{
        ActivateBundleRequest, ActivatedBundle, BundleFile, FetchBundlesRequest, FetchCheckpointRequest,
        FetchEntriesRequest, FetchReceiptRequest, ListFreezesRequest, ListProposalsRequest, SeenStatement,
        SubmitStatementRequest, people_client::PeopleClient as Wire,
    },
    v1::Entry,
};
use countersign_types::{BundleDigest, WithdrawalId};
use tonic::transport::Channel;

use crate::{
    ClientError, Endpoint,
    call::{
        Repeat::{Allowed, Forbidden},
        call,
    },
};

/// A bundle that was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// Its version.
    pub version: u64,
    /// Its digest, as the signer says.
    pub bundle: BundleDigest,
    /// The signer's acknowledgement. Verify it with the log key.
    pub acknowledgement: Vec<u8>,
}

/// A page of activated bundles.
#[derive(Debug, Clone, PartialEq)]
pub struct BundlesPage {
    /// In order of version.
    pub bundles: Vec<ActivatedBundle>,
    /// The version in force.
    pub active_version: u64,
    /// Vetoes of bundles that were to follow those of the page.
    pub vetoes: Vec<SeenStatement>,
}

/// Entries of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries {
    /// In order; empty at the end of the log.
    pub entries: Vec<Entry>,
    /// The signed checkpoint that they belong to.
    pub checkpoint: Vec<u8>,
}

/// A connection to a signer's second listener; cheap to clone. Nothing that comes back was verified here.
#[derive(Debug, Clone)]
pub struct PeopleClient {
    people: Wire<Channel>,
    timeout: Duration,
}

impl PeopleClient {
    /// Connects, and so tells a wrong address or certificate from a refusal.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let channel = endpoint.connect().await?;
        Ok(Self {
            people: Wire::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES),
            timeout: endpoint.timeout,
        })
    }

    /// Sends a statement; returns the signer's acknowledgement. May be repeated.
    pub async fn submit_statement(&self, envelope: &Envelope) -> Result<Vec<u8>, ClientError> {
        let statement = fields::statement(envelope.to_bytes());
        let answer = call(self.timeout, Allowed, || {
            let (mut people, statement) = (self.people.clone(), Some(statement.clone()));
            async move { people.submit_statement(SubmitStatementRequest { statement }).await }
        });
        Ok(answer.await?.acknowledgement)
    }

    /// Activates a bundle. Made once: after a lost answer, look at [`PeopleClient::bundles`] first.
    pub async fn activate_bundle(
        &self,
        files: Vec<BundleFile>,
        activations: &[Envelope],
    ) -> Result<Activated, ClientError> {
        let statements = activations
            .iter()
            .map(|envelope| fields::statement(envelope.to_bytes()))
            .collect();
        let message = ActivateBundleRequest { files, statements };
        let answer = call(self.timeout, Forbidden, || {
            let (mut people, message) = (self.people.clone(), message.clone());
            async move { people.activate_bundle(message).await }
        });
        let answer = answer.await?;
        let bundle = answer.bundle_digest.parse();
        Ok(Activated {
            version: answer.version,
            bundle: bundle.map_err(|_| ClientError::BadAnswer { field: "bundle_digest" })?,
            acknowledgement: answer.acknowledgement,
        })
    }

    /// Activated bundles behind a version, in order, and the version in force. Ask again behind the last one.
    pub async fn bundles(&self, after_version: u64) -> Result<(Vec<ActivatedBundle>, u64), ClientError> {
        let page = self.bundles_page(after_version).await?;
        Ok((page.bundles, page.active_version))
    }

    /// The same with the vetoes of bundles that were to follow those of the page.
    pub async fn bundles_page(&self, after_version: u64) -> Result<BundlesPage, ClientError> {
        let answer = call(self.timeout, Allowed, || {
            let mut people = self.people.clone();
            async move { people.fetch_bundles(FetchBundlesRequest { after_version }).await }
        });
        let answer = answer.await?;
        Ok(BundlesPage {
            bundles: answer.bundles,
            active_version: answer.active_version,
            vetoes: answer.vetoes,
        })
    }

    /// What was said about bundles that may follow the one in force. Verify it under the roster in force.
    pub async fn proposals(&self) -> Result<Vec<SeenStatement>, ClientError> {
        let answer = call(self.timeout, Allowed, || {
            let mut people = self.people.clone();
            async move { people.list_proposals(ListProposalsRequest {}).await }
        });
        Ok(answer.await?.statements)
    }

    /// The latest signed checkpoint.
    pub async fn checkpoint(&self) -> Result<Vec<u8>, ClientError> {
        let answer = call(self.timeout, Allowed, || {
            let mut people = self.people.clone();
            async move { people.fetch_checkpoint(FetchCheckpointRequest {}).await }
        });
        Ok(answer.await?.checkpoint)
    }

    /// Entries from an index on; `tree_size` 0 is the latest checkpoint's.
    pub async fn entries(&self, start: u64, count: u32, tree_size: u64) -> Result<Entries, ClientError> {
        let message = FetchEntriesRequest {
            start,
            count,
            tree_size,
        };
        let answer = call(self.timeout, Allowed, || {
            let mut people = self.people.clone();
            async move { people.fetch_entries(message).await }
        });
        let answer = answer.await?;
        Ok(Entries {
            entries: answer.entries,
            checkpoint: answer.checkpoint,
        })
    }

    /// The freezes in force, as the signer says. Verify the list with the log key.
    pub async fn freezes(&self) -> Result<Vec<u8>, ClientError> {
        let answer = call(self.timeout, Allowed, || {
            let mut people = self.people.clone();
            async move { people.list_freezes(ListFreezesRequest {}).await }
        });
        Ok(answer.await?.list)
    }

    /// The receipt file of one withdrawal.
    pub async fn receipt(&self, id: &WithdrawalId) -> Result<Vec<u8>, ClientError> {
        let withdrawal_id = id.to_string();
        let answer = call(self.timeout, Allowed, || {
            let (mut people, withdrawal_id) = (self.people.clone(), withdrawal_id.clone());
            async move { people.fetch_receipt(FetchReceiptRequest { withdrawal_id }).await }
        });
        Ok(answer.await?.receipt)
    }
}
