//! `[[broker]]`: brokers that the operator runs, for events out and commands in.

use std::path::PathBuf;

use matinee_core::name::is_name;
use matinee_core::webhook::pattern::Topics;
use matinee_io::broker::{self, Kind};
use serde::{Deserialize, Serialize};

use super::{BadConfig, Config, Secret};

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Broker {
    /// Its name, for ever: how far events were sent to it is remembered under it.
    pub(crate) name: String,
    /// `redis`, `nats` or `rabbitmq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    /// Its address, such as `redis://:password@host:6379`, `nats://name:password@host` or `amqp://name:password@host/vhost`.
    pub(crate) url: Secret,
    /// A file that holds the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url_file: Option<PathBuf>,
    /// A file with certificates (PEM) of authorities that are trusted besides the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorities: Option<PathBuf>,
    /// What is in it.
    #[serde(skip)]
    authorities_pem: String,
    /// The stream (Redis), the beginning of subjects (NATS) or the topic exchange (RabbitMQ) for events.
    pub(crate) events: String,
    /// Which events are sent: topics, with `*` for any run of characters.
    pub(crate) topics: Vec<String>,
    /// Only events of this app are sent, and commands are its own; without it events of all, and commands of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<String>,
    /// The stream, the subject or the queue from which commands are taken; none are without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commands: Option<String>,
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: None,
            url: Secret::default(),
            url_file: None,
            authorities: None,
            authorities_pem: String::new(),
            events: "matinee.events".to_owned(),
            topics: vec!["*".to_owned()],
            app: None,
            commands: None,
        }
    }
}

impl Broker {
    /// Which topics are sent.
    pub(crate) fn wanted(&self) -> Topics {
        Topics::read(&self.topics).unwrap_or_else(|_| Topics::all())
    }

    /// Where it is; `consumer` is the name by which this process takes commands.
    pub(crate) fn access(&self, consumer: &str) -> Option<broker::Config> {
        Some(broker::Config {
            kind: self.kind?,
            url: self.url.reveal().to_owned(),
            authorities_pem: self.authorities_pem.clone(),
            events: self.events.clone(),
            commands: self.commands.clone(),
            consumer: consumer.to_owned(),
        })
    }
}

/// Refuses what cannot work, and reads the addresses that lie in files.
pub(super) fn check(config: &mut Config) -> Result<(), BadConfig> {
    for at in 0..config.broker.len() {
        let (before, rest) = config.broker.split_at_mut(at);
        let one = &mut rest[0];
        let lacks = |lack: &str| BadConfig(format!("the [[broker]] `{}` {lack}", one.name));
        if !is_name(&one.name) || before.iter().any(|known| known.name == one.name) {
            return Err(lacks("needs a `name` of its own: small letters, digits and dashes"));
        }
        let read = |key: &str, file: &Option<PathBuf>| {
            let read = file.as_ref().map(std::fs::read_to_string).transpose();
            read.map_err(|error| lacks(&format!("names a file in `{key}` that cannot be read: {error}")))
        };
        let url = read("url_file", &one.url_file)?;
        let authorities_pem = read("authorities", &one.authorities)?.unwrap_or_default();
        Topics::read(&one.topics).map_err(|refusal| lacks(&format!("has wrong `topics`: {refusal}")))?;
        let one = &mut config.broker[at];
        one.authorities_pem = authorities_pem;
        if let Some(text) = url {
            one.url = Secret::of(text.trim());
        }
        let one = &config.broker[at];
        let lacks = |lack: String| BadConfig(format!("the [[broker]] `{}` {lack}", one.name));
        let access =
            one.access("any").ok_or_else(|| lacks("needs its `kind`: redis, nats or rabbitmq".to_owned()))?;
        broker::check(&access).map_err(|error| lacks(format!("cannot be used: {error}")))?;
    }
    Ok(())
}
