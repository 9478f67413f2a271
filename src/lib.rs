//! `meshagent`: a declarative reconciler for MeshAgent projects, and an embedded platform.
//!
//! The map of the house. Dependencies run downward only; what is marked *pure* does no
//! input or output and has no async. `tests/layers.rs` holds the map to that.
//!
//! | module | holds |
//! |---|---|
//! | [`commands`] | one file a command of the terminal: its arguments beside the code that runs them |
//! | [`connection`] | the platform that is meant, connected; an embedded one is started |
//! | [`platform`] | the embedded platform; stands beside `commands` and never imports them |
//! | [`agents`] | what works in rooms, and the host that lets it be called there |
//! | [`checkout`] | the working copy of a repository, through the `git` program |
//! | [`project_file`] | `meshagent.yaml`: the environments that a folder's manifests are applied to |
//! | [`reconcile`] | the use cases: decide what is to become of a set, and perform it, for any front end |
//! | [`apply`] | observe the platform, execute a plan, the inventory of a set, what is inside of rooms |
//! | [`plan`] | *pure*: desired and observed become a plan; how a plan reads |
//! | [`approval`] | *pure*: who approved a plan: statements, signatures, approvers, and which count |
//! | [`settings`] | flags, environment and files, resolved once |
//! | [`sources`] | manifests from elsewhere: the lock, the cache, and how they are fetched |
//! | [`manifest`] | files become documents with positions; templates; validation; the set |
//! | [`dialect`] | *pure*: how APIs spell what is done with the kinds: requests, and what answers mean |
//! | [`kinds`] | *pure*: one file a kind: its fields, key and references |
//! | [`room`] | what goes over a room's websocket: messages and the client |
//! | [`records`] | *pure*: rows of tables as they are written in files |
//! | [`documents`] | *pure*: documents that several edit at once: what they may contain, how they change |
//! | [`forge`] | GitHub, GitLab and Gitea: comments, issues and pull requests, as requests and their client |
//! | [`api`] | requests as values, and the client that sends them |
//! | [`serving`] | connections: how many, how long, and how they end; for everything that listens |
//! | [`git`] | how the `git` program is started, wherever it is used |
//! | [`own_folder`] | folders for the program's own files, which stay out of Git |
//! | [`bounded`] | how files are read: up to a limit, and nothing that makes one wait |
//! | [`notice`] | what goes wrong often is logged once |
//! | [`limited`] | work that has a known stack, and an end |
//! | [`output`] | the one printer |
//! | [`whole_file`] | files that are written whole or not at all |
//! | [`conceal`] | *pure*: known credentials are removed from everything that is shown |
//! | [`listed`] | *pure*: names in a sentence, as many as anybody reads, and which one was meant |
//! | [`decoding`] | *pure*: what serde's messages tell beside their words |
//! | [`whereabouts`] | *pure*: where a run takes place: the system, the forge, the pull request, the commit |
//! | [`error`] | classes of error, their hints, their exit codes |
//! | [`visible`] | *pure*: how text from outside is shown, on every way out |
//! | [`meshagent_jinja`] | *pure*: a crate of its own, `crates/jinja`: the platform's templates |
//! | [`meshagent_tables`] | a crate of its own, `crates/tables`: the tables of a room; its types and values are pure |
//! | [`meshagent_arrow`] | a crate of its own, `crates/arrow`: rows of tables as Arrow, and out of files of Arrow and Parquet |
//! | [`meshagent_memory`] | a crate of its own, `crates/memory`: the memories of a room |
//! | [`meshagent_containers`] | a crate of its own, `crates/containers`: what is said to Docker or Podman |
//!
//! The words of the house:
//!
//! | word | meaning |
//! |---|---|
//! | manifest | a file of documents: YAML or JSON, or a template of one |
//! | document | one YAML document: `version`, `kind`, `metadata` and the fields of its kind |
//! | set | a named group of objects that belong together: all documents of one command; it owns what it created or adopted |
//! | source | manifests from elsewhere that the project file names; also what a secret or a text is read from |
//! | pin | what a source was, in `meshagent.lock`: its commit or digest, and a digest over its files |
//! | dialect | how one release spells the API: 0.31 or 0.56; which one is spoken is asked first |
//! | kind | a sort of object, such as Room or Service; [`kinds::KindName`] lists them |
//! | key | what identifies an object: its kind, its project, its room where it has one, its name |
//! | desired, observed | what the set says; what the platform answers |
//! | plan | operations in the order of their dependencies, each with its reason and a fingerprint of what was observed |
//! | operation | create, update, replace, delete, adopt, release or rename one object |
//! | adopt | take an object that is there and that no set owns into a set |
//! | approval | a signed statement that one saved plan may be applied, where, and until when |
//! | approver | a person whose approvals count, by a name and keys in a file |
//! | release | take an object out of a set, and leave it where it is |
//! | derive | make an object of what another document implies, as a mailbox of a placed template |
//! | place | of a template: make a service of it with values, in a room or for the project; of a message: file, line and column |
//! | inside of a room | what only whoever enters the room can read or write: its files, documents, secrets |
//! | unseen | said of what is inside of a room and was not looked at: it counts as it was last applied |
//! | drift | observed differs from what was last applied, and no document asked for that |
//! | inventory | what a set owns, what it last applied and what it protects; the platform keeps it |
//! | claim | the note in the inventory, before a create, of what is about to be created: whose answer is lost is found again by it |
//! | history | the last states of a set, in the project's storage, each with its plan and who ran it |
//! | lease | the right to apply a set, for a while; one run holds it at a time |
//! | journal | what a run did, in a file, for the case that it cannot say it |
//! | fingerprint | a keyed digest of a value, which tells that it changed and not what it is |
//! | seal | a text that is secret is held so that it cannot be printed; a sign stands in its place |
//! | guard | a reason to refuse a plan: what is not owned, what is protected, too many deletes |
//! | past state | what a set owned after a run, by number: its documents, without secrets |
//! | shortcut | a command that writes one object, through the same executor as a plan |
//! | forge | where a repository is kept, with its pull requests and issues: GitHub, GitLab, Gitea |
//! | occasion | what a run of continuous integration is about: a pull request, a branch, something else |
//! | platform | the service behind the API: the hosted one, or the embedded one |
//! | environment | a named target of the same manifests: project, values, guards, overrides |
//! | override | a field of a document that the project file says in the place of the manifest |
//!
//! Invariants: the planner decides and the executor obeys; there is one write path;
//! standard output is data; a secret's text never enters a plan, a report or a message; text
//! from outside leaves as [`visible`] shows it.

pub mod agents;
pub mod api;
pub mod apply;
pub mod approval;
pub mod bounded;
pub mod checkout;
pub mod commands;
pub mod conceal;
pub mod connection;
pub mod decoding;
pub mod dialect;
pub mod documents;
pub mod error;
pub mod forge;
pub mod git;
pub mod kinds;
pub mod limited;
pub mod listed;
pub mod manifest;
pub mod notice;
pub mod output;
pub mod own_folder;
pub mod plan;
pub mod platform;
pub mod project_file;
pub mod reconcile;
pub mod records;
pub mod room;
pub mod serving;
pub mod settings;
pub mod sources;
pub mod visible;
pub mod whereabouts;
pub mod whole_file;
