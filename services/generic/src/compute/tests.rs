//! What `compute` gives back, and that nothing a script does gets past its limits.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Runs a payload as the handler would, on a thread as deep as the service's own.
fn run(limits: &ComputeConfig, payload: Value) -> Result<Value, TaskError> {
    let compute = Compute::start(limits.clone()).unwrap();
    run_on(&compute, &payload)
}

fn run_on(compute: &Compute, payload: &Value) -> Result<Value, TaskError> {
    let payload = Payload { bytes: serde_json::to_vec(payload).unwrap().into(), content_type: String::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let output = runtime.block_on(compute.handle(payload, CancellationToken::new()))?;
    let value: Value = serde_json::from_slice(&output.bytes).unwrap();
    Ok(value["value"].clone())
}

fn script(text: &str) -> Result<Value, TaskError> {
    run(&ComputeConfig::default(), json!({"script": text}))
}

fn code_of(result: Result<Value, TaskError>) -> (&'static str, String) {
    let error = result.unwrap_err();
    (error.code.as_str(), error.message)
}

#[test]
fn an_expression_over_inputs() {
    let payload = json!({"expression": "prisms * price + transport * 2",
                         "inputs": {"prisms": 96, "price": 920, "transport": 9840}});
    assert_eq!(run(&ComputeConfig::default(), payload).unwrap(), json!(108_000));
    let payload =
        json!({"expression": "list.filter(|x| x > 1.5).map(|x| x * 2)", "inputs": {"list": [1.0, 2.0, 3.5]}});
    assert_eq!(run(&ComputeConfig::default(), payload).unwrap(), json!([4.0, 7.0]));
    let text = "let over = |limit, x| x > limit; list.filter(over.curry(limit))";
    let payload = json!({"script": text, "inputs": {"limit": 2, "list": [1, 2, 3]}});
    assert_eq!(run(&ComputeConfig::default(), payload).unwrap(), json!([3]));
}

#[test]
fn a_script_with_functions_maps_and_texts() {
    let text = r#"
        fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
        let out = #{ fib: fib(15), text: "å" + 'ß', none: (), list: [] };
        for i in 0..3 { out.list.push(i * i); }
        out
    "#;
    assert_eq!(script(text).unwrap(), json!({"fib": 610, "text": "åß", "none": null, "list": [0, 1, 4]}));
}

#[test]
fn a_mistake_is_told_with_its_line_and_column() {
    let (code, message) = code_of(script("let a = 1;\nlet b = ;\n"));
    assert_eq!((code, message.contains("line 2, column 9")), ("TL2201", true), "{message}");
    let (code, message) = code_of(script("let a = 1;\na + nothing"));
    assert_eq!(
        (code, message.contains("line 2, column 5") && message.contains("nothing")),
        ("TL2201", true),
        "{message}"
    );
    let (code, message) = code_of(script("let most = 1; [1, 2].filter(|x| x > most)"));
    assert_eq!((code, message.contains("most") && message.contains("curry")), ("TL2201", true), "{message}");
    let (code, message) = code_of(script("let a = [1];\nlet b = 2;\na[3]"));
    assert_eq!((code, message.contains("line 3, column 3")), ("TL2202", true), "{message}");
    let (code, message) = code_of(script("fn f(x) {\n  throw `no ${x}`\n}\nf(7)"));
    assert_eq!((code, message.contains("line 2") && message.contains("no 7")), ("TL2202", true), "{message}");
    let (code, message) = code_of(script("9223372036854775807 + 1"));
    assert_eq!((code, message.contains("overflow")), ("TL2202", true), "{message}");
    let (code, _) = code_of(script("1 / 0"));
    assert_eq!(code, "TL2202");
}

#[test]
fn a_payload_that_cannot_be_used_says_what_it_needs() {
    let code = |payload: Value| code_of(run(&ComputeConfig::default(), payload)).0;
    assert_eq!(code(json!({})), "TL2200");
    assert_eq!(code(json!({"script": "1", "expression": "1"})), "TL2200");
    assert_eq!(code(json!({"expression": "1", "inputs": {"1a": 1}})), "TL2200");
    assert_eq!(code(json!({"expression": "1", "variables": {}})), "TL1002");
    assert_eq!(code(json!({"expression": "a", "inputs": {"a": u64::MAX}})), "TL2205");
    assert_eq!(code(json!({"expression": "0.0 / 0.0"})), "TL2205");
    assert_eq!(code(json!({"expression": "Fn(\"f\")"})), "TL2205");
}

#[test]
fn nothing_outside_of_the_script_can_be_reached() {
    for text in [
        "import \"os\" as os; 1",
        "eval(\"1\")",
        "print(1)",
        "debug(1)",
        "sleep(100)",
        "Fn(\"sleep\").call(100)",
        "Fn(\"eval\").call(\"1\")",
        "call(\"eval\", \"1\")",
        "parse_json(\"1\")",
        "exit(1)",
        "timestamp()",
        "open_file(\"/etc/passwd\")",
        "export let x = 1;",
    ] {
        let (code, message) = code_of(script(text));
        assert!(["TL2201", "TL2202"].contains(&code), "{text}: {code} {message}");
    }
}

/// Scripts that try to take all there is, with the limit that each runs into.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("endless loop", "loop {}", "max_operations"),
    ("endless loop that catches", "loop { try { loop {} } catch { } }", "max_operations"),
    ("doubling text", "let s = \"x\"; loop { s += s; }", "max_string_bytes"),
    ("padded text", "let s = \"\"; s.pad(1000000000, \"x\"); s", "max_string_bytes"),
    ("text in a literal map", "let m = #{}; loop { m[\"k\" + m.len()] = 1; }", "max_map_size"),
    ("endless recursion", "fn f(n) { f(n + 1) } f(0)", "max_call_depth"),
    ("mutual recursion", "fn f(n) { g(n) } fn g(n) { 1 + f(n) } f(0)", "max_call_depth"),
    ("recursion by name", "fn f(n) { Fn(\"f\").call(n) } f(0)", "max_call_depth"),
    ("huge array", "let a = []; a.pad(1000000000, 0); a", "max_array_size"),
    ("huge blob", "blob(1000000000)", "max_array_size"),
    ("growing array", "let a = []; loop { a.push(0); }", "max_array_size"),
    ("doubling array", "let a = [1]; loop { a += a; }", "max_array_size"),
    ("array within array", DEEPER, "max_array_size"),
    ("array doubled within array", "let a = [1]; loop { a = [a, a]; }", "max_array_size"),
    (
        "map within map",
        "let m = #{}; loop { m = #{m:#{m:#{m:#{m:#{m:#{m:#{m:#{m:#{m:#{m: m}}}}}}}}}}; }",
        "max_map_size",
    ),
    ("many variables", "loop { let a = 1; let b = 2; } ", "max_operations"),
    ("range without end", "let n = 0; for i in 0..9223372036854775807 { n += i % 2; } n", "max_operations"),
    ("characters of a long text", "let s = \"\"; s.pad(262144, \"x\"); s.split(\"\")", "max_array_size"),
];

