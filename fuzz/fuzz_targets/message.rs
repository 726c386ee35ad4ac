//! Any bytes as a picture, an event of Zoom, or JSON of a runner or an owner: no panic, and what is taken can be checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matinee_core::image::Head;
use matinee_core::job::Task;
use matinee_core::plan::{Pipeline, Plan};
use matinee_core::runner::Report;
use matinee_core::watermark::{is_text, text_of};
use matinee_core::zoom;

fuzz_target!(|input: &[u8]| {
    if let Some(head) = Head::read(input) {
        assert!(head.width > 0 && head.height > 0 && head.pixels() > 0);
    }
    assert!(is_text(&text_of(input)) || input.is_empty());
    if let Ok(zoom::Event::Completed(done)) = zoom::read(input) {
        let files = done.meeting.taken(&[], true);
        let _ = (done.meeting.title(), files.iter().map(|file| file.key().len()).sum::<usize>());
    }
    if let Ok(report) = serde_json::from_slice::<Report>(input) {
        let _ = (report.fits(&Report::default()), report.engines().count());
    }
    if let Ok(pipeline) = serde_json::from_slice::<Pipeline>(input) {
        let _ = pipeline.check();
    }
    let _ = (serde_json::from_slice::<Task>(input), serde_json::from_slice::<Plan>(input));
});
