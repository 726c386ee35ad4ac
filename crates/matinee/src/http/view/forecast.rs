//! When a video will be done, as JSON.

use matinee_core::job::load::Outlook;
use serde::Serialize;
use utoipa::ToSchema;

use super::time::seconds;

/// When a video will be done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Forecast {
    /// Seconds until nothing is left to be made.
    pub(crate) ready_in_s: f64,
    /// Seconds of the video that are encoded in a second: 2.3 is 2.3 times as fast as it plays.
    pub(crate) speed: Option<f64>,
}

impl From<&Outlook> for Forecast {
    fn from(outlook: &Outlook) -> Self {
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        Self { ready_in_s: seconds(outlook.left_ms).ceil(), speed: outlook.speed.map(tenth) }
    }
}
