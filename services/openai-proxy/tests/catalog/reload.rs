//! Following the file: what counts as a change, and what a broken file does.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tasklane_openai_proxy::catalog::read_key;
use tasklane_openai_proxy::catalog::reload::{LoadError, SETTLING, Stamp, Watched, changed};

const PROVIDER: &str = "[providers.p]\nbase_url = \"http://h\"\n";

fn model(name: &str) -> String {
    format!("[models.{name}]\nprovider = \"p\"\ncontext_tokens = 9\nmax_output_tokens = 9\nfree = true\n")
}

/// A time at which everything that was just written has settled.
fn later() -> SystemTime {
    SystemTime::now() + 2 * SETTLING
}

fn has(watched: &Watched, model: &str) -> bool {
    watched.current().model(model).is_some()
}

#[test]
fn a_change_is_taken_up_and_who_holds_the_old_one_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    fs::write(&file, PROVIDER.to_owned() + &model("one")).unwrap();
    let watched = Watched::load(&file, later(), read_key).unwrap();
    assert_eq!(watched.reload_if_changed(later()), Ok(false));
    let held = watched.current();

    fs::write(&file, PROVIDER.to_owned() + &model("two")).unwrap();
    assert_eq!(watched.reload_if_changed(later()), Ok(true));
    assert!(has(&watched, "two") && !has(&watched, "one"));
    assert!(held.model("one").is_some());
    assert_eq!(watched.reload_if_changed(later()), Ok(false));

    let before = watched.current();
    assert_eq!(watched.reload(later()), Ok(()));
    assert!(!Arc::ptr_eq(&before, &watched.current()), "asked for by a signal, it is read without a change");
}

#[test]
fn a_broken_file_is_reported_once_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    fs::write(&file, PROVIDER.to_owned() + &model("one")).unwrap();
    let watched = Watched::load(&file, later(), read_key).unwrap();

    fs::write(&file, format!("{PROVIDER}x = 1\n{}y = 2\n", model("two"))).unwrap();
    let error = watched.reload_if_changed(later()).unwrap_err();
    let LoadError::Mistakes { mistakes, .. } = &error else { panic!("{error}") };
    assert_eq!(mistakes.iter().map(|m| m.line).collect::<Vec<_>>(), [3, 9]);
    let shown = error.to_string();
    let start = format!("{}:3:1: provider `p` has no key `x`", file.display());
    assert!(shown.starts_with(&start) && shown.lines().count() == 2, "{shown}");
    assert!(has(&watched, "one") && !has(&watched, "two"));
    assert_eq!(watched.reload_if_changed(later()), Ok(false), "once is enough");
    assert!(watched.reload(later()).is_err(), "who asks is told again");

    fs::remove_file(&file).unwrap();
    assert!(matches!(watched.reload_if_changed(later()), Err(LoadError::Unreadable { .. })));
    assert_eq!(watched.reload_if_changed(later()), Ok(false));
    assert!(has(&watched, "one"));

    fs::write(&file, PROVIDER.to_owned() + &model("two")).unwrap();
    assert_eq!(watched.reload_if_changed(later()), Ok(true));
    assert!(has(&watched, "two"));
}

#[test]
fn without_a_first_catalog_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    let load = |path: &Path| Watched::load(path, later(), read_key).map(|_| ());
    assert!(matches!(load(&file), Err(LoadError::Unreadable { .. })));
    fs::write(&file, "[models]\n").unwrap();
    assert!(matches!(load(&file), Err(LoadError::Mistakes { .. })));
    fs::write(&file, b"# \xff").unwrap();
    assert!(load(&file).unwrap_err().to_string().contains("not UTF-8 from byte 2"));
    fs::write(&file, "é".repeat(1 << 20)).unwrap();
    assert!(load(&file).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn a_key_that_changes_in_its_file_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (file, key) = (dir.path().join("providers.toml"), dir.path().join("key"));
    fs::write(&key, "old-key\n").unwrap();
    let named = format!("{PROVIDER}key = {{ file = \"{}\" }}\n{}", key.display(), model("one"));
    fs::write(&file, named).unwrap();
    let watched = Watched::load(&file, later(), read_key).unwrap();
    let of = |watched: &Watched| {
        watched.current().provider("p").unwrap().key.as_ref().unwrap().expose().to_owned()
    };
    assert_eq!(of(&watched), "old-key");
    assert_eq!(watched.reload_if_changed(later()), Ok(false));
    fs::write(&key, "new-key\n").unwrap();
    assert_eq!(watched.reload_if_changed(later()), Ok(true));
    assert_eq!(of(&watched), "new-key");

    fs::remove_file(&key).unwrap();
    assert!(watched.reload_if_changed(later()).unwrap_err().to_string().contains("does not exist"));
    assert_eq!(of(&watched), "new-key", "what ran before goes on");
    fs::write(&key, "third\n").unwrap();
    assert_eq!(
        watched.reload_if_changed(later()),
        Ok(true),
        "the key's file is followed though it was missing"
    );
    assert_eq!(of(&watched), "third");
}

