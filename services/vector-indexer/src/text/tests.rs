//! Texts that are found in any language, replaced, lost with a crash before the commit, and torn on disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::words::{Of, Words};
use super::{TextError, Texts};

fn texts(folder: &Path) -> Texts {
    Texts::open(folder).unwrap()
}

fn found(texts: &Texts, question: &str) -> Vec<u64> {
    texts.search(question, 10, None).unwrap().into_iter().map(|hit| hit.1).collect()
}

fn words(text: &str, of: Of) -> Vec<String> {
    let mut words = Words::default();
    words.cut(text, of);
    words.iter().map(str::to_owned).collect()
}

#[test]
fn what_a_word_is() {
    for (text, wanted) in [
        ("Hello, World! it's 3.14", vec!["hello", "world", "it", "s", "3", "14"]),
        ("MÜLLER Straße ÆSIR Łódź", vec!["muller", "strasse", "aesir", "lodz"]),
        ("mu\u{308}ller İstanbul Ｗｉｄｅ ﬁn", vec!["muller", "istanbul", "wide", "fin"]),
        ("हिन्दी में", vec!["हिन्दी", "में"]),
        ("Ελλάς ΕΛΛΑΣ йод", vec!["ελλασ", "ελλασ", "иод"]),
        ("向量数据库", vec!["向", "向量", "量", "量数", "数", "数据", "据", "据库", "库"]),
        ("ok👍🏽 ❤️", vec!["ok", "👍", "❤"]),
        ("", vec![]),
        (" …—!? \u{301}", vec![]),
    ] {
        let mut cut = words(text, Of::Text);
        if text.starts_with('向') {
            cut.sort_unstable();
            let mut wanted = wanted;
            wanted.sort_unstable();
            assert_eq!(cut, wanted);
        } else {
            assert_eq!(cut, wanted, "{text}");
        }
    }
    assert_eq!(words("向量 库 b", Of::Question), ["向量", "库", "b"]);
    assert_eq!(words("が", Of::Question), words("か\u{3099}", Of::Question), "however it is composed");
    assert_eq!(words(&"x".repeat(1000), Of::Text), ["x".repeat(64)]);
}

#[test]
fn every_language_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(folder.path());
    for (uid, text) in [
        (1, "Die Straße nach Köln ist gesperrt, sagt Herr Müller."),
        (2, "我们使用向量数据库来搜索文档"),
        (3, "東京タワーはとても高いです"),
        (4, "서울에서 만나요"),
        (5, "Ship it 🚀 before Friday"),
        (6, "ภาษาไทยไม่มีช่องว่าง"),
    ] {
        texts.put(&uid.to_string(), uid, text).unwrap();
    }
    texts.commit(1).unwrap();
    for (question, uid) in [
        ("STRASSE", 1),
        ("koln", 1),
        ("Mu\u{308}ller?", 1),
        ("数据库", 2),
        ("文", 2),
        ("東京", 3),
        ("タワー", 3),
        ("서울", 4),
        ("🚀", 5),
        ("friday AND ship:(", 5),
        ("ภาษา", 6),
    ] {
        assert_eq!(found(&texts, question), [uid], "{question}");
    }
    for nothing in ["", " ", "+-!(){}[]^\"~*?:\\/", "\u{0}", "zebra", "数学家"] {
        assert!(found(&texts, nothing).is_empty(), "{nothing}");
    }
    assert!(texts.search("ship", 0, None).unwrap().is_empty());
    assert_eq!(found(&texts, &"ship zebra ".repeat(100_000)), [5], "a question of any length");
}

#[test]
fn texts_are_replaced_removed_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(folder.path());
    texts.put("a", 1, "red apple").unwrap();
    texts.put("b", 2, "red brick").unwrap();
    assert!(found(&texts, "red").is_empty(), "seen after a commit");
    texts.commit(10).unwrap();
    assert_eq!(found(&texts, "red"), [1, 2], "equal scores by uid");
    texts.put("a", 3, "green apple").unwrap();
    texts.put("a", 4, "green pear").unwrap();
    texts.remove("b").unwrap();
    texts.commit(11).unwrap();
    assert_eq!((found(&texts, "green"), found(&texts, "red apple brick")), (vec![4], vec![]));
    texts.put("c", 5, "green tea").unwrap();
    texts.clear().unwrap();
    texts.put("d", 6, "green field").unwrap();
    texts.put("a", 7, "green grass").unwrap();
    texts.commit(12).unwrap();
    assert_eq!(found(&texts, "green"), [6, 7], "what came after the clearing stays");
    assert!(texts.bytes().unwrap() > 0);
}

