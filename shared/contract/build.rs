//! Compiles the contract's .proto files without a system protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/tasklane/v1/task.proto", "proto/tasklane/v1/worker.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    prost_build::Config::new()
        .bytes([".tasklane.v1.Task.payload", ".tasklane.v1.TaskResult.result", ".tasklane.v1.DeadLetter.raw"])
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
