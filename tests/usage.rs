//! What people try first: files of the program among manifests, folders that became empty,
//! options that match nothing, and lines that almost say what is meant.

#[path = "usage/dry_run.rs"]
mod dry_run;
#[path = "usage/files.rs"]
mod files;
#[path = "usage/habits.rs"]
mod habits;
#[path = "usage/hints.rs"]
mod hints;
#[path = "usage/judged.rs"]
mod judged;
#[path = "usage/nothing.rs"]
mod nothing;
#[path = "usage/reached.rs"]
mod reached;
#[path = "usage/slips.rs"]
mod slips;
#[path = "usage/sources.rs"]
mod sources;
#[path = "usage/where_it_goes.rs"]
mod where_it_goes;
