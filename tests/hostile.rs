//! A hostile platform: a proxy between the program and the embedded platform that answers
//! as badly as the worst day of a real one, and what the program makes of that.

mod hidden;
mod pace;
pub mod plans;
pub mod proxy;
mod reads;
mod writes;
