//! What tells our InferenceServices from those of others. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Object;
use crate::oci::Timestamp;

/// Kubernetes' own word for who looks after an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const MODELCAR: &str = "modelcar";
/// Which run made it.
const RUN: &str = "io.modelcar/smoke-test-run";
/// Until when it may be needed, as RFC 3339.
const DEADLINE: &str = "io.modelcar/smoke-test-deadline";
/// How long a run may take for its requests once the model is ready.
const SLACK: Duration = Duration::from_secs(600);

/// A run and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What no other run is called.
    pub run: String,
    deadline: Timestamp,
}

impl Mark {
    /// The mark of a run that begins now and waits so long for its model.
    pub fn new(run: impl Into<String>, now: Timestamp, timeout: Duration) -> Self {
        Self { run: run.into(), deadline: Timestamp::from_seconds(now.seconds().saturating_add((timeout + SLACK).as_secs())) }
    }

    /// The label by which ours are found.
    pub(super) fn selector() -> String {
        format!("{MANAGED_BY}={MODELCAR}")
    }

    /// Puts it on an object.
    pub(super) fn put_on(&self, object: &mut Value) {
        object["metadata"]["labels"][MANAGED_BY] = json!(MODELCAR);
        object["metadata"]["annotations"][RUN] = json!(self.run);
        object["metadata"]["annotations"][DEADLINE] = json!(self.deadline.to_string());
    }

    /// Whether this run made the object.
    pub(super) fn is_on(&self, object: &Object) -> bool {
        is_ours(object) && object.annotation(RUN) == Some(&self.run)
    }
}

/// Whether a smoke test made the object. The label alone is not enough: what is deployed for good may carry it, too.
pub(super) fn is_ours(object: &Object) -> bool {
    object.label(MANAGED_BY) == Some(MODELCAR) && object.annotation(RUN).is_some()
}

/// Whether nobody needs it any more. One that does not say until when never expires.
pub(super) fn has_expired(object: &Object, now: Timestamp) -> bool {
    is_ours(object) && object.annotation(DEADLINE).and_then(Timestamp::parse).is_some_and(|deadline| deadline < now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_what_carries_all_of_the_mark() {
        let mark = Mark::new("r1", Timestamp::from_seconds(1000), Duration::from_secs(60));
        let mut object = json!({"metadata": {"name": "iris", "annotations": {"a": "b"}}});
        mark.put_on(&mut object);
        assert_eq!(object["metadata"]["annotations"]["a"], "b");
        let ours = Object::new(object.clone());
        assert!(mark.is_on(&ours) && is_ours(&ours));
        assert!(!Mark { run: "r2".to_owned(), ..mark.clone() }.is_on(&ours));
        for pointer in ["/metadata/labels", "/metadata/annotations"] {
            let mut other = object.clone();
            *other.pointer_mut(pointer).unwrap() = json!({});
            let other = Object::new(other);
            assert!(!mark.is_on(&other) && !is_ours(&other) && !has_expired(&other, Timestamp::from_seconds(u64::MAX)), "{pointer}");
        }
    }

    #[test]
    fn it_expires_when_its_time_is_over_and_not_before() {
        let mut object = json!({});
        Mark::new("r1", Timestamp::from_seconds(1000), Duration::from_secs(60)).put_on(&mut object);
        let object = Object::new(object);
        for (now, expired) in [(0, false), (1660, false), (1661, true)] {
            assert_eq!(has_expired(&object, Timestamp::from_seconds(now)), expired, "{now}");
        }
    }
}
