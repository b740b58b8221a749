//! The members of an LLMInferenceService, `v1alpha1` and `v1alpha2` together: they differ in what this tool never writes.

use super::inference::METADATA;
use super::pod::{EPHEMERAL, POD};
use super::shape::{Member, Shape, flag, int, member, must, object, open, open_list, text};

/// The object.
pub(super) const SERVICE: &[Member] = &[
    must("apiVersion", Shape::Text),
    must("kind", Shape::Text),
    must("metadata", Shape::Object(&[METADATA])),
    must("spec", Shape::Object(&[SPEC, WORKLOAD])),
    open("status"),
];

const SPEC: &[Member] = &[
    member("baseRefs", Shape::List(&Shape::Object(&[&[text("name")]]))),
    must("model", Shape::Object(&[MODEL])),
    object("prefill", &[WORKLOAD]),
    object("router", &[ROUTER]),
    object("storageInitializer", &[&[flag("enabled")]]),
    object("tracing", &[&[text("exporter"), text("exporterEndpoint"), text("sampler"), text("samplerArg")]]),
];

const MODEL: &[Member] = &[
    object("confidential", &[&[must("enabled", Shape::Flag), text("resourceId")]]),
    text("criticality"),
    object("lora", &[&[member("adapters", Shape::Any), int("maxAdapters"), int("maxCpuAdapters"), int("maxRank")]]),
    text("name"),
    must("uri", Shape::Text),
];

const ROUTER: &[Member] = &[
    object("gateway", &[&[open_list("refs")]]),
    object("ingress", &[&[open_list("refs")]]),
    object("route", &[&[text("group"), open("http"), int("weight")]]),
    object("scheduler", &[SCHEDULER]),
];

const SCHEDULER: &[Member] = &[
    member("annotations", Shape::Texts),
    open("config"),
    member("labels", Shape::Texts),
    open("pool"),
    int("replicas"),
    object("template", &[POD, EPHEMERAL]),
];

/// The pods, those that decode and those that prefill.
const WORKLOAD: &[Member] = &[
    member("annotations", Shape::Texts),
    open("kvCacheOffloading"),
    member("labels", Shape::Texts),
    object("parallelism", &[PARALLELISM]),
    int("replicas"),
    object("scaling", &[&[int("maxReplicas"), int("minReplicas"), open("wva")]]),
    object("template", &[POD, EPHEMERAL]),
    object("worker", &[POD, EPHEMERAL]),
];

const PARALLELISM: &[Member] = &[int("data"), int("dataLocal"), int("dataRPCPort"), flag("expert"), int("pipeline"), int("tensor")];
