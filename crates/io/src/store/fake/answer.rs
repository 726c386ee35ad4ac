//! What is answered.

use bytes::Bytes;

use crate::store::s3::xml::escape;

/// An answer before it goes out.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// What the head says of the body, where there is none.
    pub(super) length: Option<u64>,
    /// The body ends after so many bytes, and the connection with it.
    pub(super) cut_after: Option<usize>,
}

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: u16, code: &'static str) -> Self {
        Self { status, code }
    }
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A document with this root.
    pub(super) fn xml(root: &str, inside: &str) -> Self {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             {inside}</{root}>"
        );
        Self::new(200).with("content-type", "application/xml").body(text)
    }

    pub(super) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with what the service calls the version.
    pub(super) fn version(self, version: Option<&str>) -> Self {
        match version {
            Some(version) => self.with("x-amz-version-id", version),
            None => self,
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, code } = refusal;
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        );
        Self::new(status).with("content-type", "application/xml").body(text)
    }
}

/// An element with others inside.
pub(super) fn around(name: &str, inside: &str) -> String {
    format!("<{name}>{inside}</{name}>")
}

/// An element with a text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}
