use std::{
    collections::VecDeque,
    sync::atomic::AtomicUsize,
    time::{Duration, Instant},
};

use countersign_types::PublicKey;
use cryptoki::context::Function;
use futures_util::future::join_all;

use super::*;

/// What the token does next. When the script is over, everything works.
enum Step {
    Dials,
    DoesNotDial(TokenError),
    Signs,
    DoesNotSign(TokenError),
    /// Signs only after the test has let it.
    Hangs(Receiver<()>),
}

#[derive(Default)]
struct Token {
    script: Mutex<VecDeque<Step>>,
    dialled: AtomicUsize,
    signed: AtomicUsize,
    closed: AtomicUsize,
}

impl Token {
    fn new(script: impl IntoIterator<Item = Step>) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            ..Self::default()
        })
    }

    fn next(&self) -> Option<Step> {
        self.script.lock().unwrap().pop_front()
    }

    fn counts(&self) -> (usize, usize) {
        (self.dialled.load(Ordering::SeqCst), self.signed.load(Ordering::SeqCst))
    }
}

struct TestLine(Arc<Token>);

impl Dial for Arc<Token> {
    type Line = TestLine;
    fn dial(&self) -> Result<TestLine, TokenError> {
        self.dialled.fetch_add(1, Ordering::SeqCst);
        match self.next() {
            None | Some(Step::Dials) => Ok(TestLine(Self::clone(self))),
            Some(Step::DoesNotDial(error)) => Err(error),
            Some(Step::Hangs(let_go)) => {
                let_go.recv().unwrap_or_default();
                Ok(TestLine(Self::clone(self)))
            }
            Some(Step::Signs | Step::DoesNotSign(_)) => panic!("the script expected a signature, not a session"),
        }
    }
}

impl Line for TestLine {
    fn sign(&mut self, _: &KeyId, bytes: &SigningBytes) -> Result<RawSignature, TokenError> {
        self.0.signed.fetch_add(1, Ordering::SeqCst);
        match self.0.next() {
            None | Some(Step::Signs) => Ok(signature(bytes)),
            Some(Step::DoesNotSign(error)) => Err(error),
            Some(Step::Hangs(let_go)) => {
                let_go.recv().unwrap_or_default();
                Ok(signature(bytes))
            }
            Some(Step::Dials | Step::DoesNotDial(_)) => panic!("the script expected a session, not a signature"),
        }
    }
}

impl Drop for TestLine {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Ordering::SeqCst);
    }
}

/// Tells payloads apart; nothing here verifies signatures.
fn signature(bytes: &SigningBytes) -> RawSignature {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(bytes.as_bytes());
    RawSignature::Ecdsa(signature)
}

fn key() -> KeyId {
    PublicKey::Ed25519([9; 32]).id()
}

fn digest(number: u8) -> SigningBytes {
    SigningBytes::EcdsaPrehash([number; 32])
}

fn device_error() -> TokenError {
    TokenError::Call {
        function: Function::Sign,
        code: RvError::DeviceError,
    }
}

fn bounds(sessions: usize, queue: usize) -> Bounds {
    Bounds {
        sessions,
        queue,
        timeout: Duration::from_secs(5),
    }
}

fn start(token: &Arc<Token>, bounds: Bounds) -> Pool {
    Pool::start(Arc::clone(token), bounds).unwrap()
}

async fn sign(pool: &Pool, number: u8) -> Result<RawSignature, BackendError> {
    pool.sign(key(), digest(number)).await
}

#[tokio::test]
async fn answers_belong_to_their_jobs() {
    let token = Token::new([]);
    let pool = start(&token, bounds(3, 256));
    let results = join_all((0..=200).map(|number| sign(&pool, number))).await;
    for (number, result) in (0..=200).zip(results) {
        assert_eq!(result, Ok(signature(&digest(number))));
    }
    assert_eq!(token.counts(), (3, 201));
}

#[tokio::test]
async fn an_error_costs_the_session_and_not_the_signature() {
    for poison in [1, 2] {
        let failures = (0..poison).flat_map(|_| [Step::DoesNotSign(device_error()), Step::Dials]);
        let token = Token::new([Step::Dials].into_iter().chain(failures).chain([Step::Signs]));
        let pool = start(&token, bounds(1, 8));
        assert_eq!(sign(&pool, 1).await, Ok(signature(&digest(1))));
        assert_eq!(token.counts(), (1 + poison, 1 + poison));
        assert_eq!(
            token.closed.load(Ordering::SeqCst),
            poison,
            "poisoned sessions are closed"
        );
    }
}

