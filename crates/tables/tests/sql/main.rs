//! What clients write as SQL, against SQLite itself.

mod agreement;
mod answers;
mod filters;
mod hostile;
mod refusals;
mod world;
