//! Key backend over PKCS#11.
