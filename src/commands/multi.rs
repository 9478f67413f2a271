//! `multi`: several agents in one service. Each is described by a piece of a text, with the options
//! of its own `service` command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, Command};
use secrecy::SecretString;
use serde_json::Value;

use super::agent::arguments::ServiceOptions;
use super::agent::{self, Wanted, arguments};
use super::group::lenient;
use super::option_values::warn_of_secret;
use super::service::deploy::{DeployArgs, Namesake};
use super::service::yaml;
use super::{usage, wait, whole_tree};
use crate::error::{Error, Result};
use crate::kinds::agents::family::Action;
use crate::kinds::agents::multi::{
    FAMILIES, Member, PYTHON, PYTHON_OPTIONS, Piece, pieces, service,
};
use crate::kinds::agents::options::AgentOption;
use crate::kinds::agents::service::About;
use crate::kinds::agents::words::with_long_forms;
use crate::output;
use crate::visible;

/// Commands of `multi`.
#[derive(Debug, clap::Subcommand)]
pub enum MultiCommand {
    /// Print the service that the agents would be, and send nothing
    Spec(DescribeArgs),
    /// Make the agents one service of a room or of the project
    Deploy(Box<MultiDeployArgs>),
    /// Serve the agents, so that they are called to rooms (not here yet)
    Service(ServeArgs),
    /// Let the agents enter a room (not here yet)
    Join(JoinArgs),
}

/// Agents, and the service that they are.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A piece is one of chatbot, worker, mailbot and voicebot, with the options of its `service` command,\n\
or `python FILE [--name CLASS] [--path PATH] [--identity NAME]`.\n\n\
Example:\n  -c 'chatbot --agent-name ann; worker --agent-name bob --queue jobs'"
)]
pub struct DescribeArgs {
    /// The agents: pieces that are separated by semicolons
    #[arg(short = 'c', value_name = "PIECES", required = true)]
    pieces: Vec<String>,
    #[command(flatten)]
    service: ServiceOptions<true>,
}

/// Arguments of `multi deploy`.
#[derive(Debug, clap::Args)]
pub struct MultiDeployArgs {
    #[command(flatten)]
    describe: DescribeArgs,
    /// The room; without it, the service is one of the project [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    deploy: DeployArgs,
}

/// Arguments of `multi service`.
#[derive(Debug, clap::Args)]
#[allow(dead_code, reason = "nothing is served yet")]
pub struct ServeArgs {
    /// The address to listen on; accepted, and not used
    #[arg(long, value_name = "TEXT")]
    host: Option<String>,
    /// The port to listen on; accepted, and not used
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// The agents: pieces that are separated by semicolons
    #[arg(short = 'c', value_name = "PIECES")]
    pieces: Option<String>,
}

/// Arguments of `multi join`.
#[derive(Debug, clap::Args)]
#[allow(dead_code, reason = "nothing enters rooms yet")]
pub struct JoinArgs {
    /// The project, by name or id
    #[arg(short = 'n', long, value_name = "PROJECT")]
    project_id: Option<String>,
    /// The agents: pieces that are separated by semicolons
    #[arg(short = 'c', value_name = "PIECES")]
    pieces: Option<String>,
    /// The port to listen on
    #[arg(short, long, value_name = "N")]
    port: Option<u16>,
    /// The room
    #[arg(long, value_name = "TEXT")]
    room: Option<String>,
    /// The API key that the token is signed with
    #[arg(long, value_name = "TEXT")]
    key: Option<SecretString>,
    /// The name with which agents take part whose pieces have none
    #[arg(long, value_name = "TEXT")]
    agent_name: Option<String>,
}

/// Runs a command of `multi`.
///
/// # Errors
///
/// Pieces that cannot be used; what the platform refuses; what this program does not do yet.
pub fn run(command: MultiCommand) -> Result<ExitCode> {
    match command {
        MultiCommand::Spec(args) => {
            let (service, _) = args.described()?;
            output::exactly(&yaml(service));
            Ok(ExitCode::SUCCESS)
        }
        MultiCommand::Deploy(args) => {
            let (service, files) = args.describe.described()?;
            let wanted = Wanted { service, room: args.room, namesake: Namesake::Last, files };
            wait(wanted.deploy(&args.deploy))
        }
        MultiCommand::Service(_) => Err(agent::not_run()),
        MultiCommand::Join(args) => {
            if args.key.is_some() {
                warn_of_secret("--key", "activate a key, or set MESHAGENT_API_KEY, instead");
            }
            Err(agent::not_run())
        }
    }
}

