//! What was made goes, and nothing else.

use super::mark::{self, Mark};
use super::{SERVICES, SmokeError};
use crate::cluster::{Cluster, ClusterError, Deleted};
use crate::oci::Timestamp;

/// What became of what was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It goes.
    Deleted,
    /// It was not there.
    Missing,
}

/// Deletes the InferenceService of this name, if a smoke test made it.
///
/// # Errors
/// [`SmokeError::Foreign`]: somebody else's, which stays.
pub fn remove(cluster: &Cluster, namespace: &str, name: &str) -> Result<Removed, SmokeError> {
    let Some(found) = cluster.get(SERVICES, namespace, name)? else { return Ok(Removed::Missing) };
    if !mark::is_ours(&found) {
        return Err(SmokeError::Foreign { name: name.to_owned(), namespace: namespace.to_owned() });
    }
    Ok(cluster.delete(SERVICES, namespace, &found)?.into())
}

/// Deletes what smoke tests left behind in a namespace and nobody needs any more; their names.
pub fn remove_expired(cluster: &Cluster, namespace: &str, now: Timestamp) -> Result<Vec<String>, SmokeError> {
    let found = cluster.list(SERVICES, namespace, &Mark::selector())?;
    let expired = found.iter().filter(|object| mark::has_expired(object, now));
    expired.map(|object| Ok(cluster.delete(SERVICES, namespace, object).map(|_| object.name().to_owned())?)).collect()
}

/// Deletes what this run made. The name may have gone to somebody else meanwhile.
pub(super) fn remove_own(cluster: &Cluster, namespace: &str, name: &str, mark: &Mark) -> Result<Removed, ClusterError> {
    let found = cluster.get(SERVICES, namespace, name)?.filter(|object| mark.is_on(object));
    found.map_or(Ok(Removed::Missing), |object| Ok(cluster.delete(SERVICES, namespace, &object)?.into()))
}

impl From<Deleted> for Removed {
    fn from(deleted: Deleted) -> Self {
        match deleted {
            Deleted::Accepted => Self::Deleted,
            Deleted::Missing => Self::Missing,
        }
    }
}
