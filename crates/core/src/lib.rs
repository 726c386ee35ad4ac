//! What is true in matinee: state machines, plans, layouts, manifests and their arithmetic.
//!
//! Nothing here is async, reads a clock, does input or output, or draws a random number. The same
//! arguments always give the same answer.

pub mod access;
pub mod address;
pub mod arrival;
pub mod assembly;
pub mod breaker;
pub mod calendar;
pub mod caption;
pub mod choice;
pub mod codec;
pub mod crop;
pub mod disk;
pub mod event;
pub mod gate;
pub mod hardware;
pub mod hash;
pub mod host;
pub mod id;
pub mod image;
pub mod inventory;
pub mod job;
pub mod language;
pub mod ledger;
pub mod limits;
pub mod loudness;
pub mod maker;
pub mod manifest;
pub mod media;
pub mod name;
pub mod pipeline;
pub mod placement;
pub mod plan;
pub mod price;
pub mod publication;
pub mod pull;
pub mod quota;
pub mod range;
pub mod remake;
pub mod replica;
pub mod ribbon;
pub mod runner;
pub mod sending;
pub mod step;
pub mod storyboard;
pub mod tar;
pub mod throttle;
pub mod thumbnail;
pub mod time;
pub mod upload;
pub mod video;
pub mod watch;
pub mod watermark;
pub mod webhook;
pub mod zoom;
