//! What a release contains, and the ways to get it and to use it in CI.

mod manual;
