//! The part of a manifest that depends on what the model is, and the files that each kind needs.

use std::collections::BTreeMap;

use tasklane_runtime::config::tables::{Notes, Section};

use super::{DecoderSpec, EncoderOutput, EncoderSpec, Kind, Pooling, ScriptSpec};

/// Keys of every manifest.
const COMMON: [&str; 7] = ["name", "version", "licence", "kind", "precision", "files", "examples"];
/// Tokens that a model may read, at most.
const MOST_TOKENS: u64 = 1 << 24;
/// Memory that a call may be said to take, in MB.
const MOST_MB: u64 = 1 << 30;

#[derive(Clone, Copy)]
enum Which {
    Encoder,
    Decoder,
    Torchscript,
}

/// Reads what belongs to the kind, and looks for its files.
pub fn read(root: &Section<'_>, files: &BTreeMap<String, String>, notes: &mut Notes<'_>) -> Option<Kind> {
    let words =
        [("encoder", Which::Encoder), ("decoder", Which::Decoder), ("torchscript", Which::Torchscript)];
    if !root.has("kind") {
        notes.add(&root.at, "the file has no `kind`; there are `encoder`, `decoder`, `torchscript`");
    }
    let which = root.word("kind", &words, notes)?;
    let (own, needed): (&[&str], &[&str]) = match which {
        Which::Encoder => {
            (&["output", "pooling", "normalise", "max_tokens"], &["config.json", "tokenizer.json"])
        }
        Which::Decoder => (&["max_tokens"], &["config.json", "tokenizer.json"]),
        Which::Torchscript => (&["memory_mb"], &["model.pt"]),
    };
    root.only(&[&COMMON, own].concat(), notes);
    if root.has("files") {
        for file in needed.iter().filter(|file| !files.contains_key(**file)) {
            notes.add(&root.span_of("files"), format!("`[files]` lacks `{file}`, which this kind needs"));
        }
        let weights = files.keys().any(|file| file.ends_with(".safetensors"));
        if !weights && !matches!(which, Which::Torchscript) {
            notes
                .add(&root.span_of("files"), "`[files]` lacks the weights: `model.safetensors` or its parts");
        }
    }
    Some(match which {
        Which::Encoder => Kind::Encoder(encoder(root, notes)?),
        Which::Decoder => Kind::Decoder(DecoderSpec { max_tokens: tokens(root, notes) }),
        Which::Torchscript => {
            let memory_mb = root.whole("memory_mb", 0..=MOST_MB, notes).unwrap_or_default();
            Kind::Torchscript(ScriptSpec { memory_mb })
        }
    })
}

/// Whether a model of this kind reads a file of this name, needed or not.
pub fn reads(kind: &Kind, file: &str) -> bool {
    let weights = file.ends_with(".safetensors") || file.ends_with(".safetensors.index.json");
    let said = ["tokenizer_config.json", "chat_template.jinja", "generation_config.json"];
    match kind {
        Kind::Encoder(_) => weights || ["config.json", "tokenizer.json"].contains(&file),
        Kind::Decoder(_) => {
            weights || ["config.json", "tokenizer.json"].contains(&file) || said.contains(&file)
        }
        Kind::Torchscript(_) => file == "model.pt",
    }
}

fn encoder(root: &Section<'_>, notes: &mut Notes<'_>) -> Option<EncoderSpec> {
    let outputs = [
        ("embedding", EncoderOutput::Embedding),
        ("classes", EncoderOutput::Classes),
        ("token_classes", EncoderOutput::TokenClasses),
        ("relevance", EncoderOutput::Relevance),
    ];
    if !root.has("output") {
        let words = outputs.map(|(word, _)| format!("`{word}`")).join(", ");
        notes.add(&root.at, format!("the encoder has no `output`; there are {words}"));
    }
    let output = root.word("output", &outputs, notes);
    let pooling = root.word("pooling", &[("mean", Pooling::Mean), ("cls", Pooling::Cls)], notes);
    let normalise = root.flag("normalise", notes);
    if output.is_some_and(|output| output != EncoderOutput::Embedding) {
        for key in ["pooling", "normalise"].into_iter().filter(|key| root.has(key)) {
            notes.add(&root.span_of(key), format!("`{key}` is for `output = \"embedding\"` alone"));
        }
    }
    let max_tokens = tokens(root, notes);
    Some(EncoderSpec {
        output: output?,
        pooling: pooling.unwrap_or_default(),
        normalise: normalise.unwrap_or_default(),
        max_tokens,
    })
}

fn tokens(root: &Section<'_>, notes: &mut Notes<'_>) -> usize {
    let tokens = root.whole("max_tokens", 0..=MOST_TOKENS, notes).unwrap_or_default();
    usize::try_from(tokens).unwrap_or_default()
}
