use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::room::message::{LARGE, SLICE};
use crate::room::played::{PIPE, Played, entered, init, ready, sockets};
use crate::room::queues;

const MINUTE: Duration = Duration::from_secs(60);

/// A part of a log.
fn line(number: usize, size: usize) -> Content {
    Content::part(json!({ "number": number }), vec![0; size])
}

fn logs() -> Invocation {
    Invocation::stream("developer", "logs")
}

/// A call whose answer is a stream, and its id.
async fn opened(room: &Room, played: &mut Played) -> (Call, String) {
    let (call, id) = tokio::join!(room.open(logs()), played.stream());
    (call.unwrap(), id)
}

/// Has a room say so many lines of so many bytes, and count them.
fn flood(
    mut played: Played,
    call: String,
    (count, size): (usize, usize),
) -> (Arc<AtomicUsize>, JoinHandle<Played>) {
    let said = Arc::<AtomicUsize>::default();
    let counted = said.clone();
    let saying = tokio::spawn(async move {
        for number in 0..count {
            played.part(&call, line(number, size)).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
        played
    });
    (said, saying)
}

/// The numbers of the lines that come are those from 0 to before this one.
async fn all_come(output: &mut Output, count: usize) {
    for number in 0..count {
        let Some(Content::Binary { headers, .. }) = output.next().await.unwrap() else {
            panic!("no line {number}");
        };
        assert_eq!(headers["number"], number);
    }
}

#[test]
fn every_number_of_seconds_can_be_waited_for() {
    assert_eq!(seconds(" 1.5 "), Some(Duration::from_millis(1500)));
    assert_eq!(seconds("1e-300"), Some(Duration::from_millis(1)));
    for forever in ["1e19", "1e300", "inf"] {
        assert_eq!(seconds(forever), Some(Duration::from_secs(86_400)), "{forever}");
    }
    for none in ["", "0", "-1", "NaN", "x"] {
        assert_eq!(seconds(none), None, "{none}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_and_where_a_participant_is_is_what_the_room_says_first() {
    for is_known_first in [true, false] {
        let (here, mut played) = sockets().await;
        let greeting = async {
            let other = json!({"type": "other", "participantId": "nobody"});
            played.push("room.status", json!({"status": "starting", "message": ""}), b"").await;
            played.push("connected", other, b"").await;
            let (first, second) = (("connected", init()), ("room_ready", ready()));
            let (first, second) = if is_known_first { (first, second) } else { (second, first) };
            for (kind, header) in [first.clone(), first, second.clone(), second] {
                played.push(kind, header, b"").await;
            }
            // What it says again does not count, even if it makes no sense.
            let again = json!({"type": "init", "participantId": "else", "attributes": {}});
            played.push("connected", again, b"").await;
            played.push("room_ready", json!({}), b"").await;
            played.push("room.status", json!({"status": "ready", "message": ""}), b"").await;
        };
        let (entered, ()) = tokio::join!(Room::over(here, SLICE), greeting);
        let (room, mut incoming) = entered.unwrap();
        // What came before the room was ready is there, too.
        for status in ["starting", "ready"] {
            assert_eq!(incoming.next().await.unwrap().header["status"], status);
        }
        let identity = room.identity();
        let expected = Identity {
            participant_id: "me".to_owned(),
            attributes: init()["attributes"].as_object().unwrap().clone(),
            room_name: "demo".to_owned(),
            room_url: "ws://x".to_owned(),
            session_id: "s1".to_owned(),
        };
        assert_eq!(identity, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_that_does_not_say_who_the_participant_is_is_not_entered() {
    let (here, mut played) = sockets().await;
    let greeting = played.push("connected", json!({"type": "init"}), b"");
    let (entered, ()) = tokio::join!(Room::over(here, SLICE), greeting);
    let told = entered.map(drop).unwrap_err();
    assert_eq!(told, "the room's message connected has no participantId");
}

#[tokio::test(start_paused = true)]
async fn what_a_room_pushes_before_it_is_ready_is_kept_within_bounds() {
    let (here, mut played) = sockets().await;
    let entering = tokio::spawn(async { Room::over(here, SLICE).await.map(drop) });
    let begun = Instant::now();
    while !entering.is_finished() {
        played.push("x", json!({}), &[0; 100_000]).await;
    }
    assert_eq!(
        entering.await.unwrap().unwrap_err(),
        "the room sent more than 8 MiB before it was ready"
    );
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn attributes_that_are_set_are_told_to_the_room_and_known() {
    let (room, _incoming, mut played) = entered().await;
    let changes = json!({"mood": "bad", "age": 5}).as_object().unwrap().clone();
    room.set_attributes(changes).await.unwrap();
    assert_eq!(played.hear("set_attributes").await.header, json!({"mood": "bad", "age": 5}));
    let known = Value::Object(room.identity().attributes);
    assert_eq!(known, json!({"name": "bot", "mood": "bad", "age": 5}));
}

#[tokio::test(start_paused = true)]
async fn answers_may_come_in_any_order() {
    let (room, _incoming, mut played) = entered().await;
    let ask = |number: u64| room.request("x", json!(number), Vec::new());
    let answering = async {
        let mut asked = Vec::new();
        for _ in 0..3 {
            asked.push(played.hear("x").await);
        }
        // An answer that nobody waits for is ignored.
        let unknown = Message::new(77, "__response__", json!({"type": "empty"}));
        played.say(unknown).await;
        for message in asked.iter().rev() {
            played.answer(message, Content::Json(message.header.clone())).await;
        }
    };
    let (one, two, three, ()) = tokio::join!(ask(1), ask(2), ask(3), answering);
    let expected = [1, 2, 3].map(|number| Content::Json(json!(number)));
    assert_eq!([one.unwrap(), two.unwrap(), three.unwrap()], expected);
}

#[tokio::test(start_paused = true)]
async fn what_waits_may_be_answered_at_any_time_and_nothing_else() {
    let (room, _incoming, mut played) = entered().await;
    let asked = queues::Receive { name: "q".to_owned(), create: true, wait: true };
    let begun = Instant::now();
    let answering = async {
        let (asked, _) = played.called().await;
        // The room is there meanwhile, and so answers pings.
        let _ = timeout(60 * MINUTE, played.next()).await;
        played.answer(&asked, Content::Text("late".to_owned())).await;
    };
    let (received, ()) = tokio::join!(room.perform(&asked), answering);
    assert_eq!(received.unwrap(), Some(json!("late")));
    assert_eq!(begun.elapsed(), 60 * MINUTE);

    let asked = queues::Receive { wait: false, ..asked };
    let begun = Instant::now();
    let unanswered = async { while played.next().await.is_some() {} };
    let refused = tokio::select! {
        refused = room.perform(&asked) => refused.unwrap_err(),
        () = unanswered => panic!("the participant left"),
    };
    assert_eq!(refused.text, "no answer was received for 120 s");
    assert_eq!(begun.elapsed(), ANSWER);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_given_up_is_forgotten() {
    let (room, _incoming, mut played) = entered().await;
    let asking = room.request("x", json!({}), Vec::new());
    assert!(timeout(Duration::from_secs(1), asking).await.is_err());
    let asked = played.hear("x").await;
    played.answer(&asked, Content::Empty).await;
    let (answer, ()) = tokio::join!(room.request("y", json!({}), Vec::new()), async {
        let asked = played.hear("y").await;
        played.answer(&asked, Content::Text("y".to_owned())).await;
    });
    assert_eq!(answer.unwrap(), Content::Text("y".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_a_good_one_as_long_as_the_room_is_there() {
    let (room, _incoming, mut played) = entered().await;
    let (mut call, id) = opened(&room, &mut played).await;
    let saying = async {
        let _ = timeout(300 * MINUTE, played.next()).await;
        played.part(&id, line(0, 1)).await;
    };
    let ((), ()) = tokio::join!(all_come(&mut call.output, 1), saying);
    // A room that does not answer pings is not there.
    let begun = Instant::now();
    let lost = call.output.next().await.unwrap_err();
    assert_eq!(lost.text, "nothing was received for 120 s");
    assert_eq!(begun.elapsed(), 2 * MINUTE);
    assert!(room.ended().unwrap().is_too_early());
}

#[tokio::test(start_paused = true)]
async fn a_burst_waits_until_it_is_read_and_nothing_of_it_is_lost() {
    const COUNT: usize = 10_000;
    let (room, _incoming, mut played) = entered().await;
    let (mut call, id) = opened(&room, &mut played).await;
    let (_, saying) = flood(played, id, (COUNT, 10));
    // All of it comes before the first is read.
    let mut played = saying.await.unwrap();
    all_come(&mut call.output, COUNT).await;
    drop(call);
    let (message, ()) = tokio::join!(room.request("x", json!({}), Vec::new()), async {
        let closed = played.hear("room.tool_call_request_chunk").await;
        assert_eq!(closed.header["chunk"]["method"], "close");
        let asked = played.hear("x").await;
        played.answer(&asked, Content::Empty).await;
    });
    message.unwrap();
    assert_eq!(room.shared.budget.free(), BUDGET);
}

/// What comes of a room that says more than may wait.
#[tokio::test(start_paused = true)]
async fn a_room_waits_for_whoever_does_not_read_and_nothing_is_lost() {
    const COUNT: usize = 4_000;
    const SIZE: usize = 10_000;
    let (room, _incoming, mut played) = entered().await;
    let (mut call, id) = opened(&room, &mut played).await;
    let (said, saying) = flood(played, id, (COUNT, SIZE));
    // Hours later, it has said what may wait and what is on its way, and no more.
    sleep(300 * MINUTE).await;
    let held = said.load(Ordering::Relaxed) * SIZE;
    // The buffers of the two websockets are as large as this.
    let buffers = PIPE + 2 * 128 * 1024;
    assert!((BUDGET * 9 / 10..BUDGET + buffers).contains(&held), "{held}");
    assert!(room.shared.budget.free() < 2 * SIZE);
    assert_eq!(room.ended(), None);
    all_come(&mut call.output, COUNT).await;
    saying.await.unwrap();
    assert_eq!(room.shared.budget.free(), BUDGET);
}

/// An answer is read where it comes. Before it, no more than the budget may wait unread.
#[tokio::test(start_paused = true)]
async fn an_answer_comes_through_behind_what_may_wait_and_not_behind_more() {
    const SIZE: usize = 10_000;
    let (room, _incoming, mut played) = entered().await;
    let (mut call, id) = opened(&room, &mut played).await;
    let answered = async |mut played: Played, count: usize| {
        let asked = played.hear("x").await;
        let (_, saying) = flood(played, id.clone(), (count, SIZE));
        let mut played = saying.await.unwrap();
        played.answer(&asked, Content::Empty).await;
        played
    };
    // Nobody reads the stream, and half of what may wait comes before the answer.
    let few = BUDGET / 2 / SIZE;
    let ask = || room.request("x", json!({}), Vec::new());
    let (answer, played) = tokio::join!(ask(), answered(played, few));
    assert_eq!(answer.unwrap(), Content::Empty);
    // As much comes again and more: who waits is told why nothing came.
    let answering = answered(played, few + few);
    tokio::pin!(answering);
    let refused = tokio::select! {
        answer = ask() => answer.unwrap_err(),
        _ = &mut answering => panic!("the room was not slowed down"),
    };
    assert_eq!(
        refused.text,
        "no answer was received for 120 s: it may be behind 8 MiB that came and were not read"
    );
    // Once the stream is read, everything goes on.
    let reading = async {
        all_come(&mut call.output, few).await;
        all_come(&mut call.output, few + few).await;
    };
    let ((), mut played) = tokio::join!(reading, answering);
    let (answer, ()) = tokio::join!(ask(), async {
        let asked = played.hear("x").await;
        played.answer(&asked, Content::Empty).await;
    });
    assert_eq!(answer.unwrap(), Content::Empty);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_any_more_keeps_nobody_waiting() {
    let (room, incoming, mut played) = entered().await;
    let (call, id) = opened(&room, &mut played).await;
    let pushing = async {
        // Both fill up what may wait.
        for number in 0..BUDGET / 10_000 {
            played.push("x", json!({}), &[0; 10_000]).await;
            played.part(&id, line(number, 10_000)).await;
        }
        let asked = loop {
            let message = played.next().await.unwrap();
            if message.kind == "x" {
                break message;
            }
        };
        played.answer(&asked, Content::Empty).await;
    };
    let asking = async {
        sleep(MINUTE).await;
        assert!(room.shared.budget.is_used_up());
        drop((call, incoming));
        room.request("x", json!({}), Vec::new()).await.unwrap();
    };
    tokio::join!(asking, pushing);
    assert_eq!(room.shared.budget.free(), BUDGET);
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_waits_until_it_is_read_and_nothing_of_it_is_lost() {
    let (room, mut incoming, mut played) = entered().await;
    let pushing = tokio::spawn(async move {
        for number in 0..3_000 {
            played.push("x", json!(number), &[0; 10_000]).await;
        }
        played.close(CloseCode::Normal, "").await;
        played
    });
    sleep(MINUTE).await;
    assert!(!pushing.is_finished());
    for number in 0..3_000 {
        assert_eq!(incoming.next().await.unwrap().header, number);
    }
    assert_eq!(incoming.next().await, None);
    let closed = Ended::Closed { status: Some(1000), reason: String::new() };
    assert_eq!((room.ended(), room.what_went_wrong()), (Some(closed), None));
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_connection_was_lost_is_read_first() {
    let (room, _incoming, mut played) = entered().await;
    let (mut call, id) = opened(&room, &mut played).await;
    let waiting = room.request("x", json!({}), Vec::new());
    let dying = async {
        for number in 0..5 {
            played.part(&id, line(number, 10)).await;
        }
        drop(played);
    };
    let (refused, ()) = tokio::join!(waiting, dying);
    let refused = refused.unwrap_err();
    assert!(refused.text.starts_with("the connection was lost"), "{refused}");
    all_come(&mut call.output, 5).await;
    assert_eq!(call.output.next().await.unwrap_err(), refused);
    assert_eq!(room.send(Message::new(1, "x", json!({}))).await, Err(refused.clone()));
    assert_eq!(room.what_went_wrong(), Some(refused.text));
}

#[tokio::test(start_paused = true)]
async fn large_slices_are_sent_to_whoever_sends_them_or_says_so() {
    // What is known beforehand, the slices that the room sends, and those that it gets.
    for (told, sent, expected) in [
        (SLICE, SLICE, SLICE),
        (SLICE, SLICE + 1, LARGE),
        (LARGE, SLICE, LARGE),
        (4096, LARGE, 4096),
    ] {
        let (here, mut played) = sockets().await;
        played.slice = sent;
        let greeting = async {
            played.greet().await;
            played.push("x", json!({}), &[0; 5_000]).await;
        };
        let (entered, ()) = tokio::join!(Room::over(here, told), greeting);
        let (room, mut incoming) = entered.unwrap();
        assert_eq!(incoming.next().await.unwrap().bytes.len(), 5_000);
        let (_, ()) = tokio::join!(room.request("y", json!({}), vec![0; 200_000]), async {
            let asked = played.hear("y").await;
            assert_eq!(asked.bytes.len(), 200_000);
            played.answer(&asked, Content::Empty).await;
        });
        assert_eq!(played.assembler.largest_slice(), expected, "{told} {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_gone_once_the_room_has_closed_and_a_deaf_room_does_not_hold_anybody() {
    let (room, _incoming, mut played) = entered().await;
    let closing = async {
        let frame = played.socket.next().await.unwrap().unwrap();
        let Frame::Close(Some(frame)) = frame else { panic!("{frame:?}") };
        sleep(Duration::from_millis(500)).await;
        let _ = played.socket.flush().await;
        u16::from(frame.code)
    };
    let begun = Instant::now();
    let ((), code) = tokio::join!(room.leave(), closing);
    assert_eq!((code, begun.elapsed()), (1000, Duration::from_millis(500)));
    assert_eq!(room.ended(), Some(Ended::Left));

    // This one reads nothing, and much is to be sent to it.
    let (room, mut incoming, played) = entered().await;
    room.send(Message { bytes: vec![0; 500_000], ..Message::new(1, "x", json!({})) })
        .await
        .unwrap();
    let begun = Instant::now();
    room.leave().await;
    assert_eq!(begun.elapsed(), GOODBYE);
    assert_eq!((incoming.next().await, room.ended()), (None, Some(Ended::Left)));
    drop(played);
}
