//! Which spelling of the API a platform speaks.

use std::fmt;

/// A spelling of the API, by the release of the public SDK that it came with.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Deserialize,
)]
pub enum Spoken {
    /// That of 0.31.4.
    #[value(name = "0.31")]
    #[serde(rename = "0.31")]
    V0_31,
    /// That of 0.56.0, which releases from 0.45 on speak.
    #[value(name = "0.56")]
    #[serde(rename = "0.56")]
    V0_56,
}

impl Spoken {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V0_31 => Self::V0_56,
            Self::V0_56 => Self::V0_31,
        }
    }
}

impl fmt::Display for Spoken {
    /// The release.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::V0_31 => "0.31",
            Self::V0_56 => "0.56",
        })
    }
}
