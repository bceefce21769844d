//! Chat templates as transformers renders them.

use minijinja::Value;
use serde::Deserialize;
use tasklane_ml::generate::chat::Chat;

use crate::reference::texts;

#[derive(Deserialize)]
struct Case {
    name: String,
    template: String,
    messages: Vec<Value>,
    prompt: Option<String>,
    refused: Option<String>,
}

#[test]
fn templates_render_as_in_transformers() {
    let Some(folder) = texts() else { return };
    let cases: Vec<Case> =
        serde_json::from_slice(&std::fs::read(folder.join("chats.json")).unwrap()).unwrap();
    let config = serde_json::from_str(r#"{"bos_token": "<s>", "eos_token": "</s>"}"#).unwrap();
    let mut refusals = 0;
    let count = cases.len();
    for case in cases {
        let chat = Chat::new(Some(case.template), &config).unwrap().unwrap();
        let found = chat.prompt(&case.messages, "2026-11-21T00:00:00Z".parse().unwrap());
        match (found, case.prompt, case.refused) {
            (Ok(found), Some(expected), _) => assert_eq!(found, expected, "{}", case.name),
            (Err(found), None, Some(expected)) => {
                assert!(found.contains(&expected), "{}: {found} is not {expected}", case.name);
                refusals += 1;
            }
            (found, expected, refused) => panic!("{}: {found:?} is not {expected:?} {refused:?}", case.name),
        }
    }
    assert!(count >= 25 && refusals >= 2, "{count} cases, {refusals} refusals");
}
