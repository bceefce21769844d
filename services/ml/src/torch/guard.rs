//! What keeps a fault inside libtorch, or inside our use of it, from taking the process along.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::failed;
use crate::error::MlError;

/// Runs something on libtorch: its errors become ours, and so does a panic.
///
/// # Errors
/// [`MlError::Failed`] with what libtorch said.
pub fn guarded<T>(model: &str, work: impl FnOnce() -> Result<T, tch::TchError>) -> Result<T, MlError> {
    match catch_unwind(AssertUnwindSafe(|| tch::no_grad(work))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(model, &error)),
        Err(panic) => Err(MlError::Failed { model: model.to_owned(), reason: said(panic.as_ref()) }),
    }
}

/// What a panic said, in one line.
pub fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked");
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_panics_become_errors_of_ours() {
        let (a, b) = (tch::Tensor::from_slice(&[1.0f32, 2.0]), tch::Tensor::from_slice(&[1.0f32; 3]));
        for broken in [guarded("m", || a.f_add(&b)), guarded("m", || Ok(&a + &b))] {
            let Err(MlError::Failed { model, reason }) = broken else { panic!("it was let through") };
            assert!(model == "m" && reason.contains("size") && !reason.contains('\n'), "{reason}");
        }
        assert_eq!(guarded("m", || a.f_sum(tch::Kind::Float)).unwrap().double_value(&[]), 3.0);
    }
}
