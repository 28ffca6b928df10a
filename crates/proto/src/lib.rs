//! The gRPC interfaces: code generated from `/proto`, and what both ends of a wire must agree on beyond it.
//!
//! Promises: one mapping between tags and gRPC statuses ([`errors`]), one reading of client certificates
//! ([`identity`]), one set of bounds ([`limits`]), one strictness about fields ([`fields`]).
//! Refuses: enums left unspecified, fields over their bound, certificates with more or less than one identity.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "tests fail by panicking"
    )
)]

pub mod errors;
pub mod fields;
pub mod identity;
pub mod limits;
mod names;
pub mod tagged;
pub mod tls;

/// The public API (`/proto/countersign/v1`).
pub mod v1 {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        clippy::allow_attributes_without_reason,
        clippy::as_conversions,
        reason = "generated from /proto, whose comments come through"
    )]
    tonic::include_proto!("countersign.v1");
}

/// The signer's two listeners (`/proto/countersign/signer`).
pub mod signer {
    /// Version 1.
    pub mod v1 {
        #![allow(
            missing_docs,
            unused_qualifications,
            clippy::all,
            clippy::allow_attributes_without_reason,
            clippy::as_conversions,
            reason = "generated from /proto, whose comments come through"
        )]
        tonic::include_proto!("countersign.signer.v1");
    }
}
