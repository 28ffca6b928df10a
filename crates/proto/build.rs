//! Compiles `/proto` with a pure-Rust compiler: no `protoc` on the machine is needed, and none is used.

use std::{error::Error, path::Path};

const FILES: [&str; 4] = [
    "countersign/v1/common.proto",
    "countersign/v1/withdrawals.proto",
    "countersign/v1/approvals.proto",
    "countersign/signer/v1/signer.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [root])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
