//! Lists of 0.56: each page names the next one by a token. What is not proven to be the whole list
//! is not taken for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Query;
use meshagent::api::client::Client;
use meshagent::api::detect::Detected;
use meshagent::api::reader::{List, ListError};
use meshagent::api::request::{Listing, Paging, Request};
use meshagent::api::retry::Retry;
use meshagent::api::spoken::Spoken;
use secrecy::SecretString;
use serde_json::{Value, json};

type Query_ = BTreeMap<String, String>;

/// Reads the list of a platform that answers each request, which it counts from 0, like this.
async fn read_as(
    (spoken, paging): (Spoken, Paging),
    timeout: Duration,
    answer: impl Fn(usize, &Query_) -> Value + Send + Sync + 'static,
) -> (Result<List, ListError>, usize) {
    let (answer, count) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    let app = Router::new().fallback(move |Query(query): Query<Query_>| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let answer = answer.clone();
        async move { axum::Json(answer(number, &query)) }
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let retry = Retry { timeout, ..Retry::default() };
    let detected = Detected { spoken, also: None, only_read: None, note: None };
    let client = Client::new(&url, SecretString::from("ma-example"), retry).expect("a client");
    let request = Request::get(&["accounts", "projects", "p", "rooms"]);
    let listing = Listing { request, envelope: "rooms", paging, below: None };
    let read = client.speaking(&detected).reader().list_with_proof(&listing).await;
    server.abort();
    (read, count.load(Ordering::SeqCst))
}

async fn read(
    answer: impl Fn(usize, &Query_) -> Value + Send + Sync + 'static,
) -> (Result<List, ListError>, usize) {
    let of = (Spoken::V0_56, Paging::Token(100));
    read_as(of, Duration::from_secs(20), answer).await
}

fn room(number: usize) -> Value {
    json!({"id": format!("id-{number}"), "name": format!("room-{number}")})
}

/// The rooms from one number to another, and where the next ones begin.
fn rooms(from: usize, to: usize, next: Option<usize>) -> Value {
    let rooms: Vec<Value> = (from..to).map(room).collect();
    json!({"rooms": rooms, "continuation_token": next.map(|next| next.to_string())})
}

fn at(query: &Query_) -> usize {
    query.get("continuation_token").map_or(0, |token| token.parse().expect("a number"))
}

#[tokio::test]
async fn pages_of_any_size_are_one_list() {
    for size in [1, 2, 7, 99, 100, 101, 250, 1000] {
        let (list, asked) = read(move |_, query| {
            assert_eq!(query["page_size"], "100");
            let (from, to) = (at(query), (at(query) + size).min(250));
            rooms(from, to, (to < 250).then_some(to))
        })
        .await;
        let list = list.expect("a list");
        assert_eq!((list.items.len(), list.is_proven), (250, true), "{size}");
        assert_eq!(asked, 250_usize.div_ceil(size), "{size}");
    }
    // A platform may change its mind about the size, and send nothing at all in between.
    let (list, _) = read(|number, query| {
        let from = at(query);
        let to = (from + number % 3).min(20);
        rooms(from, to, (to < 20).then_some(to)).clone_with_token(number)
    })
    .await;
    assert_eq!(list.expect("a list").items.len(), 20);
}

trait WithToken {
    fn clone_with_token(self, number: usize) -> Self;
}

impl WithToken for Value {
    /// A token that is another one each time, and names the same place.
    fn clone_with_token(mut self, number: usize) -> Self {
        if let Some(token) = self["continuation_token"].as_str() {
            self["continuation_token"] = format!("{}{token}", "0".repeat(number)).into();
        }
        self
    }
}

#[tokio::test]
async fn a_list_that_does_not_end_is_not_used() {
    let failed = async |answer: fn(usize, &Query_) -> Value| {
        let (list, asked) = read(answer).await;
        (list.expect_err("no list").to_string(), asked)
    };
    // The token of a page that was read.
    let (told, asked) = failed(|number, _| rooms(number, number + 1, Some(1))).await;
    assert!(told.contains("the token of a page that was read already"), "{told}");
    assert_eq!(asked, 2);
    // Tokens that lead in a circle.
    let (told, asked) = failed(|number, _| rooms(number, number + 1, Some(number % 3))).await;
    assert!(told.contains("the token of a page that was read already"), "{told}");
    assert_eq!(asked, 4);
    for token in [json!(1), json!({}), json!(["a"]), json!(true)] {
        let (list, _) = read(move |_, _| json!({"rooms": [], "continuation_token": token})).await;
        let told = list.expect_err("no list").to_string();
        assert!(told.contains("with a token that is no text"), "{told}");
    }
    // Pages with nothing in them.
    let (told, asked) = failed(|number, _| rooms(0, 0, Some(number))).await;
    assert!(told.contains("more than 1000 empty pages in a row"), "{told}");
    assert_eq!(asked, 1001);
}

#[tokio::test]
async fn a_list_without_an_end_is_left_after_a_while() {
    let of = (Spoken::V0_56, Paging::Token(100));
    let began = Instant::now();
    let (list, _) = read_as(of, Duration::from_millis(500), |number, _| {
        rooms(number, number + 1, Some(number))
    })
    .await;
    let told = list.expect_err("no list").to_string();
    assert!(told.contains("did not reach its last page within 5s"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn an_object_that_is_met_twice_makes_the_list_be_read_again() {
    // It moved to a later page, once.
    let (list, asked) = read(|number, query| match (number, at(query)) {
        (1, 2) => rooms(1, 3, None),
        (_, 0) => rooms(0, 2, Some(2)),
        _ => rooms(2, 4, None),
    })
    .await;
    assert_eq!((list.expect("a list").items.len(), asked), (4, 4));
    // It does so each time. A token without a text leads to the first page.
    for token in ["2", ""] {
        let (list, _) = read(move |_, query| match query.get("continuation_token") {
            None => json!({"rooms": [room(0), room(1)], "continuation_token": token}),
            Some(_) => rooms(1, 3, None),
        })
        .await;
        let error = list.expect_err("no list");
        assert!(matches!(error, ListError::Changed { .. }), "{error}");
    }
}

#[tokio::test]
async fn fewer_objects_than_the_platform_counts_are_no_list() {
    let with = |total: Value| {
        move |_: usize, query: &Query_| {
            let from = at(query);
            let mut page = rooms(from, from + 2, (from < 2).then_some(from + 2));
            page["total"] = total.clone();
            page
        }
    };
    let (list, _) = read(with(json!(5))).await;
    let told = list.expect_err("no list").to_string();
    let why = "returned 4 of 5 rooms: this platform does not speak the API of 0.56";
    assert!(told.contains(why), "{told}");
    // What is no count proves nothing, and neither does one that is too small.
    for total in [json!(4), json!(0), json!(1), json!(null), json!("9"), json!(-1), json!(4.5)] {
        let (list, _) = read(with(total.clone())).await;
        assert_eq!(list.expect("a list").items.len(), 4, "{total}");
    }
}

#[tokio::test]
async fn a_list_without_pages_may_have_them_in_0_56_and_not_in_0_31() {
    let pages = |_: usize, query: &Query_| {
        assert!(!query.contains_key("page_size"));
        let from = at(query);
        rooms(from, from + 2, (from < 4).then_some(from + 2))
    };
    let timeout = Duration::from_secs(20);
    let (list, asked) = read_as((Spoken::V0_56, Paging::Whole), timeout, pages).await;
    assert_eq!((list.expect("a list").items.len(), asked), (6, 3));
    let (list, asked) = read_as((Spoken::V0_31, Paging::Whole), timeout, pages).await;
    let told = list.expect_err("no list").to_string();
    assert!(told.contains("returned only the first page of its list"), "{told}");
    assert_eq!(asked, 1);
    // One answer is proven to be the whole list by what says so, and by nothing else.
    for (answer, proven) in [
        (json!({"rooms": []}), false),
        (json!({"rooms": [], "total": 0}), false),
        (json!({"rooms": [], "continuation_token": null}), true),
        (json!({"rooms": [room(1)], "total": 1}), true),
    ] {
        let shown = answer.to_string();
        let of = (Spoken::V0_56, Paging::Whole);
        let (list, _) = read_as(of, timeout, move |_, _| answer.clone()).await;
        assert_eq!(list.expect("a list").is_proven, proven, "{shown}");
    }
}

#[tokio::test]
async fn a_list_that_is_too_large_is_not_read_to_its_end() {
    let (list, asked) = read(|_, query| {
        let from = at(query);
        let mut page = rooms(from, from + 1, Some(from + 1));
        page["rooms"][0]["metadata"] = "x".repeat(40 * 1024 * 1024).into();
        page
    })
    .await;
    let told = list.expect_err("no list").to_string();
    assert!(told.ends_with("/rooms was answered with more than 128 MiB"), "{told}");
    assert_eq!(asked, 4);
}
