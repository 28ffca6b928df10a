//! A permit to a list of its own file, through the signer: what leaves it is denied before the next signature, what comes in
//! waits, and what stays is as old as it was.

use crate::support;

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::Envelope;
use countersign_bundle::Bundle;
use countersign_decision::Receipt;
use countersign_decision::testing::{Ask, CUSTOMER, World, sealed, withdrawal};
use countersign_signer::Answer;
use countersign_types::Tag;
use support::{Rig, assert_denied, assert_pending, assert_signed};

const LIST: &str = "lists/customers.list";
const YOUNG: &str = "requires:\n  - id: young\n    when: { to: { entry-under: 1h } }\n    approvals: { treasury: 3 }\n";
/// Digits carry no EIP-55 case, so these addresses are their own checksum.
const NEIGHBOUR: &str = "eip155:31337:0x0000000000000000000000000000000000900001";

/// Three hundred destinations, and some more.
fn list(more: &[&str]) -> Vec<u8> {
    let many = (0..300).map(|n| format!("eip155:31337:0x{:040}", 1_000_000 + n));
    let lines: BTreeSet<String> = many.chain(more.iter().map(|&at| at.to_owned())).collect();
    lines
        .into_iter()
        .map(|line| line + "\n")
        .collect::<String>()
        .into_bytes()
}

fn by_file(files: &mut BTreeMap<String, Vec<u8>>, more: &[&str]) {
    let lists = format!("lists:\n  - id: customers\n    file: {LIST}\n");
    files.insert("destinations.yaml".to_owned(), lists.into_bytes());
    files.insert(LIST.to_owned(), list(more));
}

/// A signer under a policy that asks more people for what is young, and whose customers stand in a file.
async fn rig(more: &[&str]) -> Rig {
    let change = |files: &mut BTreeMap<String, Vec<u8>>| {
        let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
        files.insert(
            "policy.yaml".to_owned(),
            policy.replace("requires:\n", YOUNG).into_bytes(),
        );
        by_file(files, more);
    };
    Rig::changed(World::new(), &[], change).await
}

/// The next bundle: only the list is another one.
async fn update(rig: &mut Rig, more: &[&str]) {
    let bundle = Bundle::load(&rig.world.files).unwrap();
    let mut files = rig.world.files.clone();
    by_file(&mut files, more);
    let files = sealed(bundle.version() + 1, Some(bundle.digest()), files);
    rig.activate(&["alice", "bob"], files.clone()).await.unwrap();
    rig.world.files = files;
}

/// A payment with its request.
struct Order {
    ask: Ask,
    request: Envelope,
}

/// A payment too small for the rules on amounts.
fn order(rig: &Rig, nonce: u64, to: &str) -> Order {
    let ask = Ask {
        reference: format!("order-{nonce}-{}", &to[to.len() - 4..]),
        amount: 10_000_000_000_000_000,
        destination: to.to_owned(),
        nonce,
        ..Ask::default()
    };
    let request = rig.world.request(&ask);
    Order { ask, request }
}

async fn pay(rig: &Rig, order: &Order) -> Answer {
    rig.authorize(&order.ask, &order.request, &[]).await.unwrap()
}

#[tokio::test]
async fn entries_of_a_file_leave_at_once_and_come_young() {
    let mut rig = rig(&[CUSTOMER]).await;
    let first = order(&rig, 0, CUSTOMER);
    assert_pending(&pay(&rig, &first).await, Tag::ApprovalMissing);
    rig.advance(3_600);
    assert_signed(&pay(&rig, &first).await);

    // One more comes: it is young, and what was there is as old as it was.
    update(&mut rig, &[CUSTOMER, NEIGHBOUR]).await;
    assert_signed(&pay(&rig, &order(&rig, 1, CUSTOMER)).await);
    let young = order(&rig, 2, NEIGHBOUR);
    assert_pending(&pay(&rig, &young).await, Tag::ApprovalMissing);

    // One leaves: the next decision knows, and nothing was signed for it.
    update(&mut rig, &[NEIGHBOUR]).await;
    let gone = order(&rig, 2, CUSTOMER);
    assert_denied(&pay(&rig, &gone).await, Tag::PermitUncovered);
    assert_eq!(rig.uses(), 2);

    // What stays ages on while the list changes around it.
    rig.advance(3_600);
    assert_signed(&pay(&rig, &young).await);

    // What comes back begins anew, also over a restart.
    update(&mut rig, &[CUSTOMER, NEIGHBOUR]).await;
    let rig = rig.restart().await;
    let again = order(&rig, 3, CUSTOMER);
    assert_pending(&pay(&rig, &again).await, Tag::ApprovalMissing);
    rig.advance(3_599);
    assert_pending(&pay(&rig, &again).await, Tag::ApprovalMissing);
    rig.advance(1);
    assert_signed(&pay(&rig, &again).await);

    // The decision is what a receipt says, with every version of the list in it.
    let bytes = rig.signer.receipt(withdrawal(&again.request)).await.unwrap();
    let receipt = Receipt::verify(&bytes, &rig.world.genesis_bytes).unwrap();
    let known = receipt.decision.unwrap().ledger.destinations.unwrap();
    assert_eq!(
        known.listed.keys().map(ToString::to_string).collect::<Vec<_>>(),
        [CUSTOMER]
    );
}

