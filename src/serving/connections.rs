//! Which connections are open, what each is doing, and which one gives way.
//!
//! An idle connection costs its client nothing, so with a mere limit anybody could lock everybody
//! out. If all places are taken, the connection that has waited longest gives way to the new one.
//! Only if all are answering is the new one refused.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a request's headers may take.
pub const HEADERS: Duration = Duration::from_secs(10);

/// How long a connection may wait for its next request.
pub const IDLE: Duration = Duration::from_secs(75);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for a request after another one.
    Idle,
    /// Receiving the headers of a request, or expecting its first.
    Asking,
    /// Receiving a body, or answering.
    Answering,
    /// Something other than HTTP, after a request that asked for it.
    Lasting,
}

impl Phase {
    /// Whether somebody works on it, so that it neither waits nor gives way.
    const fn is_busy(self) -> bool {
        matches!(self, Self::Answering | Self::Lasting)
    }
}

/// What a connection does, as seen from outside.
#[derive(Debug)]
pub struct Doing(Mutex<Now>);

#[derive(Debug)]
struct Now {
    phase: Phase,
    /// Since when.
    since: Instant,
    /// Whether a body was not read to its end.
    is_unread: bool,
    /// Whether it has given its place to another one.
    has_given_way: bool,
}

impl Now {
    /// Starts another phase, with a body that was read.
    fn begin(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }
}

impl Doing {
    fn new() -> Self {
        let (phase, since) = (Phase::Asking, Instant::now());
        Self(Mutex::new(Now { phase, since, is_unread: false, has_given_way: false }))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes arrived.
    pub fn came(&self) {
        let mut now = self.now();
        if now.phase == Phase::Idle {
            now.begin(Phase::Asking);
        }
    }

    /// A request arrived, and is answered while this is held.
    pub fn answers(self: &Arc<Self>) -> Answering {
        let mut now = self.now();
        now.begin(Phase::Answering);
        now.is_unread = false;
        Answering { doing: Arc::clone(self), is_too_late: now.has_given_way }
    }

    /// Gives its place to another one, unless somebody works on it.
    fn gives_way(&self) -> bool {
        let mut now = self.now();
        now.has_given_way |= !now.phase.is_busy();
        now.has_given_way
    }

    /// A body was not read to its end.
    pub fn left_unread(&self) {
        self.now().is_unread = true;
    }

    /// Whether bytes may arrive that nobody is going to read.
    pub fn has_unread(&self) -> bool {
        let now = self.now();
        now.is_unread || now.phase == Phase::Asking
    }

    /// When it will have waited too long, unless it does something by then.
    pub fn deadline(&self) -> Instant {
        let Now { phase, since, .. } = *self.now();
        match phase {
            Phase::Idle => since + IDLE,
            Phase::Asking => since + HEADERS,
            // Bodies and answers have time-outs of their own.
            Phase::Answering | Phase::Lasting => Instant::now() + HEADERS,
        }
    }

    /// Whether a request may be on its way that was not parsed yet.
    pub fn is_asking(&self) -> bool {
        self.now().phase == Phase::Asking
    }

    /// Whether it is busy with a request.
    pub fn is_answering(&self) -> bool {
        self.now().phase.is_busy()
    }

    /// Since when it has nothing to do; `None` while it answers.
    fn waits_since(&self) -> Option<Instant> {
        let Now { phase, since, .. } = *self.now();
        (!phase.is_busy()).then_some(since)
    }
}

/// The answer to a request, until all of it was sent.
#[derive(Debug)]
pub struct Answering {
    doing: Arc<Doing>,
    /// Whether the request arrived after its connection had given its place to another one.
    pub is_too_late: bool,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut now = self.doing.now();
        if now.phase == Phase::Answering {
            now.begin(Phase::Idle);
        }
    }
}

/// The connection of a request: where it comes from, and what may continue over it once the
/// request is answered. It is in the extensions of every request.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Taken>);

impl Connection {
    /// The connection with a place.
    pub const fn new(taken: Arc<Taken>) -> Self {
        Self(taken)
    }

