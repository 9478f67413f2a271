//! Who may do what in a room, by the scope of the token.
//!
//! A section that a scope leaves out grants nothing. Where the reference leaves an operation open,
//! so does this, except for deletes in storage, which are gated here like uploads.

use serde_json::Value;

use super::files::FilePath;
use crate::kinds::specs::scope::{
    AgentsGrant, ApiScope, ContainersGrant, MemoryPermissions, MessagingGrant, QueuesGrant,
    SecretsGrant, StorageGrant, SyncGrant, TableGrant,
};

/// What an operation needs.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    /// The entry of the scope, as documentation names it; `api` for any scope.
    pub grant: &'static str,
    check: Check,
}

#[derive(Debug, Clone, Copy)]
enum Check {
    /// Whether the scope has something.
    Scope(fn(&ApiScope) -> bool),
    /// Whether it has something for the argument `name`.
    Name(fn(&ApiScope, &str) -> bool),
    /// Whether it has something for the argument `path`.
    Path(fn(&ApiScope, &FilePath) -> bool),
    /// Whether it has something for the arguments.
    Arguments(fn(&ApiScope, &Value) -> bool),
    /// Whether the table that this argument names may be used like this.
    Table(&'static str, fn(&TableGrant) -> bool),
    /// Whether the memory `name` may be used like this.
    Memory(fn(&MemoryPermissions) -> bool),
}

impl Gate {
    /// Whether a scope allows an operation with these arguments. What cannot be read is allowed
    /// here, because the operation itself refuses it.
    pub fn admits(&self, scope: &ApiScope, arguments: &Value) -> bool {
        match self.check {
            Check::Scope(check) => check(scope),
            Check::Name(check) => check(scope, arguments["name"].as_str().unwrap_or_default()),
            Check::Path(check) => match arguments["path"].as_str().map(FilePath::parse) {
                Some(Ok(path)) => check(scope, &path),
                _ => true,
            },
            Check::Arguments(check) => check(scope, arguments),
            Check::Table(argument, check) => {
                let name = arguments[argument].as_str().unwrap_or_default();
                table(scope, name, &arguments["namespace"], check)
            }
            Check::Memory(check) => memory(scope, arguments, check),
        }
    }
}

const fn scope(grant: &'static str, check: fn(&ApiScope) -> bool) -> Gate {
    Gate { grant, check: Check::Scope(check) }
}

const fn name(grant: &'static str, check: fn(&ApiScope, &str) -> bool) -> Gate {
    Gate { grant, check: Check::Name(check) }
}

const fn path(grant: &'static str, check: fn(&ApiScope, &FilePath) -> bool) -> Gate {
    Gate { grant, check: Check::Path(check) }
}

const fn on_table(
    grant: &'static str,
    argument: &'static str,
    check: fn(&TableGrant) -> bool,
) -> Gate {
    Gate { grant, check: Check::Table(argument, check) }
}

const fn on_memory(grant: &'static str, check: fn(&MemoryPermissions) -> bool) -> Gate {
    Gate { grant, check: Check::Memory(check) }
}

/// Open to every participant whose token has an `api` grant, as in the reference.
pub const OPEN: Gate = scope("api", |_| true);

/// Queues may be listed.
pub const QUEUES_LIST: Gate = scope("queues.list", |it| queues(it, |it| it.list));
/// The queue may be sent to.
pub const QUEUES_SEND: Gate = name("queues.send", sends_to);
/// The queue may be received from.
pub const QUEUES_RECEIVE: Gate = name("queues.receive", receives_from);
/// The queue may be sent to and received from.
pub const QUEUES_BOTH: Gate = name("queues.send and queues.receive", |scope, name| {
    sends_to(scope, name) && receives_from(scope, name)
});

/// The participant takes part in messaging.
pub const MESSAGING: Gate = scope("messaging", |it| it.messaging.is_some());
/// Messages to one participant are allowed.
pub const MESSAGING_SEND: Gate = scope("messaging.send", |it| messaging(it, |it| it.send));
/// Messages to everybody are allowed.
pub const MESSAGING_BROADCAST: Gate =
    scope("messaging.broadcast", |it| messaging(it, |it| it.broadcast));

/// The file may be read.
pub const STORAGE_READ: Gate = path("storage.paths", |it, path| right(it, path).is_some());
/// The file may be written.
pub const STORAGE_WRITE: Gate =
    path("storage.paths, not read_only", |it, path| right(it, path) == Some(Right::Write));

/// The file may be deleted, or the folder with everything in it.
pub const STORAGE_DELETE: Gate = path("storage.paths, with nothing read_only below", may_delete);

/// The document may be read.
pub const SYNC_READ: Gate = path("sync.paths", |it, path| shared(it, path).is_some());
/// The document may be changed.
pub const SYNC_WRITE: Gate =
    path("sync.paths, not read_only", |it, path| shared(it, path) == Some(Right::Write));

/// Logs may be written and watched.
pub const DEVELOPER_LOGS: Gate =
    scope("developer.logs", |it| it.developer.as_ref().is_some_and(|it| it.logs));
/// Services may be listed.
pub const SERVICES: Gate =
    scope("services.list", |it| it.services.as_ref().is_some_and(|it| it.list));

/// Secrets may be used: one's own, and those that are delegated to one.
pub const SECRETS: Gate = scope("secrets", |it| it.secrets.is_some());
/// Secrets may be stored, and with `for_identity` those of others.
pub const SECRETS_SET: Gate = Gate {
    grant: "secrets, and admin.config for another identity",
    check: Check::Arguments(|scope, header| {
        let is_admin = scope.admin.as_ref().is_some_and(|it| it.config);
        scope.secrets.is_some() && (header["for_identity"].is_null() || is_admin)
    }),
};
/// The token of this program may be asked for.
pub const SECRETS_TOKEN: Gate = Gate {
    grant: "secrets.request_oauth_token",
    check: Check::Arguments(|scope, header| {
        scope.secrets.as_ref().is_some_and(|it| may_have_token(it, &header["oauth"]))
    }),
};

/// Tables may be listed.
pub const TABLES_LIST: Gate =
    scope("database.list_tables", |it| it.database.as_ref().is_some_and(|it| it.list_tables));
/// The table may be read.
pub const TABLE_READ: Gate = on_table("database.tables, read", "table", |it| it.read);
/// Rows of the table may be written.
pub const TABLE_WRITE: Gate = on_table("database.tables, write", "table", |it| it.write);
/// Rows of the table may be written, and read: what is found by a condition tells what is in them, even
/// if it is changed and not shown.
pub const TABLE_CHANGE: Gate = Gate {
    grant: "database.tables, read and write",
    check: Check::Arguments(|scope, header| {
        on(scope, header, |it| it.read) && on(scope, header, |it| it.write)
    }),
};
/// The table may get columns. Those that are computed of others need that it may be read, too.
pub const TABLE_WIDEN: Gate = Gate {
    grant: "database.tables, alter, and read to compute values",
    check: Check::Arguments(|scope, header| {
        let mut columns = header["columns"].as_array().into_iter().flatten();
        let computes = columns.any(|column| !column["value_sql"].is_null());
        on(scope, header, |it| it.alter) && (!computes || on(scope, header, |it| it.read))
    }),
};
/// The table may be changed in its columns, indexes and versions.
pub const TABLE_ALTER: Gate = on_table("database.tables, alter", "table", |it| it.alter);
/// The table may be made, also in the place of another one, and dropped. These requests say `name`.
pub const TABLE_MAKE: Gate = on_table("database.tables, alter", "name", |it| it.alter);
/// All tables of a query may be read.
pub const TABLES_READ: Gate = Gate {
    grant: "database.tables, read, for each table",
    check: Check::Arguments(|scope, header| {
        let Some(tables) = header["tables"].as_array() else { return scope.database.is_some() };
        scope.database.is_some()
            && tables.iter().all(|it| {
                let name = it["name"].as_str().unwrap_or_default();
                table(scope, name, &it["namespace"], |it| it.read)
            })
    }),
};

/// Memories may be listed.
pub const MEMORIES_LIST: Gate =
    scope("memory.list", |it| it.memory.as_ref().is_some_and(|it| it.list));
/// The memory may be made. To make it anew in the place of another one drops that.
pub const MEMORY_CREATE: Gate = Gate {
    grant: "memory.memories, create, and drop to overwrite",
    check: Check::Arguments(|scope, header| {
        let overwrites = header["overwrite"] == true;
        memory(scope, header, |it| it.create && (!overwrites || it.drop))
    }),
};
/// The memory may be dropped.
pub const MEMORY_DROP: Gate = on_memory("memory.memories, drop", |it| it.drop);
/// What is in the memory may be told.
pub const MEMORY_INSPECT: Gate = on_memory("memory.memories, inspect", |it| it.inspect);
/// The memory may be asked.
pub const MEMORY_QUERY: Gate = on_memory("memory.memories, query", |it| it.query);
/// Records of the memory may be written and deleted.
pub const MEMORY_UPSERT: Gate = on_memory("memory.memories, upsert", |it| it.upsert);
/// The memory may take in texts.
pub const MEMORY_INGEST: Gate = on_memory("memory.memories, ingest", |it| it.ingest);
/// The memory may take in a table, which may be read.
pub const MEMORY_INGEST_TABLE: Gate = Gate {
    grant: "memory.memories, ingest, and database.tables, read",
    check: Check::Arguments(|scope, header| {
        let name = header["table"].as_str().unwrap_or_default();
        memory(scope, header, |it| it.ingest)
            && table(scope, name, &header["table_namespace"], |it| it.read)
    }),
};
/// The memory may take in files, which may be read.
pub const MEMORY_INGEST_FILES: Gate = Gate {
    grant: "memory.memories, ingest, and storage.paths",
    check: Check::Arguments(|scope, header| {
        let paths = header["paths"].as_array().into_iter().flatten();
        let given = paths.chain([&header["path"]]).filter_map(Value::as_str);
        memory(scope, header, |it| it.ingest)
            && given.map(|it| FilePath::parse(room_path(it))).all(|path| match path {
                Ok(path) => right(scope, &path).is_some(),
                // The operation itself refuses it.
                Err(_) => true,
            })
    }),
};
/// The memory may be searched.
pub const MEMORY_RECALL: Gate = on_memory("memory.memories, recall", |it| it.recall);
/// The memory may be made smaller.
pub const MEMORY_OPTIMIZE: Gate = on_memory("memory.memories, optimize", |it| it.optimize);

/// Containers may be used.
pub const CONTAINERS: Gate = scope("containers.use_containers", |it| containers(it, |_| true));
/// What containers wrote may be read.
pub const CONTAINERS_LOGS: Gate =
    scope("containers.use_containers and containers.logs", |it| containers(it, |it| it.logs));
/// The image may be fetched, sent, or made under its name.
pub const CONTAINERS_PULL: Gate = Gate {
    grant: "containers.pull",
    check: Check::Arguments(|scope, header| {
        may_pull(scope, header["tag"].as_str().unwrap_or_default())
    }),
};
/// Images may be made under any name.
pub const CONTAINERS_PULL_ANY: Gate = scope("containers.pull, of any image", |it| {
    containers(it, |it| it.pull.as_deref().is_none_or(|list| list.iter().any(|it| it == "*")))
});
/// The image may be run.
pub const CONTAINERS_RUN: Gate = Gate {
    grant: "containers.run",
    check: Check::Arguments(|scope, header| {
        let image = header["image"].as_str().unwrap_or_default();
        containers(scope, |it| is_listed(it.run.as_deref(), image))
    }),
};

/// Containers may be connected to, at the port `port`. No list, and an empty one, is of all ports.
pub const TUNNELS: Gate = Gate {
    grant: "tunnels, and the port in tunnels.ports",
    check: Check::Arguments(|scope, header| {
        let port = header["port"].as_str().unwrap_or_default();
        scope.tunnels.as_ref().is_some_and(|it| {
            it.ports.as_deref().is_none_or(|ports| ports.is_empty() || is_in(Some(ports), port))
        })
    }),
};

/// Agents may be called to the room.
pub const AGENTS_CALL: Gate = scope("agents.call", |it| agents(it, |it| it.call));
/// The toolkit may be offered to the room.
pub const AGENTS_REGISTER: Gate = Gate {
    grant: "agents.register_public_toolkit or agents.register_private_toolkit",
    check: Check::Arguments(|scope, header| {
        agents(scope, |it| match header["public"] == true {
            true => it.register_public_toolkit,
            false => it.register_private_toolkit,
        })
    }),
};
/// The tools of a participant's toolkit may be used.
pub const AGENTS_USE: Gate = name("agents.use_tools and agents.allowed_toolkits", |scope, name| {
    agents(scope, |it| {
        let is_allowed = |allowed: &Vec<String>| allowed.iter().any(|one| one == name);
        it.use_tools && it.allowed_toolkits.as_ref().is_none_or(is_allowed)
    })
});

/// The path of a file that is written as an address, too: documentation writes `room://notes.md`.
pub fn room_path(text: &str) -> &str {
    text.strip_prefix("room://").unwrap_or(text)
}

/// Whether a table may be used in some way: any entry with its name suffices that allows it. An entry
/// without a namespace is for all of them; none in a request is the same as an empty one.
fn table(
    scope: &ApiScope,
    name: &str,
    namespace: &Value,
    check: impl Fn(&TableGrant) -> bool,
) -> bool {
    let Some(database) = &scope.database else { return false };
    let Some(tables) = &database.tables else { return true };
    let is_meant = |it: &&TableGrant| it.name == name && is_in_namespace(&it.namespace, namespace);
    tables.iter().filter(is_meant).any(check)
}

/// Whether the table `table` of a request may be used in some way.
fn on(scope: &ApiScope, header: &Value, check: fn(&TableGrant) -> bool) -> bool {
    let name = header["table"].as_str().unwrap_or_default();
    table(scope, name, &header["namespace"], check)
}

/// Whether somebody may know that there is a table: who lists tables, or may do something with it.
pub fn sees_table(scope: &ApiScope, name: &str, namespace: &[String]) -> bool {
    scope.database.as_ref().is_some_and(|it| it.list_tables)
        || table(scope, name, &namespace.into(), |it| it.read || it.write || it.alter)
}

/// Whether the memory `name` of a request may be used in some way, as tables are.
fn memory(scope: &ApiScope, arguments: &Value, check: impl Fn(&MemoryPermissions) -> bool) -> bool {
    let Some(memory) = &scope.memory else { return false };
    let Some(memories) = &memory.memories else { return true };
    let name = arguments["name"].as_str().unwrap_or_default();
    memories.iter().any(|it| {
        it.name == name
            && is_in_namespace(&it.namespace, &arguments["namespace"])
            && check(&it.permissions)
    })
}

/// Whether an entry is for the namespace of a request.
fn is_in_namespace(entry: &Option<Vec<String>>, asked: &Value) -> bool {
    let asked = asked.as_array().map(Vec::as_slice).unwrap_or_default();
    entry.as_ref().is_none_or(|entry| entry.iter().eq(asked.iter()))
}

fn containers(scope: &ApiScope, check: impl FnOnce(&ContainersGrant) -> bool) -> bool {
    scope.containers.as_ref().is_some_and(|it| it.use_containers && check(it))
}

/// Whether an image may be fetched.
pub fn may_pull(scope: &ApiScope, image: &str) -> bool {
    containers(scope, |it| is_listed(it.pull.as_deref(), image))
}

/// Whether a list has an image: its whole name, or a beginning of it with `*` behind. Without a list,
/// any image is in it.
fn is_listed(list: Option<&[String]>, image: &str) -> bool {
    let is_it = |entry: &String| match entry.strip_suffix('*') {
        Some(beginning) => image.starts_with(beginning),
        None => entry == image,
    };
    !image.is_empty() && list.is_none_or(|list| list.iter().any(is_it))
}

fn queues(scope: &ApiScope, check: impl FnOnce(&QueuesGrant) -> bool) -> bool {
    scope.queues.as_ref().is_some_and(check)
}

fn sends_to(scope: &ApiScope, name: &str) -> bool {
    queues(scope, |it| is_in(it.send.as_deref(), name))
}

fn receives_from(scope: &ApiScope, name: &str) -> bool {
    queues(scope, |it| is_in(it.receive.as_deref(), name))
}

/// Whether a list has a name. Without a list, any name is in it.
fn is_in(list: Option<&[String]>, name: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|one| one == name))
}

