//! `echo`: the payload back, byte for byte. The platform's own cost is all it measures, so nothing is parsed.

use tasklane_runtime::contract::v1;
use tasklane_runtime::{Output, Payload, TaskType};

/// The task type with its handler. It has no schema: anything may be echoed.
pub fn task_type() -> TaskType {
    let description = "Gives the payload back byte for byte, with its content type.";
    TaskType::new("echo", description, |_, payload| async { Ok(echo(payload)) }).rule(rule())
}

/// What applies where the publisher says nothing.
pub fn rule() -> v1::Rule {
    crate::rule(5_000)
}

fn echo(payload: Payload) -> Output {
    Output::raw(payload.bytes, payload.content_type)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_payload_comes_back_as_it_was(bytes: Vec<u8>, content_type: String) {
            let output = echo(Payload { bytes: bytes.clone().into(), content_type: content_type.clone() });
            prop_assert_eq!((output.bytes.to_vec(), output.content_type), (bytes, content_type));
        }
    }
}
