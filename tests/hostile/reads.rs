//! What the client tries again, and what it makes of lists that do not hold together.

use std::time::{Duration, Instant};

use meshagent::api::client::Client;
use meshagent::api::reader::{ListError, Reader};
use meshagent::api::request::{Listing, Paging, Request};
use meshagent::api::retry::Retry;
use meshagent::api::spoken::Spoken;
use meshagent::dialect::Speaks;
use meshagent::kinds::KindName;
use secrecy::SecretString;
use serde_json::json;

use super::proxy::{Fault, Hostile, Mischief, Running};
use crate::platform::harness::Server;
use crate::spoken::{BOTH, speaking};

pub fn client(platform: &Server, proxy: &Running, retry: Retry) -> Client {
    Client::new(&proxy.url, SecretString::from(platform.owner.clone()), retry).unwrap()
}

/// A reader of rooms in an API, and the list of them in pages of this size.
fn reader_in(
    spoken: Spoken,
    (platform, proxy): (&Server, &Running),
    retry: Retry,
    page: usize,
) -> (Reader, Listing) {
    let client = speaking(client(platform, proxy, retry), spoken);
    let listing = client.spelling(KindName::Room).list(&platform.project, None).expect("a list");
    let paging = match listing.paging {
        Paging::Offset(_) => Paging::Offset(page),
        Paging::Token(_) => Paging::Token(page),
        whole => whole,
    };
    (client.reader(), Listing { paging, ..listing })
}

fn rooms(platform: &Server, page: usize) -> Listing {
    Listing {
        request: Request::get(&["accounts", "projects", &platform.project, "rooms"]),
        envelope: "rooms",
        paging: Paging::Offset(page),
        below: None,
    }
}

fn room(platform: &Server, name: &str) -> Request {
    let path = ["accounts", "projects", &platform.project, "rooms"];
    Request::post(&path, json!({ "name": name }))
}

