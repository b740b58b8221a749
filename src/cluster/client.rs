//! The four requests, each with the token that the file holds at the moment.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::place::{MOUNTED, Place};
use super::status::{self, Deed};
use super::{ClusterError, Given, Object, Resource, token};
use crate::oci::is_modest;
use crate::store::StoreOptions;
use crate::store::registry::{Answer, Ask, Web, carries_secrets, shown_url};

const JSON: &str = "application/json";
/// How long nothing may move.
const IDLE: Duration = Duration::from_secs(30);
/// The longest answer that is read. etcd keeps at most 1.5 MiB per object, and lists are asked for in parts.
const MAX_ANSWER: u64 = 8 << 20;
/// Objects of one list. More are not looked at.
const MAX_ITEMS: usize = 100;

/// A cluster, and who speaks to it.
///
/// Its methods block, and must not be called from a thread of an asynchronous runtime.
pub struct Cluster {
    place: Place,
    web: Web,
}

/// What became of an object that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It goes.
    Accepted,
    /// It was not there.
    Missing,
}

impl Cluster {
    /// The cluster that the user names, else the one around this pod. Nothing is sent yet.
    ///
    /// # Errors
    /// There is none, its certificates cannot be read, or a token would be sent where others can read it.
    pub fn open(given: &Given) -> Result<Self, ClusterError> {
        let place = Place::find(given, &|name| std::env::var_os(name), Path::new(MOUNTED))?;
        let options = StoreOptions { ca_file: place.ca_file.clone(), ..StoreOptions::default() };
        let web = Web::new(&options, IDLE).map_err(|error| ClusterError::Status(error.into()))?;
        if place.token_file.is_some() && !carries_secrets(&place.url) || !web.may_reach(&place.url) {
            return Err(ClusterError::Plain { url: shown_url(&place.url) });
        }
        Ok(Self { place, web })
    }

    /// The namespace of the pod that this runs in.
    pub fn namespace(&self) -> Option<&str> {
        self.place.namespace.as_deref()
    }

    /// Makes an object. A field that the API server does not know is refused and not dropped in silence.
    pub fn create(&self, resource: &'static Resource, namespace: &str, object: &Value) -> Result<Object, ClusterError> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let deed = Deed { verb: "create", resource, namespace, name };
        let url = self.url(&Deed { name: "", ..deed }, &[("fieldManager", "modelcar"), ("fieldValidation", "Strict")]);
        let answer = self.send(&Ask::post(&url, JSON, object.to_string(), JSON, MAX_ANSWER))?;
        if answer.is_success() { object_of(&answer, &url) } else { Err(refused(&answer, &deed, &url)) }
    }

    /// Looks at an object; `None` where there is none of that name.
    pub fn get(&self, resource: &'static Resource, namespace: &str, name: &str) -> Result<Option<Object>, ClusterError> {
        let deed = Deed { verb: "get", resource, namespace, name };
        let url = self.url(&deed, &[]);
        let answer = self.send(&Ask::get(&url, JSON, MAX_ANSWER))?;
        match answer.status {
            200 => object_of(&answer, &url).map(Some),
            404 if status::is_missing(&answer.body, &deed) => Ok(None),
            _ => Err(refused(&answer, &deed, &url)),
        }
    }

    /// The objects that a label selector chooses (`app=iris`), at most a hundred.
    pub fn list(&self, resource: &'static Resource, namespace: &str, selector: &str) -> Result<Vec<Object>, ClusterError> {
        let deed = Deed { verb: "list", resource, namespace, name: "" };
        let url = self.url(&deed, &[("labelSelector", selector), ("limit", &MAX_ITEMS.to_string())]);
        let answer = self.send(&Ask::get(&url, JSON, MAX_ANSWER))?;
        if answer.status != 200 {
            return Err(refused(&answer, &deed, &url));
        }
        let list = Object::new(document(&answer, &url)?);
        Ok(list.list("/items").take(MAX_ITEMS).cloned().map(Object::new).collect())
    }

