//! The registry, with a loader that counts, and with TorchScript modules: once, however many ask; versions beside each other;
//! what goes for what comes; what is refused; and nothing is taken from those who use it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bus;
mod counting;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use counting::{MB, Rig, put};
use tasklane_ml::error::MlError;
use tasklane_models::ModelName;

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

#[tokio::test]
async fn however_many_ask_it_is_loaded_once() {
    let rig = Rig::new(100 * MB);
    put(&rig.folder("m1"), "m", "1", MB, "");
    let asking = (0..50).map(|_| {
        let registry = rig.registry.clone();
        tokio::spawn(async move { registry.get("m").await.unwrap() })
    });
    let asking: Vec<_> = asking.collect();
    let mut got = Vec::new();
    for one in asking {
        got.push(one.await.unwrap());
    }
    assert!(got.windows(2).all(|two| Arc::ptr_eq(&two[0], &two[1])));
    assert_eq!(rig.counts.loads.load(SeqCst), 1);
    let again = rig.registry.get("m@1").await.unwrap();
    assert!(Arc::ptr_eq(&again, &got[0]));
    assert_eq!(rig.counts.loads.load(SeqCst), 1);
}

#[tokio::test]
async fn a_load_goes_on_where_who_asked_has_gone() {
    let rig = Rig::new(100 * MB);
    put(&rig.folder("m1"), "m", "1", MB, "");
    rig.counts.hold.store(true, SeqCst);
    let registry = rig.registry.clone();
    let asking = tokio::spawn(async move { registry.get("m").await.map(drop) });
    rig.counts.begun().await;
    asking.abort();
    let registry = rig.registry.clone();
    let second = tokio::spawn(async move { registry.get("m").await.map(drop) });
    rig.counts.hold.store(false, SeqCst);
    second.await.unwrap().unwrap();
    assert_eq!(rig.counts.loads.load(SeqCst), 1);
}

#[tokio::test]
async fn who_was_not_asked_the_longest_goes_and_who_is_used_or_kept_stays() {
    let rig = Rig::new(10 * MB);
    for model in ["a", "b", "c", "d"] {
        put(&rig.folder(model), model, "1", 4 * MB, "");
    }
    put(&rig.folder("large"), "large", "1", 11 * MB, "");
    let loaded = || rig.loaded();
    rig.registry.get("a").await.map(drop).unwrap();
    rig.registry.get("b").await.map(drop).unwrap();
    rig.registry.get("a").await.map(drop).unwrap();
    rig.registry.get("c").await.map(drop).unwrap();
    assert_eq!(loaded(), ["a@1", "c@1"], "b was asked for the longest ago");
    // In use.
    let a = rig.registry.get("a").await.unwrap();
    rig.registry.get("d").await.map(drop).unwrap();
    assert_eq!(loaded(), ["a@1", "d@1"]);
    rig.registry.keep(&name("d")).await.map(drop).unwrap();
    let registry = rig.registry.clone();
    let b = tokio::spawn(async move { registry.get("b").await.map(drop) });
    while loaded() != ["d@1"] {
        tokio::task::yield_now().await;
    }
    assert_eq!((a.model.alive(), b.is_finished()), (2, false), "a serves on for who has it, and nobody else");
    drop(a);
    b.await.unwrap().unwrap();
    assert_eq!(loaded(), ["b@1", "d@1"], "d is kept");
    let Err(MlError::TooMuchMemory { need_mb: 11, has_mb: 6, .. }) =
        rig.registry.get("large").await.map(drop)
    else {
        panic!("it never fits");
    };
    assert_eq!(loaded(), ["b@1", "d@1"], "nobody went in vain");
    assert_eq!(rig.registry.memory(), (8 * MB, 10 * MB));
}

#[tokio::test]
async fn what_is_unloaded_counts_until_the_last_task_has_ended() {
    let rig = Rig::new(10 * MB);
    put(&rig.folder("a"), "a", "1", 6 * MB, "");
    put(&rig.folder("b"), "b", "1", 6 * MB, "");
    let a = rig.registry.get("a").await.unwrap();
    assert_eq!(rig.registry.unload(&name("a")), [name("a@1")]);
    assert!(rig.registry.unload(&name("a")).is_empty());
    assert_eq!(rig.registry.status().iter().map(|s| s.state).collect::<Vec<_>>(), ["leaving"]);
    let registry = rig.registry.clone();
    let b = tokio::spawn(async move { registry.get("b").await.map(drop) });
    while !rig.registry.status().iter().any(|s| s.state == "loading") {
        tokio::task::yield_now().await;
    }
    assert_eq!((a.model.alive(), b.is_finished()), (1, false), "it is still whole");
    drop(a);
    b.await.unwrap().unwrap();
    assert_eq!(rig.loaded(), ["b@1"]);
}

#[tokio::test]
async fn who_has_no_room_for_what_is_kept_has_it_when_that_is_unloaded() {
    let rig = Rig::new(10 * MB);
    put(&rig.folder("a"), "a", "1", 6 * MB, "");
    put(&rig.folder("b"), "b", "1", 6 * MB, "");
    rig.registry.keep(&name("a")).await.map(drop).unwrap();
    assert!(matches!(rig.registry.get("b").await.map(drop), Err(MlError::TooMuchMemory { has_mb: 4, .. })));
    // As the error advises.
    rig.registry.unload(&name("a"));
    rig.registry.get("b").await.map(drop).unwrap();
}

