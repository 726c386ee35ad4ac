//! Files that steps fetch from addresses with fields in them; keys and templates are made on the command line.

use http::Method;
use serde_json::{Value, json};

use super::{Key, ask, ended};
use crate::access::people::House;
use crate::support::clips;
use crate::support::files::{Files, Manner};
use crate::support::server::Server;

// A command blocks its thread; the server of files answers on another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_of_the_command_line_fetches_what_fields_name() {
    let files = Files::start().await;
    files.put("/films/7.mp4", clips::mp4(2), Manner::default());
    let house =
        House::of(Server::with(&format!("{}[workers]\nidentical = false\n", files.allowed())).await).await;
    let server = &house.server;
    let made: Value =
        serde_json::from_str(&server.tell(&["assemblies", "key", "new", "--name", "a shop", "--json"]))
            .unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let key = Key { id: text("id"), secret: text("secret") };
    assert!(server.tell(&["assemblies", "key", "ls"]).contains("a shop"));

    let template = json!({ "steps": {
        "film": { "robot": "/http/import", "url": format!("http://127.0.0.1:{}/films/${{fields.number}}.mp4", files.port) },
        "small": { "use": "film", "robot": "/video/encode", "width": 320, "height": 180 },
    } });
    let file = server.data().join("shop.json");
    std::fs::write(&file, template.to_string()).unwrap();
    assert!(
        server.tell(&["assemblies", "template", "put", "shop", file.to_str().unwrap()]).contains("`shop`")
    );
    let shown: Value =
        serde_json::from_str(&server.tell(&["assemblies", "template", "show", "shop"])).unwrap();
    assert_eq!(shown, template);

    // A field comes with the form as well as with what is signed; without it nothing is fetched.
    let params = key.params(&json!({ "template_id": "shop" }));
    let form = |number: Option<&str>| {
        let number = number.map(|number| ("number", number.to_owned()));
        [("params", params.clone()), ("signature", key.sign(&params))]
            .into_iter()
            .chain(number)
            .collect::<Vec<_>>()
    };
    let (code, refused) = ask(server, "/assemblies", &form(None), None).await;
    assert_eq!((code, &refused["error"]), (400, &json!("INVALID_PARAMS_FIELD")), "{refused}");
    let (code, begun) = ask(server, "/assemblies", &form(Some("7")), None).await;
    assert_eq!(code, 200, "{begun}");
    let done = ended(server, &begun).await;
    assert_eq!(done["ok"], "ASSEMBLY_COMPLETED", "{done}");
    assert_eq!(done["results"]["film"][0]["name"], "7.mp4");
    assert_eq!(done["results"]["small"][0]["meta"]["height"], 180);

    server.tell(&["assemblies", "template", "rm", "shop"]);
    server.tell(&["assemblies", "key", "rm", &key.id]);
    let list = house.ask(&house.admin, Method::GET, "/v1/assembly-keys", None).await.1;
    assert_eq!(list["items"], json!([]));
    let (_, refused) = ask(server, "/assemblies", &form(Some("7")), None).await;
    assert_eq!(refused["error"], "GET_ACCOUNT_UNKNOWN_AUTH_KEY");
}
