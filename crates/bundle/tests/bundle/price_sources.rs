//! The `price-sources` section of `roster.yaml`: one valid section, one change, and what is said about it.

use countersign_bundle::{Bundle, write_roster};
use countersign_types::Currency;

use crate::support::{Files, dev, errors, seal};

const SERVICE: &str = "  - id: payout-service\n";
const SERVICES: &str = "  - { id: prices-1, operators: [alice], keys: [\"ed25519:8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394\"] }
  - { id: prices-2, operators: [bob], keys: [\"ed25519:ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1\"] }\n";
/// The record of the fixture, and another one.
const RECORD: &str = "threshold: 1, members: [screening-service]";
const RECORD_OF_TWO: &str = "threshold: 2, members: [prices-1, prices-2]";

/// The dev bundle with two price sources, and a text of its roster replaced.
fn quoted(from: &str, to: &str) -> Files {
    let mut files = dev();
    let roster = String::from_utf8(files["roster.yaml"].clone()).unwrap();
    let roster = roster
        .replace(SERVICE, &format!("{SERVICES}{SERVICE}"))
        .replace(RECORD, RECORD_OF_TWO);
    assert_eq!(roster.matches(from).count(), 1, "`{from}` must stand once");
    files.insert("roster.yaml".to_owned(), roster.replace(from, to).into_bytes());
    seal(files)
}

fn valid() -> Files {
    quoted("max-age: 5m", "max-age: 5m")
}

#[test]
fn price_sources_load_and_each_mutation_is_told() {
    let bundle = Bundle::load(&valid()).unwrap();
    let sources = bundle.roster().price_sources(Currency::Usd).unwrap();
    assert_eq!((sources.quorum().threshold(), sources.quorum().members().len()), (2, 2));
    assert_eq!(
        (sources.max_age().secs(), sources.max_spread().basis_points()),
        (300, 200)
    );
    assert!(bundle.roster().price_sources(Currency::Eur).is_none());
    for (from, to, expected) in [
        ("currency: USD", "currency: USDC", "unknown variant"),
        ("currency: USD", "currency: usd", "unknown variant"),
        (
            "threshold: 2, members: [prices",
            "threshold: 0, members: [prices",
            "write a whole number from 1 to 64",
        ),
        (
            "threshold: 2, members: [prices",
            "threshold: 3, members: [prices",
            "can never be reached by 2 members",
        ),
        ("operators: [bob]", "operators: [alice]", "they would be one voice"),
        (
            "[prices-1, prices-2]",
            "[prices-1, carol]",
            "`carol` is not a service of the roster",
        ),
        ("[prices-1, prices-2]", "[prices-1, prices-1]", "listed twice"),
        (
            "[prices-1, prices-2]",
            "[prices-1, payout-service]",
            "`payout-service` initiates withdrawals: what it says of them proves nothing",
        ),
        (
            "operators: [bob]",
            "operators: [bob, dave]",
            "`dave` operates `prices-2` and is behind the initiator `payout-service`",
        ),
        (
            "principals: [payout-service]",
            "principals: [payout-service, alice]",
            "`alice` operates `prices-1` and is behind the initiator `alice`",
        ),
        ("max-age: 5m", "max-age: \"5\"", "a duration is"),
        ("\"2 %\"", "\"2\"", "a spread is written"),
        ("\"2 %\"", "\"51 %\"", "a spread is written"),
        (", max-age: 5m", "", "missing field"),
        ("max-age: 5m", "max-age: 5m, min-age: 5m", "unknown field"),
    ] {
        let said = errors(&quoted(from, to)).to_string();
        assert!(
            said.starts_with("roster.yaml:") && said.contains(expected),
            "{to}: {said}"
        );
    }
}

#[test]
fn one_source_alone_makes_prices_in_development_only() {
    let with_money = |files: Files| {
        let mut files = files;
        let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
        let rule = "requires:\n  - { id: dollars, when: { total: { over: { USD: \"1 USD\" } } }, approvals: { treasury: 1 } }\n";
        files.insert(
            "policy.yaml".to_owned(),
            policy.replacen("requires:\n", rule, 1).into_bytes(),
        );
        Bundle::load(&seal(files)).unwrap()
    };
    let said = "needs price sources in USD with a threshold of at least 2";
    let lone = quoted("threshold: 2, members: [prices", "threshold: 1, members: [prices");
    for (files, is_refused) in [(lone, true), (valid(), false)] {
        let bundle = with_money(files);
        assert!(bundle.check_environment(false).is_ok());
        let errors = bundle.check_environment(true).unwrap_err().to_string();
        assert_eq!(errors.contains(said), is_refused, "{errors}");
    }
    // A policy without money wants none.
    let errors = Bundle::load(&dev()).unwrap().check_environment(true).unwrap_err();
    assert!(!errors.to_string().contains(said));
}

#[test]
fn what_is_written_reads_back() {
    let files = valid();
    let file: countersign_approval::RosterFile =
        serde_saphyr::from_str(std::str::from_utf8(&files["roster.yaml"]).unwrap()).unwrap();
    let again: countersign_approval::RosterFile = serde_saphyr::from_str(&write_roster(&file)).unwrap();
    assert_eq!(file.price_sources.len(), 1);
    assert_eq!(again, file);
}
