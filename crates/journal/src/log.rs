//! The stored audit log: nodes and proofs.

use std::collections::{BTreeMap, BTreeSet};

use countersign_audit::{Hash, InclusionProof, NodeId, TreeSize};
use countersign_signer::{JournalError, ProvenEntry};
use countersign_types::RequestDigest;

use crate::{
    codec::{BadValue, from_sql, to_sql},
    error::StepError,
    records::column32,
    sql::{Link, Sql, Value},
};

/// Nodes of one statement.
const NODES_PER_STATEMENT: usize = 1_000;

/// Stored nodes; those that the database lacks are absent.
pub(crate) async fn load_nodes(link: &mut Link<'_>, ids: &[NodeId]) -> Result<BTreeMap<NodeId, Hash>, StepError> {
    let mut nodes = BTreeMap::new();
    for chunk in ids.chunks(NODES_PER_STATEMENT) {
        let mut sql = Sql::new("SELECT level, position, hash FROM log_nodes WHERE (level, position) IN (VALUES ");
        let mut separator = "";
        for id in chunk {
            let pair: [Value; 2] = [i64::from(id.level).into(), to_sql(id.index)?.into()];
            sql.push(separator).list(pair);
            separator = ", ";
        }
        sql.push(")");
        for row in link.rows(sql).await? {
            let level = row.number("level")?;
            let id = NodeId {
                level: u8::try_from(level).map_err(|_| BadValue("log level"))?,
                index: from_sql(row.number("position")?)?,
            };
            nodes.insert(id, Hash::from_bytes(column32(&row, "hash")?));
        }
    }
    Ok(nodes)
}

/// The entries about a withdrawal with proofs that lead to the root of the first `size` entries.
pub(crate) async fn load_proven_entries(
    link: &mut Link<'_>,
    request: RequestDigest,
    size: u64,
) -> Result<Vec<ProvenEntry>, StepError> {
    let damaged = |error: &dyn std::error::Error| JournalError::Damaged(error.to_string());
    let size = TreeSize::new(size).map_err(|error| damaged(&error))?;
    let mut sql = Sql::new(
        "SELECT position, bytes FROM log_entries WHERE position IN (SELECT position FROM log_subjects WHERE request = ",
    );
    // A bundle that came into force is a subject of its own, which every receipt needs.
    sql.bind(request.as_bytes())
        .push(" OR request IN (SELECT digest FROM bundles)) ORDER BY position");
    let rows = link.rows(sql).await?;
    let mut entries = Vec::new();
    let mut required = BTreeSet::new();
    for row in rows {
        let index = from_sql(row.number("position")?)?;
        let nodes = InclusionProof::required_nodes(index, size).map_err(|error| damaged(&error))?;
        required.extend(nodes);
        entries.push((index, row.bytes("bytes")?.to_vec()));
    }
    let required: Vec<NodeId> = required.into_iter().collect();
    let nodes = load_nodes(link, &required).await?;
    let prove = |(index, bytes)| {
        let proof =
            InclusionProof::build(index, size, |id| nodes.get(&id).copied()).map_err(|error| damaged(&error))?;
        Ok(ProvenEntry {
            index,
            bytes,
            proof: proof.hashes().iter().map(|hash| *hash.as_bytes()).collect(),
        })
    };
    entries.into_iter().map(prove).collect()
}
