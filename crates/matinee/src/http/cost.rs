//! `/v1/costs`: what this month costs, what if something moved, and the price cards.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use matinee_core::access::Scope;
use matinee_core::calendar;
use matinee_core::price;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::{Ask, CostReport, Problems, Sent, WhatIf};
use crate::flow::{cost, now};

/// Where to move it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Move {
    /// The price card of the place that it would move to.
    #[serde(default)]
    #[param(required = true)]
    card: String,
}

/// A price card: what a place asks. A price is for gigabytes of 10^9 bytes, and for a month where something is stored; 0 is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriceCard {
    /// Its name.
    name: String,
    /// It is more than a year old.
    old: bool,
    /// It was written here, and can be taken back; else it is of the configuration or of the release.
    written: bool,
    /// What it says: `title`, `currency`, `date`, `source`, `note` and the prices.
    #[schema(value_type = Object)]
    card: price::Card,
}

/// All price cards that count.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CardList {
    /// The cards, by name.
    items: Vec<PriceCard>,
}

impl PriceCard {
    fn of((card, written): (price::Card, bool)) -> Self {
        Self { name: card.name.clone(), old: card.is_old(now()), written, card }
    }
}

/// What this month costs so far and is expected to be: by place, app, collection and video. Other apps than the first one see what
/// they bear.
#[utoipa::path(get, path = "/v1/costs", operation_id = "cost_show", tag = "costs", responses((status = 200, body = CostReport), Problems))]
pub(crate) async fn show(State(node): State<Shared>, caller: Caller) -> Result<Json<CostReport>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let report = cost::report(&node).await?;
    let names = cost::names(&node, app).await?;
    Ok(Json(CostReport::of(&report, (app, app == node.defaults.app), &names)))
}

/// What a collection would cost at a place with this price card.
#[utoipa::path(get, path = "/v1/collections/{id}/what-if", operation_id = "cost_what_if", tag = "costs", params(("id" = String, Path, description = "The collection."), Move), responses((status = 200, body = WhatIf), Problems))]
pub(crate) async fn what_if(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Ask(Move { card }): Ask<Move>,
) -> Result<Json<WhatIf>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let collection = id.parse().map_err(|_| Problem::not_found())?;
    let moved = cost::what_if(&node, (app, collection), &card).await?;
    Ok(Json(WhatIf::of(collection, &card, moved)))
}

/// Lists the price cards that count.
#[utoipa::path(get, path = "/v1/costs/cards", operation_id = "cost_cards", tag = "costs", responses((status = 200, body = CardList), Problems))]
pub(crate) async fn cards(State(node): State<Shared>, caller: Caller) -> Result<Json<CardList>, Problem> {
    caller.permit(Scope::Admin)?;
    Ok(Json(CardList { items: cost::cards(&node).await?.into_iter().map(PriceCard::of).collect() }))
}

/// Writes a price card, over the one of its name. What is missing is no price; without a `date` it is of this month.
#[utoipa::path(put, path = "/v1/costs/cards/{name}", operation_id = "cost_card_put", tag = "costs", params(("name" = String, Path, description = "The name of the card.")), request_body = Object, responses((status = 200, body = PriceCard), Problems))]
pub(crate) async fn put(
    State(node): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Sent(sent): Sent<serde_json::Value>,
) -> Result<Json<PriceCard>, Problem> {
    caller.permit_server(&node)?;
    let read = serde_json::from_value(sent);
    let mut card: price::Card =
        read.map_err(|error| Problem::new(Code::BadRequest, format!("The body is no price card: {error}.")))?;
    card.name = name;
    if card.date.is_empty() {
        card.date = calendar::month(now()).0;
    }
    cost::put_card(&node, &card).await?;
    Ok(Json(PriceCard::of((card, true))))
}

/// Takes back a price card that was written here: what the configuration or the release says counts again.
#[utoipa::path(delete, path = "/v1/costs/cards/{name}", operation_id = "cost_card_delete", tag = "costs", params(("name" = String, Path, description = "The name of the card.")), responses((status = 204, description = "It is taken back."), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.permit_server(&node)?;
    cost::remove_card(&node, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
