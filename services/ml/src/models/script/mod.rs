//! A TorchScript module: tensors in, and whatever it returns out. It lives on a thread of its own and does one call after
//! the other: two at once would share the same cores.

mod answer;
mod convert;

use std::cell::Cell;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::turns::Turns;
use super::{Loading, Urgency};
use crate::batch::meters::OfModel;
use crate::error::MlError;
use crate::manifest::Kind;
use crate::memory;
use crate::tensor::Tensor;
use crate::torch::{self, Device};

pub use answer::{Answer, WrittenAnswer};

/// The file with the module.
pub const FILE: &str = "model.pt";
/// Bytes of all tensors of an answer, at most.
pub const MOST_ANSWER_BYTES: usize = 256 << 20;

/// A loaded module. Its thread ends when the last clone is dropped.
#[derive(Clone)]
pub struct Handle {
    owner: Arc<Owner>,
}

struct Owner {
    turns: Arc<Turns<Call>>,
    name: Arc<str>,
    /// Of the weights.
    bytes: u64,
    /// Of one call, beside its inputs.
    call_bytes: u64,
    meters: OfModel,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.meters.waiting(self.turns.close(), 0);
    }
}

struct Call {
    inputs: Vec<Tensor>,
    came: Instant,
    until: Instant,
    answer: oneshot::Sender<Result<Answer, MlError>>,
}

impl Handle {
    /// Loads the module and starts its thread. Blocking.
    ///
    /// # Errors
    /// The file is no module that libtorch can run.
    pub fn load(at: &Loading<'_>) -> Result<Self, MlError> {
        let name: Arc<str> = at.manifest.full_name().to_string().into();
        let Kind::Torchscript(spec) = &at.manifest.kind else {
            return Err(MlError::WrongKind {
                model: name.to_string(),
                is: at.manifest.kind_name(),
                wanted: "a TorchScript module",
            });
        };
        let refused = |reason: String| MlError::BadModel { model: name.to_string(), reason };
        // Profiles of every shape ever seen would grow for ever.
        tch::jit::f_set_profiling_mode(false).map_err(|e| refused(convert::reason(&e)))?;
        let path = at.folder.join(FILE);
        let bytes = std::fs::metadata(&path).map_err(|e| refused(format!("{FILE}: {e}")))?.len();
        let device = at.settings.device;
        let loaded = tch::CModule::load_on_device(&path, device.0);
        let mut module = loaded.map_err(|e| refused(format!("{FILE}: {}", convert::reason(&e))))?;
        module.f_set_eval().map_err(|e| refused(format!("{FILE}: {}", convert::reason(&e))))?;
        let turns = Arc::new(Turns::new(at.settings.batch.max_waiting));
        let threads = if at.settings.threads == 0 { torch::cores() } else { at.settings.threads };
        let meters = at.meters.of(&at.manifest.name);
        let serving = Serving {
            module,
            device,
            name: Arc::clone(&name),
            turns: Arc::clone(&turns),
            returns_tensor: Cell::new(false),
            threads,
            meters: meters.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("ml-{}", at.manifest.name));
        thread
            .spawn(move || serving.run())
            .map_err(|e| MlError::Internal(format!("no thread for a model: {e}")))?;
        Ok(Self { owner: Arc::new(Owner { turns, name, bytes, call_bytes: spec.memory_mb << 20, meters }) })
    }

    /// Memory of its weights.
    pub fn memory_bytes(&self) -> u64 {
        self.owner.bytes
    }

    /// Calls that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.owner.turns.waiting()
    }

    /// Calls the module's `forward` with these inputs, in their order.
    ///
    /// # Errors
    /// [`MlError::TooMuchMemory`] before anything is done, [`MlError::Crowded`], [`MlError::TooLate`], and
    /// [`MlError::Failed`] with what libtorch or the module itself said.
    pub async fn run(&self, inputs: Vec<Tensor>, urgency: Urgency) -> Result<Answer, MlError> {
        self.admit(&inputs)?;
        let (answer, answered) = oneshot::channel();
        let call = Call { inputs, came: Instant::now(), until: urgency.until, answer };
        let name = || self.owner.name.to_string();
        self.owner.turns.put(urgency.priority, call).map_err(|_| MlError::Crowded(name()))?;
        self.owner.meters.waiting(0, 1);
        answered.await.unwrap_or_else(|_| Err(MlError::Gone(name())))
    }

    /// What it needs is told by the inputs, which libtorch copies, and by the manifest.
    fn admit(&self, inputs: &[Tensor]) -> Result<(), MlError> {
        let copied: usize = inputs.iter().map(|tensor| tensor.bytes().len()).sum();
        memory::admit(self.owner.call_bytes.saturating_add(copied as u64))
    }
}

/// What the module's thread owns.
struct Serving {
    module: tch::CModule,
    device: Device,
    name: Arc<str>,
    turns: Arc<Turns<Call>>,
    /// It returned a tensor once, so it always does. That way of calling forgets nothing where a call fails.
    returns_tensor: Cell<bool>,
    threads: usize,
    meters: OfModel,
}

impl Serving {
    fn run(self) {
        let _no_grad = tch::no_grad_guard();
        torch::use_threads(self.threads);
        while let Some(call) = self.turns.take() {
            self.meters.waiting(1, 0);
            self.meters.waited(call.came.elapsed());
            // Nobody waits any more.
            if call.answer.is_closed() {
                continue;
            }
            let began = Instant::now();
            let done = if call.until <= began {
                Err(MlError::TooLate)
            } else {
                let done = self.caught(&call.inputs);
                self.meters.ran(1, 0, 0, began.elapsed());
                done
            };
            if call.answer.send(done).is_err() {
                tracing::debug!(model = %self.name, "nobody waited for the answer");
            }
        }
    }

    /// A panic is a fault of ours, and of this call alone.
    fn caught(&self, inputs: &[Tensor]) -> Result<Answer, MlError> {
        let call = std::panic::AssertUnwindSafe(|| self.forward(inputs));
        std::panic::catch_unwind(call)
            .unwrap_or_else(|_| Err(MlError::Internal(format!("the call of {} panicked", self.name))))
    }

    fn forward(&self, inputs: &[Tensor]) -> Result<Answer, MlError> {
        let failed =
            |e: tch::TchError| MlError::Failed { model: self.name.to_string(), reason: convert::reason(&e) };
        let given = inputs.iter().map(|tensor| convert::into_torch(tensor, self.device));
        let given: Vec<tch::Tensor> = given.collect::<Result<_, _>>().map_err(failed)?;
        if self.returns_tensor.get() {
            let answer = self.module.forward_ts(&given).map_err(failed)?;
            return convert::answer(tch::IValue::Tensor(answer), &self.name);
        }
        // The same tensors, not copies.
        let values: Vec<tch::IValue> =
            given.iter().map(|tensor| tch::IValue::Tensor(tensor.shallow_clone())).collect();
        match self.module.forward_is(&values) {
            Ok(value) => {
                self.returns_tensor.set(matches!(value, tch::IValue::Tensor(_)));
                convert::answer(value, &self.name)
            }
            Err(e) => {
                convert::empty(given);
                Err(failed(e))
            }
        }
    }
}