#[tokio::test]
async fn attempts_are_bounded_and_a_later_job_tries_again() {
    let script = [
        Step::Dials,
        Step::DoesNotSign(device_error()),
        Step::DoesNotDial(TokenError::TokenMissing("t".into())),
        Step::DoesNotDial(TokenError::TokenMissing("t".into())),
        Step::Dials,
        Step::Signs,
    ];
    let token = Token::new(script);
    let pool = start(&token, bounds(1, 8));
    let refused = sign(&pool, 1).await;
    assert_eq!(
        refused,
        Err(BackendError::Unavailable(
            "no token with the label `t` is present".into()
        ))
    );
    assert_eq!(sign(&pool, 2).await, Ok(signature(&digest(2))));
}

#[tokio::test]
async fn what_a_new_session_cannot_help_is_not_tried_again() {
    let gone = || TokenError::KeyMissing(key());
    let token = Token::new([
        Step::Dials,
        Step::DoesNotSign(device_error()),
        Step::DoesNotDial(gone()),
    ]);
    let pool = start(&token, bounds(1, 8));
    assert_eq!(sign(&pool, 1).await, Err(BackendError::KeyMissing(key())));
    assert_eq!(token.counts(), (2, 1));
}

#[tokio::test]
async fn a_refused_pin_is_never_tried_again() {
    let refused = || Step::DoesNotDial(TokenError::PinRefused(RvError::PinIncorrect));
    let token = Token::new([Step::Dials, Step::DoesNotSign(device_error()), refused()]);
    let pool = start(&token, bounds(1, 8));
    for number in 0..5 {
        assert!(matches!(sign(&pool, number).await, Err(BackendError::Unavailable(_))));
    }
    assert_eq!(token.dialled.load(Ordering::SeqCst), 2);

    let begun = Instant::now();
    let token = Token::new([refused()]);
    let error = Pool::start(Arc::clone(&token), bounds(8, 8)).err().unwrap();
    assert!(matches!(error, TokenError::PinRefused(RvError::PinIncorrect)));
    assert_eq!(token.counts(), (1, 0), "eight sessions, one login");
    assert!(begun.elapsed() < DROP_WAIT, "nothing hangs, so nothing is waited for");
}

#[tokio::test]
async fn a_full_queue_is_busy_and_a_hanging_token_has_a_deadline() {
    let (let_go, hang) = mpsc::channel();
    let token = Token::new([Step::Dials, Step::Hangs(hang)]);
    let short = Bounds {
        timeout: Duration::from_millis(300),
        ..bounds(1, 2)
    };
    let pool = start(&token, short);
    let begun = Instant::now();
    let first = async {
        let result = sign(&pool, 0).await;
        assert_eq!(
            result,
            Err(BackendError::Unavailable("the token did not answer in 300ms".into()))
        );
    };
    let rest = async {
        while token.counts().1 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let results = join_all((1..=5).map(|number| sign(&pool, number))).await;
        let busy = results
            .iter()
            .filter(|result| **result == Err(BackendError::Busy))
            .count();
        assert_eq!(busy, 3, "two wait in the queue");
        assert!(results.iter().all(Result::is_err));
    };
    tokio::join!(first, rest);
    assert!(begun.elapsed() < Duration::from_secs(3));

    // The token comes back: the jobs of callers who left are not signed, the next one is.
    let_go.send(()).unwrap();
    let back = loop {
        match sign(&pool, 9).await {
            Err(BackendError::Busy) => tokio::time::sleep(Duration::from_millis(1)).await, // they are still in line
            result => break result,
        }
    };
    assert_eq!(back, Ok(signature(&digest(9))));
    assert_eq!(token.counts(), (1, 2));
}

#[test]
fn a_token_that_hangs_at_start_has_a_deadline() {
    let (_let_go, hang) = mpsc::channel();
    let token = Token::new([Step::Hangs(hang)]);
    let short = Bounds {
        timeout: Duration::from_millis(100),
        ..bounds(2, 2)
    };
    let begun = Instant::now();
    let error = Pool::start(token, short).err().unwrap();
    assert!(matches!(error, TokenError::NoAnswer(_)), "{error}");
    assert!(begun.elapsed() < DROP_WAIT + Duration::from_secs(2));
}

#[tokio::test]
async fn a_lost_thread_is_an_error_and_not_a_hang() {
    struct Panics;
    struct PanicLine;
    impl Dial for Panics {
        type Line = PanicLine;
        fn dial(&self) -> Result<PanicLine, TokenError> {
            Ok(PanicLine)
        }
    }
    impl Line for PanicLine {
        fn sign(&mut self, _: &KeyId, _: &SigningBytes) -> Result<RawSignature, TokenError> {
            panic!("a bug in the module's wrapper");
        }
    }
    let pool = Pool::start(Panics, bounds(1, 8)).unwrap();
    for number in 0..2 {
        let lost = Err(BackendError::Unavailable("no session of the token is left".into()));
        assert_eq!(sign(&pool, number).await, lost);
    }
}

#[test]
fn dropping_the_pool_closes_its_sessions() {
    let token = Token::new([]);
    drop(start(&token, bounds(4, 8)));
    assert_eq!(token.closed.load(Ordering::SeqCst), 4);
}
