//! The Stake and Vote programs.

use countersign_types::AuthorityScope;
use solana_stake_interface::{
    instruction as stakes,
    state::{Authorized, Lockup, StakeAuthorize},
};
use solana_vote_interface::{
    instruction as votes,
    state::{Vote, VoteAuthorize, VoteInit},
};

use super::{certify_all, key};
use crate::{
    Address,
    tests::{
        expect::Expect,
        fixtures::{Ix, World, stake, thief, us, warm},
    },
};

#[test]
fn stake_accounts() {
    let world = World::new();
    let held = |scope, holder| world.authority(stake(), scope, Some(holder));
    let paid = || Expect::Effects(vec![world.sol(7, thief())]);
    let lamports = |ix: Ix| ix;
    let authorized = Authorized {
        staker: key(us()),
        withdrawer: key(thief()),
    };
    let both = || vec![held(AuthorityScope::Stake, us()), held(AuthorityScope::Owner, thief())];
    let locked = Lockup {
        unix_timestamp: 1,
        epoch: 0,
        custodian: key(thief()),
    };
    let mut guarded = both();
    guarded.push(held(AuthorityScope::Guard, thief()));
    let seed = || "s".to_owned();
    let lockup = |custodian: Option<Address>| stakes::LockupArgs {
        unix_timestamp: Some(1),
        epoch: None,
        custodian: custodian.map(key),
    };
    let guard = || vec![held(AuthorityScope::Guard, thief())];
    #[expect(deprecated, reason = "no cluster enabled it, and it must still be read")]
    let redelegate = stakes::redelegate(&key(stake()), &key(us()), &key(thief()), &key(warm())).remove(2);
    let cases = vec![
        (
            "Initialize",
            ix!(stakes::initialize(&key(stake()), &authorized, &Lockup::default())),
            Expect::Effects(both()),
        ),
        (
            "Initialize with a lock-up",
            ix!(stakes::initialize(&key(stake()), &authorized, &locked)),
            Expect::EffectsThenCall(guarded),
        ),
        (
            "Authorize a staker",
            ix!(stakes::authorize(
                &key(stake()),
                &key(us()),
                &key(thief()),
                StakeAuthorize::Staker,
                None
            )),
            Expect::Effects(vec![held(AuthorityScope::Stake, thief())]),
        ),
        (
            "Authorize a withdrawer",
            ix!(stakes::authorize(
                &key(stake()),
                &key(us()),
                &key(thief()),
                StakeAuthorize::Withdrawer,
                None
            )),
            Expect::Effects(vec![held(AuthorityScope::Owner, thief())]),
        ),
        (
            "Authorize beside a custodian",
            ix!(stakes::authorize(
                &key(stake()),
                &key(us()),
                &key(thief()),
                StakeAuthorize::Withdrawer,
                Some(&key(warm()))
            )),
            Expect::Opaque,
        ),
        (
            "DelegateStake",
            ix!(stakes::delegate_stake(&key(stake()), &key(us()), &key(thief()))),
            Expect::Effects(vec![held(AuthorityScope::Delegate, thief())]),
        ),
        (
            "Split",
            lamports(ix!(stakes::split(&key(stake()), &key(us()), 7, &key(thief())).remove(2))),
            paid(),
        ),
        (
            "Withdraw",
            ix!(stakes::withdraw(&key(stake()), &key(us()), &key(thief()), 7, None)),
            paid(),
        ),
        (
            "Withdraw beside a custodian",
            ix!(stakes::withdraw(
                &key(stake()),
                &key(us()),
                &key(thief()),
                7,
                Some(&key(warm()))
            )),
            Expect::Opaque,
        ),
        (
            "Deactivate",
            ix!(stakes::deactivate_stake(&key(stake()), &key(us()))),
            Expect::Call,
        ),
        (
            "SetLockup",
            ix!(stakes::set_lockup(&key(stake()), &lockup(Some(thief())), &key(us()))),
            Expect::CallThenEffects(guard()),
        ),
        (
            "SetLockup without a custodian",
            ix!(stakes::set_lockup(&key(stake()), &lockup(None), &key(us()))),
            Expect::Call,
        ),
        (
            "Merge",
            ix!(stakes::merge(&key(stake()), &key(warm()), &key(us())).remove(0)),
            Expect::Call,
        ),
        (
            "AuthorizeWithSeed",
            ix!(stakes::authorize_with_seed(
                &key(stake()),
                &key(us()),
                seed(),
                &key(warm()),
                &key(thief()),
                StakeAuthorize::Withdrawer,
                None
            )),
            Expect::Effects(vec![held(AuthorityScope::Owner, thief())]),
        ),
        (
            "InitializeChecked",
            ix!(stakes::initialize_checked(&key(stake()), &authorized)),
            Expect::Effects(both()),
        ),
        (
            "AuthorizeChecked",
            ix!(stakes::authorize_checked(
                &key(stake()),
                &key(us()),
                &key(thief()),
                StakeAuthorize::Staker,
                None
            )),
            Expect::Effects(vec![held(AuthorityScope::Stake, thief())]),
        ),
        (
            "AuthorizeCheckedWithSeed",
            ix!(stakes::authorize_checked_with_seed(
                &key(stake()),
                &key(us()),
                seed(),
                &key(warm()),
                &key(thief()),
                StakeAuthorize::Withdrawer,
                None
            )),
            Expect::Effects(vec![held(AuthorityScope::Owner, thief())]),
        ),
        (
            "SetLockupChecked",
            ix!(stakes::set_lockup_checked(
                &key(stake()),
                &lockup(Some(thief())),
                &key(us())
            )),
            Expect::CallThenEffects(guard()),
        ),
        (
            "SetLockupChecked without a custodian",
            ix!(stakes::set_lockup_checked(&key(stake()), &lockup(None), &key(us()))),
            Expect::Call,
        ),
        (
            "GetMinimumDelegation",
            ix!(stakes::get_minimum_delegation()),
            Expect::Call,
        ),
        (
            "DeactivateDelinquent",
            ix!(stakes::deactivate_delinquent_stake(
                &key(stake()),
                &key(thief()),
                &key(warm())
            )),
            Expect::Call,
        ),
        ("Redelegate", ix!(redelegate), Expect::Call),
        (
            "MoveStake",
            ix!(stakes::move_stake(&key(stake()), &key(thief()), &key(us()), 7)),
            paid(),
        ),
        (
            "MoveLamports",
            ix!(stakes::move_lamports(&key(stake()), &key(thief()), &key(us()), 7)),
            paid(),
        ),
        (
            "MoveLamports by somebody else",
            ix!(stakes::move_lamports(&key(stake()), &key(thief()), &key(warm()), 7)),
            Expect::Opaque,
        ),
    ];
    certify_all(&world, cases, 4, 0..18);
}

