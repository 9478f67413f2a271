//! The embedded platform: REST, store, accounts. It never imports `commands`.
