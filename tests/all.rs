//! The one integration test binary.

mod platform;
