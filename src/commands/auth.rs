//! `auth`: signing in with a browser, signing out, and who is signed in.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use nix::sys::signal::Signal;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::show::ShowArgs;
use super::signals::Signals;
use crate::api::http;
use crate::api::oauth::{Flow, REDIRECT_PORT, SCOPE};
use crate::conceal;
use crate::connection::By;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::output;
use crate::serving::{self, Bounds};
use crate::settings::activated::Activated;
use crate::settings::session_file::{self, SessionFile};
use crate::settings::{PlatformArgs, variable};

/// Commands of `auth`.
#[derive(Debug, clap::Subcommand)]
pub enum AuthCommand {
    /// Sign in with a browser
    Login(SignInArgs),
    /// Sign out
    Logout,
    /// Show who is signed in
    Whoami(WhoamiArgs),
}

/// Arguments of the commands that sign in.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The tokens are kept in ~/.meshagent/session.json, which only you can read, and are refreshed\nbefore they expire. MESHAGENT_API_KEY and MESHAGENT_TOKEN take precedence over them.\nMESHAGENT_OAUTH_CLIENT_ID, MESHAGENT_OAUTH_CLIENT_SECRET and MESHAGENT_OAUTH_SCOPES\nset the OAuth client and the scopes."
)]
pub struct SignInArgs {
    // The text is read in a terminal, where a link needs no brackets.
    #[allow(rustdoc::bare_urls)]
    /// The platform's URL [env: MESHAGENT_API_URL] [default: https://api.meshagent.com]
    #[arg(long, value_name = "URL")]
    pub api_url: Option<String>,
    /// Sign in over plain http, even on another machine [env: MESHAGENT_INSECURE=1]
    #[arg(long)]
    pub insecure: bool,
    /// Only print the URL, for a browser that you open yourself on this machine
    #[arg(long)]
    pub no_browser: bool,
}

