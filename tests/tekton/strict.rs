//! Whether an API server would take a document as it is: custom resources by their CRDs, the rest by Kubernetes' own schemas.
//!
//! Where a CRD of Tekton leaves a hole (the specs that a pipeline or a run embeds, the volumes of a task) the schema of what is there
//! is asked. The CRDs of Triggers have no schema at all, so the fields of v0.37's Go types are listed here.

use serde_json::{Value, json};

/// What Triggers serves.
const TRIGGERS: &str = "triggers.tekton.dev/v1beta1";

/// A document and what it embeds, each as a document of its own.
pub(crate) fn unfolded(document: &Value) -> Vec<Value> {
    let spec = &document["spec"];
    let mut all = vec![without_holes(document)];
    match document["kind"].as_str() {
        Some("Task") => all.extend(pod_with(&spec["volumes"])),
        Some("Pipeline") => all.extend(tasks(spec).flat_map(|spec| unfolded(&embedded("Task", spec)))),
        Some("PipelineRun" | "TaskRun") => {
            for (member, kind) in [("pipelineSpec", "Pipeline"), ("taskSpec", "Task")] {
                all.extend(spec.get(member).into_iter().flat_map(|spec| unfolded(&embedded(kind, spec))));
            }
            all.extend(spec["taskRunTemplate"].get("podTemplate").or(spec.get("podTemplate")).and_then(|pod| pod_with(&pod["volumes"])));
        }
        Some("TriggerTemplate") => all.extend(spec["resourcetemplates"].as_array().into_iter().flatten().flat_map(unfolded)),
        _ => {}
    }
    all
}

/// What is judged by itself is taken out.
fn without_holes(document: &Value) -> Value {
    let mut document = document.clone();
    let members: &[&str] = match document["kind"].as_str() {
        Some("Task") => &["volumes"],
        Some("PipelineRun" | "TaskRun") => &["pipelineSpec", "taskSpec"],
        _ => &[],
    };
    for member in members {
        document["spec"].as_object_mut().and_then(|spec| spec.remove(*member));
    }
    document
}

fn tasks(pipeline: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["tasks", "finally"].into_iter().filter_map(|member| pipeline[member].as_array());
    lists.flatten().filter_map(|task| task.get("taskSpec"))
}

/// A spec as a document. What only an embedded one may have is its own metadata.
fn embedded(kind: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(members) = spec.as_object_mut() {
        members.remove("metadata");
    }
    json!({"apiVersion": "tekton.dev/v1", "kind": kind, "metadata": {"name": "embedded"}, "spec": spec})
}

fn pod_with(volumes: &Value) -> Option<Value> {
    let spec = json!({"containers": [{"name": "c", "image": "i"}], "volumes": volumes});
    volumes.is_array().then(|| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "volumes"}, "spec": spec}))
}

/// The schema of a kind of Triggers, in the words of a structural schema.
pub(crate) fn trigger_schema(document: &Value) -> Option<Value> {
    if document["apiVersion"] != TRIGGERS {
        return None;
    }
    let spec = match document["kind"].as_str()? {
        "EventListener" => event_listener(),
        "Trigger" => trigger(),
        "TriggerBinding" | "ClusterTriggerBinding" => object(&[("params", list(&value_of_param()))], &["params"]),
        "TriggerTemplate" => template(),
        _ => return None,
    };
    let text = string();
    Some(object(&[("apiVersion", text.clone()), ("kind", text), ("metadata", json!({"type": "object"})), ("spec", spec)], &["spec"]))
}

fn event_listener() -> Value {
    let selector = anything();
    let resource = object(
        &[
            ("replicas", json!({"type": "integer"})),
            ("serviceType", json!({"type": "string", "enum": ["ClusterIP", "NodePort", "LoadBalancer"]})),
            ("servicePort", json!({"type": "integer"})),
            ("serviceLoadBalancerClass", string()),
            ("spec", anything()),
        ],
        &[],
    );
    let group = object(&[("name", string()), ("interceptors", list(&interceptor())), ("triggerSelector", anything())], &["name"]);
    object(
        &[
            ("serviceAccountName", string()),
            ("triggers", list(&trigger())),
            ("triggerGroups", list(&group)),
            ("namespaceSelector", selector.clone()),
            ("labelSelector", selector),
            ("resources", object(&[("kubernetesResource", resource), ("customResource", anything())], &[])),
            ("cloudEventURI", string()),
        ],
        &["serviceAccountName"],
    )
}

fn trigger() -> Value {
    let binding = [("name", string()), ("value", string()), ("ref", string()), ("kind", string()), ("apiversion", string())];
    let reference = object(&[("ref", string()), ("apiversion", string()), ("spec", template())], &[]);
    object(
        &[
            ("name", string()),
            ("bindings", list(&object(&binding, &[]))),
            ("template", reference),
            ("triggerRef", string()),
            ("interceptors", list(&interceptor())),
            ("serviceAccountName", string()),
        ],
        &[],
    )
}

fn interceptor() -> Value {
    let reference = object(&[("name", string()), ("kind", string()), ("apiVersion", string())], &["name"]);
    let param = object(
        &[
            ("name", string()),
            ("value", json!({"x-kubernetes-preserve-unknown-fields": true, "items": {"x-kubernetes-preserve-unknown-fields": true}})),
        ],
        &["name", "value"],
    );
    object(&[("name", string()), ("ref", reference), ("params", list(&param)), ("webhook", anything())], &[])
}

fn template() -> Value {
    let param = object(&[("name", string()), ("description", string()), ("default", string())], &["name"]);
    object(&[("params", list(&param)), ("resourcetemplates", list(&anything()))], &["resourcetemplates"])
}

fn value_of_param() -> Value {
    object(&[("name", string()), ("value", string())], &["name", "value"])
}

fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> = properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn string() -> Value {
    json!({"type": "string"})
}

/// Judged by somebody else, or not at all.
fn anything() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
