use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::*;
use crate::room::played::{Played, entered};

/// More than a whole file may have.
const HUGE: u64 = 80 * 1024 * 1024 + 5;

/// How many bytes are held between a file and the room: parts that are made, sent or taken.
const HELD: u64 = 4 * PART as u64;

/// A file that is made while it is read: each part begins with the place where it begins.
struct Made {
    size: u64,
    at: Arc<AtomicU64>,
}

impl AsyncRead for Made {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let at = self.at.load(Ordering::Relaxed);
        let size = into.remaining().min(usize::try_from(self.size - at).unwrap());
        let start = into.filled().len();
        into.initialize_unfilled_to(size);
        into.advance(size);
        if size >= 8 && at.is_multiple_of(PART as u64) {
            into.filled_mut()[start..start + 8].copy_from_slice(&at.to_be_bytes());
        }
        self.at.fetch_add(size as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

/// Where a file is written to that is looked at and not kept.
struct Seen(Arc<AtomicU64>);

impl AsyncWrite for Seen {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        check(self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed), bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A part of what is made, which begins at this place.
fn made(at: u64, size: u64) -> Vec<u8> {
    let mut part = vec![0; usize::try_from(size).unwrap()];
    if size >= 8 {
        part[..8].copy_from_slice(&at.to_be_bytes());
    }
    part
}

fn check(at: u64, part: &[u8]) {
    assert!(part.len() < 8 || part[..8] == at.to_be_bytes(), "{at}");
}

fn part(kind: &str) -> Content {
    Content::part(json!({ "kind": kind }), Vec::new())
}

/// Takes the next part of a stream, which is of this kind.
async fn taken(played: &mut Played, kind: &str) -> (Value, Vec<u8>) {
    let Content::Binary { headers, bytes } = played.taken().await else { panic!("no {kind}") };
    assert_eq!(headers["kind"], kind);
    (headers, bytes)
}

#[tokio::test]
async fn a_huge_file_is_sent_and_a_part_of_it_is_held() {
    let (room, _incoming, mut played) = entered().await;
    let at = Arc::<AtomicU64>::default();
    let mut source = Made { size: HUGE, at: at.clone() };
    let to = Upload {
        path: "a/b.bin",
        name: Some("c.txt"),
        mime_type: None,
        overwrite: true,
        size: Some(HUGE),
    };
    let storing = async {
        let call = played.stream().await;
        let (start, _) = taken(&mut played, "start").await;
        let expected = json!({
            "kind": "start", "path": "a/b.bin", "overwrite": true, "name": "c.txt",
            "mime_type": "text/plain", "size": HUGE,
        });
        assert_eq!(start.to_string(), expected.to_string());
        let mut stored = 0;
        while stored < HUGE {
            played.part(&call, part("pull")).await;
            let (_, bytes) = taken(&mut played, "data").await;
            check(stored, &bytes);
            stored += bytes.len() as u64;
            assert!(at.load(Ordering::Relaxed) - stored <= HELD);
        }
        played.part(&call, part("pull")).await;
        assert_eq!(played.taken().await, Content::close());
        played.part(&call, Content::close()).await;
    };
    let (sent, ()) = tokio::join!(room.upload_from(&to, &mut source), storing);
    assert_eq!(sent.unwrap(), HUGE);
}

#[tokio::test]
async fn a_huge_file_is_read_and_a_part_of_it_is_held() {
    let (room, _incoming, mut played) = entered().await;
    let seen = Arc::<AtomicU64>::default();
    let mut into = Seen(seen.clone());
    let giving = async {
        let call = played.stream().await;
        let (start, _) = taken(&mut played, "start").await;
        assert_eq!(start, json!({"kind": "start", "path": "a", "chunk_size": PART}));
        let told = json!({"kind": "start", "name": "a", "mime_type": "x/y", "size": HUGE});
        played.part(&call, Content::part(told, Vec::new())).await;
        let mut given = 0;
        while given < HUGE {
            taken(&mut played, "pull").await;
            assert!(given - seen.load(Ordering::Relaxed) <= HELD);
            let bytes = made(given, (PART as u64).min(HUGE - given));
            given += bytes.len() as u64;
            played.part(&call, Content::part(json!({"kind": "data"}), bytes)).await;
        }
        played.part(&call, Content::close()).await;
        // It may be heard after the call is over for the room.
        let closed = played.hear("room.tool_call_request_chunk").await;
        assert_eq!(closed.header["chunk"]["method"], "close");
    };
    let (read, ()) = tokio::join!(room.download_into("a", &mut into), giving);
    assert_eq!((read.unwrap(), seen.load(Ordering::Relaxed)), (HUGE, HUGE));
}

/// What comes of a download in which the room says this after its start.
async fn downloaded(size: u64, said: Vec<Content>) -> Result<File, Refused> {
    let (room, _incoming, mut played) = entered().await;
    let giving = async {
        let call = played.stream().await;
        taken(&mut played, "start").await;
        let told = json!({"kind": "start", "name": "n", "mime_type": "x/y", "size": size});
        played.part(&call, Content::part(told, Vec::new())).await;
        for part in said {
            played.part(&call, part).await;
        }
        // Whatever came, the room is told that no more is wanted.
        while played.taken().await != Content::close() {}
    };
    let (file, ()) = tokio::join!(room.download("f"), giving);
    file
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_what_the_room_says_is_refused() {
    let data = |bytes: &[u8]| Content::part(json!({"kind": "data"}), bytes.to_vec());
    let (close, start) = (Content::close(), part("start"));
    let whole = File { name: "n".to_owned(), mime_type: "x/y".to_owned(), bytes: b"abc".to_vec() };
    for said in [vec![data(b"abc"), close.clone()], vec![data(b"ab"), data(b"c"), close.clone()]] {
        assert_eq!(downloaded(3, said).await, Ok(whole.clone()));
    }
    let empty = File { bytes: Vec::new(), ..whole };
    assert_eq!(downloaded(0, vec![close.clone()]).await, Ok(empty));
    for said in [
        vec![data(b"abcd"), close.clone()],
        vec![data(b"abc"), data(b"d")],
        vec![data(b"ab"), close.clone()],
        vec![close.clone()],
        vec![data(b"")],
        vec![start],
        vec![Content::Text("abc".to_owned())],
    ] {
        let refused = downloaded(3, said.clone()).await.unwrap_err();
        assert_eq!(refused.code, Some(1100), "{said:?}");
    }
    let missing = Refused { text: "no such file".to_owned(), code: Some(3001) };
    assert_eq!(downloaded(3, vec![Content::Error(missing.clone())]).await, Err(missing));
    let large = downloaded(MAX_BYTES as u64 + 1, Vec::new()).await.unwrap_err();
    assert_eq!(large.text, "f has 67108865 bytes, more than the 67108864 allowed");
}

#[tokio::test(start_paused = true)]
async fn a_room_may_ask_for_more_than_there_is_before_it_takes_anything() {
    const PULLS: usize = 30_000;
    let (room, _incoming, mut played) = entered().await;
    let bytes = vec![7; 3 * PART + 1];
    let storing = async {
        let call = played.stream().await;
        let start = played.hear("room.tool_call_request_chunk").await;
        // Together, they are more than may wait to be read, and the answer is behind them.
        for _ in 0..PULLS {
            played.part(&call, part("pull")).await;
        }
        played.answer(&start, Content::Empty).await;
        let mut stored = Vec::new();
        while let Content::Binary { bytes, .. } = played.taken().await {
            stored.extend(bytes);
        }
        played.part(&call, Content::close()).await;
        stored
    };
    let (sent, stored) = tokio::join!(room.upload("a", &bytes, true), storing);
    sent.unwrap();
    assert_eq!(stored, bytes);
}

/// What comes of an upload of this size to a room that says this, and how the room hears it end.
async fn uploaded(
    size: Option<u64>,
    mut bytes: &[u8],
    said: Vec<Content>,
) -> (Result<u64, NotMoved>, Content) {
    let (room, _incoming, mut played) = entered().await;
    let storing = async {
        let call = played.stream().await;
        taken(&mut played, "start").await;
        let mut end = None;
        for said in said {
            let is_pull = said == part("pull");
            played.part(&call, said).await;
            if is_pull
                && end.is_none()
                && let close @ Content::Close { .. } = played.taken().await
            {
                end = Some(close);
            }
        }
        match end {
            Some(end) => end,
            None => played.taken().await,
        }
    };
    let to = Upload { path: "a", name: None, mime_type: None, overwrite: false, size };
    let uploading = async {
        let uploaded = room.upload_from(&to, &mut bytes).await;
        (uploaded, room.clone())
    };
    let ((uploaded, _), end) = tokio::join!(uploading, storing);
    (uploaded, end)
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_sent_whole_is_not_stored() {
    let (pull, close) = (|| part("pull"), Content::close);
    for (size, said) in [
        (None, vec![pull(), pull(), close()]),
        (Some(3), vec![pull(), pull(), close()]),
        // It knows that this was all.
        (Some(3), vec![pull(), close()]),
    ] {
        let (uploaded, end) = uploaded(size, b"abc", said).await;
        assert_eq!((uploaded.unwrap(), end), (3, close()));
    }
    let given_up =
        Content::Close { status: 1007, message: Some("the upload was given up".to_owned()) };
    for (size, said) in [
        (Some(3), vec![close()]),
        (None, vec![close()]),
        (None, vec![pull(), close()]),
        (Some(3), vec![part("data")]),
        (Some(3), vec![Content::Empty]),
    ] {
        let (refused, end) = uploaded(size, b"abc", said.clone()).await;
        let Err(NotMoved::There(refused)) = refused else { panic!("{said:?}") };
        assert_eq!((refused.code, end), (Some(1100), given_up.clone()), "{said:?}");
    }
    let exists = Refused { text: "it exists".to_owned(), code: Some(3005) };
    let (refused, end) = uploaded(Some(3), b"abc", vec![Content::Error(exists.clone())]).await;
    assert_eq!((Refused::from(refused.unwrap_err()), end), (exists, given_up.clone()));
    // What changes meanwhile is neither what it was nor what it is.
    for (size, told) in [(2, "3 bytes were read of what had 2 bytes before"), (4, "3 bytes were")] {
        let (failed, end) = uploaded(Some(size), b"abc", vec![pull(), pull()]).await;
        let Err(NotMoved::Here(failed)) = failed else { panic!("{size}") };
        assert!(failed.to_string().starts_with(told), "{failed}");
        assert_eq!(end, given_up);
    }
}
