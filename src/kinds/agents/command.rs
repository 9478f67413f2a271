//! *Pure*: commands of containers that run an agent, read back.

use super::check::check;
use super::family::{Action, Family};
use super::given::Given;
use super::said::Defaults;

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
        // What the reference refuses runs nothing, and is like nothing that runs.
        check(family, &given, |_| true).ok()?;
        Some(Self { family, action, given })
    }

    /// What its options say, as one text. The order counts only where it means something.
    fn said(&self, defaults: Defaults) -> String {
        let said = self.given.said(&self.family.options(self.action), defaults);
        serde_json::to_string(&said).unwrap_or_default()
    }

    /// Whether another command runs the same agent.
    fn is_same(&self, other: &Self, defaults: Defaults) -> bool {
        (self.family, self.action) == (other.family, other.action)
            && self.said(defaults) == other.said(defaults)
    }
}

/// Whether two commands run the same agent with the same options, however they are spelled.
#[must_use]
pub fn is_same(one: &str, other: &str, defaults: Defaults) -> bool {
    one == other
        || AgentCommand::read(one)
            .zip(AgentCommand::read(other))
            .is_some_and(|(one, other)| one.is_same(&other, defaults))
}

/// The words of a command, if a shell and Python's `shlex.split` read the same ones: which of them
/// a platform uses is not known. So nothing may stand in it that a shell expands, and nothing
/// behind a backslash, which they read in different ways.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        next if next == letter => break,
                        '$' | '`' | '\\' | '!' if letter == '"' => return None,
                        next => word.push(next),
                    }
                }
            }
            letter if letter.is_alphanumeric() || "_@%+=:,./-".contains(letter) => {
                word.get_or_insert_default().push(letter);
            }
            _ => return None,
        }
    }
    words.extend(word.take());
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_same_if_they_run_the_same_agent() {
        let one = "meshagent chatbot join --agent-name a -r 'be kind' --no-shell";
        for (other, same) in [
            ("meshagent chatbot join --rule='be kind' --agent-name a", true),
            ("meshagent chatbot join --agent-name a -r \"be kind\"", true),
            ("meshagent chatbot join   --agent-name a --rule be' 'kind", true),
            // To a shell these are two commands.
            ("meshagent chatbot join --agent-name a\n--rule 'be kind'", false),
            ("meshagent chatbot join --agent-name a -r 'be kind' --model other", false),
            ("meshagent chatbot service --agent-name a -r 'be kind'", false),
            ("meshagent process join --agent-name a -r 'be kind'", false),
            ("meshagent chatbot join --agent-name a -r 'be kind' --nothing", false),
            ("meshagent chatbot join --agent-name a -r 'be kind' more", false),
            ("meshagent chatbot join --agent-name a -r 'be kind", false),
            ("meshagent chatbot join --agent-name a --rule", false),
            ("meshagent chatbot join --agent-name a -r 'be kind' --shell-set-env A", false),
            ("meshagent chatbot join --agent-name a -r 'be kind' #more", false),
            ("python main.py", false),
            ("", false),
        ] {
            assert_eq!(is_same(one, other, Defaults::Known), same, "{other}");
        }
        let is_same = |one: &str, other: &str| is_same(one, other, Defaults::Known);
        assert!(is_same("python  x", "python  x"));
        assert!(!is_same("python  x", "python x"));
    }

    /// What is between quotes is what was meant; what programs read in different ways is not read.
    #[test]
    fn only_what_every_program_reads_alike_is_read() {
        let command = |rule: &str| format!("meshagent chatbot join --agent-name a -r {rule}");
        let rule = |text: &str| {
            let command = AgentCommand::read(&command(text))?;
            command.given.text("rule").map(str::to_owned)
        };
        for (text, read) in [
            ("'costs $5'", "costs $5"),
            ("'a\\$'", "a\\$"),
            ("'#x'", "#x"),
            ("'it'\"'\"'s'", "it's"),
            ("über", "über"),
            ("''", ""),
            ("'two\nlines'", "two\nlines"),
        ] {
            assert_eq!(rule(text).as_deref(), Some(read), "{text}");
        }
        for text in [
            r#""costs \$5""#,
            r#""$HOME""#,
            "$HOME",
            "`x`",
            r"a\ b",
            "#x",
            "a #x",
            ">x",
            "a;b",
            "~/x",
            "*",
            "a&b",
            "(a)",
            "{a,b}",
            "'open",
            "\"a!b\"",
            "\"one\\\ntwo\"",
        ] {
            assert_eq!(rule(text), None, "{text}");
        }
    }

    #[test]
    fn defaults_count_as_said_where_the_image_is_not_known() {
        let is_same = |one: &str, other: &str, defaults| {
            let command = |options: &str| format!("meshagent chatbot join --agent-name a{options}");
            is_same(&command(one), &command(other), defaults)
        };
        assert!(is_same(" --no-shell", "", Defaults::Known));
        assert!(!is_same(" --no-shell", "", Defaults::Unknown));
        // A model that is named is kept, whatever the default becomes.
        assert!(!is_same(" --model gpt-5.4", "", Defaults::Known));
    }
}
