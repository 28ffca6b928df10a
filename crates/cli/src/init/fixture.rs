//! An environment folder as `init` makes it, without the processes: for the tests of every command.

use countersign_approval::{Envelope, Genesis};
use countersign_bundle::{Bundle, MANIFEST_PATH, Manifest};
use countersign_decision::{ActivatedBundle, BundleChain, SeenStatement};
use countersign_types::PrincipalId;

use super::{bundle, create_folders, people, write_genesis};
use crate::{
    activate, bundle_files, clock,
    environment::{Backend, Layout},
    keys::SigningKey,
    trust::Trust,
};

const WALLET_KEY: &str = "secp256k1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const LOG_KEY: &str = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

pub(crate) struct Fixture {
    _folder: tempfile::TempDir,
    pub(crate) layout: Layout,
    pub(crate) genesis: Genesis,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(false)
    }

    /// With attesters in the roster.
    pub(crate) fn attesting() -> Self {
        Self::with(true)
    }

    fn with(attesters: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        create_folders(&layout).unwrap();
        let people = people::generate(&layout, &[], attesters).unwrap();
        bundle::write(&layout, &people, WALLET_KEY.parse().unwrap()).unwrap();
        let genesis = write_genesis(&layout, &people, LOG_KEY).unwrap();
        let (tenant, initiator) = super::names().unwrap();
        layout.complete(Backend::InsecureDev, &tenant, &initiator).unwrap();
        Self {
            _folder: folder,
            layout,
            genesis,
        }
    }

    pub(crate) fn person(&self, name: &str) -> SigningKey {
        SigningKey::read(&self.layout.person_key(&PrincipalId::parse(name).unwrap())).unwrap()
    }

    pub(crate) fn service(&self) -> SigningKey {
        SigningKey::read(&self.layout.service_key(&PrincipalId::parse(super::INITIATOR).unwrap())).unwrap()
    }

    /// A verified chain of `versions` bundles; the later ones change a comment.
    pub(crate) fn chain(&self, versions: u64) -> BundleChain {
        let keys = [self.person("alice"), self.person("bob")];
        let mut contents = bundle_files::read(&self.layout.bundle()).unwrap();
        let (mut activated, mut previous) = (Vec::new(), None);
        for version in 1..=versions {
            contents.remove(MANIFEST_PATH);
            let manifest = Manifest::build(version, previous, &contents).unwrap();
            contents.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
            let bundle = Bundle::load(&contents).unwrap();
            let validity = activate::validity(None, None, clock::now().unwrap()).unwrap();
            let statements = activate::statements(&bundle, (self.genesis.hash(), validity), &keys).unwrap();
            // Behind the second in which they were made.
            let now = clock::now().unwrap();
            let seen = |envelope: &Envelope| SeenStatement {
                envelope: envelope.to_bytes(),
                first_seen_at: now,
            };
            activated.push(ActivatedBundle {
                files: contents.clone(),
                statements: statements.iter().map(seen).collect(),
                activated_at: now,
            });
            previous = Some(bundle.digest());
        }
        BundleChain::verify(&self.genesis, clock::epoch(), &activated).unwrap()
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::of(self.genesis.clone(), self.chain(1))
    }
}
