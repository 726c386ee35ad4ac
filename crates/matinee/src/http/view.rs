//! The JSON of the API: how rows become what clients read, and how their questions are read.

mod ask;
mod caption;
mod cost;
mod event;
mod forecast;
mod host;
mod job;
mod judged;
mod loudness;
mod node;
mod person;
mod plan;
mod progress;
mod publication;
mod remake;
mod tenant;
mod time;
mod timeline;
mod upload;
mod video;

use std::collections::BTreeMap;

pub(crate) use matinee_core::calendar::{read_time, time};
use matinee_core::video::Problem as Cause;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{Ref, RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

pub(crate) use self::ask::{Ask, Sent, page_limit, parse_id, sent_up_to, word_of};
pub(crate) use self::caption::Caption;
pub(crate) use self::cost::{Bearer, CostReport, PlaceJudged, WhatIf};
pub(crate) use self::event::{Event, EventList};
pub(crate) use self::host::{Host, HostDrain, HostList, HostTrial};
pub(crate) use self::job::{
    GROUPS as JOB_GROUPS, Job, JobDetail, JobList, Pause, STATES as JOB_STATES, titled as job_titled,
};
pub(crate) use self::node::{Node, NodeList};
pub(crate) use self::plan::{Cost, Plan, note_words};
pub(crate) use self::progress::ribbon;
pub(crate) use self::publication::{HostAddresses, NewPublication, Publication};
pub(crate) use self::tenant::{
    App, AppList, Collection, CollectionList, Deletion, NewTenant, TenantChange, name_of, possible,
};
pub(crate) use self::time::seconds;
pub(crate) use self::timeline::Timeline;
pub(crate) use self::upload::{STATES as UPLOAD_STATES, Upload, UploadList, phases as upload_phases};
pub(crate) use self::video::{Addresses, Reach, STATES as VIDEO_STATES, Video, VideoList};
pub(crate) use super::runner::Runner;

/// Why something did not go well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Reason {
    /// A stable word for programs.
    pub(crate) code: String,
    /// One sentence for a person.
    pub(crate) human: String,
    /// What one can do about it.
    pub(crate) fix: String,
}

impl From<&Cause> for Reason {
    fn from(cause: &Cause) -> Self {
        Self { code: cause.code.clone(), human: cause.human.clone(), fix: cause.fix.clone() }
    }
}

impl Reason {
    /// Reads `{code, human, fix}` as it is stored; what is missing becomes an empty text.
    pub(crate) fn stored(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { code: text("code"), human: text("human"), fix: text("fix") }
    }
}

/// The problem documents that every endpoint can answer with.
pub(crate) enum Problems {}

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let texts = [
            ("400", "The request cannot be understood; the text says what to mend."),
            ("401", "The server wants to know who asks."),
            ("403", "The caller may not do this; the text names the missing scope."),
            ("404", "There is no such thing, or it belongs to another app."),
            ("409", "The state of the thing forbids this now."),
            ("413", "The body is too large."),
            ("415", "The body has the wrong type."),
            ("421", "The server does not answer for this host name."),
            ("500", "Something went wrong inside the server."),
            ("503", "The server cannot do this right now."),
            ("507", "There is no room left on the server's disk."),
        ];
        let answer = |text: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Document"))).build();
            ResponseBuilder::new().description(text).content("application/problem+json", content).build()
        };
        texts.into_iter().map(|(status, text)| (status.to_owned(), RefOr::T(answer(text)))).collect()
    }
}
