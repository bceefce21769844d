//! The engine that runs a script, and its limits. A script sees its inputs and the language's own functions, and
//! nothing else: no files, no modules, no `eval`, no clock, no output.
//!
//! Closures that capture variables are left out of the build (Rhai's feature `no_closure`): captured variables are
//! shared, a value that holds itself is never freed, and a worker that runs for weeks must not leak. Functions may
//! be passed by name and given arguments with `curry`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicBlobPackage, BasicFnPackage, BasicIteratorPackage,
    BasicMapPackage, BasicMathPackage, BasicStringPackage, BitFieldPackage, LogicPackage, MoreStringPackage,
    Package,
};
use rhai::{AST, Dynamic, Engine, Module, OptimizationLevel, Scope, def_package};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::value;
use super::watch::Watch;
use crate::config::ComputeConfig;

def_package! {
    /// The language's own functions without its core package, which holds `sleep`: it blocks the thread, past every
    /// limit, and a name in a text (`Fn("sleep")`) gets around a symbol that is switched off. Its `parse_json` counts
    /// its steps afresh.
    Functions(lib): ArithmeticPackage, BasicStringPackage, BasicIteratorPackage, BasicFnPackage, BitFieldPackage,
        LogicPackage, BasicMathPackage, BasicArrayPackage, BasicBlobPackage, BasicMapPackage, MoreStringPackage {}
}

/// The language's own functions: made once, shared by all engines, which makes an engine cheap enough to have one
/// per script, with a watch of its own.
static FUNCTIONS: LazyLock<Arc<Module>> = LazyLock::new(|| Functions::new().as_shared_module());

/// What is run.
#[derive(Debug)]
pub enum Program {
    /// One expression.
    Expression(String),
    /// Statements and functions.
    Script(String),
}

/// The stack of a thread that runs scripts, in bytes; reserved, and only used as far as it is needed. An array that
/// holds an array that holds an array... is copied, compared, printed and dropped by recursion, one level for each
/// element that the limits allow. Measured in a debug build: below 2 KiB for a level of arrays or maps, and below
/// 32 KiB for a call through 45 nested expressions. Twice that, and more, is reserved.
pub fn stack_size(limits: &ComputeConfig) -> usize {
    let levels = limits.max_array_size.saturating_add(limits.max_map_size);
    let calls = limits.max_call_depth.saturating_add(4).saturating_mul(limits.max_expression_depth.max(16));
    (4usize << 20)
        .saturating_add(levels.saturating_mul(4 << 10))
        .saturating_add(calls.saturating_mul(4 << 10))
}

/// Runs a program to its end, or to the first limit it reaches. Blocks.
///
/// # Errors
/// What was wrong with the program or its inputs, or which limit it reached.
pub fn run(
    limits: &ComputeConfig,
    program: &Program,
    inputs: Map<String, Value>,
    cancelled: CancellationToken,
) -> Result<Value, Failure> {
    if cancelled.is_cancelled() {
        return Err(Failure::Cancelled);
    }
    // The engine is somebody else's large program: should it panic, this script alone fails, and for good.
    catch_unwind(AssertUnwindSafe(|| {
        let watch = Watch::begin(limits.max_ms, limits.memory_mb, cancelled);
        evaluate(limits, program, inputs, watch)
    }))
    .unwrap_or(Err(Failure::Broke))
}

fn evaluate(
    limits: &ComputeConfig,
    program: &Program,
    inputs: Map<String, Value>,
    watch: Watch,
) -> Result<Value, Failure> {
    let engine = engine(limits, watch);
    let mut scope = scope(limits, &engine, inputs)?;
    let ast = read(limits, &engine, &scope, program)?;
    let value: Dynamic =
        engine.eval_ast_with_scope(&mut scope, &ast).map_err(|e| Failure::of_running(limits, &e))?;
    value::to_json(&value, limits.max_result_bytes)
}

fn engine(limits: &ComputeConfig, watch: Watch) -> Engine {
    let mut engine = Engine::new_raw();
    engine.register_global_module(Arc::clone(&FUNCTIONS));
    // A constant expression is computed when it is run, where time and steps are counted.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    for symbol in ["eval", "print", "debug"] {
        engine.disable_symbol(symbol);
    }
    engine
        .set_max_operations(limits.max_operations)
        .set_max_call_levels(limits.max_call_depth)
        .set_max_expr_depths(limits.max_expression_depth, limits.max_expression_depth)
        .set_max_functions(limits.max_functions)
        .set_max_variables(limits.max_variables)
        .set_max_string_size(limits.max_string_bytes)
        .set_max_array_size(limits.max_array_size)
        .set_max_map_size(limits.max_map_size)
        .on_progress(move |step| watch.look(step).map(Dynamic::from));
    engine
}

/// The inputs as variables.
fn scope(
    limits: &ComputeConfig,
    engine: &Engine,
    inputs: Map<String, Value>,
) -> Result<Scope<'static>, Failure> {
    if inputs.len() > limits.max_variables {
        let what = format!("there are {} inputs", inputs.len());
        return Err(Failure::limit(what, "max_variables", limits.max_variables));
    }
    let mut scope = Scope::new();
    for (name, json) in inputs {
        if !is_name(&name) {
            return Err(Failure::Payload(format!(
                "`inputs` has \"{name}\", which cannot be a variable: a name is letters, digits and _, and does not \
                 begin with a digit"
            )));
        }
        let value = value::from_json(&format!("inputs.{name}"), json)?;
        engine.ensure_data_size_within_limits(&value).map_err(|e| Failure::of_running(limits, &e))?;
        scope.push_dynamic(name, value);
    }
    Ok(scope)
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn read(
    limits: &ComputeConfig,
    engine: &Engine,
    scope: &Scope<'_>,
    program: &Program,
) -> Result<AST, Failure> {
    let (Program::Expression(text) | Program::Script(text)) = program;
    if text.len() > limits.max_script_bytes {
        let what = format!("the text has {} bytes", text.len());
        return Err(Failure::limit(what, "max_script_bytes", limits.max_script_bytes));
    }
    match program {
        Program::Expression(text) => engine.compile_expression_with_scope(scope, text),
        Program::Script(text) => engine.compile_with_scope(scope, text),
    }
    .map_err(|e| Failure::of_parsing(limits, &e))
}
