//! The one table of what a room does: where an operation belongs, what it needs, and who runs it.
//! Nothing is done in a room that is not in it, so a test can walk it.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::calls::{Caller, Reply, Stream, refused, short};
use super::gates::{self, Gate};
use super::hosted;
use super::toolkits::{
    agents, containers, database, developer, images, memory, messaging, oauth, queues, secrets,
    services, storage, sync,
};
use crate::room::agents::{CallAgent, ListToolkits};
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::operation::{At, Operation, Secret};
use crate::room::toolkit::{Register, Unregister};
use crate::room::{
    containers as container, database as tables, developer as log, memory as memories,
    messaging as post, queues as queue, secrets as secret, services as service, storage as files,
    sync as documents,
};

/// An operation of a room.
pub struct Served {
    /// Where it belongs.
    pub at: At,
    /// What it needs.
    pub gate: Gate,
    /// Who runs it.
    pub run: Run,
}

/// How an operation is run.
#[derive(Clone, Copy)]
pub enum Run {
    /// It takes JSON and answers once.
    Once(fn(Caller, Value) -> BoxFuture<'static, Result<Reply, Refused>>),
    /// It takes bytes with a description, and answers once.
    Bytes(fn(Caller, Value, Secret) -> BoxFuture<'static, Result<Reply, Refused>>),
    /// It takes a stream and answers with one.
    Stream {
        /// Whether the caller's first part says what it is about; the gate looks at that.
        starts: bool,
        /// The operation.
        run: for<'a> fn(&'a mut Stream, Value) -> BoxFuture<'a, Result<(), Refused>>,
    },
}

/// An operation that answers once.
macro_rules! once {
    ($asked:ty, $gate:ident, $handler:path) => {
        Served {
            at: <$asked>::AT,
            gate: gates::$gate,
            run: Run::Once(|caller, header| {
                Box::pin(async move {
                    let asked = <$asked>::read(&header)?;
                    drop(header);
                    let answer = $handler(&caller, asked).await?;
                    Ok(<$asked>::answer(&answer).into())
                })
            }),
        }
    };
}

/// An operation that takes bytes with a description, and answers once.
macro_rules! bytes {
    ($asked:ty, $gate:ident, $handler:path) => {
        Served {
            at: <$asked>::AT,
            gate: gates::$gate,
            run: Run::Bytes(|caller, header, bytes| {
                Box::pin(async move {
                    let asked = <$asked>::read(&header)?.with_bytes(bytes);
                    drop(header);
                    let answer = $handler(&caller, asked).await?;
                    Ok(<$asked>::answer(&answer).into())
                })
            }),
        }
    };
}

/// An operation that answers with a stream.
macro_rules! stream {
    ($toolkit:literal, $tool:literal, $gate:ident, $starts:literal, $handler:path) => {
        Served {
            at: At::Tool($toolkit, $tool),
            gate: gates::$gate,
            run: Run::Stream {
                starts: $starts,
                run: |stream, start| Box::pin($handler(stream, start)),
            },
        }
    };
}

/// All operations.
pub static OPERATIONS: [Served; 96] = [
    once!(ListToolkits, OPEN, hosted::list),
    once!(Register, AGENTS_REGISTER, hosted::register),
    once!(Unregister, OPEN, hosted::unregister),
    once!(CallAgent, AGENTS_CALL, agents::call),
    once!(post::Enable, MESSAGING, messaging::enable),
    once!(post::Disable, MESSAGING, messaging::disable),
    once!(post::Send, MESSAGING_SEND, messaging::send),
    once!(post::Broadcast, MESSAGING_BROADCAST, messaging::broadcast),
    once!(queue::List, QUEUES_LIST, queues::list),
    once!(queue::Open, QUEUES_SEND, queues::open),
    once!(queue::Drain, QUEUES_RECEIVE, queues::drain),
    once!(queue::Close, QUEUES_BOTH, queues::close),
    once!(queue::Send, QUEUES_SEND, queues::send),
    Served {
        at: queue::Receive::AT,
        gate: gates::QUEUES_RECEIVE,
        run: Run::Once(|caller, header| Box::pin(queues::receive(caller, header))),
    },
    once!(files::Exists, OPEN, storage::exists),
    once!(files::Stat, OPEN, storage::stat),
    once!(files::List, OPEN, storage::list),
    once!(files::Delete, STORAGE_DELETE, storage::delete),
    once!(files::DownloadUrl, STORAGE_READ, storage::download_url),
    stream!("storage", "upload", STORAGE_WRITE, true, storage::upload),
    stream!("storage", "download", STORAGE_READ, true, storage::download),
    once!(documents::Create, SYNC_WRITE, sync::create),
    once!(documents::Describe, SYNC_READ, sync::describe),
    stream!("sync", "open", SYNC_READ, true, sync::open),
    once!(tables::ListTables, TABLES_LIST, database::list_tables),
    once!(tables::Inspect, TABLE_READ, database::inspect),
    once!(tables::DropTable, TABLE_MAKE, database::drop_table),
    once!(tables::AddColumns, TABLE_WIDEN, database::add_columns),
    once!(tables::AlterColumns, TABLE_ALTER, database::alter_columns),
    once!(tables::DropColumns, TABLE_ALTER, database::drop_columns),
    once!(tables::DropIndex, TABLE_ALTER, database::drop_index),
    once!(tables::Update, TABLE_CHANGE, database::update),
    once!(tables::Delete, TABLE_CHANGE, database::delete),
    once!(tables::Count, TABLE_READ, database::count),
    once!(tables::Optimize, TABLE_ALTER, database::optimize),
    once!(tables::Restore, TABLE_ALTER, database::restore),
    once!(tables::Checkout, TABLE_ALTER, database::checkout),
    once!(tables::ListVersions, TABLE_READ, database::list_versions),
    once!(tables::CreateVectorIndex, TABLE_ALTER, database::create_vector_index),
    once!(tables::CreateScalarIndex, TABLE_ALTER, database::create_scalar_index),
    once!(tables::CreateFullTextSearchIndex, TABLE_ALTER, database::create_full_text_search_index),
    once!(tables::ListIndexes, TABLE_READ, database::list_indexes),
    stream!("database", "create_table", TABLE_MAKE, true, database::create_table),
    stream!("database", "insert", TABLE_WRITE, true, database::insert),
    stream!("database", "merge", TABLE_CHANGE, true, database::merge),
    stream!("database", "search", TABLE_READ, true, database::search),
    stream!("database", "sql", TABLES_READ, true, database::sql),
    once!(memories::List, MEMORIES_LIST, memory::list),
    once!(memories::Create, MEMORY_CREATE, memory::create),
    once!(memories::Drop, MEMORY_DROP, memory::drop),
    once!(memories::Inspect, MEMORY_INSPECT, memory::inspect),
    once!(memories::Query, MEMORY_QUERY, memory::query),
    once!(memories::UpsertTable, MEMORY_UPSERT, memory::upsert_table),
    once!(memories::UpsertNodes, MEMORY_UPSERT, memory::upsert_nodes),
    once!(memories::UpsertRelationships, MEMORY_UPSERT, memory::upsert_relationships),
    once!(memories::IngestText, MEMORY_INGEST, memory::ingest_text),
    once!(memories::IngestImage, MEMORY_INGEST, memory::ingest_image),
    once!(memories::IngestFile, MEMORY_INGEST_FILES, memory::ingest_file),
    once!(memories::IngestFromTable, MEMORY_INGEST_TABLE, memory::ingest_from_table),
    once!(memories::IngestFromStorage, MEMORY_INGEST_FILES, memory::ingest_from_storage),
    once!(memories::Recall, MEMORY_RECALL, memory::recall),
    once!(memories::DeleteEntities, MEMORY_UPSERT, memory::delete_entities),
    once!(memories::DeleteRelationships, MEMORY_UPSERT, memory::delete_relationships),
    once!(memories::Optimize, MEMORY_OPTIMIZE, memory::optimize),
    once!(container::ListImages, CONTAINERS, images::list),
    once!(container::DeleteImage, CONTAINERS, images::delete),
    once!(container::PullImage, CONTAINERS_PULL, images::pull),
    once!(container::PushImage, CONTAINERS_PULL, images::push),
    once!(container::LoadImage, CONTAINERS_PULL_ANY, images::load),
    once!(container::SaveImage, CONTAINERS, images::save),
    once!(container::Build, CONTAINERS_PULL, images::build),
    once!(container::Run, CONTAINERS_RUN, containers::run),
    once!(container::RunService, CONTAINERS, containers::run_service),
    once!(container::Stop, CONTAINERS, containers::stop),
    once!(container::WaitForExit, CONTAINERS, containers::wait_for_exit),
    once!(container::Delete, CONTAINERS, containers::delete),
    once!(container::List, CONTAINERS, containers::list),
    stream!("containers", "exec", CONTAINERS, true, containers::exec),
    stream!("containers", "logs", CONTAINERS_LOGS, true, containers::logs),
    once!(log::Log, DEVELOPER_LOGS, developer::log),
    once!(log::Info, DEVELOPER_LOGS, developer::info),
    once!(log::Warning, DEVELOPER_LOGS, developer::warning),
    once!(log::Error, DEVELOPER_LOGS, developer::error),
    stream!("developer", "logs", DEVELOPER_LOGS, false, developer::logs),
    once!(service::List, SERVICES, services::list),
    once!(service::Restart, SERVICES, services::restart),
    once!(secret::List, SECRETS, secrets::list),
    bytes!(secret::Set, SECRETS_SET, secrets::set),
    once!(secret::Get, SECRETS, secrets::get),
    once!(secret::Delete, SECRETS, secrets::delete),
    once!(secret::Request, SECRETS, secrets::request),
    bytes!(secret::Provide, SECRETS, secrets::provide),
    once!(secret::DeleteRequested, SECRETS, secrets::delete_requested),
    once!(secret::RequestToken, SECRETS_TOKEN, oauth::request),
    once!(secret::ProvideAuthorization, SECRETS, oauth::provide),
    once!(secret::GetToken, SECRETS_TOKEN, oauth::get),
];

/// An operation, as documentation and tests see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationSummary {
    /// Where it belongs, such as `queues.send`.
    pub at: String,
    /// What it needs: an entry of the scope, or `api` for any scope.
    pub grant: &'static str,
    /// Whether it answers with a stream.
    pub is_stream: bool,
    /// Whether it takes bytes with a description.
    pub takes_bytes: bool,
}

