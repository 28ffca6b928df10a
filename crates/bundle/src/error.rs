//! What is wrong with a bundle, and where.

use std::fmt;

use countersign_chains::evm::DescriptorError;
use countersign_policy::{Currency, ListError, PolicyError, WindowError};
use countersign_types::{
    AmountError, AssetId, CaipError, ChainId, EffectKind, GroupId, IdError, KeyError, KeyTableError, PrincipalId, Tag,
    TimeError, UnknownForm, WalletId,
};

use crate::ManifestError;

/// The most errors that one load reports; what is left out is counted.
pub const MAX_LOAD_ERRORS: usize = 100;

/// What is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The manifest, or a file against it.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A character that a reviewer cannot see, or that reorders what they see.
    #[error("character U+{0:04X} is invisible or reorders the text: remove it")]
    HiddenCharacter(u32),
    /// Not UTF-8.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// YAML that is broken, ambiguous or of another shape.
    #[error("{0}")]
    Yaml(String),
    /// `key:` with nothing behind it.
    #[error("`{0}` has no value: write one, or leave the key out")]
    NoValue(String),
    /// A tag, such as `!!binary`.
    #[error("tags are not accepted: write the value as it is to be read")]
    Tagged,
    /// Not a whole number in plain decimal digits.
    #[error("write a whole number from {min} to {max} in plain decimal digits")]
    BadNumber {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// Not the schema of this file.
    #[error("`schema` must be `{0}`")]
    BadSchema(&'static str),
    /// Not an identifier.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Not a CAIP identifier.
    #[error(transparent)]
    Caip(#[from] CaipError),
    /// Not a public key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not a key table.
    #[error(transparent)]
    KeyTable(#[from] KeyTableError),
    /// Not a list of destinations.
    #[error(transparent)]
    List(#[from] ListError),
    /// Not exactly one place where a list's destinations stand.
    #[error("a list needs exactly one of `entries` and `file`")]
    BadList,
    /// Not a form of output.
    #[error(transparent)]
    Form(#[from] UnknownForm),
    /// Not a duration.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Not one of a closed set of words.
    #[error("`{word}` is not one of {allowed}")]
    BadWord {
        /// What stands there.
        word: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// Not `<number> <symbol>`.
    #[error("an amount is written `12.5 ETH`: a number, one space, the symbol of an asset")]
    BadAmount,
    /// An amount without its quotes.
    #[error("an amount stands in quotes: `\"12.5 ETH\"`")]
    UnquotedAmount,
    /// The number of an amount does not fit its asset.
    #[error("`{amount}`: {error}")]
    AmountDigits {
        /// What stands there.
        amount: String,
        /// Why.
        error: AmountError,
    },
    /// An amount under another asset's key.
    #[error("the amount is in `{found}` and its key is `{key}`: they must be the same")]
    OtherSymbol {
        /// The symbol of the amount.
        found: String,
        /// The key.
        key: String,
    },
    /// A bound in money on an asset that nobody quotes in it.
    #[error(
        "the rule may concern `{asset}`, which has no price in {currency}: add `priced-in: [{currency}]` to it in assets.yaml, \
         or name the rule's assets"
    )]
    NoPriceSource {
        /// The asset.
        asset: AssetId,
        /// The currency.
        currency: Currency,
    },
    /// A bound in a currency of which nothing will ever be known.
    #[error("the rule is in {0}, and nobody quotes prices in it: name its `price-sources` in roster.yaml")]
    NobodyQuotes(Currency),
    /// An asset that calls itself money.
    #[error("`{0}` is a currency, and no asset may have its symbol")]
    CurrencySymbol(Currency),
    /// A name that nothing in the bundle has.
    #[error("unknown {what} `{id}`: {hint}")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// The name.
        id: String,
        /// Where it would have to be.
        hint: &'static str,
    },
    /// A name that is used twice.
    #[error("{what} `{id}` is listed twice")]
    Duplicate {
        /// What kind of thing.
        what: &'static str,
        /// The name.
        id: String,
    },
    /// More than this version accepts.
    #[error("{found} {what}; at most {max} are accepted")]
    TooMany {
        /// What kind of thing.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// Nothing where something must be.
    #[error("{0}")]
    Empty(&'static str),
    /// An address that is not canonical on its network.
    #[error("`{address}`: {error}")]
    BadDestination {
        /// What stands there.
        address: String,
        /// Why.
        error: String,
    },
    /// A list names one of the bundle's own wallets.
    #[error("the address is wallet `{0}` of this bundle: use `to: {{ own: [{0}] }}`")]
    OwnDestination(WalletId),
    /// Not a name that a person can read.
    #[error("a name has 1 to 64 printable ASCII characters")]
    BadName,
    /// Not a window, or not a zone.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Not exactly one way to say where.
    #[error(
        "`to` needs exactly one of `list`, `own`, `unknown: true`, `address-book`, `first-seen: true`, `entry-under` and \
         `entry-over`"
    )]
    BadTo,
    /// Not exactly one way to say how much.
    #[error("a limit needs exactly one of `hard`, `count` and `new-destinations`")]
    BadLimit,
    /// A soft bound without obligations, obligations without a soft bound, or either beside a count.
    #[error("`soft` and `over-soft` come together, and beside `hard`")]
    BadSoft,
    /// An attestation that would be too old as soon as it is made.
    #[error("a `max-age` of nothing is one that no attestation meets")]
    NeverFresh,
    /// A time-lock that nobody's approval outlasts.
    #[error("a rule's time-lock is at most 90d: what people approve must be valid still when it is over")]
    LongTimeLock,
    /// Not a share.
    #[error("a share is written `2 %` or `0.25 %`: more than 0, at most 100, at most two fraction digits")]
    BadShare,
    /// A fee condition that says nothing.
    #[error("`fee` needs `max`, `share` or `rate`, or several of them")]
    BadFee,
    /// A rate in money.
    #[error("a fee's rate is in the network's own asset, for each unit of gas or virtual byte")]
    BadRate,
    /// A word without, or with more than one way to compare it.
    #[error("a word needs exactly one of `values`, `max` and `over`")]
    BadWordTest,
    /// Not a time of day, or hours that are empty or reach over midnight.
    #[error(
        "hours go from `00:00` to `24:00` in whole minutes, `from` before `to`; write hours over midnight as two rules"
    )]
    BadHours,
    /// Not a function selector.
    #[error("a selector is written `0xa9059cbb`: the first four bytes of the call, in lower-case hex")]
    BadSelector,
    /// Not a word of arguments.
    #[error("a word is a whole number in decimal digits, or `0x` and at most 64 lower-case hex digits")]
    BadWordValue,
    /// An attester or a book that is no service.
    #[error("unknown service `{0}`: roster.yaml has no such service")]
    UnknownService(PrincipalId),
    /// Whoever asks for withdrawals would attest them.
    #[error("service `{0}` initiates withdrawals, so what it attests proves nothing: name another one")]
    InitiatingService(PrincipalId),
    /// The same people would ask for withdrawals and attest them.
    #[error(
        "`{person}` operates service `{service}` and is behind the initiator `{initiator}`, so what it attests proves nothing: \
         name a service whose people ask for no withdrawals"
    )]
    ConflictedService {
        /// Who would attest.
        service: PrincipalId,
        /// Who is behind both.
        person: PrincipalId,
        /// Who asks.
        initiator: PrincipalId,
    },
    /// A rule that does not hold together.
    #[error(transparent)]
    Rule(#[from] PolicyError),
    /// A roster that does not hold together.
    #[error("{0}")]
    Roster(String),
    /// Networks, wallets and assets that do not hold together.
    #[error("{0}")]
    Registry(String),
    /// A descriptor that is not displayed.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// A quorum that can never be reached.
    #[error(
        "wallet `{wallet}`, initiator `{initiator}`: the quorum ({seats}) can never be reached without the initiator and \
         the people who operate it: add people to the groups, or ask for fewer"
    )]
    UnreachableQuorum {
        /// The wallet.
        wallet: WalletId,
        /// Who does not count.
        initiator: PrincipalId,
        /// What is asked for, as `2 of treasury, 1 of risk`.
        seats: String,
    },
    /// A wallet that nothing may leave.
    #[error("no permit can ever reach wallet `{0}`: add one, or remove the wallet")]
    UnreachableWallet(WalletId),
    /// A group that the roster does not have.
    #[error("unknown group `{0}`: the roster has no such group")]
    UnknownGroup(GroupId),
    /// Two names that a person takes for each other.
    #[error("{what} `{id}` looks like `{other}`: a reviewer would read one and mean the other")]
    Confusable {
        /// What kind of thing.
        what: &'static str,
        /// The later name.
        id: String,
        /// The earlier one.
        other: String,
    },
    /// Development only.
    #[error(
        "a production genesis needs a time-lock on what loosens: write `admins: {{ threshold: …, members: […], time-lock: 24h }}`"
    )]
    NoTimeLock,
    /// Development only.
    #[error("a production genesis needs a threshold of at least 2 for the observers of `{0}`: one alone makes no fact")]
    LoneObserver(ChainId),
    /// A breaker that cannot be read.
    #[error(
        "a breaker has one of `rejections-on-lineage: N`, `new-destinations: N` with `within`, `networks: N` with `within`, and \
         freezes some of all, wallet, network, initiator, tenant"
    )]
    BadBreaker,
    /// Development only.
    #[error("a production genesis needs price sources in {0} with a threshold of at least 2: one alone makes no price")]
    LonePriceSource(Currency),
    /// Development only.
    #[error(
        "a production genesis needs a `thaw-delay` over 0s: a thaw that nobody can object to undoes what officers are for"
    )]
    NoThawDelay,
    /// Development only.
    #[error(
        "a production genesis needs a limit over a window on every {kind} that a permit lets out, and `{asset}` of wallet \
         `{wallet}` has none: add one whose `scope` has nothing but asset, wallet, network and tier, and whose conditions \
         leave nothing of it out"
    )]
    Uncapped {
        /// The wallet.
        wallet: WalletId,
        /// The asset.
        asset: Box<AssetId>,
        /// The kind of effect.
        kind: EffectKind,
    },
    /// Development only.
    #[error(
        "nobody observes network `{network}`, so what wallet `{wallet}` spends there would count in every window for ever: name \
         observers in roster.yaml, or write `ages-from: signature`"
    )]
    NeverAges {
        /// The wallet.
        wallet: WalletId,
        /// The network.
        network: ChainId,
    },
    /// Development only.
    #[error(
        "network `{network}` of wallet `{wallet}` has observers, so charges age from what they attest: leave out `ages-from: \
         signature`"
    )]
    AgesEarly {
        /// The wallet.
        wallet: WalletId,
        /// The network.
        network: ChainId,
    },
    /// Development only.
    #[error(
        "a permit lets cold wallet `{wallet}` out by an effect of kind `{kind}`: cold wallets pay own wallets only; name the \
         permit's `wallets`"
    )]
    ColdWalletPays {
        /// The wallet.
        wallet: WalletId,
        /// The kind of effect.
        kind: EffectKind,
    },
}

