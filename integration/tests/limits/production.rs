//! A production genesis, a token, a capped policy: what is within its caps is signed, and nothing else.

use countersign_integration::Backend;
use countersign_types::Tag;

use crate::{
    site::{Site, sealed},
    support::{denied, refused_client, replace, signed, small, tags},
};

const CAPS: [&str; 3] = [
    r#"id: eth-day, effects: [transfer], assets: [ETH], scope: [], window: 24h, hard: "0.08 ETH""#,
    r#"id: demo-month, effects: [transfer], assets: [DEMO], scope: [wallet], window: month, zone: UTC, hard: "9000 DEMO""#,
    r#"id: fees-day, effects: [fee], scope: [wallet], window: 24h, hard: "3 ETH""#,
];

#[tokio::test]
async fn a_production_deployment_signs_within_its_caps() {
    let backend = Backend::of_this_machine().unwrap();
    // The keystore for development is refused under a production genesis: there is nothing to test without a token.
    assert_eq!(backend, Backend::Pkcs11, "this test needs a PKCS#11 module");
    let site = Site::new(backend, &CAPS).production().aging_from_signature();
    let (scene, files) = site.start().await;
    // Without a cap, or with charges that never age, it does not come into force.
    let changes = [
        (
            "policy.yaml",
            "window: 24h, hard: \"0.08 ETH\"",
            "window: transaction, hard: \"0.08 ETH\"",
        ),
        ("wallets.yaml", ", ages-from: signature }", " }"),
    ];
    for (path, from, to) in changes {
        let mut refused = files.clone();
        replace(&mut refused, path, from, to);
        assert_eq!(
            refused_client(scene.begin(&sealed(refused)).await),
            Tag::BundleMalformed,
            "{path}"
        );
    }
    assert_eq!(scene.begin(&files).await.unwrap(), 1);
    let first = scene.withdrawal(&small("first"));
    signed(scene.authorize(&first, &[]).await);
    let second = scene.withdrawal(&crate::support::Ask {
        nonce: 1,
        ..small("second")
    });
    let no = denied(scene.authorize(&second, &[]).await);
    assert_eq!(
        tags(&no.reasons).into_iter().collect::<Vec<_>>(),
        ["limit/window-exceeded"]
    );
    let message = &no.reasons[0].message;
    assert!(message.contains("0.1 ETH against 0.08 ETH"), "{message}");
    scene.assert_unsigned(&second).await;
    // Whoever has the receipt decides again, with what the window held.
    let file = scene.deployment.path("receipt.json");
    std::fs::write(&file, scene.people.receipt(&first.id).await.unwrap()).unwrap();
    let root = scene.deployment.path("genesis.json");
    let arguments = [
        "audit",
        "verify",
        file.to_str().unwrap(),
        "--trust-root",
        root.to_str().unwrap(),
    ];
    let verified = scene.deployment.countersign(arguments, false).unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}
