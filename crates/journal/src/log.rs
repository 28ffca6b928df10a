//! The stored audit log: nodes and proofs.

use std::collections::{BTreeMap, BTreeSet};

use countersign_audit::{Hash, InclusionProof, NodeId, TreeSize};
use countersign_signer::{JournalError, ProvenEntry};
use countersign_types::RequestDigest;
use sqlx::{QueryBuilder, Row as _, SqliteConnection};

use crate::{
    codec::{BadValue, from_sql, to_sql},
    error::StepError,
    records::column32,
};

/// Nodes of one statement.
const NODES_PER_STATEMENT: usize = 1_000;

/// Stored nodes; those that the database lacks are absent.
pub(crate) async fn load_nodes(
    connection: &mut SqliteConnection,
    ids: &[NodeId],
) -> Result<BTreeMap<NodeId, Hash>, StepError> {
    let mut nodes = BTreeMap::new();
    for chunk in ids.chunks(NODES_PER_STATEMENT) {
        let mut sql =
            QueryBuilder::new("SELECT level, position, hash FROM log_nodes WHERE (level, position) IN (VALUES ");
        let mut list = sql.separated(", ");
        for id in chunk {
            list.push("(").push_bind_unseparated(i64::from(id.level));
            list.push_unseparated(", ").push_bind_unseparated(to_sql(id.index)?);
            list.push_unseparated(")");
        }
        sql.push(")");
        for row in sql.build().fetch_all(&mut *connection).await? {
            let level: i64 = row.try_get("level")?;
            let id = NodeId {
                level: u8::try_from(level).map_err(|_| BadValue("log level"))?,
                index: from_sql(row.try_get("position")?)?,
            };
            nodes.insert(id, Hash::from_bytes(column32(&row, "hash")?));
        }
    }
    Ok(nodes)
}

/// The entries about a withdrawal with proofs that lead to the root of the first `size` entries.
pub(crate) async fn load_proven_entries(
    connection: &mut SqliteConnection,
    request: RequestDigest,
    size: u64,
) -> Result<Vec<ProvenEntry>, StepError> {
    let damaged = |error: &dyn std::error::Error| JournalError::Damaged(error.to_string());
    let size = TreeSize::new(size).map_err(|error| damaged(&error))?;
    let rows = sqlx::query(
        "SELECT position, bytes FROM log_subjects JOIN log_entries USING (position) WHERE request = ? ORDER BY position",
    )
    .bind(request.as_bytes().to_vec())
    .fetch_all(&mut *connection)
    .await?;
    let mut entries = Vec::new();
    let mut required = BTreeSet::new();
    for row in rows {
        let index = from_sql(row.try_get("position")?)?;
        let nodes = InclusionProof::required_nodes(index, size).map_err(|error| damaged(&error))?;
        required.extend(nodes);
        entries.push((index, row.try_get::<Vec<u8>, _>("bytes")?));
    }
    let required: Vec<NodeId> = required.into_iter().collect();
    let nodes = load_nodes(connection, &required).await?;
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
