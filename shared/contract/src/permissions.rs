//! Who may publish and subscribe what on NATS: the least that each part needs. Pure; `tasklane keys` writes it into the
//! server's configuration, and the end-to-end tests hold the running services against it.
//!
//! Subjects are all that a server can tell apart. A worker may send a result of any task, for it must be able to send
//! that of any task it will hold; which one it holds, no subject says.

use tasklane_domain::{lane, priority};

use crate::streams::{
    CANCELLED, COLLECTIONS, CONTROL, DOCUMENTS, LLM, MODELS, PAYLOADS, RESULTS, TASKS, VECTORS, WORK, WORKERS,
};
use crate::subjects;

/// A part of the system, as NATS sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Makes streams and consumers, routes, answers on `api.>`.
    Router,
    /// Works for one pool.
    Worker {
        /// The pool: its lanes are the only ones it can pull.
        pool: String,
        /// Object stores it may read besides `payloads`. Who reads [`MODELS`] answers on `api.models.>` which it has.
        reads: Vec<String>,
        /// Buckets and object stores it keeps something in: it reads and writes them, and removes what is old. Who keeps
        /// [`LLM`] answers on `api.llm.>` what stands in it; who keeps [`COLLECTIONS`] writes and follows their log.
        keeps: Vec<String>,
    },
    /// Submits tasks and reads their results; what an application gets.
    Publisher,
    /// A person who operates the system: everything.
    Operator,
}

/// What a user of NATS may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects it may publish on.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
    /// It may answer whoever asked it, wherever that listens.
    pub responses: bool,
}

/// Where a user's own answers come in: nobody else may listen there.
pub fn inbox_prefix(user: &str) -> String {
    format!("_INBOX.{user}")
}

/// The permissions of a user in a role.
pub fn of(user: &str, role: &Role) -> Permissions {
    let mut inbox = vec![format!("{}.>", inbox_prefix(user))];
    match role {
        Role::Router => {
            inbox.extend([format!("{}.>", subjects::API), "$SRV.>".to_owned()]);
            Permissions { publish: router(), subscribe: inbox, responses: true }
        }
        Role::Worker { pool, reads, keeps } => {
            if keeps.iter().any(|bucket| bucket == LLM) {
                inbox.extend(
                    [subjects::LLM_MODELS, subjects::LLM_USAGE, subjects::LLM_BUDGETS].map(str::to_owned),
                );
                inbox.extend(service(subjects::LLM_SERVICE));
            }
            if reads.iter().any(|store| store == MODELS) {
                inbox.extend(
                    [subjects::MODELS_LIST, subjects::MODELS_LOAD, subjects::MODELS_UNLOAD]
                        .map(str::to_owned),
                );
                inbox.extend(service(subjects::MODELS_SERVICE));
            }
            if keeps.iter().any(|bucket| bucket == COLLECTIONS) {
                inbox.push(subjects::VECTORS_REPLICAS.to_owned());
                inbox.extend(service(subjects::VECTORS_SERVICE));
            }
            Permissions { publish: worker(pool, reads, keeps), subscribe: inbox, responses: false }
        }
        Role::Publisher => {
            inbox.extend(["results.*".to_owned(), "events.>".to_owned()]);
            Permissions { publish: publisher(), subscribe: inbox, responses: false }
        }
        Role::Operator => {
            Permissions { publish: vec![">".to_owned()], subscribe: vec![">".to_owned()], responses: false }
        }
    }
}

fn owned(subjects: &[&str]) -> Vec<String> {
    subjects.iter().map(|s| (*s).to_owned()).collect()
}

fn router() -> Vec<String> {
    let mut may =
        owned(&["$JS.API.>", "$JS.FC.>", "$KV.>", "$O.>", "tasks.>", "work.>", "results.*", "dead.*"]);
    may.extend([TASKS, WORK].map(|stream| format!("$JS.ACK.{stream}.>")));
    // Whoever waits for a result that ends in the router.
    may.push("_INBOX.>".to_owned());
    may
}

