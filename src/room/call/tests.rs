use serde_json::json;
use tokio::time::{Duration, Instant, timeout};

use super::*;
use crate::room::invocation::Invocation;
use crate::room::played::{Played, entered};

fn echo() -> Invocation {
    Invocation::stream("t", "echo")
}

async fn opened(room: &Room, played: &mut Played) -> (Call, String) {
    let (call, id) = tokio::join!(room.open(echo()), played.stream());
    (call.unwrap(), id)
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_know_is_told_whether_the_answer_is_a_stream() {
    let (room, _incoming, mut played) = entered().await;
    let call = || Invocation::new("t", "x", text("in"));
    let (answered, ()) = tokio::join!(room.call(call()), async {
        let (asked, _) = played.called().await;
        assert_eq!(asked.header["arguments"], json!({"type": "text", "text": "in"}));
        played.answer(&asked, text("out")).await;
    });
    let Ok(Answered::Content(content)) = answered else { panic!("a content") };
    assert_eq!(content, text("out"));

    let (answered, ()) = tokio::join!(room.call(call()), async {
        let (asked, id) = played.called().await;
        // What comes before the answer is part of it.
        played.part(&id, text("1")).await;
        played.answer(&asked, Content::Open).await;
        played.part(&id, text("2")).await;
        played.part(&id, Content::close()).await;
    });
    let Ok(Answered::Stream(mut output)) = answered else { panic!("a stream") };
    for expected in [Some(text("1")), Some(text("2")), None, None] {
        assert_eq!(output.next().await.unwrap(), expected);
    }
    // It took no stream, so there is none to close.
    drop(output);
    room.send(crate::room::message::Message::new(9, "end", json!({}))).await.unwrap();
    played.hear("end").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_other_sort_is_refused() {
    let (room, _incoming, mut played) = entered().await;
    let unexpected = Refused::unexpected("t.echo");
    let (invoked, ()) = tokio::join!(room.invoke(Invocation::new("t", "echo", text(""))), async {
        let (asked, _) = played.called().await;
        played.answer(&asked, Content::Open).await;
    });
    assert_eq!(invoked, Err(unexpected.clone()));
    let (opened, ()) = tokio::join!(room.open(echo()), async {
        let (asked, _) = played.called().await;
        played.answer(&asked, Content::Empty).await;
    });
    assert_eq!(opened.map(drop), Err(unexpected));
    assert_eq!(played.taken().await, Content::close());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_badly_at_once_is_an_error() {
    let (room, _incoming, mut played) = entered().await;
    let bad = Content::Close { status: 1007, message: Some("no\nway".to_owned()) };
    let (invoked, ()) = tokio::join!(room.invoke(Invocation::new("t", "x", text(""))), async {
        let (asked, _) = played.called().await;
        played.answer(&asked, bad).await;
    });
    assert_eq!(invoked.unwrap_err().to_string(), "no way");
    let (invoked, ()) = tokio::join!(room.invoke(Invocation::new("t", "x", text(""))), async {
        let (asked, _) = played.called().await;
        played.answer(&asked, Content::close()).await;
    });
    assert_eq!(invoked, Ok(Content::close()));
}

#[tokio::test(start_paused = true)]
async fn each_part_waits_until_the_room_has_taken_the_one_before() {
    let (room, _incoming, mut played) = entered().await;
    let (mut call, id) = opened(&room, &mut played).await;
    let begun = Instant::now();
    let sending = async {
        for number in 0..3 {
            call.input.send(text(&number.to_string())).await.unwrap();
        }
        call.input.close().await;
        call.input.close().await;
        call.input.send(text("late")).await.unwrap_err()
    };
    let taking = async {
        for number in 0..3 {
            let asked = played.hear("room.tool_call_request_chunk").await;
            let part = json!({"type": "text", "text": number.to_string()});
            assert_eq!(asked.header, json!({"tool_call_id": id, "chunk": part}));
            // A tool may be slow. Nothing comes before it has taken this, but pings.
            assert!(timeout(Duration::from_secs(600), played.next()).await.is_err());
            played.answer(&asked, Content::Empty).await;
        }
        assert_eq!(played.taken().await, Content::close());
    };
    let (refused, ()) = tokio::join!(sending, taking);
    assert_eq!(refused.code, Some(1002));
    assert_eq!(begun.elapsed(), Duration::from_secs(1800));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_refused_says_why() {
    let (room, _incoming, mut played) = entered().await;
    let (mut call, _) = opened(&room, &mut played).await;
    let (sent, ()) = tokio::join!(call.input.send(text("x")), async {
        let asked = played.hear("room.tool_call_request_chunk").await;
        played.answer(&asked, Content::Error(Refused::invalid("no"))).await;
    });
    assert_eq!(sent, Err(Refused::invalid("no")));
}

#[tokio::test(start_paused = true)]
async fn both_halves_of_a_call_are_used_at_once() {
    const COUNT: usize = 200;
    let (room, _incoming, mut played) = entered().await;
    let (call, id) = opened(&room, &mut played).await;
    let Call { mut input, mut output } = call;
    // For each part that it takes, the tool first answers much more.
    let echoing = tokio::spawn(async move {
        loop {
            let asked = played.hear("room.tool_call_request_chunk").await;
            if asked.header["chunk"]["type"] == "control" {
                break;
            }
            let part = Content::part(json!({}), vec![0; 100_000]);
            played.part(&id, part).await;
            played.answer(&asked, Content::Empty).await;
        }
        played.part(&id, Content::close()).await;
    });
    let sending = async {
        for _ in 0..COUNT {
            input.send(text("x")).await.unwrap();
        }
        input.close().await;
    };
    let reading = async {
        let mut count = 0;
        while output.next().await.unwrap().is_some() {
            count += 1;
        }
        count
    };
    let ((), count) = tokio::join!(sending, reading);
    assert_eq!(count, COUNT);
    echoing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_an_answer_is_read_after_the_end_of_what_the_tool_takes() {
    let (room, _incoming, mut played) = entered().await;
    let (mut call, id) = opened(&room, &mut played).await;
    let begun = Instant::now();
    call.input.close().await;
    // Nobody waits for what the room says to that.
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let ending = async {
        let closed = played.hear("room.tool_call_request_chunk").await;
        for part in ["1", "2", "3"] {
            // The room is there meanwhile, and so answers pings.
            let _ = timeout(Duration::from_secs(200), played.next()).await;
            played.part(&id, text(part)).await;
        }
        played.part(&id, Content::close()).await;
        // For the room, the call was over before the end of what it takes.
        played.answer(&closed, Content::Error(Refused::new("there is no such call"))).await;
    };
    let reading = async {
        for expected in ["1", "2", "3"] {
            assert_eq!(call.output.next().await.unwrap(), Some(text(expected)));
        }
        assert_eq!(call.output.next().await, Ok(None));
    };
    tokio::join!(reading, ending);
    assert_eq!(room.ended(), None);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_and_an_end_that_is_bad_is_the_end() {
    let (room, _incoming, mut played) = entered().await;
    let (mut call, id) = opened(&room, &mut played).await;
    let bad = Content::Close { status: 1007, message: None };
    for part in [text("1"), Content::Error(Refused::new("no")), text("2"), bad] {
        played.part(&id, part).await;
    }
    let mut next = async || call.output.next().await;
    assert_eq!(next().await, Ok(Some(text("1"))));
    assert_eq!(next().await, Err(Refused::new("no")));
    assert_eq!(next().await, Ok(Some(text("2"))));
    assert_eq!(next().await, Err(Refused::new("the room aborted the call")));
    assert_eq!(next().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_takes_a_stream_may_answer_at_its_end() {
    let (room, _incoming, mut played) = entered().await;
    let Begun { mut input, answer } = room.begin(echo()).await.unwrap();
    let sending = async {
        input.send(text("1")).await.unwrap();
        input.close().await;
    };
    let answering = async {
        let (asked, _) = played.called().await;
        assert_eq!(played.taken().await, text("1"));
        assert_eq!(played.taken().await, Content::close());
        played.answer(&asked, text("1 part")).await;
    };
    let ((), (), answered) = tokio::join!(sending, answering, answer.wait());
    let Ok(Answered::Content(content)) = answered else { panic!("a content") };
    assert_eq!(content, text("1 part"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_is_ended_however_much_waits_to_be_sent() {
    let (room, _incoming, mut played) = entered().await;
    let (call, _) = opened(&room, &mut played).await;
    // The room reads nothing, until nothing more can be queued.
    let queued = async {
        for number in 0.. {
            let message = crate::room::message::Message::new(number, "x", json!({}));
            let message = crate::room::message::Message { bytes: vec![0; 100_000], ..message };
            room.send(message).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(1), queued).await.is_err());
    drop(call);
    let closed = loop {
        let message = played.next().await.unwrap();
        if message.kind != "x" {
            break message;
        }
    };
    let close = json!({"type": "control", "method": "close", "status_code": 1000});
    assert_eq!(closed.header["chunk"], close);
}
