//! The command line as it was typed, of which the container's command is made.

use crate::kinds::agents::family::{Action, Family};
use crate::kinds::agents::options::{AgentOption, LOG, WRITING};
use crate::kinds::agents::words::{next_command, with_long_forms, without};

/// The options of a command that are this program's own.
fn ours(action: Action) -> Vec<AgentOption> {
    match action {
        Action::Deploy => [WRITING, &[LOG]].concat(),
        _ => vec![LOG],
    }
}

/// The family and the action that a command line names, and where its options begin.
fn named(words: &[String]) -> Option<(Family, Action, usize)> {
    let begins = |commands: &[&str]| {
        commands.iter().try_fold(1, |at, command| {
            let at = next_command(words, at);
            words.get(at).is_some_and(|word| word == command).then_some(at + 1)
        })
    };
    let found = |family: Family| begins(family.words()).map(|at| (family, at));
    let (family, at) = Family::ALL.into_iter().find_map(found)?;
    let at = next_command(words, at);
    let is_it = |action: &&Action| words.get(at).is_some_and(|it| it == action.word());
    let action = family.actions().iter().find(is_it)?;
    Some((family, *action, at + 1))
}

/// A command line in which nothing has a short form of two letters.
#[must_use]
pub fn readable(words: Vec<String>) -> Vec<String> {
    let Some((family, action, at)) = named(&words) else { return words };
    let (begins, options) = words.split_at(at);
    let known = [family.options(action), ours(action)].concat();
    [begins, &with_long_forms(options, &known)].concat()
}

/// The options of a command line, as they were typed, without those of this program.
#[must_use]
pub fn typed(words: &[String]) -> Vec<String> {
    let Some((family, action, at)) = named(words) else { return Vec::new() };
    let ours = ours(action);
    let names: Vec<&str> = ours.iter().map(|it| it.name).collect();
    without(&words[at..], &[family.options(action), ours].concat(), &names)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_this_program_adds_is_not_said_to_the_agent() {
        let left = |line: &str| typed(&words(line)).join(" ");
        assert_eq!(
            left(
                "m --log error codex --log=info worker --log warn deploy -n p --queue q --log trace \
                 --embedded --embedded=x --dry-run -e prod -np2 --wait --wait=5m --api-url u --retries=3 \
                 --timeout 5s --insecure --report r --as-manifest --set-env --dry-run --port 1"
            ),
            "--queue q --set-env --dry-run --port 1"
        );
        // Where it is none, it is the value of something or a mistake that the parser tells.
        assert_eq!(left("m chatbot spec --rule --log --log x"), "--rule --log");
        assert_eq!(left("m --log chatbot chatbot spec --log-llm-requests"), "--log-llm-requests");
    }

    #[test]
    fn short_forms_are_read_behind_options_of_this_program() {
        let line = "m --log x chatbot --log=x deploy --wait -rt t --report -rr -n -rs --embedded";
        let told = "m --log x chatbot --log=x deploy --wait --require-toolkit t --report -rr -n -rs --embedded";
        assert_eq!(readable(words(line)), words(told));
        assert_eq!(readable(words("m rooms -rt t")), words("m rooms -rt t"));
    }

    #[test]
    fn all_options_of_deploy_are_the_agents_or_ours() {
        let mut tree = crate::commands::Cli::command();
        tree.build();
        for family in Family::ALL {
            let path = family.words().iter().chain(&["deploy"]);
            let command = path.fold(&tree, |it, name| it.find_subcommand(name).unwrap());
            let known = [family.options(Action::Deploy), ours(Action::Deploy)].concat();
            for argument in command.get_arguments() {
                let name = argument.get_long().unwrap();
                if ["help", "version"].contains(&name) || name.starts_with("no-") {
                    continue;
                }
                let option = known.iter().find(|it| it.name == name).unwrap();
                let is_behind = !argument.is_require_equals_set();
                let takes_next = argument.get_action().takes_values() && is_behind;
                assert_eq!(takes_next, option.takes.a_value(), "--{name} of {family:?}");
                let letter = argument.get_short().map(String::from);
                let is_known = |letter: &String| known.iter().any(|it| it.short == Some(letter));
                assert!(letter.as_ref().is_none_or(is_known), "{letter:?}");
            }
        }
    }
}
