//! Which steps are one pipeline, and which are refused with which word.

use super::*;
use crate::crop::Aspect;
use crate::watermark::Corner;
use serde_json::json;

fn of(steps: &Value) -> Result<Made, Refusal> {
    read(steps.as_object().unwrap())
}

/// The template of the sample application that this was read from.
fn cattube() -> Value {
    json!({
        ":original": { "robot": "/upload/handle" },
        "resized": {
            "use": ":original", "robot": "/video/encode", "result": true, "ffmpeg_stack": "v4.3.1",
            "preset": "ipad-high", "resize_strategy": "fillcrop", "turbo": true,
        },
        "watermarked": {
            "use": "resized", "robot": "/video/encode", "result": true, "preset": "ipad-high",
            "watermark_opacity": 0.7, "watermark_position": "top-right", "watermark_size": "25%",
            "watermark_url": "https://m.example/cat.png", "watermark_x_offset": -10, "watermark_y_offset": 10,
        },
        "thumbnail": {
            "use": "watermarked", "robot": "/video/thumbs", "count": 1, "offsets": ["10%"], "width": 320,
            "height": 320, "resize_strategy": "fit",
        },
        "exported": {
            "use": ["resized", "watermarked", ":original", "thumbnail"], "robot": "/backblaze/store",
            "credentials": "archive", "path": "${previous_step.name}/${assembly.id}/${file.name}",
        },
    })
}

#[test]
fn the_template_of_cattube_is_one_pipeline() {
    let made = of(&cattube()).unwrap();
    let mut expected = Pipeline { sizes: vec![768], poster_side: 320, ..Pipeline::default() };
    expected.crop = Some(Aspect::try_from("4:3".to_owned()).unwrap());
    expected.watermark = Some(Watermark {
        picture: String::new(),
        width_percent: 25,
        opacity_percent: 70,
        corner: Corner::TopRight,
        x: -10,
        y: 10,
        keep_unmarked: true,
    });
    assert_eq!(made.pipeline, expected);
    assert_eq!(made.mark_url.as_deref(), Some("https://m.example/cat.png"));
    let outputs: BTreeMap<_, _> = made.steps.iter().map(|step| (step.name.as_str(), &step.output)).collect();
    assert_eq!(outputs[":original"], &Output::Source { fetched: false });
    assert_eq!(outputs["resized"], &Output::Encoded { size: Some(768), plain: true });
    assert_eq!(outputs["watermarked"], &Output::Encoded { size: Some(768), plain: false });
    let at = vec![Moment::Percent(10)];
    assert_eq!(outputs["thumbnail"], &Output::Thumbs { at, width: 320, height: 320 });
    assert_eq!(outputs["exported"], &Output::Stored { store: "archive".to_owned() });
    assert!(made.uploads && made.imports.is_empty());
    assert!(made.steps.iter().all(|step| step.shown == (step.name != "exported")));
}

#[test]
fn what_one_pipeline_cannot_make_is_refused_with_its_word() {
    let with = |name: &str, step: Value| {
        let mut all = json!({ ":original": { "robot": "/upload/handle" } });
        all[name] = step;
        of(&all).unwrap_err().code.word()
    };
    for (step, word) in [
        (json!({ "use": ":original" }), "ASSEMBLY_STEP_NO_ROBOT"),
        (json!({ "robot": "/video/merge", "use": ":original" }), "ASSEMBLY_STEP_UNKNOWN_ROBOT"),
        (json!({ "robot": "/video/encode", "use": "other" }), "ASSEMBLY_STEP_UNKNOWN_USE"),
        (json!({ "robot": "/video/encode", "use": ["a", ":original"] }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/video/encode", "use": "a" }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/video/encode", "preset": "vhs" }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/video/encode", "resize_strategy": "stretch" }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/video/encode", "resize_strategy": "fillcrop" }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/video/encode", "width": -1 }), "ASSEMBLY_INVALID_STEPS"),
        (
            json!({ "robot": "/video/encode", "watermark_url": "a", "watermark_size": "0%" }),
            "ASSEMBLY_INVALID_STEPS",
        ),
        (json!({ "robot": "/video/thumbs", "count": 0 }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/video/thumbs", "offsets": ["soon"] }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/video/thumbs", "format": "png" }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/image/resize", "use": ":original" }), "ASSEMBLY_INVALID_STEPS"),
        (json!({ "robot": "/s3/store", "use": ":original" }), "ASSEMBLY_INVALID_STEPS"),
        (
            json!({ "robot": "/http/import", "url": "https://a.example/${assembly.id}" }),
            "ASSEMBLY_INVALID_STEPS",
        ),
    ] {
        assert_eq!(with("a", step.clone()), word, "{step}");
    }
    let two = json!({
        ":original": { "robot": "/upload/handle" },
        "a": { "robot": "/video/encode", "width": 640, "height": 480, "resize_strategy": "fillcrop" },
        "b": { "robot": "/video/encode", "width": 640, "height": 360, "resize_strategy": "fillcrop" },
    });
    assert_eq!(of(&two).unwrap_err().code, Code::BadSteps);
    let alone = json!({ "a": { "robot": "/video/encode", "width": 640 } });
    assert_eq!(of(&alone).unwrap_err().code, Code::BadSteps, "nothing comes in");
    assert_eq!(of(&json!({})).unwrap_err().code, Code::NoSteps);
}

#[test]
fn pictures_are_taken_where_somebody_says_or_evenly() {
    let at = |step: Value| {
        let mut all = json!({ ":original": { "robot": "/upload/handle" }, "t": step });
        all["t"]["robot"] = "/video/thumbs".into();
        let made = of(&all).unwrap();
        let found = made
            .steps
            .into_iter()
            .find_map(|step| if let Output::Thumbs { at, .. } = step.output { Some(at) } else { None });
        found.unwrap()
    };
    let percent = |all: &[u8]| all.iter().map(|one| Moment::Percent(*one)).collect::<Vec<_>>();
    assert_eq!(at(json!({ "count": 3 })), percent(&[25, 50, 75]));
    assert_eq!(
        at(json!({ "offsets": ["10%", "1.5", 2] })),
        [Moment::Percent(10), Moment::At(1_500), Moment::At(2_000)]
    );
    assert_eq!(at(json!({})).len(), 8);
    assert_eq!(nearest(Some(480), &[240, 720, 360]), Some(2));
    assert_eq!(nearest(Some(100), &[240, 720, 360]), Some(0));
    assert_eq!((nearest(None, &[240, 720, 360]), nearest(None, &[])), (Some(1), None));
    assert_eq!(fitting((320, 320), (1_024, 768)), 320);
    assert_eq!(fitting((320, 320), (720, 1_280)), 180);
}
