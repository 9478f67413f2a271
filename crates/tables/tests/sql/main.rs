//! What clients write as SQL, against SQLite itself, and against DataFusion where there is a Python
//! that has it.

#![allow(clippy::print_stdout)]

mod agreement;
mod answers;
mod draw;
mod filters;
mod hostile;
#[path = "../../../../tests/needs.rs"]
#[expect(dead_code, reason = "the tests of the program need more")]
mod needs;
mod refusals;
#[path = "../../../../tests/seeds.rs"]
#[expect(dead_code, reason = "the tests of the program draw more")]
mod seeds;
mod world;
