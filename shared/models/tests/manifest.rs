//! Manifests: what is read, and every mistake with its line.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;
use tasklane_models::manifest::{EncoderOutput, Kind, Pooling, Precision, parse};

const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn encoder() -> String {
    format!(
        "name = \"minilm\"\nversion = \"2\"\nlicence = \"Apache-2.0\"\nkind = \"encoder\"\noutput = \"embedding\"\n\
         pooling = \"cls\"\nnormalise = true\nmax_tokens = 256\nprecision = \"bf16\"\n\n[files]\n\
         \"model.safetensors\" = \"{SUM}\"\n\"config.json\" = \"{SUM}\"\n\"tokenizer.json\" = \"{}\"\n\n[[examples]]\n\
         input = {{ texts = [\"a\"] }}\noutput = {{ vectors = [[0.5, -1, 1e-3]] }}\ntolerance = 1e-5\n",
        SUM.to_uppercase()
    )
}

/// The mistakes of a manifest in which one line is another.
fn mistakes(line: &str, instead: &str) -> String {
    let text = encoder();
    assert!(text.contains(line), "{line}");
    let found = parse(&text.replace(line, instead)).unwrap_err();
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_whole_manifest() {
    let manifest = parse(&encoder()).unwrap();
    assert_eq!(manifest.full_name().to_string(), "minilm@2");
    let Kind::Encoder(spec) = &manifest.kind else { panic!("{manifest:?}") };
    assert_eq!(
        (spec.output, spec.pooling, spec.normalise, spec.max_tokens, manifest.precision),
        (EncoderOutput::Embedding, Pooling::Cls, true, 256, Precision::Bf16)
    );
    assert_eq!(manifest.files["tokenizer.json"], SUM, "checksums are compared in lower case");
    assert_eq!(manifest.examples[0].input, json!({"texts": ["a"]}));
    assert_eq!(manifest.examples[0].output, json!({"vectors": [[0.5, -1, 0.001]]}));
    assert_eq!(manifest.examples[0].tolerance, 1e-5);
    let told = serde_json::to_value(&manifest).unwrap();
    assert_eq!((&told["kind"], &told["output"]), (&json!("encoder"), &json!("embedding")));
}

#[test]
fn the_least_that_each_kind_needs() {
    let head = "name = \"m\"\nversion = \"1\"\nlicence = \"MIT\"\n";
    let script = format!("{head}kind = \"torchscript\"\n[files]\n\"model.pt\" = \"{SUM}\"\n");
    assert!(matches!(parse(&script).unwrap().kind, Kind::Torchscript(spec) if spec.memory_mb == 0));
    let files = format!(
        "[files]\n\"a.safetensors\" = \"{SUM}\"\n\"config.json\" = \"{SUM}\"\n\"tokenizer.json\" = \"{SUM}\"\n"
    );
    assert!(matches!(parse(&format!("{head}kind = \"decoder\"\n{files}")).unwrap().kind, Kind::Decoder(_)));
}

#[test]
fn each_mistake_has_its_line() {
    for (line, instead, expected) in [
        ("name = \"minilm\"", "name = \"mini/lm\"", "line 1, column 8: the model `mini/lm` may have A-Z"),
        (
            "version = \"2\"",
            "version = 2",
            "line 2, column 11: the file: `version` must be text in quotes, not a whole number",
        ),
        ("version = \"2\"\n", "", "has no `version`"),
        ("licence = \"Apache-2.0\"", "licence = \" \"", "line 3, column 11: `licence` is empty"),
        (
            "kind = \"encoder\"",
            "kind = \"encodr\"",
            "line 4, column 8: the file: `encodr` is no `kind`; did you mean `encoder`?",
        ),
        ("kind = \"encoder\"\n", "", "the file has no `kind`"),
        (
            "output = \"embedding\"",
            "output = \"classes\"",
            "line 6, column 11: `pooling` is for `output = \"embedding\"` alone",
        ),
        ("output = \"embedding\"\n", "", "the encoder has no `output`"),
        (
            "normalise = true",
            "normalize = true",
            "line 7, column 1: the file has no key `normalize`; did you mean `normalise`?",
        ),
        (
            "max_tokens = 256",
            "max_tokens = -1",
            "line 8, column 14: the file: `max_tokens` must be from 0 to",
        ),
        (
            "precision = \"bf16\"",
            "precision = \"fp16\"",
            "line 9, column 13: the file: `fp16` is no `precision`",
        ),
        (
            "\"config.json\"",
            "\"../config.json\"",
            "line 13, column 1: `../config.json` is no name of a file here",
        ),
        ("\"config.json\"", "\"sub/config.json\"", "line 13"),
        ("\"config.json\"", "\".hidden\"", "line 13"),
        ("\"config.json\"", "\"model.toml\"", "line 13, column 1: `model.toml` is this file"),
        ("\"model.safetensors\"", "\"model.bin\"", "`[files]` lacks the weights"),
        (SUM, "abc", "line 12, column 23: `model.safetensors` must have its SHA-256, 64 hexadecimal digits"),
        ("{ texts = [\"a\"] }", "\"a\"", "line 17, column 9: example 1: `input` must be a table"),
        ("output = { vectors", "outputs = { vectors", "line 18, column 1: example 1 has no key `outputs`"),
        ("[\"a\"]", "[2026-11-21]", "line 17, column 9: example 1: `input` has a date"),
        ("1e-3", "nan", "example 1: `output` has nan, which JSON cannot say"),
        (
            "tolerance = 1e-5",
            "tolerance = -1",
            "line 19, column 13: example 1: `tolerance` must be a number from 0 on",
        ),
        ("tolerance = 1e-5", "tolerance = ", "line 19, column 13: not TOML"),
    ] {
        let found = mistakes(line, instead);
        assert!(found.contains(expected), "{instead}: expected {expected:?}, found {found}");
    }
}

#[test]
fn all_mistakes_come_together() {
    let found = parse("name = 1\nkind = \"torchscript\"\nmemory_mb = \"x\"\nexample = 1\n[files]\na = 1\n")
        .unwrap_err();
    let lines: Vec<usize> = found.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [1, 1, 1, 3, 4, 5, 6], "{found:?}");
}
