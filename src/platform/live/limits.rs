//! What rooms may use: participants, memory, calls.

/// What rooms may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many participants there may be, in all rooms.
    pub participants: usize,
    /// How many rooms may run.
    pub rooms: usize,
    /// How large a message may be, in bytes.
    pub message: usize,
    /// How much of large messages may be arriving in a room, and wait there for its tools, in
    /// bytes; never less than two messages.
    pub arriving: usize,
    /// How many calls of a participant may run at once, streams among them.
    pub calls: usize,
    /// How many ways into containers may be open, in all rooms.
    pub tunnels: usize,
}

impl Limits {
    /// The limits of a platform with so many connections. Participants get half of them, so that
    /// others can still reach it.
    pub fn new(connections: usize) -> Self {
        Self {
            participants: (connections / 2).max(1),
            rooms: 1000,
            message: 4 * 1024 * 1024,
            arriving: 16 * 1024 * 1024,
            calls: 256,
            tunnels: (connections / 4).max(1),
        }
    }
}
