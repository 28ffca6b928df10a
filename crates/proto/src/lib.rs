//! Generated gRPC code and its conversions to types.
