//! Tensors: every format there and back, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;
use tasklane_ml::tensor::{DTYPES, Dtype, Encoding, Tensor, Written, bytes_of, read_all, write_all};

fn read(text: &str) -> Result<Tensor, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

fn written(tensor: &Tensor, encoding: Encoding) -> String {
    serde_json::to_string(&Written(tensor, encoding)).unwrap()
}

fn tensors() -> impl Strategy<Value = Tensor> {
    let shape = prop::collection::vec(0usize..4, 0..5);
    (prop::sample::select(DTYPES.to_vec()), shape).prop_flat_map(|((dtype, _), shape)| {
        let bytes = bytes_of(dtype, &shape).unwrap();
        let byte = if dtype == Dtype::Bool { 0..=1u8 } else { 0..=255u8 };
        prop::collection::vec(byte, bytes).prop_map(move |data| {
            Tensor::new(dtype, shape.clone(), without_nan_payloads(dtype, data)).unwrap()
        })
    })
}

/// JSON has one NaN: of all that there are, the usual one.
fn without_nan_payloads(dtype: Dtype, mut data: Vec<u8>) -> Vec<u8> {
    for number in data.chunks_exact_mut(dtype.size()) {
        let usual: Option<Vec<u8>> = match (dtype, &*number) {
            (Dtype::F16, [a, b]) => {
                half::f16::from_le_bytes([*a, *b]).is_nan().then(|| half::f16::NAN.to_le_bytes().to_vec())
            }
            (Dtype::Bf16, [a, b]) => {
                half::bf16::from_le_bytes([*a, *b]).is_nan().then(|| half::bf16::NAN.to_le_bytes().to_vec())
            }
            (Dtype::F32, [a, b, c, d]) => {
                f32::from_le_bytes([*a, *b, *c, *d]).is_nan().then(|| f32::NAN.to_le_bytes().to_vec())
            }
            (Dtype::F64, eight) => f64::from_le_bytes(eight.try_into().unwrap())
                .is_nan()
                .then(|| f64::NAN.to_le_bytes().to_vec()),
            _ => None,
        };
        if let Some(usual) = usual {
            number.copy_from_slice(&usual);
        }
    }
    data
}

proptest! {
    #[test]
    fn each_way_leads_back(tensor in tensors()) {
        for encoding in [Encoding::Values, Encoding::Base64] {
            let text = written(&tensor, encoding);
            let back = read(&text).map_err(|e| TestCaseError::fail(format!("{e}: {text}")))?;
            prop_assert_eq!(&back, &tensor, "{}", text);
        }
        let metadata = HashMap::from([("model".to_owned(), "m".to_owned())]);
        let bytes = write_all(&[("a".to_owned(), &tensor), ("b".to_owned(), &tensor)], metadata).unwrap();
        let (tensors, metadata) = read_all(&bytes).unwrap();
        prop_assert_eq!(&tensors["a"], &tensor);
        prop_assert_eq!((&tensors["b"], metadata["model"].as_str()), (&tensor, "m"));
    }

    #[test]
    fn no_text_and_no_bytes_bring_it_down(text in "[\\[\\]{},:\"0-9.eainstruvldbtphf-]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(read(&text));
        drop(read_all(&bytes));
        let mut framed = 20u64.to_le_bytes().to_vec();
        framed.extend(bytes);
        drop(read_all(&framed));
    }
}

