//! *Pure*: commands of containers that run an agent, read back.

use super::family::{Action, Family};
use super::given::Given;
use super::said::Said;

/// A command that runs an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCommand {
    /// The agent's family.
    pub family: Family,
    /// Whether it enters a room, or is called there.
    pub action: Action,
    /// Its options.
    pub given: Given,
}

impl AgentCommand {
    /// Reads a command; `None` if it is another one, or has words that no option takes.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        // Most commands are others, and are not looked at any further.
        if !text.trim_start().starts_with("meshagent") {
            return None;
        }
        let words = split(text)?;
        let rest = words.strip_prefix(&["meshagent".to_owned()][..])?;
        let named = |family: &Family| {
            let own = family.words();
            rest.get(..own.len()).is_some_and(|words| words == own)
        };
        let family = Family::ALL.into_iter().find(named)?;
        let (action, options) = rest[family.words().len()..].split_first()?;
        let action = [Action::Join, Action::Service].into_iter().find(|it| it.word() == action)?;
        let given = Given::parse(options, &family.options(action))?;
        Some(Self { family, action, given })
    }

    /// What its options say.
    fn said(&self) -> Said {
        self.given.said(&self.family.options(self.action))
    }

    /// Whether another command runs the same agent.
    fn is_same(&self, other: &Self) -> bool {
        (self.family, self.action) == (other.family, other.action) && self.said() == other.said()
    }
}

/// Whether two commands run the same agent with the same options, however they are spelled.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    one == other
        || AgentCommand::read(one)
            .zip(AgentCommand::read(other))
            .is_some_and(|(one, other)| one.is_same(&other))
}

/// The words of a command as Python's `shlex.split` reads them: a `#` begins no comment.
fn split(text: &str) -> Option<Vec<String>> {
    const HASH: char = '\u{fffe}';
    if !text.contains('#') {
        return shlex::split(text);
    }
    let words = shlex::split(&text.replace('#', &HASH.to_string()))?;
    let is_new = !text.contains(HASH);
    is_new.then(|| words.iter().map(|word| word.replace(HASH, "#")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_same_if_they_run_the_same_agent() {
        let one = "meshagent chatbot join --agent-name a -r 'be kind' --model gpt-5.4";
        for (other, same) in [
            ("meshagent chatbot join --rule='be kind' --agent-name a", true),
            ("meshagent chatbot join --agent-name a -r \"be kind\"", true),
            ("meshagent chatbot service --agent-name a -r 'be kind'", false),
            ("meshagent process join --agent-name a -r 'be kind'", false),
            ("meshagent chatbot join --agent-name a -r 'be kind' --nothing", false),
            ("meshagent chatbot join --agent-name a -r 'be kind' more", false),
            ("meshagent chatbot join --agent-name a -r 'be kind", false),
            ("meshagent chatbot join --agent-name a --rule", false),
            ("meshagent chatbot join --agent-name a -r 'be kind' #more", false),
            ("python main.py", false),
            ("", false),
        ] {
            assert_eq!(is_same(one, other), same, "{other}");
        }
        assert!(is_same("python  x", "python  x"));
        assert!(!is_same("python  x", "python x"));
    }
}