/// Arguments of `auth whoami`.
#[derive(Debug, clap::Args)]
pub struct WhoamiArgs {
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `auth`.
///
/// # Errors
///
/// What the platform refuses; a file that cannot be written; a sign-in that is cancelled.
pub async fn run(command: AuthCommand) -> Result<ExitCode> {
    match command {
        AuthCommand::Login(args) => {
            sign_in(&args).await?;
            output::note("you are signed in");
            if Activated::read()?.active_project.is_none() {
                output::note(
                    "no project is activated: `meshagent project list` lists the projects, `meshagent project activate` activates one",
                );
            }
        }
        AuthCommand::Logout => {
            let was_there = SessionFile::remove(&PlatformArgs::default().url()).await?;
            output::note(if was_there { "you are signed out" } else { "nobody was signed in" });
        }
        AuthCommand::Whoami(args) => return whoami(args).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Signs in and keeps the session.
///
/// # Errors
///
/// The port is in use; the person or the platform refuses; Ctrl-C.
pub async fn sign_in(args: &SignInArgs) -> Result<()> {
    let platform = PlatformArgs {
        api_url: args.api_url.clone(),
        insecure: args.insecure,
        ..PlatformArgs::default()
    };
    // What is signed in with there would go over the same way.
    let base = platform.safe_url()?;
    http::check_platform(&base)?;
    // Nobody would read the URL, and nothing could open it.
    let can_open = || !args.no_browser && has_display() && webbrowser::Browser::is_available();
    if !args.no_browser && !std::io::stderr().is_terminal() && !can_open() {
        return Err(Error::usage("there is neither a terminal nor a browser to sign in with").hint(
            "set MESHAGENT_API_KEY, or add --no-browser and open the printed URL on this machine, or on another one that forwards the port: `ssh -L 8765:localhost:8765 HOST`",
        ));
    }
    let program = session_file::program(&base, platform.timeout);
    let flow = Flow::new()?;
    let scope = variable("MESHAGENT_OAUTH_SCOPES").unwrap_or_else(|| SCOPE.to_owned());
    let url = flow.url(&program, &scope);
    let listeners = listen().await?;
    // Caught from here on, so that Ctrl-C is answered as soon as it is told of.
    let mut interrupt = Signals::listen(&[Signal::SIGINT])?;
    output::note("waiting for you to sign in; press Ctrl-C to cancel:");
    output::note(&url);
    if !args.no_browser {
        open(url);
    }
    let code = tokio::select! {
        code = wait_for_code(listeners, &flow.state) => code?,
        _ = interrupt.received() => return Err(Error::failed("the sign-in was cancelled")),
    };
    let tokens = flow.redeem(&program, &code).await?;
    SessionFile::begun(tokens, &base).write().await
}

/// Whether a browser could be shown. The program that opens one may be installed on a machine
/// without a screen, and would fail silently.
fn has_display() -> bool {
    cfg!(target_os = "macos")
        || ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"].into_iter().any(|it| variable(it).is_some())
}

/// Opens a browser, if there is one. The URL was printed in any case.
fn open(url: String) {
    // A browser in the terminal is waited for, so it is waited for elsewhere.
    std::thread::spawn(move || {
        if webbrowser::open(&url).is_err() {
            output::note("no browser could be opened: open the URL yourself");
        }
    });
}

/// Listens at the address to which the browser is redirected: `localhost` is either of two
/// addresses.
async fn listen() -> Result<Vec<TcpListener>> {
    let first = SocketAddr::from((Ipv4Addr::LOCALHOST, REDIRECT_PORT));
    let listener = TcpListener::bind(first).await.map_err(|cause| {
        Error::failed(format!("failed to listen on {first}, to which the browser is redirected"))
            .because(cause)
            .hint("end the other sign-in, or stop the program that uses the port")
    })?;
    let mut listeners = vec![listener];
    // Many machines have no IPv6.
    match TcpListener::bind((Ipv6Addr::LOCALHOST, REDIRECT_PORT)).await {
        Ok(listener) => listeners.push(listener),
        Err(cause) => tracing::debug!(%cause, "failed to listen on ::1"),
    }
    Ok(listeners)
}

/// A browser needs one or two connections and gets its answer before this ends; a browser that
/// keeps its connection open is not waited for.
const WAITING: Bounds = Bounds { connections: 32, grace: Duration::from_secs(1) };

/// What the browser sends.
#[derive(Deserialize)]
struct Brought {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

struct Waiting {
    state: SecretString,
    tell: mpsc::Sender<Result<SecretString>>,
}

async fn brought(
    State(waiting): State<Arc<Waiting>>,
    Query(brought): Query<Brought>,
) -> (StatusCode, &'static str) {
    let state = brought.state.unwrap_or_default();
    if !bool::from(state.as_bytes().ct_eq(waiting.state.expose_secret().as_bytes())) {
        return (StatusCode::BAD_REQUEST, "This belongs to another sign-in. Close this tab.\n");
    }
    let (outcome, text) = match (brought.code, brought.error) {
        (Some(code), None) => (Ok(code.into()), "You are signed in. Close this tab.\n"),
        (_, Some(error)) => {
            let told = brought.error_description.unwrap_or(error);
            let told = conceal::within_answer(&told);
            let told: String = told.chars().filter(|c| !c.is_control()).take(300).collect();
            let error = Error::failed(format!("the platform did not sign you in: {told}"));
            (Err(error), "You are not signed in. Close this tab.\n")
        }
        (None, None) => return (StatusCode::BAD_REQUEST, "There is no code in this request.\n"),
    };
    // Only the first answer counts.
    let _ = waiting.tell.try_send(outcome);
    (StatusCode::OK, text)
}

async fn wait_for_code(listeners: Vec<TcpListener>, state: &SecretString) -> Result<SecretString> {
    let (tell, mut told) = mpsc::channel(1);
    let waiting = Arc::new(Waiting { state: state.clone(), tell });
    let answers = Arc::new(Router::new().route("/callback", get(brought)).with_state(waiting));
    let stop = tokio_util::sync::CancellationToken::new();
    let servers: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            tokio::spawn(serving::serve(listener, Arc::clone(&answers), stop.clone(), WAITING))
        })
        .collect();
    drop(answers);
    let outcome = told.recv().await;
    stop.cancel();
    for server in servers {
        let _ = server.await;
    }
    outcome.unwrap_or_else(|| Err(Error::failed("failed to wait for the browser")))
}

async fn whoami(args: WhoamiArgs) -> Result<ExitCode> {
    let platform = args.platform.settled()?;
    let by = match platform.embedded {
        Some(_) => None,
        None => match platform.credential().await? {
            Some(credential) => Some(credential.by),
            None => {
                output::note("nobody is signed in: `meshagent auth login`");
                return args.show.print(&json!({"signed_in": false}));
            }
        },
    };
    platform
        .with(async |connection| {
            let reader = connection.client.reader();
            let request = reader.dialect().own_profile();
            let profile = match reader.get_json(&request).await {
                Ok(profile) => profile,
                // No person is behind the key of a project.
                Err(error) if error.status == Some(404) => Value::Null,
                Err(error) => return Err(error.into()),
            };
            let mut shown = json!({"signed_in": true, "api_url": connection.platform_name()});
            for field in ["id", "email", "first_name", "last_name"] {
                if let Some(value) = profile.get(field).filter(|value| !value.is_null()) {
                    shown[field] = value.clone();
                }
            }
            if profile.is_null() {
                shown["project_id"] = json!(connection.project_id().await.ok());
            }
            shown["credential"] = json!(match &by {
                None => "embedded",
                Some(By::Variable(name)) => name,
                Some(By::Session { .. }) => "session",
                Some(By::Activated { .. }) => "activated key",
            });
            if let Some(By::Session { scope, expires_at }) = &by {
                shown["scope"] = json!(scope);
                let ends = expires_at.and_then(|ends| jiff::Timestamp::from_second(ends).ok());
                shown["expires_at"] = json!(ends);
            }
            args.show.print(&shown)
        })
        .await
}
