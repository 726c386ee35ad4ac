//! Runners: machines that work for a server over HTTP. What they say of themselves, and whether that fits.

use serde::{Deserialize, Serialize};

use crate::hardware::Engine;

/// The version of what runner and server say to each other; raised when an older side would misunderstand.
pub const PROTOCOL: u32 = 1;

/// Where a runner is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its registration token was made and not yet used.
    Invited,
    /// It may have jobs.
    Active,
    /// It finishes what it has, and gets no more.
    Draining,
    /// Its token is void.
    Revoked,
}

/// What a runner says of its machine and of its programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Which protocol it speaks.
    pub protocol: u32,
    /// Its release of matinee.
    pub version: String,
    /// The version of its ffmpeg.
    pub ffmpeg: String,
    /// Its encoders that matinee knows.
    pub encoders: Vec<String>,
    /// The hash, in hex, of what its encoders make of a known picture and sound; empty when they made nothing.
    pub fingerprint: String,
    /// Its cores.
    pub cores: u32,
    /// Its memory that is free for work.
    pub memory_bytes: u64,
    /// Its encoders in hardware that passed their trial; a later release may know more of them than we do.
    pub engines: Vec<String>,
    /// Jobs that it does at the same time.
    pub slots: u32,
}

/// Encoders that a plan may name: a server and its runners tell which of these they have.
pub const ENCODERS: [&str; 6] = ["libx264", "libvpx-vp9", "libsvtav1", "libx265", "aac", "libopus"];

/// Why a runner gets no work here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The two sides speak different versions.
    #[error(
        "this server speaks version {PROTOCOL} of the runner protocol, and the runner speaks version {0}"
    )]
    Protocol(u32),
    /// Its ffmpeg lacks something.
    #[error("the ffmpeg of the runner has no encoder {0}")]
    Encoder(String),
    /// The same input gives other bytes there.
    #[error(
        "ffmpeg {theirs} of the runner gives other bytes than ffmpeg {ours} of the server, and `workers.identical` is set"
    )]
    Bytes {
        /// The server's version of ffmpeg.
        ours: String,
        /// The runner's.
        theirs: String,
    },
}

impl Unfit {
    /// What to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Protocol(_) => "Install the same release of matinee on both machines.",
            Self::Encoder(_) => {
                "Install a complete ffmpeg on the runner, for example with `apt install ffmpeg`."
            }
            Self::Bytes { .. } => {
                "Install the same build of ffmpeg on both machines, or set `workers.identical = false` on the server."
            }
        }
    }
}

impl Report {
    /// Its engines that we know.
    pub fn engines(&self) -> impl Iterator<Item = Engine> {
        self.engines.iter().filter_map(|text| Engine::try_from(text.clone()).ok())
    }

    /// May this runner work for a server that says this of itself? Any bytes will do when that has no fingerprint.
    pub fn fits(&self, ours: &Self) -> Result<(), Unfit> {
        if self.protocol != PROTOCOL {
            return Err(Unfit::Protocol(self.protocol));
        }
        // Plans are made for what the server has.
        if let Some(missing) = ours.encoders.iter().find(|name| !self.encoders.contains(name)) {
            return Err(Unfit::Encoder(missing.clone()));
        }
        if ours.fingerprint.is_empty() || ours.fingerprint == self.fingerprint {
            return Ok(());
        }
        Err(Unfit::Bytes { ours: ours.ffmpeg.clone(), theirs: self.ffmpeg.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let encoders = vec!["aac".to_owned(), "libx264".to_owned()];
        Report { protocol: PROTOCOL, encoders, fingerprint: "ab".to_owned(), ..Report::default() }
    }

    #[test]
    fn a_runner_that_does_not_fit_is_told_why_and_what_to_do() {
        let free = Report { fingerprint: String::new(), ..report() };
        assert_eq!((report().fits(&report()), report().fits(&free)), (Ok(()), Ok(())));
        let cases = [
            (Report { protocol: 2, ..report() }, "version 2"),
            (Report { encoders: vec!["aac".to_owned()], ..report() }, "no encoder libx264"),
            (free, "other bytes"),
            (Report { fingerprint: "cd".to_owned(), ..report() }, "other bytes"),
        ];
        for (theirs, expected) in cases {
            let unfit = theirs.fits(&report()).unwrap_err();
            assert!(unfit.to_string().contains(expected) && !unfit.fix().is_empty(), "{unfit}");
        }
    }

    #[test]
    fn a_report_of_a_later_release_can_be_read() {
        let read: Report = serde_json::from_str(
            r#"{"protocol":2,"quantum":true,"engines":["quantum-1","qsv-000000000000000f"]}"#,
        )
        .unwrap();
        assert_eq!(read.engines().map(|engine| engine.fingerprint).collect::<Vec<_>>(), [15]);
        assert_eq!(read.fits(&report()), Err(Unfit::Protocol(2)));
    }
}