impl DescribeArgs {
    /// The service, and the files that its pieces name.
    fn described(self) -> Result<(Value, Vec<PathBuf>)> {
        let [text] = self.pieces.as_slice() else {
            // The reference takes the last one, and the other agents are lost.
            return Err(Error::usage("-c is given more than once")
                .hint("write all agents into one -c, separated by semicolons"));
        };
        let pieces =
            pieces(text).map_err(|why| Error::usage(format!("-c cannot be read: {why}")))?;
        if pieces.is_empty() {
            return Err(Error::usage("-c describes no agent").hint(
                "for example -c 'chatbot --agent-name ann; worker --agent-name bob --queue jobs'",
            ));
        }
        let ServiceOptions(given) = &self.service;
        let (mut members, mut files) = (Vec::new(), Vec::new());
        for (index, piece) in pieces.iter().enumerate() {
            let (member, file) = member(piece).map_err(|error| named(index, piece, error))?;
            members.push(member);
            files.extend(file);
        }
        let identity = given.filled("agent-name").unwrap_or_default();
        let service =
            service(&About::of(given), identity, &pieces, &members).map_err(Error::usage)?;
        for Member { family, given } in &members {
            agent::warn_of_secrets(given);
            if family.is_some() {
                agent::check_files(given)?;
            }
            files.extend(agent::files(given));
        }
        Ok((service, files))
    }
}

/// An error about a piece. It names the piece by its place and its first word: among the others may
/// be secrets.
fn named(index: usize, piece: &Piece, error: Error) -> Error {
    let word = piece.words.first().map(|word| visible::line(word)).unwrap_or_default();
    let told = format!("piece {} of -c, `{word}`: {}", index + 1, error.message);
    error.saying(told)
}

/// What a piece describes, and the file on this machine that it names.
fn member(piece: &Piece) -> Result<(Member, Option<PathBuf>)> {
    // Release 0.31.4 reads the pieces again, and splits at every semicolon.
    if piece.words.iter().any(|word| word.contains(';')) {
        return Err(Error::usage(
            "a word of it has a ;, where the command line in the container would split it, quoted or not",
        )
        .hint("write it without; rules can be in a file of the room, which --room-rules names"));
    }
    let (word, words) =
        piece.words.split_first().map(|(word, rest)| (word.as_str(), rest)).unwrap_or_default();
    if word == PYTHON {
        return python(words);
    }
    let family = FAMILIES.into_iter().find(|family| family.words() == [word]);
    let family = family.ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().flat_map(|family| family.words()).copied().collect();
        let known = format!("{} and {PYTHON}", known.join(", "));
        Error::usage("there is no such piece").hint(format!("there are {known}"))
    })?;
    let options = family.options(Action::Service);
    let command = Command::new(Action::Service.word())
        .bin_name(format!("meshagent {word} {}", Action::Service.word()));
    let matches = parsed(command, &options, words).map_err(|parser| {
        let line = ["meshagent", word, Action::Service.word()].map(str::to_owned);
        let line = [&line[..], words].concat();
        usage::error(&parser, whole_tree(), &line).unwrap_or_else(|| unread(&parser))
    })?;
    let given = arguments::given(&options, &matches);
    agent::check_options(family, &given)?;
    Ok((Member { family: Some(family), given }, None))
}

/// The class of a Python file that a piece describes.
fn python(words: &[String]) -> Result<(Member, Option<PathBuf>)> {
    let file = Arg::new("file").value_name("FILE").required(true);
    let command = Command::new(PYTHON).bin_name(PYTHON).arg(file);
    let matches = parsed(command, PYTHON_OPTIONS, words).map_err(|parser| {
        unread(&parser)
            .hint("write it as `python FILE [--name CLASS] [--path PATH] [--identity NAME]`")
    })?;
    let file = matches.get_one::<String>("file").map(String::as_str).unwrap_or_default();
    if !Path::new(file).is_file() {
        let file = visible::line(file);
        output::note(&format!("note: there is no file {file} here; the container needs it there"));
    }
    let given = arguments::given(PYTHON_OPTIONS, &matches);
    Ok((Member { family: None, given }, Some(PathBuf::from(file))))
}

/// Parses the words of a piece.
fn parsed(
    command: Command,
    options: &[AgentOption],
    words: &[String],
) -> std::result::Result<clap::ArgMatches, clap::Error> {
    let command = lenient(arguments::with_options(command, options))
        .no_binary_name(true)
        .args_override_self(true)
        .disable_help_flag(true);
    command.try_get_matches_from(with_long_forms(words, options))
}

/// What the parser says, on one line.
fn unread(parser: &clap::Error) -> Error {
    let text = parser.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::usage(first.strip_prefix("error: ").unwrap_or(&first))
}
