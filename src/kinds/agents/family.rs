//! *Pure*: the families of agents, and which options each of their commands has.

use super::options::{self as groups, AgentOption};

/// A family of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Chats.
    Chatbot,
    /// Takes messages from several channels.
    Process,
    /// Works through a queue.
    Worker,
    /// Answers mails.
    Mailbot,
    /// Talks.
    Voicebot,
    /// Does tasks.
    TaskRunner,
    /// Codex that chats.
    CodexChatbot,
    /// Codex that does tasks.
    CodexTaskRunner,
    /// Codex that works through a queue.
    CodexWorker,
}

/// What is done with an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Runs it in a room.
    Join,
    /// Runs it as a service that is called to rooms.
    Service,
    /// Prints the service that it would be.
    Spec,
    /// Makes it a service of a room or of the project.
    Deploy,
    /// Runs it in a room, and talks to it.
    Run,
    /// Talks to one that runs.
    Use,
}

impl Action {
    /// The word of its command.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Service => "service",
            Self::Spec => "spec",
            Self::Deploy => "deploy",
            Self::Run => "run",
            Self::Use => "use",
        }
    }

    /// What it does.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Join => "Let the agent enter a room (not here yet)",
            Self::Service => "Serve the agent, so that it is called to rooms (not here yet)",
            Self::Spec => "Print the service that the agent would be, and send nothing",
            Self::Deploy => "Make the agent a service of a room or of the project",
            Self::Run => "Let the agent enter a room, and talk to it (not here yet)",
            Self::Use => "Talk to an agent that runs (not here yet)",
        }
    }
}

use Family::{
    Chatbot, CodexChatbot, CodexTaskRunner, CodexWorker, Mailbot, Process, TaskRunner, Voicebot,
    Worker,
};

