//! The statements of clients.
