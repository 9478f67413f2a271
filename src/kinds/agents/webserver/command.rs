//! *Pure*: the command line that the container of a webserver runs: that which was typed, without
//! what only matters where it was typed.

use std::sync::LazyLock;

use crate::kinds::agents::options::{self, AgentOption, Takes};
use crate::kinds::agents::words::{joined, next_command, typed};

const fn option(name: &'static str, takes: Takes) -> AgentOption {
    AgentOption::new(name, takes, "")
}

/// The options of `webserver spec` and `webserver deploy`, as far as it matters how many words each
/// of them takes.
pub static OPTIONS: LazyLock<Vec<AgentOption>> = LazyLock::new(|| {
    let own = [
        AgentOption { short: Some("f"), ..option(FILE, Takes::Text) },
        option("app-dir", Takes::Text),
        option(WEB_HOST, Takes::Text),
        option(WEB_PORT, Takes::Number),
        option("website-path", Takes::Text),
        option("no-import", Takes::Flag),
        option("room", Takes::Text),
        option("domain", Takes::Text),
        option("allow-hidden", Takes::Flag),
    ];
    [options::SERVICE, options::AGENT, &own, options::WRITING, &[options::LOG]].concat()
});

/// The routes file has a letter and no name.
const FILE: &str = "f";

/// The host, as it is typed here.
const WEB_HOST: &str = "web-host";

/// The port, as it is typed here.
const WEB_PORT: &str = "web-port";

/// What is left of a command line in the container.
const KEPT: [&str; 5] = ["agent-name", FILE, "app-dir", WEB_HOST, WEB_PORT];

/// A command line, word by word, without `webserver` and its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<(Option<&'static AgentOption>, Vec<String>)>);

impl Words {
    /// Those of a whole command line, behind the program, `webserver` and its command.
    #[must_use]
    pub fn of_line(line: &[String]) -> Self {
        // Behind the program, its group and its command.
        let commands = next_command(line, 1);
        let begin = next_command(line, commands + 1) + 1;
        Self::of(line.get(begin..).unwrap_or_default())
    }

    /// Finds out which words belong together.
    #[must_use]
    pub fn of(words: &[String]) -> Self {
        let mut rest = words;
        let mut all = Vec::new();
        for it in typed(words, &OPTIONS) {
            let (own, after) = rest.split_at(it.count);
            rest = after;
            all.push((it.option, own.to_vec()));
        }
        Self(all)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(option, _)| option.is_some_and(|it| it.name == name))
    }

    /// Whether the host was typed.
    #[must_use]
    pub fn has_host(&self) -> bool {
        self.has(WEB_HOST)
    }

    /// Whether the port was typed.
    #[must_use]
    pub fn has_port(&self) -> bool {
        self.has(WEB_PORT)
    }

    /// The command of the container. `file` is the name of the routes file there; `host` is
    /// listened on if nothing else says on which.
    #[must_use]
    pub fn in_container(&self, file: &str, host: Option<&str>) -> String {
        let is =
            |name: &str, option: &Option<&AgentOption>| option.is_some_and(|it| it.name == name);
        let last_file = self.0.iter().rposition(|(option, _)| is(FILE, option));
        let mut all = ["meshagent", "webserver", "join"].map(str::to_owned).to_vec();
        let named = ["-f".to_owned(), file.to_owned()];
        for (index, (option, words)) in self.0.iter().enumerate() {
            let Some(option) = option.filter(|it| KEPT.contains(&it.name)) else { continue };
            match option.name {
                FILE if Some(index) == last_file => all.extend(named.clone()),
                FILE => {}
                name @ (WEB_HOST | WEB_PORT) => {
                    let in_container = name.replacen("web-", "--", 1);
                    let first = words.first().map(String::as_str).unwrap_or_default();
                    all.push(match first.split_once('=') {
                        Some((_, value)) => format!("{in_container}={value}"),
                        None => in_container,
                    });
                    all.extend_from_slice(words.get(1..).unwrap_or_default());
                }
                _ => all.extend_from_slice(words),
            }
        }
        if last_file.is_none() {
            all.extend(named);
        }
        if let Some(host) = host.filter(|_| !self.has_host()) {
            all.extend(["--host".to_owned(), host.to_owned()]);
        }
        joined(&all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Words::of(&words).in_container("web.yaml", None)
    }

    #[test]
    fn what_only_matters_here_is_left_out_and_what_stays_is_as_it_was_typed() {
        let begin = "meshagent webserver join";
        for (typed, expected) in [
            ("--agent-name web", "--agent-name web -f web.yaml"),
            ("-f a/web.yaml --agent-name=w", "-f web.yaml --agent-name=w"),
            ("-fa/web.yaml --agent-name w", "-f web.yaml --agent-name w"),
            ("-f=a/web.yaml --agent-name w", "-f web.yaml --agent-name w"),
            ("-f x --agent-name w -f a/web.yaml", "--agent-name w -f web.yaml"),
            ("--web-port=9 --web-host :: --room r", "--port=9 --host :: -f web.yaml"),
            (
                "--room=r -nP --project-id p --website-path /w --domain d --app-dir a",
                "--app-dir a -f web.yaml",
            ),
            ("--embedded --wait --dry-run --no-import --app-dir=a", "--app-dir=a -f web.yaml"),
            ("--service-name spec --agent-name deploy", "--agent-name deploy -f web.yaml"),
            ("--log debug --secret s --secret=t --agent-name w", "--agent-name w -f web.yaml"),
        ] {
            assert_eq!(command(typed), format!("{begin} {expected}"), "{typed}");
        }
    }

    #[test]
    fn a_log_level_may_stand_anywhere() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let begin = "m --log webserver --log=info webserver --log spec";
        let line = words(&format!("{begin} deploy --log debug --agent-name w --log=warn"));
        let command = Words::of_line(&line).in_container("f", None);
        assert_eq!(command, "meshagent webserver join --agent-name w -f f");
        assert_eq!(Words::of_line(&words("m --log")), Words(Vec::new()));
    }

    #[test]
    fn a_host_is_added_only_where_none_was_typed() {
        let words = |line: &str| Words::of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let with_host = |line| words(line).in_container("w", Some("0.0.0.0"));
        assert_eq!(with_host("-f w"), "meshagent webserver join -f w --host 0.0.0.0");
        assert_eq!(with_host("--web-host ::"), "meshagent webserver join --host :: -f w");
        assert!(words("--web-host=x").has_host() && !words("--agent-name --web-host").has_host());
        assert!(words("--web-port 1").has_port());
    }
}
