//! Pods and containers as far as their members' names go: those of Kubernetes 1.33 that KServe's kinds carry.

use super::shape::{Member, Shape, flag, int, member, must, object, open, open_list, text, texts};

const NAMED: &[Member] = &[must("name", Shape::Text)];
const MAYBE_NAMED: &[Member] = &[text("name")];

const ENV: &[Member] = &[must("name", Shape::Text), text("value"), open("valueFrom")];
const PORT: &[Member] = &[must("containerPort", Shape::Int), text("hostIP"), int("hostPort"), text("name"), text("protocol")];
const MOUNT: &[Member] = &[
    must("mountPath", Shape::Text),
    text("mountPropagation"),
    must("name", Shape::Text),
    flag("readOnly"),
    text("recursiveReadOnly"),
    text("subPath"),
    text("subPathExpr"),
];
const TOLERATION: &[Member] = &[text("effect"), text("key"), text("operator"), int("tolerationSeconds"), text("value")];

/// What a container asks for and is limited to.
pub(super) const RESOURCES: &[Member] = &[
    member("claims", Shape::List(&Shape::Object(&[&[must("name", Shape::Text), text("request")]]))),
    member("limits", Shape::Amounts),
    member("requests", Shape::Amounts),
];

/// A container, without its name.
pub(super) const CONTAINER: &[Member] = &[
    texts("args"),
    texts("command"),
    member("env", Shape::List(&Shape::Object(&[ENV]))),
    open_list("envFrom"),
    text("image"),
    text("imagePullPolicy"),
    open("lifecycle"),
    open("livenessProbe"),
    member("ports", Shape::List(&Shape::Object(&[PORT]))),
    open("readinessProbe"),
    open_list("resizePolicy"),
    object("resources", &[RESOURCES]),
    text("restartPolicy"),
    open_list("restartPolicyRules"),
    open("securityContext"),
    open("startupProbe"),
    flag("stdin"),
    flag("stdinOnce"),
    text("terminationMessagePath"),
    text("terminationMessagePolicy"),
    flag("tty"),
    open_list("volumeDevices"),
    member("volumeMounts", Shape::List(&Shape::Object(&[MOUNT]))),
    text("workingDir"),
];

/// A pod's description.
pub(super) const POD: &[Member] = &[
    int("activeDeadlineSeconds"),
    open("affinity"),
    flag("automountServiceAccountToken"),
    member("containers", Shape::List(&Shape::Object(&[CONTAINER, MAYBE_NAMED]))),
    open("dnsConfig"),
    text("dnsPolicy"),
    flag("enableServiceLinks"),
    open_list("hostAliases"),
    flag("hostIPC"),
    flag("hostNetwork"),
    flag("hostPID"),
    flag("hostUsers"),
    text("hostname"),
    text("hostnameOverride"),
    member("imagePullSecrets", Shape::List(&Shape::Object(&[MAYBE_NAMED]))),
    member("initContainers", Shape::List(&Shape::Object(&[CONTAINER, NAMED]))),
    text("nodeName"),
    member("nodeSelector", Shape::Texts),
    open("os"),
    member("overhead", Shape::Amounts),
    text("preemptionPolicy"),
    int("priority"),
    text("priorityClassName"),
    open_list("readinessGates"),
    open_list("resourceClaims"),
    object("resources", &[RESOURCES]),
    text("restartPolicy"),
    text("runtimeClassName"),
    text("schedulerName"),
    open_list("schedulingGates"),
    open("securityContext"),
    text("serviceAccount"),
    text("serviceAccountName"),
    flag("setHostnameAsFQDN"),
    flag("shareProcessNamespace"),
    text("subdomain"),
    int("terminationGracePeriodSeconds"),
    member("tolerations", Shape::List(&Shape::Object(&[TOLERATION]))),
    open_list("topologySpreadConstraints"),
    open_list("volumes"),
];

/// A pod's description where Kubernetes' own type is used.
pub(super) const EPHEMERAL: &[Member] = &[open_list("ephemeralContainers")];
