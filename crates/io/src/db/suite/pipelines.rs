//! Pipelines of an app: versions never change, the same again is none, and nobody sees those of others.

use matinee_core::limits::{PIPELINES_BYTES_MAX, PIPELINES_MAX};
use matinee_core::pipeline::Pipeline;
use matinee_core::quota::Quota;

use super::support::{Bench, T0, id, on_both};
use crate::db::DbError;

on_both! {
    another_content_is_another_version_and_the_same_is_none
    versions_that_are_written_together_come_one_after_the_other
    an_archived_pipeline_is_kept_and_comes_back
    an_app_sees_its_own_only
    an_app_has_not_endlessly_many
    an_app_has_not_endlessly_large_ones
    a_new_one_takes_the_place_of_none
    a_list_leaves_the_pictures_out
}

fn pipeline(name: &str, sizes: &[u32]) -> Pipeline {
    Pipeline { name: name.to_owned(), sizes: sizes.to_vec(), ..Pipeline::default() }
}

async fn another_content_is_another_version_and_the_same_is_none(bench: Bench) {
    let (small, large) = (pipeline("cinema", &[240]), pipeline("cinema", &[1080]));
    let mut made = Vec::new();
    for (wanted, at) in [(&small, 0), (&small, 1), (&large, 2), (&small, 3)] {
        let (version, new) = bench.db.put_pipeline(bench.app, wanted, false, T0.plus(at)).await.unwrap();
        made.push((version.version, new, version.created.since(T0)));
    }
    assert_eq!(made, [(1, true, 0), (1, false, 0), (2, true, 2), (3, true, 3)]);
    let all = bench.db.pipeline_versions(bench.app, "cinema").await.unwrap();
    let told: Vec<_> = all.iter().map(|one| (one.version, one.pipeline.sizes[0])).collect();
    assert_eq!(told, [(3, 240), (2, 1080), (1, 240)], "an old one never changes");
    let newest = bench.db.pipelines(bench.app).await.unwrap();
    assert_eq!((newest.len(), newest[0].version), (1, 3));
}

