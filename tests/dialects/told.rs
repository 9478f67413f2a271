//! Which API a platform speaks is asked before anything else, and said where it is not clear.

use meshagent::api::spoken::Spoken;
use serde_json::json;

use super::stand_in::{Asked, StandIn};

fn paths(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| asked.path.as_str()).collect()
}

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";

#[test]
fn the_credential_is_not_sent_before_the_platform_has_said_what_it_is() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.ends(0, &["rooms", "list"]);
    let asked = platform.take_asked();
    assert_eq!(paths(&asked), ["/config", "rooms"]);
    assert!(!asked[0].is_signed && asked[1].is_signed);
    assert_eq!((&asked[0].consistency, asked[1].consistency.as_deref()), (&None, Some("high")));
    assert_eq!(asked[1].query["view"], "all");
    // Where there is no such answer, more is asked, and nothing follows from one 404.
    let platform = StandIn::of(Spoken::V0_31);
    platform.ends(0, &["rooms", "list"]);
    let asked = platform.take_asked();
    assert_eq!(paths(&asked)[..4], ["/config", "/accounts/whoami", "/accounts/projects", "rooms"]);
    assert!(asked.iter().all(|asked| asked.consistency.is_none()));
}

#[test]
fn a_platform_between_the_two_is_read_and_not_written() {
    let platform = StandIn::of(Spoken::V0_31);
    platform.says(Some(json!({"domains": {}, "version": "0.41.7"})));
    platform.put("rooms", [json!({"id": "r", "name": "old", "metadata": {}, "annotations": {}})]);
    platform.sandbox.write("set.yaml", ROOM);
    assert!(platform.ends(0, &["rooms", "list"]).stdout.contains("old"));
    platform.ends(0, &["plan", "-f", "set.yaml"]);
    platform.take_asked();
    let why = "was not sent: the platform speaks an API between those of 0.31 and 0.56, which this program does not know: GET /config has version 0.41.7";
    for command in [
        &["apply", "-f", "set.yaml", "--yes"][..],
        &["rooms", "create", "--name", "new"],
        &["rooms", "delete", "--name", "old"],
    ] {
        let run = platform.run(command);
        assert!(run.code != 0 && run.stderr.contains(why), "{command:?}: {}", run.stderr);
        let lines = run.stderr.lines().filter(|line| line.contains("was not sent"));
        assert_eq!(lines.count(), 1, "{command:?}: {}", run.stderr);
        let wrote: Vec<Asked> = platform.take_asked();
        assert!(wrote.iter().all(|it| it.method == "GET"), "{command:?}: {wrote:?}");
    }
    for named in ["0.31", "0.56"] {
        let run = platform.ends(6, &["rooms", "list", "--dialect", named]);
        let told = format!(
            "--dialect names the API of {named}, and the platform speaks an older or newer one: GET /config has version 0.41.7"
        );
        assert!(run.stderr.contains(&told), "{}", run.stderr);
    }
}

