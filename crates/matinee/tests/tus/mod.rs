//! Resumable uploads: what the protocol demands, and what broken connections and crashes leave behind.

mod breaks;
mod checksum;
mod concat;
mod crash;
mod disk;
mod limits;
mod protocol;
mod resumable;
