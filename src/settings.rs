//! Flags, environment and files, resolved once at the top.