#[test]
fn what_was_named_and_what_the_platform_says_must_agree() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write("set.yaml", ROOM);
    let run = platform.ends(6, &["apply", "-f", "set.yaml", "--yes", "--dialect", "0.31"]);
    assert_eq!(
        run.stderr,
        "error: --dialect names the API of 0.31, and the platform says that it speaks that of 0.56\n\
         hint: leave --dialect and MESHAGENT_DIALECT out\n"
    );
    assert_eq!(paths(&platform.take_asked()), ["/config"]);
    platform.ends(0, &["apply", "-f", "set.yaml", "--yes", "--dialect", "0.56"]);
    let unknown = platform.ends(2, &["plan", "-f", "set.yaml", "--dialect", "0.40"]);
    assert!(unknown.stderr.contains("[possible values: 0.31, 0.56]"), "{}", unknown.stderr);
    let mut command = platform.sandbox.command(&["rooms", "list", "--embedded"]);
    let run =
        crate::cli::Run::of(command.env("MESHAGENT_DIALECT", "newest").output().expect("one"));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("MESHAGENT_DIALECT is \"newest\"\nhint: it can be 0.31 or 0.56"));
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let platform = StandIn::of(Spoken::V0_31);
    for (config, why) in [
        (json!({"hello": 1}), "GET /config was answered by something else"),
        (json!([]), "GET /config was answered by something else"),
        (json!({"api_version": "latest"}), "GET /config names an API that is no release"),
    ] {
        platform.says(Some(config));
        let run = platform.ends(6, &["rooms", "list"]);
        let told = format!(
            "error: it is not known which API this platform speaks: {why}\n\
             hint: if you know it, say which one with --dialect or MESHAGENT_DIALECT\n"
        );
        assert_eq!(run.stderr, told);
        assert_eq!(paths(&platform.take_asked()), ["/config"]);
        platform.ends(0, &["rooms", "list", "--dialect", "0.31"]);
        platform.take_asked();
    }
    // One 404 is not enough: somebody answers who was asked.
    let platform = StandIn::of(Spoken::V0_56);
    platform.says(None);
    let run = platform.ends(6, &["rooms", "list"]);
    let why = "there is no /config, and GET /accounts/whoami was answered all the same";
    assert!(run.stderr.contains(why), "{}", run.stderr);
    platform.says(Some(json!({"domains": {}})));
    platform.ends(0, &["rooms", "list"]);
}

#[test]
fn what_a_platform_says_of_itself_is_shown_and_not_obeyed() {
    let hostile = "\u{1b}[2J\r\n::warning::x\u{202e}";
    let platform = StandIn::of(Spoken::V0_31);
    for start in ["0.99", "0.41", ""] {
        let version = format!("{start}.{hostile}{}", "x".repeat(100_000));
        for config in [json!({"domains": {}, "version": version}), json!({"api_version": version})]
        {
            // What names an API has to be a release.
            let code = if start.is_empty() && config.get("domains").is_none() { 6 } else { 0 };
            platform.says(Some(config));
            let run = platform.ends(code, &["project", "list"]);
            for text in ["\u{1b}", "\r", "\n::", "\u{202e}"] {
                assert!(!run.stderr.contains(text), "{text:?} in {:?}", run.stderr);
            }
            assert!(run.stderr.len() < 300, "{}", run.stderr);
        }
    }
}

#[test]
fn a_newer_release_is_told_once() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.says(Some(json!({"domains": {}, "version": "0.61.2-rc1"})));
    let run = platform.ends(0, &["rooms", "list"]);
    let note = "note: the platform is of release 0.61.2-rc1, and this program was made for 0.56\n";
    assert_eq!(run.stderr, note);
}

#[test]
fn what_newer_platforms_have_no_more_ends_with_one_line() {
    let platform = StandIn::of(Spoken::V0_56);
    for command in [
        &["api-key", "list"][..],
        &["api-key", "create", "k"],
        &["api-key", "create", "k", "--dry-run"],
        &["api-key", "delete", "x"],
        &["api-key", "delete", "x", "--dry-run"],
    ] {
        let run = platform.ends(6, command);
        assert_eq!(run.stdout, "", "{command:?}");
        let told = "error: the platform's API, that of 0.56, has no API keys of projects\nhint: keys belong to service accounts there";
        assert!(run.stderr.starts_with(told), "{command:?}: {}", run.stderr);
    }
    let run = platform.ends(2, &["rooms", "list", "--order-by", "created_at"]);
    assert!(run.stderr.contains("lists rooms by their names, not by `created_at`"));
    let asked = platform.take_asked();
    assert!(asked.iter().all(|asked| asked.path == "/config"), "{:?}", paths(&asked));
}

#[test]
fn a_list_that_does_not_say_where_it_ends_is_not_told_as_whole() {
    let platform = StandIn::of(Spoken::V0_56);
    let sessions =
        |numbers: std::ops::Range<usize>| numbers.map(|it| json!({"id": it.to_string()}));
    platform.put("sessions", sessions(0..99));
    let told = "note: these are the newest 100; there may be more";
    assert!(!platform.ends(0, &["session", "list"]).stderr.contains(told));
    platform.put("sessions", sessions(99..120));
    assert!(platform.ends(0, &["session", "list"]).stderr.contains(told));
}
