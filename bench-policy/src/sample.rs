//! The withdrawals that are decided, and what the policy says of them.

/// Amounts over these, in gwei, take one more person of the treasury each.
pub const TIERS: [i64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 300, 400, 500, 600];
/// The most that a payout may be.
pub const MAX: i64 = 1_000;
/// More than this is forbidden whoever agrees.
pub const FORBIDDEN_OVER: i64 = 800;
/// The most that a fee may be.
pub const MAX_FEE: i64 = 50;
/// The subject that is forbidden.
pub const BLOCKED: &str = "customer-13";

/// Destinations: the customers', and a hundredth as many that are sanctioned, every tenth of which is a customer's too.
pub struct Lists {
    /// May be paid.
    pub customers: Vec<String>,
    /// May not.
    pub sanctioned: Vec<String>,
}

impl Lists {
    /// Lists with so many customers' destinations.
    pub fn new(size: usize) -> Self {
        let customers: Vec<String> = (0..size).map(address).collect();
        let sanctioned = (0..size / 100).map(|n| if n % 10 == 0 { address(n) } else { address(size + n) });
        Self {
            sanctioned: sanctioned.collect(),
            customers,
        }
    }
}

/// Addresses that differ early, as real ones do.
fn address(n: usize) -> String {
    let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("eip155:1:0x{mixed:016x}{n:024x}")
}

/// One withdrawal: a transfer and its fee, and how many people of the treasury agreed.
#[derive(Debug)]
pub struct Sample {
    /// In gwei.
    pub amount: i64,
    /// In gwei.
    pub fee: i64,
    /// To whom.
    pub destination: String,
    /// For whom.
    pub subject: String,
    /// How many people agreed.
    pub treasury: i64,
    /// What every engine must say.
    pub is_allowed: bool,
}

impl Sample {
    /// 256 withdrawals over all tiers, every twelfth denied for a reason of its own.
    pub fn all(lists: &Lists) -> Vec<Self> {
        let amounts = [1, 3, 15, 60, 250, 450, 700, 850];
        let step = lists.customers.len() / 256 + 1;
        (0..256)
            .map(|n| Self::new(lists, n, amounts[n % amounts.len()], step))
            .collect()
    }

    fn new(lists: &Lists, n: usize, amount: i64, step: usize) -> Self {
        let tiers = TIERS.iter().filter(|tier| amount > **tier).count() as i64;
        let stranger = address(lists.customers.len() * 2 + n);
        let listed = lists.customers[(n * step + 1) % lists.customers.len()].clone();
        let case = n % 12;
        let sample = Self {
            amount,
            fee: if case == 1 { MAX_FEE + 1 } else { 20 },
            destination: match case {
                2 => stranger,
                3 => lists.sanctioned[0].clone(),
                _ => listed,
            },
            subject: if case == 4 {
                BLOCKED.to_owned()
            } else {
                format!("customer-{}", n + 100)
            },
            treasury: if case == 5 { tiers - 1 } else { tiers },
            is_allowed: false,
        };
        let is_sanctioned = lists.sanctioned.contains(&sample.destination);
        let is_allowed =
            !(1..=4).contains(&case) && !is_sanctioned && amount <= FORBIDDEN_OVER && sample.treasury >= tiers;
        Self { is_allowed, ..sample }
    }
}