/// All operations, as documentation and tests see them.
pub fn summaries() -> Vec<OperationSummary> {
    let summary = |served: &Served| OperationSummary {
        at: served.at.to_string(),
        grant: served.gate.grant,
        is_stream: matches!(served.run, Run::Stream { .. }),
        takes_bytes: matches!(served.run, Run::Bytes(_)),
    };
    OPERATIONS.iter().map(summary).collect()
}

/// The toolkits of rooms that this platform does not have, and what they would be for.
const ABSENT: [(&str, &str); 1] = [("livekit", "audio and video")];

/// Whether a tool is the room's own. A toolkit that this platform lacks has all tools that one
/// could think of.
pub fn is_built_in(toolkit: &str, tool: &str) -> bool {
    of_tool(toolkit, tool)
        .map_or_else(|refused| refused.code == Some(codes::DEPENDENCY_MISSING), |_| true)
}

/// Whether participants cannot offer a toolkit of this name, because the room has one. What reads
/// files for agents is called `storage` by the reference, too.
pub fn is_reserved(toolkit: &str) -> bool {
    let is_own = |served: &Served| matches!(served.at, At::Tool(of, _) if of == toolkit);
    let is_absent = |(name, _): &(&str, &str)| *name == toolkit;
    toolkit != "storage" && (OPERATIONS.iter().any(is_own) || ABSENT.iter().any(is_absent))
}

/// The operation with messages of a kind.
pub fn of_room(kind: &str) -> Option<&'static Served> {
    OPERATIONS.iter().find(|served| matches!(served.at, At::Room(of) if of == kind))
}

/// The operation of a tool.
///
/// # Errors
///
/// The toolkit has no such tool, or this platform lacks the toolkit.
pub fn of_tool(toolkit: &str, tool: &str) -> Result<&'static Served, Refused> {
    if let Some((_, what)) = ABSENT.iter().find(|(name, _)| *name == toolkit) {
        let text = format!("the embedded platform has no {what} yet");
        return Err(refused(codes::DEPENDENCY_MISSING, text));
    }
    let is_meant =
        |served: &&Served| matches!(served.at, At::Tool(of, name) if of == toolkit && name == tool);
    OPERATIONS.iter().find(is_meant).ok_or_else(|| {
        refused(codes::NOT_FOUND, format!("the toolkit {toolkit:?} has no tool {:?}", short(tool)))
    })
}
