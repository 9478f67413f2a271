//! A program that asks its questions in a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::Receiver;

use super::{CallbackPort, PATIENCE, call_back};
use crate::platform::harness::Server;
use crate::platform::sign_in::Browser;

/// A program that runs in a terminal and waits for somebody to sign in.
pub struct Terminal {
    pub child: Child,
    keys: File,
    told: Receiver<String>,
    shown: String,
    _port: CallbackPort,
}

impl Terminal {
    pub fn start(mut command: Command) -> Self {
        let port = CallbackPort::take();
        let pty = nix::pty::openpty(None, None).unwrap();
        let child = command
            .stdin(pty.slave.try_clone().unwrap())
            .stderr(pty.slave.try_clone().unwrap())
            .stdout(pty.slave)
            .spawn()
            .unwrap();
        let keys = File::from(pty.master);
        let mut reader = keys.try_clone().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // A terminal that its last user has left gives an error.
            while let Ok(read @ 1..) = reader.read(&mut chunk) {
                let _ = tell.send(String::from_utf8_lossy(&chunk[..read]).into_owned());
            }
        });
        Self { child, keys, told, shown: String::new(), _port: port }
    }

    fn wait_for(&mut self, is_shown: impl Fn(&str) -> bool) {
        while !is_shown(&self.shown) {
            let more = self.told.recv_timeout(PATIENCE);
            self.shown += &more.unwrap_or_else(|error| panic!("{error}: {}", self.shown));
        }
    }

    /// Signs in by a browser.
    pub async fn sign_in(&mut self, server: &Server) {
        // All of the URL is there when its line has ended.
        self.wait_for(|shown| {
            shown.split_once("&state=").is_some_and(|(_, rest)| rest.contains('\n'))
        });
        let url = self.shown.split_whitespace().find(|word| word.starts_with("http"));
        let back = Browser::new(&server.url).visit(url.unwrap(), &server.owner).await;
        assert_eq!(call_back(back.split_once("/callback").unwrap().1).await.0, 200);
    }

    /// Types something once it is asked which project is meant.
    pub fn answer(&mut self, text: &str) {
        self.reply("Which one? ", text);
    }

    /// Types something once a question is asked.
    pub fn reply(&mut self, question: &str, text: &str) {
        self.wait_for(|shown| shown.contains(question));
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// The exit code, and everything that was shown.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.shown.extend(self.told);
        (status.code(), self.shown)
    }
}
