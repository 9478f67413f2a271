//! What touches the platform: observe it, execute a plan, keep the inventory of a set.
//!
//! Must not live here: any decision. The planner has decided what is to be done.

pub mod absent;
mod answered;
mod contents;
pub mod execute;
pub mod going;
pub mod history;
mod homes;
pub mod inside;
mod intake;
pub mod inventory;
pub mod journal;
pub mod lock;
pub mod look_up;
mod losing;
pub mod observe;
pub mod own;
mod owners;
mod packed;
mod perform;
mod projects;
mod reading;
mod record;
mod rest;
pub mod run;
pub mod schedule;
pub mod served;
pub mod sets;
mod settling;
mod staleness;
mod storage;
pub mod survey;
mod taken_over;
mod telling;
pub mod transfer;
mod wanted;
