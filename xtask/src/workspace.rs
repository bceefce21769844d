//! The workspace as cargo sees it: its root, its crates and what each of them names as a dependency.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where a dependency is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the crate itself.
    Normal,
    /// In its build script.
    Build,
    /// In its own tests alone.
    Dev,
}

/// One `name = ...` line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub name: String,
    pub kind: Kind,
}

/// One member of the workspace.
#[derive(Clone, Debug)]
pub struct Crate {
    pub name: String,
    /// Its folder, relative to the root: `services/router`.
    pub folder: String,
    pub dependencies: Vec<Dependency>,
}

/// What `cargo metadata` tells of the workspace that the current folder belongs to.
pub struct Workspace {
    pub root: PathBuf,
    pub crates: Vec<Crate>,
}

/// Asks cargo, without resolving versions: it needs neither network nor lock file.
pub fn load() -> Result<Workspace, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|error| format!("cannot run 'cargo metadata': {error}"))?;
    if !output.status.success() {
        return Err(format!("'cargo metadata' failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("'cargo metadata' printed no JSON: {error}"))?;
    parse(&metadata).ok_or_else(|| "'cargo metadata' has another shape than expected".to_owned())
}

fn parse(metadata: &Value) -> Option<Workspace> {
    let root = PathBuf::from(metadata["workspace_root"].as_str()?);
    let packages = metadata["packages"].as_array()?;
    let crates = packages.iter().map(|package| parse_crate(package, &root)).collect::<Option<_>>()?;
    Some(Workspace { root, crates })
}

fn parse_crate(package: &Value, root: &Path) -> Option<Crate> {
    let folder = Path::new(package["manifest_path"].as_str()?).parent()?;
    let dependencies =
        package["dependencies"].as_array()?.iter().map(parse_dependency).collect::<Option<_>>()?;
    Some(Crate {
        name: package["name"].as_str()?.to_owned(),
        folder: folder.strip_prefix(root).ok()?.to_string_lossy().into_owned(),
        dependencies,
    })
}

fn parse_dependency(dependency: &Value) -> Option<Dependency> {
    let kind = match dependency["kind"].as_str() {
        None => Kind::Normal,
        Some("build") => Kind::Build,
        Some("dev") => Kind::Dev,
        Some(_) => return None,
    };
    Some(Dependency { name: dependency["name"].as_str()?.to_owned(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_names_folders_and_kinds() {
        let metadata = json!({"workspace_root": "/w", "packages": [{
            "name": "tasklane-bus", "manifest_path": "/w/shared/bus/Cargo.toml",
            "dependencies": [{"name": "serde", "kind": null}, {"name": "proptest", "kind": "dev"}],
        }]});
        let workspace = parse(&metadata).expect("well-formed metadata");
        assert_eq!(workspace.crates[0].folder, "shared/bus");
        assert_eq!(
            workspace.crates[0].dependencies,
            [
                Dependency { name: "serde".into(), kind: Kind::Normal },
                Dependency { name: "proptest".into(), kind: Kind::Dev }
            ]
        );
    }

    #[test]
    fn refuses_another_shape() {
        assert!(parse(&json!({"packages": []})).is_none());
    }
}
