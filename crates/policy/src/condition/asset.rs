//! `assets`: what the effect moves or promises.

use countersign_types::AssetId;

use super::{OneOf, View};
use crate::Truth;

/// The effect's asset is one of these. An effect without an asset of its own (a contract call, opaque bytes, a change of
/// code or authority) may move any asset: unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets(pub OneOf<AssetId>);

impl Assets {
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        view.asset()
            .map_or(Truth::Unknown, |asset| self.0.contains(asset).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, asset, opaque, transfer};

    #[test]
    fn an_effect_without_an_asset_may_move_any() {
        let assets = Assets([asset("eth")].into_iter().collect());
        let world = World::with(&[transfer("eth", 1, "a"), transfer("stray", 1, "a"), opaque()]);
        let matches = |view: &View<'_>| assets.matches(view);
        assert_eq!(world.each(matches), [Truth::True, Truth::False, Truth::Unknown]);
    }
}
