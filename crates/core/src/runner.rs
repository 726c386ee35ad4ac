//! Runners: machines that work for a server over HTTP. What they say of themselves, and whether that fits.

use serde::{Deserialize, Serialize};

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
    /// Encoders in hardware; none are used yet.
    pub gpu: Option<String>,
    /// Jobs that it does at the same time.
    pub slots: u32,
}

/// Encoders that a plan may name: a runner tells which of these it has.
pub const ENCODERS: [&str; 7] = ["aac", "libopus", "libsvtav1", "libvpx-vp9", "libx264", "libx265", "mjpeg"];

/// Encoders without which a runner can do nothing.
const NEEDED: [&str; 2] = ["aac", "libx264"];

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
    Encoder(&'static str),
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
    /// May this runner work for a server with this ffmpeg? `fingerprint` is what the server's encoders made of the known
    /// picture; without one, any bytes will do.
    pub fn fits(&self, ffmpeg: &str, fingerprint: Option<&str>) -> Result<(), Unfit> {
        if self.protocol != PROTOCOL {
            return Err(Unfit::Protocol(self.protocol));
        }
        if let Some(missing) = NEEDED.iter().find(|name| !self.encoders.iter().any(|had| had == *name)) {
            return Err(Unfit::Encoder(missing));
        }
        match fingerprint {
            Some(fingerprint) if fingerprint != self.fingerprint => {
                Err(Unfit::Bytes { ours: ffmpeg.to_owned(), theirs: self.ffmpeg.clone() })
            }
            Some(_) | None => Ok(()),
        }
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
        assert_eq!(report().fits("5.1", Some("ab")), Ok(()));
        assert_eq!(report().fits("5.1", None), Ok(()));
        let cases = [
            (Report { protocol: 2, ..report() }, "version 2"),
            (Report { encoders: vec!["aac".to_owned()], ..report() }, "no encoder libx264"),
            (Report { fingerprint: String::new(), ..report() }, "other bytes"),
            (Report { fingerprint: "cd".to_owned(), ..report() }, "other bytes"),
        ];
        for (report, expected) in cases {
            let unfit = report.fits("5.1", Some("ab")).unwrap_err();
            assert!(unfit.to_string().contains(expected) && !unfit.fix().is_empty(), "{unfit}");
        }
    }

    #[test]
    fn a_report_of_a_later_release_can_be_read() {
        let read: Report = serde_json::from_str(r#"{"protocol":2,"quantum":true}"#).unwrap();
        assert_eq!(read.fits("5.1", None), Err(Unfit::Protocol(2)));
    }
}