impl Family {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Chatbot,
        Process,
        Worker,
        Mailbot,
        Voicebot,
        TaskRunner,
        CodexChatbot,
        CodexTaskRunner,
        CodexWorker,
    ];

    /// The words of its commands.
    #[must_use]
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Chatbot => &["chatbot"],
            Process => &["process"],
            Worker => &["worker"],
            Mailbot => &["mailbot"],
            Voicebot => &["voicebot"],
            TaskRunner => &["task-runner"],
            CodexChatbot => &["codex", "chatbot"],
            CodexTaskRunner => &["codex", "task-runner"],
            CodexWorker => &["codex", "worker"],
        }
    }

    /// Its name in documents: the words of its commands, joined by a dash.
    #[must_use]
    pub fn name(self) -> String {
        self.words().join("-")
    }

    /// The family with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// What its agents are for people who see them: the annotation `meshagent.agent.type`.
    #[must_use]
    pub const fn agent_type(self) -> &'static str {
        match self {
            Chatbot | Process | CodexChatbot => "ChatBot",
            Worker | CodexWorker => "Worker",
            Mailbot => "MailBot",
            Voicebot => "VoiceBot",
            TaskRunner | CodexTaskRunner => "TaskRunner",
        }
    }

    /// Whether codex is behind it.
    #[must_use]
    pub const fn is_codex(self) -> bool {
        matches!(self, CodexChatbot | CodexTaskRunner | CodexWorker)
    }

    /// What can be done with it.
    #[must_use]
    pub const fn actions(self) -> &'static [Action] {
        use Action::{Deploy, Join, Run, Service, Spec, Use};
        match self {
            Chatbot | Process | CodexChatbot => &[Join, Service, Spec, Deploy, Run, Use],
            TaskRunner | CodexTaskRunner => &[Join, Service, Spec, Deploy, Run],
            Worker | Mailbot | Voicebot | CodexWorker => &[Join, Service, Spec, Deploy],
        }
    }

    /// The options of one of its commands, in the order in which help shows them.
    #[must_use]
    pub fn options(self, action: Action) -> Vec<AgentOption> {
        let mut options: Vec<AgentOption> =
            [self.identity(action), self.body(action)].concat().concat();
        options.iter_mut().for_each(|option| self.adapt(action, option));
        options
    }

    /// Who it is and where it runs.
    fn identity(self, action: Action) -> Vec<&'static [AgentOption]> {
        match action {
            Action::Join if self == Voicebot => vec![groups::ROOM, groups::KEY, groups::TOKEN],
            Action::Join => vec![groups::ROOM, groups::ROLE, groups::KEY, groups::TOKEN],
            Action::Run if self.is_codex() => {
                vec![groups::ROOM, groups::ROLE, groups::KEY, groups::TOKEN]
            }
            Action::Run => vec![groups::ROOM, groups::ROLE, groups::KEY],
            Action::Service => vec![groups::AGENT, groups::HOSTING],
            Action::Spec => vec![groups::SERVICE, groups::AGENT],
            Action::Deploy => vec![groups::SERVICE, groups::AGENT, groups::PLACE],
            Action::Use => vec![groups::ROOM],
        }
    }

    /// What it does.
    fn body(self, action: Action) -> Vec<&'static [AgentOption]> {
        match self {
            _ if action == Action::Use => vec![groups::TALK],
            Chatbot | Process => Self::chat(action),
            CodexChatbot | CodexTaskRunner | CodexWorker => self.codex(action),
            Worker | Mailbot | Voicebot | TaskRunner => self.job(action),
        }
    }

    /// Agents that chat.
    fn chat(action: Action) -> Vec<&'static [AgentOption]> {
        let (is_run, is_join) = (action == Action::Run, action == Action::Join);
        let images = only(groups::IMAGE_MOUNTS, is_join || action == Action::Service);
        vec![
            groups::RULES,
            groups::REQUIREMENTS,
            groups::MODEL,
            groups::MODEL_LOG,
            groups::MODEL_PARTICIPANT,
            groups::OFFERED_TOOLS,
            groups::OFFERED_FETCH,
            groups::OFFERED_IN_CHATS,
            groups::TOOLS,
            groups::FETCH,
            groups::MORE_TOOLS,
            groups::NAMESPACE,
            groups::MOUNTS,
            images,
            groups::SHELL,
            groups::SKILLS,
            groups::CHAT_THREADS,
            groups::CHAT,
            only(groups::HOSTING, is_join),
            only(groups::TALK, is_run),
            only(groups::VERBOSE, is_run),
        ]
    }

    /// Agents that do what they are given.
    fn job(self, action: Action) -> Vec<&'static [AgentOption]> {
        let is_run = action == Action::Run;
        let images = only(groups::IMAGE_MOUNTS, self != TaskRunner || action != Action::Deploy);
        match self {
            Worker => vec![
                groups::RULES,
                groups::REQUIREMENTS,
                groups::MODEL,
                groups::MODEL_LOG,
                groups::OFFERED_TOOLS,
                groups::OFFERED_FETCH,
                groups::TOOLS,
                groups::FETCH,
                groups::NAMESPACE,
                groups::MOUNTS,
                images,
                groups::SHELL,
                groups::SKILLS,
                groups::JOB_THREADS,
                groups::WORK,
                groups::TITLE,
            ],
            Mailbot => vec![
                groups::RULES,
                groups::REQUIREMENTS,
                groups::MODEL,
                groups::MODEL_LOG,
                groups::MODEL_PARTICIPANT,
                groups::TOOLS,
                groups::FETCH,
                groups::NAMESPACE,
                groups::MOUNTS,
                images,
                groups::SHELL,
                groups::SKILLS,
                groups::MAIL,
            ],
            Voicebot => vec![groups::RULES, groups::REQUIREMENTS, groups::VOICE],
            TaskRunner => vec![
                groups::RULES,
                groups::HIDDEN_REQUIREMENTS,
                groups::MODEL,
                groups::MODEL_LOG,
                groups::MODEL_PARTICIPANT,
                groups::OFFERED_TOOLS,
                only(groups::OFFERED_FETCH, !is_run),
                groups::TOOLS,
                only(groups::FETCH, !is_run),
                groups::MORE_TOOLS,
                groups::MOUNTS,
                images,
                groups::SHELL,
                groups::SKILLS,
                groups::JOB_THREADS,
                groups::THREAD_NAMES,
                groups::TASK,
                groups::TITLE,
                only(groups::TASK_INPUT, is_run),
                only(groups::VERBOSE, is_run),
            ],
            _ => Vec::new(),
        }
    }

    /// Agents with codex behind them.
    fn codex(self, action: Action) -> Vec<&'static [AgentOption]> {
        let (is_run, is_join) = (action == Action::Run, action == Action::Join);
        let declares = matches!(action, Action::Spec | Action::Deploy);
        match self {
            CodexChatbot => vec![
                groups::RULES,
                groups::REQUIREMENTS,
                groups::CODEX_MODEL,
                groups::CODEX,
                groups::SKILLS,
                groups::CHAT_THREADS,
                only(groups::TITLE, !is_join),
                only(groups::HOSTING, declares),
                only(groups::TALK, is_run),
            ],
            CodexTaskRunner => vec![
                groups::RULES,
                groups::REQUIREMENTS,
                groups::CODEX_MODEL,
                groups::CODEX,
                groups::SKILLS,
                groups::JOB_THREADS,
                groups::THREAD_NAMES,
                groups::TITLE,
                groups::SUPPORTS_TOOLS,
                only(groups::HOSTING, declares),
                only(groups::TASK_INPUT, is_run),
            ],
            CodexWorker => vec![
                groups::RULES,
                groups::REQUIREMENTS,
                groups::CODEX_MODEL,
                groups::CODEX,
                groups::SKILLS,
                groups::WORK,
                groups::TITLE,
                groups::SUPPORTS_CONTEXT,
                only(groups::HOSTING, declares),
            ],
            _ => Vec::new(),
        }
    }

    /// Where a family differs in an option that others have as well.
    fn adapt(self, action: Action, option: &mut AgentOption) {
        match option.name {
            // As in the reference.
            "require-computer-use" => option.hidden = matches!(self, Chatbot | Process),
            "service-name" if self.is_codex() => {
                option.required = true;
                option.help = "The name of the service";
            }
            "agent-name" => {
                option.required = matches!(action, Action::Service | Action::Spec | Action::Deploy);
            }
            _ => {}
        }
    }
}

/// A group, if it is there.
const fn only(group: &'static [AgentOption], is_there: bool) -> &'static [AgentOption] {
    if is_there { group } else { groups::NONE }
}
