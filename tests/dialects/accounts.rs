//! Service accounts and their secrets in the program as a whole: other sets, exports, mistakes.

use std::collections::BTreeMap;

use super::migrate::Upgraded;
use crate::hostile::proxy::{Fault, Hostile, Running};
use crate::platform::harness::client;

const SET: &str = "version: v1
kind: ServiceAccount
metadata: {name: bots}
---
version: v1
kind: AccountSecret
metadata: {name: k}
account: bots
value: {from: {env: TOKEN}}
---
version: v1
kind: Service
metadata: {name: w}
container: {image: x/y, environment: [{name: K, secret: {id: bots/k}}]}
---
version: v1
kind: ManagedAgent
metadata: {name: helper}
allowed_models: [{provider: openai, model: gpt-5}]
instructions: Help.
run_as: {email: bots, scopes: [secrets:read, llm_proxy]}
environment: [{name: K, secret: {id: bots/k}}]
";

const APPLY: [&str; 6] = ["apply", "-f", "set.yaml", "--set", "s", "--yes"];

#[tokio::test(flavor = "multi_thread")]
async fn a_set_with_accounts_is_applied_renamed_exported_and_destroyed() {
    let it = Upgraded::new().await;
    it.sandbox.write("set.yaml", SET);
    it.ends(0, "0.56", &APPLY);
    it.ends(0, "0.56", &["plan", "-f", "set.yaml", "--set", "s", "--exit-code"]);
    // Another set has all of it, with its values.
    it.ends(0, "0.56", &["set", "rename", "s", "t", "--yes"]);
    it.ends(0, "0.56", &["plan", "-f", "set.yaml", "--set", "t", "--exit-code"]);
    it.ends(0, "0.56", &["export", "--set", "t", "--dir", "out"]);
    let mut written = String::new();
    for file in walkdir::WalkDir::new(it.sandbox.path("out")).into_iter().flatten() {
        if file.file_type().is_file() {
            written += &std::fs::read_to_string(file.path()).expect("a text");
        }
    }
    assert!(written.contains("SECRET_BOTS_K_VALUE"), "{written}");
    assert!(!written.contains("the-value-of-it"), "{written}");
    it.ends(0, "0.56", &["destroy", "--set", "t", "--yes"]);
    let accounts = it.get("/service-accounts?page_size=100").await;
    assert!(!accounts.to_string().contains("\"bots\""), "{accounts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_to_be_left_is_released() {
    let it = Upgraded::new().await;
    let orphan =
        SET.replace("value: {from: {env: TOKEN}}", "value: x1\nlifecycle: {delete: orphan}");
    it.sandbox.write("set.yaml", &orphan);
    it.ends(0, "0.56", &APPLY);
    let account = "version: v1\nkind: ServiceAccount\nmetadata: {name: bots}\n";
    it.sandbox.write("set.yaml", account);
    let all = [&APPLY[..], &["--allow-deletes", "9"]].concat();
    let run = it.ends(0, "0.56", &all);
    assert!(run.stdout.contains("release AccountSecret/bots/k"), "{}", run.stdout);
    it.ends(0, "0.56", &["plan", "-f", "set.yaml", "--set", "s", "--exit-code"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_meant_otherwise_is_refused_before_anything_is_written() {
    let it = Upgraded::new().await;
    it.sandbox.write("set.yaml", "version: v1\nkind: ServiceAccount\nmetadata: {name: bots}\n");
    it.ends(0, "0.56", &APPLY);
    let id =
        it.get("/service-accounts/by-name/bots").await["id"].as_str().expect("an id").to_owned();
    let secret = format!(
        "version: v1\nkind: AccountSecret\nmetadata: {{name: k}}\naccount: {id}\nvalue: x1\n"
    );
    let settings = |key: &str| {
        format!(
            "version: v1\nkind: SettingsDocument\nmetadata: {{name: openai}}\nsettings: {{api_key: {key}}}\n"
        )
    };
    for (text, told) in [
        (secret, "is neither in the set nor in the project".to_owned()),
        (settings("{from: {evn: KEY}}"), "is not a source".to_owned()),
        (settings("{from: {env: KEY, allow_empty: true}}"), "is not a source".to_owned()),
        (settings("{from: KEY}"), "is not a source".to_owned()),
    ] {
        it.sandbox.write("set.yaml", &text);
        let run = it.run("0.56", &["plan", "-f", "set.yaml", "--set", "other"]);
        assert!(run.code != 0 && run.stderr.contains(&told), "{told}: {} {}", run.code, run.stderr);
    }
    // Nothing of what is secret is shown with a mistake.
    for kind in ["AccountSecret", "SettingsDocument", "ManagedAgent"] {
        let text =
            format!("version: v1\nkind: {kind}\nmetadata: {{name: k}}\ntoken: hunter2-plain\n");
        it.sandbox.write("set.yaml", &text);
        let run = it.run("0.56", &["validate", "-f", "set.yaml"]);
        assert_ne!(run.code, 0, "{kind}");
        assert!(!run.stderr.contains("hunter2-plain"), "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_goes_with_what_is_in_it_and_says_so_first() {
    let it = Upgraded::new().await;
    it.ends(0, "0.56", &["service-account", "create", "bots"]);
    it.ends(
        0,
        "0.56",
        &["secret", "key", "create", "--name", "k", "--data", "A=1", "--service-account", "bots"],
    );
    let run = it.ends(0, "0.56", &["service-account", "delete", "bots", "--dry-run"]);
    let told = "AccountSecret/bots/k.A will be deleted with the account";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    let key = ["service-account", "api-key", "create", "ci", "--service-account", "bots"];
    it.ends(0, "0.56", &key);
    it.grant("bots", "developer").await;
    // The run itself tells it, too.
    let run = it.ends(0, "0.56", &["service-account", "delete", "bots"]);
    for told in [
        told,
        "the API key ci goes with the account",
        "the grant of developer goes with the account",
    ] {
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_a_command_deletes_says_what_it_takes_along() {
    for dialect in ["0.31", "0.56"] {
        let it = Upgraded::new().await;
        let room = "version: v1\nkind: Room\nmetadata: {name: hall}\n---\n";
        let service = "version: v1\nkind: Service\nmetadata: {name: bot}\nroom: hall\ncontainer: {image: x}\n";
        it.sandbox.write("set.yaml", &[room, service].concat());
        it.ends(0, dialect, &APPLY);
        let run = it.ends(0, dialect, &["rooms", "delete", "--name", "hall"]);
        let told = "Service/bot@hall, which the set `s` owns, will be deleted with the room";
        assert!(run.stderr.contains(told), "{dialect}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_does_not_delete_itself() {
    let it = Upgraded::new().await;
    let (account, key) = it.account("bots").await;
    it.grant("bots", "admin").await;
    for more in [&[][..], &["--dry-run"]] {
        let line = [&["service-account", "delete", "bots"], more].concat();
        let run = it.run_with(&key, "0.56", &line);
        assert_eq!(run.code, 6, "{}", run.stderr);
        let told = "ServiceAccount/bots would delete itself";
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert_eq!(it.get("/service-accounts/by-name/bots").await["id"], account.as_str());
    it.ends(0, "0.56", &["service-account", "create", "others"]);
    assert_eq!(it.run_with(&key, "0.56", &["service-account", "delete", "others"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_writes_no_secret_to_another_account_than_it_names() {
    let mut it = Upgraded::new().await;
    for name in ["bot", "other"] {
        it.ends(0, "0.56", &["service-account", "create", name]);
    }
    let renamed = Fault::Edited(|account| account["name"] = "other".into());
    let proxy =
        Hostile::before(&it.url, client()).with(renamed.on("GET").at("/by-name/bot").times(1000));
    let proxy = proxy.start().await;
    it.url.clone_from(&proxy.url);
    let create =
        ["secret", "key", "create", "--service-account", "bot", "--name", "k", "--data", "A=1"];
    let run = it.run("0.56", &create);
    assert!(
        run.code != 0 && run.stderr.contains("answered with another service account"),
        "{}",
        run.stderr
    );
    assert_eq!(proxy.writes(), [""; 0]);
}

const CREATE: [&str; 5] = ["secret", "key", "create", "--service-account", "bot"];

#[tokio::test(flavor = "multi_thread")]
async fn a_command_makes_no_second_secret_of_one_name() {
    let it = Upgraded::new().await;
    it.ends(0, "0.56", &["service-account", "create", "bot"]);
    it.ends(0, "0.56", &[&CREATE[..], &["--name", "k", "--data", "A=1"]].concat());
    let again = [&CREATE[..], &["--name", "k", "--data", "B=1 A=2"]].concat();
    for more in [&[][..], &["--dry-run"]] {
        let run = it.ends(1, "0.56", &[&again[..], more].concat());
        assert!(run.stderr.contains("AccountSecret/bot/k.A already exists"), "{}", run.stderr);
        assert!(run.stderr.contains("update --secret-id"), "{}", run.stderr);
    }
    let list = ["secret", "list", "--service-account", "bot", "-o", "json"];
    let list = it.ends(0, "0.56", &list).json();
    assert_eq!(list["secrets"].as_array().map(Vec::len), Some(1), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_did_half_says_what_ends_it() {
    let mut it = Upgraded::new().await;
    it.ends(0, "0.56", &["service-account", "create", "bot"]);
    let direct = it.url.clone();
    let fault = Fault::Status(500).on("POST").at("/versions");
    let proxy = Hostile::before(&it.url, client()).with(fault).start().await;
    it.url.clone_from(&proxy.url);
    let create = [&CREATE[..], &["--name", "k", "--data", "A=1", "--retries", "0"]].concat();
    let run = it.ends(1, "0.56", &create);
    assert!(!run.stderr.contains("the next apply"), "{}", run.stderr);
    it.url = direct;
    let list = ["secret", "list", "--service-account", "bot", "-o", "json"];
    let list = it.ends(0, "0.56", &list).json();
    let id = list["secrets"][0]["id"].as_str().expect("an id");
    let told = format!("it has the id {id}: write it with an update of that id, or delete it");
    assert!(run.stderr.contains(&told), "{}", run.stderr);
    let update = ["secret", "key", "update", "--service-account", "bot", "--secret-id", id];
    it.ends(0, "0.56", &[&update[..], &["--name", "k.A", "--data", "A=1"]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_commands_do_not_show_which_secrets_are_the_same() {
    let it = Upgraded::new().await;
    it.ends(0, "0.56", &["service-account", "create", "bot"]);
    let of_project = &CREATE[..3];
    for (dialect, create) in [("0.56", &CREATE[..]), ("0.31", of_project)] {
        let mut fingerprints = std::collections::BTreeSet::new();
        for name in ["one", "two"] {
            let more = ["--name", name, "--data", "A=the-value-of-it", "--report", "report.json"];
            it.ends(0, dialect, &[create, &more].concat());
            let report = std::fs::read_to_string(it.sandbox.path("report.json")).expect("a report");
            assert!(!report.contains("the-value-of-it"), "{report}");
            let (_, rest) = report.split_once("\"$secret\"").expect("a fingerprint");
            fingerprints.insert(rest.split('"').nth(1).expect("a text").to_owned());
        }
        assert_eq!(fingerprints.len(), 2, "{dialect}: {fingerprints:?}");
    }
}

/// What one set leaves behind and another one takes over from its export, in 0.56.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_everything_is_adopted_without_a_change() {
    let it = Upgraded::new().await;
    let orphan = SET.replace("\nmetadata:", "\nlifecycle: {delete: orphan}\nmetadata:");
    it.sandbox.write("set.yaml", &orphan);
    it.ends(0, "0.56", &APPLY);
    it.sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: r}\n");
    it.ends(0, "0.56", &APPLY);
    it.ends(0, "0.56", &["export", "--dir", "out"]);
    std::fs::remove_dir_all(it.sandbox.path("out/rooms")).ok();
    let plan = ["plan", "-f", "out", "--set", "t", "--adopt", "-o", "json", "--target", "*bots*"];
    let plan = [&plan[..], &["--target", "Service/w", "--target", "ManagedAgent/helper"]].concat();
    let plan = it.ends(0, "0.56", &plan).json();
    assert_eq!(plan["counts"]["adopt"], 4, "{plan}");
    for operation in plan["operations"].as_array().expect("a list") {
        assert_eq!(operation["action"], "adopt", "{operation}");
        for change in operation["changes"].as_array().expect("a list") {
            // No set knows yet whether the value is the one that the platform keeps to itself.
            let is_hidden =
                operation["key"]["kind"] == "AccountSecret" && change["path"] == "value";
            let is_owner = change["path"] == "metadata.annotations[\"meshagent.set\"]";
            assert!(is_hidden || is_owner, "{operation}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_roles_that_go_with_an_account_are_told_first() {
    let it = Upgraded::new().await;
    it.sandbox.write("set.yaml", "version: v1\nkind: ServiceAccount\nmetadata: {name: bots}\n");
    it.ends(0, "0.56", &APPLY);
    let key = ["service-account", "api-key", "create", "ci", "--service-account", "bots"];
    it.ends(0, "0.56", &key);
    it.grant("bots", "developer").await;
    let told = ["the API key ci goes with", "the grant of developer goes with"];
    let run = it.ends(0, "0.56", &["service-account", "delete", "bots", "--dry-run"]);
    for told in told {
        assert!(run.stderr.contains(&format!("{told} the account")), "{}", run.stderr);
    }
    let run = it.ends(0, "0.56", &["destroy", "--set", "s", "--dry-run"]);
    for told in told {
        assert!(run.stderr.contains(&format!("{told} ServiceAccount/bots")), "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_of_both_apis_is_told_of_with_what_names_the_other_one() {
    let it = Upgraded::new().await;
    let account = "version: v1\nkind: ServiceAccount\nmetadata: {name: bots}\n";
    it.sandbox.write("set.yaml", account);
    let refused = it.run("0.31", &["plan", "-f", "set.yaml", "--set", "s"]);
    let told = "this platform speaks the API of 0.56, too, which has all of it: --dialect 0.56";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    // One that neither can say is not to be had by that.
    let webhook = "---\nversion: v1\nkind: Webhook\nmetadata: {name: w}\nurl: https://a.example\nevents: [room.started]\n";
    it.sandbox.write("both.yaml", &format!("{account}{webhook}"));
    for dialect in ["0.31", "0.56"] {
        let refused = it.run(dialect, &["plan", "-f", "both.yaml", "--set", "s"]);
        assert!(refused.code != 0 && !refused.stderr.contains("hint: this platform speaks"));
    }
    it.ends(0, "0.56", &APPLY);
    let refused = it.ends(6, "0.31", &["plan", "-f", "set.yaml", "--set", "s"]);
    let told = "this platform speaks that of 0.56, too: --dialect 0.56 goes on with it";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
}

/// An account is named by its id as well as by its name, and so is it where its secrets are read.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_acts_for_an_account_may_name_it_by_its_id() {
    let it = Upgraded::new().await;
    it.sandbox.write("set.yaml", SET);
    it.ends(0, "0.56", &APPLY);
    let account = it.get("/service-accounts/by-name/bots").await;
    let id = account["id"].as_str().expect("an id");
    let acts = format!("image: x/y, run_as: {{account: {id}, scopes: [secrets:read]}}, ");
    let by_id = SET.replace("image: x/y, ", &acts);
    let by_id = by_id.replace("run_as: {email: bots", &format!("run_as: {{email: {id}"));
    assert_eq!(by_id.matches(id).count(), 2, "{by_id}");
    it.sandbox.write("set.yaml", &by_id);
    it.ends(0, "0.56", &["plan", "-f", "set.yaml", "--set", "s", "--exit-code"]);
}

/// The requests that read something, with how often each came.
fn reads(proxy: &Running) -> BTreeMap<String, u64> {
    let all = proxy.requests().into_iter();
    all.filter(|(request, _)| request.starts_with("GET ")).collect()
}

/// How often it was read what somebody may do.
fn reads_of_policies(proxy: &Running) -> u64 {
    let all = reads(proxy).into_iter();
    all.filter(|(request, _)| request.contains("/iam/")).map(|(_, times)| times).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_with_several_accounts_is_read_once_and_only_for_a_plan_that_may_run() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let mut it = Upgraded::new().await;
    let account =
        |name: &str| format!("version: v1\nkind: ServiceAccount\nmetadata: {{name: {name}}}\n");
    let grant = "version: v1\nkind: RoleGrant\nmetadata: {name: \"service_account:d\"}\nroles: [developer]\n";
    let all = [NAMES.map(account).join("---\n"), grant.to_owned()].join("---\n");
    it.sandbox.write("set.yaml", &all);
    it.ends(0, "0.56", &APPLY);
    for name in NAMES {
        let key = ["service-account", "api-key", "create", "ci", "--service-account", name];
        it.ends(0, "0.56", &key);
    }
    for name in &NAMES[..3] {
        it.grant(name, "developer").await;
    }
    let direct = it.url.clone();
    // The plan itself reads the policy, because the set has a grant.
    let proxy = Hostile::before(&direct, client()).start().await;
    it.url.clone_from(&proxy.url);
    let run = it.ends(0, "0.56", &["destroy", "--set", "s", "--dry-run"]);
    assert_eq!(reads_of_policies(&proxy), 2, "{:?}", proxy.requests());
    for name in NAMES {
        let told = format!("the API key ci goes with ServiceAccount/{name}");
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        // What has an operation of its own does not go along.
        let told = format!("the grant of developer goes with ServiceAccount/{name}");
        assert_eq!(run.stderr.contains(&told), name != "d", "{name}: {}", run.stderr);
    }
    // A plan that is refused takes nothing along.
    let proxy = Hostile::before(&direct, client()).start().await;
    it.url.clone_from(&proxy.url);
    it.sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: r}\n");
    let run = it.ends(6, "0.56", &["plan", "-f", "set.yaml", "--set", "s"]);
    assert!(run.stderr.contains("--allow-deletes"), "{}", run.stderr);
    assert_eq!(reads_of_policies(&proxy), 1, "{:?}", proxy.requests());
    let requests = proxy.requests();
    assert!(!requests.keys().any(|it| it.contains("/api-keys")), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reads_each_list_once_and_not_what_people_may_do() {
    let mut it = Upgraded::new().await;
    it.ends(0, "0.56", &["service-account", "create", "bots"]);
    for name in ["one", "two"] {
        it.ends(0, "0.56", &["rooms", "create", "--name", name]);
    }
    let direct = it.url.clone();
    for (line, policies) in [
        (["rooms", "delete", "--name", "one", "--dry-run"].as_slice(), 0),
        // Which roles go with an account is read, once.
        (&["service-account", "delete", "bots", "--dry-run"], 1),
    ] {
        let proxy = Hostile::before(&direct, client()).start().await;
        it.url.clone_from(&proxy.url);
        it.ends(0, "0.56", line);
        assert_eq!(reads_of_policies(&proxy), policies, "{line:?}: {:?}", proxy.requests());
        let is_list = |it: &String| it.contains("/projects/") && it.contains('?');
        let lists: BTreeMap<_, _> =
            reads(&proxy).into_iter().filter(|(it, _)| is_list(it)).collect();
        assert!(lists.len() > 4 && lists.values().all(|times| *times == 1), "{line:?}: {lists:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_of_several_pairs_are_one_manifest() {
    let it = Upgraded::new().await;
    it.ends(0, "0.56", &["service-account", "create", "bot"]);
    let pairs = ["--name", "k", "--data", "A=1111111 B=2222222", "--as-manifest"];
    let run = it.ends(0, "0.56", &[&CREATE[..], &pairs].concat());
    it.sandbox.write("set.yaml", &run.stdout);
    let told = it.sandbox.command(&["validate", "-f", "set.yaml"]).output().expect("a run");
    assert_eq!(String::from_utf8_lossy(&told.stdout), "valid: 2 documents, 2 objects\n");
}

/// A value is told at its line, although the document became several objects.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_pairs_are_told_at_their_lines() {
    let it = Upgraded::new().await;
    it.ends(0, "0.56", &["service-account", "create", "sup"]);
    let pair = |name: &str| format!("  {name}: {{from: {{env: {name}_IS_NOT_SET}}}}\n");
    let head =
        "version: v1\nkind: Secret\nmetadata: {name: k}\nservice_account: sup\ntype: keys\ndata:\n";
    it.sandbox.write("set.yaml", &[head, &pair("ONE"), &pair("TWO")].concat());
    let run = it.ends(0, "0.56", &["plan", "-f", "set.yaml"]);
    for place in ["set.yaml:7:", "set.yaml:8:"] {
        assert!(run.stderr.contains(place), "{place}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("set.yaml:1:1"), "{}", run.stderr);
}
