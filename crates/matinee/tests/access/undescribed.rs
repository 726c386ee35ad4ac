//! Routes that no document describes, and why.

/// Routes that are in no OpenAPI document: why not, and what somebody without any right is answered to a GET.
pub(super) const UNDESCRIBED: &[(&str, u16, &str)] = &[
    ("/v1/openapi.json", 200, "the document itself"),
    ("/files", 405, "the protocols of uploads describe themselves; see `uploads_have_their_own_table`"),
    ("/files/", 405, "the same"),
    ("/files/{key}", 401, "the same"),
    ("/files/{key}/tail", 405, "the same"),
    ("/upload", 405, "a form for browsers without scripts; see `uploads_have_their_own_table`"),
    (
        "/r/{pass}",
        401,
        "its token is in the path, and the runner shows its own besides; see the tests of runners",
    ),
    ("/metrics", 200, "text for Prometheus on this machine, which may ask without a token; others need one"),
    (
        "/p/{token}/{video}/{generation}/{name}",
        404,
        "its token is in the path; see `a_media_address_opens_one_video`",
    ),
    ("/p/{token}/{video}/{generation}/{track}/{name}", 404, "the same"),
    ("/p/{token}/{video}/{generation}/{track}/{kind}/{name}", 404, "the same"),
    ("/assemblies", 405, "another service's protocol, signed; see the tests of assemblies"),
    ("/assemblies/events", 404, "its id is the right to it"),
    ("/assemblies/{id}", 404, "the same"),
    ("/assemblies/{id}/files", 405, "the same"),
    ("/healthz", 200, "says only that the process lives"),
    ("/readyz", 200, "says only that the process can work"),
];
