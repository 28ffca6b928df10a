//! Signed statements: DSSE envelopes, SSHSIG verification, thresholds and seats.
