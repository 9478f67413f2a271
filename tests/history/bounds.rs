//! How much is kept, what of it can be believed, and what becomes of a run whose state cannot be
//! kept.

use std::time::Duration;

use meshagent::api::request::Request;
use meshagent::apply::execute::Options;
use meshagent::apply::history::{Ended, Occasion, What};
use meshagent::dialect::Speaks;
use meshagent::plan::planner::Policy;
use meshagent::reconcile::{Performing, decide, perform};
use serde_json::{Value, json};

use super::{Past, done, generous, kept, room, told};
use crate::hostile::proxy::{Fault, Hostile, Moment};
use crate::reconciler::{Silent, World};

const FILES: &str = "history%2Fs%2F";

/// A room with a large text.
fn with_metadata(mut room: Value, text: &str) -> Value {
    room["room_metadata"] = json!({ "text": text });
    room
}

/// Writes a file of the history over.
async fn write(past: &Past, file: &str, text: &str) {
    let (client, project) = (&past.world.client, &past.world.server.project);
    let path = format!(".meshagent/history/s/{file}.json");
    let write = client.dialect().upload(project, &path, text.as_bytes().to_vec());
    client.send(&Request { ..write }).await.expect("a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_states_are_kept_and_no_more_files() {
    let past = Past::start().await;
    for number in 0..5 {
        let occasion = Occasion { keep: Some(2), ..kept(What::Apply, None) };
        let decision = past.decided(&[room(&format!("room-{number}"))]).await;
        past.performed(&decision, occasion).await;
    }
    // The number is remembered.
    past.apply(&[room("last")]).await;
    assert_eq!(past.numbers("s").await, [5, 6]);
    assert!(past.file("s", "2").await.is_some() && past.file("s", "3").await.is_none());
    let error = past.back(2, &[]).await.unwrap_err();
    assert!(error.message.contains("state 2 of the set `s` is not kept any more"), "{error}");
    let none = Occasion { keep: Some(0), ..kept(What::Apply, None) };
    past.performed(&past.decided(&[room("more")]).await, none).await;
    assert_eq!(past.numbers("s").await, [5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_any_more_takes_no_space() {
    let past = Past::start().await;
    for number in 0..5 {
        past.apply(&[room(&format!("room-{number}"))]).await;
    }
    let occasion = Occasion { keep: Some(1), ..kept(What::Apply, None) };
    past.performed(&past.decided(&[room("last")]).await, occasion).await;
    assert_eq!(past.numbers("s").await, [6]);
    let mut sizes = Vec::new();
    for slot in 0..6 {
        sizes.push(past.file("s", &slot.to_string()).await.unwrap().len());
    }
    // That of the state, and the one that the next state gets.
    assert_eq!(sizes.iter().filter(|size| **size > 2).count(), 2, "{sizes:?}");
    past.apply(&[room("more")]).await;
    past.roll_back(7, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_whose_documents_are_too_large_is_told_as_one_that_is_not_known() {
    let past = Past::start().await;
    let large = |count: usize| -> Vec<_> {
        let text = "x".repeat(60_000);
        let room = |it: usize| with_metadata(room(&format!("room-{it}")), &text);
        (0..count).map(room).collect()
    };
    past.apply(&[room("one")]).await;
    let decision = past.decided(&large(150)).await;
    let report = past.performed(&decision, kept(What::Apply, None)).await;
    assert!(
        report.notes[0].contains("cannot go back to state 2: its documents take"),
        "{report:?}"
    );
    let reader = past.world.client.reader();
    let history = past.history("s").await;
    let state = history.state(&reader, 2).await.unwrap();
    assert_eq!((state.owned(), state.entries.len()), (150, 0));
    let refused = state.whole("the documents are not known").unwrap_err();
    assert!(refused.message.starts_with("the documents are not known: its documents take"));
    assert!(past.back(2, &[]).await.is_err());
    assert!(history.state(&reader, 1).await.unwrap().whole("").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_not_what_was_written_is_refused() {
    let past = Past::start().await;
    past.apply(&[room("one")]).await;
    past.apply(&[room("two")]).await;
    let state = past.file("s", "0").await.unwrap();
    write(&past, "0", &state.replace("one", "own")).await;
    let error = past.back(1, &[]).await.unwrap_err();
    assert!(error.message.contains("its file is not what was written then"), "{error}");
    past.back(2, &[]).await.unwrap();
    // A list that cannot be read is not written over, and the apply is done all the same.
    write(&past, "index", "{}").await;
    let report =
        past.performed(&past.decided(&[room("three")]).await, kept(What::Apply, None)).await;
    assert!(report.is_complete(), "{report:?}");
    assert!(report.notes[0].contains("the history of the set `s` cannot be read"), "{report:?}");
    assert_eq!(past.file("s", "index").await.unwrap(), "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_kept_once_whatever_becomes_of_the_answers() {
    for fault in [Fault::DropBefore, Fault::DropAfter, Fault::BadGatewayAfter, Fault::CutBody] {
        let mut past = Past::start().await;
        let proxy = Hostile::in_front_of(&past.world.server)
            .with(fault.clone().on("POST").about(FILES).at_first());
        let proxy = proxy.start().await;
        past.world.through(&proxy);
        past.apply(&[room("one")]).await;
        past.apply(&[room("two")]).await;
        assert_eq!(past.numbers("s").await, [1, 2], "{fault:?}");
        past.roll_back(1, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_state_cannot_be_kept_is_done_and_says_so() {
    for (status, told) in [(403, "not kept"), (507, "not kept"), (412, "somebody else applied")] {
        let mut past = Past::start().await;
        past.apply(&[room("one")]).await;
        let proxy = Hostile::in_front_of(&past.world.server)
            .with(Fault::Status(status).on("POST").about("index.json"));
        let proxy = proxy.start().await;
        past.world.through(&proxy);
        let report =
            past.performed(&past.decided(&[room("two")]).await, kept(What::Apply, None)).await;
        assert!(report.is_complete() && report.lost_lease.is_none(), "{report:?}");
        assert!(report.notes[0].contains(told), "{report:?}");
        // What was kept before is as it was.
        assert_eq!(past.numbers("s").await, [1]);
        assert_eq!(
            self::told(&past.back(1, &[]).await.unwrap()),
            ["create Room/one", "delete Room/two"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_between_its_writes_leaves_states_that_were_reached() {
    let mut past = Past::start().await;
    past.apply(&[room("one")]).await;
    let url = past.world.server.url.clone();
    let mut kept_states = Vec::new();
    for write in 1..=20 {
        let proxy =
            Hostile::in_front_of(&past.world.server).pausing(write, Moment::After).start().await;
        past.world.through(&proxy);
        let decision = past.decided(&[room("one"), room(&format!("room-{write}"))]).await;
        tokio::select! {
            _ = past.performed(&decision, kept(What::Apply, None)) => {}
            () = proxy.paused() => {}
        }
        proxy.resume(&url);
        proxy.settled().await;
        past.world.client = World::on(&past.world.server);
        for number in past.numbers("s").await {
            // Each state that is listed is whole, and what was reached once.
            past.back(number, &[])
                .await
                .unwrap_or_else(|error| panic!("{write}: {number}: {error}"));
        }
        kept_states = past.numbers("s").await;
    }
    assert!(kept_states.len() > 2, "{kept_states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_overtaken_takes_no_state_from_the_one_that_overtook_it() {
    let mut past = Past::start().await;
    past.apply(&[room("one")]).await;
    let (mut listed, mut lost) = (1, 0);
    let url = past.world.server.url.clone();
    for write in 1..=12 {
        let proxy =
            Hostile::in_front_of(&past.world.server).pausing(write, Moment::Before).start().await;
        past.world.through(&proxy);
        let (target, folder) = (past.target(), tempfile::tempdir().unwrap());
        past.world.client = World::on(&past.world.server);
        let policy = Policy::standard("s");
        let set = past.set(&[room("one"), room(&format!("slow-{write}"))]);
        let decision = decide(&target, set, &policy, &generous()).await.expect("a plan");
        let performing = Performing {
            break_lock: true,
            occasion: Some(kept(What::Apply, None).into()),
            ..Performing::in_folder(folder.path(), &Silent)
        };
        let running = perform(&target, &decision, &performing);
        let overtaking = async {
            tokio::select! {
                () = proxy.paused() => {}
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
            }
            let fast = past.decided(&[room("one"), room(&format!("fast-{write}"))]).await;
            past.performed(&fast, kept(What::Apply, None)).await;
            proxy.resume(&url);
        };
        let (ran, ()) = tokio::join!(running, overtaking);
        let notes = ran.map(|performed| performed.report.notes).unwrap_or_default();
        lost += usize::from(notes.iter().any(|note| note.contains("somebody else applied")));
        let numbers = past.numbers("s").await;
        assert!(numbers.len() > listed, "{write}: {numbers:?}");
        listed = numbers.len().min(19);
        // Each state that is listed is whole.
        let history = past.history("s").await;
        for number in numbers {
            let state = history.state(&past.world.client.reader(), number).await;
            state.unwrap_or_else(|error| panic!("{write}: {number}: {error}"));
        }
    }
    assert!(lost > 0, "no run was overtaken while it kept its state");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_does_not_say_who_somebody_is_is_told() {
    for (status, told) in [(500, true), (403, false), (404, false)] {
        let mut past = Past::start().await;
        let proxy = Hostile::in_front_of(&past.world.server)
            .with(Fault::Status(status).on("GET").at("/profiles/me"));
        let proxy = proxy.start().await;
        past.world.through(&proxy);
        let decision = past.decided(&[room("one")]).await;
        let report = past.performed(&decision, kept(What::Apply, None)).await;
        assert!(report.is_complete(), "{report:?}");
        let says = |note: &String| note.contains("does not say who ran this");
        assert_eq!(report.notes.iter().any(says), told, "{status}: {report:?}");
        assert_eq!(past.numbers("s").await, [1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_fail_are_told_and_displace_nothing() {
    let past = Past::start().await;
    past.apply(&[room("one")]).await;
    for _ in 0..3 {
        let decision = past.decided(&[room("one"), room("taken")]).await;
        // The name is taken once the plan is made, and free again afterwards.
        let id = past.world.server.room("taken").await;
        let report = past.performed(&decision, kept(What::Apply, None)).await;
        assert_eq!(done(&report), 0, "{report:?}");
        past.world.server.own("DELETE", &format!("/rooms/{id}")).send().await.expect(204);
    }
    let index = past.index("s").await;
    let ended: Vec<_> = index.runs().iter().map(|run| (run.number, run.ended)).collect();
    assert_eq!(ended, [(1, Ended::Done), (4, Ended::Failed)]);
}

#[test]
fn no_state_is_kept_of_what_is_no_run_of_a_set() {
    assert!(Options::standard(1).occasion.is_none());
    let sandbox = crate::cli::Sandbox::with_platform();
    sandbox.embedded(0, &["rooms", "create", "--name", "lobby"]);
    assert_eq!(sandbox.embedded(0, &["history", "-q"]).stdout, "");
}
