//! One job, looked at closely, or packed for somebody elsewhere.

use std::io::Write;
use std::process::ExitCode;

use super::{OneArguments, absent, kind, state};
use crate::command::text::{ago, moment, plain, size, took};
use crate::flow::job::{self, Closer, Run};
use crate::flow::{Failure, reproducer};
use crate::http::view;
use crate::node::Node;

/// Lines of standard error that are shown.
const LINES: usize = 12;

/// Shows a job with its attempts.
pub(super) async fn show(node: &Node, one: &OneArguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let closer = match job::closer(node, node.defaults.app, one.id).await {
        Err(Failure::Absent) => return Ok(absent(one.id)),
        found => found?,
    };
    if one.form.json {
        writeln!(out, "{}", serde_json::to_string(&view::JobDetail::from(&closer))?)?;
    } else if !one.form.quiet {
        write_one(out, &closer)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the archive of a dead job.
pub(super) async fn reproducer(
    node: &Node,
    one: &OneArguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let mut pack = match reproducer::pack(node, node.defaults.app, one.id).await {
        Err(Failure::Absent) => return Ok(absent(one.id)),
        packed => packed?,
    };
    if one.dry_run {
        writeln!(out, "{} has {}", pack.name, size(pack.size))?;
        return Ok(ExitCode::SUCCESS);
    }
    while let Some(piece) = pack.next().await {
        out.write_all(&piece?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_one(out: &mut impl Write, closer: &Closer) -> std::io::Result<()> {
    let job = &closer.shown.job;
    writeln!(out, "{}", kind(job))?;
    writeln!(out, "  id        {}", job.id)?;
    writeln!(out, "  state     {}", state(job))?;
    if let Some(wait) = closer.shown.wait {
        writeln!(out, "  waits     {}", wait.human())?;
    }
    for (id, kind, _) in &closer.needs {
        writeln!(out, "            for {id} ({})", kind.name())?;
    }
    if let Some(left_ms) = closer.shown.left_ms {
        writeln!(out, "  left      about {}", took(left_ms))?;
    }
    if job.prio != 0 {
        writeln!(out, "  priority  {}", -job.prio)?;
    }
    if let Some(video) = job.video {
        writeln!(out, "  video     {video}")?;
    }
    if let Some(holder) = &job.holder {
        writeln!(out, "  holder    {}", plain(holder))?;
    }
    writeln!(out, "  made      {} UTC, {}", moment(job.created), ago(matinee_io::clock::now(), job.created))?;
    if let Some(error) = job.last_error.as_ref().map(view::Reason::stored) {
        writeln!(out, "  error     {} [{}]", plain(&error.human), error.code)?;
        writeln!(out, "            {}", plain(&error.fix))?;
    }
    for (attempt, runs) in &closer.attempts {
        let end = attempt.ended.map_or_else(
            || "runs".to_owned(),
            |(at, outcome)| {
                format!("{} after {}", outcome_word(outcome), took(at.since(attempt.started).unsigned_abs()))
            },
        );
        writeln!(out, "  attempt {}  {} UTC  {end}", attempt.attempt, moment(attempt.started))?;
        for run in runs {
            write_run(out, run)?;
        }
    }
    Ok(())
}

fn write_run(out: &mut impl Write, run: &Run) -> std::io::Result<()> {
    writeln!(out, "    {} {}", run.program, plain(&run.args.join(" ")))?;
    if let Some(fault) = &run.fault {
        writeln!(out, "    {}", plain(fault))?;
    }
    let lines: Vec<_> = run.stderr.lines().collect();
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        writeln!(out, "      {}", plain(line))?;
    }
    Ok(())
}

fn outcome_word(outcome: matinee_core::job::Outcome) -> String {
    let word = serde_json::to_value(outcome).ok().and_then(|word| word.as_str().map(str::to_owned));
    word.unwrap_or_default().replace('_', " ")
}