/// Deep by many levels a step: each step measures the whole value.
const DEEPER: &str = "let a = []; loop { a = [[[[[[[[[[[[a]]]]]]]]]]]]; }";

#[test]
fn every_hostile_script_ends_in_its_limit_within_its_time() {
    let limits = ComputeConfig { max_operations: 500_000, max_ms: 20_000, ..ComputeConfig::default() };
    let compute = Compute::start(limits).unwrap();
    for (name, text, key) in HOSTILE {
        let begun = Instant::now();
        let (code, message) = code_of(run_on(&compute, &json!({"script": text})));
        assert!(code == "TL2203" && message.contains(key), "{name}: {code} {message}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{name} took {:?}", begun.elapsed());
    }
}

#[test]
fn what_is_nested_too_deep_to_read_is_refused() {
    let many = |open: &str, close: &str| format!("{}1{}", open.repeat(5_000), close.repeat(5_000));
    for text in [
        many("(", ")"),
        many("[", "]"),
        many("{", "}"),
        many("#{a:", "}"),
        many("if true {", "}"),
        "-".repeat(10_000) + "1",
        "!".repeat(10_000) + "true",
        "1+".repeat(10_000) + "1",
        "fn f(){".repeat(5_000),
    ] {
        let (code, message) = code_of(script(&text));
        assert!(["TL2201", "TL2203"].contains(&code), "{:.20}: {code} {message}", text);
    }
    assert!(code_of(script(&many("(", ")"))).1.contains("max_expression_depth"));
    assert!(code_of(script(&" ".repeat(70_000))).1.contains("max_script_bytes"));
}

#[test]
fn a_value_as_deep_as_the_limits_allow_does_not_break_the_thread() {
    let limits = ComputeConfig { max_ms: 60_000, ..ComputeConfig::default() };
    let text =
        DEEPER.replace("loop", "for i in 0..832") + " let b = a; b == a; a.len() + b.to_string().len(); a";
    let (code, message) = code_of(run(&limits, json!({"script": text})));
    assert_eq!((code, message.contains("nested deeper")), ("TL2205", true), "{message}");
}

#[test]
fn many_values_each_within_its_limit_end_at_the_memory_of_the_process() {
    let limits = ComputeConfig { memory_mb: 32, max_ms: 60_000, ..ComputeConfig::default() };
    let text = r#"
        fn hoard(n) {
            let s = ""; s.pad(250000, "x"); s += n;
            let t = s + "y"; let u = s + "z"; let v = s + "w"; let a = []; a.pad(9000, n); let b = a; let c = a; let d = a;
            if n > 0 { hoard(n - 1); }
            s.len() + t.len() + u.len() + v.len() + a.len() + b.len() + c.len() + d.len()
        }
        hoard(46)
    "#;
    let result = run(&limits, json!({"script": text}));
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: many_values_...: only Linux tells how much memory a process has");
        return;
    }
    let error = result.unwrap_err();
    assert_eq!((error.code.as_str(), error.retriable), ("TL3200", true), "{}", error.message);
}

