//! *Pure*: the options with which agents are described, in groups that travel together. A command of
//! an agent, and the kind Agent, are made of groups; an option of one is there everywhere.
//!
//! Names, types and defaults are those of release 0.31.4.

use crate::kinds::Beside;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A text; the last one counts.
    Text,
    /// Texts, one each time that it is given.
    Texts,
    /// Words, several of them separated by commas.
    Words,
    /// Texts `NAME=VALUE`; the last one of a name counts.
    Pairs,
    /// A JSON object.
    Json,
    /// A whole number.
    Number,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Nothing: it is on.
    Flag,
    /// Nothing: it is on, or off as `--no-…`.
    OnOff,
}

impl Takes {
    /// Whether a value follows.
    #[must_use]
    pub const fn a_value(self) -> bool {
        !matches!(self, Self::Flag | Self::OnOff)
    }
}

/// Where an option stands in a document of the kind Agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the field of the same name.
    Own,
    /// In this field; names are separated by dots.
    Field(&'static str),
    /// Nowhere: another field, or another option, says the same.
    Nowhere,
}

/// The maps that fields of documents stand in, and what they are about.
pub const MAPS: [(&str, &str); 7] = [
    ("requires", "What has to be in the room before the agent starts."),
    ("offers", "Tools that a caller may turn on with a message."),
    ("tools", "Tools that are always there."),
    ("mounts", "What is mounted for the agent's tools."),
    ("shell", "The shell that the agent's tools run commands in."),
    ("threading", "How the agent keeps threads."),
    ("codex", "The app server of codex."),
];

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentOption {
    /// Its name, without dashes.
    pub name: &'static str,
    /// Its short form, without the dash; of one or two letters.
    pub short: Option<&'static str>,
    /// The name of its opposite, without dashes, if it has one.
    pub negated: Option<&'static str>,
    /// What it takes.
    pub takes: Takes,
    /// What counts if it is not given.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is left out of the help: another name of something.
    pub hidden: bool,
    /// The option that it is another name of.
    pub alias_of: Option<&'static str>,
    /// Where it stands in a document.
    pub place: Place,
    /// What its items may be in a document in place of texts.
    pub beside: Option<Beside>,
    /// What it means.
    pub help: &'static str,
}

impl AgentOption {
    /// An option that need not be given.
    #[must_use]
    pub const fn new(name: &'static str, takes: Takes, help: &'static str) -> Self {
        Self {
            name,
            short: None,
            negated: None,
            takes,
            default: None,
            required: false,
            hidden: false,
            alias_of: None,
            place: Place::Own,
            beside: None,
            help,
        }
    }

    /// The field in which it stands in a document, as the names on the way.
    #[must_use]
    pub fn field(&self) -> Option<Vec<String>> {
        match self.place {
            Place::Own => Some(vec![self.name.replace('-', "_")]),
            Place::Field(path) => Some(path.split('.').map(str::to_owned).collect()),
            Place::Nowhere => None,
        }
    }

