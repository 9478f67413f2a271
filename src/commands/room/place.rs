//! Where tables and memories are.

/// A namespace.
#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    /// The namespace: its segments from the outermost, each with an option of its own
    #[arg(short, long, value_name = "SEGMENT")]
    namespace: Vec<String>,
}

impl PlaceArgs {
    /// The namespace, if there is one.
    pub fn namespace(&self) -> Option<Vec<String>> {
        Some(self.namespace.clone()).filter(|segments| !segments.is_empty())
    }
}