    /// Deletes the object with this uid, and what belongs to it after it. One that took its name meanwhile stays.
    pub fn delete(&self, resource: &'static Resource, namespace: &str, object: &Object) -> Result<Deleted, ClusterError> {
        let deed = Deed { verb: "delete", resource, namespace, name: object.name() };
        let url = self.url(&deed, &[]);
        ensure_known(object, &url)?;
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1",
            "propagationPolicy": "Background", "preconditions": {"uid": object.uid()},
        });
        let answer = self.send(&Ask::delete(&url, JSON, options.to_string(), JSON, MAX_ANSWER))?;
        match answer.status {
            200 | 202 => Ok(Deleted::Accepted),
            404 if status::is_missing(&answer.body, &deed) => Ok(Deleted::Missing),
            _ => Err(refused(&answer, &deed, &url)),
        }
    }

    fn url(&self, deed: &Deed<'_>, query: &[(&str, &str)]) -> Url {
        let mut url = self.place.url.clone();
        // fails only for addresses without a host
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(deed.resource.root()).extend(["namespaces", deed.namespace, deed.resource.plural]);
            segments.extend(Some(deed.name).filter(|name| !name.is_empty()));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A token that is refused may have been replaced since it was read.
    fn send(&self, ask: &Ask<'_>) -> Result<Answer, ClusterError> {
        let answer = self.send_as_known(ask)?;
        if answer.status == 401 && self.place.token_file.is_some() { self.send_as_known(ask) } else { Ok(answer) }
    }

    fn send_as_known(&self, ask: &Ask<'_>) -> Result<Answer, ClusterError> {
        let bearer = self.place.token_file.as_deref().map(token::read).transpose()?;
        self.web.send(&ask.clone().bearing(bearer.as_ref())).map_err(|error| ClusterError::NoAnswer(error.into()))
    }
}

fn refused(answer: &Answer, deed: &Deed<'_>, url: &Url) -> ClusterError {
    let known = status::refusal(answer.status, &answer.body, deed, &shown_url(url));
    known.unwrap_or_else(|| ClusterError::Status(answer.refused().into()))
}

fn document(answer: &Answer, url: &Url) -> Result<Value, ClusterError> {
    let unusable = |reason| ClusterError::BadAnswer { url: shown_url(url), reason };
    if !is_modest(&answer.body) {
        return Err(unusable("it has too many parts"));
    }
    serde_json::from_slice(&answer.body).map_err(|_| unusable("it is no JSON document"))
}

fn object_of(answer: &Answer, url: &Url) -> Result<Object, ClusterError> {
    let object = Object::new(document(answer, url)?);
    ensure_known(&object, url).map(|()| object)
}

/// An object without name and uid could never be deleted again: without its name, the address is that of all objects of its kind.
fn ensure_known(object: &Object, url: &Url) -> Result<(), ClusterError> {
    if object.name().is_empty() || object.uid().is_empty() {
        return Err(ClusterError::BadAnswer { url: shown_url(url), reason: "it is no object with name and uid" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISVC: &Resource =
        &Resource { group: "serving.kserve.io", version: "v1beta1", plural: "inferenceservices", kind: "InferenceService" };
    const PODS: &Resource = &Resource { group: "", version: "v1", plural: "pods", kind: "Pod" };

    fn cluster(url: &str, token: Option<&Path>) -> Result<Cluster, ClusterError> {
        Cluster::open(&Given { url: Some(url.to_owned()), token_file: token.map(Path::to_owned), ca_file: None })
    }

    #[test]
    fn addresses_are_the_apis_and_names_cannot_leave_them() {
        let deed = |resource, name| Deed { verb: "get", resource, namespace: "a b", name };
        for (base, resource, name, expected) in [
            ("https://k:6443", ISVC, "iris", "https://k:6443/apis/serving.kserve.io/v1beta1/namespaces/a%20b/inferenceservices/iris"),
            ("https://k/clusters/x/", PODS, "", "https://k/clusters/x/api/v1/namespaces/a%20b/pods"),
            ("https://k", PODS, "a/b", "https://k/api/v1/namespaces/a%20b/pods/a%2Fb"),
        ] {
            assert_eq!(cluster(base, None).unwrap().url(&deed(resource, name), &[]).as_str(), expected);
        }
    }

    #[test]
    fn what_has_no_name_is_not_deleted_lest_everything_is() {
        let cluster = cluster("http://127.0.0.1:1", None).unwrap();
        for metadata in [json!({}), json!({"uid": "7"}), json!({"name": "iris"})] {
            let deleted = cluster.delete(ISVC, "scratch", &Object::new(json!({ "metadata": metadata })));
            assert!(matches!(deleted, Err(ClusterError::BadAnswer { .. })), "{deleted:?}");
        }
    }

    #[test]
    fn a_token_travels_encrypted_or_not_at_all() {
        let token = Path::new("/nothing");
        assert!(cluster("https://k", Some(token)).is_ok() && cluster("http://127.0.0.1:8001", None).is_ok());
        for (url, token) in [("http://k.example.com", Some(token)), ("http://k.example.com", None)] {
            assert!(matches!(cluster(url, token), Err(ClusterError::Plain { .. })), "{url}");
        }
    }
}
