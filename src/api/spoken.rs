//! Which spelling of the API a platform speaks.

use std::fmt;

/// A spelling of the API, by the release of the public SDK that it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// That of 0.31.4.
    V0_31,
}

impl fmt::Display for Spoken {
    /// The release.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::V0_31 => "0.31",
        })
    }
}
