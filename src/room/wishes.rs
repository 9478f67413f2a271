//! What a room asks for while it takes a stream: each part of it, and once more to hear that there
//! is none.

use serde_json::Value;

use super::call::Output;
use super::content::{Content, Refused};

/// What a room asks for, part by part.
pub(super) struct Wishes {
    /// The operation that takes the parts.
    operation: &'static str,
    output: Output,
    /// How many parts the room asked for that were not sent yet.
    count: u64,
    /// Whether the room asks for nothing more.
    is_over: bool,
}

impl Wishes {
    pub(super) const fn new(operation: &'static str, output: Output) -> Self {
        Self { operation, output, count: 0, is_over: false }
    }

    /// Waits until the room asks for a part; false once it asks for nothing more.
    pub(super) async fn next(&mut self) -> Result<bool, Refused> {
        while self.count == 0 && !self.is_over {
            self.read().await?;
        }
        self.count = self.count.saturating_sub(1);
        Ok(!self.is_over)
    }

    /// Does something else, and listens to the room meanwhile: what was begun may depend on an
    /// answer behind what the room asks for. `None` if the room asks for nothing more before it is
    /// done.
    pub(super) async fn during<T>(
        &mut self,
        other: impl Future<Output = T>,
    ) -> Result<Option<T>, Refused> {
        let mut other = std::pin::pin!(other);
        while !self.is_over {
            tokio::select! {
                biased;
                done = &mut other => return Ok(Some(done)),
                read = self.read() => read?,
            }
        }
        Ok(None)
    }

    async fn read(&mut self) -> Result<(), Refused> {
        match self.output.next().await? {
            Some(part) if is_pull(&part) => self.count += 1,
            Some(_) => return Err(Refused::unexpected(self.operation)),
            None => self.is_over = true,
        }
        Ok(())
    }
}

/// Whether a part of a stream asks for the next one.
pub(super) fn is_pull(part: &Content) -> bool {
    let kind = match part {
        Content::Binary { headers: said, .. } | Content::Json(said) => &said["kind"],
        _ => &Value::Null,
    };
    kind == "pull"
}
