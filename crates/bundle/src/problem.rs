//! What can be wrong at one place of a bundle, and the stable tag of each.

use countersign_chains::evm::DescriptorError;
use countersign_policy::{Currency, ListError, PolicyError, WindowError};
use countersign_types::{
    AmountError, AssetId, CaipError, ChainId, EffectKind, GroupId, IdError, KeyError, KeyTableError, PrincipalId, Tag,
    TimeError, UnknownForm, WalletId,
};

use crate::ManifestError;

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
    /// YAML that is broken, ambiguous or of another shape, under the tag of what is wrong with it.
    #[error("{1}")]
    Yaml(Tag, String),
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
    /// What is said of one place alone.
    #[error("{1}")]
    Said(Tag, &'static str),
    /// A quorum of nobody.
    #[error("a quorum of 0 is nobody: write a whole number from 1 to {max}")]
    NoSeats {
        /// The largest.
        max: u64,
    },
    /// A count that lets nothing through.
    #[error("a limit of 0 lets nothing through, which is a forbid: write one, or a whole number from 1 to {max}")]
    NoCount {
        /// The largest.
        max: u64,
    },
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
    #[error("{1}")]
    Roster(Tag, String),
    /// Networks, wallets and assets that do not hold together.
    #[error("{1}")]
    Registry(Tag, String),
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

impl Problem {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Manifest(error) => error.tag(),
            Self::Rule(error) => error.tag(),
            Self::Yaml(tag, _) | Self::Said(tag, _) | Self::Roster(tag, _) | Self::Registry(tag, _) => *tag,
            Self::List(error) => of_list(error),
            Self::KeyTable(KeyTableError::TooManyKeys(_))
            | Self::Descriptor(DescriptorError::TooLarge { .. } | DescriptorError::Count { .. }) => Tag::BundleTooMany,
            Self::HiddenCharacter(_) | Self::NotUtf8 => Tag::BundleBadText,
            Self::Tagged => Tag::BundleBadYaml,
            Self::NoValue(_) => Tag::BundleMissingValue,
            Self::BadNumber { .. }
            | Self::BadSchema(_)
            | Self::Id(_)
            | Self::Caip(_)
            | Self::Key(_)
            | Self::KeyTable(_)
            | Self::Form(_)
            | Self::Time(_)
            | Self::BadWord { .. }
            | Self::BadName
            | Self::Window(_)
            | Self::BadShare
            | Self::BadHours
            | Self::BadSelector
            | Self::BadWordValue
            | Self::Descriptor(_) => Tag::BundleBadValue,
            Self::BadAmount
            | Self::UnquotedAmount
            | Self::AmountDigits { .. }
            | Self::OtherSymbol { .. }
            | Self::BadRate => Tag::BundleBadAmount,
            Self::NoCount { .. } => Tag::BundleZeroBound,
            Self::NoSeats { .. } => Tag::BundleEmptyQuorum,
            Self::NoPriceSource { .. } | Self::NobodyQuotes(_) => Tag::BundleNoPriceSource,
            Self::Unknown { .. } | Self::UnknownService(_) | Self::UnknownGroup(_) => Tag::BundleUnknownName,
            Self::Duplicate { .. } => Tag::BundleListedTwice,
            Self::Confusable { .. } => Tag::BundleConfusableName,
            Self::TooMany { .. } => Tag::BundleTooMany,
            Self::BadDestination { .. } => Tag::BundleBadAddress,
            Self::BadList
            | Self::BadTo
            | Self::BadLimit
            | Self::BadSoft
            | Self::NeverFresh
            | Self::LongTimeLock
            | Self::BadFee
            | Self::BadWordTest
            | Self::BadBreaker => Tag::BundleBadRule,
            Self::InitiatingService(_) | Self::ConflictedService { .. } => Tag::BundleConflictingDuties,
            Self::OwnDestination(_) | Self::CurrencySymbol(_) => Tag::BundleInconsistent,
            Self::UnreachableQuorum { .. } => Tag::BundleUnreachableQuorum,
            Self::UnreachableWallet(_) => Tag::BundleUnreachableWallet,
            Self::NoTimeLock
            | Self::LoneObserver(_)
            | Self::LonePriceSource(_)
            | Self::NoThawDelay
            | Self::Uncapped { .. }
            | Self::NeverAges { .. }
            | Self::AgesEarly { .. }
            | Self::ColdWalletPays { .. } => Tag::BundleUnsafe,
        }
    }
}

/// What is wrong with a list of destinations, among what is wrong elsewhere.
fn of_list(error: &ListError) -> Tag {
    match error {
        ListError::TooLarge(_) | ListError::TooMany => Tag::BundleTooMany,
        ListError::NotAscii => Tag::BundleBadText,
        ListError::Duplicate(_) => Tag::BundleListedTwice,
        ListError::NotADestination { .. } => Tag::BundleBadAddress,
        ListError::NoLineEnd | ListError::CarriageReturn | ListError::Blank | ListError::Unordered(_) => {
            Tag::BundleBadValue
        }
    }
}
