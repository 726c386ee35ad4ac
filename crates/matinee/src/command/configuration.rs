//! `matinee config`: what is set, and whether it can be used.

use std::io::Write;
use std::process::ExitCode;

use crate::config::{self, Flags};

/// What to do with the configuration.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  matinee config show > matinee.toml\n  matinee config validate --config new.toml"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Prints every key with its value, in the form of `matinee.toml`
    Show {
        /// Prints as JSON
        #[arg(long)]
        json: bool,
    },
    /// Checks the configuration and says what is wrong with it
    Validate {
        /// Prints nothing
        #[arg(long, short)]
        quiet: bool,
    },
}

/// Shows or checks.
pub(crate) fn run(flags: &Flags, arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut config = config::load(flags)?;
    config.database()?;
    config.fetch()?;
    config.database = without_password(&config.database);
    config.stores()?;
    for bucket in config.bucket.iter_mut().filter(|bucket| !bucket.secret_key.is_empty()) {
        "***".clone_into(&mut bucket.secret_key);
    }
    config.host.iter_mut().for_each(config::host::Host::hide);
    match arguments.order {
        Order::Show { json: true } => writeln!(out, "{}", serde_json::to_string(&config)?)?,
        Order::Show { json: false } => write!(out, "{}", toml::to_string(&config)?)?,
        Order::Validate { quiet } => {
            if !quiet {
                writeln!(out, "ok    the configuration can be used")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The URL of a database, its password blanked.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let name = user.split_once(':').map_or(user, |(name, _)| name);
    format!("{scheme}://{name}:***@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("sqlite", "sqlite"),
            ("postgres://ann:p@ss:word@db/films", "postgres://ann:***@db/films"),
            ("postgres://db/films", "postgres://db/films"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
