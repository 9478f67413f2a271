//! Lists that are not whole.
