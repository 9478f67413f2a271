//! Processes of containers, as this machine has them.
//!
//! An engine tells numbers of processes. They are those of this machine only where the engine runs
//! on it, so that no process is looked at or signalled that is not seen to be in a container.

/// Whether the number is that of the first process of a container on this machine.
#[cfg(target_os = "linux")]
pub(crate) fn is_first_of_container(process: i32) -> bool {
    let numbers = linux::numbers(process);
    numbers.len() > 1 && numbers.last() == Some(&1)
}

/// Containers run in another machine here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_first_of_container(_process: i32) -> bool {
    false
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{Killed, kill_session, number_inside};

#[cfg(target_os = "linux")]
mod linux {
    use std::path::PathBuf;

    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    /// How often new processes of a session are looked for: one may start others while it is killed.
    const ROUNDS: usize = 100;

    /// What became of the processes of a session.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Killed {
        /// None is left.
        All,
        /// They cannot be seen or signalled from here.
        NotFromHere,
    }

    /// The numbers of a process: on this machine, and in each container around it.
    pub(super) fn numbers(process: i32) -> Vec<i32> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let numbers =
            status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        numbers.split_ascii_whitespace().filter_map(|it| it.parse().ok()).collect()
    }

    /// The number that a process has in its container.
    pub(crate) fn number_inside(process: i32) -> Option<i32> {
        numbers(process).get(1..)?.last().copied()
    }

    /// Which container a process is in, as a name that no two have.
    fn world(process: i32) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{process}/ns/pid")).ok()
    }

    /// The session of a process: behind its name, which may hold anything.
    fn session(process: i32) -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_ascii_whitespace().nth(3)?.parse().ok()
    }

    /// Whether a process has ended, and only its parent has not noticed.
    fn is_over(process: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        matches!(state, None | Some('Z' | 'X'))
    }

    /// Kills what belongs to a session of the container whose first process is `first`. An engine
    /// makes each command that it starts the leader of a session.
    pub(crate) fn kill_session(leader: i32, first: i32) -> Killed {
        let Some(container) =
            world(first).filter(|it| Some(it) != world(std::process::id().cast_signed()).as_ref())
        else {
            return Killed::NotFromHere;
        };
        for _ in 0..ROUNDS {
            let Ok(processes) = std::fs::read_dir("/proc") else { return Killed::NotFromHere };
            let names = processes.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok());
            let members = names.filter(|&it| session(it) == Some(leader) && !is_over(it));
            let mut is_any = false;
            for member in members {
                // What is opened stays this process, so that it is looked at once more.
                let Some(number) = Pid::from_raw(member) else { continue };
                let process = match pidfd_open(number, PidfdFlags::empty()) {
                    Ok(process) => process,
                    Err(Errno::SRCH) => continue,
                    Err(_) => return Killed::NotFromHere,
                };
                if session(member) != Some(leader) || world(member).as_ref() != Some(&container) {
                    continue;
                }
                is_any = true;
                match pidfd_send_signal(process, Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(_) => return Killed::NotFromHere,
                }
            }
            if !is_any {
                return Killed::All;
            }
            std::thread::yield_now();
        }
        // They were all signalled, and end when the system comes to it.
        Killed::All
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_process_outside_of_a_container_is_not_signalled() {
            let own = std::process::id().cast_signed();
            assert_eq!(kill_session(own, own), Killed::NotFromHere);
            assert_eq!(kill_session(own, 1), Killed::NotFromHere);
            assert!(!super::super::is_first_of_container(own));
        }
    }
}

/// Containers run in another machine here.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Killed {
        #[allow(dead_code)]
        All,
        NotFromHere,
    }

    pub(crate) fn kill_session(_leader: i32, _first: i32) -> Killed {
        Killed::NotFromHere
    }

    pub(crate) fn number_inside(_process: i32) -> Option<i32> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Killed, kill_session, number_inside};
