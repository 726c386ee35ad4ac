//! A chunk by an encoder in hardware; the first one of a video has to look as good as software would make it.

use matinee_core::gate;
use matinee_core::hardware::{self, Engine, Look, Usable};
use matinee_core::job::retry::Class;
use matinee_core::limits;
use matinee_core::plan::{self, Cascade, Chunk, argv};
use matinee_io::ffmpeg::Progress;
use serde_json::json;

use super::{Bench, limits as of_plan};
use crate::flow::fault::Fault;

/// What a rate control may keep in hand, in seconds of the cap: the buffer that encoders are told.
const BUFFER_S: u64 = 2;

impl Bench<'_> {
    /// Encodes one chunk of the ladder with this engine. Returns how much of the source could not be decoded as it is.
    pub(super) async fn chunk_by(
        &self,
        engine: Engine,
        (video, cascade): (&plan::Video, Cascade<'_>),
        chunk: &Chunk,
        done: impl FnMut(Progress) + Send,
    ) -> Result<u64, Fault> {
        let usable = self.usable(engine)?;
        let (input, outputs) = (self.input_text()?, argv::chunk_outputs(cascade));
        let mut args = argv::device(&usable.place);
        args.extend(argv::chunk(self.plan, (video, cascade), chunk, input, &outputs));
        let driver = self.ffmpeg.reaching(&usable.place.nodes);
        let memory_bytes = limits::HARDWARE_ADDRESS_SPACE_BYTES;
        let limits = matinee_io::ffmpeg::Limits { memory_bytes, ..of_plan(&self.plan.limits) };
        let damage = self.encode_with((&driver, limits), args, done).await?.damage;
        if chunk.number == 0 {
            self.judge((video, cascade), chunk, &outputs).await?;
        }
        Ok(damage)
    }

    /// The engine of this machine, when it is still there.
    fn usable(&self, engine: Engine) -> Result<&Usable, Fault> {
        let found = self.engines.iter().find(|one| one.engine == engine);
        let there = |one: &&Usable| one.place.nodes.iter().all(|node| std::path::Path::new(node).exists());
        found.filter(there).ok_or_else(|| unfit(format!("this machine has no {engine} any more")))
    }

    /// Compares what hardware made of a chunk with what software makes of it, both with the source.
    async fn judge(
        &self,
        (video, cascade): (&plan::Video, Cascade<'_>),
        chunk: &Chunk,
        made: &[String],
    ) -> Result<(), Fault> {
        let soft: Vec<String> = made.iter().map(|output| format!("soft_{output}")).collect();
        let by_software = Cascade { engine: None, ..cascade };
        let args = argv::chunk(self.plan, (video, by_software), chunk, self.input_text()?, &soft);
        self.encode(args, |_| {}).await?;
        let (hard_looks, soft_looks) =
            (self.looks(video, chunk, made).await?, self.looks(video, chunk, &soft).await?);
        let length_us = video.rate.frame_us(chunk.frames).unsigned_abs();
        for ((rendition, hard), soft) in cascade.renditions.iter().zip(hard_looks).zip(soft_looks) {
            // Kilobits of a millisecond are bits.
            let most = u64::from(rendition.max_kbps) * (length_us / 1_000 + BUFFER_S * 1_000) / 8;
            hardware::judge(&rendition.id, hard, soft, most).map_err(|why| unfit(why.to_string()))?;
            tracing::debug!(rendition = rendition.id, ?hard, ?soft, "hardware is as good as software");
        }
        Ok(())
    }

    /// How these files of a chunk look beside the source, and how large they are.
    async fn looks(&self, video: &plan::Video, chunk: &Chunk, files: &[String]) -> Result<Vec<Look>, Fault> {
        let args = argv::judge(self.plan, video, chunk, self.input_text()?, files);
        let said = self.encode(args, |_| {}).await?.stderr_tail;
        let mut looks = Vec::with_capacity(files.len());
        for (n, file) in files.iter().enumerate() {
            let ssim = gate::parse(&said, &argv::judge_name(n)).ok_or_else(|| {
                unfit("its pictures could not be compared".to_owned()).with(json!({ "said": said }))
            })?;
            looks.push(Look { ssim, bytes: tokio::fs::metadata(self.dir.join(file)).await?.len() });
        }
        Ok(looks)
    }
}

fn unfit(human: String) -> Fault {
    const FIX: &str = "Nothing needs to be done; the video is encoded in software.";
    Fault::new(Class::Crash, "hardware_unfit", human, FIX)
}
