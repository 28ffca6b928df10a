//! The upgradeable loader and lookup tables.

use countersign_types::{AuthorityScope, CodeChangeKind};
use solana_address_lookup_table_interface::instruction as tables;
use solana_loader_v3_interface::instruction as loader;

use super::{certify_all, key};
use crate::{
    Address,
    tests::{
        expect::{Expect, certify_fee},
        fixtures::{Ix, World, of_seed, table, thief, us, warm},
    },
};

#[test]
fn programs_are_code() {
    let world = World::new();
    let (program, buffer) = (of_seed(0x21), of_seed(0x22));
    let (p, b, u, t) = (|| key(program), || key(buffer), || key(us()), || key(thief()));
    let data = {
        let found = loader::set_upgrade_authority(&p(), &u(), None);
        Address::new(found.accounts[0].pubkey.to_bytes())
    };
    let held = |subject, holder| Expect::Effects(vec![world.authority(subject, AuthorityScope::Owner, holder)]);
    let cases = vec![
        (
            "InitializeBuffer",
            ix!(loader::create_buffer(&u(), &b(), &t(), 9, 100).unwrap().remove(1)),
            held(buffer, Some(thief())),
        ),
        ("Write", ix!(loader::write(&b(), &u(), 0, vec![1, 2, 3])), Expect::Call),
        (
            "DeployWithMaxDataLen",
            ix!(loader::deploy_with_max_program_len(&u(), &p(), &b(), &u(), 9, 100)
                .unwrap()
                .remove(1)),
            Expect::Code(program, CodeChangeKind::Deploy),
        ),
        (
            "Upgrade",
            ix!(loader::upgrade(&p(), &b(), &u(), &u())),
            Expect::Code(program, CodeChangeKind::Upgrade),
        ),
        (
            "Upgrade that leaves the buffer's lamports to somebody else",
            ix!(loader::upgrade(&p(), &b(), &u(), &t())),
            Expect::EffectsThenCode(
                vec![world.authority(buffer, AuthorityScope::Owner, Some(thief()))],
                program,
                CodeChangeKind::Upgrade,
            ),
        ),
        (
            "Upgrade by somebody else",
            ix!(loader::upgrade(&p(), &b(), &t(), &t())),
            Expect::Opaque,
        ),
        (
            "SetAuthority",
            ix!(loader::set_upgrade_authority(&p(), &u(), Some(&t()))),
            held(data, Some(thief())),
        ),
        (
            "SetAuthority of nobody",
            ix!(loader::set_upgrade_authority(&p(), &u(), None)),
            held(data, None),
        ),
        (
            "SetAuthority of a buffer",
            ix!(loader::set_buffer_authority(&b(), &u(), &t())),
            held(buffer, Some(thief())),
        ),
        (
            "Close",
            ix!(loader::close(&b(), &t(), &u())),
            Expect::EffectsThenCall(vec![world.authority(buffer, AuthorityScope::Owner, Some(thief()))]),
        ),
        (
            "Close a program",
            ix!(loader::close_any(&key(data), &t(), Some(&u()), Some(&p()))),
            Expect::EffectsThenCode(
                vec![world.authority(data, AuthorityScope::Owner, Some(thief()))],
                program,
                CodeChangeKind::Upgrade,
            ),
        ),
        (
            "Close without an authority",
            ix!(loader::close_any(&b(), &t(), None, None)),
            Expect::Opaque,
        ),
        (
            "ExtendProgram",
            ix!(loader::extend_program(&p(), Some(&u()), 10_240)),
            Expect::Call,
        ),
        (
            "SetAuthorityChecked",
            ix!(loader::set_upgrade_authority_checked(&p(), &u(), &t())),
            held(data, Some(thief())),
        ),
    ];
    certify_all(&world, cases, 4, 0..8);
    // Rent for what the payer pays for, at 6 960 lamports a byte with 128 bytes beside the data.
    let rents = [
        (
            ix!(loader::deploy_with_max_program_len(&u(), &p(), &b(), &u(), 9, 100)
                .unwrap()
                .remove(1)),
            (128 + 45 + 100) * 6_960,
        ),
        (
            ix!(loader::extend_program(&p(), Some(&u()), 10_240)),
            (128 + 10_240) * 6_960,
        ),
        (ix!(loader::write(&b(), &u(), 0, vec![1])), 0),
    ];
    for (ix, rent) in rents {
        certify_fee(&world, &ix, 5_000 + rent);
    }
}

#[test]
fn lookup_tables() {
    let world = World::new();
    let (created, _) = tables::create_lookup_table(key(us()), key(us()), 77);
    let extended = tables::extend_lookup_table(key(table()), key(us()), Some(key(us())), vec![key(thief()); 3]);
    let unpaid = tables::extend_lookup_table(key(table()), key(us()), None, vec![key(thief())]);
    let cases = vec![
        ("CreateLookupTable", ix!(created.clone()), Expect::Call),
        (
            "FreezeLookupTable",
            ix!(tables::freeze_lookup_table(key(table()), key(us()))),
            Expect::Call,
        ),
        ("ExtendLookupTable", ix!(extended.clone()), Expect::Call),
        ("ExtendLookupTable without a payer", ix!(unpaid), Expect::Call),
        (
            "ExtendLookupTable by less than it says",
            ix!(extended.clone()).with(|ix| ix.data.truncate(ix.data.len() - 1)),
            Expect::Opaque,
        ),
        (
            "DeactivateLookupTable",
            ix!(tables::deactivate_lookup_table(key(table()), key(us()))),
            Expect::Call,
        ),
        (
            "CloseLookupTable",
            ix!(tables::close_lookup_table(key(table()), key(us()), key(thief()))),
            Expect::EffectsThenCall(vec![world.authority(table(), AuthorityScope::Owner, Some(thief()))]),
        ),
        (
            "CloseLookupTable of somebody else",
            ix!(tables::close_lookup_table(key(table()), key(warm()), key(thief()))),
            Expect::Opaque,
        ),
    ];
    certify_all(&world, cases, 4, 0..5);
    certify_fee(&world, &ix!(created), 5_000 + (128 + 56) * 6_960);
    certify_fee(&world, &ix!(extended), 5_000 + (128 + 3 * 32) * 6_960);
}
