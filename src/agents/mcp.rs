//! MCP servers, whose tools are offered to a room as a toolkit.
//!
//! A tool is offered as the server describes it, and a call is answered with the server's result
//! as it is. What comes from the server is bounded: the size of an answer, the number of tools, and
//! the time that they take.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use futures_util::future::BoxFuture;
use rmcp::model::{CallToolRequestParams, PaginatedRequestParams, Tool};
use rmcp::service::{ClientInitializeError, NotificationContext, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::toolkit::{Offer, Toolkit};
use crate::api::http;
use crate::error::{causes, with_causes};
use crate::kinds::specs::service::{AllowedMcpToolFilter, McpEndpointSpec};
use crate::room::client::Room;
use crate::room::content::{Content, Refused};
use crate::settings;
use crate::visible;

/// How long a server may take to greet, or to say which tools it has.
const GREETING: Duration = Duration::from_secs(30);

/// How long a tool may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How large an answer of a server may be, in bytes: what a room's message can hold.
const ANSWER: usize = 2 * 1024 * 1024;

/// How many tools of a server are offered.
const TOOLS: usize = 512;

/// How much of what a server says is repeated, in characters.
const SAID: usize = 300;

/// A connection to an MCP server. Clones share it.
#[derive(Debug, Clone)]
pub struct Server {
    running: Arc<RunningService<RoleClient, Ears>>,
    changed: Arc<Notify>,
}

/// Hears that a server's tools have changed.
#[derive(Debug)]
struct Ears(Arc<Notify>);

impl ClientHandler for Ears {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.notify_one();
    }
}

impl Server {
    /// Connects to a server at a URL, over streamable HTTP.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, as a phrase: headers that cannot be sent, or would be sent in the
    /// open; no server, none of MCP, or one that asks for a sign-in.
    pub async fn connect(url: &str, headers: &BTreeMap<String, String>) -> Result<Self, String> {
        if !headers.is_empty() && !settings::is_insecure() {
            http::refuse_plain(url).map_err(|error| with_causes(&error))?;
        }
        Self::connect_by(http::of_platform(url), url, headers).await
    }

    /// The same by a client of the caller's, who knows that headers are not sent in the open.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub async fn connect_by(
        client: reqwest::ClientBuilder,
        url: &str,
        headers: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let client = http::build(client).map_err(|error| with_causes(&error))?;
        let mut config =
            StreamableHttpClientTransportConfig::with_uri(url).custom_headers(sent(headers)?);
        config.max_sse_event_size = ANSWER;
        config.max_json_response_size = ANSWER;
        let transport = StreamableHttpClientTransport::with_client(client, config);
        let changed = Arc::new(Notify::new());
        let greeted = timeout(GREETING, Ears(Arc::clone(&changed)).serve(transport)).await;
        let running = greeted.map_err(|_| "the MCP server does not answer".to_owned())?;
        let running = Arc::new(running.map_err(|error| match error {
            ClientInitializeError::TransportError { error, .. } => phrase(&error),
            other => phrase(&other),
        })?);
        Ok(Self { running, changed })
    }

    /// The tools that the server has now.
    ///
    /// # Errors
    ///
    /// Why they are not known, as a phrase.
    pub async fn tools(&self) -> Result<Vec<Tool>, String> {
        let asked = async {
            let (mut tools, mut cursor) = (Vec::new(), None);
            loop {
                let page = PaginatedRequestParams::default().with_cursor(cursor);
                let told = self.running.list_tools(Some(page)).await;
                let told = told.map_err(|error| phrase(&error))?;
                tools.extend(told.tools);
                if tools.len() > TOOLS {
                    return Err(format!("the MCP server has more than {TOOLS} tools"));
                }
                cursor = told.next_cursor;
                if cursor.is_none() {
                    return Ok(tools);
                }
            }
        };
        let asked = timeout(GREETING, asked).await;
        asked.map_err(|_| "the MCP server does not say which tools it has".to_owned())?
    }

    /// Waits until the server says that its tools have changed. Not every server does.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Toolkit for Server {
    fn call<'a>(
        &'a self,
        _: &'a Room,
        tool: &'a str,
        arguments: &'a Value,
    ) -> BoxFuture<'a, Result<Content, Refused>> {
        Box::pin(async move {
            let arguments = arguments.as_object().cloned().unwrap_or_default();
            let asked = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
            let answered = timeout(PATIENCE, self.running.call_tool(asked)).await;
            let answered =
                answered.map_err(|_| Refused::new(format!("{tool} did not answer in time")))?;
            match answered {
                Ok(result) => serde_json::to_value(result)
                    .map(Content::Json)
                    .map_err(|error| Refused::new(error.to_string())),
                Err(ServiceError::McpError(error)) => Err(Refused::new(short(&error.message))),
                Err(error) => Err(Refused::new(phrase(&error))),
            }
        })
    }
}

