//! A bash in a terminal, in which somebody types and completes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::cli::Sandbox;

/// How long bash may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bash {
    bash: Child,
    keys: File,
    told: Receiver<String>,
}

impl Bash {
    /// One that completes as the script says.
    fn in_folder(sandbox: &Sandbox) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_meshagent"));
        let path = std::env::var("PATH").unwrap();
        let pty = nix::pty::openpty(None, None).unwrap();
        let bash = Command::new("bash")
            .args(["--norc", "--noprofile", "-i"])
            .current_dir(sandbox.path("."))
            .env_clear()
            .env("HOME", sandbox.path("."))
            .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
            .env("TERM", "dumb")
            .stdin(pty.slave.try_clone().unwrap())
            .stderr(pty.slave.try_clone().unwrap())
            .stdout(pty.slave)
            .spawn()
            .unwrap();
        let keys = File::from(pty.master);
        let mut reader = keys.try_clone().unwrap();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut chunk) {
                let _ = tell.send(String::from_utf8_lossy(&chunk[..read]).into_owned());
            }
        });
        let mut bash = Self { bash, keys, told };
        // Control-G tells what is on the line.
        bash.keys
            .write_all(b"bind -x '\"\\C-g\": printf \"\\x01%s\\x02\" \"$READLINE_LINE\"'\n")
            .unwrap();
        bash.run("source <(meshagent completion bash)");
        bash
    }

    /// What is told between two marks.
    fn between(&mut self, first: &str, last: &str) -> String {
        let mut shown = String::new();
        loop {
            if let Some((_, rest)) = shown.split_once(first)
                && let Some((told, _)) = rest.split_once(last)
            {
                return told.to_owned();
            }
            let more = self.told.recv_timeout(PATIENCE);
            shown += &more.unwrap_or_else(|error| panic!("{error}: {shown:?}"));
        }
    }

    /// What is on the line once these keys and Tab were typed.
    fn completed(&mut self, keys: &str) -> String {
        self.keys.write_all(format!("{keys}\t\x07").as_bytes()).unwrap();
        self.between("\x01", "\x02")
    }

    /// Runs what is on the line, and this behind it.
    fn run(&mut self, more: &str) {
        self.keys
            .write_all(format!("{more}\nprintf '\\x03%s\\x04' \"$((40+2))\"\n").as_bytes())
            .unwrap();
        assert_eq!(self.between("\x03", "\x04"), "42");
    }
}

impl Drop for Bash {
    fn drop(&mut self) {
        let _ = self.bash.kill();
        let _ = self.bash.wait();
    }
}

#[test]
fn bash_runs_nothing_of_a_name_that_it_completes() {
    if !crate::needs::programs("completion in bash", &["bash"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let names = [
        ("n", "n$(touch RAN).yaml", r"n\$\(touch\ RAN\).yaml "),
        ("s", "semi;touch RAN", r"semi\;touch\ RAN "),
        ("t", "tick`touch RAN`", r"tick\`touch\ RAN\` "),
        ("q", "q'$(touch RAN)'.yaml", r"q\'\$\(touch\ RAN\)\'.yaml "),
        ("d", "d\"$(touch RAN)\".yaml", "d\\\"\\$\\(touch\\ RAN\\)\\\".yaml "),
        ("b", "b|touch RAN", r"b\|touch\ RAN "),
        ("x", "x*", r"x\* "),
        ("-", "-o.yaml", "./-o.yaml "),
        ("~", "~root", "./~root "),
        // What is hidden in a name is not put on a line.
        ("l", "l\ntouch RAN", "l"),
        ("e", "e\u{1b}[31m.yaml", "e"),
        ("u", "u\u{202e}lmay", "u"),
    ];
    let ran = sandbox.path("RAN");
    for (_, name, _) in names {
        sandbox.write(name, "");
    }
    sandbox.write("x1", "");
    std::fs::create_dir(sandbox.path("folder $(touch RAN)")).unwrap();
    sandbox.write("folder $(touch RAN)/in it.yaml", "");
    let mut bash = Bash::in_folder(&sandbox);
    for (typed, name, line) in names {
        for command in ["meshagent show ", "meshagent validate -f "] {
            let wanted = match typed {
                // An option, as for any other name that begins like one.
                "-" if command.ends_with("show ") => continue,
                _ => format!("{command}{line}"),
            };
            // Of two names, what they have in common.
            let wanted = if typed == "x" { format!("{command}x") } else { wanted };
            assert_eq!(bash.completed(&format!("{command}{typed}")), wanted, "{name:?}");
            bash.run("");
            assert!(!ran.exists(), "{name:?}");
        }
    }
    for (typed, line) in [
        ("validate -f \"n", "validate -f \"n\\$(touch RAN).yaml\" "),
        ("validate -f 'q", "validate -f 'q'\\''$(touch RAN)'\\''.yaml' "),
        ("validate -f f", r"validate -f folder\ \$\(touch\ RAN\)/"),
        (
            r"validate -f folder\ \$\(touch\ RAN\)/",
            r"validate -f folder\ \$\(touch\ RAN\)/in\ it.yaml ",
        ),
        ("validate --file=n", r"validate --file=n\$\(touch\ RAN\).yaml "),
        ("vali", "validate "),
    ] {
        assert_eq!(bash.completed(&format!("meshagent {typed}")), format!("meshagent {line}"));
        bash.run("");
        assert!(!ran.exists(), "{typed}");
    }
}