    /// The address of its other end.
    pub fn peer(&self) -> IpAddr {
        self.0.peer
    }

    /// Counts the connection as open and busy until the returned value is dropped, although the
    /// request is answered before.
    #[must_use]
    pub fn outlast(self) -> Lasting {
        self.0.doing.now().begin(Phase::Lasting);
        Lasting(self.0)
    }
}

/// The place of a connection over which something continues after its request.
#[derive(Debug)]
pub struct Lasting(Arc<Taken>);

impl Drop for Lasting {
    fn drop(&mut self) {
        self.0.doing.now().begin(Phase::Idle);
    }
}

/// All open connections.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    stop: CancellationToken,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: BTreeMap<u64, Place>,
    of: HashMap<IpAddr, usize>,
}

#[derive(Debug, Clone)]
struct Place {
    address: IpAddr,
    doing: Arc<Doing>,
    give_way: CancellationToken,
}

/// The place of an open connection, which is free once this is dropped.
#[derive(Debug)]
pub struct Taken {
    /// What the connection does.
    pub doing: Arc<Doing>,
    /// Tells it to end.
    pub give_way: CancellationToken,
    peer: IpAddr,
    number: u64,
    connections: Arc<Connections>,
}

/// What happened to a new connection.
#[derive(Debug)]
pub enum Admitted {
    /// There was room.
    Free(Taken),
    /// There was none, and another one gives way.
    InPlaceOfAnother(Taken),
    /// All others are answering.
    Refused,
}

impl Connections {
    /// No connections yet, and room for so many; all end once `stop` is cancelled.
    pub fn new(most: usize, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { most, stop, open: Mutex::default() })
    }

    /// Whether all of them are to end.
    pub fn are_ending(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// How many there may be at once.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// How many there may be at once from one address: a quarter is reserved for others.
    pub const fn most_of_one(&self) -> usize {
        self.most - self.most / 4
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a connection from an address.
    pub fn admit(self: &Arc<Self>, peer: IpAddr) -> Admitted {
        let address = network(peer);
        let mut open = self.open();
        let of_it = open.of.get(&address).copied().unwrap_or_default();
        let is_freed = if of_it >= self.most_of_one() {
            open.free_one(Some(address))
        } else if open.all.len() >= self.most {
            open.free_one(None)
        } else {
            return Admitted::Free(self.take(&mut open, peer));
        };
        match is_freed {
            true => Admitted::InPlaceOfAnother(self.take(&mut open, peer)),
            false => Admitted::Refused,
        }
    }

    /// Closes the connection that has waited longest.
    pub fn free_one(&self) {
        self.open().free_one(None);
    }

    fn take(self: &Arc<Self>, open: &mut Open, peer: IpAddr) -> Taken {
        let (number, address) = (open.next, network(peer));
        open.next += 1;
        // A token of its own: a shared one would be locked for each request.
        let (doing, give_way) = (Arc::new(Doing::new()), self.stop.child_token());
        let place = Place { address, doing: Arc::clone(&doing), give_way: give_way.clone() };
        open.all.insert(number, place);
        *open.of.entry(address).or_default() += 1;
        Taken { doing, give_way, peer, number, connections: Arc::clone(self) }
    }
}

impl Open {
    /// Closes the connection that has waited longest, of all or of those from an address. Returns
    /// whether there was one. If a request arrives at that very moment, another connection is
    /// closed.
    fn free_one(&mut self, address: Option<IpAddr>) -> bool {
        while let Some(number) = self.longest_waiting(address) {
            if self.all.get(&number).is_some_and(|place| place.doing.gives_way()) {
                self.remove(number);
                return true;
            }
        }
        false
    }

    fn longest_waiting(&self, address: Option<IpAddr>) -> Option<u64> {
        let of_it = self
            .all
            .iter()
            .filter(|(_, place)| address.is_none_or(|address| address == place.address));
        let waiting =
            of_it.filter_map(|(number, place)| Some((place.doing.waits_since()?, *number)));
        waiting.min().map(|(_, number)| number)
    }

    /// Frees a place, and tells its connection to end if it has not.
    fn remove(&mut self, number: u64) {
        let Some(place) = self.all.remove(&number) else { return };
        place.give_way.cancel();
        if let Some(count) = self.of.get_mut(&place.address) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&place.address);
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.connections.open().remove(self.number);
    }
}

