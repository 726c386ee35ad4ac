//! `matinee pipeline`: the templates by which the videos of an app are made.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use matinee_core::pipeline::Pipeline;
use matinee_core::watermark;
use serde_json::{Map, Value, json};

use super::text::{Column, ago, plain, table};
use super::token::App;
use super::{Form, absent, code};
use crate::config::Flags;
use crate::flow::pipeline::{self, Listed, Origin};
use crate::flow::{Failure, now};
use crate::http::pipeline::{Pipeline as View, PipelineWithVersions};
use crate::node::Node;

const EXAMPLES: &str = "Examples:
  matinee pipeline ls
  matinee pipeline show cinema
  matinee pipeline apply cinema.toml
  matinee pipeline rm cinema

The file of `apply` is written as in the configuration: name, quality, sizes and so on at its top, or
several of them, each below [[pipeline]]. What is the same as the newest version makes no new one.";

/// What to do with pipelines.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Lists pipelines
    Ls {
        #[command(flatten)]
        of: App,
        #[command(flatten)]
        form: Form,
    },
    /// Shows a pipeline with its versions
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        of: App,
        #[command(flatten)]
        form: Form,
    },
    /// Writes the next version of the pipelines in a file
    Apply {
        /// A file in TOML
        file: PathBuf,
        /// Says what would be written, and changes nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        of: App,
        #[command(flatten)]
        form: Form,
    },
    /// Archives a pipeline: no new video is made by it
    Rm {
        /// Its name
        name: String,
        #[command(flatten)]
        of: App,
        #[command(flatten)]
        form: Form,
    },
}

