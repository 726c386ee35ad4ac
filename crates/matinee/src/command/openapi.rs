//! `matinee openapi`: the description of the API.

use std::io::Write;
use std::process::ExitCode;

/// Prints the document.
pub(crate) fn run(out: &mut impl Write) -> anyhow::Result<ExitCode> {
    out.write_all(crate::http::openapi().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
