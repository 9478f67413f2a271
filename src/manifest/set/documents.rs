//! The documents of all sources, read on all processors.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use super::super::document::{self, Document, Trees};
use super::super::source::Source;
use super::super::split::{self, Part};
use crate::error::Problem;
use crate::kinds::{Declared, Fault, KindName};

/// A document, with what it declares where that is known before the others are read.
pub(super) type Read = (Arc<Document>, Option<DeclaredAlone>);

/// Reads the documents of all sources, in order. Each stands by itself until then, so that
/// large sets are read on all processors.
pub(super) fn read_documents(sources: &[Arc<Source>]) -> (Vec<Read>, Vec<Problem>) {
    let bytes: usize = sources.iter().map(|source| source.text.len()).sum();
    let trees = if bytes <= HELD_BYTES { Trees::Held } else { Trees::Spared };
    let parts: Vec<_> = sources
        .iter()
        .flat_map(|source| split::split(&source.text).into_iter().map(move |part| (source, part)))
        .collect();
    let read = |parts: &[(&Arc<Source>, Part<'_>)]| {
        let mut documents = Vec::new();
        let mut problems = Vec::new();
        for (source, part) in parts {
            match document::read_part(source, part, trees) {
                Ok(None) => {}
                Ok(Some((document, value))) => {
                    let declared = DeclaredAlone::of(&document, &value);
                    documents.push((Arc::new(document), declared));
                }
                Err(found) => problems.extend(found),
            }
        }
        (documents, problems)
    };
    let threads = match thread::available_parallelism() {
        Ok(threads) if bytes > BYTES_WORTH_THREADS => threads.get(),
        _ => 1,
    };
    // A thread that is done with a share takes the next, because shares take different times.
    let shares: Vec<_> = parts.chunks(parts.len().div_ceil(threads * SHARES).max(1)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || next.fetch_add(1, Ordering::Relaxed);
        let taken = std::iter::from_fn(|| Some(take()).filter(|index| *index < shares.len()));
        taken.map(|index| (index, read(shares[index]))).collect::<Vec<_>>()
    };
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    all.sort_by_key(|(index, _)| *index);
    let mut read = (Vec::with_capacity(parts.len()), Vec::new());
    for (_, (documents, problems)) in all {
        read.0.extend(documents);
        read.1.extend(problems);
    }
    read
}

/// Into how many shares the work of each thread is cut.
const SHARES: usize = 16;

/// From how many bytes of text on it is quicker to start threads than to go on alone.
pub(super) const BYTES_WORTH_THREADS: usize = 128 * 1024;

/// Up to how many bytes of text the trees of all documents are held, which take some thirty
/// times as much. Those of a larger set are read again where a place in them is wanted.
pub(super) const HELD_BYTES: usize = 1024 * 1024;

/// What a document declares by itself, known before the others are read, and of which kind it is.
pub(super) struct DeclaredAlone {
    pub(super) kind: KindName,
    pub(super) declared: Result<Vec<Declared>, Vec<Fault>>,
    /// See [`crate::kinds::Kind::content`].
    pub(super) content: Option<Arc<[u8]>>,
}

impl DeclaredAlone {
    /// `None` where templates have a say.
    fn of(document: &Document, value: &Value) -> Option<Self> {
        let is_alone = document.template.is_none()
            && value.get("template").is_none()
            && document.kind.beside(value).is_empty();
        let kind = document.kind;
        is_alone.then(|| {
            let (declared, content) = kind.declare_with_content(value);
            Self { kind: kind.declares_in(value), declared, content }
        })
    }
}
