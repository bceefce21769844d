//! Users: their seeds, and the server's list of them with what each may do.

use std::collections::BTreeMap;
use std::path::Path;

use tasklane_runtime::bus::keys;
use tasklane_runtime::contract::code;
use tasklane_runtime::contract::permissions::{self, Permissions, Role};
use tasklane_runtime::domain::name;

use super::failed;
use super::files::Folder;
use crate::error::CliError;

/// The users of a system with these pools (`NAME`, or `NAME=STORE,+BUCKET` with the object stores it reads and the
/// buckets it keeps), by name. A pool that is named twice has what
/// was said last.
pub fn all<'a>(pools: impl Iterator<Item = &'a str>) -> Result<BTreeMap<String, Role>, CliError> {
    let mut users = BTreeMap::from([
        ("router".to_owned(), Role::Router),
        ("publisher".to_owned(), Role::Publisher),
        ("operator".to_owned(), Role::Operator),
    ]);
    let taken: Vec<String> = users.keys().cloned().collect();
    for text in pools {
        let (pool, stores) = text.split_once('=').unwrap_or((text, ""));
        name::check_pool(pool).map_err(|e| CliError::usage(code::BAD_NAME, format!("--pool {text}: {e}")))?;
        if taken.iter().any(|name| name == pool) {
            let why = format!("--pool {text}: `{pool}` is a user of its own; give the pool another name");
            return Err(CliError::usage(code::BAD_NAME, why));
        }
        let (keeps, reads): (Vec<&str>, Vec<&str>) =
            stores.split(',').filter(|store| !store.is_empty()).partition(|store| store.starts_with('+'));
        let keeps: Vec<String> = keeps.iter().map(|bucket| bucket[1..].to_owned()).collect();
        let reads: Vec<String> = reads.into_iter().map(str::to_owned).collect();
        if let Some(store) = reads.iter().chain(&keeps).find(|store| !is_bucket(store)) {
            let why = format!("--pool {text}: `{store}` is no name of a store: letters, digits, - and _");
            return Err(CliError::usage(code::BAD_NAME, why));
        }
        users.insert(pool.to_owned(), Role::Worker { pool: pool.to_owned(), reads, keeps });
    }
    Ok(users)
}

/// As NATS names buckets.
fn is_bucket(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Writes a seed for every user that has none, and the server's list.
pub fn write(folder: &Folder, users: &BTreeMap<String, Role>) -> Result<(), CliError> {
    let mut list = String::from(HEAD);
    for (user, role) in users {
        let file = format!("{user}.nk");
        let public = match folder.read(&file)? {
            Some(seed) => keys::public_of(&seed).map_err(|e| failed(Path::new(&file), &e))?,
            None => {
                let (seed, public) = keys::new_user().map_err(|e| failed(Path::new(&file), &e))?;
                folder.write(
                    &file,
                    &format!("{seed}\n"),
                    "the seed of a user: whoever has it is that user",
                )?;
                public
            }
        };
        list += &entry(user, &public, &permissions::of(user, role));
    }
    list += "  ]\n}\n";
    folder.write("auth.conf", &list, "the users and what each may do, for the server")
}

const HEAD: &str = "# Who may connect to NATS, and what each may publish and subscribe. Written by `tasklane keys`; \
                    included by the server's configuration.\nauthorization {\n  timeout: 5\n  users: [\n";

fn entry(user: &str, public: &str, may: &Permissions) -> String {
    let list = |subjects: &[String]| {
        let lines: Vec<String> = subjects.iter().map(|s| format!("          \"{s}\"")).collect();
        format!("{{ allow: [\n{}\n        ] }}", lines.join("\n"))
    };
    let responses = if may.responses { "\n        allow_responses: true" } else { "" };
    format!(
        "    # {user}\n    {{\n      nkey: {public}\n      permissions: {{\n        publish: {}\n        subscribe: \
         {}{responses}\n      }}\n    }}\n",
        list(&may.publish),
        list(&may.subscribe)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_users_with_the_stores_they_read() {
        let users = all(["generic", "document=documents,more"].into_iter()).unwrap();
        assert_eq!(users.len(), 5);
        let role = Role::Worker {
            pool: "document".into(),
            reads: vec!["documents".into(), "more".into()],
            keeps: vec![],
        };
        assert_eq!(users["document"], role);
        for wrong in ["router", "a b", "", "x=a.b", "x=>"] {
            assert!(all([wrong].into_iter()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seeds_are_kept_and_the_list_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        write(&folder, &all(["generic"].into_iter()).unwrap()).unwrap();
        let (seed, list) =
            (folder.read("generic.nk").unwrap().unwrap(), folder.read("auth.conf").unwrap().unwrap());
        assert!(list.contains(&keys::public_of(&seed).unwrap()) && !list.contains(seed.trim()));
        write(&folder, &all(["generic", "ml"].into_iter()).unwrap()).unwrap();
        assert_eq!(folder.read("generic.nk").unwrap(), Some(seed));
        assert!(folder.read("auth.conf").unwrap().unwrap().contains("# ml\n"));
        std::fs::write(dir.path().join("generic.nk"), "nonsense").unwrap();
        assert!(write(&folder, &all(["generic"].into_iter()).unwrap()).is_err());
    }
}
