//! An engine for a test: Podman's service on a socket of its own, with a store of its own, and an
//! image of busybox alone. It is gone with the test, and so is all that it ran.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use meshagent_containers::{Engine, Socket};

/// What the image is called.
pub const IMAGE: &str = "localhost/here:1";

/// How long the service has to listen, on a machine that does other things as well.
const TO_LISTEN: Duration = Duration::from_secs(60);

/// Programs of busybox that are in the image under their own names.
const PROGRAMS: [&str; 25] = [
    "cat", "dd", "echo", "env", "false", "grep", "head", "httpd", "id", "kill", "ls", "mkdir",
    "mknod", "mount", "nc", "nslookup", "pidof", "ping", "ps", "sh", "sleep", "touch", "true",
    "yes", "stty",
];

/// An engine that is here for one test.
pub struct EngineHere {
    /// The engine.
    pub engine: Engine,
    service: Child,
    folder: tempfile::TempDir,
}

impl EngineHere {
    /// Starts the service, and makes the image. Lines may be added to what is configured of the
    /// engine.
    pub async fn start(lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("engine").tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let engine = "[engine]\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"";
        let conf = format!("[containers]\ndefault_ulimits = []\n{engine}\n{lines}\n");
        std::fs::write(at("containers.conf"), conf).expect("a file");
        // A registry of a test has no certificate.
        let registries =
            "[[registry]]\nprefix = \"127.0.0.1\"\nlocation = \"127.0.0.1\"\ninsecure = true\n";
        std::fs::write(at("registries.conf"), registries).expect("a file");
        let store = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
            at("root"),
            at("run")
        );
        std::fs::write(at("storage.conf"), store).expect("a file");
        let said = std::fs::File::create(at("said")).expect("a file");
        let mut command = podman(folder.path());
        command.args(["system", "service", "--time=0"]);
        command.arg(format!("unix://{}", at("sock").display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let mut service = command.spawn().expect("podman starts");
        let socket = Socket::At(at("sock"));
        let until = Instant::now() + TO_LISTEN;
        let engine = loop {
            match Engine::connect(&socket, &at("scratch")).await {
                Ok(engine) => break engine,
                Err(absent) => {
                    let said = || std::fs::read_to_string(at("said")).unwrap_or_default();
                    let ended = service.try_wait().expect("a process");
                    assert!(ended.is_none() && Instant::now() < until, "{absent}: {}", said());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        let here = Self { engine, service, folder };
        here.import(&here.busybox(), IMAGE);
        here
    }

    /// A folder of this test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes an image of the files in a folder.
    pub fn import(&self, folder: &Path, name: &str) {
        let tar = self.at("import.tar");
        let mut archive = tar::Builder::new(std::fs::File::create(&tar).expect("a file"));
        archive.follow_symlinks(false);
        archive.append_dir_all(".", folder).expect("an archive");
        archive.into_inner().expect("an archive");
        let mut command = podman(self.folder());
        let done = command.arg("import").arg(&tar).arg(name).output().expect("podman runs");
        assert!(done.status.success(), "{done:?}");
    }

    /// A folder with nothing but busybox in it.
    pub fn busybox(&self) -> PathBuf {
        let folder = self.at("busybox");
        std::fs::create_dir_all(folder.join("bin")).expect("a folder");
        let paths = std::env::var_os("PATH").expect("a path");
        let found =
            std::env::split_paths(&paths).map(|it| it.join("busybox")).find(|it| it.exists());
        std::fs::copy(found.expect("busybox"), folder.join("bin/busybox")).expect("a copy");
        for name in PROGRAMS {
            std::os::unix::fs::symlink("busybox", folder.join("bin").join(name)).expect("a link");
        }
        folder
    }

    /// Podman's own client of the same store.
    pub fn podman(&self) -> Command {
        podman(self.folder())
    }

    /// Kills the service. What it started goes on.
    pub fn kill_service(&mut self) {
        self.service.kill().expect("the service is killed");
        self.service.wait().expect("the service is gone");
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for EngineHere {
    fn drop(&mut self) {
        let mut command = podman(self.folder.path());
        command.args(["rm", "--all", "--force", "--time", "0"]);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = self.service.kill();
        let _ = self.service.wait();
        self.kill_others();
    }
}

impl EngineHere {
    /// Kills what the engine left: for each command in a container a process waits for minutes, and
    /// makes the store anew then.
    fn kill_others(&self) {
        let store = self.at("root").display().to_string();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let mut words = words.split(|&it| it == 0);
            let is_monitor = words.next().is_some_and(|it| it.ends_with(b"conmon"));
            if is_monitor && words.any(|it| it == store.as_bytes()) {
                let mut kill = Command::new("kill");
                let _ = kill.arg("-KILL").arg(process.file_name()).stderr(Stdio::null()).status();
            }
        }
    }
}

/// Podman with the store in a folder.
fn podman(folder: &Path) -> Command {
    let mut command = Command::new("podman");
    command.env("CONTAINERS_CONF", folder.join("containers.conf"));
    command.env("CONTAINERS_STORAGE_CONF", folder.join("storage.conf"));
    command.env("CONTAINERS_REGISTRIES_CONF", folder.join("registries.conf"));
    command.arg("--root").arg(folder.join("root")).arg("--runroot").arg(folder.join("run"));
    command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
    command
}
