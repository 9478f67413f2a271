//! Groups of commands, which are built only when a command line names them.

use clap::builder::Resettable;
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};

/// A group of commands. Command lines of a `LENIENT` group were written for another program, which
/// accepts any word after an option as its value.
#[derive(Debug)]
pub struct Group<C, const LENIENT: bool = false>(pub C);

/// A group whose options take values that start with a dash.
pub type Lenient<C> = Group<C, true>;

impl<C: FromArgMatches, const LENIENT: bool> FromArgMatches for Group<C, LENIENT> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        C::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<C: Subcommand, const LENIENT: bool> Subcommand for Group<C, LENIENT> {
    fn augment_subcommands(command: Command) -> Command {
        command.defer(|command| {
            // What the list of groups says of it stays.
            let about: Resettable<_> = command.get_about().cloned().into();
            let long: Resettable<_> = command.get_long_about().cloned().into();
            let command = C::augment_subcommands(command).about(about).long_about(long);
            if LENIENT { lenient(command) } else { command }
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        C::has_subcommand(name)
    }
}

/// Lets values start with a dash, as passwords do.
pub fn lenient(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let takes_one = argument.get_action().takes_values() && argument.get_num_args().is_none();
        let is_option = !argument.is_positional();
        if takes_one && is_option { argument.allow_hyphen_values(true) } else { argument }
    });
    command.disable_help_subcommand(true).mut_subcommands(lenient)
}
