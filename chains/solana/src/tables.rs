//! The Address Lookup Table program: tables that messages take accounts from.

use countersign_types::{AuthorityScope, Effect};

use crate::{
    bytes::Reader,
    call::{Call, Unread, end},
    effects::Scene,
};

const TABLE_BYTES: u64 = 56;
const ADDRESS_BYTES: u64 = 32;

/// What a table holds is looked at where a message uses it, so changes of tables are calls. Closing one gives its lamports
/// away, to whom the authority change names.
pub(crate) fn effects(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    let effects = match data.u32()? {
        0 => {
            let [_table, _authority, payer, _system] = call.keys()?;
            scene.certify_ours(payer)?;
            data.u64()?;
            data.u8()?;
            vec![scene.contract_call(call)?]
        }
        1 | 3 => {
            let [_table, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.contract_call(call)?]
        }
        2 => {
            read_addresses(&mut data)?;
            vec![scene.contract_call(call)?]
        }
        4 => {
            let [table, authority, to] = call.keys()?;
            scene.certify_ours(authority)?;
            let holder = Some(to.certify_spendable()?);
            vec![
                scene.authority(table, AuthorityScope::Owner, holder)?,
                scene.contract_call(call)?,
            ]
        }
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

fn read_addresses(data: &mut Reader<'_>) -> Result<u64, Unread> {
    let count = data.u64()?;
    let bytes = usize::try_from(count.saturating_mul(ADDRESS_BYTES)).map_err(|_| Unread::Opaque)?;
    data.slice(bytes)?;
    Ok(count)
}

/// The bytes that the payer keeps rent-exempt: of a new table, and of addresses in one.
pub(crate) fn paid_bytes(call: &Call<'_>) -> Option<u64> {
    let mut data = call.reader();
    match data.u32().ok()? {
        0 => Some(TABLE_BYTES),
        2 => Some(read_addresses(&mut data).ok()?.saturating_mul(ADDRESS_BYTES)),
        _ => None,
    }
}