#[test]
fn vote_accounts() {
    let world = World::new();
    let vote = stake();
    let held = |scope, holder| world.authority(vote, scope, Some(holder));
    let init = VoteInit {
        node_pubkey: key(us()),
        authorized_voter: key(warm()),
        authorized_withdrawer: key(thief()),
        commission: 5,
    };
    let config = || votes::CreateVoteAccountConfig::default();
    let created = votes::create_account_with_config(&key(us()), &key(vote), &init, 9, config()).remove(1);
    let second = votes::create_account_with_config_v2(
        &key(us()),
        &key(vote),
        &solana_vote_interface::state::VoteInitV2::default(),
        &key(thief()),
        &key(thief()),
        9,
        config(),
    )
    .remove(1);
    let (voter, withdrawer) = (VoteAuthorize::Voter, VoteAuthorize::Withdrawer);
    let update = || solana_vote_interface::state::VoteStateUpdate::from(vec![(1, 1)]);
    let tower = || solana_vote_interface::state::TowerSync::from(vec![(1, 1)]);
    let hash = || solana_message::Hash::default();
    let kind = || votes::CommissionKind::InflationRewards;
    let (v, u, t) = (|| key(vote), || key(us()), || key(thief()));
    let cases = vec![
        (
            "InitializeAccount",
            ix!(created),
            Expect::EffectsThenCall(vec![
                held(AuthorityScope::Stake, warm()),
                held(AuthorityScope::Owner, thief()),
            ]),
        ),
        (
            "Authorize a voter",
            ix!(votes::authorize(&v(), &u(), &t(), voter)),
            Expect::Effects(vec![held(AuthorityScope::Stake, thief())]),
        ),
        (
            "Authorize a withdrawer",
            ix!(votes::authorize(&v(), &u(), &t(), withdrawer)),
            Expect::Effects(vec![held(AuthorityScope::Owner, thief())]),
        ),
        (
            "Authorize by somebody else",
            ix!(votes::authorize(&v(), &t(), &t(), withdrawer)),
            Expect::Opaque,
        ),
        ("Vote", ix!(votes::vote(&v(), &u(), Vote::default())), Expect::Call),
        (
            "Withdraw",
            ix!(votes::withdraw(&v(), &u(), 7, &t())),
            Expect::EffectsThenCall(vec![world.sol(7, thief())]),
        ),
        (
            "UpdateValidatorIdentity",
            ix!(votes::update_validator_identity(&v(), &u(), &t())),
            Expect::Call,
        ),
        (
            "UpdateCommission",
            ix!(votes::update_commission(&v(), &u(), 100)),
            Expect::Call,
        ),
        (
            "VoteSwitch",
            ix!(votes::vote_switch(&v(), &u(), Vote::default(), hash())),
            Expect::Call,
        ),
        (
            "AuthorizeChecked",
            ix!(votes::authorize_checked(&v(), &u(), &t(), withdrawer)),
            Expect::Effects(vec![held(AuthorityScope::Owner, thief())]),
        ),
        (
            "UpdateVoteState",
            ix!(votes::update_vote_state(&v(), &u(), update())),
            Expect::Call,
        ),
        (
            "UpdateVoteStateSwitch",
            ix!(votes::update_vote_state_switch(&v(), &u(), update(), hash())),
            Expect::Call,
        ),
        (
            "AuthorizeWithSeed",
            ix!(votes::authorize_with_seed(
                &v(),
                &u(),
                &key(warm()),
                "s",
                &t(),
                withdrawer
            )),
            Expect::Effects(vec![held(AuthorityScope::Owner, thief())]),
        ),
        (
            "AuthorizeCheckedWithSeed",
            ix!(votes::authorize_checked_with_seed(
                &v(),
                &u(),
                &key(warm()),
                "s",
                &t(),
                voter
            )),
            Expect::Effects(vec![held(AuthorityScope::Stake, thief())]),
        ),
        (
            "CompactUpdateVoteState",
            ix!(votes::compact_update_vote_state(&v(), &u(), update())),
            Expect::Call,
        ),
        (
            "CompactUpdateVoteStateSwitch",
            ix!(votes::compact_update_vote_state_switch(&v(), &u(), update(), hash())),
            Expect::Call,
        ),
        ("TowerSync", ix!(votes::tower_sync(&v(), &u(), tower())), Expect::Call),
        (
            "TowerSyncSwitch",
            ix!(votes::tower_sync_switch(&v(), &u(), tower(), hash())),
            Expect::Call,
        ),
        ("InitializeAccountV2", ix!(second), Expect::Call),
        (
            "UpdateCommissionCollector",
            ix!(votes::update_commission_collector(&v(), &u(), &t(), kind())),
            Expect::Call,
        ),
        (
            "UpdateCommissionBps",
            ix!(votes::update_commission_bps(&v(), &u(), kind(), 100)),
            Expect::Call,
        ),
        (
            "DepositDelegatorRewards",
            ix!(votes::deposit_delegator_rewards(&v(), &u(), 7)),
            Expect::Effects(vec![world.sol(7, vote)]),
        ),
    ];
    certify_all(&world, cases, 4, 0..20);
}