/// As Kubernetes replaces a mounted secret: a link to a folder is bent, by renaming, to another one.
#[test]
fn a_bent_link_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("providers.toml"), PROVIDER.to_owned() + &model(name)).unwrap();
    }
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), dir.path().join("data")).unwrap();
    };
    link("one");
    let watched = Watched::load(dir.path().join("data/providers.toml"), later(), read_key).unwrap();
    assert!(has(&watched, "one"));
    link("two");
    assert_eq!(watched.reload_if_changed(later()), Ok(true));
    assert!(has(&watched, "two"));
}

#[test]
fn readers_and_reloads_at_once_always_see_a_whole_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    fs::write(&file, PROVIDER.to_owned() + &model("a0") + &model("b0")).unwrap();
    let watched = Watched::load(&file, later(), read_key).unwrap();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !seen.contains("a49") {
                let catalog = watched.current();
                let ids: Vec<&str> = catalog.models().map(|m| m.id.as_str()).collect();
                assert!(ids.len() == 2 && ids[0][1..] == ids[1][1..], "{ids:?}");
                seen.insert(ids[0].to_owned());
            }
            seen.len()
        });
        for n in 1..50 {
            let next = dir.path().join("next");
            fs::write(&next, PROVIDER.to_owned() + &model(&format!("a{n}")) + &model(&format!("b{n}")))
                .unwrap();
            fs::rename(&next, &file).unwrap();
            watched.reload(later()).unwrap();
        }
        assert!(reading.join().unwrap() >= 1);
    });
}

fn stamp() -> impl Strategy<Value = Stamp> {
    let time = (0u64..1_000_000).prop_map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
    (0u64..3, 0u64..3, prop::option::of(time), 0i64..3).prop_map(|(inode, length, modified, touched)| Stamp {
        identity: (1, inode),
        length,
        modified,
        touched: (touched, 0),
    })
}

proptest! {
    #[test]
    fn a_change_is_a_difference_or_a_doubt(
        before in prop::option::of(stamp()), other in prop::option::of(stamp()), same in any::<bool>(),
        after_ms in -3_000i64..3_000,
    ) {
        let now = if same { before } else { other };
        let modified = before.and_then(|b| b.modified).unwrap_or(SystemTime::UNIX_EPOCH) + Duration::from_secs(9);
        let before = before.map(|b| Stamp { modified: b.modified.map(|_| modified), ..b });
        let now = now.map(|n| if same { Stamp { modified: n.modified.map(|_| modified), ..n } } else { n });
        let shift = Duration::from_millis(after_ms.unsigned_abs());
        let read_at = if after_ms < 0 { modified - shift } else { modified + shift };
        let fresh = before.as_ref().and_then(|b| b.modified).is_some_and(|m| m <= read_at && read_at < m + SETTLING);
        let expected = before != now || (fresh && now.is_some());
        prop_assert_eq!(changed(before.as_ref(), read_at, now.as_ref()), expected);
        let settled = before.and_then(|b| b.modified).map_or(read_at, |m| m.max(read_at)) + SETTLING;
        prop_assert!(!changed(before.as_ref(), settled, before.as_ref()), "it comes to rest");
    }
}
