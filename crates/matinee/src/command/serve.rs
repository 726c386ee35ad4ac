//! `matinee serve`: starts all roles, says where it is, and drains when it is told to stop.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use matinee_core::replica::LOCAL;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::config::{Config, Flags, LogFormat, Role, is_node_name};
use crate::flow::inventory::Sort;
use crate::flow::{self, access};
use crate::http;
use crate::node::Node;
use crate::worker;

/// How it is served; what an operator sets is in the configuration.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Ends with the process of this id, which has started it
    #[arg(long, hide = true, value_name = "PID")]
    child_of: Option<u32>,
}

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn run(flags: &Flags, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(parent) = arguments.child_of {
        matinee_io::child::die_with(parent)?;
    }
    let config = crate::config::load(flags)?;
    log(&config)?;
    http::health::install_recorder();
    let node = super::open(flags).await?;
    let mut serving = super::lock::Serving::begin(&node.config.data, node.name()).await?;
    let claim = if node.config.does(Role::Web) { access::claim_link(&node).await? } else { None };
    if !node.config.is_loopback() && claim.is_some() && !node.config.access.claim_from_outside {
        bail!(
            "this would listen on {} for other machines, but nobody administers it yet. Start it once without \
             --listen, open the administrator link that it prints, then start it like this again; or set \
             `access.claim_from_outside = true` and open the link right after the start.",
            node.config.listen
        );
    }
    let listener = TcpListener::bind(node.config.listen).await.with_context(|| {
        format!("the address {} cannot be used; give another one with --listen", node.config.listen)
    })?;
    let address = listener.local_addr()?;
    serving.announce(address)?;
    start(&node).await?;
    // Before anybody is told that we are here: who then asks us to stop shall find us listening.
    let asked = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    greet(&node, address, claim.as_deref());
    serve(node, listener, asked).await
}

/// What an earlier run of this node left is put in order before new work begins.
async fn start(node: &Node) -> anyhow::Result<()> {
    flow::scratch::clear(node)?;
    clear_others(node)?;
    if let Err((name, human)) = flow::pipeline::check_file(node).await {
        bail!("the pipeline `{name}` of the configuration file cannot be used. {human}");
    }
    node.thumbnails.take_in()?;
    flow::upload::recover(node).await?;
    flow::lease::recover(node).await?;
    flow::notify::recover(node).await?;
    flow::assembly::recover(node).await?;
    flow::broker::recover(node).await?;
    if let Err(error) = &node.ffmpeg {
        tracing::error!(%error, "videos are taken, but wait until ffmpeg is there and matinee is started again");
    }
    Ok(())
}

/// What nodes have left, of work and of stills, that do not run: they may never come back.
fn clear_others(node: &Node) -> std::io::Result<()> {
    for dir in flow::scratch::others(node)?.into_iter().chain(flow::thumbnail::others(node)?) {
        let name = dir.file_name().and_then(|name| name.to_str()).filter(|name| is_node_name(name));
        let dead = name.map(|name| super::lock::of_dead(&node.config.data, name));
        // What has no name of a node is of a server that was alone, and while this one runs no such server does.
        if !matches!(dead, Some(None)) {
            flow::scratch::remove(&dir)?;
        }
    }
    Ok(())
}