fn messaging(scope: &ApiScope, check: impl FnOnce(&MessagingGrant) -> bool) -> bool {
    scope.messaging.as_ref().is_some_and(check)
}

/// Whether the token of a program may be asked for, by where people sign in for it. A star at the
/// end of an entry stands for anything.
fn may_have_token(grant: &SecretsGrant, oauth: &Value) -> bool {
    let Some(list) = &grant.request_oauth_token else { return true };
    let text = |name: &str| oauth[name].as_str().unwrap_or_default().trim();
    let (endpoint, client) = (text("authorization_endpoint"), text("client_id"));
    let is_meant = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => endpoint.starts_with(beginning),
        None => endpoint == pattern,
    };
    !endpoint.is_empty()
        && !client.is_empty()
        && list.iter().any(|it| is_meant(&it.endpoint) && it.client_id == client)
}

fn agents(scope: &ApiScope, check: impl FnOnce(&AgentsGrant) -> bool) -> bool {
    scope.agents.as_ref().is_some_and(check)
}

/// What may be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Read,
    Write,
}

/// Whether a file may be deleted, or a folder with everything in it: no entry makes something below
/// it `read_only` before another one decides about all of it.
fn may_delete(scope: &ApiScope, path: &FilePath) -> bool {
    right(scope, path) == Some(Right::Write) && has_all_of(scope, path, true)
}

