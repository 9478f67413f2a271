//! *Pure*: the numbers that rooms give to reasons for refusals. Recorded from release 0.31.4.

/// The caller may not do that.
pub const PERMISSION_DENIED: i64 = 1001;
/// The request is wrong.
pub const INVALID_REQUEST: i64 = 1002;
/// There is no such thing. A client that sent a message takes the receiver for gone.
pub const NOT_FOUND: i64 = 1003;
/// There is one already.
pub const ALREADY_EXISTS: i64 = 1004;
/// Somebody else was faster. It may be tried again.
pub const CONFLICT: i64 = 1005;
/// It cannot be done in the state that the thing is in.
pub const INVALID_STATE: i64 = 1006;
/// The room has not got what it would need for it.
pub const DEPENDENCY_MISSING: i64 = 1007;
/// It was tried, and failed.
pub const OPERATION_FAILED: i64 = 1008;
/// It took too long.
pub const TIMEOUT: i64 = 1009;
/// An answer has another type or shape than expected. Clients say so, not rooms.
pub const UNEXPECTED: i64 = 1100;

/// There is no such memory.
pub const MEMORY_NOT_FOUND: i64 = 2001;
/// There is such a memory already.
pub const MEMORY_EXISTS: i64 = 2002;

/// There is no such file.
pub const FILE_NOT_FOUND: i64 = 3001;
/// A folder is removed only if that is asked for.
pub const RECURSIVE_REQUIRED: i64 = 3002;
/// This is no path of a file.
pub const INVALID_PATH: i64 = 3004;
/// There is such a file already.
pub const FILE_EXISTS: i64 = 3005;

/// There is no such queue.
pub const QUEUE_NOT_FOUND: i64 = 5001;
/// There is such a queue already.
pub const QUEUE_EXISTS: i64 = 5002;

/// There is no such container.
pub const CONTAINER_NOT_FOUND: i64 = 6001;

/// There is no such service.
pub const SERVICE_NOT_FOUND: i64 = 7001;
/// The service cannot be restarted.
pub const SERVICE_RESTART_NOT_ALLOWED: i64 = 7002;
