//! Assemblies: Transloadit's protocol in front of uploads and pipelines. An assembly is rows; its files are uploads and videos like
//! all others, and where it is follows from where they are.

pub(crate) mod key;
mod meaning;
mod notice;
mod status;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use matinee_core::access::sender::Allowance;
use matinee_core::arrival::title_from;
use matinee_core::assembly::variable::filled;
use matinee_core::assembly::{self, ARRIVAL_MS, Code, Params, Refusal, Standing, State, sign};
use matinee_core::id::{AppId, UploadId, VideoId};
use matinee_core::pull::Wanted;
use matinee_core::upload::{Phase, Way};
use matinee_core::video::{self, Problem};
use matinee_io::db::DbError;
use matinee_io::db::assembly::{Assembly, AssemblyFile, AssemblyMade, NewAssembly, NewAssemblyFile};
use matinee_io::random;
use serde_json::{Map, Value};

use self::meaning::Planned;
pub(crate) use self::watch::{Frame, Listener};
use super::intake::{self, Draft, Source};
use super::whole::{self, Whole, whole};
use super::{Failure, now};
use crate::node::Node;

/// So many assemblies are looked at in one round; those beyond are in the next.
const ROUND: u32 = 200;
/// So often it is looked without an event: what is late, and notices that are due again.
const LOOK: Duration = Duration::from_secs(1);

/// Why a wish about an assembly was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmade {
    /// The wish is wrong.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The world failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<DbError> for Unmade {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

/// What a form asks for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The field `params` as it was sent.
    pub(crate) params: Option<String>,
    pub(crate) signature: Option<String>,
    /// Files that are to be uploaded.
    pub(crate) files: Option<String>,
    /// All other fields.
    pub(crate) fields: Map<String, Value>,
    /// The id that the caller has chosen.
    pub(crate) id: Option<String>,
    /// The address under which the caller reached us.
    pub(crate) base: String,
}

/// A file with what has become of it.
struct Seen {
    file: AssemblyFile,
    whole: Option<Whole>,
    standing: Standing,
}

/// Makes an assembly; its status.
pub(crate) async fn create(node: &Node, asked: Asked) -> Result<Value, Unmade> {
    let text = asked.params.ok_or_else(|| Refusal::new(Code::NoParams, "The form has no field `params`."))?;
    let params = Params::read(&text)?;
    let signature = asked.signature.filter(|signature| !signature.is_empty());
    let signature =
        signature.ok_or_else(|| Refusal::new(Code::NoSignature, "The form has no `signature`."))?;
    let key = match params.key.parse() {
        Ok(id) => node.db.assembly_key(id).await?,
        Err(_) => None,
    };
    let key = key.ok_or_else(|| Refusal::new(Code::UnknownKey, "`auth.key` is no key of this server."))?;
    if !sign::is_signed(&sign::secret(&node.path_key, key.id), &text, &signature) {
        let human = "The signature is not that of `params` by this key.";
        return Err(Refusal::new(Code::BadSignature, human).into());
    }
    if now() >= params.expires {
        return Err(Refusal::new(Code::Expired, "`auth.expires` is over.").into());
    }
    let planned = meaning::planned(node, key.app, &params).await?;
    if let Some(url) = &planned.notify_url {
        node.fetch.check(url).map_err(|refusal| {
            Refusal::new(Code::BadParams, format!("Nobody is told at `notify_url`: {refusal}."))
        })?;
    }
    let id = match asked.id {
        Some(id) if !assembly::is_id(&id) => {
            return Err(
                Refusal::new(Code::NotFound, "An id of an assembly is 32 small hexadecimal digits.").into()
            );
        }
        Some(id) => id,
        None => format!("{:032x}", u128::from_le_bytes(random::bytes())),
    };
    let uploads = expected(asked.files.as_deref(), planned.uploads)?;
    let mut fields = params.fields.clone();
    fields.extend(asked.fields);
    let pulls = imports(node, key.app, (&id, &planned, &fields))?;
    let fetched = u32::try_from(pulls.len()).unwrap_or(u32::MAX);
    let new = NewAssembly {
        app: key.app,
        key: key.id,
        base: asked.base,
        params: text,
        fields: Value::Object(fields),
        nonce: params.nonce,
        template: params.template,
        steps: serde_json::to_value(&planned.steps).expect("because steps are plain values"),
        pipeline: planned.pipeline,
        expected: uploads.saturating_add(fetched),
        max_bytes: params.max_bytes,
        notify_url: planned.notify_url,
        pulls,
        expires: now().plus(ARRIVAL_MS),
        now: now(),
        id,
    };
    match node.db.create_assembly(&new).await? {
        AssemblyMade::Made => status(node, &new.id).await,
        AssemblyMade::SameId => Err(Refusal::new(Code::SameId, "There is an assembly of this id.").into()),
        AssemblyMade::NonceUsed => {
            Err(Refusal::new(Code::Reused, "An assembly was made with this `auth.nonce` before.").into())
        }
    }
}

