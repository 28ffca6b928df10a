//! How many signatures a token makes in a second when nothing stands in front of it: the ceiling for everything else.
//!
//! ```text
//! COUNTERSIGN_PKCS11_PIN=… raw_sign MODULE TOKEN_LABEL THREADS SECONDS
//! ```
//!
//! It generates one key of each algorithm for the run and destroys it afterwards; it never touches another key. Prints
//! one line of JSON for each algorithm: `{"algorithm","threads","seconds","signatures","per_second"}`.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::{
    env, thread,
    time::{Duration, Instant},
};

use countersign_backend_pkcs11::{Pin, Token};
use countersign_types::{Algorithm, PublicKey};
use cryptoki::{
    context::Pkcs11,
    error::{Error as CryptokiError, RvError},
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::{Attribute, ObjectClass},
    session::{Session, UserType},
    types::AuthPin,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

const PIN_VARIABLE: &str = "COUNTERSIGN_PKCS11_PIN";
const USAGE: &str = "usage: COUNTERSIGN_PKCS11_PIN=… raw_sign MODULE TOKEN_LABEL THREADS SECONDS";

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, label, threads, seconds] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let pin = env::var(PIN_VARIABLE).map_err(|_| USAGE)?;
    let token = Token {
        module: module.into(),
        label: label.clone(),
        pin: Pin::new(pin.clone()),
    };
    let (threads, seconds) = (threads.parse()?, seconds.parse()?);
    for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
        let bench = Bench {
            pin: AuthPin::new(pin.as_str().into()),
            key: token.generate("raw-sign bench", algorithm)?,
            token: token.clone(),
        };
        let measured = bench.run(threads, Duration::from_secs(seconds));
        bench.destroy_key()?;
        let (signatures, elapsed) = measured?;
        let line = serde_json::json!({
            "algorithm": algorithm.as_str(),
            "threads": threads,
            "seconds": elapsed.as_secs_f64(),
            "signatures": signatures,
            "per_second": (f64::from(signatures) / elapsed.as_secs_f64()).round(),
        });
        println!("{line}");
    }
    Ok(())
}

struct Bench {
    token: Token,
    pin: AuthPin,
    key: PublicKey,
}

impl Bench {
    /// The number of signatures of all threads, and the time that they took.
    fn run(&self, threads: usize, time: Duration) -> Result<(u32, Duration), Error> {
        let begun = Instant::now();
        let end = begun.checked_add(time).ok_or("too many seconds")?;
        thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.sign_until(end))).collect();
            let mut signatures = 0u32;
            for thread in running {
                let made = thread.join().map_err(|_| "a thread panicked")??;
                signatures = signatures.saturating_add(made);
            }
            Ok((signatures, begun.elapsed()))
        })
    }

    fn sign_until(&self, end: Instant) -> Result<u32, Error> {
        let session = self.log_in()?;
        let private = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Id(self.key.id().cka_id().to_vec()),
        ];
        let handle = *session.find_objects(&private)?.first().ok_or("the key is gone")?;
        let mechanism = match self.key.algorithm() {
            Algorithm::Secp256k1 => Mechanism::Ecdsa,
            Algorithm::Ed25519 => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
        };
        let mut signatures = 0u32;
        while Instant::now() < end {
            session.sign(&mechanism, handle, &[0x5a; 32])?;
            signatures = signatures.saturating_add(1);
        }
        Ok(signatures)
    }

    fn destroy_key(&self) -> Result<(), Error> {
        let session = self.log_in()?;
        for object in session.find_objects(&[Attribute::Id(self.key.id().cka_id().to_vec())])? {
            session.destroy_object(object)?;
        }
        Ok(())
    }

    fn log_in(&self) -> Result<Session, Error> {
        let module = Pkcs11::new(&self.token.module)?;
        for slot in module.get_slots_with_initialized_token()? {
            if module.get_token_info(slot)?.label() == self.token.label {
                let session = module.open_rw_session(slot)?;
                return match session.login(UserType::User, Some(&self.pin)) {
                    Ok(()) | Err(CryptokiError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
                    Err(error) => Err(error.into()),
                };
            }
        }
        Err("the token is gone".into())
    }
}