/// Does what was asked.
pub(crate) async fn run(
    flags: &Flags,
    arguments: &Arguments,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let wanted = if let Order::Apply { file, .. } = &arguments.order { read(file)? } else { Vec::new() };
    let node = super::open_stored(flags).await?;
    // Only pictures need ffmpeg.
    let pictures = wanted.iter().any(|pipeline| pipeline.watermark.is_some());
    let node = if pictures { super::open(flags).await? } else { node };
    let (Order::Ls { of, .. } | Order::Show { of, .. } | Order::Apply { of, .. } | Order::Rm { of, .. }) =
        &arguments.order;
    let Some(owner) = super::app::found(&node, &of.app).await? else { return Ok(absent()) };
    let app = owner.id;
    let done = match &arguments.order {
        Order::Ls { form, .. } => pipeline::list(&node, app).await.map(|all| list(out, &all, *form)),
        Order::Show { name, form, .. } => {
            pipeline::show_with_secret(&node, app, name).await.map(|shown| show(out, &shown, *form))
        }
        Order::Apply { dry_run, form, .. } => {
            return apply(out, &node, (app, &wanted), (*dry_run, *form)).await;
        }
        Order::Rm { name, form, .. } => pipeline::archive(&node, app, name).await.map(|()| {
            if form.json {
                writeln!(out, "{}", json!({ "name": name, "archived": true }))
            } else if form.quiet {
                Ok(())
            } else {
                writeln!(out, "archived `{}`; videos that were made by it stay as they are", plain(name))
            }
        }),
    };
    match done {
        Ok(written) => written?,
        Err(Failure::Absent) => return Ok(absent()),
        Err(failure) => {
            super::complain(&format!("matinee: {failure}"));
            return Ok(ExitCode::from(code(&failure)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(out: &mut impl Write, all: &[Listed], form: Form) -> std::io::Result<()> {
    if form.json {
        return all.iter().try_for_each(|one| writeln!(out, "{}", json!(View::of(one))));
    }
    if form.quiet {
        return all.iter().try_for_each(|one| writeln!(out, "{}", one.pipeline.name));
    }
    let columns = [("NAME", false), ("VERSION", true), ("FROM", false), ("WRITTEN", true), ("SIZES", false)];
    let rows: Vec<_> = all.iter().map(row).collect();
    table(out, &columns.map(|(title, right)| Column(title, right)), &rows)
}

fn row(one: &Listed) -> Vec<String> {
    let from = match one.origin {
        Origin::File => "configuration",
        Origin::App => "app",
        Origin::BuiltIn => "built in",
    };
    vec![
        plain(&one.pipeline.name),
        one.version.map(|version| version.to_string()).unwrap_or_default(),
        from.to_owned(),
        one.created.map(|created| ago(now(), created)).unwrap_or_default(),
        sizes(&one.pipeline),
    ]
}

fn sizes(pipeline: &Pipeline) -> String {
    if pipeline.sizes.is_empty() {
        return "all up to the source's".to_owned();
    }
    pipeline.sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn show(out: &mut impl Write, shown: &pipeline::Shown, form: Form) -> std::io::Result<()> {
    if form.json {
        return writeln!(out, "{}", json!(PipelineWithVersions::of(shown)));
    }
    if form.quiet {
        return writeln!(out, "{}", shown.newest.pipeline.name);
    }
    let text = toml::to_string(&shown.newest.pipeline).map_err(std::io::Error::other)?;
    if shown.newest.archived.is_some() {
        writeln!(out, "# archived: no new video is made by it")?;
    }
    if let Some(newest) = shown.versions.first() {
        writeln!(out, "# version {}, {} in all", newest.version, shown.versions.len())?;
    }
    if let Some(secret) = &shown.secret {
        writeln!(out, "# its calls are signed by {secret}")?;
    }
    write!(out, "{text}")
}

/// The pipelines of a file: one at its top, or several below `[[pipeline]]`.
fn read(file: &Path) -> anyhow::Result<Vec<Pipeline>> {
    let text =
        std::fs::read_to_string(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    pipelines(&text, file.parent().unwrap_or(Path::new("")))
        .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}

fn pipelines(text: &str, dir: &Path) -> anyhow::Result<Vec<Pipeline>> {
    let mut top: Map<String, Value> = toml::from_str(text)?;
    let all = match top.remove("pipeline") {
        Some(Value::Array(all)) if top.is_empty() => all,
        Some(_) => anyhow::bail!("`[[pipeline]]` must be all that is in the file"),
        None => vec![Value::Object(top)],
    };
    let one = |value: Value| {
        let Value::Object(mut fields) = value else { anyhow::bail!("a pipeline has names and values") };
        bring_picture(&mut fields, dir)?;
        let name = fields.get("name").and_then(Value::as_str).map(str::to_owned);
        let name = name.ok_or_else(|| anyhow::anyhow!("a pipeline needs its `name`"))?;
        Ok(Pipeline::read(&name, fields)?)
    };
    all.into_iter().map(one).collect()
}

/// The picture of a watermark lies beside the file that names it, as with the configuration.
fn bring_picture(fields: &mut Map<String, Value>, dir: &Path) -> anyhow::Result<()> {
    let Some(picture) = fields.get_mut("watermark").and_then(|watermark| watermark.get_mut("picture")) else {
        return Ok(());
    };
    if let Some(name) = picture.as_str().filter(|name| !watermark::is_text(name)) {
        let path = dir.join(name);
        let png = std::fs::read(&path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        *picture = watermark::text_of(&png).into();
    }
    Ok(())
}

async fn apply(
    out: &mut impl Write,
    node: &Node,
    (app, wanted): (matinee_core::id::AppId, &[Pipeline]),
    (dry_run, form): (bool, Form),
) -> anyhow::Result<ExitCode> {
    let mut codes = Vec::new();
    for pipeline in wanted {
        let put = if dry_run {
            pipeline::check(node, pipeline).await.map(|()| None)
        } else {
            pipeline::put(node, app, pipeline, false).await
        };
        match put {
            Ok(None) if form.quiet => {}
            Ok(None) => writeln!(out, "would write `{}`: {}", pipeline.name, sizes(pipeline))?,
            Ok(Some(put)) if form.json => writeln!(out, "{}", json!(View::of(&put.listed)))?,
            Ok(Some(_)) if form.quiet => {}
            Ok(Some(put)) => {
                let version = put.listed.version.unwrap_or_default();
                let word = if put.new { "wrote" } else { "nothing changed in" };
                writeln!(out, "{word} `{}`, version {version}", pipeline.name)?;
            }
            Err(failure) => {
                super::complain(&format!("matinee: {failure}"));
                codes.push(code(&failure));
                continue;
            }
        }
        codes.push(0);
    }
    Ok(super::code_of_all(&codes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_pipeline_or_several() {
        let names = |text: &str| {
            let all = pipelines(text, Path::new("nowhere")).map_err(|error| error.to_string())?;
            Ok::<_, String>(all.into_iter().map(|one| one.name).collect::<Vec<_>>())
        };
        assert_eq!(names("name = \"a\"\nsizes = [240]"), Ok(vec!["a".to_owned()]));
        let two = "[[pipeline]]\nname = \"a\"\n[[pipeline]]\nname = \"b\"\nquality = \"high\"";
        assert_eq!(names(two), Ok(vec!["a".to_owned(), "b".to_owned()]));
        for (wrong, why) in [
            ("sizes = [240]", "needs its `name`"),
            ("name = \"a\"\nsises = [240]", "unknown field `sises`"),
            ("name = \"A\"", "cannot be the name"),
            ("name = \"a\"\nwatermark.picture = \"logo.png\"", "nowhere/logo.png"),
            ("name = \"a\"\n[[pipeline]]\nname = \"b\"", "all that is in the file"),
        ] {
            assert!(names(wrong).unwrap_err().contains(why), "{wrong}");
        }
    }
}