/// How many files are to be uploaded.
fn expected(text: Option<&str>, uploads: bool) -> Result<u32, Refusal> {
    let bad = |human: &str| Refusal::new(Code::BadExpected, human);
    match text {
        Some(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|many| *many <= assembly::FILES_MAX)
            .ok_or_else(|| bad("`num_expected_upload_files` is from 0 to 100.")),
        None if uploads => {
            Err(bad("The form does not say `num_expected_upload_files`; files are sent by tus."))
        }
        None => Ok(0),
    }
}

/// The files that are fetched, each an upload with its job.
fn imports(
    node: &Node,
    app: AppId,
    (id, planned, fields): (&str, &Planned, &Map<String, Value>),
) -> Result<Vec<(NewAssemblyFile, matinee_io::db::NewPull)>, Refusal> {
    let pull = |(step, url): &(String, String)| {
        let url = filled(url, fields)?;
        node.fetch
            .check(&url)
            .map_err(|refusal| Refusal::new(Code::BadSteps, format!("`{url}` is not fetched: {refusal}.")))?;
        let wanted = serde_json::from_value::<Wanted>(serde_json::json!({ "url": url }));
        let name = wanted.map(|wanted| wanted.file_name()).unwrap_or_default();
        let draft = Draft {
            pipeline: planned.pipeline.clone(),
            ..Draft::new(node, app, title_from(&name), Way::Url)
        };
        let source = Source { draft, url, bearer: None, place: None, idem_key: None };
        let new = intake::pull(node, source);
        let file = NewAssemblyFile {
            upload: new.upload.id,
            video: new.upload.video,
            step: step.clone(),
            field: step.clone(),
            name,
            meta: Value::Object(Map::new()),
            bytes: None,
        };
        Ok((file, new))
    };
    let all: Result<Vec<_>, Refusal> = planned.imports.iter().map(pull).collect();
    let all = all?;
    tracing::debug!(assembly = id.get(..6), files = all.len(), "files are fetched for an assembly");
    Ok(all)
}

/// A file that a page is about to send.
pub(crate) struct Sending<'s> {
    pub(crate) name: &'s str,
    /// The header as it came.
    pub(crate) metadata: String,
    pub(crate) size: Option<u64>,
    /// The site of the page.
    pub(crate) origin: Option<String>,
}

/// The upload that is to be announced for a file of an assembly.
pub(crate) async fn admit(node: &Node, id: &str, sending: Sending<'_>) -> Result<Draft, Unmade> {
    let found = load(node, id).await?;
    if found.state != State::Uploading || now() >= found.expires {
        return Err(Refusal::new(Code::Closed, "The assembly takes no files any more.").into());
    }
    let most = node.config.uploads.max_bytes;
    let max_bytes = found.max_bytes.map_or(most, |own| own.min(most));
    if sending.size.is_some_and(|size| size > max_bytes) {
        return Err(Refusal::new(Code::TooLarge, format!("A file has at most {max_bytes} bytes.")).into());
    }
    let allowance = Allowance {
        max_bytes: Some(max_bytes),
        deadline: Some(found.expires),
        origins: sending.origin.into_iter().collect(),
        ..Allowance::default()
    };
    let draft = Draft::new(node, found.app, title_from(sending.name), Way::Tus);
    Ok(Draft {
        metadata: sending.metadata,
        size: sending.size,
        pipeline: found.pipeline,
        facts: found.fields,
        allowance,
        ..draft
    })
}

/// A file that was announced.
pub(crate) struct Joining {
    pub(crate) upload: UploadId,
    pub(crate) video: VideoId,
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) meta: Map<String, Value>,
    pub(crate) bytes: Option<u64>,
}

/// Adds a file to an assembly. Who sends it is told its address only after this; else the upload expires by itself.
pub(crate) async fn join(node: &Node, id: &str, joining: Joining) -> Result<(), Unmade> {
    let step = status::sent_by(&load(node, id).await?);
    let new = NewAssemblyFile {
        upload: joining.upload,
        video: joining.video,
        step: step.unwrap_or_default(),
        field: joining.field,
        name: joining.name,
        meta: Value::Object(joining.meta),
        bytes: joining.bytes,
    };
    match node.db.add_assembly_file(id, &new).await {
        Err(DbError::Conflict(human)) => Err(Refusal::new(Code::Closed, human).into()),
        added => Ok(added?),
    }
}

/// The status of an assembly, as of now.
pub(crate) async fn status(node: &Node, id: &str) -> Result<Value, Unmade> {
    let found = load(node, id).await?;
    let (found, seen) = advance(node, found).await?;
    Ok(status::document(node, &found, &seen))
}