async fn serve(
    node: Arc<Node>,
    listener: TcpListener,
    (mut term, mut int): (Signal, Signal),
) -> anyhow::Result<ExitCode> {
    let working = tokio::spawn(worker::run(Arc::clone(&node)));
    let sweeping = tokio::spawn(flow::sweep::run(Arc::clone(&node)));
    let sources = sources(&node).into_iter().chain(stores(&node)).chain(brokers(&node)).collect::<Vec<_>>();
    let hearing = tokio::spawn(flow::upload::hear(Arc::clone(&node)));
    let notifying = tokio::spawn(flow::notify::run(Arc::clone(&node)));
    let assembling = tokio::spawn(flow::assembly::run(Arc::clone(&node)));
    let learning = tokio::spawn(flow::store::run(Arc::clone(&node)));
    let counting = tokio::spawn(flow::meter::run(Arc::clone(&node)));
    let telling = tokio::spawn(flow::distribute::run(Arc::clone(&node)));
    let draining = node.stop.child_token();
    let router = if node.config.does(Role::Web) { http::router(&node) } else { http::health_only(&node) };
    let serving = tokio::spawn(http::server::serve(listener, router, draining));
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping: running requests and jobs are put away safely");
    node.stop.cancel();
    node.turns.end_all();
    let ended = async {
        for task in [working, sweeping, hearing, notifying, assembling, learning, telling, serving, counting]
            .into_iter()
            .chain(sources)
        {
            task.await?;
        }
        anyhow::Ok(())
    };
    let mut ended = std::pin::pin!(ended);
    tokio::select! {
        ended = &mut ended => ended?,
        // Whoever asks twice does not want to wait for jobs that are nearly done.
        () = async { tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} } } => {
            node.halt.cancel();
            ended.await?;
        }
    }
    flow::meter::end(&node).await;
    if let Err(failure) = flow::roster::leave(&node).await {
        tracing::warn!(%failure, "that this node ends could not be written down");
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends events to each broker, and takes its commands.
fn brokers(node: &Arc<Node>) -> Vec<JoinHandle<()>> {
    let all = flow::broker::Sink::all(node);
    let hears = |sink: &&Arc<flow::broker::Sink>| sink.commands() && node.config.does(Role::Ingest);
    let hearing = all
        .iter()
        .filter(hears)
        .map(|from| tokio::spawn(flow::broker::hear(Arc::clone(node), Arc::clone(from))));
    let sending = all.iter().map(|to| tokio::spawn(flow::broker::run(Arc::clone(node), Arc::clone(to))));
    hearing.chain(sending).collect()
}

/// Frees what is to go from each store, reads again what lies in it, and compares it with its rows.
fn stores(node: &Arc<Node>) -> Vec<JoinHandle<()>> {
    let names = || node.stores.iter().map(|opened| opened.name.clone());
    let freeing = names().map(|name| tokio::spawn(flow::free::run(Arc::clone(node), name)));
    let scrubbed = names().chain([LOCAL.to_owned()]);
    let scrubbing = scrubbed.map(|name| tokio::spawn(flow::scrub::run(Arc::clone(node), name)));
    let comparing =
        names().map(|name| tokio::spawn(flow::inventory::run(Arc::clone(node), Sort::Store, name)));
    freeing.chain(scrubbing).chain(comparing).collect()
}

/// Looks through the places outside that the configuration names, and deals with what was taken.
fn sources(node: &Arc<Node>) -> Vec<JoinHandle<()>> {
    let config = &node.config;
    if !config.does(Role::Ingest) {
        return Vec::new();
    }
    let settling = tokio::spawn(flow::settle::run(Arc::clone(node)));
    let folders = config.watch.iter().map(|order| {
        let heard = Arc::new(|found: flow::watch::Found| {
            tracing::info!(file = found.name, upload = %found.upload, "a file in a watched folder is complete");
        });
        tokio::spawn(flow::watch::run(Arc::clone(node), order.clone(), heard))
    });
    let buckets = config.bucket.iter();
    let buckets = buckets.map(|order| tokio::spawn(flow::bucket::run(Arc::clone(node), order.clone())));
    let hosts = node.hosts.all().iter().flat_map(|to| {
        [
            tokio::spawn(flow::attend::run(Arc::clone(node), Arc::clone(to))),
            tokio::spawn(flow::drain::run(Arc::clone(node), Arc::clone(to))),
            tokio::spawn(flow::inventory::run(Arc::clone(node), Sort::Host, to.name.clone())),
        ]
    });
    folders.chain(buckets).chain(hosts).chain([settling]).collect()
}

fn greet(node: &Node, address: std::net::SocketAddr, claim: Option<&str>) {
    let url = node.config.public_url.clone().unwrap_or_else(|| {
        let host = if address.ip().is_loopback() { "localhost".to_owned() } else { address.ip().to_string() };
        format!("http://{host}:{}", address.port())
    });
    let claim = claim.map(|secret| format!("To become its administrator open {url}/claim#{secret}\n"));
    let text = format!("matinee is ready at {url}\n{}", claim.unwrap_or_default());
    let mut out = std::io::stdout().lock();
    // A server whose starter has gone away serves all the same.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

pub(super) fn log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.level)
        .with_context(|| format!("`log.level = \"{}\"` is not a filter", config.log.level))?;
    // Colours are for people; a file or a pipe gets plain text.
    let colours = std::io::stderr().is_terminal();
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match config.log.format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
