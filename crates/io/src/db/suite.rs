//! The conformance suite of the database: every test runs on SQLite and on a real PostgreSQL.

mod again;
mod arrivals;
mod background;
mod captions;
mod claims;
mod concat;
mod encoding;
mod evidence;
mod hardware;
mod leftovers;
mod pictures;
mod pipelines;
mod postgres;
mod pulls;
mod random;
mod remake;
mod rules;
mod runners;
mod schedule;
mod shown;
mod sounds;
mod stage;
pub(crate) mod support;
mod tails;
mod tenants;
mod uploads;
mod videos;
