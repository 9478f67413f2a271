//! Builds images of folders with a container engine, and sends them to registries.

use std::collections::VecDeque;
use std::path::Path;

use meshagent_containers::{Credentials, Engine, Error as Refused, Limits, Progress, Socket};

use crate::error::{Error, Result};
use crate::manifest::beside::Built;

/// How many of the last lines of a build that failed are kept.
const LAST: usize = 20;

/// How many bytes of a line are kept.
const LONGEST: usize = 2000;

/// How much memory a step of a build may use, in bytes.
const MEMORY: u64 = 4 << 30;

/// What builds images.
pub struct Builder {
    engine: Engine,
    limits: Limits,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The engine had it.
    Before,
    /// It was built.
    Now,
}

/// Why an image was not built, or not sent.
#[derive(Debug)]
pub struct Unbuilt {
    /// What failed.
    pub error: Error,
    /// The last lines that the engine wrote. They are those of programs, with all their characters.
    pub said: Vec<String>,
}

impl From<Error> for Unbuilt {
    fn from(error: Error) -> Self {
        Self { error, said: Vec::new() }
    }
}

impl Builder {
    /// With the engine at a socket. `scratch` is a folder of nobody else.
    ///
    /// # Errors
    ///
    /// No engine is there.
    pub async fn connect(socket: &Socket, scratch: &Path) -> Result<Self> {
        let engine = Engine::connect(socket, scratch).await;
        let engine = engine.map_err(|absent| Error::failed(absent.to_string()))?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let processors = u32::try_from(processors).map_or(1.0, f64::from);
        Ok(Self { engine, limits: Limits { memory: MEMORY, processors, ..Limits::default() } })
    }

    /// Whether the engine has an image.
    ///
    /// # Errors
    ///
    /// The engine's.
    pub async fn has(&self, image: &str) -> Result<bool> {
        match self.engine.digest_of(image).await {
            Ok(_) => Ok(true),
            Err(Refused::NoImage { .. }) => Ok(false),
            Err(error) => {
                Err(Error::failed(format!("failed to look for the image {image}")).because(error))
            }
        }
    }

    /// Builds an image, unless the engine has it. `tell` hears each line of the engine.
    ///
    /// The image is what its name says: where somebody wrote to the folder meanwhile, it is removed
    /// again.
    ///
    /// # Errors
    ///
    /// The engine's; the folder is not what it was when the image was named.
    pub async fn build(
        &self,
        built: &Built,
        tell: impl FnMut(&str),
    ) -> std::result::Result<Made, Unbuilt> {
        let image = built.image.as_str();
        if self.has(image).await? {
            return Ok(Made::Before);
        }
        let failed = || Error::failed(format!("failed to build the image {image}"));
        let begun = self.engine.build_source(&built.source(), (image, self.limits), &[]).await;
        let progress = begun.map_err(|error| failed().because(error))?;
        let mut lines = Lines::new(tell);
        if let Err(error) = lines.all(progress).await {
            return Err(Unbuilt { error: failed().because(error), said: lines.last() });
        }
        let current = built.clone();
        let is_current = tokio::task::spawn_blocking(move || current.is_current()).await;
        let is_current = is_current.map_err(|error| failed().because(error))??;
        if !is_current {
            // Whoever builds it again must not take this one for it.
            let removed = self.engine.remove_image(image).await;
            let told = failed().because("the folder changed while the image was built");
            return Err(match removed {
                Ok(()) => told.into(),
                Err(error) => failed().because(error).into(),
            });
        }
        Ok(Made::Now)
    }

    /// Sends an image to its registry, as whom the credentials say, else as the engine does.
    ///
    /// # Errors
    ///
    /// The image names no registry; the engine's, and the registry's.
    pub async fn push(
        &self,
        image: &str,
        known: &[Credentials],
        tell: impl FnMut(&str),
    ) -> std::result::Result<(), Unbuilt> {
        if image.starts_with("localhost/") {
            return Err(Error::usage(format!("the image {image} is for this machine alone"))
                .hint("say its name with its registry in `build.image`, such as ghcr.io/me/agent")
                .into());
        }
        let failed = || Error::failed(format!("failed to push the image {image}"));
        let progress = self.engine.push(image, known).await;
        let mut lines = Lines::new(tell);
        let done = lines.all(progress.map_err(|error| failed().because(error))?).await;
        done.map_err(|error| Unbuilt { error: failed().because(error), said: lines.last() })
    }
}

/// What an engine says, line by line: its pieces end anywhere.
struct Lines<F> {
    tell: F,
    open: String,
    last: VecDeque<String>,
}

impl<F: FnMut(&str)> Lines<F> {
    const fn new(tell: F) -> Self {
        Self { tell, open: String::new(), last: VecDeque::new() }
    }

    /// Reads to the end.
    async fn all(&mut self, mut progress: Progress) -> meshagent_containers::Result<()> {
        while let Some(step) = progress.next().await.transpose()? {
            // What a layer is at is said many times a second.
            if step.bytes.is_none() {
                self.add(&step.text);
                if step.layer.is_some() || !step.text.ends_with('\n') && step.digest.is_some() {
                    self.add("\n");
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, text: &str) {
        for piece in text.split_inclusive('\n') {
            let line = piece.trim_end_matches(['\n', '\r']);
            let room = LONGEST.saturating_sub(self.open.len());
            let fits = (0..=line.len().min(room)).rev().find(|at| line.is_char_boundary(*at));
            self.open.push_str(&line[..fits.unwrap_or_default()]);
            if piece.ends_with('\n') {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let line = std::mem::take(&mut self.open);
        if line.trim().is_empty() {
            return;
        }
        (self.tell)(&line);
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The last lines.
    fn last(mut self) -> Vec<String> {
        self.end();
        self.last.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines_of_which_the_last_are_kept() {
        let mut told = Vec::new();
        let mut lines = Lines::new(|line: &str| told.push(line.to_owned()));
        for piece in ["STEP 1", "/2\n\nSTEP 2/2\r\n", "no", " end"] {
            lines.add(piece);
        }
        let last = lines.last();
        assert_eq!(last, ["STEP 1/2", "STEP 2/2", "no end"]);
        assert_eq!(told, last);
        let mut lines = Lines::new(|_: &str| {});
        for number in 0..100 {
            lines.add(&format!("{number}\n"));
        }
        lines.add(&"é".repeat(LONGEST));
        let last = lines.last();
        assert_eq!((last.len(), last[0].as_str()), (LAST, "81"));
        assert_eq!(last[LAST - 1].len(), LONGEST);
    }
}
