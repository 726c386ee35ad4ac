//! The whole product from outside: the real binary on real sockets and real files, with the faults of a real life.

#[cfg(test)]
mod access;
#[cfg(test)]
mod assembly;
#[cfg(test)]
mod bad;
#[cfg(test)]
mod brokers;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod codecs;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod early;
#[cfg(test)]
mod encode;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod notify;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod players;
#[cfg(test)]
mod proofs;
#[cfg(test)]
mod pull;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod runner;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tus;
#[cfg(test)]
mod work;
