//! The stored audit log: nodes and proofs.

use std::collections::{BTreeMap, BTreeSet};

use countersign_audit::{Hash, InclusionProof, NodeId, TreeSize};
use countersign_signer::{JournalError, ProvenEntry};

use crate::{
    codec::{BadValue, from_sql, to_sql},
    error::StepError,
    records::column32,
    sql::{Link, Sql, Value},
};

/// Nodes of one statement.
const NODES_PER_STATEMENT: usize = 1_000;

/// Where a node stands: in the order in which the log's nodes are completed, so that they are stored one behind the other. Before
/// leaf `i` comes, 2i minus the ones in `i` are complete; what it completes follows by level (RFC 6962).
pub(crate) fn place(id: NodeId) -> Result<i64, BadValue> {
    let leaves = id.index.checked_add(1).and_then(|next| {
        let leaves = 1_u64.checked_shl(u32::from(id.level))?;
        next.checked_mul(leaves)
    });
    let last = leaves.and_then(|leaves| leaves.checked_sub(1));
    let before = last.and_then(|last| last.checked_mul(2)?.checked_sub(u64::from(last.count_ones())));
    let place = before.and_then(|before| before.checked_add(u64::from(id.level)));
    to_sql(place.ok_or(BadValue("log node"))?)
}

/// Stored nodes; those that the database lacks are absent.
pub(crate) async fn load_nodes(link: &mut Link<'_>, ids: &[NodeId]) -> Result<BTreeMap<NodeId, Hash>, StepError> {
    let mut nodes = BTreeMap::new();
    for chunk in ids.chunks(NODES_PER_STATEMENT) {
        let placed = chunk.iter().map(|id| Ok((place(*id)?, *id)));
        let placed: BTreeMap<i64, NodeId> = placed.collect::<Result<_, BadValue>>()?;
        let mut sql = Sql::new("SELECT place, hash FROM ");
        sql.given(placed.keys().map(|place| vec![Value::from(*place)]).collect())
            .push(" CROSS JOIN log_nodes WHERE place = column1");
        for row in link.rows(sql).await? {
            let id = placed.get(&row.number("place")?).ok_or(BadValue("log node"))?;
            nodes.insert(*id, Hash::from_bytes(column32(&row, "hash")?));
        }
    }
    Ok(nodes)
}

/// The entries at the positions that a query finds, with proofs that lead to the root of the first `size` entries.
pub(crate) async fn load_proven_entries(
    link: &mut Link<'_>,
    positions: Sql,
    size: u64,
) -> Result<Vec<ProvenEntry>, StepError> {
    let damaged = |error: &dyn std::error::Error| JournalError::Damaged(error.to_string());
    let size = TreeSize::new(size).map_err(|error| damaged(&error))?;
    let mut sql = Sql::new("SELECT position, bytes FROM log_entries WHERE position IN (");
    sql.nest(positions).push(") ORDER BY position");
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

#[cfg(test)]
mod tests {
    use countersign_audit::{Frontier, LeafHash};

    use super::*;

    #[test]
    fn nodes_are_completed_one_behind_the_other() {
        let mut log = Frontier::empty();
        let mut next = 0;
        for leaf in 0..300_u32 {
            for node in log.append(LeafHash::of(&leaf.to_be_bytes()).unwrap()).unwrap() {
                assert_eq!(place(node.id), Ok(next), "{:?}", node.id);
                next += 1;
            }
        }
        let far = NodeId {
            level: 60,
            index: u64::MAX,
        };
        assert_eq!(place(far), Err(BadValue("log node")));
    }
}