fn worker(pool: &str, reads: &[String], keeps: &[String]) -> Vec<String> {
    let mut may = Vec::new();
    for p in priority::ALL {
        let consumer = lane::consumer_name(pool, p);
        may.push(format!("$JS.API.CONSUMER.INFO.{WORK}.{consumer}"));
        may.push(format!("$JS.API.CONSUMER.MSG.NEXT.{WORK}.{consumer}"));
        may.push(format!("$JS.ACK.{WORK}.{consumer}.>"));
    }
    may.extend(owned(&["results.*", "dead.*", "events.>", subjects::RETRY, "tasks.sched.*"]));
    // Whether a task that comes again has its result already.
    may.push(format!("$JS.API.DIRECT.GET.{RESULTS}.results.*"));
    // It speaks for its own pool alone.
    may.extend([stream_info(&format!("KV_{WORKERS}")), format!("$KV.{WORKERS}.{pool}.>")]);
    for bucket in [CANCELLED, CONTROL] {
        may.extend(read_bucket(bucket));
    }
    may.extend(read_objects(PAYLOADS));
    may.extend(write_objects(PAYLOADS));
    may.push(format!("$JS.API.STREAM.PURGE.OBJ_{PAYLOADS}"));
    // Made last by the router: that it is there says that all is.
    may.push(stream_info(&format!("OBJ_{DOCUMENTS}")));
    for store in reads {
        may.extend(read_objects(store));
    }
    for bucket in keeps {
        may.extend(read_bucket(bucket));
        may.push(format!("$KV.{bucket}.>"));
        may.extend(read_objects(bucket));
        may.extend(write_objects(bucket));
        may.push(format!("$JS.API.STREAM.PURGE.OBJ_{bucket}"));
        may.push(format!("$JS.API.STREAM.PURGE.KV_{bucket}"));
    }
    if keeps.iter().any(|bucket| bucket == COLLECTIONS) {
        may.extend(read_stream(VECTORS));
        may.push(format!("$JS.API.CONSUMER.MSG.NEXT.{VECTORS}.*"));
        may.push(format!("{}*", subjects::VECTORS_PREFIX));
        // What a snapshot holds, and what was dropped.
        may.push(format!("$JS.API.STREAM.PURGE.{VECTORS}"));
    }
    // Whoever waits for the result of a task.
    may.push("_INBOX.>".to_owned());
    may.sort();
    may.dedup();
    may
}

fn publisher() -> Vec<String> {
    let mut may =
        owned(&[subjects::SUBMIT, "tasks.submit.*", "api.run.*", "api.task.*", "api.route.explain"]);
    // Which models it may ask for. What tenants used and may spend is the operator's.
    may.push(subjects::LLM_MODELS.to_owned());
    may.push(format!("$JS.API.DIRECT.GET.{RESULTS}.results.*"));
    for store in [PAYLOADS, DOCUMENTS] {
        may.extend(read_objects(store));
        may.extend(write_objects(store));
    }
    may.sort();
    may.dedup();
    may
}

/// Where a NATS service is asked whether it is there, what it serves, and how it does.
fn service(name: &str) -> [String; 3] {
    ["$SRV.*".to_owned(), format!("$SRV.*.{name}"), format!("$SRV.*.{name}.*")]
}

fn stream_info(stream: &str) -> String {
    format!("$JS.API.STREAM.INFO.{stream}")
}

/// A watcher is a consumer of its own on the bucket's stream.
fn read_stream(stream: &str) -> Vec<String> {
    vec![
        stream_info(stream),
        format!("$JS.API.DIRECT.GET.{stream}.>"),
        format!("$JS.API.CONSUMER.CREATE.{stream}"),
        format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
        format!("$JS.API.CONSUMER.INFO.{stream}.*"),
        format!("$JS.API.CONSUMER.DELETE.{stream}.*"),
        format!("$JS.FC.{stream}.>"),
    ]
}

fn read_bucket(bucket: &str) -> Vec<String> {
    read_stream(&format!("KV_{bucket}"))
}

