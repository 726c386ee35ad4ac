//! Uploads in parts, with the rules that are told at the end only.

use matinee_core::hash::hex;
use md5::{Digest as _, Md5};

use super::BUCKET;
use super::answer::{Refusal, Reply, around, element};
use super::call::Asked;
use super::objects::{class, joined, quoted};
use super::profile::PartRule;
use super::world::{Object, Upload, World};
use crate::store::facts::{PART_BYTES_MIN, PARTS_MAX};
use crate::store::s3::stamp::extended;
use crate::store::s3::xml::Element;

const NO_UPLOAD: Refusal = Refusal::new(404, "NoSuchUpload");

impl World {
    pub(super) fn begin(&mut self, asked: &Asked) -> Result<Reply, Refusal> {
        self.check_body(asked)?;
        let class = class(asked)?;
        let id = format!("u{:08}", self.next_number());
        let upload = Upload {
            key: asked.key.clone(),
            since: self.now(),
            class,
            parts: std::collections::BTreeMap::new(),
        };
        self.uploads.insert(id.clone(), upload);
        let inside = element("Bucket", BUCKET) + &element("Key", &asked.key) + &element("UploadId", &id);
        Ok(Reply::xml("InitiateMultipartUploadResult", &inside))
    }

    pub(super) fn part(&mut self, asked: &Asked) -> Result<Reply, Refusal> {
        self.check_body(asked)?;
        let number = asked.number("partNumber").filter(|number| (1..=PARTS_MAX).contains(number));
        let number = number.ok_or(Refusal::new(400, "InvalidArgument"))?;
        let upload = self.open_upload(asked)?;
        let part = Object::new(asked.body.clone(), &upload.class);
        let etag = quoted(&part.etag);
        upload.parts.insert(number, part);
        Ok(Reply::new(200).with("etag", etag))
    }

    pub(super) fn list_parts(&mut self, asked: &Asked) -> Result<Reply, Refusal> {
        let after = asked.number("part-number-marker").unwrap_or_default();
        let max = self.page_of(asked, "max-parts");
        let upload = self.open_upload(asked)?;
        let mut shown: Vec<_> = upload.parts.range(after + 1..).take(max + 1).collect();
        let is_truncated = shown.len() > max;
        shown.truncate(max);
        let mut inside = element("Bucket", BUCKET) + &element("Key", &asked.key);
        inside += &element("IsTruncated", &is_truncated.to_string());
        if let Some((last, _)) = shown.last().filter(|_| is_truncated) {
            inside += &element("NextPartNumberMarker", &last.to_string());
        }
        for (number, part) in shown {
            let told = element("PartNumber", &number.to_string())
                + &element("ETag", &quoted(&part.etag))
                + &element("Size", &part.bytes.len().to_string());
            inside += &around("Part", &told);
        }
        Ok(Reply::xml("ListPartsResult", &inside))
    }

    pub(super) fn list_uploads(&self, asked: &Asked) -> Reply {
        let prefix = asked.param("prefix").unwrap_or_default();
        let after = (
            asked.param("key-marker").unwrap_or_default(),
            asked.param("upload-id-marker").unwrap_or_default(),
        );
        let mut all: Vec<_> = self
            .uploads
            .iter()
            .map(|(id, upload)| (upload.key.as_str(), id.as_str(), upload.since))
            .collect();
        all.sort_unstable();
        all.retain(|(key, id, _)| key.starts_with(prefix) && (*key, *id) > after);
        let max = self.page_of(asked, "max-uploads");
        let is_truncated = all.len() > max;
        all.truncate(max);
        let mut inside = element("Bucket", BUCKET) + &element("IsTruncated", &is_truncated.to_string());
        if let Some((key, id, _)) = all.last().filter(|_| is_truncated) {
            inside += &(element("NextKeyMarker", key) + &element("NextUploadIdMarker", id));
        }
        for (key, id, since) in all {
            let told =
                element("Key", key) + &element("UploadId", id) + &element("Initiated", &extended(since));
            inside += &around("Upload", &told);
        }
        Reply::xml("ListMultipartUploadsResult", &inside)
    }

    pub(super) fn complete(&mut self, asked: &Asked) -> Result<Reply, Refusal> {
        let rule = self.profile.part_rule();
        let malformed = Refusal::new(400, "MalformedXML");
        let text = std::str::from_utf8(&asked.body).map_err(|_| malformed.clone())?;
        let root = Element::parse(text).filter(|root| root.name == "CompleteMultipartUpload");
        let root = root.ok_or(malformed.clone())?;
        let upload = self.open_upload(asked)?;
        let mut chosen: Vec<Object> = Vec::new();
        let mut last = 0;
        for part in root.all("Part") {
            let number = part.number("PartNumber").ok_or(malformed.clone())?;
            if number <= last {
                return Err(Refusal::new(400, "InvalidPartOrder"));
            }
            last = number;
            let etag = part.text("ETag").trim_matches('"');
            let there = upload.parts.get(&number).filter(|there| there.etag == etag);
            chosen.push(there.ok_or(Refusal::new(400, "InvalidPart"))?.clone());
        }
        if chosen.is_empty() {
            return Err(malformed);
        }
        check_lengths(&chosen, rule)?;
        let hashes: Vec<u8> = chosen.iter().flat_map(|part| Md5::digest(&part.bytes)).collect();
        let etag = format!("{}-{}", hex(&Md5::digest(hashes)), chosen.len());
        let object = Object { bytes: joined(&chosen), etag: etag.clone(), class: upload.class.clone() };
        self.uploads.remove(asked.param("uploadId").unwrap_or_default());
        let version = self.keep(&asked.key, object);
        let inside =
            element("Bucket", BUCKET) + &element("Key", &asked.key) + &element("ETag", &quoted(&etag));
        Ok(Reply::xml("CompleteMultipartUploadResult", &inside).version(version.as_deref()))
    }

    pub(super) fn abort(&mut self, asked: &Asked) -> Result<Reply, Refusal> {
        self.open_upload(asked)?;
        self.uploads.remove(asked.param("uploadId").unwrap_or_default());
        Ok(Reply::new(204))
    }

    fn open_upload(&mut self, asked: &Asked) -> Result<&mut Upload, Refusal> {
        let id = asked.param("uploadId").unwrap_or_default();
        self.uploads.get_mut(id).filter(|upload| upload.key == asked.key).ok_or(NO_UPLOAD)
    }
}

fn check_lengths(parts: &[Object], rule: PartRule) -> Result<(), Refusal> {
    let lens: Vec<u64> = parts.iter().map(|part| part.bytes.len() as u64).collect();
    let Some((last, before)) = lens.split_last() else { return Ok(()) };
    if rule == PartRule::Any {
        return Ok(());
    }
    if before.iter().any(|len| *len < PART_BYTES_MIN) {
        return Err(Refusal::new(400, "EntityTooSmall"));
    }
    let is_equal = before.windows(2).all(|pair| pair[0] == pair[1]);
    let is_short = before.first().is_none_or(|first| last <= first);
    if rule == PartRule::Equal && !(is_equal && is_short) {
        return Err(Refusal::new(400, "InvalidPart"));
    }
    Ok(())
}