async fn versions_that_are_written_together_come_one_after_the_other(bench: Bench) {
    let put = |size: u32| {
        let (db, app) = (bench.db.clone(), bench.app);
        tokio::spawn(async move { db.put_pipeline(app, &pipeline("cinema", &[size]), false, T0).await })
    };
    let writers: Vec<_> = (1..=8).map(|n| put(n * 100)).collect();
    let mut numbers = Vec::new();
    for writer in writers {
        numbers.push(writer.await.unwrap().unwrap().0.version);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
}

async fn an_archived_pipeline_is_kept_and_comes_back(bench: Bench) {
    let small = pipeline("cinema", &[240]);
    bench.db.put_pipeline(bench.app, &small, false, T0).await.unwrap();
    bench.db.archive_pipeline(bench.app, "cinema", T0.plus(1)).await.unwrap();
    assert_eq!(bench.db.pipelines(bench.app).await.unwrap(), []);
    let all = bench.db.pipeline_versions(bench.app, "cinema").await.unwrap();
    assert_eq!((all.len(), all[0].archived), (1, Some(T0.plus(1))));
    for absent in ["cinema", "other"] {
        let again = bench.db.archive_pipeline(bench.app, absent, T0).await;
        assert!(matches!(again, Err(DbError::Absent)), "{again:?}");
    }
    let (back, new) = bench.db.put_pipeline(bench.app, &small, false, T0.plus(2)).await.unwrap();
    assert_eq!((back.version, back.archived, new), (1, None, false));
    assert_eq!(bench.db.pipelines(bench.app).await.unwrap().len(), 1);
}

async fn an_app_sees_its_own_only(bench: Bench) {
    bench.db.put_pipeline(bench.app, &pipeline("cinema", &[240]), false, T0).await.unwrap();
    let other = id();
    bench.db.create_app(other, "other", Quota::default(), T0).await.unwrap();
    assert_eq!(bench.db.pipelines(other).await.unwrap(), []);
    assert_eq!(bench.db.pipeline_versions(other, "cinema").await.unwrap(), []);
    assert!(matches!(bench.db.archive_pipeline(other, "cinema", T0).await, Err(DbError::Absent)));
    assert_eq!(bench.db.put_pipeline(other, &pipeline("cinema", &[]), false, T0).await.unwrap().0.version, 1);
    let nobody = bench.db.put_pipeline(id(), &pipeline("cinema", &[]), false, T0).await;
    assert!(matches!(nobody, Err(DbError::Absent)), "{nobody:?}");
}

async fn an_app_has_not_endlessly_many(bench: Bench) {
    for n in 0..PIPELINES_MAX {
        bench.db.put_pipeline(bench.app, &pipeline(&format!("p{n}"), &[]), false, T0).await.unwrap();
    }
    let one_more = bench.db.put_pipeline(bench.app, &pipeline("more", &[]), false, T0).await;
    assert!(matches!(one_more, Err(DbError::Conflict(_))), "{one_more:?}");
    bench.db.put_pipeline(bench.app, &pipeline("p0", &[240]), false, T0).await.unwrap();
}

fn marked(name: &str, picture: &str) -> Pipeline {
    let mark = serde_json::from_value(serde_json::json!({ "picture": picture })).unwrap();
    Pipeline { watermark: Some(mark), ..pipeline(name, &[]) }
}

async fn an_app_has_not_endlessly_large_ones(bench: Bench) {
    const EACH: usize = 8 << 20;
    let most = usize::try_from(PIPELINES_BYTES_MAX).unwrap() / EACH;
    let large =
        |n: usize| marked("large", &char::from(b'a' + u8::try_from(n).unwrap()).to_string().repeat(EACH));
    for n in 0..most - 1 {
        bench.db.put_pipeline(bench.app, &large(n), false, T0).await.unwrap();
    }
    bench.db.put_pipeline(bench.app, &pipeline("small", &[]), false, T0).await.unwrap();
    let one_more = bench.db.put_pipeline(bench.app, &large(most), false, T0).await;
    assert!(matches!(one_more, Err(DbError::Conflict(_))), "{:?}", one_more.map(drop));
    assert!(
        !bench.db.put_pipeline(bench.app, &large(most - 2), false, T0).await.unwrap().1,
        "the same is none"
    );
}

async fn a_new_one_takes_the_place_of_none(bench: Bench) {
    let (small, large) = (pipeline("cinema", &[240]), pipeline("cinema", &[1080]));
    bench.db.put_pipeline(bench.app, &small, true, T0).await.unwrap();
    for again in [&small, &large] {
        let taken = bench.db.put_pipeline(bench.app, again, true, T0).await;
        assert!(matches!(taken, Err(DbError::Taken(_))), "{taken:?}");
    }
    // Nobody sees one that is archived, so it is in nobody's way.
    bench.db.archive_pipeline(bench.app, "cinema", T0).await.unwrap();
    assert_eq!(bench.db.put_pipeline(bench.app, &large, true, T0).await.unwrap().0.version, 2);
}

async fn a_list_leaves_the_pictures_out(bench: Bench) {
    let whole = marked("marked", "data:image/png;base64,AAAA");
    let brief = marked("marked", "");
    bench.db.put_pipeline(bench.app, &whole, false, T0).await.unwrap();
    bench.db.put_pipeline(bench.app, &pipeline("plain", &[240]), false, T0).await.unwrap();
    let listed: Vec<_> =
        bench.db.pipelines(bench.app).await.unwrap().into_iter().map(|one| one.pipeline).collect();
    assert_eq!(listed, [brief.clone(), pipeline("plain", &[240])]);
    assert_eq!(bench.db.pipeline_versions(bench.app, "marked").await.unwrap()[0].pipeline, brief);
    assert_eq!(bench.db.newest_pipeline(bench.app, "marked").await.unwrap().unwrap().pipeline, whole);
    let one = bench.db.pipeline_version(bench.app, "marked", 1).await.unwrap();
    assert_eq!(one.unwrap().pipeline, whole);
    assert_eq!(bench.db.pipeline_version(bench.app, "marked", 2).await.unwrap(), None);
    assert_eq!(bench.db.pipeline_names(bench.app).await.unwrap(), ["marked", "plain"]);
}
