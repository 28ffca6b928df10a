//! The withdrawal service: untrusted for safety.
