//! HTTP: one file per endpoint. Status codes and problem documents exist only here.

mod about;
mod app;
mod asked;
mod assembly;
pub(crate) mod assembly_key;
pub(crate) mod assembly_template;
mod caption;
mod collection;
mod cost;
mod encode;
mod errand;
mod event;
mod field;
mod files;
mod form;
pub(crate) mod health;
mod hook;
mod host;
mod ingest_path;
mod ingest_url;
mod inventory;
mod job;
pub(crate) mod ledger;
mod linger;
mod node;
mod object;
mod origin;
mod page;
mod patience;
pub(crate) mod pipeline;
mod playback;
mod poster;
pub(crate) mod problem;
mod publication;
pub(crate) mod request;
mod resumable;
mod runner;
pub(crate) mod server;
mod session;
mod store;
mod tail;
mod token;
mod trace;
mod tus;
mod upload;
mod video;
pub(crate) mod view;
pub(crate) mod webhook;
mod zoom;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use utoipa::OpenApi;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::node::Node;

/// What every handler is given.
pub(crate) type Shared = Arc<Node>;

/// The description of the API; `proto/openapi.json` is its snapshot.
#[derive(OpenApi)]
#[openapi(
    info(title = "matinee", description = "The API of matinee, a self-hosted video platform."),
    components(schemas(problem::Document))
)]
struct Api;

fn api() -> OpenApiRouter<Shared> {
    with_webhooks(with_work(OpenApiRouter::with_openapi(Api::openapi())))
        .routes(routes!(about::show))
        .routes(routes!(session::create, session::delete))
        .routes(routes!(token::create, token::list))
        .routes(routes!(token::delete))
        .routes(routes!(app::create, app::list))
        .routes(routes!(app::show, app::change, app::delete))
        .routes(routes!(app::create_token))
        .routes(routes!(collection::create, collection::list))
        .routes(routes!(collection::show, collection::change, collection::delete))
        .routes(routes!(pipeline::list))
        .routes(routes!(pipeline::show, pipeline::put, pipeline::archive))
        .routes(routes!(upload::create, upload::list))
        .routes(routes!(upload::show, upload::delete))
        .routes(routes!(ingest_url::create))
        .routes(routes!(ingest_path::create))
        .routes(routes!(assembly_key::create, assembly_key::list))
        .routes(routes!(assembly_key::delete))
        .routes(routes!(assembly_template::list))
        .routes(routes!(assembly_template::show, assembly_template::put, assembly_template::delete))
        .merge(of_videos())
        .routes(routes!(event::list))
        .routes(routes!(event::stream))
        .merge(of_runners())
}

/// Runners as an administrator sees them, and what they say themselves.
fn of_runners() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(runner::create, runner::list))
        .routes(routes!(runner::revoke))
        .routes(routes!(runner::drain))
        .routes(routes!(runner::undrain))
        .routes(routes!(errand::register))
        .routes(routes!(errand::claim))
        .routes(routes!(errand::renew))
        .routes(routes!(errand::complete))
        .routes(routes!(errand::fail))
}

/// The work, and the servers that do it.
fn with_work(router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    router
        .routes(routes!(job::list))
        .routes(routes!(job::pause, job::resume))
        .routes(routes!(job::show, job::change))
        .routes(routes!(job::retry))
        .routes(routes!(job::cancel))
        .routes(routes!(job::reproducer))
        .routes(routes!(job::retry_rendition))
        .routes(routes!(ledger::list))
        .routes(routes!(ledger::retry))
        .routes(routes!(ledger::retry_one))
        .routes(routes!(inventory::show))
        .routes(routes!(inventory::compare))
        .routes(routes!(node::list))
        .routes(routes!(node::drain, node::resume))
        .routes(routes!(host::list))
        .routes(routes!(host::test))
        .routes(routes!(host::drain, host::resume))
        .routes(routes!(store::list))
        .routes(routes!(store::drain, store::resume))
        .routes(routes!(cost::show))
        .routes(routes!(cost::what_if))
        .routes(routes!(cost::cards))
        .routes(routes!(cost::put, cost::delete))
}