#[test]
fn lists_alone_are_tensors() {
    for (text, dtype, shape) in [
        ("[[1, 2, 3], [4, 5, 6]]", Dtype::I64, &[2, 3][..]),
        ("[[1, 2.5]]", Dtype::F32, &[1, 2]),
        ("[true, false]", Dtype::Bool, &[2]),
        ("7", Dtype::I64, &[]),
        ("-0.5", Dtype::F32, &[]),
        ("true", Dtype::Bool, &[]),
        ("[]", Dtype::F32, &[0]),
        ("[[], []]", Dtype::F32, &[2, 0]),
        ("[1, \"NaN\"]", Dtype::F32, &[2]),
        ("{\"values\": [1, 2], \"dtype\": \"u8\"}", Dtype::U8, &[2]),
        ("{\"values\": [1, 2.0], \"dtype\": \"i8\"}", Dtype::I8, &[2]),
        ("{\"values\": [1, 2, 3, 4], \"shape\": [2, 2]}", Dtype::I64, &[2, 2]),
        ("{\"shape\": [0, 3], \"values\": []}", Dtype::F32, &[0, 3]),
    ] {
        let tensor = read(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((tensor.dtype(), tensor.shape()), (dtype, shape), "{text}");
    }
    assert_eq!(read("[0.1]").unwrap().bytes(), 0.1f32.to_le_bytes());
    let ninth = read("{\"values\": [9007199254740993], \"dtype\": \"i64\"}").unwrap();
    assert_eq!(ninth.bytes(), 9_007_199_254_740_993i64.to_le_bytes());
    assert!(written(&read("[0.1]").unwrap(), Encoding::Values).contains("[0.1]"), "as short as it can be");
}

#[test]
fn what_is_no_tensor_is_refused_with_a_reason() {
    for (text, expected) in [
        ("[[1, 2], [3]]", "a list has 1 items where the first of its kind has 2"),
        ("[[1], 2]", "lists and numbers stand side by side"),
        ("[1, [2]]", "lists and numbers stand side by side"),
        ("[1, true]", "numbers stand beside true and false"),
        ("[\"one\"]", "expected a number"),
        ("[null]", "expected a number"),
        ("\"x\"", "expected a tensor"),
        ("{\"values\": [300], \"dtype\": \"u8\"}", "number 0 is 300, which u8 does not have"),
        ("{\"values\": [1, 2.5], \"dtype\": \"i32\"}", "number 1 is 2.5, which i32 does not have"),
        ("{\"values\": [1e39], \"dtype\": \"f32\"}", "which f32 does not have"),
        ("{\"values\": [70000.0], \"dtype\": \"f16\"}", "which f16 does not have"),
        ("{\"values\": [18446744073709551615], \"dtype\": \"i64\"}", "which i64 does not have"),
        ("{\"values\": [1], \"dtype\": \"bool\"}", "a bool is true or false"),
        ("{\"values\": [true], \"dtype\": \"u8\"}", "true and false are no u8"),
        ("{\"values\": [1], \"dtype\": \"float32\"}", "`float32` is no dtype; there are bool, u8"),
        ("{\"values\": [1, 2], \"shape\": [3]}", "the values have the shape [2], not [3]"),
        ("{\"values\": [[1, 2]], \"shape\": [2, 1]}", "the values have the shape [1, 2], not [2, 1]"),
        ("{\"values\": [1], \"base64\": \"AA==\"}", "either `values` or `base64`"),
        ("{\"base64\": \"AA==\"}", "needs `dtype` and `shape`"),
        ("{\"base64\": \"A\", \"dtype\": \"u8\", \"shape\": [1]}", "`base64` cannot be read"),
        ("{\"base64\": \"AA==\", \"dtype\": \"u8\", \"shape\": [2]}", "has 2 bytes; here are 1"),
        ("{\"base64\": \"Ag==\", \"dtype\": \"bool\", \"shape\": [1]}", "neither 0 nor 1"),
        ("{\"base64\": \"\", \"dtype\": \"f32\", \"shape\": [4294967296, 4294967296]}", "more than"),
        ("{\"base64\": \"\", \"dtype\": \"f32\", \"shape\": [0, 4294967296, 4294967296]}", "more than"),
        ("{\"base64\": \"\", \"dtype\": \"f32\", \"shape\": [-1]}", "invalid value"),
        ("{\"value\": [1]}", "unknown field `value`"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let deep = format!("{}1{}", "[".repeat(17), "]".repeat(17));
    assert!(read(&deep).unwrap_err().contains("more than 16 lists"));
    let dimensions = json!({"dtype": "u8", "shape": vec![1; 17], "base64": "AA=="});
    assert!(read(&dimensions.to_string()).unwrap_err().contains("17 dimensions"));
}
