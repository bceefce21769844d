//! Archives: what is packed comes out again, and nothing else does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write as _};
use std::path::Path;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};
use tasklane_models::{Manifest, ModelName, StoreError, archive, folder};
use tempfile::TempDir;

/// A folder with a model of these files.
fn model(files: &[(&str, &[u8])]) -> (TempDir, Manifest) {
    let dir = TempDir::new().unwrap();
    let mut text =
        String::from("name = \"m\"\nversion = \"1\"\nlicence = \"MIT\"\nkind = \"torchscript\"\n[files]\n");
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        let (_, sum) = folder::checksum(&dir.path().join(name)).unwrap();
        text += &format!("\"{name}\" = \"{sum}\"\n");
    }
    std::fs::write(dir.path().join("model.toml"), text).unwrap();
    let (_, manifest) = folder::manifest(dir.path()).unwrap();
    (dir, manifest)
}

fn packed(dir: &Path, manifest: &Manifest) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive::pack(dir, manifest, &mut bytes).unwrap();
    bytes
}

fn name() -> ModelName {
    ModelName::exact("m", "1")
}

/// Unpacks into an empty folder, which has the model afterwards, or nothing at all.
fn unpack(bytes: &[u8]) -> Result<TempDir, String> {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("cache/m@1");
    let done = archive::unpack(bytes, &name(), &target);
    let left: Vec<_> =
        std::fs::read_dir(dir.path().join("cache")).unwrap().map(|e| e.unwrap().path()).collect();
    match done {
        Ok(_) => {
            assert_eq!(left, [target], "nothing lies beside it");
            Ok(dir)
        }
        Err(e) => {
            assert!(left.is_empty(), "{left:?} is left after: {e}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing outside of the cache");
            Err(e.to_string())
        }
    }
}

#[test]
fn a_model_comes_out_as_it_went_in_and_the_same_model_makes_the_same_bytes() {
    let (dir, manifest) = model(&[("model.pt", b"weights"), ("LICENCE", b""), ("notes", &[7; 3_000])]);
    std::fs::write(dir.path().join("not-named"), "stays here").unwrap();
    let bytes = packed(dir.path(), &manifest);
    let out = unpack(&bytes).unwrap();
    let target = out.path().join("cache/m@1");
    assert_eq!(folder::verify(&target, &manifest).unwrap(), 3_007);
    assert!(!target.join("not-named").exists());
    assert_eq!(packed(&target, &manifest), bytes);
    assert_eq!(archive::peek(bytes.as_slice()).unwrap().1, manifest);
    // A second one is no failure: somebody was faster.
    archive::unpack(bytes.as_slice(), &name(), &target).unwrap();
}

#[test]
fn what_is_not_what_the_manifest_says_is_neither_packed_nor_kept() {
    let (dir, manifest) = model(&[("model.pt", b"weights")]);
    std::fs::write(dir.path().join("model.pt"), "others").unwrap();
    let error = archive::pack(dir.path(), &manifest, Vec::new()).unwrap_err().to_string();
    assert!(error.contains("`model.pt` has the checksum"), "{error}");
    assert!(matches!(folder::verify(dir.path(), &manifest), Err(StoreError::Bad(_))));
    let mut unlisted = manifest.clone();
    unlisted.files.remove("model.pt");
    for refused in
        [folder::verify(dir.path(), &unlisted).err(), archive::pack(dir.path(), &unlisted, Vec::new()).err()]
    {
        let told = refused.unwrap().to_string();
        assert!(
            told.contains("the file model.pt lies in the folder and `[files]` does not list it"),
            "{told}"
        );
    }
    std::fs::remove_file(dir.path().join("model.pt")).unwrap();
    assert!(folder::verify(dir.path(), &manifest).unwrap_err().to_string().contains("is missing"));
}

/// An archive with the manifest of a model with one file, and whatever else.
fn with(more: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let (dir, _) = model(&[("model.pt", b"weights")]);
    let mut archive = Builder::new(Vec::new());
    archive.append_path_with_name(dir.path().join("model.toml"), "model.toml").unwrap();
    more(&mut archive);
    archive.into_inner().unwrap()
}

/// Adds a file under a name that the library itself would refuse to write.
fn add(archive: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    archive.append(&header, bytes).unwrap();
}

