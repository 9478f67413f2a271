//! Containers are given what they were to be given, and see nothing else.

use std::os::unix::fs::symlink;
use std::path::Path;

use meshagent_containers::{Error, Mount, Spec};

use crate::engine_here::IMAGE;
use crate::{ended, here, labels, said, shell};

fn folder(trusted: &Path, below: &str, read_only: bool) -> Mount {
    let (below, target) = (below.to_owned(), "/given".to_owned());
    Mount::Folder { trusted: trusted.to_owned(), below, target, read_only }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_given_to_read_or_to_write() {
    let Some(here) = here().await else { return };
    let room = here.folder().join("room");
    std::fs::create_dir_all(room.join("a/with \"quotes\", commas,source=etc:and:ä\\"))
        .expect("folders");
    let below = "a/with \"quotes\", commas,source=etc:and:ä\\";
    std::fs::write(room.join(below).join("file"), "text\n").expect("a file");
    let read = Spec {
        mounts: vec![folder(&room, below, true)],
        ..shell("cat /given/file; touch /given/other || echo refused; exit 0")
    };
    let id = here.engine.run(&read).await.expect("a container");
    assert_eq!(ended(&here.engine, &id).await.1, "text\nrefused\n");
    let write =
        Spec { mounts: vec![folder(&room, below, false)], ..shell("echo more > /given/other") };
    assert_eq!(said(&here.engine, &write).await, "");
    let other = std::fs::read_to_string(room.join(below).join("other")).expect("a file");
    assert_eq!(other, "more\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_a_folder_is_not_followed_and_leads_into_the_container_only() {
    let Some(here) = here().await else { return };
    let room = here.folder().join("room");
    std::fs::create_dir_all(room.join("a")).expect("folders");
    symlink("/etc", room.join("away")).expect("a link");
    symlink("/host", room.join("a/host")).expect("a link");
    for below in ["away", "away/ssl", "a/host"] {
        let spec = Spec { mounts: vec![folder(&room, below, true)], ..shell("true") };
        let refused = here.engine.run(&spec).await.expect_err("a link").to_string();
        assert!(refused.ends_with("it is a link or no folder"), "{refused}");
    }
    let spec = Spec { mounts: vec![folder(&room, "", true)], ..shell("ls /given/away/") };
    let id = here.engine.run(&spec).await.expect("a container");
    let (_, out, _) = ended(&here.engine, &id).await;
    assert!(!out.contains("ssl") && !out.contains("machine-id"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_given_as_files_and_gone_with_the_container() {
    let Some(here) = here().await else { return };
    let text = |target: &str, text: &str, read_only| Mount::Text {
        text: text.to_owned(),
        target: target.to_owned(),
        read_only,
    };
    let mounts = vec![
        text("/etc/one.conf", "one\nä\0€", true),
        text("/deep/in/it", "two\n", false),
        text("/tmp/three", "", true),
    ];
    let line = "cat /etc/one.conf /deep/in/it /tmp/three; echo more >> /deep/in/it && cat /deep/in/it; \
        echo more >> /etc/one.conf; cat /etc/one.conf";
    let id = here.engine.run(&Spec { mounts, ..shell(line) }).await.expect("a container");
    let (_, out, _) = ended(&here.engine, &id).await;
    assert_eq!(out, "one\nä\0€two\ntwo\nmore\none\nä\0€");
    let texts =
        || std::fs::read_dir(here.folder().join("scratch/texts")).expect("a folder").count();
    assert_eq!(texts(), 1);
    here.engine.remove(&id, false).await.expect("it is removed");
    assert_eq!(texts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_label_of_texts_is_the_crates_own() {
    let Some(here) = here().await else { return };
    let victim = here.folder().join("scratch/victim");
    std::fs::create_dir_all(&victim).expect("a folder");
    let labels = labels([("meshagent.containers.scratch", "../victim")]);
    let id = here.engine.run(&Spec { labels, ..shell("true") }).await.expect("a container");
    here.engine.wait(&id).await.expect("an end");
    here.engine.remove(&id, false).await.expect("it is removed");
    let mut made = here.podman();
    let made =
        made.args(["create", "--label", "meshagent.containers.scratch=../victim", IMAGE, "true"]);
    let made = String::from_utf8(made.output().expect("podman runs").stdout).expect("text");
    here.engine.remove(made.trim(), true).await.expect("it is removed");
    assert!(victim.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_content_of_an_image_is_given_to_read_and_unpacked_once() {
    let Some(here) = here().await else { return };
    let content = here.folder().join("content");
    std::fs::create_dir_all(content.join("data/deep")).expect("folders");
    std::fs::write(content.join("data/deep/file"), "content\n").expect("a file");
    symlink("deep/file", content.join("data/link")).expect("a link");
    symlink("/etc", content.join("data/away")).expect("a link");
    here.import(&content, "localhost/content:1");
    let image = |below: &str| Mount::Image {
        image: "localhost/content:1".to_owned(),
        below: below.to_owned(),
        target: "/given".to_owned(),
    };
    let line = "cat /given/deep/file /given/link; touch /given/file 2>/dev/null || echo refused";
    let spec = Spec { mounts: vec![image("data")], ..shell(line) };
    let (one, two) = tokio::join!(said(&here.engine, &spec), said(&here.engine, &spec));
    assert_eq!(
        (one.as_str(), two.as_str()),
        ("content\ncontent\nrefused\n", "content\ncontent\nrefused\n")
    );
    let names = std::fs::read_dir(here.folder().join("scratch/images")).expect("a folder");
    let names: Vec<_> = names.map(|it| it.expect("a name").file_name()).collect();
    let digest = here.engine.digest_of("localhost/content:1").await.expect("a digest");
    assert_eq!(names, [digest.trim_start_matches("sha256:")]);
    for below in ["data/away", "none"] {
        let refused = here.engine.run(&Spec { mounts: vec![image(below)], ..shell("true") }).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{below}: {refused:?}");
    }
    let all = here.engine.list(&labels([]), true).await.expect("a list");
    assert_eq!(all, [], "no container of the content stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_behind_is_tidied_and_what_containers_have_is_not() {
    let Some(here) = here().await else { return };
    let image = |image: &str, target: &str| Mount::Image {
        image: image.to_owned(),
        below: String::new(),
        target: target.to_owned(),
    };
    for name in ["one", "two"] {
        let content = here.folder().join(name);
        std::fs::create_dir_all(&content).expect("a folder");
        std::fs::write(content.join("file"), name).expect("a file");
        here.import(&content, &format!("localhost/{name}:1"));
    }
    let text = Mount::Text { text: "text".to_owned(), target: "/c".to_owned(), read_only: true };
    let mounts = vec![image("localhost/one:1", "/a"), image("localhost/two:1", "/b"), text];
    let line = "while [ ! -e /tmp/go ]; do sleep 0.1; done; cat /a/file /b/file /c";
    let id = here.engine.run(&Spec { mounts, ..shell(line) }).await.expect("a container");
    let at = |path: &str| here.folder().join("scratch").join(path);
    for left in ["texts/cleft", "images/new-left", "images/0123"] {
        std::fs::create_dir_all(at(left)).expect("a folder");
    }
    let count = |path: &str| std::fs::read_dir(at(path)).expect("a folder").count();
    // An image that is gone is kept for as long as a container has what is in it.
    here.engine.remove_image("localhost/two:1").await.expect("it is removed");
    here.engine.tidy().await.expect("it is tidy");
    assert_eq!((count("texts"), count("images")), (1, 2));
    let touched =
        here.podman().args(["exec", &id, "touch", "/tmp/go"]).status().expect("podman runs");
    assert!(touched.success());
    assert_eq!(ended(&here.engine, &id).await, (0, "onetwotext".to_owned(), String::new()));
    here.engine.remove(&id, false).await.expect("it is removed");
    here.engine.tidy().await.expect("it is tidy");
    assert_eq!((count("texts"), count("images")), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_no_network_but_its_own() {
    let Some(here) = here().await else { return };
    let said = said(&here.engine, &shell("cat /proc/net/dev")).await;
    let devices: Vec<&str> = said.lines().skip(2).filter_map(|it| it.split(':').next()).collect();
    assert_eq!(devices.iter().map(|it| it.trim()).collect::<Vec<_>>(), ["lo"]);
}