/// One officer takes entries from lists, at once, also where rules ask for ages: what has another entry is as old as before.
#[tokio::test]
async fn an_officer_alone_takes_entries_away_and_nobody_becomes_older() {
    let mut rig = rig(&[CUSTOMER]).await;
    rig.advance(3_600);
    let partners = |rig: &Rig, entries: &[&str]| {
        let bundle = Bundle::load(&rig.world.files).unwrap();
        let mut files = rig.world.files.clone();
        by_file(&mut files, &[CUSTOMER]);
        let lists = String::from_utf8(files["destinations.yaml"].clone()).unwrap();
        let lists = lists + "  - id: partners\n    file: lists/partners.list\n";
        files.insert("destinations.yaml".to_owned(), lists.into_bytes());
        files.insert("lists/partners.list".to_owned(), list(entries));
        sealed(bundle.version() + 1, Some(bundle.digest()), files)
    };
    let files = partners(&rig, &[CUSTOMER, NEIGHBOUR]);
    rig.activate(&["alice", "bob"], files.clone()).await.unwrap();
    rig.world.files = files;
    rig.advance(600);
    let young = order(&rig, 0, CUSTOMER);
    assert_pending(&pay(&rig, &young).await, Tag::ApprovalMissing);
    // Of the two entries the younger goes.
    let files = partners(&rig, &[NEIGHBOUR]);
    rig.activate(&["dave"], files.clone()).await.unwrap();
    rig.world.files = files;
    rig.advance(2_999);
    assert_pending(&pay(&rig, &young).await, Tag::ApprovalMissing);
    rig.advance(1);
    assert_signed(&pay(&rig, &young).await);
}

/// A list that moves into a file, or out of it, is the same list: nobody becomes younger or older.
#[tokio::test]
async fn where_a_list_stands_is_no_matter_of_age() {
    let written = String::from_utf8(World::new().files["destinations.yaml"].clone()).unwrap();
    let mut rig = rig(&[CUSTOMER]).await;
    rig.advance(3_600);
    let bundle = Bundle::load(&rig.world.files).unwrap();
    let mut files = rig.world.files.clone();
    files.remove(LIST);
    files.insert("destinations.yaml".to_owned(), written.into_bytes());
    let files = sealed(bundle.version() + 1, Some(bundle.digest()), files);
    rig.activate(&["alice", "bob"], files.clone()).await.unwrap();
    rig.world.files = files;
    assert_signed(&pay(&rig, &order(&rig, 0, CUSTOMER)).await);
    update(&mut rig, &[CUSTOMER]).await;
    assert_signed(&pay(&rig, &order(&rig, 1, CUSTOMER)).await);
    // A list of another name is another list: all of it is new.
    let bundle = Bundle::load(&rig.world.files).unwrap();
    let mut files = rig.world.files.clone();
    for path in ["policy.yaml", "destinations.yaml"] {
        let text = String::from_utf8(files[path].clone()).unwrap();
        let renamed = text
            .replace("list: customers", "list: clients")
            .replace("id: customers", "id: clients");
        files.insert(path.to_owned(), renamed.into_bytes());
    }
    let files = sealed(bundle.version() + 1, Some(bundle.digest()), files);
    rig.activate(&["alice", "bob"], files).await.unwrap();
    assert_pending(&pay(&rig, &order(&rig, 2, CUSTOMER)).await, Tag::ApprovalMissing);
}