#[test]
fn nothing_is_written_but_what_the_manifest_names() {
    let file = EntryType::Regular;
    for (name, kind, expected) in [
        ("../evil", file, "has `../evil`, which its manifest does not name"),
        ("/etc/evil", file, "which its manifest does not name"),
        ("sub/model.pt", file, "which its manifest does not name"),
        ("model.pt", EntryType::Symlink, "is no file but Symlink"),
        ("model.pt", EntryType::Link, "is no file but Link"),
        ("model.pt", EntryType::Fifo, "is no file but Fifo"),
        ("model.pt", EntryType::Char, "is no file but Char"),
        ("model.pt", EntryType::Directory, "is no file but Directory"),
        ("..", EntryType::Directory, "is no file but Directory"),
        ("model.toml", file, "which its manifest does not name"),
    ] {
        let bytes = if kind == file { &b"weights"[..] } else { &[] };
        let error = unpack(&with(|archive| add(archive, name, kind, bytes))).unwrap_err();
        assert!(error.contains(expected), "{name} {kind:?}: {error}");
    }
    let twice = with(|archive| (0..2).for_each(|_| add(archive, "model.pt", file, b"weights")));
    assert!(unpack(&twice).unwrap_err().contains("`model.pt` twice"));
    assert!(
        unpack(&with(|archive| add(archive, "model.pt", file, b"weightz"))).unwrap_err().contains("checksum")
    );
    assert!(unpack(&with(|_| ())).unwrap_err().contains("lacks `model.pt`"));
    let good = with(|archive| add(archive, "./model.pt", file, b"weights"));
    assert!(unpack(&good).is_ok(), "as `tar -C folder model.toml ./model.pt` writes it");
}

#[test]
fn the_manifest_comes_first_and_is_of_the_model_that_was_asked_for() {
    let mut archive = Builder::new(Vec::new());
    add(&mut archive, "model.pt", EntryType::Regular, b"weights");
    assert!(unpack(&archive.into_inner().unwrap()).unwrap_err().contains("must come first"));
    assert!(unpack(&[]).unwrap_err().contains("empty"));
    assert!(unpack(&[0; 4096]).unwrap_err().contains("empty"));
    let mut archive = Builder::new(Vec::new());
    add(&mut archive, "model.toml", EntryType::Regular, b"name = 1");
    assert!(unpack(&archive.into_inner().unwrap()).unwrap_err().contains("model.toml line 1"));
    let (dir, manifest) = model(&[("model.pt", b"w")]);
    let dir2 = TempDir::new().unwrap();
    let other = ModelName::exact("m", "2");
    let done = archive::unpack(packed(dir.path(), &manifest).as_slice(), &other, &dir2.path().join("x"));
    assert!(done.unwrap_err().to_string().contains("the object of m@2 has the manifest of m@1"));
}

/// Fails after so many bytes.
struct Torn<'a>(&'a [u8]);

impl Read for Torn<'_> {
    fn read(&mut self, mut buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.split_at(buffer.len().min(self.0.len()).min(100)) {
            ([], _) => Err(std::io::ErrorKind::TimedOut.into()),
            (now, later) => {
                self.0 = later;
                buffer.write(now)
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_torn_download_leaves_nothing(cut in 0usize..100_000) {
        let (dir, manifest) = model(&[("model.pt", &[1; 5_000]), ("z", b"last")]);
        let bytes = packed(dir.path(), &manifest);
        // What follows the last file is padding.
        let cut = cut % (bytes.len() - 1_024 - 508);
        prop_assert!(unpack(&bytes[..cut]).is_err());
        let out = TempDir::new().unwrap();
        let target = out.path().join("m@1");
        prop_assert!(archive::unpack(Torn(&bytes[..cut]), &name(), &target).is_err());
        prop_assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
    }

    #[test]
    fn damage_is_found(at in 0usize..100_000, bit in 0u8..8) {
        let (dir, manifest) = model(&[("model.pt", &[1; 5_000]), ("z", b"last")]);
        let mut bytes = packed(dir.path(), &manifest);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let out = TempDir::new().unwrap();
        let target = out.path().join("m@1");
        if archive::unpack(bytes.as_slice(), &name(), &target).is_ok() {
            // It hit padding, or a field of no meaning here, or a comment: the files are what they have to be.
            let (_, manifest) = folder::manifest(&target).unwrap();
            folder::verify(&target, &manifest).unwrap();
        }
    }
}
