//! `setup`: from nothing to a project that commands can work on, in a terminal.

use std::io::IsTerminal;
use std::process::ExitCode;

use nix::sys::signal::Signal;

use super::auth::{self, SignInArgs};
use super::signals::Signals;
use super::{api_key, project};
use crate::dialect::{Holder, Speaks};
use crate::error::{Class, Error, Result};
use crate::output;
use crate::settings::PlatformArgs;
use crate::settings::activated::Activated;

/// Signs in, chooses a project, and creates a key for it if it has none.
///
/// # Errors
///
/// There is no terminal; what the platform refuses; a file that cannot be written.
pub async fn run(args: SignInArgs) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Error::usage("setup asks questions, but there is no terminal").hint(
            "set MESHAGENT_API_KEY and MESHAGENT_PROJECT_ID, or use `auth login` and `project activate`",
        ));
    }
    output::note("1. Sign in");
    auth::sign_in(&args).await?;
    output::note("you are signed in");
    output::heading("2. Choose a project");
    // Having caught Ctrl-C once, a process does not end by it any more, and a question that
    // waits for its answer looks at nothing else. All files are written whole, so it may end
    // anywhere.
    let mut interrupt = Signals::listen(&[Signal::SIGINT])?;
    tokio::spawn(async move {
        interrupt.received().await;
        output::error(&Error::failed("setup was cancelled; you stay signed in"));
        std::process::exit(i32::from(Class::Failed.exit_code()));
    });
    let SignInArgs { api_url, insecure, .. } = args;
    let platform = PlatformArgs { api_url, insecure, ..PlatformArgs::default() };
    platform
        .with(async |connection| {
            let Some(id) = project::choose(connection).await? else {
                output::note("no project is activated");
                return Ok(ExitCode::SUCCESS);
            };
            project::activate(connection, &id).await?;
            output::heading("3. Get a key that signs the project's tokens");
            let of = Holder { project: &id, account: None };
            if Activated::read()?.has_key(&id) {
                output::note("there is one");
            } else if connection.client.dialect().api_keys(of).is_none() {
                output::note(
                    "keys belong to service accounts here: use `meshagent api-key create NAME --service-account ACCOUNT --activate` to create one",
                );
            } else {
                let name = project::ask("A name for a new API key (empty for none): ")?;
                if name.is_empty() {
                    output::note(
                        "no key was created: use `meshagent api-key create --activate` to create one",
                    );
                } else {
                    let key = api_key::make(connection, of, &name, "").await?;
                    api_key::keep(connection, &id, &key)?;
                }
            }
            output::heading("setup is complete: try `meshagent rooms list`");
            Ok(ExitCode::SUCCESS)
        })
        .await
}