/// What counts as one address: an IPv6 network of 64 bits is one customer's.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6((address.to_bits() >> 64 << 64).into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn connections(most: usize) -> Arc<Connections> {
        Connections::new(most, CancellationToken::new())
    }

    fn taken(admitted: Admitted) -> Taken {
        match admitted {
            Admitted::Free(taken) | Admitted::InPlaceOfAnother(taken) => taken,
            Admitted::Refused => panic!("refused"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_gives_way() {
        let connections = connections(4);
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        let mut open = Vec::new();
        for address in [one, other, one, one] {
            open.push(taken(connections.admit(address)));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // The first answers, and so it stays.
        let answering = open[0].doing.answers();
        let fifth = connections.admit(other);
        assert!(matches!(fifth, Admitted::InPlaceOfAnother(_)));
        let gone: Vec<bool> = open.iter().map(|taken| taken.give_way.is_cancelled()).collect();
        assert_eq!(gone, [false, true, false, false]);
        drop(answering);
        drop(fifth);
        assert!(matches!(connections.admit(other), Admitted::Free(_)));
        // What comes over a connection that gave way has no place any more.
        assert!(open[1].doing.answers().is_too_late);
        assert!(!open[2].doing.answers().is_too_late);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_leaves_room_for_others() {
        let connections = connections(8);
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        let busy: Vec<_> = (0..6).map(|_| taken(connections.admit(one))).collect();
        let answering: Vec<_> = busy.iter().map(|taken| taken.doing.answers()).collect();
        assert!(matches!(connections.admit(one), Admitted::Refused));
        let _others = (taken(connections.admit(other)), taken(connections.admit(other)));
        // All places are taken; the other address has one that waits, the first has not.
        assert!(matches!(connections.admit(other), Admitted::InPlaceOfAnother(_)));
        drop(answering);
        drop(busy);
        assert!(matches!(connections.admit(one), Admitted::Free(_)));
        assert!(connections.open().of.len() <= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_waits_for_decides_how_long() {
        let connections = connections(1);
        let taken = taken(connections.admit(address("::1")));
        let doing = &taken.doing;
        let start = Instant::now();
        assert_eq!(doing.deadline(), start + HEADERS);
        doing.came();
        assert_eq!(doing.deadline(), start + HEADERS, "bytes buy no time");
        let answering = doing.answers();
        assert!(!doing.has_unread());
        tokio::time::advance(HEADERS * 3).await;
        assert!(doing.deadline() > Instant::now());
        drop(answering);
        assert_eq!(doing.deadline(), Instant::now() + IDLE);
        doing.came();
        assert_eq!(doing.deadline(), Instant::now() + HEADERS);
    }

    #[tokio::test(start_paused = true)]
    async fn what_outlasts_the_answer_keeps_its_place() {
        let connections = connections(1);
        let held = Arc::new(taken(connections.admit(address("::1"))));
        let answering = held.doing.answers();
        let lasting = Connection::new(Arc::clone(&held)).outlast();
        drop(answering);
        // Whoever answered HTTP over it is done with it.
        drop(held);
        assert!(matches!(connections.admit(address("::2")), Admitted::Refused));
        drop(lasting);
        assert!(matches!(connections.admit(address("::2")), Admitted::Free(_)));
    }

    #[test]
    fn a_customer_has_one_address() {
        assert_eq!(network(address("::ffff:10.0.0.1")), address("10.0.0.1"));
        assert_eq!(network(address("2001:db8::1:2:3:4")), address("2001:db8::"));
        assert_eq!(network(address("::1")), address("::1"));
    }
}
