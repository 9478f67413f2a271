//! Images that the engine has.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::engine::Engine;
use crate::error::Result;
use crate::spec;
use crate::wire::{Call, Subject, escaped};

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What identifies its content: `sha256:` and a number.
    pub digest: String,
    /// What it is called, as the engine writes it. An image that was replaced has no name.
    pub names: Vec<String>,
    /// Bytes on the disk of the engine.
    pub size: u64,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// What it is found by.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// The images that the engine has.
    pub async fn images(&self) -> Result<Vec<Image>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Item {
            id: String,
            repo_tags: Option<Vec<String>>,
            size: u64,
            created: i64,
            labels: Option<BTreeMap<String, String>>,
        }
        let items: Vec<Item> = self.wire.json(Call::get("/images/json", "list images")).await?;
        let read = |item: Item| Image {
            digest: digest(&item.id),
            // What Docker calls an image without a name.
            names: item
                .repo_tags
                .unwrap_or_default()
                .into_iter()
                .filter(|it| it != "<none>:<none>")
                .collect(),
            size: item.size,
            created: item.created,
            labels: item.labels.unwrap_or_default(),
        };
        Ok(items.into_iter().map(read).collect())
    }

    /// What identifies the content of an image: two images with one digest hold the same.
    pub async fn digest_of(&self, image: &str) -> Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            id: String,
        }
        spec::image(image)?;
        let call = Call::get(
            format!("/images/{}/json", escaped(image)),
            format!("look at the image {image}"),
        );
        let inspected: Inspected =
            self.wire.json(call.about(Subject::Image(image.to_owned()))).await?;
        Ok(digest(&inspected.id))
    }

    /// Removes a name of an image, and the image with its last name. No container is of it.
    pub async fn remove_image(&self, image: &str) -> Result<()> {
        spec::image(image)?;
        let call = Call::delete(
            format!("/images/{}", escaped(image)),
            format!("remove the image {image}"),
        );
        self.wire.done(call.about(Subject::Image(image.to_owned()))).await
    }
}

/// An id in the form that both engines have in most places.
pub(crate) fn digest(id: &str) -> String {
    if id.contains(':') { id.to_owned() } else { format!("sha256:{id}") }
}