#[test]
fn a_filter_leaves_the_best_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(folder.path());
    for uid in 0..500u64 {
        texts
            .put(
                &format!("p{uid}"),
                uid,
                &format!("{} filler number{uid}", "word ".repeat(1 + uid as usize % 7)),
            )
            .unwrap();
        if uid % 120 == 0 {
            texts.commit(uid).unwrap();
        }
    }
    texts.commit(500).unwrap();
    let all = texts.search("word filler", 500, None).unwrap();
    assert_eq!(all.len(), 500);
    assert!(
        all.windows(2).all(|pair| (pair[1].0, pair[0].1) <= (pair[0].0, pair[1].1)),
        "by score, then uid"
    );
    let odd = |uid: u64| uid % 10 == 3;
    let some = texts.search("word filler", 500, Some(&odd)).unwrap();
    let wanted: Vec<_> = all.iter().filter(|hit| odd(hit.1)).copied().collect();
    assert_eq!(some, wanted);
    let few = texts.search("word filler", 20, Some(&odd)).unwrap();
    assert_eq!(
        few.iter().map(|hit| hit.0).collect::<Vec<_>>(),
        wanted[..20].iter().map(|hit| hit.0).collect::<Vec<_>>()
    );
    assert!(texts.search("word", 5, Some(&|_| false)).unwrap().is_empty());
}

#[test]
fn what_was_committed_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = texts(folder.path());
    assert_eq!(first.sequence(), 0);
    assert!(matches!(Texts::open(folder.path()), Err(TextError::Busy)));
    first.put("a", 1, "kept").unwrap();
    first.commit(u64::MAX - 1).unwrap();
    first.put("b", 2, "lost").unwrap();
    first.put("a", 3, "lost").unwrap();
    drop(first);
    let second = texts(folder.path());
    assert_eq!(second.sequence(), u64::MAX - 1);
    assert_eq!((found(&second, "kept"), found(&second, "lost")), (vec![1], vec![]));
    second.put("b", 2, "again").unwrap();
    second.commit(7).unwrap();
    drop(second);
    assert_eq!(found(&texts(folder.path()), "again"), [2]);
}

#[test]
fn a_copy_of_the_folder_at_any_time_is_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let texts_here = texts(folder.path());
    for round in 0..5u64 {
        for uid in 0..20 {
            texts_here.put(&format!("{uid}"), round * 100 + uid, &format!("round{round} text")).unwrap();
        }
        texts_here.commit(round + 1).unwrap();
        texts_here.put("open", 9999, &format!("pending{round}")).unwrap();
        let copy = tempfile::tempdir().unwrap();
        for file in files(folder.path()) {
            // Merges delete files meanwhile; those belong to no commit any more.
            if let Ok(bytes) = fs::read(&file) {
                fs::write(copy.path().join(file.file_name().unwrap()), bytes).unwrap();
            }
        }
        let there = texts(copy.path());
        assert_eq!(there.sequence(), round + 1);
        assert_eq!(there.search("text", 100, None).unwrap().len(), 20);
        assert!(found(&there, &format!("pending{round}")).is_empty(), "that is of the next commit");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// Every file of an index cut short, emptied, deleted, and with bits turned: an error, or an index that answers as the
/// whole one did (the file was of no consequence).
#[test]
fn a_torn_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = texts(folder.path());
    for uid in 0..300u64 {
        whole
            .put(&uid.to_string(), uid, &format!("text number{uid} of several with words{}", uid % 17))
            .unwrap();
        if uid % 100 == 99 {
            whole.remove(&(uid - 50).to_string()).unwrap();
            whole.commit(uid).unwrap();
        }
    }
    let answer = whole.search("text words3 number7", 20, None).unwrap();
    drop(whole);
    let (mut refused, mut served) = (0, 0);
    for file in files(folder.path()) {
        let good = fs::read(&file).unwrap();
        let mut ways: Vec<Option<Vec<u8>>> =
            vec![None, Some(Vec::new()), Some(good[..good.len() / 2].to_vec())];
        ways.push(Some([&good[..], b"more"].concat()));
        let step = (good.len() / 12).max(1);
        for at in (0..good.len()).step_by(step).chain(good.len().saturating_sub(12)..good.len()) {
            let mut turned = good.clone();
            turned[at] ^= 1 << (at % 8);
            ways.push(Some(turned));
        }
        for bytes in ways {
            let copy = tempfile::tempdir().unwrap();
            for other in files(folder.path()).iter().filter(|other| **other != file) {
                fs::copy(other, copy.path().join(other.file_name().unwrap())).unwrap();
            }
            if let Some(bytes) = &bytes {
                fs::write(copy.path().join(file.file_name().unwrap()), bytes).unwrap();
            }
            match Texts::open(copy.path()) {
                Err(TextError::Damaged(_)) => refused += 1,
                Err(other) => panic!("{}: {other}", file.display()),
                Ok(texts) => {
                    served += 1;
                    let name = file.file_name().unwrap().to_string_lossy().into_owned();
                    assert_eq!(texts.search("text words3 number7", 20, None).unwrap(), answer, "{name}");
                }
            }
        }
    }
    println!("refused {refused}, served {served}");
    assert!(refused > 100, "{refused} of {}", refused + served);
}
