//! What a person reads in a timeline: one sentence for each topic of an event and each kind of a job.

use matinee_core::event::Topic;
use matinee_core::job::Kind;

/// How an attempt at a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Running,
    Done,
    /// Given back or lost: somebody goes on with it.
    Interrupted,
    Cancelled,
    Failed,
}

impl Standing {
    /// Reads the outcome of an attempt as it is stored; none while it runs.
    pub(super) fn of(outcome: Option<&str>) -> Self {
        match outcome {
            None => Self::Running,
            Some("done") => Self::Done,
            Some("lost" | "returned") => Self::Interrupted,
            Some("cancelled") => Self::Cancelled,
            Some(_) => Self::Failed,
        }
    }
}

/// The sentence for an event.
pub(super) const fn of_topic(topic: Topic) -> &'static str {
    match topic {
        Topic::UploadCreated => "Somebody began to send this video.",
        Topic::UploadProgress => "More of the video has arrived safely.",
        Topic::UploadCompleted => "The last byte arrived; nothing of the video is missing.",
        Topic::UploadExpired => "Nothing came for a long time, so the upload was closed.",
        Topic::UploadCancelled => "The upload was stopped by its sender.",
        Topic::UploadFailed => "The upload cannot be used any more.",
        Topic::VideoCreated => "The video has its place, and its link works.",
        Topic::VideoProbed => "We looked at the video and know what to make of it.",
        Topic::VideoReplanned => "The video is encoded in software after all, from its beginning.",
        Topic::VideoPlayable => "The video can be watched.",
        Topic::VideoPictures => "Pictures of the video were made or chosen.",
        Topic::VideoReady => "Everything is done: the video is there in every size.",
        Topic::VideoDistributed => "The video lies in its archive and is at all of its hosts.",
        Topic::VideoFailed => "This video cannot be made watchable.",
        Topic::VideoRemake => "The video is being encoded again; meanwhile it plays as it is.",
        Topic::VideoRemade => "The video was encoded again, and that is what plays from now on.",
        Topic::VideoRemakeFailed => "The video could not be encoded again; it plays as it was.",
        Topic::VideoRemakeCancelled => "Encoding the video again was stopped; it plays as it was.",
        Topic::VideoCancelled => "The work for this video was stopped.",
        Topic::VideoDeleted => "The video was deleted.",
        Topic::VideoCopyBad => {
            "A copy of a file in a store was found damaged; it is made anew from another one."
        }
        Topic::RenditionReady => "One more size is complete.",
        Topic::RenditionFailed => "One size could not be made; the others go on.",
        Topic::PublicationPlayable => "The video can be watched at a host.",
        Topic::PublicationReady => "A host has made all that it makes of the video.",
        Topic::PublicationFailed => "A host could not make the video, or has lost it.",
        Topic::CollectionDeleted => "A collection was deleted with all that was in it.",
        Topic::AppDeleted => "An app was deleted with all that was in it.",
        Topic::CommandTaken => "A command that came by a broker is carried out.",
        Topic::CommandRefused => "A command that came by a broker could not be carried out.",
        Topic::JobWaiting => "Another amount of work waits for other machines.",
        Topic::JobDead => "A piece of work was given up.",
        Topic::WebhookDisabled => {
            "Nobody is told at one address any more: it is gone, or has failed for days."
        }
        Topic::LedgerProvenGone => "Something stored was deleted, and a second look showed that it is gone.",
        Topic::LedgerSeenAgain => "What was proven deleted was there again; it is being deleted again.",
    }
}

/// What a kind of job does, in the form that follows "is", "was" and "could not be".
const fn work(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Fetch => ("The file", "fetched from its address"),
        Kind::Join => ("The parts of the file", "put together"),
        Kind::Take => ("The file", "brought in"),
        Kind::Probe => ("The video", "looked at"),
        Kind::Remux => ("The file", "rearranged so that one can jump in it"),
        Kind::Audio => ("The sound", "prepared"),
        Kind::Chunk => ("A piece of the picture", "encoded in every size"),
        Kind::Poster => ("The still picture", "taken"),
        Kind::Subtitles => ("The subtitles", "converted"),
        Kind::Storyboard => ("The small pictures for finding a place", "made"),
        Kind::Webm => ("The WebM file", "made"),
        Kind::Assemble => ("The pieces of one size", "joined into one file"),
        Kind::Finish => ("The last touch", "made"),
        Kind::Step => ("A step of the pipeline", "done"),
        Kind::Publish => ("The video", "sent to a host"),
        Kind::Erase => ("What was deleted", "emptied"),
        Kind::Copy => ("A copy", "put into a store"),
    }
}

/// The sentence for an attempt at a job.
pub(super) fn of_job(kind: Kind, attempt: u32, standing: Standing) -> String {
    let (what, done) = work(kind);
    let be = if matches!(kind, Kind::Join | Kind::Storyboard | Kind::Assemble | Kind::Subtitles) {
        ("are", "were")
    } else {
        ("is", "was")
    };
    let sentence = match standing {
        Standing::Running => format!("{what} {} being {done}", be.0),
        Standing::Done => format!("{what} {} {done}", be.1),
        Standing::Interrupted => {
            format!("{what} {} not yet {done}: the work was interrupted and goes on", be.1)
        }
        Standing::Cancelled => format!("{what} {} not {done}, because nobody wants it any more", be.1),
        Standing::Failed => format!("{what} could not be {done}"),
    };
    if attempt > 1 { format!("{sentence} (attempt {attempt}).") } else { format!("{sentence}.") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_event_and_every_job_has_a_sentence_of_its_own() {
        let mut told: BTreeSet<String> = Topic::ALL.iter().map(|topic| of_topic(*topic).to_owned()).collect();
        assert_eq!(told.len(), Topic::ALL.len());
        let standings =
            [Standing::Running, Standing::Done, Standing::Interrupted, Standing::Cancelled, Standing::Failed];
        told.extend(Kind::ALL.iter().flat_map(|kind| standings.map(|standing| of_job(*kind, 1, standing))));
        assert_eq!(told.len(), Topic::ALL.len() + 5 * Kind::ALL.len());
        assert!(
            told.iter().all(|sentence| sentence.ends_with('.') && sentence.starts_with(char::is_uppercase))
        );
    }

    #[test]
    fn a_repeated_attempt_says_so() {
        let again = of_job(Kind::Assemble, 3, Standing::Running);
        assert_eq!(again, "The pieces of one size are being joined into one file (attempt 3).");
    }
}
