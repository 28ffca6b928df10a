//! Bounds that both ends of a wire share. A message over its bound is refused before it is decoded.

/// One unsigned transaction: a PSBT carries every previous transaction in full (`countersign_bitcoin::MAX_PSBT_BYTES`). The
/// other families' parsers accept less.
pub const MAX_TRANSACTION_BYTES: usize = 1024 * 1024;
/// One DSSE envelope: an approval of 100 withdrawals with their effects as text stays below it.
pub const MAX_STATEMENT_BYTES: usize = 256 * 1024;
/// Statements in one `Authorize`.
pub const MAX_STATEMENTS: usize = 256;
/// All statements of one `Authorize` together.
pub const MAX_STATEMENTS_TOTAL_BYTES: usize = 4 * 1024 * 1024;
/// Attempts under one request: a withdrawal with all its bytes still fits one response.
pub const MAX_ATTEMPTS: u32 = 16;
/// Cancel attempts behind those: whoever has raised the fee that often can still take the payment off the chain.
pub const MAX_CANCEL_ATTEMPTS: u32 = 4;
/// A page of a list.
pub const MAX_PAGE_SIZE: u32 = 1_000;
/// A page whose size the caller left at 0.
pub const DEFAULT_PAGE_SIZE: u32 = 100;
/// The bytes after which a page ends early, whatever its size in rows.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// A request to the orchestrator: one statement, one transaction and room for the framing.
pub const MAX_REQUEST_BYTES: usize = 1_536 * 1024;
/// A request to the signer's first listener: request, transaction and all statements.
pub const MAX_SIGNING_REQUEST_BYTES: usize = 6 * 1024 * 1024;
/// All files of a bundle together: the bundle format's own bound, for a list of a million destinations and the rest.
pub const MAX_BUNDLE_BYTES: usize = 128 * 1024 * 1024;
/// A request to the signer's second listener: a bundle and its activations.
pub const MAX_PEOPLE_REQUEST_BYTES: usize = MAX_BUNDLE_BYTES + 2 * 1024 * 1024;
/// A page of bundles: one with its activations, or as many as fit.
pub const MAX_BUNDLES_PAGE_BYTES: usize = MAX_BUNDLE_BYTES + 4 * 1024 * 1024;
/// A receipt with everything in it: the receipt format's own bound, so that one that is written can be delivered.
pub const MAX_RECEIPT_BYTES: usize = 256 * 1024 * 1024;
/// Any response: a receipt is the longest.
pub const MAX_RESPONSE_BYTES: usize = MAX_RECEIPT_BYTES + 64 * 1024;
/// A free text in a status or a reason; longer ones are cut.
pub const MAX_MESSAGE_CHARS: usize = 1_024;