fn read_objects(store: &str) -> Vec<String> {
    read_stream(&format!("OBJ_{store}"))
}

fn write_objects(store: &str) -> [String; 1] {
    [format!("$O.{store}.>")]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a pattern lets a subject through, as the server matches.
    fn matches(pattern: &str, subject: &str) -> bool {
        let (mut wanted, mut given) = (pattern.split('.'), subject.split('.'));
        loop {
            match (wanted.next(), given.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some(w), Some(g)) if w == "*" || w == g => {}
                _ => return false,
            }
        }
    }

    fn may_publish(role: &Role, subject: &str) -> bool {
        of("someone", role).publish.iter().any(|p| matches(p, subject))
    }

    fn generic() -> Role {
        Role::Worker { pool: "generic".into(), reads: vec![], keeps: vec![] }
    }

    #[test]
    fn a_worker_pulls_its_own_lanes_and_speaks_for_its_own_pool() {
        for n in 0..4 {
            assert!(may_publish(&generic(), &format!("$JS.API.CONSUMER.MSG.NEXT.WORK.generic-p{n}")));
            assert!(!may_publish(&generic(), &format!("$JS.API.CONSUMER.MSG.NEXT.WORK.document-p{n}")));
            assert!(!may_publish(&generic(), &format!("$JS.ACK.WORK.document-p{n}.1.2.3.4.5")));
        }
        assert!(may_publish(&generic(), "$KV.workers.generic.generic-1"));
        assert!(!may_publish(&generic(), "$KV.workers.document.document-1"));
    }

    #[test]
    fn nobody_but_the_router_and_the_operator_routes_or_changes_streams() {
        for role in [generic(), Role::Publisher] {
            for subject in [
                "work.any.generic.p0",
                "$JS.API.STREAM.DELETE.WORK",
                "$JS.API.STREAM.PURGE.RESULTS",
                "$JS.API.STREAM.UPDATE.RESULTS",
                "$JS.API.CONSUMER.CREATE.WORK.x.work.>",
                "$JS.API.CONSUMER.DURABLE.CREATE.RESULTS.x",
                "$JS.API.STREAM.MSG.GET.TASKS",
                "$JS.API.STREAM.MSG.DELETE.RESULTS",
                "$KV.cancelled.x",
                "$KV.control.pause.generic",
            ] {
                assert!(!may_publish(&role, subject), "{role:?} {subject}");
            }
        }
    }

    #[test]
    fn a_publisher_submits_and_a_worker_does_not() {
        assert!(
            may_publish(&Role::Publisher, "tasks.submit.echo")
                && may_publish(&Role::Publisher, "api.run.echo")
        );
        for subject in
            ["results.x", "dead.any", "tasks.retry", "tasks.sched.x", "api.pool.pause", "api.dead.replay"]
        {
            assert!(!may_publish(&Role::Publisher, subject), "{subject}");
        }
        assert!(!may_publish(&generic(), "tasks.submit.echo") && !may_publish(&generic(), "api.run.echo"));
    }

    #[test]
    fn who_keeps_the_books_of_model_calls_answers_about_them_and_nobody_else() {
        let proxy = Role::Worker { pool: "openai-proxy".into(), reads: vec![], keeps: vec![LLM.into()] };
        let keeper = Role::Worker { pool: "keeper".into(), reads: vec![], keeps: vec!["other".into()] };
        let hears = |role: &Role, subject: &str| of("me", role).subscribe.iter().any(|p| matches(p, subject));
        let asked = [subjects::LLM_MODELS, subjects::LLM_USAGE, subjects::LLM_BUDGETS];
        for subject in
            asked.into_iter().chain(["$SRV.PING", "$SRV.INFO.tasklane-llm", "$SRV.STATS.tasklane-llm.x"])
        {
            assert!(hears(&proxy, subject), "{subject}");
            assert!(
                [generic(), keeper.clone(), Role::Publisher].iter().all(|role| !hears(role, subject)),
                "{subject}"
            );
        }
        for subject in ["api.task.get", "api.llm", "$SRV.INFO.tasklane"] {
            assert!(!hears(&proxy, subject), "{subject}");
        }
        assert_eq!(asked.map(|subject| may_publish(&Role::Publisher, subject)), [true, false, false]);
        assert!(
            asked
                .iter()
                .all(|subject| !may_publish(&generic(), subject) && may_publish(&Role::Operator, subject))
        );
        assert!(
            may_publish(&proxy, "$JS.API.STREAM.PURGE.KV_llm")
                && !may_publish(&keeper, "$JS.API.STREAM.PURGE.KV_llm")
        );
    }

    #[test]
    fn who_reads_models_answers_about_them_and_cannot_change_them() {
        let ml = Role::Worker { pool: "ml".into(), reads: vec![MODELS.into()], keeps: vec![] };
        let hears = |role: &Role, subject: &str| of("me", role).subscribe.iter().any(|p| matches(p, subject));
        for subject in [
            subjects::MODELS_LIST,
            subjects::MODELS_LOAD,
            subjects::MODELS_UNLOAD,
            "$SRV.INFO.tasklane-models",
        ] {
            assert!(hears(&ml, subject) && !hears(&generic(), subject), "{subject}");
        }
        for subject in [subjects::MODELS_LIST, subjects::MODELS_LOAD, subjects::MODELS_UNLOAD] {
            assert!(!may_publish(&Role::Publisher, subject) && !may_publish(&ml, subject), "{subject}");
        }
        assert!(may_publish(&ml, "$JS.API.STREAM.INFO.OBJ_models"));
        for subject in
            ["$O.models.M.x", "$O.models.C.x", "$JS.API.STREAM.PURGE.OBJ_models", "$KV.control.models.x"]
        {
            assert!(!may_publish(&ml, subject), "{subject}");
        }
    }

    #[test]
    fn who_keeps_collections_writes_and_follows_their_log_and_nobody_else() {
        let keeps =
            |bucket: &str| Role::Worker { pool: "p".into(), reads: vec![], keeps: vec![bucket.into()] };
        let (indexer, other) = (keeps(COLLECTIONS), keeps(LLM));
        for subject in [
            "vectors.0a1b2c3d4e5f",
            "$JS.API.CONSUMER.CREATE.VECTORS",
            "$JS.API.CONSUMER.MSG.NEXT.VECTORS.x",
            "$JS.API.STREAM.INFO.VECTORS",
            "$JS.API.STREAM.PURGE.VECTORS",
            "$JS.API.DIRECT.GET.VECTORS.vectors.x",
            "$KV.vectors.collection.docs",
            "$O.vectors.M.x",
        ] {
            assert!(may_publish(&indexer, subject), "{subject}");
            for role in [&other, &generic(), &Role::Publisher] {
                assert!(!may_publish(role, subject), "{role:?} {subject}");
            }
        }
        for subject in
            ["$JS.API.STREAM.DELETE.VECTORS", "$JS.API.STREAM.UPDATE.VECTORS", "api.vectors.replicas"]
        {
            assert!(!may_publish(&indexer, subject) && !may_publish(&Role::Publisher, subject), "{subject}");
        }
        let hears = |role: &Role, subject: &str| of("me", role).subscribe.iter().any(|p| matches(p, subject));
        for subject in [subjects::VECTORS_REPLICAS, "$SRV.INFO.tasklane-vectors"] {
            assert!(hears(&indexer, subject) && !hears(&other, subject), "{subject}");
        }
    }

    #[test]
    fn nobody_listens_to_anothers_answers_or_to_lanes() {
        for role in [generic(), Role::Publisher, Role::Router] {
            let allowed = of("me", &role).subscribe;
            for subject in ["_INBOX.other.x", "work.any.document.p0", "tasks.submit", "_INBOX.x"] {
                assert!(!allowed.iter().any(|p| matches(p, subject)), "{role:?} {subject}");
            }
            assert!(allowed.iter().any(|p| matches(p, "_INBOX.me.x.1")));
        }
    }
}
