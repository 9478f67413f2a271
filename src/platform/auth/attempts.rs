//! How often a wrong key may be tried on the sign-in page.
//!
//! A key cannot be guessed, so this is only a second line of defence. Each address has a count of
//! its own, so that nobody shuts others out. Users who share an address, as on loopback, do not
//! need the page if they have a key.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const MOST: usize = 10;
const WITHIN: Duration = Duration::from_secs(60);

/// How many addresses are remembered.
const ADDRESSES: usize = 10_000;

/// The failed attempts of the last minute, by where they came from.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<IpAddr, VecDeque<Instant>>>);

/// What counts as one address: for IPv6 a network of 64 bits, because one machine has all of its
/// addresses.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

impl Attempts {
    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, VecDeque<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nobody from this address may try; `None` when one may. An attempt counts as
    /// failed until [`Attempts::succeeded`], so that many at once do not slip through.
    pub fn begin(&self, address: IpAddr) -> Option<Duration> {
        self.begin_at(address, Instant::now())
    }

    fn begin_at(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let is_over = |at: &Instant| now.duration_since(*at) >= WITHIN;
        let mut all = self.all();
        let address = source(address);
        if all.len() >= ADDRESSES && !all.contains_key(&address) {
            all.retain(|_, failed| failed.back().is_some_and(|last| !is_over(last)));
            // In a flood from everywhere, the oldest attempts are forgotten first.
            let oldest = all.iter().min_by_key(|(_, failed)| failed.back().copied());
            let oldest = oldest.map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| all.len() >= ADDRESSES) {
                all.remove(&oldest);
            }
        }
        let failed = all.entry(address).or_default();
        while failed.front().is_some_and(is_over) {
            failed.pop_front();
        }
        if failed.len() >= MOST {
            return failed.front().map(|first| WITHIN.saturating_sub(now.duration_since(*first)));
        }
        failed.push_back(now);
        None
    }

    /// Takes back the last attempt from this address.
    pub fn succeeded(&self, address: IpAddr) {
        let (mut all, address) = (self.all(), source(address));
        if let Some(failed) = all.get_mut(&address) {
            failed.pop_back();
            if failed.is_empty() {
                all.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_a_minute_may_fail() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let here = address("127.0.0.1");
        for _ in 0..50 {
            assert_eq!(attempts.begin_at(here, start), None);
            attempts.succeeded(here);
        }
        assert!(attempts.all().is_empty());
        for _ in 0..MOST {
            assert_eq!(attempts.begin_at(here, start), None);
        }
        let soon = start + Duration::from_secs(20);
        assert_eq!(attempts.begin_at(here, soon), Some(Duration::from_secs(40)));
        assert_eq!(attempts.begin_at(here, start + WITHIN), None);
    }

    #[test]
    fn an_address_shuts_out_itself_and_nobody_else() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..MOST {
            assert_eq!(attempts.begin_at(address("192.0.2.1"), now), None);
            assert_eq!(attempts.begin_at(address("2001:db8::1"), now), None);
        }
        // The same address in its other spelling, and its neighbour on one network.
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2"] {
            assert!(attempts.begin_at(address(same), now).is_some(), "{same}");
        }
        for other in ["192.0.2.2", "127.0.0.1", "2001:db8:0:1::1", "::1"] {
            assert_eq!(attempts.begin_at(address(other), now), None, "{other}");
        }
    }

    #[test]
    fn a_flood_from_everywhere_takes_no_more_room() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let addresses = u32::try_from(ADDRESSES).unwrap();
        for number in 0..addresses + 100 {
            let at = now + Duration::from_micros(number.into());
            assert_eq!(attempts.begin_at(IpAddr::V4(number.into()), at), None);
        }
        assert_eq!(attempts.all().len(), ADDRESSES);
        // Once the minute is over, all that is old goes at once.
        attempts.begin_at(address("::1"), now + WITHIN * 2);
        assert_eq!(attempts.all().len(), 1);
    }
}
