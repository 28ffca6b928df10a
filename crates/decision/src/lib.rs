//! From statements and bytes to a decision, purely; log entry schemas and receipts.
