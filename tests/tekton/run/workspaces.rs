//! Workspaces: what a run binds to what a Task declares, and which steps see it.
//! <https://tekton.dev/docs/pipelines/workspaces/>

use super::spec::{Step, TaskSpec, Volume, VolumeMount, WorkspaceSpec};
use super::substitute::Variables;
use super::{Refused, refuse};

impl WorkspaceSpec {
    fn path(&self) -> String {
        self.mount_path.clone().unwrap_or_else(|| format!("/workspace/{}", self.name))
    }
}

/// Refuses what does not fit the declarations, and a second claim.
pub(crate) fn refuse_misfits(of: &str, declared: &[WorkspaceSpec], bound: &[Volume]) -> Result<(), Refused> {
    let is_bound = |spec: &&WorkspaceSpec| spec.optional || bound.iter().any(|volume| volume.name == spec.name);
    if let Some(missing) = declared.iter().find(|spec| !is_bound(spec)) {
        refuse!("{of}: declared workspace {:?} is required but has not been bound", missing.name);
    }
    if let Some(unknown) = bound.iter().find(|volume| !declared.iter().any(|spec| spec.name == volume.name)) {
        refuse!("{of}: workspace binding {:?} does not match any declared workspace", unknown.name);
    }
    Ok(())
}

/// With the default affinity assistant a TaskRun may use one claim.
pub(crate) fn refuse_second_claim(of: &str, bound: &[Volume]) -> Result<(), Refused> {
    let mut claims: Vec<&str> = bound.iter().filter_map(Volume::claim).collect();
    claims.sort_unstable();
    claims.dedup();
    if claims.len() > 1 {
        refuse!("{of}: more than one PersistentVolumeClaim is bound: {}", claims.join(" "));
    }
    Ok(())
}

/// The volume behind a workspace has a name of its own; one claim bound twice is one volume.
pub(crate) fn volume_name(binding: &Volume) -> String {
    binding
        .persistent_volume_claim
        .as_ref()
        .map_or_else(|| format!("ws-{}", binding.name), |claim| format!("ws-claim-{}", claim.claim_name))
}

/// `workspaces.NAME.path`, `.bound`, `.volume` and `.claim`.
pub(crate) fn put_variables(known: &mut Variables, declared: &[WorkspaceSpec], bound: &[Volume]) {
    for spec in declared {
        let binding = bound.iter().find(|volume| volume.name == spec.name);
        let claim = binding.and_then(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.clone()));
        let values = [
            ("path", binding.map(|_| spec.path()).unwrap_or_default()),
            ("bound", binding.is_some().to_string()),
            ("volume", binding.map(volume_name).unwrap_or_default()),
            ("claim", claim.unwrap_or_default()),
        ];
        for (what, value) in values {
            known.text(&format!("workspaces.{}.{what}", spec.name), value);
        }
    }
}

/// Mounts every bound workspace into the steps that see it: all, or those that name it where any step does.
pub(crate) fn mount(of: &str, task: &TaskSpec, steps: &mut [Step], bound: &[Volume]) -> Result<(), Refused> {
    for spec in &task.workspaces {
        let Some(binding) = bound.iter().find(|volume| volume.name == spec.name) else { continue };
        let is_isolated = steps.iter().any(|step| step.workspaces.iter().any(|usage| usage.name == spec.name));
        for step in steps.iter_mut() {
            let usage = step.workspaces.iter().find(|usage| usage.name == spec.name);
            if is_isolated && usage.is_none() {
                continue;
            }
            let mount_path = usage.and_then(|usage| usage.mount_path.clone()).unwrap_or_else(|| spec.path());
            let mount =
                VolumeMount { name: volume_name(binding), mount_path, sub_path: binding.sub_path.clone(), read_only: spec.read_only };
            step.volume_mounts.push(mount);
        }
    }
    let unknown = steps.iter().flat_map(|step| &step.workspaces).find(|usage| !task.workspaces.iter().any(|spec| spec.name == usage.name));
    unknown.map_or(Ok(()), |usage| Err(Refused(format!("{of}: undefined workspace {:?}", usage.name))))
}

mod tests {
    use super::{refuse_misfits, refuse_second_claim};
    use serde_json::{Value, json};

    fn refusal(declared: Value, bound: Value) -> String {
        let (declared, bound): (Vec<_>, Vec<_>) = (serde_json::from_value(declared).unwrap(), serde_json::from_value(bound).unwrap());
        let refused = refuse_misfits("task t", &declared, &bound).and_then(|()| refuse_second_claim("task t", &bound));
        refused.map_or_else(|refused| refused.to_string(), |()| String::new())
    }

    #[test]
    fn a_missing_an_unknown_and_a_second_claim_are_refused() {
        let (key, claim) = (json!([{"name": "key", "optional": true}]), |name: &str| json!({"claimName": name}));
        assert_eq!(refusal(key.clone(), json!([])), "");
        assert_eq!(refusal(json!([{"name": "a"}]), json!([])), "task t: declared workspace \"a\" is required but has not been bound");
        let unknown = refusal(key, json!([{"name": "kei", "emptyDir": {}}]));
        assert_eq!(unknown, "task t: workspace binding \"kei\" does not match any declared workspace");
        let two = json!([{"name": "a", "persistentVolumeClaim": claim("x")}, {"name": "b", "persistentVolumeClaim": claim("y")}]);
        assert!(refusal(json!([{"name": "a"}, {"name": "b"}]), two).contains("more than one PersistentVolumeClaim"));
        let one = json!([{"name": "a", "persistentVolumeClaim": claim("x")}, {"name": "b", "persistentVolumeClaim": claim("x")}]);
        assert_eq!(refusal(json!([{"name": "a"}, {"name": "b"}]), one), "");
    }
}
