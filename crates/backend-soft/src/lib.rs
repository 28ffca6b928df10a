//! The encrypted software keystore for development (insecure-dev).
