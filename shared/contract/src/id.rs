//! Task ids. A fresh one is a UUIDv7; one given by the publisher is any token that is safe in a subject.

use uuid::{Builder, Uuid};

/// A fresh UUIDv7.
pub fn fresh() -> String {
    Uuid::now_v7().to_string()
}

/// The id of a submission that brought none: a UUIDv7 made of the stored message's time and place. The same stored
/// message gives the same id, so that a submission which is read twice (a router died in between) is one task.
pub fn of_stored(stream: &str, sequence: u64, time_us: i64) -> String {
    let millis = u64::try_from(time_us).unwrap_or(0) / 1000;
    let mut random = [0u8; 10];
    let place = fnv1a(stream.as_bytes(), time_us as u64);
    random[..2].copy_from_slice(&place.to_be_bytes()[6..]);
    random[2..].copy_from_slice(&sequence.to_be_bytes());
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}

/// FNV-1a, 64 bit (Fowler, Noll, Vo), seeded: spreads the microseconds and the stream's name over two bytes.
fn fnv1a(bytes: &[u8], seed: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in seed.to_le_bytes().iter().chain(bytes) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_stored_message_gives_the_same_id() {
        let a = of_stored("TASKS", 7, 1_790_000_000_123_456);
        assert_eq!(a, of_stored("TASKS", 7, 1_790_000_000_123_456));
        assert_ne!(a, of_stored("TASKS", 8, 1_790_000_000_123_456));
        let uuid = Uuid::parse_str(&a).unwrap();
        assert_eq!(uuid.get_version_num(), 7);
        assert!(tasklane_domain::name::check_task_id(&a).is_ok());
    }
}
