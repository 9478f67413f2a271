//! From which numbers tests draw what happens. The same ones each time, so that a change fails for
//! what it changed; other ones for whoever looks for faults:
//!
//! - `MESHAGENT_TEST_SEED=N` draws from this one, as a failure names it.
//! - `MESHAGENT_TEST_SEEDS=COUNT` draws from so many that nobody has seen.

use std::ops::Range;

use fastrand::Rng;

/// The first number, unless the environment says otherwise.
const FIRST: u64 = 20_261_130;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// The numbers of a test that draws from so many.
pub fn seeds(count: u64) -> Range<u64> {
    let seeds = match (number("MESHAGENT_TEST_SEED"), number("MESHAGENT_TEST_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => {
            let first = fastrand::u64(..1 << 40);
            first..first + count
        }
        (None, None) => FIRST..FIRST + count,
    };
    println!("seeds {seeds:?}");
    seeds
}

/// What a test draws with that needs one number.
pub fn draws() -> Rng {
    Rng::with_seed(seeds(1).start)
}

/// Whether somebody asked for a number, or for how many.
pub fn is_asked() -> bool {
    number("MESHAGENT_TEST_SEED").or(number("MESHAGENT_TEST_SEEDS")).is_some()
}
