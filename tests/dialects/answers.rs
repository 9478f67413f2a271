//! Answers to writes that are about another object than what was sent: nothing of it is recorded, and
//! no secret is sent to what they name.

use meshagent::api::spoken::Spoken;
use meshagent::apply::execute::{Outcome, Report};
use serde_json::{Value, json};

use crate::hostile::proxy::{Fault, Hostile, Mischief};
use crate::platform::harness::client;
use crate::reconciler::{World, policy};
use crate::spoken::BOTH;

/// The outcomes of an apply of these documents in which an answer is wrong, and the writes but for
/// those into the storage.
async fn answered(
    spoken: Spoken,
    mischief: Mischief,
    documents: &[Value],
) -> (Vec<Outcome>, Vec<String>) {
    let (report, writes) = reported(spoken, mischief, documents).await;
    (report.outcomes, writes)
}

/// The same with all that is reported.
async fn reported(
    spoken: Spoken,
    mischief: Mischief,
    documents: &[Value],
) -> (Report, Vec<String>) {
    let mut world = World::speaking(spoken).await;
    let url = world.server.url.clone();
    let proxy = Hostile::before(&url, client()).with(mischief).start().await;
    let direct = world.client.clone();
    world.through(&proxy);
    let decided = world.plan(documents, &policy("s")).await;
    let report = world.perform(&decided, 1).await.expect("a report");
    world.client = direct;
    let writes = proxy.writes().into_iter().filter(|it| !it.contains("/storage"));
    (report, writes.collect())
}

/// What is done to an answer.
type Edit = fn(&mut Value);

fn told(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { message, refused: false, .. } => message,
        other => panic!("{other:?}"),
    }
}

fn of_account() -> [Value; 2] {
    [
        json!({"version": "v1", "kind": "ServiceAccount", "metadata": {"name": "support"}}),
        json!({
            "version": "v1", "kind": "AccountSecret", "metadata": {"name": "k"},
            "account": "support", "value": "the-value-of-it",
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_name_is_not_what_was_created() {
    let room = [json!({"version": "v1", "kind": "Room", "metadata": {"name": "lobby"}})];
    for spoken in BOTH {
        let other = Fault::Answered(|room| room["name"] = "theirs".into());
        let (outcomes, _) = answered(spoken, other.on("POST").at("/rooms"), &room).await;
        let told = told(&outcomes[0]);
        assert!(told.contains("answered with the name `theirs`"), "{spoken}: {told}");
        // Case is the platform's to choose.
        let same = Fault::Answered(|room| room["name"] = "LOBBY".into());
        let (outcomes, _) = answered(spoken, same.on("POST").at("/rooms"), &room).await;
        assert_eq!(outcomes, [Outcome::Done], "{spoken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_sent_to_an_account_of_another_name() {
    let other = Fault::Answered(|account| account["name"] = "theirs".into());
    let mischief = other.on("POST").at("/service-accounts");
    let (outcomes, writes) = answered(Spoken::V0_56, mischief, &of_account()).await;
    assert!(told(&outcomes[0]).contains("answered with the name `theirs`"), "{outcomes:?}");
    assert!(matches!(outcomes[1], Outcome::Skipped { .. }), "{outcomes:?}");
    assert!(writes.iter().all(|it| !it.contains("/secrets")), "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_sent_to_another_secret() {
    let edits: [(Edit, &str); 2] = [
        (|it| it["name"] = "theirs".into(), "the name `theirs`"),
        (|it| it["owner_service_account_id"] = "0000".into(), "another `owner_service_account_id`"),
    ];
    for (edit, said) in edits {
        let mischief = Fault::Answered(edit).on("POST").at("/secrets");
        let (outcomes, writes) = answered(Spoken::V0_56, mischief, &of_account()).await;
        let told = told(&outcomes[1]);
        assert!(told.contains(said), "{told}");
        assert!(writes.iter().all(|it| !it.contains("/versions")), "{writes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_another_secret_is_told() {
    let other = Fault::Answered(|it| it["secret_id"] = "0000".into());
    let (outcomes, _) =
        answered(Spoken::V0_56, other.on("POST").at("/versions"), &of_account()).await;
    let told = told(&outcomes[1]);
    assert!(told.contains("another `secret_id`") && !told.contains("the-value-of-it"), "{told}");
}

/// What the platform calls `value_sha256` is not known to be the sum of the value.
#[tokio::test(flavor = "multi_thread")]
async fn another_sum_of_a_value_is_told_of_and_fails_nothing() {
    let edits: [(Edit, bool); 5] = [
        (|it| it["value_sha256"] = "0".repeat(64).into(), true),
        (|it| it["value_sha256"] = "".into(), false),
        (|it| it["value_sha256"] = format!("sha256:{}", "0".repeat(64)).into(), false),
        (
            |it| {
                let sum = it["value_sha256"].as_str().expect("a text").to_uppercase();
                it["value_sha256"] = sum.into();
            },
            false,
        ),
        (|_| {}, false),
    ];
    for (index, (edit, is_told)) in edits.into_iter().enumerate() {
        let mischief = Fault::Answered(edit).on("POST").at("/versions");
        let (report, _) = reported(Spoken::V0_56, mischief, &of_account()).await;
        assert_eq!(report.outcomes, [Outcome::Done, Outcome::Done], "{index}");
        let told = report
            .notes
            .iter()
            .any(|it| it.contains("AccountSecret/support/k was written, but the `value_sha256`"));
        assert_eq!(told, is_told, "{index}: {:?}", report.notes);
    }
}
