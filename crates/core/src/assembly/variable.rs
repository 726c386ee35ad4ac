//! Variables in what steps say: `${fields.NAME}` stands for a field that an assembly was made with.

use serde_json::{Map, Value};

use super::{Code, Refusal};

const BEGIN: &str = "${";
const FIELD: &str = "fields.";

/// Is every variable of a text a field?
pub fn are_fields(text: &str) -> bool {
    text.split(BEGIN).skip(1).all(|rest| {
        rest.strip_prefix(FIELD)
            .and_then(|rest| rest.split_once('}'))
            .is_some_and(|(name, _)| !name.is_empty())
    })
}

/// A text with the fields of an assembly in place of its variables; what a field holds is put in as it is, once.
pub fn filled(text: &str, fields: &Map<String, Value>) -> Result<String, Refusal> {
    let mut parts = text.split(BEGIN);
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let read = part.strip_prefix(FIELD).and_then(|rest| rest.split_once('}'));
        let (name, rest) = read.ok_or_else(|| {
            Refusal::new(Code::BadSteps, format!("`{text}` has a variable that is no `${{fields.NAME}}`."))
        })?;
        match fields.get(name) {
            Some(Value::String(value)) => made.push_str(value),
            Some(Value::Number(value)) => made.push_str(&value.to_string()),
            Some(_) | None => {
                let human =
                    format!("`{text}` wants the field `{name}`: a text or a number is to be sent for it.");
                return Err(Refusal::new(Code::BadParams, human));
            }
        }
        made.push_str(rest);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_stand_where_their_variables_were_and_nothing_else_does() {
        let fields = json!({ "host": "a.example", "n": 7, "odd": "${fields.host}", "list": [1] });
        let fields = fields.as_object().unwrap();
        for (text, expected) in [
            ("https://b.example/x.mp4", Ok("https://b.example/x.mp4")),
            ("https://${fields.host}/${fields.n}.mp4", Ok("https://a.example/7.mp4")),
            ("${fields.odd}", Ok("${fields.host}")),
            ("a${fields.absent}b", Err(Code::BadParams)),
            ("${fields.list}", Err(Code::BadParams)),
            ("${assembly.id}", Err(Code::BadSteps)),
            ("${fields.host", Err(Code::BadSteps)),
        ] {
            let filled = filled(text, fields).map_err(|refusal| refusal.code);
            assert_eq!(filled.as_deref().map_err(|code| *code), expected, "{text}");
            assert_eq!(are_fields(text), expected != Err(Code::BadSteps), "{text}");
        }
        assert!(!are_fields("${fields.}"));
    }
}
