//! Lanes: the subjects of the work stream, `work.<capability>.<pool>.p<0-3>`, and the consumers that read them.

use crate::name;
use crate::priority::Priority;

/// The pool of tasks that nobody can do yet. The router reads its lane, no worker does.
pub const NOWHERE: &str = name::RESERVED_POOL;

/// The subject a routed task is published to.
#[must_use]
pub fn work_subject(capability: &str, pool: &str, priority: Priority) -> String {
    format!("work.{capability}.{pool}.p{}", priority.lane())
}

/// The filter of a pool's consumer for one priority: every capability, one pool.
#[must_use]
pub fn lane_filter(pool: &str, priority: Priority) -> String {
    format!("work.*.{pool}.p{}", priority.lane())
}

/// The name of a pool's durable consumer for one priority.
#[must_use]
pub fn consumer_name(pool: &str, priority: Priority) -> String {
    format!("{pool}-p{}", priority.lane())
}

/// The capability, pool and priority in a work subject; none if it is not one.
#[must_use]
pub fn parse_work_subject(subject: &str) -> Option<(&str, &str, Priority)> {
    let mut tokens = subject.strip_prefix("work.")?.split('.');
    let (capability, pool, lane) = (tokens.next()?, tokens.next()?, tokens.next()?);
    if tokens.next().is_some() {
        return None;
    }
    let priority = parse_lane(lane)?;
    let pool_is_fine = pool == NOWHERE || name::check_pool(pool).is_ok();
    (pool_is_fine && name::check_capability(capability).is_ok()).then_some((capability, pool, priority))
}

/// The pool and priority in a consumer's name; none if it is not one of a lane.
#[must_use]
pub fn parse_consumer_name(consumer: &str) -> Option<(&str, Priority)> {
    let (pool, lane) = consumer.rsplit_once('-')?;
    let pool_is_fine = pool == NOWHERE || name::check_pool(pool).is_ok();
    parse_lane(lane).filter(|_| pool_is_fine).map(|priority| (pool, priority))
}

fn parse_lane(token: &str) -> Option<Priority> {
    match token.as_bytes() {
        [b'p', digit @ b'0'..=b'3'] => Priority::from_lane(digit - b'0'),
        _ => None,
    }
}