/// Where an app is told what happens.
fn with_webhooks(router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    router
        .routes(routes!(webhook::create, webhook::list))
        .routes(routes!(webhook::show, webhook::change, webhook::delete))
        .routes(routes!(webhook::rotate))
        .routes(routes!(webhook::test))
        .routes(routes!(webhook::replay))
        .routes(routes!(webhook::deliveries))
}

fn of_videos() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(video::list))
        .routes(routes!(video::show, video::change, video::delete))
        .routes(routes!(playback::show))
        .routes(routes!(poster::choose))
        .routes(routes!(video::timeline))
        .routes(routes!(object::list))
        .routes(routes!(encode::begin, encode::cancel))
        .routes(routes!(encode::foresee))
        .routes(routes!(caption::add, caption::remove))
        .routes(routes!(publication::create))
        .routes(routes!(publication::delete))
}

/// What carries its right in a signature over its body, so that neither token nor site is looked at.
fn signed() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(zoom::hear)).routes(routes!(hook::hear))
}

/// The OpenAPI document as text.
pub(crate) fn openapi() -> String {
    let (_, mut document) = api().merge(signed()).split_for_parts();
    name_codes(&mut document);
    let mut text = document.to_pretty_json().expect("because the document is made of plain values");
    text.push('\n');
    text
}

/// Writes every problem code into the description, so that clients can match on them.
fn name_codes(document: &mut utoipa::openapi::OpenApi) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let problem = schemas.and_then(|schemas| schemas.get_mut("Document"));
    let Some(RefOr::T(Schema::Object(problem))) = problem else {
        unreachable!("because the problem document is one of the described schemas")
    };
    if let Some(RefOr::T(Schema::Object(code))) = problem.properties.get_mut("code") {
        code.enum_values = Some(problem::Code::ALL.iter().map(|code| code.wire().0.into()).collect());
    }
}

/// What a node that serves nobody says of itself, for those who watch over it.
pub(crate) fn health_only(node: &Shared) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .layer(from_fn_with_state(Arc::clone(node), request::guard))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(Arc::clone(node))
}

/// All routes.
pub(crate) fn router(node: &Shared) -> Router {
    let (api, _) = api().split_for_parts();
    let guarded = api
        .route("/v1/openapi.json", get(about::openapi))
        .route("/files", any(files::collection))
        .route("/files/", any(files::collection))
        .route("/files/{key}", any(files::one))
        .route("/files/{key}/tail", axum::routing::put(tail::keep))
        .route("/upload", post(form::receive))
        .route("/r/{pass}", any(errand::bytes))
        .route("/metrics", get(health::metrics))
        .fallback(page::serve)
        .method_not_allowed_fallback(page::wrong_method)
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(node), request::guard));
    // A viewer's requests carry their right in the path; nothing else about them is looked at.
    let open = Router::new()
        .route("/p/{token}/{video}/{generation}/{name}", get(origin::manifest).options(origin::preflight))
        .route(
            "/p/{token}/{video}/{generation}/{track}/{name}",
            get(origin::of_track).options(origin::preflight),
        )
        .route(
            "/p/{token}/{video}/{generation}/{track}/{kind}/{name}",
            get(origin::segment).options(origin::preflight),
        )
        // The id of an assembly is the right to it, and a signature to make one.
        .route("/assemblies", post(assembly::create).options(assembly::preflight))
        .route("/assemblies/events", get(assembly::events).options(assembly::preflight))
        .route(
            "/assemblies/{id}",
            get(assembly::show)
                .post(assembly::create_as)
                .delete(assembly::cancel)
                .options(assembly::preflight),
        )
        .route("/assemblies/{id}/files", post(assembly::send).options(assembly::preflight))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    let (signed, _) = signed().split_for_parts();
    open.merge(signed).merge(guarded).with_state(Arc::clone(node))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_description_of_the_api_is_its_snapshot() {
        let snapshot = include_str!("../../../../proto/openapi.json");
        assert!(
            super::openapi() == snapshot,
            "the API changed: look at `matinee openapi | diff proto/openapi.json -`, then write it to proto/openapi.json"
        );
    }

    #[test]
    fn every_problem_code_is_described() {
        let described = super::openapi();
        for code in super::problem::Code::ALL {
            assert!(described.contains(&format!("\"{}\"", code.wire().0)), "{code:?}");
        }
    }
}
