//! Who asks in these tests: a server that an administrator has claimed, and tokens in its apps.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{claim, signed_in};
use crate::support::server::{Place, Server};

/// All scopes that a token can have.
pub(crate) const SCOPES: [&str; 6] =
    ["upload:write", "video:read", "video:write", "job:read", "job:write", "admin"];

/// A claimed server with the token of its administrator.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) admin: String,
}

impl House {
    pub(crate) async fn open() -> Self {
        let config = "[uploads]\nimport_roots = [\".\"]\n[workers]\nidentical = false\n\
                      [ingest]\nallow_hosts = [\"127.0.0.1:9\"]\n";
        Self::at(Place::new(config)).await
    }

    pub(crate) async fn at(place: Place) -> Self {
        Self::of(Server::at(place).await).await
    }

    /// Claims a server that is open to this machine.
    pub(crate) async fn of(server: Server) -> Self {
        let secret = claim(&server).await;
        let cookie = signed_in(&server, &secret).await.unwrap();
        let body = json!({ "name": "admin", "scopes": ["admin"] });
        let made = server.request(Method::POST, "/v1/tokens").header("Cookie", cookie).json(&body);
        let made: Value = made.send().await.unwrap().json().await.unwrap();
        Self { server, admin: made["secret"].as_str().unwrap().to_owned() }
    }

    /// A request with a token.
    pub(crate) fn with(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).bearer_auth(token)
    }

    /// Status and JSON of a request with a token and perhaps a body.
    pub(crate) async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let request = self.with(token, method, path);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        told(request.send().await.unwrap()).await
    }

    /// A token with these scopes in the administrator's own app.
    pub(crate) async fn token(&self, scopes: &[&str]) -> String {
        let body = json!({ "name": "some", "scopes": scopes });
        let (code, made) = self.ask(&self.admin, Method::POST, "/v1/tokens", Some(body)).await;
        assert_eq!(code, 201, "{made}");
        made["secret"].as_str().unwrap().to_owned()
    }

    /// Makes an app; its id, and a token with these scopes in it.
    pub(crate) async fn app(&self, name: &str, scopes: &[&str]) -> (String, String) {
        let (code, app) =
            self.ask(&self.admin, Method::POST, "/v1/apps", Some(json!({ "name": name }))).await;
        assert_eq!(code, 201, "{app}");
        let id = app["id"].as_str().unwrap().to_owned();
        let body = json!({ "name": "some", "scopes": scopes });
        let path = format!("/v1/apps/{id}/tokens");
        let (code, made) = self.ask(&self.admin, Method::POST, &path, Some(body)).await;
        assert_eq!(code, 201, "{made}");
        (id, made["secret"].as_str().unwrap().to_owned())
    }

    /// Announces an upload; what the answer says.
    pub(crate) async fn announce(&self, token: &str, body: Value) -> Value {
        let (code, made) = self.ask(token, Method::POST, "/v1/uploads", Some(body)).await;
        assert_eq!(code, 201, "{made}");
        made
    }
}

/// Status and JSON of an answer.
pub(crate) async fn told(response: Response) -> (u16, Value) {
    let code = response.status().as_u16();
    let text = response.text().await.unwrap();
    (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The path of an address that an answer names.
pub(crate) fn path_of(address: &Value) -> String {
    let address = address.as_str().unwrap();
    address[address.find("/files/").unwrap()..].to_owned()
}
