use std::io::Write;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::*;

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn put(files: &Files, at: &str, text: &str, overwrite: bool) -> Result<(), Refused> {
    let draft = files.begin(path(at), overwrite)?;
    draft.file()?.write_all(text.as_bytes()).unwrap();
    draft.publish(overwrite)
}

fn names(files: &Files, at: &str) -> Vec<String> {
    files.list(&path(at)).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn paths_stay_in_the_room() {
    for (text, same) in [("", ""), ("/", ""), ("a/b", "a/b"), ("/a//./b/", "a/b"), ("./a", "a")] {
        assert_eq!(path(text).text(), same, "{text:?}");
    }
    assert_eq!((path("a/b").name(), path("").name()), ("b", ""));
    let (long, deep) = ("x".repeat(256), "x/".repeat(600));
    for odd in ["..", "a/../b", "../a", "a\0", "a\nb", &long, &deep] {
        assert_eq!(FilePath::parse(odd).unwrap_err().code, Some(codes::INVALID_PATH), "{odd:?}");
    }
}

#[test]
fn a_file_is_there_once_it_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::of(folder.path(), "r");
    assert!(names(&files, "").is_empty() && names(&files, "none").is_empty());
    let draft = files.begin(path("a/b/c.txt"), false).unwrap();
    draft.file().unwrap().write_all(b"half").unwrap();
    assert_eq!(files.stat(&path("a/b/c.txt")).unwrap(), None);
    drop(draft);
    put(&files, "a/b/c.txt", "whole", false).unwrap();
    let found = files.stat(&path("a/b/c.txt")).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.is_folder, found.size), ("c.txt", false, Some(5)));
    assert_eq!(put(&files, "a/b/c.txt", "x", false).unwrap_err().code, Some(codes::FILE_EXISTS));
    put(&files, "a/b/c.txt", "again", true).unwrap();
    assert_eq!(files.open(&path("a/b/c.txt")).unwrap().1, 5);
    assert_eq!(names(&files, "a"), ["b"]);
    assert!(files.stat(&path("")).unwrap().unwrap().is_folder);
    for (at, code) in [
        ("a/b", codes::INVALID_PATH),
        ("a/b/c.txt/d", codes::INVALID_PATH),
        ("", codes::INVALID_PATH),
    ] {
        assert_eq!(put(&files, at, "x", true).unwrap_err().code, Some(code), "{at}");
    }
    assert_eq!(files.open(&path("a")).unwrap_err().code, Some(codes::INVALID_PATH));
    assert_eq!(files.open(&path("x")).unwrap_err().code, Some(codes::FILE_NOT_FOUND));
    // Nothing is left where files arrive.
    assert_eq!(fs::read_dir(folder.path().join("r/incoming")).unwrap().count(), 0);
}

#[test]
fn what_is_deleted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::of(folder.path(), "r");
    for at in ["a/1", "a/b/2", "c"] {
        put(&files, at, "x", false).unwrap();
    }
    let delete = |at: &str, recursive| {
        let mut gone = Vec::new();
        files.delete(&path(at), recursive, &mut gone).map(|()| gone)
    };
    assert_eq!(delete("a", false).unwrap_err().code, Some(codes::RECURSIVE_REQUIRED));
    assert_eq!(delete("", true).unwrap_err().code, Some(codes::INVALID_PATH));
    assert_eq!(delete("c", false).unwrap(), ["c"]);
    assert_eq!(delete("c", false).unwrap_err().code, Some(codes::FILE_NOT_FOUND));
    let mut gone = delete("a", true).unwrap();
    gone.sort();
    assert_eq!(gone, ["a", "a/1", "a/b/2"]);
    fs::create_dir(folder.path().join("r/files/e")).unwrap();
    assert_eq!(delete("e", false).unwrap(), ["e"]);
    assert!(names(&files, "").is_empty());
}

#[test]
fn no_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::of(folder.path(), "r");
    put(&files, "a", "x", false).unwrap();
    std::os::unix::fs::symlink("/etc", folder.path().join("r/files/out")).unwrap();
    assert_eq!(names(&files, ""), ["a"]);
    for at in ["out", "out/passwd"] {
        assert_eq!(files.open(&path(at)).unwrap_err().code, Some(codes::INVALID_PATH), "{at}");
        assert_eq!(put(&files, at, "x", true).unwrap_err().code, Some(codes::INVALID_PATH), "{at}");
        assert_eq!(
            files.delete(&path(at), true, &mut Vec::new()).unwrap_err().code,
            Some(codes::INVALID_PATH),
            "{at}"
        );
    }
}

/// Exchanges a folder and a link again and again, as a container may, until it is dropped.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
struct Exchanged {
    is_over: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
impl Exchanged {
    fn of(one: PathBuf, other: PathBuf) -> Self {
        let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let end = std::sync::Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            while !end.load(std::sync::atomic::Ordering::Relaxed) {
                let exchange = RenameFlags::RENAME_EXCHANGE;
                let _ = renameat2(AT_FDCWD, &one, AT_FDCWD, &other, exchange);
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
impl Drop for Exchanged {
    fn drop(&mut self) {
        self.is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_link_that_is_put_there_at_the_last_moment_is_not_followed() {
    const TIMES: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "outside").unwrap();
    let files = Files::of(folder.path(), "r");
    put(&files, "a/file", "inside", false).unwrap();
    let (inside, link) = (files.root().join("a"), folder.path().join("link"));
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let exchanged = Exchanged::of(inside, link);
    let mut read = 0;
    for time in 0..TIMES {
        if let Ok((file, _)) = files.open(&path("a/file")) {
            assert_eq!(io::read_to_string(file).unwrap(), "inside");
            read += 1;
        }
        let _ = put(&files, &format!("a/{time}"), "new", time % 2 == 0);
        let _ = files.delete(&path(&format!("a/{time}")), false, &mut Vec::new());
        let _ = files.list(&path("a")).map(|found| assert!(found.len() <= TIMES));
        let _ =
            files.stat(&path("a/file")).map(|it| assert!(it.is_none_or(|it| it.size == Some(6))));
    }
    drop(exchanged);
    assert!(read > 0, "the folder was never there");
    let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["file"]);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::of(folder.path(), "r");
    put(&files, "a", "x", false).unwrap();
    nix::unistd::mkfifo(&files.root().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(files.open(&path("pipe")).unwrap_err().code, Some(codes::INVALID_PATH));
    assert_eq!(files.open_to_change(&path("pipe")).unwrap_err().code, Some(codes::INVALID_PATH));
    assert_eq!(names(&files, ""), ["a"]);
}
