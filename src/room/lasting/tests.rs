use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::api::request::Method;
use crate::room::content::Refused;
use crate::room::message::SLICE;
use crate::room::played::{Played, sockets};

/// What happens when a room is entered.
#[derive(Clone, Copy)]
enum Then {
    /// The room is entered, and after so many seconds the connection is lost.
    Lost(u64),
    /// The room closes the connection so.
    Closed(u16),
    /// The room is entered, and answers.
    Answers,
    /// The room refuses what it is asked.
    Refuses,
    /// There is no room, and the answer has this status, or there is none.
    Absent(Option<u16>),
}

async fn play(mut played: Played, then: Then) {
    let asked = match then {
        Then::Answers | Then::Refuses => Some(played.hear("x").await),
        _ => None,
    };
    match (then, asked) {
        (Then::Lost(seconds), _) => {
            let _ = tokio::time::timeout(Duration::from_secs(seconds), async {
                while played.next().await.is_some() {}
            })
            .await;
            drop(played);
            return;
        }
        (Then::Closed(code), _) => played.close(CloseCode::from(code), "bye").await,
        (Then::Answers, Some(asked)) => {
            played.answer(&asked, crate::room::content::Content::Empty).await
        }
        (_, Some(asked)) => {
            let refused = crate::room::content::Content::Error(Refused::new("no"));
            played.answer(&asked, refused).await;
        }
        (_, None) => {}
    }
    while played.next().await.is_some() {}
}

/// What happens each time, and then nothing more; what was told, and how it ended.
async fn run(thens: &[Then], stop: &CancellationToken) -> (Vec<News>, Result<Option<()>, Error>) {
    let (mut thens, told) = (thens.iter(), Arc::<Mutex<Vec<News>>>::default());
    let enter = async || {
        let then = *thens.next().expect("no more");
        if let Then::Absent(status) = then {
            let unconnected = Unconnected { status, ..Unconnected::for_now("x") };
            return Err(Error::failed("not entered").because(unconnected).into());
        }
        let (here, mut played) = sockets().await;
        tokio::spawn(async move {
            played.greet().await;
            play(played, then).await;
        });
        Room::over(here, SLICE).await.map_err(|what| Error::failed(what).into())
    };
    let work = async |room: &Room, _| {
        let asked = room.request("x", json!({}), Vec::new()).await;
        asked.map(drop).map_err(|refused| Error::failed(refused.to_string()))
    };
    let news = told.clone();
    let ended = lasting(enter, work, stop, move |it| news.lock().unwrap().push(it)).await;
    (std::mem::take(&mut *told.lock().unwrap()), ended)
}

fn wait(news: &News) -> Option<Duration> {
    match news {
        News::Lost { wait, .. } | News::NotEntered { wait, .. } => Some(*wait),
        News::Returned => None,
    }
}

#[tokio::test(start_paused = true)]
async fn work_begins_anew_after_a_lost_connection_and_ends_when_it_is_done() {
    let begun = Instant::now();
    let thens = [Then::Lost(1), Then::Absent(None), Then::Absent(Some(503)), Then::Answers];
    let (told, ended) = run(&thens, &CancellationToken::new()).await;
    assert_eq!(ended.unwrap(), Some(()));
    let [News::Lost { why, .. }, first, second, News::Returned] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(why.starts_with("the connection was lost"), "{why}");
    for news in [first, second] {
        let News::NotEntered { why, .. } = news else { panic!("{news:?}") };
        assert_eq!(why, "not entered: x");
    }
    let waited: Duration = told.iter().filter_map(wait).sum();
    assert!(begun.elapsed() >= waited + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn waits_double_up_to_a_bound_until_a_connection_has_lasted() {
    let short = [Then::Lost(1); 12];
    let thens = [&short[..], &[Then::Lost(61), Then::Answers]].concat();
    let (told, ended) = run(&thens, &CancellationToken::new()).await;
    assert!(ended.is_ok());
    let waits: Vec<f64> = told.iter().filter_map(wait).map(|it| it.as_secs_f64()).collect();
    let bounds = [1., 2., 4., 8., 16., 30., 30., 30., 30., 30., 30., 30., 1.];
    assert_eq!(waits.len(), bounds.len());
    for (wait, bound) in waits.iter().zip(bounds) {
        assert!((bound / 2.0..=bound).contains(wait), "{waits:?}");
    }
}

#[test]
fn waits_are_spread() {
    let mut waits = Waits { random: fastrand::Rng::with_seed(7), count: 0 };
    let first: Vec<Duration> = (0..100)
        .map(|_| {
            waits.count = 0;
            waits.next()
        })
        .collect();
    let (least, most) = (first.iter().min().unwrap(), first.iter().max().unwrap());
    assert!(*least >= SHORTEST && *least < SHORTEST.mul_f64(1.1), "{least:?}");
    assert!(*most <= SHORTEST * 2 && *most > SHORTEST.mul_f64(1.9), "{most:?}");
    waits.count = u32::MAX;
    assert!(waits.next() <= LONGEST);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_for_good_does_not_come_back() {
    for status in [401, 403, 404] {
        let thens = [Then::Lost(1), Then::Absent(Some(status))];
        let (told, ended) = run(&thens, &CancellationToken::new()).await;
        assert_eq!(ended.unwrap_err().message, "not entered");
        assert_eq!(told.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_fails_by_itself_is_not_begun_again() {
    let (told, ended) = run(&[Then::Refuses], &CancellationToken::new()).await;
    assert_eq!((told, ended.unwrap_err().message.as_str()), (Vec::new(), "no"));
    // A room that ends properly is not entered again, and one that goes away is.
    let (told, ended) = run(&[Then::Closed(1000)], &CancellationToken::new()).await;
    let why = "the room closed the connection: bye";
    assert_eq!((told, ended.unwrap_err().message.as_str()), (Vec::new(), why));
    let (told, ended) = run(&[Then::Closed(1001), Then::Answers], &CancellationToken::new()).await;
    assert_eq!(ended.unwrap(), Some(()));
    assert!(matches!(&told[0], News::Lost { why: told, .. } if told == why), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_to_stop_stops_wherever_that_is() {
    for (thens, after) in [(vec![Then::Lost(100)], 50), (vec![Then::Absent(None); 9], 20)] {
        let stop = CancellationToken::new();
        let begun = Instant::now();
        let (ended, ()) = tokio::join!(run(&thens, &stop), async {
            sleep(Duration::from_secs(after)).await;
            stop.cancel();
        });
        assert_eq!(ended.1.unwrap(), None);
        assert_eq!(begun.elapsed().as_secs(), after);
    }
}

#[test]
fn what_is_for_good_is_known_whoever_answered() {
    let of_room = |cause: Unconnected| NotEntered::from(Error::failed("x").because(cause));
    assert!(of_room(Unconnected::always("a wrong URL")).is_for_good);
    assert!(!of_room(Unconnected::for_now("no answer")).is_for_good);
    assert!(!NotEntered::from(Error::failed("x").because("lost")).is_for_good);
    let of_platform = |status| {
        NotEntered::from(ApiError {
            method: Method::Post,
            path: "/x".to_owned(),
            status,
            request_id: None,
            what: "failed".to_owned(),
            attempts: 1,
            sent: true,
            is_unusable: false,
            hint: None,
        })
    };
    assert!(of_platform(Some(404)).is_for_good);
    assert!(!of_platform(Some(429)).is_for_good && !of_platform(None).is_for_good);
}
