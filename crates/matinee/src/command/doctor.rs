//! `matinee doctor`: what is fine and what is to be mended, as a list.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::text::plain;
use super::{Form, lock};
use crate::config::{self, Flags};
use crate::flow::doctor::{self, Finding, Grade, Patient};
use crate::node::programs;

/// Checks everything and says it.
pub(crate) async fn run(flags: &Flags, form: Form, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = config::load(flags)?;
    let patient = Patient {
        server: lock::server_of(&config.data),
        database: config.database()?,
        listen: config.listen,
        keep: (config.work.keep_temp, config.work.keep_days),
        devices: config.encode.devices.clone(),
        ffmpeg: programs(&config, Path::new("/proc/self/exe")),
        stores: config.stores()?,
        data: config.data,
    };
    let findings = doctor::examine(&patient).await;
    for finding in &findings {
        if form.json {
            writeln!(out, "{}", serde_json::to_string(finding)?)?;
        } else if !form.quiet || finding.grade == Grade::Fix {
            write(out, finding)?;
        }
    }
    let sick = findings.iter().any(|finding| finding.grade == Grade::Fix);
    Ok(if sick { ExitCode::from(super::ERROR) } else { ExitCode::SUCCESS })
}

fn write(out: &mut impl Write, finding: &Finding) -> std::io::Result<()> {
    let grade = match finding.grade {
        Grade::Ok => "ok",
        Grade::Note => "note",
        Grade::Fix => "fix",
    };
    writeln!(out, "{grade:<5} {:<9} {}", finding.check, plain(&finding.found))?;
    match &finding.fix {
        Some(fix) => writeln!(out, "                -> {}", plain(fix)),
        None => Ok(()),
    }
}