/// The headers as they are sent. They may be secret.
fn sent(headers: &BTreeMap<String, String>) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let one = |(name, value): (&String, &String)| {
        let shown = visible::line(name);
        let header = name.parse::<HeaderName>();
        let header = header.map_err(|_| format!("\"{shown}\" is not the name of a header"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of the header \"{shown}\" cannot be sent"))?;
        value.set_sensitive(true);
        Ok((header, value))
    };
    headers.iter().map(one).collect()
}

/// The offer of a server's tools, and the names of the tools that are left out because their
/// schemas cannot be used.
///
/// # Errors
///
/// What is wrong with the offer, as a phrase.
pub fn offer(endpoint: &McpEndpointSpec, tools: &[Tool]) -> Result<(Offer, Vec<String>), String> {
    let mut offered = Map::new();
    let mut left_out = Vec::new();
    for tool in tools.iter().filter(|tool| is_allowed(endpoint.allowed_tools.as_deref(), tool)) {
        let told = described(tool);
        match jsonschema::validator_for(&told["input_spec"]["schema"]) {
            Ok(_) => drop(offered.insert(tool.name.to_string(), told)),
            Err(_) => left_out.push(short(&tool.name)),
        }
    }
    let offer = Offer::of(json!({
        "name": endpoint.label,
        "title": endpoint.label,
        "description": endpoint.description.as_deref().unwrap_or_default(),
        "thumbnail_url": null,
        "public": true,
        "tools": offered,
    }))?;
    Ok((offer, left_out))
}

/// A tool as it is offered.
fn described(tool: &Tool) -> Value {
    json!({
        "title": tool.title.as_deref().unwrap_or(&tool.name),
        "description": tool.description.as_deref().unwrap_or_default(),
        "input_spec": {"types": ["json"], "stream": false, "schema": *tool.input_schema},
        "output_spec": null,
        "thumbnail_url": null,
        "defs": null,
        "pricing": null,
        "supports_context": false,
        "strict": false,
    })
}

/// Whether a tool is offered: no filter is given, or one of them fits.
fn is_allowed(filters: Option<&[AllowedMcpToolFilter]>, tool: &Tool) -> bool {
    let hint = tool.annotations.as_ref().and_then(|hints| hints.read_only_hint);
    let fits = |filter: &AllowedMcpToolFilter| {
        let named = filter.tool_names.as_ref();
        named.is_none_or(|names| names.iter().any(|name| *name == tool.name))
            && filter.read_only.is_none_or(|wanted| hint.unwrap_or_default() == wanted)
    };
    filters.is_none_or(|filters| filters.is_empty() || filters.iter().any(fits))
}

/// What a server or the client says, as far as it is repeated: without URLs, because they may hold
/// a credential.
fn short(said: &str) -> String {
    let words = said.split_whitespace().filter(|word| !word.contains("://"));
    visible::line(&words.collect::<Vec<_>>().join(" ")).chars().take(SAID).collect()
}

/// Why something failed.
fn phrase(error: &(dyn std::error::Error + 'static)) -> String {
    type Failed = StreamableHttpError<reqwest::Error>;
    const ASKS: &str = "the MCP server asks for a sign-in, which rooms here have not; a header Authorization may do";
    let innermost = causes(error).last().unwrap_or(error);
    let failed =
        [error].into_iter().chain(causes(error)).find_map(|it| it.downcast_ref::<Failed>());
    match failed {
        Some(Failed::AuthRequired(_) | Failed::InsufficientScope(_)) => ASKS.to_owned(),
        Some(Failed::UnexpectedServerResponse(said)) if said.starts_with("HTTP 401") => {
            ASKS.to_owned()
        }
        Some(Failed::UnexpectedServerResponse(said)) if said.starts_with("HTTP ") => {
            format!("the MCP server answered with {}", short(said))
        }
        Some(Failed::HttpStatus(status)) => format!("the MCP server answered with {status}"),
        Some(Failed::Client(error)) => match error.status() {
            Some(status) => format!("the MCP server answered with {status}"),
            None => {
                let why = causes(error).last().map_or_else(String::new, ToString::to_string);
                format!("the MCP server was not reached: {}", short(&why))
            }
        },
        Some(failed) => {
            format!("this is not an MCP server that can be used: {}", short(&failed.to_string()))
        }
        None => format!("the MCP server failed: {}", short(&innermost.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_without_its_url() {
        let url = "http://127.0.0.1:9/mcp?key=hush";
        let why = Server::connect(url, &BTreeMap::new()).await.unwrap_err();
        assert!(why.starts_with("the MCP server was not reached: "), "{why}");
        assert!(!why.contains("hush") && !why.contains("127.0.0.1"), "{why}");
        assert_eq!(short("no (http://a.test/?key=hush) way"), "no way");
    }
}
