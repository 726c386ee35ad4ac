//! What happened: the facts that pages, webhooks and brokers hear of.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{AppId, EventId};
use crate::time::Millis;

macro_rules! topics {
    ($($topic:ident $name:literal $summary:literal;)*) => {
        /// What an event is about; the word before the dot names its subject (`product.md` section 7).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Topic {
            $(#[doc = $summary] #[serde(rename = $name)] $topic,)*
        }

        impl Topic {
            /// All topics of this release.
            pub const ALL: &[Self] = &[$(Self::$topic),*];

            /// The word for this topic in the database and the API.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$topic => $name,)* }
            }
        }
    };
}

topics! {
    UploadCreated "upload.created" "An upload was opened.";
    UploadProgress "upload.progress" "Bytes of an upload are durable.";
    UploadCompleted "upload.completed" "An upload is complete.";
    UploadExpired "upload.expired" "An upload was not finished in time.";
    UploadCancelled "upload.cancelled" "An upload was given up by its owner.";
    UploadFailed "upload.failed" "An upload cannot become a video.";
    VideoCreated "video.created" "A video exists, and its bytes are complete.";
    VideoProbed "video.probed" "The source was examined and planned.";
    VideoReplanned "video.replanned" "The ladder is encoded in software after all.";
    VideoPlayable "video.playable" "Players can play the video.";
    VideoPictures "video.pictures" "Pictures of the video were made or chosen.";
    VideoReady "video.ready" "All that the pipeline requires is done.";
    VideoDistributed "video.distributed" "The video lies in its archive and is at all hosts where it was wanted.";
    VideoFailed "video.failed" "The video cannot become ready.";
    VideoRemake "video.remake" "The video is being encoded again; what there is plays on.";
    VideoRemade "video.remade" "The video was encoded again, and that is what plays from now on.";
    VideoRemakeFailed "video.remake_failed" "The video could not be encoded again; what there was plays on.";
    VideoRemakeCancelled "video.remake_cancelled" "Encoding the video again was stopped; what there was plays on.";
    VideoCancelled "video.cancelled" "The work for a video was stopped.";
    VideoDeleted "video.deleted" "The video was deleted.";
    VideoCopyBad "video.copy_bad" "A copy of something of the video was found missing, short or changed.";
    RenditionReady "rendition.ready" "One rendition has its final file.";
    RenditionFailed "rendition.failed" "One rendition cannot be made.";
    PublicationPlayable "publication.playable" "A video can be watched at a host.";
    PublicationReady "publication.ready" "A host has made all that it makes of a video.";
    PublicationFailed "publication.failed" "A host could not make a video, or lost it.";
    CollectionDeleted "collection.deleted" "A collection is gone with all that was in it.";
    AppDeleted "app.deleted" "An app is gone with all that was in it.";
    JobWaiting "job.waiting" "Another amount of work waits for runners, or none any more.";
    JobDead "job.dead" "A job was given up.";
    CommandTaken "command.taken" "A command that came by a broker is carried out.";
    CommandRefused "command.refused" "A command that came by a broker can never be carried out.";
    WebhookDisabled "webhook.disabled" "An endpoint was switched off, because it is gone or has failed for days.";
    LedgerProvenGone "ledger.proven_gone" "Something outside is proven deleted.";
    LedgerSeenAgain "ledger.seen_again" "Something that was proven deleted is there again; it is being deleted again.";
}

/// An event to write in the transaction that makes it true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its name; readers drop duplicates by it.
    pub id: EventId,
    /// The app it belongs to.
    pub app: AppId,
    /// What it is about.
    pub topic: Topic,
    /// The text of the id of the thing it happened to.
    pub subject: String,
    /// The facts, thin, under 20 KB.
    pub payload: Value,
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The cursor: grows in the order of commits, with gaps.
    pub seq: i64,
    /// Its name.
    pub id: EventId,
    /// The app it belongs to.
    pub app: AppId,
    /// What it is about.
    pub topic: Topic,
    /// The text of the id of the thing it happened to.
    pub subject: String,
    /// The facts.
    pub payload: Value,
    /// When it was written.
    pub created: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_names_its_subject_and_is_the_same_word_everywhere() {
        for topic in Topic::ALL {
            assert_eq!(serde_json::to_value(topic).unwrap(), topic.name());
            assert_eq!(topic.name().split('.').count(), 2, "{topic:?}");
        }
    }
}