/// One thing that is wrong, and its place. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    file: String,
    line: u32,
    column: u32,
    problem: Problem,
}

impl LoadError {
    pub(crate) fn new(file: &str, (line, column): (u32, u32), problem: impl Into<Problem>) -> Self {
        Self {
            file: file.chars().take(128).flat_map(char::escape_default).collect(),
            line,
            column,
            problem: problem.into(),
        }
    }

    /// The file within the bundle.
    pub fn file(&self) -> &str {
        &self.file
    }
    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }
    /// The column in characters, from 1.
    pub fn column(&self) -> u32 {
        self.column
    }
    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
    /// The stable tag: files that are not the manifest's are another thing than files that do not load.
    pub fn tag(&self) -> Tag {
        match &self.problem {
            Problem::Manifest(error) => error.tag(),
            Problem::HiddenCharacter(_)
            | Problem::NotUtf8
            | Problem::Yaml(_)
            | Problem::NoValue(_)
            | Problem::Tagged
            | Problem::BadNumber { .. }
            | Problem::BadSchema(_)
            | Problem::Id(_)
            | Problem::Caip(_)
            | Problem::Key(_)
            | Problem::KeyTable(_)
            | Problem::List(_)
            | Problem::BadList
            | Problem::Form(_)
            | Problem::Time(_)
            | Problem::BadWord { .. }
            | Problem::BadAmount
            | Problem::AmountDigits { .. }
            | Problem::OtherSymbol { .. }
            | Problem::NoPriceSource { .. }
            | Problem::CurrencySymbol(_)
            | Problem::Unknown { .. }
            | Problem::Duplicate { .. }
            | Problem::TooMany { .. }
            | Problem::Empty(_)
            | Problem::BadDestination { .. }
            | Problem::OwnDestination(_)
            | Problem::BadName
            | Problem::Window(_)
            | Problem::BadTo
            | Problem::BadLimit
            | Problem::BadSoft
            | Problem::BadShare
            | Problem::BadFee
            | Problem::BadRate
            | Problem::BadWordTest
            | Problem::BadHours
            | Problem::BadSelector
            | Problem::BadWordValue
            | Problem::UnknownService(_)
            | Problem::InitiatingService(_)
            | Problem::ConflictedService { .. }
            | Problem::NobodyQuotes(_)
            | Problem::NeverFresh
            | Problem::UnquotedAmount
            | Problem::LongTimeLock
            | Problem::Rule(_)
            | Problem::Roster(_)
            | Problem::Registry(_)
            | Problem::Descriptor(_)
            | Problem::UnreachableQuorum { .. }
            | Problem::UnreachableWallet(_)
            | Problem::UnknownGroup(_)
            | Problem::NoTimeLock
            | Problem::Confusable { .. }
            | Problem::LoneObserver(_)
            | Problem::NoThawDelay
            | Problem::LonePriceSource(_)
            | Problem::BadBreaker
            | Problem::Uncapped { .. }
            | Problem::NeverAges { .. }
            | Problem::AgesEarly { .. }
            | Problem::ColdWalletPays { .. } => Tag::BundleMalformed,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.problem)
    }
}
impl std::error::Error for LoadError {}

