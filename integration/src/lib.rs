//! Black-box tests through gRPC against real parts.
