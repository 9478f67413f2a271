//! What documents name that stands beside their manifests.

/// What a document may name that stands beside its manifest, such as an item of a list in place of a
/// text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// `{file: PATH}`: the text of a file beside the manifest.
    File,
    /// `{folder: PATH}`: a folder beside the manifest, which is mounted.
    Folder,
    /// `{file: PATH}`: the bytes of a file beside the manifest, which come in base64 in the field of
    /// this name.
    Bytes(&'static str),
    /// `{context: PATH}`: a folder that an image is built of, whose digest is read.
    Context,
}

impl Beside {
    /// The word that says its path.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::File | Self::Bytes(_) => "file",
            Self::Folder => "folder",
            Self::Context => "context",
        }
    }

    /// What is written for it.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::File => "`{file: PATH}`, a text file beside the manifest",
            Self::Bytes(_) => "`{file: PATH}`, a file beside the manifest",
            Self::Context => "`{context: PATH}`, a folder that an image is built of",
            Self::Folder => {
                "`{folder: PATH}`, a folder beside the manifest, whose text files are mounted"
            }
        }
    }
}
