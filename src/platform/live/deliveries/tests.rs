//! Deliveries to receivers that listen, in a store of their own.

use std::collections::VecDeque;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;

use super::*;
use crate::platform::bootstrap;
use crate::platform::objects::deliveries::KEPT;
use crate::platform::store::of_row;

/// What a receiver does with a delivery.
#[derive(Debug, Clone)]
enum Reaction {
    Answer(u16),
    Redirect(String),
    Hang,
}

/// A receiver. It reacts as planned, and then with 200.
#[derive(Debug, Clone, Default)]
struct Receiver {
    url: String,
    planned: Arc<Mutex<VecDeque<Reaction>>>,
    /// The id of each event, and the number in it.
    heard: Arc<Mutex<Vec<(String, u64)>>>,
}

impl Receiver {
    async fn start(planned: impl IntoIterator<Item = Reaction>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            planned: Arc::new(Mutex::new(planned.into_iter().collect())),
            heard: Arc::default(),
        };
        let router = Router::new().route("/hook", post(Self::hear)).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        this
    }

    async fn hear(State(this): State<Self>, headers: HeaderMap, body: String) -> Response {
        let id = headers["meshagent-event-id"].to_str().unwrap().to_owned();
        let body: Value = serde_json::from_str(&body).unwrap();
        this.heard.lock().unwrap().push((id, body["data"]["n"].as_u64().unwrap()));
        let planned = this.planned.lock().unwrap().pop_front();
        match planned.unwrap_or(Reaction::Answer(200)) {
            Reaction::Answer(status) => StatusCode::from_u16(status).unwrap().into_response(),
            Reaction::Redirect(to) => {
                (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
            }
            Reaction::Hang => std::future::pending().await,
        }
    }

    fn heard(&self) -> Vec<(String, u64)> {
        self.heard.lock().unwrap().clone()
    }

    fn numbers(&self) -> Vec<u64> {
        self.heard().into_iter().map(|(_, number)| number).collect()
    }
}

/// A delivery as it is stored.
#[derive(Debug)]
struct Row {
    event_id: String,
    attempts: i64,
    problem: Option<String>,
    next_attempt_at: Option<String>,
    ended_at: Option<String>,
    data: Option<String>,
}

of_row!(Row { event_id, attempts, problem, next_attempt_at, ended_at, data });

