//! How many files this process may have open at once, connections among them.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::{Error, Result};

/// How many connections there may be at once, if the system allows it.
const MOST: u64 = 1024;

/// What a server needs besides its connections: a store, the runtime, refusals.
const OWN: u64 = 64;

/// The fewest connections that are worth being served.
const FEWEST: u64 = 8;

/// Raises the limit of open files of this process, as far as it may and as far as that is useful.
pub fn raise() {
    raise_for(0);
}

/// The same for at least so many connections.
pub fn raise_for(connections: usize) {
    let wanted = OWN + 2 * MOST.max(connections as u64);
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted.min(hard)
        && let Err(cause) = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)
    {
        tracing::warn!(%cause, "failed to raise the limit of open files");
    }
}

/// How many connections may be open at once.
///
/// # Errors
///
/// So few files may be open that a server would not work.
pub fn connections() -> Result<usize> {
    at_least(0)
}

/// The same where so many are wanted, which may be more than by default.
///
/// # Errors
///
/// As [`connections`].
pub fn at_least(wanted: usize) -> Result<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|cause| Error::failed("failed to read the limit of open files").because(cause))?;
    let fitting = fitting(soft, MOST.max(wanted as u64));
    if fitting < FEWEST {
        let needed = OWN + 2 * FEWEST;
        let message = format!("only {soft} files may be open at once, and a server needs {needed}");
        return Err(Error::failed(message).hint(match hard < needed {
            false => "raise the limit: `ulimit -n 1024`".to_owned(),
            true => format!(
                "it cannot be raised beyond {hard} here (`ulimit -Hn`): root can raise that in /etc/security/limits.conf, or with LimitNOFILE= in the service"
            ),
        }));
    }
    Ok(usize::try_from(fitting).unwrap_or(usize::MAX))
}

/// How many connections fit below a limit: each may have a file beside it for its body.
fn fitting(limit: u64, most: u64) -> u64 {
    (limit.saturating_sub(OWN) / 2).min(most)
}

/// Says what a low limit means, if there is one.
#[must_use]
pub fn told(connections: usize) -> Option<String> {
    let is_low = (connections as u64) < MOST / 4;
    is_low.then(|| {
        format!(
            "the limit of open files is low (ulimit -n), so at most {connections} connections are served at once"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_store() {
        for (limit, connections) in [(0, 0), (64, 0), (80, 8), (256, 96), (1024, 480)] {
            assert_eq!(fitting(limit, MOST), connections, "{limit}");
        }
        assert_eq!(fitting(1_000_000, MOST), MOST);
        assert!(told(96).is_some() && told(480).is_none());
    }
}
