//! What services attest: prices, screenings, entries of address books.
//!
//! Each is a service's word about one matter. Which services count, how old it may be and how many must agree is the
//! bundle's to say (`countersign_decision::attested`); a later word of the same service on the same matter replaces it.

use countersign_types::{
    Amount, AssetId, AttestationKind, Currency, Destination, Price, SubjectId, TenantId, UtcSeconds, WithdrawalId,
};
use serde::{Deserialize, Serialize};

use crate::statement::Bounded;

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attestation<'a> {
    /// What an asset is worth.
    Price(&'a Quote),
    /// Whether a payment passed.
    Screening(&'a Screening),
    /// Whether a destination belongs to a customer.
    AddressBook(&'a BookEntry),
}

/// A price statement's body: what one whole unit of an asset is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quote {
    /// The asset (CAIP-19).
    pub asset: AssetId,
    /// What it is worth in.
    pub currency: Currency,
    /// One whole unit of the asset in whole units of the currency; never zero.
    pub price: Price,
    /// The source's own count for this asset and currency; a later quote never has a lower one.
    pub sequence: u64,
    /// When the market was read: the quote's age counts from here.
    pub observed_at: UtcSeconds,
}

/// A screening statement's body: whether one payment of one withdrawal passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screening {
    /// What was looked at.
    pub check: AttestationKind,
    /// The withdrawal: a result is never carried over to another one.
    pub withdrawal: WithdrawalId,
    /// Where the payment goes.
    pub destination: Destination,
    /// The asset (CAIP-19).
    pub asset: AssetId,
    /// In base units: all that the withdrawal pays the destination of this asset.
    pub amount: Amount,
    /// What was found.
    pub result: ScreeningResult,
    /// The service's own count for this check, withdrawal, destination and asset; a later result never has a lower one.
    pub sequence: u64,
    /// When it was looked at: the result's age counts from here.
    pub screened_at: UtcSeconds,
}

/// What a screening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScreeningResult {
    /// Nothing stands against the payment.
    Pass,
    /// The payment must not be made.
    Fail,
}

/// An address-book statement's body: whether a destination belongs to a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookEntry {
    /// The tenant whose customer it is.
    pub tenant: TenantId,
    /// The customer.
    pub subject: SubjectId,
    /// The customer's destination.
    pub destination: Destination,
    /// Whether it is in the book.
    pub entry: BookState,
    /// The service's own count for this tenant, customer and destination; a later word never has a lower one.
    pub sequence: u64,
}

/// Whether a destination is in a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum BookState {
    /// It is, since a moment. The entry holds until the statement expires.
    Registered {
        /// When the customer registered it, as the service says.
        at: UtcSeconds,
    },
    /// It is not, or not any more.
    Removed,
}

impl Bounded for Quote {
    fn certify(&self) -> Result<(), String> {
        if self.price.atto().is_zero() {
            return Err("a price is not zero".to_owned());
        }
        Ok(())
    }
}

impl Bounded for Screening {
    fn certify(&self) -> Result<(), String> {
        if self.asset.chain() != self.destination.chain() {
            let (asset, destination) = (&self.asset, &self.destination);
            return Err(format!("`{asset}` and `{destination}` are of different networks"));
        }
        Ok(())
    }
}

impl Bounded for BookEntry {
    fn certify(&self) -> Result<(), String> {
        Ok(())
    }
}