struct Place {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    project: String,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data").as_path().into()).await.unwrap();
        let project = bootstrap::ensure(&store).await.unwrap().project_id;
        Self { _folder: folder, store: Arc::new(store), project }
    }

    async fn hook(&self, receiver: &Receiver) -> String {
        let mut change = self.store.write().await.unwrap().without_condition();
        let seq = change.revision().await.unwrap();
        let id = format!("hook-{seq}");
        sqlx::query(
            "INSERT INTO webhooks (id, project_id, name, description, url, events, payload, seq, \
             rev) VALUES ($1, $2, $1, '', $3, '[\"*\"]', 'null', $4, $4)",
        )
        .bind(&id)
        .bind(&self.project)
        .bind(&receiver.url)
        .bind(seq)
        .execute(change.on())
        .await
        .unwrap();
        change.commit().await.unwrap();
        id
    }

    fn deliveries(&self, most: usize, pauses: &[Duration]) -> Deliveries {
        let bounds = Bounds { most, patience: HOUR, pauses: pauses.to_vec() };
        Deliveries::within(Arc::clone(&self.store), None, bounds)
    }

    async fn tell(&self, deliveries: &Deliveries, numbers: std::ops::Range<u64>) {
        let events: Vec<Event> =
            numbers.map(|number| Event::new("room.started", json!({ "n": number }))).collect();
        deliveries.tell(&self.project, &events).await;
    }

    async fn rows(&self, hook: &str) -> Vec<Row> {
        let sql = "SELECT event_id, attempts, problem, next_attempt_at, ended_at, data \
             FROM deliveries WHERE webhook_id = $1 ORDER BY seq";
        sqlx::query_as(sql).bind(hook).fetch_all(self.store.reads()).await.unwrap()
    }

    /// The deliveries of a webhook, once they are as expected.
    async fn once(&self, hook: &str, expected: impl Fn(&[Row]) -> bool) -> Vec<Row> {
        for _ in 0..6000 {
            let rows = self.rows(hook).await;
            if expected(&rows) {
                return rows;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("{:#?}", self.rows(hook).await);
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(1);

fn have_ended(rows: &[Row]) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.ended_at.is_some())
}

#[test]
fn each_pause_is_longer_than_the_one_before() {
    assert!(PAUSES.is_sorted_by(|one, next| one < next));
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_with_the_same_id_until_it_answers() {
    let place = Place::new().await;
    let receiver = Receiver::start([Reaction::Answer(500), Reaction::Answer(404)]).await;
    let hook = place.hook(&receiver).await;
    let deliveries = place.deliveries(9, &[SOON; 4]);
    place.tell(&deliveries, 0..2).await;
    let rows = place.once(&hook, have_ended).await;
    let told: Vec<_> = rows.iter().map(|row| (row.attempts, row.problem.as_deref())).collect();
    assert_eq!(told, [(3, None), (1, None)]);
    assert!(rows.iter().all(|row| row.next_attempt_at.is_none() && row.data.is_none()), "{rows:?}");
    // What came later waited, and is another event.
    let [first, second] = [&rows[0].event_id, &rows[1].event_id];
    let heard = [(first, 0), (first, 0), (first, 0), (second, 1)];
    assert_eq!(receiver.heard(), heard.map(|(id, number)| (id.clone(), number)));
    assert_ne!(first, second);
}

#[tokio::test]
async fn after_the_last_attempt_it_is_recorded_what_went_wrong() {
    let place = Place::new().await;
    let planned = [500, 502, 503].map(Reaction::Answer);
    let receiver = Receiver::start(planned).await;
    let hook = place.hook(&receiver).await;
    let deliveries = place.deliveries(9, &[SOON; 2]);
    place.tell(&deliveries, 0..2).await;
    let rows = place.once(&hook, |rows| have_ended(rows) && rows.len() == 2).await;
    assert_eq!((rows[0].attempts, rows[1].attempts), (3, 1));
    let problem = rows[0].problem.as_deref().unwrap();
    assert!(problem.contains("answered with 503"), "{problem}");
    assert_eq!(rows[1].problem, None);
    assert_eq!(receiver.numbers(), [0, 0, 0, 1]);
}

#[tokio::test]
async fn a_delivery_is_on_record_while_it_is_tried_and_goes_on_in_the_next_process() {
    let place = Place::new().await;
    let receiver = Receiver::start([Reaction::Answer(500)]).await;
    let hook = place.hook(&receiver).await;
    let deliveries = place.deliveries(9, &[HOUR, HOUR]);
    place.tell(&deliveries, 0..2).await;
    let rows = place.once(&hook, |rows| rows[0].attempts == 1).await;
    let problem = rows[0].problem.as_deref().unwrap();
    assert!(problem.contains("answered with 500"), "{problem}");
    let next: jiff::Timestamp = rows[0].next_attempt_at.as_deref().unwrap().parse().unwrap();
    let pause = next.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((3500..=3600).contains(&pause), "{pause}");
    assert_eq!((&rows[0].ended_at, rows[1].attempts), (&None, 0));
    // Whoever closes does not wait for that.
    assert_eq!(deliveries.close(Instant::now() + HOUR).await, 2);
    assert_eq!(receiver.numbers(), [0]);
    let next = place.deliveries(9, &[HOUR, HOUR]);
    next.resume().await;
    let rows = place.once(&hook, have_ended).await;
    assert_eq!(rows.iter().map(|row| row.attempts).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(receiver.numbers(), [0, 0, 1]);
    assert_eq!(next.close(Instant::now() + HOUR).await, 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other_and_its_record_has_an_end() {
    let place = Place::new().await;
    let (healthy, hangs) = (Receiver::start([]).await, Receiver::start([Reaction::Hang]).await);
    let (hook, hung) = (place.hook(&healthy).await, place.hook(&hangs).await);
    let deliveries = place.deliveries(1500, &[]);
    for start in (0..2000).step_by(250) {
        place.tell(&deliveries, start..start + 250).await;
        // The healthy one keeps up with that.
        while healthy.heard().len() < start as usize {
            sleep(SOON).await;
        }
    }
    let rows = place.once(&hook, |rows| have_ended(rows) && healthy.heard().len() == 2000).await;
    assert_eq!(i64::try_from(rows.len()).unwrap(), KEPT);
    assert_eq!(healthy.numbers(), (0..2000).collect::<Vec<_>>());
    // What the other one cannot take is left out, and counted.
    let rows = place.rows(&hung).await;
    assert_eq!((rows.len(), hangs.heard().len()), (1500, 1));
    let sql = "SELECT webhook_id, count FROM left_out";
    let left_out: Vec<(String, i64)> =
        sqlx::query_as(sql).fetch_all(place.store.reads()).await.unwrap();
    assert_eq!(left_out, [(hung.clone(), 500)]);
    // Nobody waits for it at the end, either, and nothing of it is lost. What is cut off was tried:
    // a process that ends soon does not try the same one for ever.
    assert_eq!(deliveries.close(Instant::now()).await, 1499);
    let rows = place.rows(&hung).await;
    let cut: Vec<_> = rows.iter().filter(|row| row.attempts > 0).collect();
    assert_eq!(cut.len(), 1);
    assert_eq!(cut[0].problem.as_deref(), Some(super::CUT));
    let next = place.deliveries(1500, &[]);
    next.resume().await;
    place.once(&hung, have_ended).await;
    assert_eq!(hangs.numbers(), (0..1500).collect::<Vec<_>>());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let place = Place::new().await;
    let other = Receiver::start([]).await;
    let receiver = Receiver::start([Reaction::Redirect(other.url.clone())]).await;
    let hook = place.hook(&receiver).await;
    place.tell(&place.deliveries(9, &[]), 0..1).await;
    let rows = place.once(&hook, have_ended).await;
    let problem = rows[0].problem.as_deref().unwrap();
    assert!(problem.contains("answered with 307"), "{problem}");
    assert!(other.heard().is_empty());
}

#[tokio::test]
async fn a_receiver_has_only_so_long() {
    let place = Place::new().await;
    let receiver = Receiver::start([Reaction::Hang]).await;
    let hook = place.hook(&receiver).await;
    let bounds = Bounds { most: 9, patience: SOON, pauses: Vec::new() };
    let deliveries = Deliveries::within(Arc::clone(&place.store), None, bounds);
    place.tell(&deliveries, 0..1).await;
    let rows = place.once(&hook, have_ended).await;
    let problem = rows[0].problem.as_deref().unwrap();
    assert!(problem.ends_with("there was no answer in time"), "{problem}");
}

#[tokio::test]
async fn what_waits_for_a_webhook_goes_with_it_and_a_new_url_is_used_at_once() {
    let place = Place::new().await;
    let gone = Receiver::start([Reaction::Answer(500)]).await;
    let hook = place.hook(&gone).await;
    let deliveries = place.deliveries(9, &[Duration::from_millis(100), HOUR]);
    place.tell(&deliveries, 0..2).await;
    place.once(&hook, |rows| rows[0].attempts == 1).await;
    let other = Receiver::start([Reaction::Answer(500)]).await;
    let mut change = place.store.write().await.unwrap().without_condition();
    let sql = "UPDATE webhooks SET url = $1";
    sqlx::query(sql).bind(&other.url).execute(change.on()).await.unwrap();
    change.commit().await.unwrap();
    place.once(&hook, |rows| rows[0].attempts == 2).await;
    assert_eq!((gone.numbers(), other.numbers()), (vec![0], vec![0]));
    let mut change = place.store.write().await.unwrap().without_condition();
    sqlx::query("DELETE FROM webhooks").execute(change.on()).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(deliveries.close(Instant::now() + HOUR).await, 0);
}

#[test]
fn what_a_webhook_adds_does_not_change_what_happened() {
    let target = |action: Option<&str>, payload: &str| Target {
        id: "w".to_owned(),
        name: "w".to_owned(),
        url: "http://x".to_owned(),
        action: action.map(str::to_owned),
        payload: payload.to_owned(),
        events: "[]".to_owned(),
    };
    let data = json!({"room_name": "r"});
    let one = Waiting {
        seq: 1,
        event_id: "e".to_owned(),
        event: "room.ended".to_owned(),
        data: data.to_string(),
        attempts: 0,
    };
    let plain = json!({"event": "room.ended", "data": data});
    for payload in ["null", "\"\"", "{}"] {
        assert_eq!(body(&target(None, payload), &one), plain);
        assert_eq!(body(&target(Some(""), payload), &one), plain);
    }
    let added = target(Some("go"), r#"{"room_name": "other", "k": 1}"#);
    let expected =
        json!({"event": "room.ended", "data": {"room_name": "r", "k": 1}, "action": "go"});
    assert_eq!(body(&added, &one), expected);
}
