//! A configuration for real services becomes one for fakes: the same pipelines, stores and hosts under the same names.

use std::path::Path;

use anyhow::{Context as _, bail};
use matinee_io::fetch::fake::zoom;
use matinee_io::host::{bunny, cloudflare};
use matinee_io::store::fake::BUCKET;
use toml::{Table, Value};

use super::Stage;

/// What belongs to a machine and not to a stage.
const OF_A_MACHINE: [&str; 8] =
    ["listen", "data", "database", "node", "public_url", "hosts", "watch", "bucket"];
/// The pace of somebody who watches.
const PACE: [(&str, &str); 5] = [
    ("poll", "1s"),
    ("look_after", "1s"),
    ("look_again_after", "3s"),
    ("control_after", "5s"),
    ("probe_after", "1s"),
];

/// The configuration `text`, whose files lie in `beside`, with every service outside replaced by its fake.
pub(super) fn staged(text: &str, beside: &Path, stage: &Stage) -> anyhow::Result<String> {
    let mut table: Table = toml::from_str(text).context("the configuration cannot be read")?;
    for key in OF_A_MACHINE {
        table.remove(key);
    }
    for host in each(&mut table, "host") {
        as_fake_host(host, stage)?;
    }
    for store in each(&mut table, "store") {
        as_fake_store(store, stage)?;
    }
    for pipeline in each(&mut table, "pipeline") {
        let picture = pipeline.get_mut("watermark").and_then(|mark| mark.get_mut("picture"));
        if let Some(Value::String(picture)) = picture
            && !picture.starts_with("data:")
        {
            *picture = beside.join(&*picture).to_string_lossy().into_owned();
        }
    }
    let [service, bytes] = stage.zoom.hosts();
    let of_zoom = [
        ("secret_token", zoom::SECRET.to_owned()),
        ("account_id", zoom::ACCOUNT.to_owned()),
        ("client_id", zoom::CLIENT.to_owned()),
        ("client_secret", zoom::CLIENT_SECRET.to_owned()),
        ("oauth_url", format!("http://{service}/oauth/token")),
        ("api_url", format!("http://{service}/v2")),
    ];
    set(section(&mut table, "zoom")?, of_zoom);
    let allowed = [service, bytes, stage.site.host()].map(Value::String);
    section(&mut table, "ingest")?.insert("allow_hosts".to_owned(), allowed.to_vec().into());
    let inbox = stage.inbox().to_string_lossy().into_owned();
    section(&mut table, "uploads")?.insert("import_roots".to_owned(), vec![Value::String(inbox)].into());
    Ok(toml::to_string(&table)?)
}

/// The tables of a list.
fn each<'t>(table: &'t mut Table, name: &str) -> impl Iterator<Item = &'t mut Table> {
    let list = table.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_table_mut)
}

fn section<'t>(table: &'t mut Table, name: &str) -> anyhow::Result<&'t mut Table> {
    let section = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
    section.as_table_mut().with_context(|| format!("`{name}` is no section"))
}

fn set<const N: usize>(table: &mut Table, values: [(&str, String); N]) {
    table.extend(values.map(|(key, value)| (key.to_owned(), Value::String(value))));
}

fn as_fake_host(host: &mut Table, stage: &Stage) -> anyhow::Result<()> {
    host.retain(|key, _| !key.ends_with("_file"));
    set(host, PACE.map(|(key, value)| (key, value.to_owned())));
    match host.get("kind").and_then(Value::as_str) {
        Some("cloudflare") => set(
            host,
            [
                ("account", cloudflare::fake::ACCOUNT.to_owned()),
                ("token", cloudflare::fake::TOKEN.to_owned()),
                ("customer", "customer-1".to_owned()),
                ("webhook_secret", cloudflare::fake::WEBHOOK_SECRET.to_owned()),
                ("signing_key_id", cloudflare::fake::SIGNING_KEY_ID.to_owned()),
                ("signing_key_file", stage.signing_key().to_string_lossy().into_owned()),
                ("endpoint", stage.cloudflare.frame().url()),
                ("playback_endpoint", stage.cloudflare.frame().url()),
            ],
        ),
        Some("bunny") => {
            host.insert("library".to_owned(), Value::Integer(i64::try_from(bunny::fake::LIBRARY)?));
            set(
                host,
                [
                    ("api_key", bunny::fake::KEY.to_owned()),
                    ("read_only_key", bunny::fake::READ_ONLY_KEY.to_owned()),
                    ("pull_zone", "vz-1.b-cdn.net".to_owned()),
                    ("token_key", bunny::fake::TOKEN_KEY.to_owned()),
                    ("endpoint", stage.bunny.frame().url()),
                    ("playback_endpoint", stage.bunny.frame().url()),
                ],
            );
        }
        other => bail!("there is no fake of a host of the kind {other:?}"),
    }
    Ok(())
}

fn as_fake_store(store: &mut Table, stage: &Stage) -> anyhow::Result<()> {
    let name = store.get("name").and_then(Value::as_str).context("a [[store]] needs its name")?.to_owned();
    if store.get("kind").and_then(Value::as_str) == Some("disk") {
        let path = stage.folder.0.join("stores").join(&name);
        std::fs::create_dir_all(&path)?;
        set(store, [("path", path.to_string_lossy().into_owned())]);
        return Ok(());
    }
    for key in ["secret_key_file", "storage_class"] {
        store.remove(key);
    }
    let access = stage.store.access();
    set(
        store,
        [
            ("url", format!("s3://{BUCKET}/{name}")),
            ("endpoint", stage.store.endpoint()),
            ("region", access.region),
            ("access_key", access.access_key),
            ("secret_key", access.secret_key),
        ],
    );
    Ok(())
}
