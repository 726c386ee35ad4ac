//! `[[pipeline]]`: the templates of this server, checked before anything runs.

use std::path::Path;

use matinee_core::pipeline::Pipeline;
use matinee_core::watermark;

use super::BadConfig;

/// Checks all of them, and reads the pictures that they name; a relative name is meant beside the file `config`.
pub(crate) fn check(pipelines: &mut [Pipeline], config: &Path) -> Result<(), BadConfig> {
    for at in 0..pipelines.len() {
        let (before, rest) = pipelines.split_at_mut(at);
        let pipeline = &mut rest[0];
        let bad = |human: String| BadConfig(format!("[[pipeline]] `{}`: {human}", pipeline.name));
        if before.iter().any(|other| other.name == pipeline.name) {
            return Err(BadConfig(format!("there are two [[pipeline]] with the name `{}`", pipeline.name)));
        }
        if let Some(watermark) = &mut pipeline.watermark
            && !watermark::is_text(&watermark.picture)
        {
            let path = config.parent().unwrap_or(Path::new("")).join(&watermark.picture);
            let png = std::fs::read(&path).map_err(|error| {
                bad(format!("the picture `watermark.picture` = {} cannot be read: {error}", path.display()))
            })?;
            watermark.picture = watermark::text_of(&png);
        }
        pipeline.check().map_err(|refusal| bad(refusal.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_lies_beside_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("matinee.toml");
        let marked = |picture: &str| {
            let text = format!("name = \"a\"\n[watermark]\npicture = \"{picture}\"\nx = -10");
            toml::from_str::<Pipeline>(&text).unwrap()
        };
        let error = check(&mut [marked("logo.png")], &config).unwrap_err().to_string();
        assert!(error.contains("[[pipeline]] `a`") && error.contains("logo.png cannot be read"), "{error}");
        std::fs::write(dir.path().join("logo.png"), b"<svg/>").unwrap();
        let error = check(&mut [marked("logo.png")], &config).unwrap_err().to_string();
        assert!(error.contains("no PNG picture"), "{error}");
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x50\0\0\0\x28\x08\x06\0\0\0\x01\x02\x03\x04";
        std::fs::write(dir.path().join("logo.png"), png).unwrap();
        let mut pipelines = [marked("logo.png")];
        check(&mut pipelines, &config).unwrap();
        assert_eq!(pipelines[0].watermark.as_ref().unwrap().png().unwrap(), png);
        check(&mut pipelines, Path::new("elsewhere/matinee.toml")).unwrap();
    }
}
