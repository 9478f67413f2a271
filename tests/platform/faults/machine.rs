//! A machine whose disk and clock can be told to fail.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// The folder of the platform, and what its disk and clock do.
pub struct Machine {
    pub control: Control,
    library: Option<PathBuf>,
    folder: tempfile::TempDir,
}

/// The numbers that `disk.c` looks at, in their order.
#[derive(Clone)]
pub struct Control(Arc<File>);

impl Machine {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let faults = folder.path().join("faults");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&faults);
        let control = Control(Arc::new(file.expect("a file")));
        control.heal();
        control.clock_offset(0);
        let library = folder.path().join("disk.so");
        let is_made = super::compiler() && {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/platform/faults/disk.c");
            let made = Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-o"])
                .arg(&library)
                .arg(source)
                .status();
            assert!(made.expect("a compiler").success());
            true
        };
        Self { control, library: is_made.then_some(library), folder }
    }

    /// Whether its disk and clock can fail.
    pub const fn fails(&self) -> bool {
        self.library.is_some()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file for a log, on the same disk.
    pub fn log(&self) -> File {
        let mut options = OpenOptions::new();
        options.append(true).create(true).open(self.folder.path().join("log")).expect("a file")
    }

    /// Has a program run on this machine.
    pub fn prepare(&self, command: &mut Command) {
        if let Some(library) = &self.library {
            command
                .env("LD_PRELOAD", library)
                .env("MESHAGENT_TEST_FAULTS", self.folder.path().join("faults"));
        }
    }
}

impl Control {
    fn set(&self, index: u64, value: i64) {
        self.0.write_all_at(&value.to_ne_bytes(), index * 8).expect("a number");
    }

    /// How many bytes may still be written; any number where it is negative.
    pub fn space(&self, bytes: i64) {
        self.set(0, bytes);
    }

    /// How much longer a sync takes.
    pub fn sync_delay(&self, delay: Duration) {
        self.set(1, i64::try_from(delay.as_micros()).expect("a short time"));
    }

    /// How many syncs fail; all where it is negative.
    pub fn sync_fails(&self, count: i64) {
        self.set(2, count);
    }

    /// How many seconds the clock is ahead.
    pub fn clock_offset(&self, seconds: i64) {
        self.set(3, seconds);
    }

    /// A disk as it should be. The clock stays as it is.
    pub fn heal(&self) {
        self.space(-1);
        self.sync_delay(Duration::ZERO);
        self.sync_fails(0);
    }
}