    const fn short(self, short: &'static str) -> Self {
        Self { short: Some(short), ..self }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    const fn alias_of(self, name: &'static str) -> Self {
        Self { alias_of: Some(name), place: Place::Nowhere, hidden: true, ..self }
    }

    const fn at(self, field: &'static str) -> Self {
        Self { place: Place::Field(field), ..self }
    }

    const fn nowhere(self) -> Self {
        Self { place: Place::Nowhere, ..self }
    }

    const fn beside(self, beside: Beside) -> Self {
        Self { beside: Some(beside), ..self }
    }
}

/// A text.
const fn text(name: &'static str, help: &'static str) -> AgentOption {
    AgentOption::new(name, Takes::Text, help)
}

/// Texts.
const fn texts(name: &'static str, help: &'static str) -> AgentOption {
    AgentOption::new(name, Takes::Texts, help)
}

/// Words.
const fn words(name: &'static str, help: &'static str) -> AgentOption {
    AgentOption::new(name, Takes::Words, help)
}

/// Texts with names.
const fn pairs(name: &'static str, help: &'static str) -> AgentOption {
    AgentOption::new(name, Takes::Pairs, help)
}

/// A JSON object.
const fn json(name: &'static str, help: &'static str) -> AgentOption {
    AgentOption::new(name, Takes::Json, help)
}

/// Something that is on or off.
macro_rules! on_off {
    ($name:literal, $help:literal) => {
        AgentOption {
            negated: Some(concat!("no-", $name)),
            ..AgentOption::new($name, Takes::OnOff, $help)
        }
    };
}

/// No options.
pub const NONE: &[AgentOption] = &[];

/// The project, and the room that is entered.
pub const ROOM: &[AgentOption] = &[
    text("project-id", "The project, by name or id"),
    text("room", "The room"),
    text("agent-name", "The name with which the agent takes part in its room"),
];

/// The role that is entered with.
pub const ROLE: &[AgentOption] =
    &[text("role", "The role with which the agent enters").default("agent")];

/// The key that a token is signed with.
pub const KEY: &[AgentOption] = &[text("key", "The API key that the token is signed with")];

/// Where the token is.
pub const TOKEN: &[AgentOption] = &[text("token-from-env", "The variable that holds the token")];

/// What is said to an agent that runs.
pub const TALK: &[AgentOption] = &[
    text("thread-path", "The thread to talk in"),
    text("message", "One message; its answer is printed"),
    on_off!("use-web-search", "Let the agent search the web for it"),
    on_off!("use-image-gen", "Let the agent make images for it"),
    on_off!("use-storage", "Let the agent use files for it"),
];

/// How much is logged.
pub const VERBOSE: &[AgentOption] = &[AgentOption::new("verbose", Takes::Flag, "Log as usual")];

/// What a task is given.
pub const TASK_INPUT: &[AgentOption] = &[
    text("input", "The arguments of the task, as JSON; - for standard input"),
    on_off!("with-caller", "Call the task as the person who is signed in").default("true"),
];

/// What describes the service.
pub const SERVICE: &[AgentOption] = &[
    text("service-name", "The name of the service; the agent's if absent").nowhere(),
    text("service-description", "What the service is for").nowhere(),
    text("service-title", "A title; accepted, and not used").nowhere(),
    texts("secret", "A secret of the project whose values the container has as variables")
        .at("secrets"),
];

/// The agent's name.
pub const AGENT: &[AgentOption] =
    &[text("agent-name", "The name with which the agent takes part in its room").required()];

/// The project, and the room.
pub const PLACE: &[AgentOption] = &[
    text("project-id", "The project, by name or id").nowhere(),
    text("room", "The room; without it, the service is one of the project [env: MESHAGENT_ROOM]")
        .nowhere(),
];

/// Where a service listens.
pub const HOSTING: &[AgentOption] = &[
    text("host", "The address to listen on"),
    AgentOption::new("port", Takes::Number, "The port to listen on"),
    text("path", "The path under which the agent is called"),
];

/// What the agent is told to do.
pub const RULES: &[AgentOption] = &[
    texts("rule", "A rule that the agent follows").at("rules").beside(Beside::File).short("r"),
    texts("rules-file", "A file with rules, one in a line, where the agent runs").at("rules_files"),
    texts("room-rules", "A file with rules in the room's storage, read for every turn").short("rr"),
];

/// What has to be in the room before the agent starts.
pub const REQUIREMENTS: &[AgentOption] = &[
    texts("require-toolkit", "A toolkit that the agent waits for, and uses")
        .at("requires.toolkits")
        .short("rt"),
    texts("require-schema", "A schema of documents that the agent waits for")
        .at("requires.schemas")
        .short("rs"),
    texts("toolkit", "Another name of --require-toolkit").short("t").alias_of("require-toolkit"),
    texts("schema", "Another name of --require-schema").short("s").alias_of("require-schema"),
];

/// The same for those that have only the other names.
pub const HIDDEN_REQUIREMENTS: &[AgentOption] = &[
    texts("toolkit", "A toolkit that the agent waits for, and uses")
        .at("requires.toolkits")
        .short("t")
        .hidden(),
    texts("schema", "A schema of documents that the agent waits for")
        .at("requires.schemas")
        .short("s")
        .hidden(),
];

/// The model.
pub const MODEL: &[AgentOption] =
    &[text("model", "The model; names that begin with claude- are Anthropic's").default("gpt-5.4")];

/// The model of codex.
pub const CODEX_MODEL: &[AgentOption] =
    &[text("model", "The model of codex").default("gpt-5.4-codex")];

/// Whether requests to models are logged.
pub const MODEL_LOG: &[AgentOption] =
    &[on_off!("log-llm-requests", "Log the requests to the model").default("false")];

/// Who else does the model's work.
pub const MODEL_PARTICIPANT: &[AgentOption] =
    &[text("llm-participant", "The participant that answers in place of a model")];

/// Tools that a caller may turn on with a message.
pub const OFFERED_TOOLS: &[AgentOption] = &[
    text("image-generation", "Offer the generation of images, with a model")
        .at("offers.image_generation"),
    on_off!("local-shell", "Offer a shell on the agent's own machine")
        .at("offers.local_shell")
        .default("false"),
    on_off!("shell", "Offer a shell in a container").at("offers.shell").default("false"),
    on_off!("apply-patch", "Offer patches of files in the room")
        .at("offers.apply_patch")
        .default("false"),
    on_off!("web-search", "Offer searches of the web").at("offers.web_search").default("false"),
    on_off!("mcp", "Offer MCP servers that the caller names").at("offers.mcp").default("false"),
    on_off!("storage", "Offer the files of the room").at("offers.storage").default("false"),
];

/// The same: pages of the web.
pub const OFFERED_FETCH: &[AgentOption] = &[on_off!("web-fetch", "Offer to read pages of the web")
    .at("offers.web_fetch")
    .default("false")];

/// The same, of agents that chat.
pub const OFFERED_IN_CHATS: &[AgentOption] = &[
    on_off!("computer-use", "Shorten what the model says of its reasoning; adds no tool")
        .default("false"),
    on_off!("script-tool", "Offer the toolkit for scripts")
        .at("offers.script_tool")
        .default("false"),
];

/// Tools that are always there.
pub const TOOLS: &[AgentOption] = &[
    on_off!("require-local-shell", "Use a shell on the agent's own machine")
        .at("tools.local_shell")
        .default("false"),
    on_off!("require-shell", "Use a shell in a container").at("tools.shell").default("false"),
    on_off!("require-apply-patch", "Use patches of files in the room")
        .at("tools.apply_patch")
        .default("false"),
    on_off!("require-web-search", "Use searches of the web")
        .at("tools.web_search")
        .default("false"),
    on_off!("require-storage", "Use the files of the room, to read and write")
        .at("tools.storage")
        .default("false"),
    on_off!("require-read-only-storage", "Use the files of the room, to read")
        .at("tools.read_only_storage")
        .default("false"),
    texts("require-table-read", "A table that the agent reads").at("tools.table_read"),
    texts("require-table-write", "A table that the agent changes").at("tools.table_write"),
    on_off!("require-time", "Use the date and the time").at("tools.time").default("true"),
    on_off!("require-uuid", "Use new unique ids").at("tools.uuid").default("false"),
    text("use-memory", "The memory to use: NAME, or NAMESPACE/NAME").at("tools.memory"),
    text("memory-model", "The model that writes into the memory").at("tools.memory_model"),
    on_off!("require-computer-use", "Use a computer with a browser")
        .at("tools.computer_use")
        .default("false"),
    text("starting-url", "The first page of that browser").at("tools.starting_url"),
    AgentOption::new("allow-goto-url", Takes::Flag, "Let the agent go to any page")
        .at("tools.allow_goto_url"),
    on_off!("discover-script-tools", "Use the services of the room that are scripts")
        .at("tools.script_tools")
        .default("false"),
];

/// The same: pages of the web.
pub const FETCH: &[AgentOption] =
    &[on_off!("require-web-fetch", "Use pages of the web").at("tools.web_fetch").default("false")];

/// The same, of agents that chat or do tasks.
pub const MORE_TOOLS: &[AgentOption] = &[
    text("require-image-generation", "Use the generation of images, with a model")
        .at("tools.image_generation"),
    on_off!("require-mcp", "Use MCP servers; every turn fails").at("tools.mcp").default("false"),
    on_off!("require-document-authoring", "Use documents")
        .at("tools.document_authoring")
        .default("false"),
    on_off!("require-discovery", "Use the list of tools in the room")
        .at("tools.discovery")
        .default("false"),
];

/// Where tables are.
pub const NAMESPACE: &[AgentOption] =
    &[text("database-namespace", "The namespace of the tables; its parts are joined by ::")
        .at("tools.table_namespace")];

/// What is mounted.
pub const MOUNTS: &[AgentOption] = &[
    texts(
        "storage-tool-local-path",
        "A folder of the agent's machine for its files: SOURCE:MOUNT[:ro|rw]",
    )
    .at("mounts.storage_local"),
    texts("storage-tool-room-path", "A folder of the room for its files: SOURCE:MOUNT[:ro|rw]")
        .at("mounts.storage_room"),
    texts("shell-room-mount", "A folder of the room for its shell: SOURCE:MOUNT[:ro|rw]")
        .at("mounts.shell_room"),
    texts("shell-project-mount", "A folder of the project for its shell: SOURCE:MOUNT[:ro|rw]")
        .at("mounts.shell_project"),
    texts("shell-empty-dir-mount", "An empty folder for its shell: MOUNT[:ro|rw]")
        .at("mounts.shell_empty"),
    texts("shell-tool-room-path", "Another name of --shell-room-mount")
        .alias_of("shell-room-mount"),
    texts("shell-tool-project-path", "Another name of --shell-project-mount")
        .alias_of("shell-project-mount"),
    texts("shell-tool-empty-dir", "Another name of --shell-empty-dir-mount")
        .alias_of("shell-empty-dir-mount"),
];

/// The same: images.
pub const IMAGE_MOUNTS: &[AgentOption] =
    &[texts("shell-image-mount", "An image for its shell: IMAGE=MOUNT[:ro|rw]")
        .at("mounts.shell_image")];

/// The shell.
pub const SHELL: &[AgentOption] = &[
    text("working-dir", "The folder in which commands run").at("shell.working_dir"),
    text("working-directory", "Another name of --working-dir").alias_of("working-dir"),
    text("shell-image", "The image of the shell's container; none for no container")
        .at("shell.image"),
    on_off!("delegate-shell-token", "Give the shell the agent's token")
        .at("shell.delegate_token")
        .default("false"),
    words(
        "shell-copy-env",
        "Variables that the shell gets from the agent's environment: NAME,NAME",
    )
    .at("shell.copy_env"),
    pairs("shell-set-env", "A variable of the shell: NAME=VALUE").at("shell.set_env"),
];

/// Skills.
pub const SKILLS: &[AgentOption] =
    &[texts("skill-dir", "A folder with a skill, or with several, where the agent runs")
        .at("skills")
        .beside(Beside::Folder)];

/// Threads of chats.
pub const CHAT_THREADS: &[AgentOption] = &[
    AgentOption::new(
        "threading-mode",
        Takes::OneOf(&["none", "default-new"]),
        "Whether people begin with a new thread",
    )
    .at("threading.mode")
    .default("none"),
    text("thread-dir", "The folder of the threads").at("threading.dir"),
];

/// Threads of jobs.
pub const JOB_THREADS: &[AgentOption] = &[
    AgentOption::new(
        "threading-mode",
        Takes::OneOf(&["auto", "manual", "none"]),
        "Whether jobs are kept as threads",
    )
    .at("threading.mode")
    .default("none"),
    text("thread-dir", "The folder of the threads").at("threading.dir").default(".threads"),
];

/// How threads of jobs are named.
pub const THREAD_NAMES: &[AgentOption] =
    &[texts("thread-name-rule", "A rule for the names of threads").at("threading.name_rules")];

/// Chats.
pub const CHAT: &[AgentOption] = &[
    on_off!("always-reply", "Answer whoever is talking to whom"),
    texts("channel", "Where messages come from: chat, mail:ADDRESS, queue:NAME or toolkit:NAME")
        .at("channels"),
];

/// Jobs from a queue.
pub const WORK: &[AgentOption] = &[
    text("queue", "The queue with the jobs").required(),
    text("toolkit-name", "A toolkit in the room that takes jobs"),
    text("prompt", "The prompt of every job, in place of its own"),
    AgentOption::new(
        "initial-message",
        Takes::OneOf(&["summary", "code", "none"]),
        "What a thread begins with",
    )
    .default("code"),
    text("initial-message-from", "Who says that").default("worker"),
    text("decision-model", "The model that writes summaries"),
];

/// Mail.
pub const MAIL: &[AgentOption] = &[
    text("email-address", "The address of the mailbox").required(),
    text("queue", "The queue with the mails; the address if absent"),
    text("toolkit-name", "A toolkit in the room that begins mails"),
    words("whitelist", "Addresses from which mails are read: ADDRESS,ADDRESS"),
    on_off!("reply-all", "Answer to everybody").default("false"),
    on_off!("enable-attachments", "Read and attach files").default("false"),
];

/// Voice.
pub const VOICE: &[AgentOption] = &[
    text("auto-greet-message", "What the agent says first"),
    text("auto-greet-prompt", "What the agent is told to say first"),
    text("voice", "The voice"),
];

/// Tasks.
pub const TASK: &[AgentOption] = &[
    json("output-schema", "The JSON Schema of the results"),
    text("output-schema-path", "Where that schema is: a file or a URL"),
    json("annotations", "Annotations, as a JSON object")
        .at("task_annotations")
        .short("a")
        .default(r#"{"meshagent.task-runner.attachment-format":"tar"}"#),
    on_off!("allow-model-selection", "Let callers choose the model").default("true"),
];

/// Titles.
pub const TITLE: &[AgentOption] =
    &[text("title", "A title to show"), text("description", "What it does")];

/// Codex.
pub const CODEX: &[AgentOption] = &[
    text("command", "The command line of the app server").at("codex.command"),
    text("ws-url", "The URL of an app server that runs already").at("codex.ws_url"),
    text("codex-image", "The image of the app server; none for no container")
        .at("codex.image")
        .default("meshagent/shell-codex:default"),
    texts("mount-room-path", "A folder of the room: SOURCE:MOUNT[:ro|rw]").at("mounts.room"),
    texts("mount-project-path", "A folder of the project: SOURCE:MOUNT[:ro|rw]")
        .at("mounts.project"),
    text("working-dir", "The folder in which it works").at("codex.working_dir"),
    text("approval-policy", "What has to be approved").at("codex.approval_policy"),
    text("sandbox-policy", "What it may touch").at("codex.sandbox_policy"),
    AgentOption::new(
        "mode",
        Takes::OneOf(&["default", "yolo", "workspace-write", "read-only"]),
        "Both of these, under one name",
    )
    .at("codex.mode"),
    AgentOption::new("verbose", Takes::Flag, "Log what goes to and from the app server")
        .at("codex.verbose"),
    AgentOption::new("delegate-shell-token", Takes::Flag, "Give the app server the agent's token")
        .at("codex.delegate_token"),
    words("copy-env", "Variables that it gets from the agent's environment: NAME,NAME")
        .at("codex.copy_env"),
    pairs("set-env", "A variable: NAME=VALUE").at("codex.set_env"),
];

/// What a codex task runner supports.
pub const SUPPORTS_TOOLS: &[AgentOption] =
    &[on_off!("supports-tools", "Whether it uses tools").default("true")];

/// What a codex worker supports.
pub const SUPPORTS_CONTEXT: &[AgentOption] =
    &[on_off!("supports-context", "Whether jobs bring messages of their caller").default("true")];

/// The option of this program that may stand before and between its commands, too.
pub const LOG: AgentOption = text("log", "");

/// Our own options of `deploy`: how the service is written, and where. They describe no agent, so its
/// container does not get them; how many words each takes counts (`wait=…` is one).
pub const WRITING: &[AgentOption] = &[
    AgentOption::new("dry-run", Takes::Flag, ""),
    AgentOption::new("as-manifest", Takes::Flag, ""),
    text("report", ""),
    AgentOption::new("wait", Takes::Flag, ""),
    AgentOption::new("embedded", Takes::Flag, ""),
    text("project-id", "").short("n"),
    text("environment", "").short("e"),
    text("dialect", ""),
    text("api-url", ""),
    AgentOption::new("insecure", Takes::Flag, ""),
    text("timeout", ""),
    text("retries", ""),
];
