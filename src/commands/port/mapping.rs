//! *Pure*: how a port here and a port in the container are written: `LOCAL:REMOTE`.

use std::str::FromStr;

/// A port here, and the one in the container that is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Here; 0 stands for a free one.
    pub local: u16,
    /// In the container.
    pub remote: u16,
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXAMPLE: &str = "write LOCAL:REMOTE, such as 8080:80, or 0:80 for a free port here";
        let (local, remote) = text.split_once(':').ok_or(EXAMPLE)?;
        let port = |text: &str| {
            let text = text.trim();
            let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
            is_number.then(|| text.parse().ok()).flatten()
        };
        let local = port(local).ok_or("the local port is a number from 0 to 65535")?;
        let remote = port(remote).filter(|remote| *remote > 0);
        let remote = remote.ok_or("the remote port is a number from 1 to 65535")?;
        Ok(Self { local, remote })
    }
}

/// The first port here that two mappings share, if there is one.
pub fn shared(mappings: &[Mapping]) -> Option<u16> {
    let mut locals = mappings.iter().map(|it| it.local).filter(|local| *local > 0);
    let mut seen = std::collections::HashSet::new();
    locals.find(|local| !seen.insert(*local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_a_port_here_and_one_there() {
        let read = |text: &str| text.parse().map(|Mapping { local, remote }| (local, remote));
        for (text, expected) in [
            ("8080:80", (8080, 80)),
            ("0:1", (0, 1)),
            (" 65535 : 65535 ", (65535, 65535)),
            ("08:080", (8, 80)),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for (text, part) in [
            ("80", "LOCAL:REMOTE"),
            ("", "LOCAL:REMOTE"),
            ("a:80", "local"),
            (":80", "local"),
            ("-1:80", "local"),
            ("+1:80", "local"),
            ("65536:80", "local"),
            ("80:0", "remote"),
            ("80:", "remote"),
            ("80:65536", "remote"),
            ("1:2:3", "remote"),
            ("80:http", "remote"),
        ] {
            let why = read(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn two_mappings_share_no_port_here_but_free_ones() {
        let of = |locals: &[u16]| {
            shared(&locals.iter().map(|&local| Mapping { local, remote: 1 }).collect::<Vec<_>>())
        };
        assert_eq!(of(&[1, 2, 0, 0]), None);
        assert_eq!(of(&[1, 2, 1]), Some(1));
    }
}
