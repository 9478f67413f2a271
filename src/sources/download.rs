//! Archives over https.

use std::time::Duration;

use crate::api::http::{self, Told};
use crate::error::{Error, Result};
use crate::sources::archive::LARGEST;

/// How long a download may take.
pub(super) const TIME: Duration = Duration::from_secs(300);

/// Downloads a file.
///
/// # Errors
///
/// No answer, one that is no success, or one that is too large.
pub(super) async fn download(url: &str) -> Result<Vec<u8>> {
    let request = http::of_downloads(url)?.get(url);
    let told = http::ask(request, TIME, LARGEST).await.map_err(|unread| {
        let hint = unread.hint().map(str::to_owned);
        let error = Error::failed("failed to download it").because(unread);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    match told {
        Told { status, body } if status.is_success() => Ok(body),
        Told { status, .. } => Err(Error::failed(format!("the server answered {status}"))),
    }
}
