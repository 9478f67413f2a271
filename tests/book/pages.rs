//! A page of the book: its blocks, and how they are run.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::output;
use crate::cli::Sandbox;

/// How long a block may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A fenced block of a page.
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The first word behind the fence.
    pub language: String,
    /// The other words.
    pub rest: String,
    /// What is between the fences.
    pub text: String,
}

/// The fenced blocks of a page that begin at the left margin.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(words) = line.strip_prefix("```").filter(|words| !words.is_empty()) else {
            continue;
        };
        let (language, rest) = words.split_once(' ').unwrap_or((words, ""));
        let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
        let text = inside.fold(String::new(), |text, line| text + line + "\n");
        let (language, rest) = (language.to_owned(), rest.to_owned());
        blocks.push(Block { line: index + 1, language, rest, text });
    }
    blocks
}

/// A page with other texts in some of its blocks, by their lines.
fn rewritten(page: &str, texts: &[(usize, String)]) -> String {
    let mut written = String::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        written += &format!("{line}\n");
        if let Some((_, text)) = texts.iter().find(|(at, _)| *at == index + 1) {
            lines.by_ref().find(|(_, line)| *line == "```");
            written += &format!("{text}```\n");
        }
    }
    written
}

/// Somebody who reads a page and types what it says, in an empty folder.
struct Reader {
    sandbox: Sandbox,
    /// The shells of the blocks; what they left running is ended with them.
    shells: Vec<Child>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        for shell in &mut self.shells {
            let group = i32::try_from(shell.id()).expect("a process");
            // Most shells have ended, and nothing of theirs runs.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            let _ = shell.wait();
        }
    }
}

impl Reader {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        for folder in ["home", "project"] {
            std::fs::create_dir(sandbox.path(folder)).expect("a folder");
        }
        Self { sandbox, shells: Vec::new() }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.sandbox.path("project").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Runs a block with one shell. Gives the exit code and all that was printed.
    fn run(&mut self, script: &str) -> (Option<i32>, String) {
        let program = Path::new(env!("CARGO_BIN_EXE_meshagent")).parent().expect("a folder");
        let path = std::env::var_os("PATH").expect("a path");
        let path = std::iter::once(program.to_owned()).chain(std::env::split_paths(&path));
        // A server that is left running would hold a pipe open; a file does not care.
        let printed = self.sandbox.path("printed");
        let file = File::create(&printed).expect("a file");
        let shell = Command::new("sh")
            .args(["-e", "-c", script])
            .current_dir(self.sandbox.path("project"))
            .env_clear()
            .env("HOME", self.sandbox.path("home"))
            .env("CONTAINER_HOST", "unix:///run/user/4711/podman/podman.sock")
            .env("PATH", std::env::join_paths(path).expect("a path"))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file"))
            .stderr(file)
            .process_group(0)
            .spawn()
            .expect("a shell");
        self.shells.push(shell);
        let status = ended(self.shells.last_mut().expect("a shell"));
        let text = std::fs::read_to_string(printed).expect("text");
        (status.and_then(|status| status.code()), self.shown(&text))
    }

    /// What was printed, with the folders of a reader instead of the test's.
    fn shown(&self, text: &str) -> String {
        let folder = |name: &str| self.sandbox.path(name).display().to_string();
        text.replace(&format!("{}/", folder("project")), "")
            .replace(&folder("project"), "/home/ada/shop")
            .replace(&folder("home"), "/home/ada")
    }
}

/// How a shell ended, if it did in time.
fn ended(shell: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = shell.try_wait().expect("a shell") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// The code that a block must end with: 0, or what `exit=` says.
fn wanted(block: &Block) -> Option<i32> {
    match block.rest.as_str() {
        "" => Some(0),
        rest => rest.strip_prefix("exit=").and_then(|code| code.parse().ok()),
    }
}

/// The path of a page.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The text of a page.
pub fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs the blocks of a page in their order, and compares what they print. Gives what is wrong.
/// `BLESS=1` writes what was printed into the page.
pub fn read(name: &str) -> Vec<String> {
    let page = text(name);
    let mut reader = Reader::new();
    let (mut wrong, mut printed, mut blessed) = (Vec::new(), None, Vec::new());
    for block in blocks(&page) {
        let place = format!("{name}:{}", block.line);
        match (block.language.as_str(), &printed) {
            ("sh", _) => {
                let (code, shown) = reader.run(&block.text);
                let wanted = wanted(&block);
                if wanted.is_none() || code != wanted {
                    wrong.push(format!("{place}: ended with {code:?}, not {wanted:?}\n{shown}"));
                }
                printed = Some(shown);
            }
            ("output", Some(shown)) if output::fits(&block.text, shown) => printed = None,
            ("output", Some(shown)) => {
                blessed.push((block.line, output::written(shown)));
                wrong.push(format!("{place}: it prints something else:\n{shown}"));
                printed = None;
            }
            ("output", None) => wrong.push(format!("{place}: no command is before it")),
            _ if !block.rest.is_empty() => reader.write(&block.rest, &block.text),
            _ => {}
        }
    }
    if std::env::var_os("BLESS").is_some() && !blessed.is_empty() {
        std::fs::write(path(name), rewritten(&page, &blessed)).expect("the page");
        wrong.retain(|told| !told.contains(": it prints something else:"));
    }
    wrong
}

#[test]
fn blocks_are_found_and_written_anew() {
    let page = "a\n```sh exit=3\nx\n```\n```yaml f.yaml\nk: v\n```\n```output\nold\n```\nb\n";
    let found = blocks(page);
    let told: Vec<_> = found.iter().map(|it| (it.line, it.language.as_str(), &*it.rest)).collect();
    assert_eq!(told, [(2, "sh", "exit=3"), (5, "yaml", "f.yaml"), (8, "output", "")]);
    assert_eq!((wanted(&found[0]), found[1].text.as_str()), (Some(3), "k: v\n"));
    assert_eq!(rewritten(page, &[(8, "new\n".to_owned())]), page.replace("old", "new"));
    let misspelled = Block { rest: "exits=3".to_owned(), ..blocks(page).remove(0) };
    assert_eq!(wanted(&misspelled), None);
}
