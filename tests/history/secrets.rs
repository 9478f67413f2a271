//! Secrets are not kept: they stay, or are read from where today's manifests say.

use serde_json::{Value, json};

use super::{Past, room, told};

fn secret(data: Value) -> Value {
    json!({"version": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "type": "keys", "data": data})
}

async fn data(past: &Past) -> Value {
    let (server, store) = (&past.world.server, past.world.server.store().await);
    let secrets = crate::platform::opened::secrets(&server.folder(), &store).await;
    json!(secrets.into_iter().collect::<std::collections::BTreeMap<_, _>>()["keys"])
}

fn from(past: &Past, name: &str, text: &str) -> Value {
    past.world.write(&format!("set/{name}"), text);
    json!({"from": {"file": name}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_did_not_change_stays_and_is_not_read() {
    let past = Past::start().await;
    let token = from(&past, "token", "canary-one");
    past.apply(&[secret(json!({"A": token, "B": "canary-two"})), room("a")]).await;
    past.apply(&[secret(json!({"A": token, "B": "canary-two"}))]).await;
    std::fs::remove_file(past.world.write("set/token", "")).unwrap();
    assert_eq!(told(&past.roll_back(1, &[]).await), ["create Room/a"]);
    assert_eq!(data(&past).await, json!({"A": "canary-one", "B": "canary-two"}));
    for file in ["index", "0", "1", "2"] {
        let text = past.file("s", file).await.expect("a file");
        assert!(!text.contains("canary"), "{file}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changed_comes_from_todays_manifests_or_stays() {
    let past = Past::start().await;
    let token = from(&past, "token", "canary-one");
    let documents = [secret(json!({"A": token, "B": "literal-one"}))];
    past.apply(&documents).await;
    from(&past, "token", "canary-two");
    let changed = [secret(json!({"A": token, "B": "literal-two"}))];
    past.apply(&changed).await;
    // Without manifests both stay, and it is said which.
    let decision = past.back(1, &[]).await.unwrap();
    assert_eq!((told(&decision), decision.plan.notes.len()), (Vec::new(), 3));
    let notes = decision.plan.notes.join("\n");
    assert!(notes.contains("Secret/keys: `data.A` stays as it is"), "{notes}");
    assert!(notes.contains("it was read from the file token"), "{notes}");
    assert!(notes.contains("it stood in a manifest, and secrets are not kept"), "{notes}");
    // Today's manifests say where one is read from, and have the other as it was.
    from(&past, "token", "canary-one");
    assert_eq!(told(&past.roll_back(1, &documents).await), ["update Secret/keys"]);
    assert_eq!(data(&past).await, json!({"A": "canary-one", "B": "literal-one"}));
    // The source has another value by now: it is today's that is taken.
    past.apply(&[secret(json!({"A": "other", "B": "literal-one"}))]).await;
    from(&past, "token", "canary-three");
    let decision = past.roll_back(1, &documents).await;
    let notes = decision.plan.notes.join("\n");
    assert!(notes.contains("`data.A` gets the value that it has in the manifests now"), "{notes}");
    assert_eq!(data(&past).await, json!({"A": "canary-three", "B": "literal-one"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_nobody_knows_is_never_sent() {
    let past = Past::start().await;
    let token = from(&past, "token", "canary-one");
    past.apply(&[room("a"), secret(json!({"A": token, "B": "literal-one"}))]).await;
    // It is sent as a whole, with what has not changed.
    past.apply(&[room("a"), secret(json!({"A": token}))]).await;
    let error = past.back(1, &[]).await.unwrap_err();
    let messages: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
    assert!(messages[0].starts_with("history/1/Secret/keys:"), "{messages:?}");
    let told_of_b = messages
        .iter()
        .any(|it| it.contains("it is sent as a whole, and the value of `data.B` is not known"));
    assert!(told_of_b, "{messages:?}");
    assert!(error.problems[0].hint.as_ref().unwrap().contains("--exclude Secret/keys"));
    assert_eq!(data(&past).await, json!({"A": "canary-one"}));
    // The other way round nothing is missing.
    past.apply(&[room("a"), secret(json!({"A": token, "B": "literal-one"}))]).await;
    assert_eq!(
        told(&past.roll_back(2, &[secret(json!({"A": token}))]).await),
        ["update Secret/keys"]
    );
    // One that is gone cannot be made of nothing.
    past.apply(&[room("a")]).await;
    let error = past.back(2, &[]).await.unwrap_err();
    assert!(error.problems[0].message.contains("it must be created"), "{error:?}");
    assert_eq!(
        told(&past.roll_back(2, &[secret(json!({"A": token}))]).await),
        ["create Secret/keys"]
    );
    assert_eq!(data(&past).await, json!({"A": "canary-one"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_platform_names_is_read() {
    let past = Past::start().await;
    let token = from(&past, "token", "canary-one");
    past.apply(&[secret(json!({"A": token}))]).await;
    past.apply(&[room("a")]).await;
    // Whoever may write the storage could name any file.
    from(&past, "passwd", "canary-other");
    let today = [secret(json!({"A": {"from": {"file": "passwd"}}}))];
    let error = past.back(1, &[room("a")]).await.unwrap_err();
    assert!(error.problems[0].message.contains("no manifest that was given reads it"), "{error:?}");
    // Another manifest's word is taken, for it is the user's own.
    past.roll_back(1, &today).await;
    assert_eq!(data(&past).await, json!({"A": "canary-other"}));
}
