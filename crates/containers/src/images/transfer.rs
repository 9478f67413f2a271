//! Images to and from registries, archives and folders.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use super::contents::Source;
use super::context;
use super::{Credentials, Progress, credentials};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::mounts;
use crate::spec::{self, Limits};
use crate::wire::{Call, Pieces, Subject, escaped};

/// How much of an archive is read or written at once.
const AT_ONCE: usize = 64 << 10;

/// How many pieces of a folder wait to be sent.
const WAITING: usize = 4;

/// What kind of archive engines take.
const TAR: &str = "application/x-tar";

/// How an image is built.
#[derive(Debug, Clone)]
pub struct Build {
    /// What it is called.
    pub tag: String,
    /// The file with its description, seen from the folder. `Dockerfile`, if none is named.
    pub dockerfile: Option<String>,
    /// What each step may use: memory, processors and `/dev/shm`. Engines bound nothing else of it.
    pub limits: Limits,
}

impl Engine {
    /// Gets an image from its registry. Without a tag it is the latest one.
    pub async fn pull(&self, image: &str, known: &[Credentials]) -> Result<Progress> {
        spec::image(image)?;
        let call = Call::post("/images/create", format!("pull the image {image}"));
        let call = call.with("fromImage", &tagged(image)).about(Subject::Image(image.to_owned()));
        let call = call.header("x-registry-auth", credentials::for_image(image, known));
        Ok(Progress::new(self.wire.stream(call.however_long()).await?))
    }

    /// Sends an image to its registry.
    pub async fn push(&self, image: &str, known: &[Credentials]) -> Result<Progress> {
        spec::image(image)?;
        let tagged = tagged(image);
        let Some((name, tag)) = tagged.rsplit_once(':').filter(|_| !tagged.contains('@')) else {
            return Err(Error::Invalid(format!(
                "{image} is no name to push an image by: give it a tag"
            )));
        };
        let path = format!("/images/{}/push", escaped(name));
        let call = Call::post(path, format!("push the image {image}")).with("tag", tag);
        let call = call.about(Subject::Image(image.to_owned()));
        let call = call.header("x-registry-auth", credentials::for_image(image, known));
        Ok(Progress::new(self.wire.stream(call.however_long()).await?))
    }

    /// Builds an image of the folder `below` a trusted one. No link is followed, neither on the way
    /// to it nor in it, and `.dockerignore` is honoured. The digest of the image is in the last step.
    pub async fn build(
        &self,
        trusted: &Path,
        below: &str,
        build: &Build,
        known: &[Credentials],
    ) -> Result<Progress> {
        spec::image(&build.tag)?;
        let dockerfile = build.dockerfile.as_deref().unwrap_or("Dockerfile");
        mounts::below(dockerfile)?;
        let folder = mounts::open(trusted, below)?;
        let folder = context::Folder::new(folder, dockerfile)?;
        self.build_folder(folder, dockerfile, build, known).await
    }

    /// Builds an image of what its digest is of. The engine gets nothing else.
    ///
    /// # Errors
    ///
    /// As [`Self::build`].
    pub async fn build_source(
        &self,
        source: &Source<'_>,
        (tag, limits): (&str, Limits),
        known: &[Credentials],
    ) -> Result<Progress> {
        spec::image(tag)?;
        mounts::below(source.description)?;
        let build = Build { tag: tag.to_owned(), dockerfile: None, limits };
        self.build_folder(source.open()?, source.description, &build, known).await
    }

    async fn build_folder(
        &self,
        folder: context::Folder,
        dockerfile: &str,
        build: &Build,
        known: &[Credentials],
    ) -> Result<Progress> {
        let what = format!("build the image {}", build.tag);
        let Limits { memory, processors, shared_memory, .. } = build.limits;
        // Engines take processors as the part of a period.
        const PERIOD: f64 = 100_000.0;
        let call = Call::post("/build", &what)
            .with("t", &build.tag)
            .with("dockerfile", dockerfile)
            .with("rm", "true")
            .with("forcerm", "true")
            .with("memory", &memory.to_string())
            .with("memswap", &memory.to_string())
            .with("cpuperiod", &PERIOD.to_string())
            .with("cpuquota", &(processors * PERIOD).round().to_string())
            .with("shmsize", &shared_memory.to_string())
            .header("x-registry-config", credentials::for_all(known));
        let (sender, receiver) = mpsc::channel(WAITING);
        let archiving = tokio::task::spawn_blocking(move || {
            let written = folder.write(Sent { sender: sender.clone(), piece: BytesMut::new() });
            if let Err(error) = &written {
                // What is cut off is no archive, and must not look like one.
                let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
            }
            written
        });
        let body = Received(receiver).boxed_unsync();
        match self.wire.stream(call.body(TAR, body).however_long()).await {
            Ok(pieces) => Ok(Progress::new(pieces)),
            Err(error @ Error::Gone { .. }) => match archiving.await {
                Ok(Err(of_folder)) if of_folder.kind() != io::ErrorKind::BrokenPipe => {
                    Err(Error::system(&what, of_folder))
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Takes images out of an archive, as [`Self::save`] makes them.
    pub async fn load(&self, archive: impl AsyncRead + Send + 'static) -> Result<Progress> {
        let body = Read { from: Box::pin(archive), buffer: vec![0; AT_ONCE] }.boxed_unsync();
        let call = Call::post("/images/load", "load images").with("quiet", "false");
        Ok(Progress::new(self.wire.stream(call.body(TAR, body).however_long()).await?))
    }

    /// Images as an archive.
    pub async fn save(&self, images: &[&str]) -> Result<Saved> {
        let Some(first) = images.first() else {
            return Err(Error::Invalid("name an image to save".to_owned()));
        };
        let mut call = Call::get("/images/get", format!("save the image {first}"));
        for image in images {
            spec::image(image)?;
            // Podman makes an archive of what is not there an error of its own.
            self.digest_of(image).await?;
            call = call.with("names", image);
        }
        let call = call.about(Subject::Image((*first).to_owned()));
        Ok(Saved(self.wire.stream(call.however_long()).await?))
    }
}

/// The name of an image with a tag: Docker pulls all of them otherwise.
fn tagged(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    if last.contains(':') || image.contains('@') {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// An archive, piece by piece.
#[derive(Debug)]
pub struct Saved(Pieces);

impl Saved {
    /// The next piece, or nothing at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        self.0.next().await
    }
}

impl Stream for Saved {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_piece(context)
    }
}

/// Something that is read, as the body of a request.
struct Read<R> {
    from: Pin<Box<R>>,
    buffer: Vec<u8>,
}

impl<R: AsyncRead> hyper::body::Body for Read<R> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let mut buffer = ReadBuf::new(&mut this.buffer);
        if let Err(error) = ready!(this.from.as_mut().poll_read(context, &mut buffer)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = buffer.filled();
        Poll::Ready((!read.is_empty()).then(|| Ok(Frame::data(Bytes::copy_from_slice(read)))))
    }
}

/// What another thread writes, as the body of a request.
struct Received(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Received {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|it| it.map(|it| it.map(Frame::data)))
    }
}

/// Where another thread writes to.
struct Sent {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

impl io::Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= AT_ONCE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = self.piece.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_the_latest_one() {
        assert_eq!(tagged("alpine"), "alpine:latest");
        assert_eq!(tagged("localhost:5000/a/b"), "localhost:5000/a/b:latest");
        for whole in ["alpine:3", "localhost:5000/a:1", "a@sha256:0123"] {
            assert_eq!(tagged(whole), whole);
        }
    }
}
