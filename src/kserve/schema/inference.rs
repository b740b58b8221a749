//! The members of an InferenceService, `v1beta1`, as of KServe 0.20. Older ones have fewer: see [`super::check_on`].

use super::pod::{CONTAINER, EPHEMERAL, POD};
use super::shape::{Member, Shape, int, member, must, object, open, open_list, text, texts};

/// The object.
pub(super) const SERVICE: &[Member] = &[
    must("apiVersion", Shape::Text),
    must("kind", Shape::Text),
    must("metadata", Shape::Object(&[METADATA])),
    must("spec", Shape::Object(&[SPEC])),
    open("status"),
];

/// What people write of `metadata`; the rest comes from the API server.
pub(super) const METADATA: &[Member] = &[
    member("annotations", Shape::Texts),
    text("creationTimestamp"),
    text("deletionTimestamp"),
    texts("finalizers"),
    text("generateName"),
    int("generation"),
    member("labels", Shape::Texts),
    open_list("managedFields"),
    must("name", Shape::Text),
    text("namespace"),
    open_list("ownerReferences"),
    text("resourceVersion"),
    text("uid"),
];

const SPEC: &[Member] = &[
    member("canary", Shape::List(&Shape::Object(&[CANARY]))),
    object("explainer", &[COMPONENT, POD, EXPLAINER]),
    must("predictor", Shape::Object(&[COMPONENT, POD, PREDICTOR, STABLE])),
    object("transformer", &[COMPONENT, POD, SOURCES]),
];

const CANARY: &[Member] =
    &[must("predictor", Shape::Object(&[COMPONENT, POD, EPHEMERAL, PREDICTOR, BESIDE])), must("trafficPercent", Shape::Int)];

/// What every part of a service has: replicas, rollout, traffic.
const COMPONENT: &[Member] = &[
    member("annotations", Shape::Texts),
    open("autoScaling"),
    object("batcher", &[&[int("maxBatchSize"), int("maxLatency"), int("timeout")]]),
    int("canaryTrafficPercent"),
    int("containerConcurrency"),
    object("deploymentStrategy", &[&[object("rollingUpdate", &[ROLLING]), text("type")]]),
    member("labels", Shape::Texts),
    object("logger", &[LOGGER]),
    int("maxReplicas"),
    int("minReplicas"),
    member("scaleMetric", Shape::Word(&["cpu", "memory", "concurrency", "rps"])),
    member("scaleMetricType", Shape::Word(&["Utilization", "Value", "AverageValue"])),
    int("scaleTarget"),
    int("timeout"),
];

const ROLLING: &[Member] = &[member("maxSurge", Shape::IntOrText), member("maxUnavailable", Shape::IntOrText)];

const LOGGER: &[Member] = &[
    text("batchInterval"),
    int("batchSize"),
    text("marshallerUrl"),
    texts("metadataAnnotations"),
    texts("metadataHeaders"),
    member("mode", Shape::Word(&["all", "request", "response"])),
    open("storage"),
    text("url"),
];

const SOURCES: &[Member] = &[member("storageUris", Shape::List(&Shape::Object(&[&[text("mountPath"), must("uri", Shape::Text)]])))];

/// The predictor, without `model`. The frameworks by name are the form of the time before `model`.
const PREDICTOR: &[Member] = &[
    open("huggingface"),
    open("lightgbm"),
    text("name"),
    open("onnx"),
    open("paddle"),
    open("pmml"),
    open("pytorch"),
    open("sklearn"),
    text("storageContainerName"),
    SOURCES[0],
    open("tensorflow"),
    open("triton"),
    object("workerSpec", &[POD, EPHEMERAL, &[int("pipelineParallelSize"), int("tensorParallelSize")]]),
    open("xgboost"),
];

const EXPLAINER: &[Member] = &[open("art"), SOURCES[0]];

const FORMAT: &[Member] = &[must("name", Shape::Text), text("version")];

const STORAGE: &[Member] = &[text("key"), member("parameters", Shape::Texts), text("path"), text("schemaPath")];

/// The model, without its format and its container's name.
const MODEL: &[Member] = &[
    object("confidential", &[&[must("enabled", Shape::Flag), text("resourceId")]]),
    member("protocolVersion", Shape::Word(&["v1", "v2", "grpc-v1", "grpc-v2"])),
    text("runtime"),
    text("runtimeVersion"),
    object("storage", &[STORAGE]),
    text("storageUri"),
];

/// The stable predictor's model.
const STABLE: &[Member] = &[object("model", &[CONTAINER, MODEL, &[must("modelFormat", Shape::Object(&[FORMAT])), text("name")]])];

/// A canary's. KServe's generator loosens `required` for the stable predictor and not here, one level deeper.
const BESIDE: &[Member] =
    &[object("model", &[CONTAINER, MODEL, &[must("modelFormat", Shape::Object(&[FORMAT])), must("name", Shape::Text)]])];
