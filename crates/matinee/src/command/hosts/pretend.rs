//! `matinee hosts pretend`: the fake of a host as a process of its own, for whoever has no account.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use matinee_io::host::bunny::fake::{self as bunny, FakeBunny};
use matinee_io::host::cloudflare::fake::{self as cloudflare, FakeCloudflare};
use matinee_io::host::fake::{Clock, Wish};

/// Which host to be, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  matinee hosts pretend cloudflare --folder ./stand-in >> matinee.toml &")]
pub(crate) struct Pretend {
    /// The service
    #[arg(value_parser = ["cloudflare", "bunny"])]
    kind: String,
    /// Where the bytes of uploads lie
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// Where to listen; port 0 is any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How long each video is encoded, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    encode: u16,
}

/// Is a host until somebody ends it; first it prints how it is configured.
pub(super) async fn run(wish: &Pretend, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&wish.folder)?;
    let encode_ms = i64::from(wish.encode) * 1_000;
    let fake = Wish { folder: wish.folder.clone(), listen: wish.listen, clock: Clock::going(), encode_ms };
    let told = if wish.kind == "cloudflare" {
        let url = FakeCloudflare::wished(fake).await?.frame().url();
        let key = std::path::absolute(wish.folder.join("signing-key"))?;
        std::fs::write(&key, cloudflare::signing_key())?;
        format!(
            "[[host]]\nname = \"cloudflare\"\nkind = \"cloudflare\"\naccount = \"{}\"\ntoken = \"{}\"\n\
             customer = \"customer-1\"\nwebhook_secret = \"{}\"\nsigning_key_id = \"{}\"\n\
             signing_key_file = {:?}\nplayback_endpoint = \"{url}\"\nendpoint = \"{url}\"",
            cloudflare::ACCOUNT,
            cloudflare::TOKEN,
            cloudflare::WEBHOOK_SECRET,
            cloudflare::SIGNING_KEY_ID,
            key.to_string_lossy(),
        )
    } else {
        let url = FakeBunny::wished(fake).await?.frame().url();
        format!(
            "[[host]]\nname = \"bunny\"\nkind = \"bunny\"\nlibrary = {}\napi_key = \"{}\"\n\
             read_only_key = \"{}\"\npull_zone = \"vz-1.b-cdn.net\"\ntoken_key = \"{}\"\n\
             playback_endpoint = \"{url}\"\nendpoint = \"{url}\"",
            bunny::LIBRARY,
            bunny::KEY,
            bunny::READ_ONLY_KEY,
            bunny::TOKEN_KEY,
        )
    };
    writeln!(out, "{told}")?;
    out.flush()?;
    // Where nobody can say so, it ends with its process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    Ok(ExitCode::SUCCESS)
}
