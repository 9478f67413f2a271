//! How a platform is reached, and what it says to requests for others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::platform::error::Refusal;
use crate::serving::names::Unknown;

impl From<Unknown> for Refusal {
    /// 400 if a request names no host, or several; 421 if it names another one.
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Unclear => Self::field("host", "must name one host"),
            Unknown::Other(name) => Self::Misdirected(name),
        }
    }
}

/// An address that a client on this machine can connect to.
#[must_use]
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_not_sent_to_every_address() {
        let all: SocketAddr = ([0, 0, 0, 0], 80).into();
        assert_eq!(reachable(all).to_string(), "127.0.0.1:80");
    }
}
