//! Containers run what they are told, with what they are given and nothing else.

use std::time::Duration;

use meshagent_containers::{Command, Error, Mount, Port, Spec};

use crate::engine_here::IMAGE;
use crate::{ended, here, here_with, labels, said, shell};

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_says_what_it_is() {
    let Some(here) = here().await else { return };
    let about = here.engine.about();
    assert_eq!(about.name, "Podman");
    assert!(!about.version.is_empty() && !about.architecture.is_empty(), "{about:?}");
    let own = std::fs::metadata("/proc/self").expect("this process");
    assert_eq!(about.is_rootless, std::os::unix::fs::MetadataExt::uid(&own) != 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_writes_to_both_outputs_and_ends_with_its_code() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("echo out; echo err >&2; exit 3")).await.expect("a container");
    let wanted = (3, "out\n".to_owned(), "err\n".to_owned());
    assert_eq!(ended(&here.engine, &id).await, wanted);
    // It has ended already, and says so again.
    assert_eq!(ended(&here.engine, &id).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_no_matter_for_a_shell_and_words_are_as_they_are() {
    let Some(here) = here().await else { return };
    let command = Command::Line("echo '$HOME' $HOME ; \"a  b\"".to_owned());
    let spec = Spec { image: IMAGE.to_owned(), command, ..Spec::default() };
    assert_eq!(said(&here.engine, &spec).await, "$HOME $HOME ; a  b\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_arrive_as_they_are_with_line_breaks_and_equals_signs() {
    let Some(here) = here().await else { return };
    let env = [("LINES", "a\nB=c"), ("EQUALS", "=a=b="), ("EMPTY", ""), ("Odd-name.1", "ä €")];
    let env = env.map(|(name, value)| (name.to_owned(), value.into())).to_vec();
    // A shell would leave out what it cannot name.
    let command =
        ["grep", "-az", "-E", "^(LINES|B|EQUALS|EMPTY|Odd-name.1)=", "/proc/self/environ"];
    let command = Command::Words(command.map(str::to_owned).to_vec());
    let spec = Spec { image: IMAGE.to_owned(), command, env, ..Spec::default() };
    let said = said(&here.engine, &spec).await;
    let mut seen: Vec<&str> = said.split_terminator(['\0']).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["EMPTY=", "EQUALS==a=b=", "LINES=a\nB=c", "Odd-name.1=ä €"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_few_rights_and_gains_none() {
    let Some(here) = here().await else { return };
    let line = "grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status; \
        mount -t tmpfs none /tmp && echo mounted; mknod /tmp/device b 8 0 && echo made; \
        touch /file && echo written; touch /tmp/file && echo temporary; ls /dev; exit 0";
    let id = here.engine.run(&shell(line)).await.expect("a container");
    let (_, out, _) = ended(&here.engine, &id).await;
    // CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID and NET_BIND_SERVICE, by their numbers.
    let capabilities: u64 = [0, 1, 3, 5, 6, 7, 10].map(|it| 1_u64 << it).iter().sum();
    let bounds = format!("CapBnd:\t{capabilities:016x}");
    assert!(out.contains(&bounds) && out.contains("NoNewPrivs:\t1"), "{out}");
    assert!(!out.contains("mounted") && !out.contains("made") && !out.contains("written"), "{out}");
    assert!(out.contains("temporary"), "{out}");
    assert!(
        !["sda", "vda", "mem", "kmsg", "fuse"].iter().any(|it| out.lines().any(|line| line == *it)),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_sees_no_process_but_its_own_and_none_stays_unreaped() {
    let Some(here) = here().await else { return };
    // The one in the middle leaves its child to the first process, which reaps it.
    let line = "sh -c 'sleep 0 & exit' ; sleep 1; ps -o pid,stat,args; cat /proc/1/comm";
    let said = said(&here.engine, &shell(line)).await;
    assert!(!said.contains(" Z "), "{said}");
    assert!(said.lines().count() <= 6, "{said}");
    assert!(!said.ends_with("\nsh\n"), "the first process reaps: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_engine_has_no_program_that_reaps_containers_run_without_it() {
    let Some(here) = here_with("init_path = \"/no/such/program\"").await else { return };
    assert_eq!(said(&here.engine, &shell("cat /proc/1/comm")).await, "cat\n");
    let all = here.engine.list(&labels([]), true).await.expect("a list");
    assert_eq!(all, [], "the first try does not stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_here_is_told_by_its_name() {
    let Some(here) = here().await else { return };
    let spec = Spec { image: "localhost/none:7".to_owned(), ..shell("true") };
    let error = here.engine.run(&spec).await.expect_err("no image");
    assert_eq!(error, Error::NoImage { image: "localhost/none:7".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_start_leaves_nothing_behind() {
    let Some(here) = here().await else { return };
    let text = Mount::Text { text: "a".to_owned(), target: "/a".to_owned(), read_only: true };
    let working_dir = Some("/bin/busybox/below".to_owned());
    let spec = Spec { working_dir, mounts: vec![text], ..shell("true") };
    let error = here.engine.run(&spec).await.expect_err("no folder");
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    let texts = std::fs::read_dir(here.folder().join("scratch/texts")).expect("a folder");
    assert_eq!(texts.count(), 0);
    let all = here.engine.list(&labels([]), true).await.expect("a list");
    assert_eq!(all, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_dropped_while_it_is_made_does_not_stay() {
    let Some(here) = here().await else { return };
    for milliseconds in [0, 5, 20, 60, 120, 200] {
        let text = Mount::Text { text: "a".to_owned(), target: "/a".to_owned(), read_only: true };
        let spec = Spec { mounts: vec![text], ..shell("sleep 100") };
        let moment = Duration::from_millis(milliseconds);
        if let Ok(made) = tokio::time::timeout(moment, here.engine.run(&spec)).await {
            let id = made.expect("a container");
            here.engine.remove(&id, true).await.expect("it is removed");
        }
    }
    // Podman may still be making the last one.
    let texts = here.folder().join("scratch/texts");
    for _ in 0..500 {
        let all = here.engine.list(&labels([]), true).await.expect("a list");
        let texts = std::fs::read_dir(&texts).map_or(0, std::iter::Iterator::count);
        if all.is_empty() && texts == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a container stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_the_image_does_not_have_is_told_in_its_log() {
    let Some(here) = here().await else { return };
    let command = Command::Words(vec!["no-such-program".to_owned()]);
    let spec = Spec { image: IMAGE.to_owned(), command, ..Spec::default() };
    let id = here.engine.run(&spec).await.expect("the program that reaps starts");
    let (code, _, err) = ended(&here.engine, &id).await;
    assert!(code != 0 && err.contains("No such file"), "{code}: {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_a_conflict_and_the_first_container_stays() {
    let Some(here) = here().await else { return };
    let spec = Spec { name: Some("one".to_owned()), ..shell("sleep 100") };
    let id = here.engine.run(&spec).await.expect("a container");
    let error = here.engine.run(&spec).await.expect_err("a second one");
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    assert_eq!(here.engine.inspect("one").await.expect("a container").id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_reached_at_the_containers_address_and_published_for_this_machine_alone() {
    let Some(here) = here().await else { return };
    let ports = vec![Port { inside: 80, outside: None }];
    let name = format!("ports-{}", std::process::id());
    here.engine.network(&name, &labels([])).await.expect("a network");
    let network = Some(name.clone());
    let line = "mkdir /tmp/w; echo hello > /tmp/w/index.html; httpd -p 80 -h /tmp/w; sleep 100";
    let id = here.engine.run(&Spec { ports, network, ..shell(line) }).await.expect("a container");
    let container = here.engine.inspect(&id).await.expect("a container");
    let published = container.ports[&80];
    let address = here.engine.reach(&id, 80).await.expect("an address");
    for address in [address, ([127, 0, 0, 1], published).into()] {
        assert!(got(address).await.ends_with("hello\n"), "{address}");
    }
    let others = container.addresses.values().next().expect("an address").to_string();
    let gateway = others.rsplit_once('.').expect("an address").0.to_owned() + ".1";
    let elsewhere = tokio::net::TcpStream::connect(format!("{gateway}:{published}")).await;
    assert!(elsewhere.is_err(), "{gateway}:{published}");
    here.engine.remove(&id, true).await.expect("it is removed");
    here.engine.remove_network(&name).await.expect("the network is removed");
}

/// What a server answers, as soon as it listens.
async fn got(address: std::net::SocketAddr) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for _ in 0..500 {
        let mut answer = String::new();
        if let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
            let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await;
            if asked.is_ok()
                && stream.read_to_string(&mut answer).await.is_ok()
                && !answer.is_empty()
            {
                return answer;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody listens at {address}")
}
