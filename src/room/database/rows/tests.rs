use std::convert::Infallible;

use futures_util::stream;

use super::*;
use crate::room::codes;
use crate::room::played::{Played, entered};

fn row(id: i64) -> Row {
    vec![("id".to_owned(), Held::Int(id))]
}

fn part_of(ids: &[i64]) -> Content {
    let rows: Vec<Row> = ids.iter().copied().map(row).collect();
    rows_part(&rows)
}

fn source(ids: &[i64]) -> impl Stream<Item = Result<Row, Infallible>> + Unpin {
    stream::iter(ids.to_vec()).map(|id| Ok(row(id)))
}

fn insert() -> Insert {
    Insert { table: "t".to_owned(), namespace: None }
}

#[test]
fn rows_come_back_as_they_went() {
    let rows = vec![
        vec![("a".to_owned(), Held::Text("x".to_owned())), ("b".to_owned(), Held::Null)],
        Vec::new(),
    ];
    let part = rows_part(&rows);
    assert_eq!(
        part,
        Content::Json(json!({"kind": "rows", "rows": [
            {"columns": [
                {"name": "a", "value": {"type": "text", "value": "x"}},
                {"name": "b", "value": {"type": "null"}},
            ]},
            {"columns": []},
        ]}))
    );
    assert_eq!(rows_of(&part), Ok(rows));
    for (odd, why) in [
        (json!({"rows": []}), "not of the kind"),
        (json!({"kind": "rows"}), "there are no rows"),
        (json!({"kind": "rows", "rows": [{}]}), "a row has no columns"),
        (json!({"kind": "rows", "rows": [{"columns": [{}]}]}), "a column has no name"),
        (
            json!({"kind": "rows", "rows": [{"columns": [{"name": "a", "value": {"type": "?"}}]}]}),
            "the column \"a\": there is no type",
        ),
    ] {
        let told = rows_of(&Content::Json(odd)).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn batches_are_bounded_in_rows_and_bytes() {
    let large = |bytes: usize| vec![("a".to_owned(), Held::Text("x".repeat(bytes)))];
    let heavy = vec![large(600_000), large(600_000), large(10), large(3_000_000), row(1)];
    for (rows, expected) in [
        ((0..300).map(row).collect(), vec![128, 128, 44]),
        (heavy, vec![1, 2, 1, 1]),
        (Vec::new(), Vec::new()),
    ] {
        let rows = stream::iter(rows.into_iter().map(Ok::<_, Infallible>));
        let (mut batches, mut sizes) = (Batches { rows, kept: None }, Vec::new());
        while let Some(batch) = batches.next().await.unwrap() {
            sizes.push(batch.len());
        }
        assert_eq!(sizes, expected);
    }
    let rows = stream::iter([Ok(row(1)), Err("no")]);
    assert_eq!(Batches { rows, kept: None }.next().await, Err("no"));
}

#[tokio::test]
async fn rows_are_sent_as_the_room_asks_for_them() {
    let (room, _incoming, mut played) = entered().await;
    let ids: Vec<i64> = (0..130).collect();
    let taking = async {
        let (asked, call) = played.called().await;
        assert_eq!(asked.header["toolkit"], "database");
        assert_eq!(asked.header["tool"], "insert");
        played.answer(&asked, Content::Open).await;
        let start = json!({"kind": "start", "table": "t", "namespace": null});
        assert_eq!(played.taken().await, Content::Json(start));
        for ids in [&ids[..128], &ids[128..]] {
            played.part(&call, pull()).await;
            assert_eq!(played.taken().await, part_of(ids));
        }
        played.part(&call, pull()).await;
        assert_eq!(played.taken().await, Content::close());
        played.part(&call, Content::close()).await;
    };
    let start = insert();
    let (written, ()) = tokio::join!(room.write_rows(&start, source(&ids)), taking);
    assert_eq!(written.unwrap(), 130);
}

/// A room that begins to take rows.
async fn takes_the_start(played: &mut Played) -> String {
    let call = played.stream().await;
    assert!(matches!(played.taken().await, Content::Json(_)));
    call
}

#[tokio::test]
async fn a_room_that_stops_too_early_has_not_taken_the_rows() {
    for (ids, is_fine) in [([].as_slice(), true), (&[1], false)] {
        let (room, _incoming, mut played) = entered().await;
        let taking = async {
            let call = takes_the_start(&mut played).await;
            played.part(&call, Content::close()).await;
        };
        let start = insert();
        let (written, ()) = tokio::join!(room.write_rows(&start, source(ids)), taking);
        assert_eq!(written.is_ok(), is_fine, "{ids:?}");
    }
}

#[tokio::test]
async fn a_room_hears_that_rows_are_not_whole() {
    let (room, _incoming, mut played) = entered().await;
    let taking = async {
        let call = takes_the_start(&mut played).await;
        played.part(&call, pull()).await;
        let Content::Close { status, .. } = played.taken().await else { panic!("no end") };
        assert_eq!(status, crate::room::content::INVALID_DATA);
    };
    let failing = stream::iter([Err("the file is broken")]);
    let start = insert();
    let (written, ()) = tokio::join!(room.write_rows(&start, failing), taking);
    assert!(matches!(written, Err(NotWritten::Here("the file is broken"))));
}

#[tokio::test]
async fn an_error_of_the_room_ends_writing() {
    let (room, _incoming, mut played) = entered().await;
    let refusing = async {
        let call = takes_the_start(&mut played).await;
        played.part(&call, Content::Error(Refused::invalid("no such table"))).await;
        played.part(&call, Content::close()).await;
    };
    let start = insert();
    let (written, ()) = tokio::join!(room.write_rows(&start, source(&[1])), refusing);
    let Err(NotWritten::There(refused)) = written else { panic!("it was written") };
    assert_eq!(refused, Refused::invalid("no such table"));
}

fn search() -> Search {
    Search { table: "t".to_owned(), ..Search::default() }
}

#[tokio::test]
async fn rows_are_read_batch_by_batch_when_they_are_wanted() {
    let (room, _incoming, mut played) = entered().await;
    let giving = async {
        let call = takes_the_start(&mut played).await;
        for ids in [[1, 2].as_slice(), &[], &[3]] {
            assert_eq!(played.taken().await, pull());
            played.part(&call, part_of(ids)).await;
        }
        assert_eq!(played.taken().await, pull());
        played.part(&call, Content::close()).await;
        assert_eq!(played.taken().await, Content::close());
    };
    let reading = async {
        let mut rows = room.read_rows(&search()).await.unwrap();
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await.unwrap() {
            batches.push(batch.len());
        }
        assert_eq!(rows.next().await, Ok(None));
        batches
    };
    let (batches, ()) = tokio::join!(reading, giving);
    assert_eq!(batches, [2, 0, 1]);
}

#[tokio::test]
async fn an_error_of_the_room_is_told_instead_of_a_refused_wish() {
    let (room, _incoming, mut played) = entered().await;
    let refusing = async {
        let call = takes_the_start(&mut played).await;
        played.part(&call, Content::Error(Refused::invalid("no such table"))).await;
        played.part(&call, Content::close()).await;
        // The call is over, so what is sent to it is refused.
        let pull = played.hear("room.tool_call_request_chunk").await;
        played.answer(&pull, Content::Error(Refused::new("no such call"))).await;
    };
    let reading = async {
        let mut rows = room.read_rows(&search()).await.unwrap();
        rows.next().await.unwrap_err()
    };
    let (refused, ()) = tokio::join!(reading, refusing);
    assert_eq!(refused, Refused::invalid("no such table"));
}

#[tokio::test]
async fn what_is_no_row_is_an_unexpected_answer() {
    let (room, _incoming, mut played) = entered().await;
    let giving = async {
        let call = takes_the_start(&mut played).await;
        assert_eq!(played.taken().await, pull());
        played.part(&call, Content::Json(json!({"kind": "rows", "rows": 5}))).await;
        assert_eq!(played.taken().await, Content::close());
    };
    let reading = async {
        let mut rows = room.read_rows(&search()).await.unwrap();
        rows.next().await.unwrap_err()
    };
    let (refused, ()) = tokio::join!(reading, giving);
    assert_eq!(refused.code, Some(1100));
    assert!(refused.text.contains("database.search makes no sense: there are no rows"));
}

#[tokio::test]
async fn what_a_room_has_stopped_is_not_asked_for_again() {
    let (room, _incoming, mut played) = entered().await;
    let asked = search();
    let reads = async {
        let refused = match room.read_rows(&asked).await {
            Ok(mut rows) => rows.next().await.map(drop).unwrap_err(),
            Err(refused) => refused,
        };
        room.leave().await;
        refused
    };
    let plays = async {
        let call = played.stream().await;
        assert!(matches!(played.taken().await, Content::Json(_)));
        assert_eq!(played.taken().await, pull());
        let why = "it takes more than 30s to compute".to_owned();
        let stopped = Refused { code: Some(codes::TIMEOUT), text: why };
        played.part(&call, Content::Error(stopped)).await;
        played.part(&call, Content::close()).await;
        let mut calls = 1;
        while let Some(message) = played.next().await {
            calls += usize::from(message.kind == "room.invoke_tool");
            played.answer(&message, Content::Empty).await;
        }
        calls
    };
    let (refused, calls) = tokio::join!(reads, plays);
    assert_eq!((refused.code, calls), (Some(codes::TIMEOUT), 1));
}
