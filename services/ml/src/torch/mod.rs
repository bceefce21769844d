//! The only room, with `models`, that names libtorch: what it runs on, and how its errors become ours.

pub mod guard;
pub mod packed;
pub mod weights;

use crate::error::MlError;
use crate::memory;

/// What computations run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device(pub tch::Device);

impl Device {
    /// The device of a setting: `auto` is the first GPU where there is one.
    ///
    /// # Errors
    /// Where a GPU is asked for and there is none.
    pub fn of(setting: &str) -> Result<Self, MlError> {
        let there = tch::Cuda::is_available();
        // Drivers of GPUs map far more than they use.
        if !there {
            memory::bound();
        }
        match setting {
            "auto" => Ok(Self(if there { tch::Device::Cuda(0) } else { tch::Device::Cpu })),
            "cpu" => Ok(Self(tch::Device::Cpu)),
            gpu if there => {
                let number = gpu.strip_prefix("cuda:").and_then(|n| n.parse().ok()).unwrap_or(0);
                Ok(Self(tch::Device::Cuda(number)))
            }
            gpu => Err(MlError::Internal(format!("torch.device is {gpu}, and libtorch finds no GPU"))),
        }
    }
}

/// Threads that one computation of the calling thread uses from now on, at most `threads`.
pub fn use_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}

/// The cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// An error of libtorch in one line: its stack of C++ frames helps nobody who reads a task's result.
pub fn line(error: &tch::TchError) -> String {
    let text = error.to_string();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    first.chars().take(300).collect()
}

/// A model's failure that is libtorch's.
pub fn failed(model: &str, error: &tch::TchError) -> MlError {
    MlError::Failed { model: model.to_owned(), reason: line(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_errors_are_short() {
        assert_eq!(Device::of("cpu").unwrap().0, tch::Device::Cpu);
        let (a, b) = (tch::Tensor::from_slice(&[1.0f32, 2.0]), tch::Tensor::from_slice(&[1.0f32, 2.0, 3.0]));
        let wrong = a.f_add(&b).unwrap_err();
        let MlError::Failed { reason, .. } = failed("m", &wrong) else { panic!("{wrong}") };
        assert!(reason.contains("size") && !reason.contains('\n') && reason.len() <= 300, "{reason}");
    }
}
