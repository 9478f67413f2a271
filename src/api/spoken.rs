//! Which spelling of the API a platform speaks.

/// A spelling of the API, by the release of the public SDK that it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// That of 0.31.4.
    V0_31,
}
