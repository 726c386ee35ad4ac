//! The proof that nothing is orphaned, and the account of what is to go.

use serde_json::Value;

use super::{code, command, json_lines, matinee, text};
use crate::support::clips;

#[test]
fn what_no_row_knows_is_found_and_put_aside_and_what_is_missing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.mp4");
    std::fs::write(&clip, clips::mp4(2)).unwrap();
    assert_eq!(code(&matinee(dir.path(), &["import", clip.to_str().unwrap()])), 0);
    let proof = || {
        let ended = matinee(dir.path(), &["gc", "prove", "--json"]);
        (code(&ended), json_lines(&ended).pop().unwrap())
    };
    let (ok, first) = proof();
    assert_eq!((ok, &first["holds"], first["objects"].as_u64().unwrap() > 0), (0, &Value::Bool(true), true));

    // Somebody copies a file to the wrong place, and a disk loses one.
    let objects = dir.path().join("data/objects");
    let name = "obj_01jd3x00000000000000000000";
    let stranger = objects.join("00").join(name);
    std::fs::create_dir_all(stranger.parent().unwrap()).unwrap();
    std::fs::write(&stranger, "ten bytes.").unwrap();
    std::fs::write(objects.join("notes.txt"), "").unwrap();
    let video = json_lines(&matinee(dir.path(), &["ls", "--json"])).pop().unwrap();
    let ledger = matinee(dir.path(), &["ledger", "ls", "--json", "--state", "present"]);
    let row = json_lines(&ledger).into_iter().find(|row| row["kind"] == "source").unwrap();
    assert_eq!(row["video_id"], video["id"]);
    let source = row["id"].as_str().unwrap().replacen("led_", "obj_", 1);
    std::fs::remove_file(objects.join(&source[source.len() - 2..]).join(&source)).unwrap();

    let (bad, found) = proof();
    assert_eq!((bad, &found["holds"]), (1, &Value::Bool(false)));
    assert_eq!(
        (&found["unknown"][0]["object"], &found["unknown"][0]["size_bytes"]),
        (&name.into(), &10.into())
    );
    assert_eq!(found["missing"][0]["object"], source.as_str());
    assert_eq!(found["strays"].as_array().unwrap().len(), 1);
    let said = text(&matinee(dir.path(), &["gc", "--dry-run"]));
    assert!(said.contains(&format!("unknown  {name}  10 bytes")) && said.contains("missing  "), "{said}");
    assert!(stranger.exists(), "a dry run changes nothing");

    let said = text(&matinee(dir.path(), &["gc"]));
    assert!(said.contains("put aside: 1, in data/quarantine for two days"), "{said}");
    assert!(!stranger.exists() && objects.join("notes.txt").exists());
    let aside: Vec<_> = std::fs::read_dir(dir.path().join("data/quarantine")).unwrap().collect();
    assert_eq!(aside.len(), 1);
    let (_, after) = proof();
    assert_eq!((&after["unknown"], after["missing"].as_array().unwrap().len()), (&serde_json::json!([]), 1));
}

#[test]
fn the_ledger_is_listed_and_hurried() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.mp4");
    std::fs::write(&clip, clips::mp4(2)).unwrap();
    assert_eq!(code(&matinee(dir.path(), &["import", clip.to_str().unwrap()])), 0);
    let said = text(&matinee(dir.path(), &["ledger"]));
    assert!(said.contains("source") && said.contains("local: ") && said.contains(" present, "), "{said}");
    assert_eq!(text(&matinee(dir.path(), &["ledger", "retry"])), "nothing waits after a failed delete\n");
    let absent =
        command(dir.path(), &["ledger", "retry", "led_01jd3x00000000000000000000"]).output().unwrap();
    assert_eq!(code(&absent), 4);
}
