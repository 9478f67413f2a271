//! What happens in a lifecycle, drawn from its seed.

use std::time::Duration;

use fastrand::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::place::Place;
use crate::hostile::proxy::{Fault, Hostile, Mischief, Moment};

/// What ends a run before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The client dies in its write of this number.
    OfClient(usize, Moment),
    /// The platform dies in this write, and comes back after a while.
    OfPlatform(usize, Moment),
}

/// Draws from a strategy, the same for the same numbers.
pub fn draw<S: Strategy>(strategy: &S, random: &mut Rng) -> S::Value {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    let numbers = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), numbers);
    strategy.new_tree(&mut runner).unwrap().current()
}

/// What goes wrong during one run.
pub fn mischief(random: &mut Rng) -> Vec<Mischief> {
    (0..random.usize(0..5)).map(|_| one(random)).collect()
}

fn one(random: &mut Rng) -> Mischief {
    let write = ["POST", "PUT", "DELETE"][random.usize(0..3)];
    let late = Duration::from_millis(random.u64(5..250));
    let retry_after = [None, Some("0".to_owned())][random.usize(0..2)].clone();
    let unlucky = [403, 500, 502, 503, 504][random.usize(0..5)];
    let change = [
        Fault::UnknownFields,
        Fault::Reordered,
        Fault::NullForEmpty,
        Fault::SecretsMasked,
        Fault::SecretsOmitted,
        Fault::WrongType,
        Fault::SmallPages(random.usize(1..4)),
        Fault::EmptyPages,
    ];
    // What a list does not show is not gone, whatever the list says of itself.
    let hidden = [
        Fault::Cut(random.usize(0..4)),
        Fault::Filtered,
        Fault::Doubled,
        Fault::TokenStays,
        Fault::TokenComesBack,
    ];
    let list = ["/rooms", "/services", "/mailboxes", "/routes", "/scheduled-tasks"];
    match random.u8(0..23) {
        0..=4 => change[random.usize(0..change.len())].clone().into(),
        5 => Fault::FirstRemoved.times(1),
        6 => Fault::FirstInserted.times(1),
        7 => Fault::Status(unlucky).on("GET").share(0.06),
        8 => Fault::CutBody.on("GET").share(0.06),
        9 => Fault::EarlyEnd.on("GET").share(0.04),
        10 => Fault::DropAfter.on("GET").share(0.06),
        11 => Fault::TooFast(retry_after).times(random.u32(1..4)),
        12 => Fault::Delay(Duration::from_millis(random.u64(1..20))).at("").share(0.3),
        13 => Fault::DropBefore.on(write).share(0.25),
        14 => Fault::DropAfter.on(write).share(0.25),
        15 => Fault::BadGatewayAfter.on(write).share(0.25),
        16 => Fault::Status([500, 502, 503, 504][random.usize(0..4)]).on(write).share(0.2),
        17 => Fault::CommitsLate(late).on(write).share(0.25),
        18 => Fault::CutBody.on(write).share(0.25),
        19 => Fault::Status(404).on("DELETE").share(0.4),
        20..=21 => {
            hidden[random.usize(0..hidden.len())].clone().at(list[random.usize(0..list.len())])
        }
        _ => Fault::EarlyEnd.on(write).share(0.25),
    }
}

/// The platform on such a day.
pub fn hostile(place: &Place, mischief: &[Mischief], random: &mut Rng) -> Hostile {
    let calm = Hostile::before(&place.url, place.http.clone()).seed(random.u64(..));
    mischief.iter().cloned().fold(calm, Hostile::with)
}

/// What a run dies of, if it does.
pub fn death(is_process: bool, random: &mut Rng) -> Option<Death> {
    let moment = [Moment::Before, Moment::After][random.usize(0..2)];
    let write = random.usize(1..14);
    match random.u8(0..10) {
        0..=2 => Some(Death::OfClient(write, moment)),
        3..=5 if is_process => Some(Death::OfPlatform(write, moment)),
        _ => None,
    }
}
