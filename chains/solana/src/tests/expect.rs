//! What an instruction is expected to be, behind a transfer where readers of the first instruction would not look.

use countersign_types::{Amount, CodeChangeKind, Effect};

use super::fixtures::{Ix, World, alice, message, transfer};
use crate::Address;

pub(super) enum Expect {
    Opaque,
    Call,
    Effects(Vec<Effect>),
    EffectsThenCall(Vec<Effect>),
    CallThenEffects(Vec<Effect>),
    Code(Address, CodeChangeKind),
    EffectsThenCode(Vec<Effect>, Address, CodeChangeKind),
}

pub(super) fn certify(world: &World, name: &str, ix: &Ix, expect: Expect) {
    let message = message(&[transfer(1, alice()), ix.clone()]);
    let call = || world.call(ix, &message);
    let code = |program, change| world.code(ix, &message, program, change);
    let expected = match expect {
        Expect::Opaque => vec![world.opaque(ix, &message)],
        Expect::Call => vec![call()],
        Expect::Effects(effects) => effects,
        Expect::EffectsThenCall(effects) => [effects, vec![call()]].concat(),
        Expect::CallThenEffects(effects) => [vec![call()], effects].concat(),
        Expect::Code(program, change) => vec![code(program, change)],
        Expect::EffectsThenCode(effects, program, change) => [effects, vec![code(program, change)]].concat(),
    };
    let parsed = world.parse(&message.encode()).unwrap();
    let (fee, effects) = parsed.effects().split_last().unwrap();
    assert_eq!(effects, [vec![world.sol(1, alice())], expected].concat(), "{name}");
    assert!(matches!(fee, Effect::Fee { .. }), "{name}");
}

/// Certifies what an instruction alone costs.
pub(super) fn certify_fee(world: &World, ix: &Ix, lamports: u64) {
    let parsed = world.parse(&message(std::slice::from_ref(ix)).encode()).unwrap();
    let (_, fee) = super::effects::fee_of(&parsed);
    assert_eq!(fee, Amount::from_base_units(lamports), "{ix:?}");
}
