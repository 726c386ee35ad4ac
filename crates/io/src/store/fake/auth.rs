//! Who asks: signatures in the header and in the address, checked as the real services do.

use std::borrow::Cow;

use matinee_core::hash::hex;
use matinee_core::time::Millis;
use sha2::{Digest as _, Sha256};

use super::answer::Refusal;
use super::call::Asked;
use super::profile::Profile;
use super::{ACCESS_KEY, SECRET_KEY};
use crate::store::s3::sign::{ALGORITHM, Keys, PRESIGNED_S_MAX, Request, UNSIGNED};
use crate::store::s3::stamp::parse_basic;

/// How far the clocks may differ, in milliseconds.
const SKEW_MS_MAX: i64 = 15 * 60_000;

/// A signature with what it says of itself.
struct Claim<'a> {
    access: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    time: &'a str,
    names: &'a str,
    signature: &'a str,
    payload: &'a str,
    /// How long it is good, in seconds; in the header as long as clocks may differ.
    for_s: Option<i64>,
}

/// Refuses what was not signed by the key, for this region, now.
pub(super) fn check(asked: &Asked, profile: Profile, now: Millis) -> Result<(), Refusal> {
    let claim = claim(asked)?;
    if claim.access != ACCESS_KEY {
        return Err(Refusal::new(403, "InvalidAccessKeyId"));
    }
    if claim.service != "s3" || !profile.takes_region(claim.region) {
        return Err(Refusal::new(400, "AuthorizationHeaderMalformed"));
    }
    let time = parse_basic(claim.time).ok_or(Refusal::new(403, "AccessDenied"))?;
    if !claim.time.starts_with(claim.day) {
        return Err(Refusal::new(403, "SignatureDoesNotMatch"));
    }
    fresh(&claim, now.since(time))?;
    signed_headers(asked, &claim)?;
    let keys = Keys {
        access: ACCESS_KEY.to_owned(),
        secret: SECRET_KEY.to_owned(),
        region: claim.region.to_owned(),
    };
    let query = asked.query.iter().filter(|(name, _)| name != "X-Amz-Signature");
    let names = claim.names.split(';');
    let request = Request {
        method: &asked.method,
        path: &asked.path,
        query: query.map(|(name, value)| (Cow::from(name), Cow::from(value))).collect(),
        headers: names
            .map(|name| (Cow::from(name), Cow::from(asked.header(name).unwrap_or_default())))
            .collect(),
        payload: claim.payload,
    };
    if keys.sign(&request, claim.time) != claim.signature {
        return Err(Refusal::new(403, "SignatureDoesNotMatch"));
    }
    if claim.payload != UNSIGNED && claim.payload != hex(&Sha256::digest(&asked.body)) {
        return Err(Refusal::new(400, "XAmzContentSHA256Mismatch"));
    }
    Ok(())
}

fn claim(asked: &Asked) -> Result<Claim<'_>, Refusal> {
    let denied = Refusal::new(403, "AccessDenied");
    let malformed = Refusal::new(400, "AuthorizationHeaderMalformed");
    if let Some(header) = asked.header("authorization") {
        let rest = header.strip_prefix(ALGORITHM).ok_or(malformed.clone())?;
        let part = |name: &str| {
            let parts = rest.split(',').map(str::trim);
            parts
                .filter_map(|part| part.split_once('='))
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
        };
        let of = |name| part(name).ok_or(malformed.clone());
        let time = asked.header("x-amz-date").ok_or(denied.clone())?;
        let payload =
            asked.header("x-amz-content-sha256").ok_or(Refusal::new(400, "MissingSecurityHeader"))?;
        return of_parts(of("Credential")?, (of("SignedHeaders")?, of("Signature")?), time, payload, None)
            .ok_or(malformed);
    }
    let of = |name| asked.param(name).ok_or(denied.clone());
    if of("X-Amz-Algorithm")? != ALGORITHM {
        return Err(Refusal::new(400, "AuthorizationQueryParametersError"));
    }
    let for_s = of("X-Amz-Expires")?.parse().ok().filter(|for_s| (1..=PRESIGNED_S_MAX).contains(for_s));
    let for_s: u64 = for_s.ok_or(Refusal::new(400, "AuthorizationQueryParametersError"))?;
    let signed = (of("X-Amz-SignedHeaders")?, of("X-Amz-Signature")?);
    let claim =
        of_parts(of("X-Amz-Credential")?, signed, of("X-Amz-Date")?, UNSIGNED, Some(for_s.cast_signed()));
    claim.ok_or(Refusal::new(400, "AuthorizationQueryParametersError"))
}

fn of_parts<'a>(
    credential: &'a str,
    (names, signature): (&'a str, &'a str),
    time: &'a str,
    payload: &'a str,
    for_s: Option<i64>,
) -> Option<Claim<'a>> {
    let mut parts = credential.trim().split('/');
    let (access, day, region, service) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next() == Some("aws4_request") && parts.next().is_none();
    is_whole.then_some(Claim { access, day, region, service, time, names, signature, payload, for_s })
}

fn fresh(claim: &Claim<'_>, age_ms: i64) -> Result<(), Refusal> {
    match claim.for_s {
        None if age_ms.abs() > SKEW_MS_MAX => Err(Refusal::new(403, "RequestTimeTooSkewed")),
        Some(for_s) if age_ms > for_s * 1_000 || age_ms < -SKEW_MS_MAX => {
            Err(Refusal::new(403, "AccessDenied"))
        }
        None | Some(_) => Ok(()),
    }
}

/// The host and whatever is the service's own must be signed.
fn signed_headers(asked: &Asked, claim: &Claim<'_>) -> Result<(), Refusal> {
    let is_signed = |name: &str| claim.names.split(';').any(|signed| signed == name);
    let own = asked.headers.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("x-amz-"));
    // The address itself carries what it signs of the body.
    let own = own.filter(|name| claim.for_s.is_none() || *name != "x-amz-content-sha256");
    if own.chain(["host"]).all(is_signed) { Ok(()) } else { Err(Refusal::new(403, "AccessDenied")) }
}
