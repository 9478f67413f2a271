//! A server of files on loopback, which can also break off, and a made-up archive of a release.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::cli::Sandbox;

/// What is served at a path.
pub struct File {
    pub body: Vec<u8>,
    /// How many bytes are sent, and how many are promised.
    pub sent: usize,
    pub promised: usize,
}

impl File {
    /// A file that arrives.
    pub fn whole(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { sent: body.len(), promised: body.len(), body }
    }
}

/// A server that ends with the process.
pub struct Files {
    /// The URL of its folder.
    pub url: String,
}

impl Files {
    /// Serves files by their names, and answers everything else with 404.
    pub fn serve(files: BTreeMap<String, File>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who does not wait for the answer is no fault of the server.
                let _ = answer(stream, &files);
            }
        });
        Self { url }
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, File>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?.take(8192)).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let name = first.split(' ').nth(1).and_then(|path| path.strip_prefix("/v1/"));
    let Some(file) = name.and_then(|name| files.get(name)) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        file.promised
    )?;
    stream.write_all(&file.body[..file.sent])
}

/// The SHA-256 of bytes, as checksum files have it.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of this machine's archive, without its suffix.
pub fn name() -> String {
    let system = if cfg!(target_os = "macos") { "apple-darwin" } else { "unknown-linux-gnu" };
    format!("meshagent-{}-{system}", std::env::consts::ARCH)
}

/// The files of a release whose program is this text, and the digest of its archive.
pub fn archive(program: &str) -> (BTreeMap<String, File>, String) {
    let name = name();
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path(&name)).expect("a folder");
    sandbox.write(&format!("{name}/meshagent"), program);
    let packed = Command::new("tar")
        .args(["-czf", "-", &name])
        .current_dir(sandbox.path(""))
        .output()
        .expect("tar");
    assert!(packed.status.success());
    let digest = digest(&packed.stdout);
    let file = format!("{name}.tar.gz");
    let sum = File::whole(format!("{digest}  {file}\n"));
    let files =
        BTreeMap::from([(format!("{file}.sha256"), sum), (file, File::whole(packed.stdout))]);
    (files, digest)
}
