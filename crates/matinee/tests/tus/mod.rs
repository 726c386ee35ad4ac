//! Resumable uploads: what the protocol demands, and what broken connections and crashes leave behind.

mod breaks;
mod crash;
mod protocol;
