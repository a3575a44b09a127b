//! What every service stands on (waits for the Redis ledger to land).