#[test]
fn time_ends_a_script_wherever_it_is() {
    let limits = ComputeConfig { max_operations: u64::MAX, max_ms: 100, ..ComputeConfig::default() };
    for text in [
        "loop {}",
        "fn f(n) { if n > 0 { f(n - 1); f(n - 1); } } f(40)",
        "let a = []; a.pad(9000, 1); loop { a.sort(|x, y| y - x); }",
    ] {
        let begun = Instant::now();
        let (code, message) = code_of(run(&limits, json!({"script": text})));
        assert_eq!((code, message.contains("100 ms (compute.max_ms)")), ("TL2204", true), "{message}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{text} took {:?}", begun.elapsed());
    }
}

/// The standard library's sort panics where it notices; the engine must not fall with it.
#[test]
fn an_order_that_is_none_does_not_break_the_thread() {
    let compute = Compute::start(ComputeConfig { threads: 1, ..ComputeConfig::default() }).unwrap();
    let text = "let a = []; for i in 0..500 { a.push(i * 7919 % 503); } \
                a.sort(|x, y| if (x * y) % 3 == 0 { 1 } else { -1 }); a.len()";
    match run_on(&compute, &json!({"script": text})) {
        Ok(length) => assert_eq!(length, json!(500)),
        Err(error) => assert_eq!(error.code.as_str(), "TL2202", "{}", error.message),
    }
    assert_eq!(run_on(&compute, &json!({"expression": "1 + 1"})).unwrap(), json!(2));
}

#[test]
fn a_script_whose_task_is_over_stops_and_leaves_its_thread() {
    let limits =
        ComputeConfig { threads: 1, max_operations: u64::MAX, max_ms: 3_600_000, ..ComputeConfig::default() };
    let compute = Compute::start(limits).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let over = CancellationToken::new();
    let payload = |text: &str| Payload {
        bytes: json!({"script": text}).to_string().into(),
        content_type: String::new(),
    };
    let ended = runtime.block_on(async {
        let endless = compute.handle(payload("loop {}"), over.clone());
        let next = compute.handle(payload("7"), CancellationToken::new());
        let cancel = async {
            tokio::task::yield_now().await;
            over.cancel();
            std::future::pending::<()>().await
        };
        tokio::select! {
            biased;
            _ = endless => None,
            next = next => Some(next),
            () = cancel => None,
        }
    });
    let value: Value = serde_json::from_slice(&ended.unwrap().unwrap().bytes).unwrap();
    assert_eq!(value, json!({"value": 7}));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_breaks_the_engine(text in "\\PC{0,200}") {
        not_broken(&text)?;
    }

    #[test]
    fn no_string_of_words_breaks_the_engine(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        not_broken(&words.join(" "))?;
    }
}

/// Words that a random text would hardly hit upon.
const WORDS: &[&str] = &[
    "let",
    "a",
    "b",
    "=",
    ";",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "#{",
    "fn",
    "f",
    "if",
    "else",
    "for",
    "in",
    "while",
    "loop",
    "break",
    "continue",
    "return",
    "throw",
    "try",
    "catch",
    "switch",
    "=>",
    "|",
    "||",
    ",",
    ".",
    "..",
    "..=",
    "?.",
    "??",
    "?[",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "<<",
    ">>",
    "&",
    "==",
    "!",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "\"t\"",
    "'c'",
    "`${a}`",
    "this",
    "Fn(\"f\")",
    "call",
    "curry",
    "len()",
    "abs()",
    "pad(3, 1)",
    "push(a)",
    "sort()",
    "reduce(|x, y| x)",
    "split()",
    "sub_string(-1, 5)",
    "range(1, 9)",
    "parse_int()",
    "bits",
    "to_hex()",
    "is_shared()",
    "blob(8)",
    "tag",
    "const",
    "do",
    "until",
    "switch a { 1 => 2, _ => 3 }",
];

fn not_broken(text: &str) -> Result<(), TestCaseError> {
    let limits = ComputeConfig { max_operations: 10_000, ..ComputeConfig::default() };
    for program in [Program::Script(text.to_owned()), Program::Expression(text.to_owned())] {
        let inputs = serde_json::Map::from_iter([("a".to_owned(), json!([1, 2.5, "x"]))]);
        let result = engine::run(&limits, &program, inputs, CancellationToken::new());
        prop_assert!(!matches!(result, Err(Failure::Broke)), "{text}");
    }
    Ok(())
}