/// Everything that one load found; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadErrors {
    errors: Vec<LoadError>,
    left_out: usize,
}

impl LoadErrors {
    /// The errors, in order of file, line and column; at most [`MAX_LOAD_ERRORS`].
    pub fn iter(&self) -> impl Iterator<Item = &LoadError> {
        self.errors.iter()
    }

    /// How many more there are.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The tag of the first error.
    pub fn tag(&self) -> Tag {
        self.errors.first().map_or(Tag::BundleMalformed, LoadError::tag)
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.errors.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}
impl std::error::Error for LoadErrors {}

/// Errors kept while loading; more than are reported, so that the first ones by place are among them.
const MAX_FOUND: usize = 10_000;

/// Errors while they are being found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    errors: Vec<LoadError>,
    left_out: usize,
}

impl Found {
    pub(crate) fn push(&mut self, error: LoadError) {
        if self.errors.len() < MAX_FOUND {
            self.errors.push(error);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Nothing, or everything that was found.
    pub(crate) fn conclude(&mut self) -> Result<(), LoadErrors> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(self.fail())
    }

    /// Everything that was found by a load that yields nothing.
    pub(crate) fn fail(&mut self) -> LoadErrors {
        let mut errors = std::mem::take(&mut self.errors);
        if errors.is_empty() {
            errors.push(LoadError::new(
                "manifest.json",
                (1, 1),
                Problem::Empty("the bundle does not load"),
            ));
        }
        errors.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        errors.dedup();
        let left_out = errors
            .len()
            .saturating_sub(MAX_LOAD_ERRORS)
            .saturating_add(self.left_out);
        errors.truncate(MAX_LOAD_ERRORS);
        LoadErrors { errors, left_out }
    }
}