#[tokio::test]
async fn two_models_that_have_room_one_at_a_time_serve_all_who_ask_at_once() {
    let rig = Rig::new(10 * MB);
    put(&rig.folder("a"), "a", "1", 6 * MB, "");
    put(&rig.folder("b"), "b", "1", 6 * MB, "");
    let asking = (0..40).map(|n| {
        let registry = rig.registry.clone();
        tokio::spawn(async move {
            for turn in 0..5 {
                let model = registry.get(["a", "b"][(n + turn) % 2]).await.unwrap();
                tokio::task::yield_now().await;
                assert!(model.model.alive() <= 1, "never both");
            }
        })
    });
    for one in asking.collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn versions_stand_beside_each_other_and_the_newest_takes_over() {
    let rig = Rig::new(100 * MB);
    put(&rig.folder("m1"), "m", "1.9", MB, "");
    let old = rig.registry.get("m").await.unwrap();
    assert_eq!(old.manifest.version, "1.9");
    put(&rig.folder("m2"), "m", "1.10", MB, "");
    // It serves on until the newer one is there.
    assert!(Arc::ptr_eq(&rig.registry.get("m").await.unwrap(), &old));
    rig.registry.renew().await;
    let new = rig.registry.get("m").await.unwrap();
    assert_eq!(new.manifest.version, "1.10");
    assert!(Arc::ptr_eq(&rig.registry.get("m@1.9").await.unwrap(), &old), "and the old one by its version");
    assert_eq!(rig.loaded(), ["m@1.10", "m@1.9"]);
    assert_eq!(rig.registry.unload(&name("m")).len(), 2);
    assert!(rig.loaded().is_empty());
    // Asked for by its version, the old one does not become what the name means.
    rig.registry.get("m@1.9").await.map(drop).unwrap();
    assert_eq!(rig.registry.get("m").await.unwrap().manifest.version, "1.10");
}

#[tokio::test]
async fn a_newer_one_that_is_bad_does_not_take_over() {
    let rig = Rig::new(100 * MB);
    put(&rig.folder("m1"), "m", "1", MB, "");
    let old = rig.registry.get("m").await.unwrap();
    put(&rig.folder("m2"), "m", "2", MB, "[[examples]]\ninput = { say = 1 }\noutput = { said = 2 }\n");
    rig.registry.renew().await;
    rig.registry.renew().await;
    assert_eq!(rig.counts.loads.load(SeqCst), 2, "once, not every few seconds");
    assert!(Arc::ptr_eq(&rig.registry.get("m").await.unwrap(), &old));
    // Repaired: another manifest.
    put(&rig.folder("m2"), "m", "2", MB, "[[examples]]\ninput = { say = 1 }\noutput = { said = 1 }\n");
    rig.registry.renew().await;
    assert_eq!(rig.registry.get("m").await.unwrap().manifest.version, "2");
}

#[tokio::test]
async fn another_model_of_the_same_version_replaces_it_without_taking_it_from_tasks() {
    let rig = Rig::new(100 * MB);
    put(&rig.folder("m"), "m", "1", MB, "");
    let before = rig.registry.get("m").await.unwrap();
    put(&rig.folder("m"), "m", "1", 2 * MB, "");
    rig.registry.renew().await;
    let after = rig.registry.get("m").await.unwrap();
    assert_eq!((before.bytes, after.bytes), (MB, 2 * MB));
    assert_eq!((before.model.alive(), rig.registry.memory().0), (2, 3 * MB));
    drop(before);
    assert_eq!((after.model.alive(), rig.registry.memory().0), (1, 2 * MB));
}

#[tokio::test]
async fn what_is_wrong_with_a_model_is_told() {
    let rig = Rig::new(100 * MB);
    put(&rig.folder("damaged"), "damaged", "1", MB, "");
    std::fs::write(rig.folder("damaged").join("model.pt"), "other").unwrap();
    put(&rig.folder("wrong"), "wrong", "1", MB, "");
    std::fs::write(rig.folder("wrong").join("model.toml"), "name = 1\n").unwrap();
    let example = "[[examples]]\ninput = { say = 1 }\noutput = { said = 1 }\n[[examples]]\ninput = { say = 1 }\noutput = { said = 1.5 }\ntolerance = 0.1\n";
    put(&rig.folder("failing"), "failing", "1", MB, example);
    put(&rig.folder("dumb"), "dumb", "1", MB, "[[examples]]\ninput = { other = 1 }\noutput = {}\n");
    put(&rig.folder("panics"), "panics", "1", MB, "");
    for (model, expected) in [
        ("damaged", "the model `damaged@1` is refused: `model.pt` has the checksum"),
        ("wrong", "the model `wrong` is refused: model.toml line 1, column 1: the file has no `kind`"),
        ("failing", "the model `failing@1` is refused: example 2 of its manifest: said is 1, expected 1.5"),
        ("dumb", "the model `dumb@1` is refused: example 1 of its manifest: say what?"),
        ("panics", "panicked"),
        ("absent", "there is no model `absent`; `tasklane models list` shows what there is"),
        ("failing@2", "there is no model `failing@2`"),
        ("../m", "the model `../m` may have"),
    ] {
        let error = rig.registry.get(model).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{model}: {error}");
    }
    assert!(rig.loaded().is_empty());
    let loads = rig.counts.loads.load(SeqCst);
    rig.registry.get("failing").await.map(drop).unwrap_err();
    assert_eq!(rig.counts.loads.load(SeqCst), loads, "it is not tried again at once");
    assert_eq!(rig.registry.memory().0, 0, "nothing is reserved for what did not come");
}
