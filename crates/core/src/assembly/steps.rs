//! The steps of an assembly, as robots name them, turned into one pipeline of ours and what is read out of its video.
//!
//! A video has one pipeline. What would need two of them (two shapes, two marks) is refused with the reason, and never made
//! somehow.

mod field;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::field::{addresses, aspect, bad, mark, robot, shape, side};
use super::{Code, Refusal};
use crate::limits::{THUMBNAIL_WIDTH_MAX, THUMBNAIL_WIDTH_MIN};
use crate::pipeline::{Moment, POSTER_SIDE_MAX, Pipeline};
use crate::watermark::Watermark;

/// Most steps of an assembly.
pub const STEPS_MAX: usize = 16;
/// Most pictures of one step: each is made when it is asked for.
const THUMBS_MAX: u64 = 100;
/// Pictures of a step that says nothing of their number.
const THUMBS: u64 = 8;
/// What is read out of a video for one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Output {
    /// The file as it came.
    Source {
        /// It was fetched, not sent.
        fetched: bool,
    },
    /// A file of pictures and sound.
    Encoded {
        /// Its short side in pixels; the largest there is when none is named.
        size: Option<u32>,
        /// Without the mark that others have.
        plain: bool,
    },
    /// Pictures of moments.
    Thumbs {
        /// Where they are taken.
        at: Vec<Moment>,
        /// Most pixels of their width.
        width: u32,
        /// Most pixels of their height.
        height: u32,
    },
    /// A playlist.
    Playlist {
        /// DASH, not HLS.
        dash: bool,
    },
    /// The files of other steps, copied to one of our stores by that store's own rules.
    Stored {
        /// The store by its name.
        store: String,
    },
}

/// A step as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What it gives.
    pub output: Output,
    /// Is it shown among the results?
    pub shown: bool,
}

/// What the steps mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// By what videos are made; without the picture of its mark, which is still to be fetched.
    pub pipeline: Pipeline,
    /// The address of that picture.
    pub mark_url: Option<String>,
    /// What is read out, in the order of their names in the steps.
    pub steps: Vec<Step>,
    /// Files that are fetched from addresses, with the names of their steps.
    pub imports: Vec<(String, String)>,
    /// Do files come by upload?
    pub uploads: bool,
}

/// What is done to the pictures on the way to a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Look {
    /// The length of the chain of encodes before it; 0 for the source.
    encodes: u32,
    size: Option<u32>,
    crop: Option<(u32, u32)>,
    mark: Option<(String, Watermark)>,
}

/// Reads the steps.
pub fn read(steps: &Map<String, Value>) -> Result<Made, Refusal> {
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(Refusal::new(Code::NoSteps, format!("`steps` has 1 to {STEPS_MAX} entries.")));
    }
    let mut reading = Reading { steps, looks: BTreeMap::new() };
    let mut made = Made {
        pipeline: Pipeline { sizes: Vec::new(), ..Pipeline::default() },
        mark_url: None,
        steps: Vec::new(),
        imports: Vec::new(),
        uploads: false,
    };
    for (name, step) in steps {
        let robot = robot(name, step)?;
        reading.uses(name)?;
        match robot {
            "/upload/handle" => made.uploads = true,
            "/http/import" => {
                made.imports.extend(addresses(name, step)?.into_iter().map(|url| (name.clone(), url)));
            }
            _ => {}
        }
        if let Some(output) = reading.output(name, step, robot)? {
            let shown =
                step.get("result") != Some(&Value::Bool(false)) && !matches!(output, Output::Stored { .. });
            made.steps.push(Step { name: name.clone(), output, shown });
        }
    }
    if !made.uploads && made.imports.is_empty() {
        return Err(bad("nothing", "brings a file in: use /upload/handle or /http/import"));
    }
    reading.settle(&mut made)?;
    Ok(made)
}

struct Reading<'s> {
    steps: &'s Map<String, Value>,
    /// The pictures of the steps that were read.
    looks: BTreeMap<String, Look>,
}

