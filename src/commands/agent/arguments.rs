//! The options of agents as arguments of a command line.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::kinds::agents::given::Given;
use crate::kinds::agents::options::{AgentOption, Takes};

/// A command with these options.
pub fn with_options(command: Command, options: &[AgentOption]) -> Command {
    options.iter().flat_map(arguments).fold(command, Command::arg)
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
    for option in options {
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