/// Whether a folder may be mounted, with everything in it.
pub fn may_mount(scope: &ApiScope, path: &FilePath, writes: bool) -> bool {
    has_all_of(scope, path, writes)
}

/// Whether everything below a path may be read, or written.
fn has_all_of(scope: &ApiScope, path: &FilePath, writes: bool) -> bool {
    let Some(StorageGrant { paths }) = &scope.storage else { return false };
    let Some(paths) = paths else { return true };
    let folder = match path.text() {
        "" => String::new(),
        path => format!("{path}/"),
    };
    for entry in paths {
        let text = entry.path.trim_start_matches('/');
        if folder.starts_with(text) {
            return !(writes && entry.read_only);
        }
        if text.starts_with(&folder) && writes && entry.read_only {
            return false;
        }
    }
    false
}

/// The right to a file, if there is one: the first entry decides that is the beginning of its
/// path, as text. Slashes at the beginning mean nothing.
fn right(scope: &ApiScope, path: &FilePath) -> Option<Right> {
    let StorageGrant { paths } = scope.storage.as_ref()?;
    let Some(paths) = paths else { return Some(Right::Write) };
    let of = |entry: &str| path.text().starts_with(entry.trim_start_matches('/'));
    let first = paths.iter().find(|entry| of(&entry.path))?;
    Some(if first.read_only { Right::Read } else { Right::Write })
}

/// The right to a document, if there is one: the first entry decides that is its path, or ends in `*`
/// and is the beginning of it without that.
fn shared(scope: &ApiScope, path: &FilePath) -> Option<Right> {
    let SyncGrant { paths } = scope.sync.as_ref()?;
    let Some(paths) = paths else { return Some(Right::Write) };
    let of = |entry: &str| {
        let entry = entry.trim_start_matches("./").trim_start_matches('/');
        match entry.strip_suffix('*') {
            Some(start) => path.text().starts_with(start),
            None => path.text() == entry,
        }
    };
    let first = paths.iter().find(|entry| of(&entry.path))?;
    Some(if first.read_only { Right::Read } else { Right::Write })
}

#[cfg(test)]
mod tests;
