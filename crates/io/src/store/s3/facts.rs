//! Learns what a service can do by trying it, because their documents and they themselves differ.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use matinee_core::hash::hex;
use md5::Md5;
use object_store::multipart::{MultipartStore as _, PartId};
use sha2::{Digest as _, Sha256};

use super::ask::{Ask, Reply};
use super::listing::Standing;
use super::xml::escape;
use super::{RemoteError, S3};
use crate::store::facts::{ConditionalPut, Facts, PART_BYTES_MIN, PARTS_MAX, PUT_BYTES_MAX};
use crate::store::port::Depth;

/// What is put to try.
const BYTES: &[u8] = b"matinee tries what this store can do; this object may be removed";

/// One try of everything.
struct Trial<'a> {
    s3: &'a S3,
    /// The keys that are used, in full.
    object: String,
    parts: String,
}

impl S3 {
    /// Tries everything and leaves nothing.
    pub(super) async fn learn(&self, below: &str, depth: Depth) -> Result<Facts, RemoteError> {
        let keys = [format!("{below}-object"), format!("{below}-parts")];
        let trial = Trial { s3: self, object: self.full(&keys[0])?, parts: self.full(&keys[1])? };
        let learned = trial.run(depth).await;
        for key in &keys {
            let freed = self.free(key, None).await;
            if learned.is_ok() {
                freed?;
            }
        }
        learned
    }
}

impl Trial<'_> {
    async fn run(&self, depth: Depth) -> Result<Facts, RemoteError> {
        let first = self.put(&[]).await?;
        if !first.is_good() {
            return Err(first.error());
        }
        let hashed = first.etag.is_some_and(|etag| etag.trim_matches('"') == hex(&Md5::digest(BYTES)));
        let conditional_put = match self.put(&[("if-none-match", "*")]).await?.status {
            200..300 => ConditionalPut::Ignored,
            409 | 412 => ConditionalPut::Honoured,
            _ => ConditionalPut::Refused,
        };
        let sum = BASE64_STANDARD.encode(Sha256::digest(BYTES));
        let checksum = self.put(&[("x-amz-checksum-sha256", &sum)]).await?.is_good();
        let deleted = self.s3.ask(&Ask::new(Method::DELETE, Some(&self.object), &[])).await?;
        if !deleted.is_good() {
            return Err(deleted.error());
        }
        let versions = self.s3.versions_of(&self.object).await?;
        let (list_parts, list_uploads, part_min) = self.small_parts(depth).await?;
        let equal_parts = if depth == Depth::Whole { Some(self.needs_equal_parts().await?) } else { None };
        Ok(Facts {
            conditional_put,
            equal_parts,
            checksum,
            hashed,
            versioned_deletes: versions.is_some_and(|versions| !versions.is_empty()),
            list_parts,
            list_uploads,
            part_min,
            parts_max: PARTS_MAX,
            put_max: PUT_BYTES_MAX,
        })
    }

    async fn put(&self, headers: &[(&str, &str)]) -> Result<Reply, RemoteError> {
        let body = Bytes::from_static(BYTES);
        self.s3.ask(&Ask { headers, body, ..Ask::new(Method::PUT, Some(&self.object), &[]) }).await
    }

    /// Are parts and uploads listed, and may a part be small?
    async fn small_parts(&self, depth: Depth) -> Result<(bool, bool, Option<u64>), RemoteError> {
        let upload = self.begin().await?;
        let mut ids = vec![self.part(&upload, 0, Bytes::from_static(b"1")).await?];
        let list_parts = match self.s3.standing(&self.parts, &upload).await? {
            Standing::Open(parts) => parts.len() == ids.len(),
            Standing::Gone | Standing::Untold => false,
        };
        let open = self.s3.uploads_of(&self.parts).await?;
        let list_uploads = open.is_some_and(|open| open.iter().any(|one| one.upload == upload));
        let mut part_min = None;
        if depth == Depth::Whole {
            ids.push(self.part(&upload, 1, Bytes::from_static(b"2")).await?);
            let reply = self.complete(&upload, &ids).await?;
            part_min = Some(if is_complete(&reply) { 1 } else { PART_BYTES_MIN });
        }
        self.s3.end(&self.parts, &upload).await?;
        Ok((list_parts, list_uploads, part_min))
    }

    /// Must all parts but the last have one length? Told by some only at the end.
    async fn needs_equal_parts(&self) -> Result<bool, RemoteError> {
        let upload = self.begin().await?;
        let min = usize::try_from(PART_BYTES_MIN).expect("because five MiB fit into memory");
        let mut ids = Vec::new();
        for (index, len) in [min + (1 << 20), min, 1].into_iter().enumerate() {
            ids.push(self.part(&upload, index, vec![0; len].into()).await?);
        }
        let reply = self.complete(&upload, &ids).await?;
        self.s3.end(&self.parts, &upload).await?;
        if is_complete(&reply) {
            return Ok(false);
        }
        if reply.code() == "InvalidPart" { Ok(true) } else { Err(reply.error()) }
    }

    async fn begin(&self) -> Result<String, RemoteError> {
        let path = object_store::path::Path::parse(&self.parts).map_err(object_store::Error::from)?;
        Ok(self.s3.0.client.create_multipart(&path).await?)
    }

    async fn part(&self, upload: &str, index: usize, bytes: Bytes) -> Result<PartId, RemoteError> {
        let path = object_store::path::Path::parse(&self.parts).map_err(object_store::Error::from)?;
        Ok(self.s3.0.client.put_part(&path, &upload.to_owned(), index, bytes.into()).await?)
    }

    /// Completes by hand: the client hides what the answer says.
    async fn complete(&self, upload: &str, ids: &[PartId]) -> Result<Reply, RemoteError> {
        let parts = ids.iter().enumerate().map(|(index, id)| {
            let etag = escape(&id.content_id);
            format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", index + 1)
        });
        let body = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}\
             </CompleteMultipartUpload>",
            parts.collect::<String>()
        );
        let query = [("uploadId", upload)];
        let ask = Ask { body: body.into(), ..Ask::new(Method::POST, Some(&self.parts), &query) };
        self.s3.ask(&ask).await
    }
}

/// A good status alone says nothing here: the answer may be a failure all the same.
fn is_complete(reply: &Reply) -> bool {
    reply.is_good() && reply.code().is_empty()
}