impl Reading<'_> {
    /// The names of the steps that a step uses; each must be there.
    fn uses(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let step = &self.steps[name];
        let given = step.get("use").map(|used| used.get("steps").unwrap_or(used));
        let names = match given {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => {
                let word =
                    |one: &Value| one.as_str().or_else(|| one.get("name")?.as_str()).map(str::to_owned);
                several.iter().filter_map(word).collect()
            }
            Some(_) => return Err(bad(name, "has a `use` that names no steps")),
        };
        match names.iter().find(|used| !self.steps.contains_key(*used)) {
            Some(unknown) => Err(Refusal::new(
                Code::UnknownUse,
                format!("The step `{name}` uses `{unknown}`, which is none of the steps."),
            )),
            None => Ok(names),
        }
    }

    /// What a step gives; nothing for those that bring files in besides `:original`.
    fn output(&mut self, name: &str, step: &Value, robot: &str) -> Result<Option<Output>, Refusal> {
        Ok(Some(match robot {
            "/upload/handle" | "/http/import" => Output::Source { fetched: robot == "/http/import" },
            "/video/encode" => {
                let look = self.look(name, 0)?;
                self.looks.insert(name.to_owned(), look.clone());
                Output::Encoded { size: look.size, plain: look.mark.is_none() }
            }
            "/video/thumbs" | "/image/resize" => {
                let (width, height) = (side(name, step, "width")?, side(name, step, "height")?);
                let most = |side: Option<u32>| side.unwrap_or(POSTER_SIDE_MAX).clamp(16, POSTER_SIDE_MAX);
                if step.get("format").and_then(Value::as_str).is_some_and(|it| !["jpg", "jpeg"].contains(&it))
                {
                    return Err(bad(name, "wants another format than jpg, which is the one that is made"));
                }
                Output::Thumbs { at: self.moments(name, 0)?, width: most(width), height: most(height) }
            }
            "/video/adaptive" => {
                Output::Playlist { dash: step.get("technique").and_then(Value::as_str) == Some("dash") }
            }
            "/s3/store" | "/backblaze/store" => {
                let store = step.get("credentials").and_then(Value::as_str).filter(|name| !name.is_empty());
                let store = store
                    .ok_or_else(|| bad(name, "needs `credentials`: the name of a store of this server"))?;
                Output::Stored { store: store.to_owned() }
            }
            other => {
                return Err(Refusal::new(
                    Code::UnknownRobot,
                    format!("The step `{name}` wants the robot `{other}`, which is not here."),
                ));
            }
        }))
    }

    /// What is done to the pictures up to this step.
    fn look(&self, name: &str, depth: usize) -> Result<Look, Refusal> {
        if depth > STEPS_MAX {
            return Err(bad(name, "uses itself"));
        }
        let step = &self.steps[name];
        if robot(name, step)? != "/video/encode" {
            return Ok(Look::default());
        }
        let mut before = self.uses(name)?.into_iter();
        let mut look = match (before.next(), before.next()) {
            (Some(one), None) => self.look(&one, depth + 1)?,
            (None, _) => Look::default(),
            (Some(_), Some(_)) => {
                return Err(bad(name, "encodes more than one step, which is not done here"));
            }
        };
        look.encodes += 1;
        let shape = shape(name, step)?;
        match step.get("resize_strategy").and_then(Value::as_str) {
            // Nothing is filled with black: a picture that does not fit keeps its shape.
            None | Some("fit" | "pad" | "min_fit") => {}
            Some("fillcrop" | "crop") => {
                look.crop = Some(
                    shape
                        .ok_or_else(|| bad(name, "crops, and says neither width and height nor a preset"))?,
                );
            }
            Some(other) => {
                return Err(bad(
                    name,
                    &format!("wants the resize_strategy `{other}`, which is not done here"),
                ));
            }
        }
        let short = |(width, height): (u32, u32)| width.min(height) & !1;
        look.size = match (look.size, shape.map(short)) {
            (Some(before), Some(own)) => Some(before.min(own)),
            (before, own) => own.or(before),
        };
        if let Some(mark) = mark(name, step)? {
            if look.mark.as_ref().is_some_and(|before| *before != mark) {
                return Err(bad(name, "lays a second mark over the first, which is not done here"));
            }
            look.mark = Some(mark);
        }
        Ok(look)
    }

    /// Where the pictures of a step are taken; those that are resized are the ones of the step before.
    fn moments(&self, name: &str, depth: usize) -> Result<Vec<Moment>, Refusal> {
        let step = &self.steps[name];
        if robot(name, step)? == "/image/resize" {
            let before = self.uses(name)?.into_iter().next();
            return match before {
                Some(before) if depth < STEPS_MAX => self.moments(&before, depth + 1),
                Some(_) | None => Err(bad(name, "resizes no step")),
            };
        }
        if robot(name, step)? != "/video/thumbs" {
            return Err(bad(name, "is no picture, so it is not resized here"));
        }
        if let Some(offsets) = step.get("offsets").and_then(Value::as_array).filter(|all| !all.is_empty()) {
            if offsets.len() as u64 > THUMBS_MAX {
                return Err(bad(name, &format!("has more than {THUMBS_MAX} `offsets`")));
            }
            let moment = |offset: &Value| {
                let text = offset.as_str().map_or_else(|| offset.to_string(), str::to_owned);
                Moment::try_from(if text.ends_with('%') { text } else { format!("{text}s") }).ok()
            };
            let read: Option<Vec<_>> = offsets.iter().map(moment).collect();
            return read
                .ok_or_else(|| bad(name, "has `offsets` that are neither seconds nor such as \"10%\""));
        }
        let count = step.get("count").map_or(Some(THUMBS), super::number);
        let count = count.filter(|count| (1..=THUMBS_MAX).contains(count));
        let count =
            count.ok_or_else(|| bad(name, &format!("has a `count` that is not from 1 to {THUMBS_MAX}")))?;
        // Evenly, the first and the last not at the edges.
        let percent = |n: u64| u8::try_from(100 * n / (count + 1)).unwrap_or(100);
        Ok((1..=count).map(|n| Moment::Percent(percent(n))).collect())
    }

    /// Puts together what all steps want of the one pipeline.
    fn settle(&self, made: &mut Made) -> Result<(), Refusal> {
        let looks: Vec<(&String, &Look)> = self.looks.iter().collect();
        let differs = |what: &str| {
            Err(bad("steps", &format!("want videos of two {what}, which one pipeline does not make")))
        };
        let crops: Vec<_> = looks.iter().map(|(_, look)| look.crop).collect();
        if crops.windows(2).any(|pair| pair[0] != pair[1]) {
            return differs("shapes");
        }
        if let Some(Some((width, height))) = crops.first() {
            made.pipeline.crop = Some(aspect(*width, *height)?);
        }
        let mut sizes: Vec<u32> = looks.iter().filter_map(|(_, look)| look.size).collect();
        if looks.iter().all(|(_, look)| look.size.is_some()) {
            sizes.sort_unstable();
            sizes.dedup();
            made.pipeline.sizes = sizes;
        }
        let marks: Vec<_> = looks.iter().filter_map(|(_, look)| look.mark.as_ref()).collect();
        if marks.windows(2).any(|pair| pair[0] != pair[1]) {
            return differs("marks");
        }
        if let Some((url, mark)) = marks.first() {
            made.mark_url = Some(url.clone());
            let plain: Vec<_> = looks.iter().filter(|(_, look)| look.mark.is_none()).collect();
            let largest = made.pipeline.sizes.last().copied();
            if let Some((name, _)) = plain.iter().find(|(_, look)| look.size != largest) {
                return Err(bad(
                    name,
                    "is smaller than the largest size, which is the only one that is kept without the mark",
                ));
            }
            made.pipeline.watermark = Some(Watermark { keep_unmarked: !plain.is_empty(), ..mark.clone() });
        }
        let first = made.steps.iter().find_map(|step| {
            let Output::Thumbs { at, width, height } = &step.output else { return None };
            let [at] = at[..] else { return None };
            Some((at, (*width).max(*height)))
        });
        if let Some((moment, side)) = first {
            made.pipeline.poster = moment;
            made.pipeline.poster_side = side;
        }
        Ok(())
    }
}

/// Which of these sizes is meant: the largest that is not above the wanted one, or the smallest of all; the largest when none is
/// wanted.
pub fn nearest(wanted: Option<u32>, sizes: &[u32]) -> Option<usize> {
    let all = || sizes.iter().enumerate();
    let below =
        all().filter(|(_, size)| wanted.is_none_or(|wanted| **size <= wanted)).max_by_key(|(_, size)| **size);
    below.or_else(|| all().min_by_key(|(_, size)| **size)).map(|(at, _)| at)
}

/// How wide a picture is asked for, so that a video of this size fits into both sides.
pub fn fitting((width, height): (u32, u32), video: (u32, u32)) -> u32 {
    let by_height = u64::from(height) * u64::from(video.0) / u64::from(video.1.max(1));
    let width = u64::from(width).min(by_height);
    u32::try_from(width).unwrap_or(u32::MAX).clamp(THUMBNAIL_WIDTH_MIN, THUMBNAIL_WIDTH_MAX)
}

#[cfg(test)]
mod tests;
