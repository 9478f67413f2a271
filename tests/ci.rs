//! `ci`, driven from the outside: a real repository, the embedded platform, and what stands for each
//! forge, which speaks as the forge's documentation has it.

mod apply;
mod behind;
mod drift;
mod footing;
pub mod forge;
mod judged;
mod merged;
mod owners;
mod proposals;
mod repository;
mod strangers;
mod trouble;
mod whole;
