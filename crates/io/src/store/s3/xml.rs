//! The few XML documents of S3: read leniently, because services differ in what they put around the same elements.

use std::borrow::Cow;

/// Elements inside each other; no answer has more than five.
const DEPTH_MAX: usize = 16;

/// An element of a document; the prefix of its name and its attributes are left out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::store) struct Element {
    pub(in crate::store) name: String,
    pub(in crate::store) text: String,
    pub(in crate::store) inside: Vec<Self>,
}

impl Element {
    /// Reads a document; nothing when it is none.
    pub(in crate::store) fn parse(text: &str) -> Option<Self> {
        let mut open: Vec<Self> = vec![Self::default()];
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            open.last_mut()?.text.push_str(&decode(&rest[..at]));
            rest = &rest[at..];
            if let Some(long) = rest.strip_prefix("<![CDATA[") {
                let end = long.find("]]>")?;
                open.last_mut()?.text.push_str(&long[..end]);
                rest = &long[end + 3..];
            } else if rest.starts_with("<!--") {
                rest = &rest[rest.find("-->")? + 3..];
            } else {
                let end = rest.find('>')?;
                tag(&rest[1..end], &mut open)?;
                rest = &rest[end + 1..];
            }
        }
        let root = open.pop().filter(|_| open.is_empty())?;
        root.inside.into_iter().next()
    }

    /// The first element of this name directly inside.
    pub(in crate::store) fn child(&self, name: &str) -> Option<&Self> {
        self.inside.iter().find(|element| element.name == name)
    }

    /// All elements of this name directly inside.
    pub(in crate::store) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.inside.iter().filter(move |element| element.name == name)
    }

    /// The text of the first element of this name; empty when there is none.
    pub(in crate::store) fn text(&self, name: &str) -> &str {
        self.child(name).map_or("", |element| element.text.trim())
    }

    /// The number in it.
    pub(in crate::store) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }

    /// Is it true?
    pub(in crate::store) fn is(&self, name: &str) -> bool {
        self.text(name) == "true"
    }
}

/// What stands between `<` and `>`.
fn tag(text: &str, open: &mut Vec<Element>) -> Option<()> {
    if text.starts_with(['?', '!']) {
        return Some(());
    }
    if let Some(name) = text.strip_prefix('/') {
        let done = open.pop()?;
        if done.name != short(name) {
            return None;
        }
        open.last_mut()?.inside.push(done);
        return Some(());
    }
    let is_empty = text.ends_with('/');
    let name = short(text.trim_end_matches('/')).to_owned();
    let element = Element { name, ..Element::default() };
    if is_empty {
        open.last_mut()?.inside.push(element);
    } else if open.len() <= DEPTH_MAX {
        open.push(element);
    } else {
        return None;
    }
    Some(())
}

/// The name alone, without prefix and attributes.
fn short(text: &str) -> &str {
    let name = text.split_ascii_whitespace().next().unwrap_or_default();
    name.rsplit_once(':').map_or(name, |(_, name)| name)
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::from(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let letter = rest.find(';').and_then(|end| Some((entity(&rest[1..end])?, end)));
        if let Some((letter, end)) = letter {
            out.push(letter);
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Cow::from(out)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let hexadecimal = number.strip_prefix('x').map(|number| u32::from_str_radix(number, 16));
            char::from_u32(hexadecimal.unwrap_or_else(|| number.parse()).ok()?)
        }
    }
}

/// Text as it stands in a document.
pub(in crate::store) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_whatever_stands_around_it() {
        let text = "<?xml version=\"1.0\"?>\n<s3:R xmlns:s3=\"x\"><!-- <a> --><K a=\"1\">a&amp;b&#x41;&#66;&lt;</K>\
                    <P><N>1</N></P><P> <N>2</N></P><E/><C><![CDATA[<&>]]></C></s3:R>\n";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.name, "R");
        assert_eq!(root.text("K"), "a&bAB<");
        assert_eq!(root.all("P").filter_map(|part| part.number("N")).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((root.text("E"), root.text("C"), root.text("none")), ("", "<&>", ""));
    }

    #[test]
    fn what_is_no_document_is_nothing() {
        for wrong in ["", "text", "<a>", "<a></b>", "</a>", "<a", "<a><![CDATA[x</a>", &"<a>".repeat(1_000)] {
            assert_eq!(Element::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = "<a> & \"b\" </a>";
        let root = Element::parse(&format!("<R><K>{}</K></R>", escape(text))).unwrap();
        assert_eq!(root.child("K").unwrap().text, text);
    }
}
