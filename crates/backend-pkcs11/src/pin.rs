//! The PIN of a token.

use std::fmt;

use cryptoki::types::AuthPin;
use zeroize::Zeroize as _;

/// A PIN. Zeroized when dropped, never printed.
#[derive(Clone)]
pub struct Pin(AuthPin);

impl Pin {
    /// Takes the PIN over; the caller's buffer is zeroized.
    pub fn new(mut text: String) -> Self {
        let pin = AuthPin::new(text.as_str().into());
        text.zeroize();
        Self(pin)
    }

    pub(crate) fn as_auth_pin(&self) -> &AuthPin {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_printed() {
        let pin = Pin::new("98765432".into());
        assert_eq!(format!("{pin:?} {:?}", pin.clone()), "Pin(…) Pin(…)");
    }
}
