//! The options of agents as arguments of a command line.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::kinds::agents::given::Given;
use crate::kinds::agents::options::{self, AgentOption, Takes};

/// A command with these options.
pub fn with_options(command: Command, options: &[AgentOption]) -> Command {
    options.iter().flat_map(arguments).fold(command, Command::arg)
}

/// The options that describe a service and name its agent: those of every family. With `NAMED`, the
/// service must have a name of its own.
#[derive(Debug, Clone)]
pub struct ServiceOptions<const NAMED: bool>(pub Given);

impl<const NAMED: bool> ServiceOptions<NAMED> {
    fn options() -> Vec<AgentOption> {
        let mut options = [options::SERVICE, options::AGENT].concat();
        let name = options.iter_mut().find(|option| NAMED && option.name == "service-name");
        name.into_iter().for_each(|option| {
            option.required = true;
            option.help = "The name of the service";
        });
        options
    }
}

/// A text that is not only blanks.
///
/// # Errors
///
/// It is.
pub fn filled(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("it must not be empty") } else { Ok(text.to_owned()) }
}

impl<const NAMED: bool> Args for ServiceOptions<NAMED> {
    fn augment_args(command: Command) -> Command {
        let named = |arg: Arg| arg.value_parser(filled);
        let command = with_options(command, &Self::options());
        command.mut_arg("service-name", named).mut_arg("agent-name", named)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const NAMED: bool> FromArgMatches for ServiceOptions<NAMED> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(given(&Self::options(), matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The arguments of an option: itself, and its opposite.
fn arguments(option: &AgentOption) -> Vec<Arg> {
    let own = Arg::new(option.name)
        .long(option.name)
        .help(option.help)
        .hide(option.hidden)
        .required(option.required);
    let letter = option.short.filter(|short| short.len() == 1).and_then(|it| it.chars().next());
    let own = letter.map_or_else(|| own.clone(), |letter| own.clone().short(letter));
    let own = match option.takes {
        Takes::Text => own.value_name("TEXT"),
        Takes::Json => own.value_name("JSON"),
        Takes::Texts => own.value_name("TEXT").action(ArgAction::Append),
        Takes::Words => own.value_name("WORD,WORD").action(ArgAction::Append),
        Takes::Pairs => own.value_name("NAME=VALUE").action(ArgAction::Append),
        Takes::Number => own.value_name("N").value_parser(clap::value_parser!(u16)),
        Takes::OneOf(words) => own.value_name("WORD").value_parser(words.to_vec()),
        Takes::Flag | Takes::OnOff => own.action(ArgAction::SetTrue),
    };
    let own = match (option.takes, option.default) {
        (takes, _) if !takes.a_value() => own,
        (_, None) => own,
        (_, Some(default)) => own.default_value(default),
    };
    match option.negated {
        None => vec![own],
        Some(negated) => {
            let opposite = Arg::new(negated)
                .long(negated)
                .action(ArgAction::SetTrue)
                .hide(option.hidden)
                .help(format!("Negates --{}", option.name));
            vec![own.overrides_with(negated), opposite]
        }
    }
}

/// What was given of these options.
pub fn given(options: &[AgentOption], matches: &ArgMatches) -> Given {
    let mut given = Given::default();
    // What nobody typed is not given: an agent has its own defaults.
    let is_typed = |option: &&AgentOption| {
        let names = std::iter::once(option.name).chain(option.negated);
        let mut sources = names.map(|name| matches.value_source(name));
        sources.any(|source| source == Some(ValueSource::CommandLine))
    };
    for option in options.iter().filter(is_typed) {
        match option.takes {
            Takes::Number => {
                if let Some(number) = matches.get_one::<u16>(option.name) {
                    given.set_texts(option.name, vec![number.to_string()]);
                }
            }
            Takes::Flag => {
                if matches.get_flag(option.name) {
                    given.set_on(option.name, true);
                }
            }
            Takes::OnOff => {
                let is_off = option.negated.is_some_and(|negated| matches.get_flag(negated));
                let is_on = matches.get_flag(option.name);
                if is_on || is_off {
                    given.set_on(option.name, is_on);
                }
            }
            _ => {
                if let Some(texts) = matches.get_many::<String>(option.name) {
                    given.set_texts(option.name, texts.cloned().collect());
                }
            }
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::group::lenient;
    use crate::kinds::agents::family::Family;
    use crate::kinds::agents::said::Defaults;
    use crate::kinds::agents::words::with_long_forms;

    /// The words that give an option, in each of its forms.
    fn forms(option: &AgentOption) -> Vec<Vec<String>> {
        let name = format!("--{}", option.name);
        if !option.takes.a_value() {
            let negated = option.negated.map(|negated| vec![format!("--{negated}")]);
            return std::iter::once(vec![name]).chain(negated).collect();
        }
        let text = match option.takes {
            Takes::OneOf(words) => words[0],
            Takes::Number => "80",
            Takes::Json => "{}",
            Takes::Pairs => "A=b=c d",
            _ => "it's, \"so\"",
        };
        let short = option.short.map(|short| vec![format!("-{short}"), text.to_owned()]);
        [vec![name.clone(), text.to_owned()], vec![format!("{name}={text}")]]
            .into_iter()
            .chain(short)
            .collect()
    }

    /// Commands of containers are read without the parser of the terminal; both must agree.
    #[test]
    fn the_parser_of_the_terminal_reads_options_as_they_are_read_from_commands() {
        let mut compared = 0;
        for (family, action) in Family::ALL
            .into_iter()
            .flat_map(|it| it.actions().iter().map(move |action| (it, *action)))
        {
            let mut options = family.options(action);
            options.iter_mut().for_each(|option| option.required = false);
            let command = || {
                let command = Command::new("agent").no_binary_name(true).args_override_self(true);
                lenient(with_options(command, &options))
            };
            for words in options.iter().flat_map(forms) {
                let twice = [words.clone(), words.clone()].concat();
                for words in [words, twice] {
                    let matches = command()
                        .try_get_matches_from(with_long_forms(&words, &options))
                        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
                    let parsed = Given::parse(&words, &options).unwrap();
                    let said = |given: &Given| given.said(&options, Defaults::Unknown);
                    assert_eq!(said(&given(&options, &matches)), said(&parsed), "{words:?}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 5_000, "{compared}");
    }
}