/// Ends an assembly by its owner's wish; its files, those whose bytes still come first. They are then given up.
pub(crate) async fn cancel(node: &Node, id: &str) -> Result<(AppId, Vec<AssemblyFile>), Unmade> {
    let found = load(node, id).await?;
    let moved = node.db.move_assembly(id, (State::Canceled, None), now()).await?;
    let files =
        if moved || found.state == State::Canceled { node.db.assembly_files(id).await? } else { Vec::new() };
    Ok((found.app, files))
}

async fn load(node: &Node, id: &str) -> Result<Assembly, Unmade> {
    let found = if assembly::is_id(id) { node.db.assembly(id).await? } else { None };
    Ok(found.ok_or_else(|| Refusal::new(Code::NotFound, "There is no such assembly."))?)
}

/// Looks at the files of an assembly, and moves it to where they are.
async fn advance(node: &Node, found: Assembly) -> Result<(Assembly, Vec<Seen>), Failure> {
    let mut seen = look(node, &found).await?;
    if found.state.is_over() {
        return Ok((found, seen));
    }
    let unplaced = |one: &Seen| one.file.place.is_none() && one.file.phase == Phase::Finished;
    if seen.iter().any(unplaced) {
        // Somebody else may have done it since we looked: their places are seen now, too.
        node.db.place_assembly_files(&found.id).await?;
        seen = look(node, &found).await?;
    }
    let standings: Vec<_> = seen.iter().map(|one| one.standing.clone()).collect();
    let judged = assembly::judge(found.expected, &standings);
    let late = found.state == State::Uploading && now() >= found.expires;
    let (state, problem) = match judged {
        Err(problem) => (State::Failed, Some(problem)),
        Ok(State::Uploading) if late => (State::Failed, Some(too_late())),
        // A file that was announced late does not take an assembly back.
        Ok(State::Uploading) if found.state == State::Executing => (State::Executing, None),
        Ok(state) => (state, None),
    };
    if state == found.state {
        return Ok((found, seen));
    }
    node.db.move_assembly(&found.id, (state, problem.as_ref()), now()).await?;
    // Somebody else may have moved it at the same time.
    let moved = node.db.assembly(&found.id).await?.ok_or(Failure::Absent)?;
    Ok((moved, seen))
}

fn too_late() -> Problem {
    Problem {
        code: "assembly_expired".to_owned(),
        human: "Not all of its files came in time.".to_owned(),
        fix: "Make the assembly again.".to_owned(),
    }
}

/// What has become of the files, by the order of their numbers.
async fn look(node: &Node, found: &Assembly) -> Result<Vec<Seen>, Failure> {
    let mut all = Vec::new();
    for file in node.db.assembly_files(&found.id).await? {
        let video = match file.phase {
            Phase::Finished => node.db.video(found.app, file.new.video).await?,
            Phase::Open | Phase::Cancelled | Phase::Expired | Phase::Lost => None,
        };
        let whole = match video {
            Some(video) => Some(whole(node, video).await?),
            None => None,
        };
        let standing = standing(node, &file, whole.as_ref()).await?;
        all.push(Seen { file, whole, standing });
    }
    Ok(all)
}

async fn standing(node: &Node, file: &AssemblyFile, whole: Option<&Whole>) -> Result<Standing, Failure> {
    let failed = |reason: Option<&Problem>| {
        let gone = || Problem {
            code: "assembly_file_gone".to_owned(),
            human: format!("Nothing comes of the file `{}`: it was deleted.", file.new.name),
            fix: "Send it again.".to_owned(),
        };
        Standing::Failed(reason.cloned().unwrap_or_else(gone))
    };
    Ok(match (file.phase, whole) {
        (Phase::Open, _) => Standing::Arriving,
        (Phase::Cancelled, _) => Standing::GivenUp,
        (Phase::Expired | Phase::Lost, _) => failed(file.reason.as_ref()),
        (Phase::Finished, None) => failed(None),
        (Phase::Finished, Some(whole)) => match whole.video.state {
            video::State::Failed => failed(whole.video.reason.as_ref()),
            video::State::Processing => Standing::Working,
            video::State::Ready if whole::in_background(node, &whole.video).await? => Standing::Working,
            video::State::Ready => Standing::Done,
        },
    })
}

/// Moves assemblies on and tells of their ends, until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    let mut written = node.db.event_written();
    while !node.stop.is_cancelled() {
        // What is written from here on wakes us again, so nothing is missed.
        written.mark_unchanged();
        if let Err(failure) = round(&node).await {
            tracing::warn!(%failure, "assemblies could not be looked at; it is tried again");
        }
        tokio::select! {
            () = node.stop.cancelled() => {}
            changed = written.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What an earlier run of this node had in hand is free again.
pub(crate) async fn recover(node: &Node) -> Result<(), Failure> {
    node.db.end_own_notices(&node.holder).await?;
    Ok(())
}

async fn round(node: &Node) -> Result<(), Failure> {
    for id in node.db.assemblies_due(now(), ROUND).await? {
        if let Some(found) = node.db.assembly(&id).await? {
            advance(node, found).await?;
        }
    }
    notice::round(node).await
}
