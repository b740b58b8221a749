//! What OpenShift's restricted-v2 admits, said outright: a step that only a defaulting admission would make so is refused too, because
//! Kubernetes' restricted profile refuses it. <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>

use serde::Deserialize;
use serde_json::Value;

use super::{Refused, refuse, spec};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SecurityContext {
    run_as_non_root: Option<bool>,
    run_as_user: Option<u64>,
    run_as_group: Option<u64>,
    privileged: Option<bool>,
    allow_privilege_escalation: Option<bool>,
    read_only_root_filesystem: Option<bool>,
    capabilities: Capabilities,
    seccomp_profile: SeccompProfile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Capabilities {
    add: Vec<String>,
    drop: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SeccompProfile {
    #[serde(rename = "type")]
    kind: String,
}

/// Refuses what restricted-v2 would not admit; says whether the root is read-only.
pub(crate) fn admit(of: &str, context: Option<&Value>) -> Result<bool, Refused> {
    let Some(context) = context else { refuse!("{of}: restricted-v2 wants a securityContext") };
    let context: SecurityContext = spec::read(&format!("{of}: securityContext"), context)?;
    let broken = [
        (context.run_as_non_root == Some(true), "runAsNonRoot: true"),
        (context.run_as_user.is_none() && context.run_as_group.is_none(), "no runAsUser and no runAsGroup"),
        (context.privileged != Some(true), "privileged: false"),
        (context.allow_privilege_escalation == Some(false), "allowPrivilegeEscalation: false"),
        (context.capabilities.drop == ["ALL"] && context.capabilities.add.is_empty(), "capabilities: {drop: [ALL]}"),
        (context.seccomp_profile.kind == "RuntimeDefault", "seccompProfile: {type: RuntimeDefault}"),
    ];
    if let Some((_, wanted)) = broken.iter().find(|(is_kept, _)| !is_kept) {
        refuse!("{of}: restricted-v2 wants {wanted}");
    }
    Ok(context.read_only_root_filesystem == Some(true))
}

mod tests {
    use super::admit;
    use serde_json::{Value, json};

    fn restricted() -> Value {
        json!({"runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"}, "readOnlyRootFilesystem": true})
    }

    #[test]
    fn what_restricted_v2_would_not_admit_is_refused() {
        assert!(admit("step a", Some(&restricted())).unwrap());
        let broken = [
            ("/runAsNonRoot", json!(false), "runAsNonRoot: true"),
            ("/allowPrivilegeEscalation", json!(true), "allowPrivilegeEscalation: false"),
            ("/capabilities", json!({}), "capabilities: {drop: [ALL]}"),
            ("/capabilities", json!({"drop": ["ALL"], "add": ["SETFCAP"]}), "capabilities: {drop: [ALL]}"),
            ("/seccompProfile", json!({"type": "Unconfined"}), "seccompProfile: {type: RuntimeDefault}"),
        ];
        for (place, value, wanted) in broken {
            let mut context = restricted();
            *context.pointer_mut(place).unwrap() = value;
            assert_eq!(admit("step a", Some(&context)).unwrap_err().to_string(), format!("step a: restricted-v2 wants {wanted}"));
        }
        for (field, value) in [("runAsUser", json!(0)), ("runAsGroup", json!(0)), ("privileged", json!(true)), ("procMount", json!("x"))] {
            let mut context = restricted();
            context[field] = value;
            assert!(admit("step a", Some(&context)).is_err(), "{field}");
        }
        assert!(admit("step a", None).is_err());
    }
}
