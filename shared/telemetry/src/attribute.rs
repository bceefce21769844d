//! What may be the value of a span attribute.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

pub use opentelemetry::Value;

/// A value for [`crate::Span::set`] and [`crate::Span::event`]. It is turned into a [`Value`] only when the span
/// records, so that passing a `&str` costs nothing when tracing is off.
pub trait Attribute {
    /// The value as OpenTelemetry has it.
    fn to_value(&self) -> Value;
}

macro_rules! attribute {
    ($($type:ty => |$value:ident| $make:expr;)*) => {$(
        impl Attribute for $type {
            fn to_value(&self) -> Value {
                let $value = self;
                $make
            }
        }
    )*};
}

attribute! {
    bool => |v| Value::Bool(*v);
    i64 => |v| Value::I64(*v);
    i32 => |v| Value::I64(i64::from(*v));
    u32 => |v| Value::I64(i64::from(*v));
    u16 => |v| Value::I64(i64::from(*v));
    u8 => |v| Value::I64(i64::from(*v));
    // OpenTelemetry has no unsigned integer; what does not fit is shown as the largest that does.
    u64 => |v| Value::I64(i64::try_from(*v).unwrap_or(i64::MAX));
    usize => |v| Value::I64(i64::try_from(*v).unwrap_or(i64::MAX));
    f64 => |v| Value::F64(*v);
    str => |v| Value::from(v.to_owned());
    String => |v| Value::from(v.clone());
    Arc<str> => |v| Value::from(Arc::clone(v));
    Cow<'static, str> => |v| Value::from(v.clone());
    Value => |v| v.clone();
    // Milliseconds, as the names of our attributes say.
    Duration => |v| Value::F64(v.as_secs_f64() * 1e3);
}

impl<T: Attribute + ?Sized> Attribute for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}