async fn platform_with_rooms(count: usize) -> Server {
    let platform = Server::start().await;
    for index in 0..count {
        platform.room(&format!("room-{index:03}")).await;
    }
    platform
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_recovers_from_whatever_passes() {
    let platform = platform_with_rooms(3).await;
    let patient = Retry::default();
    let hasty = Retry { timeout: Duration::from_secs(3), ..patient };
    let cases: Vec<(Fault, Retry)> = vec![
        (Fault::TooFast(None), patient),
        (Fault::TooFast(Some("0".to_owned())), patient),
        (Fault::Status(502), patient),
        (Fault::Status(503), patient),
        (Fault::Status(504), patient),
        (Fault::BadGatewayAfter, patient),
        (Fault::DropBefore, patient),
        (Fault::DropAfter, patient),
        (Fault::CutBody, patient),
        (Fault::EarlyEnd, patient),
        (Fault::Delay(Duration::from_secs(20)), hasty),
    ];
    let platform = &platform;
    let cases = cases.into_iter().flat_map(|case| BOTH.map(|spoken| (spoken, case.clone())));
    let tried = cases.map(|(spoken, (fault, retry))| async move {
        let proxy = Hostile::in_front_of(platform).with(fault.clone().times(1)).start().await;
        let (reader, listing) = reader_in(spoken, (platform, &proxy), retry, 100);
        // One page is the whole list.
        let listing = Listing { paging: Paging::Whole, ..listing };
        let items = reader.list(&listing).await;
        assert_eq!(items.unwrap().len(), 3, "{spoken} {fault:?}");
        assert_eq!(proxy.count("GET"), 2, "{spoken} {fault:?}");
    });
    futures_util::future::join_all(tried).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_the_type_changes_nothing() {
    let platform = platform_with_rooms(1).await;
    let proxy = Hostile::in_front_of(&platform).with(Fault::WrongType).start().await;
    let reader = client(&platform, &proxy, Retry::default()).reader();
    assert_eq!(reader.list(&rooms(&platform, 10)).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_did_wrong_is_not_tried_again() {
    let platform = &platform_with_rooms(0).await;
    let tried = [400, 401, 403, 404, 408, 409, 412, 422, 500, 501].map(|status| async move {
        let proxy = Hostile::in_front_of(platform).with(Fault::Status(status)).start().await;
        let client = client(platform, &proxy, Retry::default());
        for request in [rooms(platform, 1).request, room(platform, "a")] {
            let error = client.send(&request).await.unwrap_err();
            assert_eq!((error.status, error.attempts), (Some(status), 1));
            assert_eq!(error.is_refusal(), status < 500);
            assert_eq!(error.is_ambiguous(), status >= 500 && !request.method.is_read());
        }
        assert_eq!(proxy.total(), 2, "{status}");
    });
    futures_util::future::join_all(tried).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_tried_again_only_when_it_surely_did_nothing() {
    let platform = &platform_with_rooms(0).await;
    let patient = Retry::default();
    let hasty = Retry { timeout: Duration::from_secs(2), ..patient };
    let cases: [(&'static str, Mischief, bool); 9] = [
        ("too-fast", Fault::TooFast(None).times(2), true),
        ("bad-gateway", Fault::Status(502).times(1), false),
        ("overloaded", Fault::Status(503).times(1), false),
        ("late", Fault::Status(504).times(1), false),
        ("after", Fault::BadGatewayAfter.times(1), false),
        ("dropped-before", Fault::DropBefore.times(1), false),
        ("dropped-after", Fault::DropAfter.times(1), false),
        ("cut", Fault::CutBody.times(1), false),
        ("slow", Fault::Delay(Duration::from_secs(20)).times(1), false),
    ];
    let tried = cases.map(|(name, mischief, is_done)| async move {
        let proxy = Hostile::in_front_of(platform).with(mischief).start().await;
        let client = client(platform, &proxy, if name == "slow" { hasty } else { patient });
        match client.send(&room(platform, name)).await {
            Ok(answer) => assert_eq!((is_done, answer.attempts), (true, 3), "{name}"),
            Err(error) => {
                assert!(!is_done && error.is_ambiguous() && !error.is_refusal(), "{name}: {error}");
                assert_eq!((error.attempts, proxy.writes().len()), (1, 1), "{name}");
            }
        }
    });
    futures_util::future::join_all(tried).await;
    // A connection that cannot be opened leaves nothing open.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let token = SecretString::from(platform.owner.clone());
    let client = Client::new(&gone, token, Retry { retries: 2, ..patient }).unwrap();
    let error = client.send(&room(platform, "gone")).await.unwrap_err();
    assert_eq!((error.attempts, error.is_ambiguous(), error.is_refusal()), (3, false, true));
    assert!(error.to_string().ends_with("(3 tries)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_says_when_to_come_back() {
    let platform = platform_with_rooms(1).await;
    for is_date in [false, true] {
        // A date has no parts of seconds, so up to one of the two is lost.
        let asked = match is_date {
            false => "1".to_owned(),
            true => jiff::Timestamp::now()
                .saturating_add(jiff::SignedDuration::from_secs(2))
                .unwrap()
                .strftime("%a, %d %b %Y %H:%M:%S GMT")
                .to_string(),
        };
        let began = Instant::now();
        let fault = Fault::TooFast(Some(asked.clone())).times(1);
        let proxy = Hostile::in_front_of(&platform).with(fault).start().await;
        let client = client(&platform, &proxy, Retry::default());
        client.send(&rooms(&platform, 1).request).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(900), "{asked} {:?}", began.elapsed());
        assert_eq!(proxy.total(), 2);
    }
    // Nobody waits longer than they said.
    let fault = Fault::TooFast(Some("3600".to_owned()));
    let proxy = Hostile::in_front_of(&platform).with(fault).start().await;
    let retry = Retry { timeout: Duration::from_secs(2), ..Retry::default() };
    let began = Instant::now();
    let client = client(&platform, &proxy, retry);
    let error = client.send(&rooms(&platform, 1).request).await.unwrap_err();
    assert_eq!((error.status, error.attempts), (Some(429), 1));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_end_with_their_number_and_with_the_time() {
    let platform = platform_with_rooms(0).await;
    let proxy = Hostile::in_front_of(&platform).with(Fault::Status(503)).start().await;
    let few = client(&platform, &proxy, Retry { retries: 2, ..Retry::default() });
    let error = few.send(&rooms(&platform, 1).request).await.unwrap_err();
    assert_eq!((error.attempts, proxy.total()), (3, 3));
    let timeout = Duration::from_millis(600);
    let short = client(&platform, &proxy, Retry { retries: 100, timeout });
    let began = Instant::now();
    short.send(&rooms(&platform, 1).request).await.unwrap_err();
    assert!(began.elapsed() < timeout * 2, "{:?}", began.elapsed());
}

fn names(items: &[serde_json::Value]) -> Vec<String> {
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_whole_or_not_at_all() {
    let platform = &platform_with_rooms(57).await;
    let expected: Vec<String> = (0..57).map(|index| format!("room-{index:03}")).collect();
    for spoken in BOTH {
        let read = async |faults: &[Mischief], page: usize| {
            let faults = faults.iter().cloned();
            let proxy = faults.fold(Hostile::in_front_of(platform), Hostile::with).start().await;
            let retry = Retry { retries: 1, ..Retry::default() };
            let (reader, listing) = reader_in(spoken, (platform, &proxy), retry, page);
            (reader.list(&listing).await, proxy.count("GET"))
        };
        let whole = |list: Result<Vec<serde_json::Value>, ListError>, told: &str| {
            assert_eq!(names(&list.unwrap()), expected, "{spoken} {told}");
        };
        let pages = || Mischief::from(Fault::SmallPages(20));
        // Pages of every size, also where the platform gives less than it was asked for.
        for page in [1, 2, 7, 19, 20, 56, 57, 58, 500] {
            whole(read(&[pages()], page).await.0, &page.to_string());
        }
        whole(read(&[Fault::SmallPages(1).into()], 500).await.0, "one by one");
        whole(read(&[pages(), Fault::EmptyPages.into()], 500).await.0, "with empty pages");
        // What changes for a while is read again, and what keeps changing is no list.
        let mut changing = vec![(Fault::FirstInserted, 2)];
        match spoken {
            // Each page begins with what is known. Tokens cannot tell what falls between two pages.
            Spoken::V0_31 => changing.push((Fault::FirstRemoved, 2)),
            Spoken::V0_56 => changing.extend([(Fault::Doubled, 3), (Fault::TokenComesBack, 4)]),
        }
        for (fault, until_it_shows) in changing {
            let told = format!("{fault:?}");
            whole(read(&[pages(), fault.clone().on_later_pages().times(2)], 500).await.0, &told);
            let (list, asked) = read(&[pages(), fault.into()], 500).await;
            let error = list.unwrap_err();
            assert!(matches!(error, ListError::Changed { tries: 4, .. }), "{told}: {error}");
            assert_eq!(asked, 4 * until_it_shows, "{spoken} {told}");
        }
        for fault in [Fault::Status(403), Fault::Status(500), Fault::CutBody, Fault::EarlyEnd] {
            let told = format!("{spoken} {fault:?}");
            let broken = fault.at("/rooms").on_later_pages();
            let error = read(&[pages(), broken], 500).await.0.unwrap_err();
            assert!(matches!(error, ListError::Failed(_)), "{told}: {error}");
        }
    }
    // A token that leads nowhere else ends the reading at once.
    let proxy = Hostile::in_front_of(platform).with(Fault::SmallPages(20)).with(Fault::TokenStays);
    let proxy = proxy.start().await;
    let of = (platform, &proxy);
    let (reader, listing) = reader_in(Spoken::V0_56, of, Retry::default(), 100);
    let error = reader.list(&listing).await.unwrap_err();
    assert!(error.to_string().contains("the token of a page that was read already"), "{error}");
    assert_eq!(proxy.count("GET"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_goes_on_and_on_ends_with_an_error() {
    let platform = platform_with_rooms(90).await;
    let slow = Fault::Delay(Duration::from_millis(100)).at("/rooms");
    let pages = Hostile::in_front_of(&platform).with(Fault::SmallPages(1));
    let proxy = pages.with(slow).start().await;
    let retry = Retry { retries: 3, timeout: Duration::from_millis(600) };
    let reader = client(&platform, &proxy, retry).reader();
    let began = Instant::now();
    let error = reader.list(&rooms(&platform, 500)).await.unwrap_err();
    let told = "did not reach its last page within 6s";
    assert!(error.to_string().contains(told), "{error}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_to_wait_longer_than_there_is_time_is_told_how_long() {
    let platform = platform_with_rooms(0).await;
    let later = Fault::TooFast(Some("3600".to_owned()));
    let proxy = Hostile::in_front_of(&platform).with(later).start().await;
    let client = client(&platform, &proxy, Retry::default());
    let error = client.send(&rooms(&platform, 1).request).await.unwrap_err();
    assert!(error.to_string().contains("it asks to wait 3600 s"), "{error}");
}
