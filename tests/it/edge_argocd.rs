//! What Argo CD is told: the folders are there, the project admits what they build and nothing else, the rings are the fleet's.

use serde_json::{Value, json};

use crate::edge_tree::{built, sites, tree};
use crate::support::kustomize::{self, all, build, documents, one};
use crate::support::{repo_root, schemas, temp_dir};

fn read(path: &str) -> Vec<Value> {
    documents(&std::fs::read_to_string(repo_root().join(path)).unwrap())
}

fn project() -> Value {
    read("edge-clusters/gitops/edge-models-project.yaml").remove(0)
}

fn application() -> Value {
    read("edge-clusters/gitops/edge-site-01-app.yaml").remove(0)
}

fn application_set() -> Value {
    read("edge-clusters/gitops/fleet-applicationset.yaml").remove(0)
}

/// The rings of the fleet, in order.
fn rings() -> Vec<Value> {
    read("edge-clusters/fleet.yaml")[0]["rings"].as_array().unwrap().clone()
}

/// Whether a project lets an Application bring an object.
fn admits(project: &Value, object: &Value) -> bool {
    let group = object["apiVersion"].as_str().unwrap().split_once('/').map_or("", |(group, _)| group);
    let cluster_wide = object["metadata"]["namespace"].is_null();
    let list = if cluster_wide { "clusterResourceWhitelist" } else { "namespaceResourceWhitelist" };
    let kinds = project["spec"][list].as_array().unwrap();
    let named = |entry: &Value| entry["name"].is_null() || entry["name"] == object["metadata"]["name"];
    let listed = kinds.iter().any(|entry| entry["group"] == group && entry["kind"] == object["kind"] && named(entry));
    listed && (cluster_wide || reaches(project, &json!({"server": IN_CLUSTER, "namespace": object["metadata"]["namespace"]})))
}

const IN_CLUSTER: &str = "https://kubernetes.default.svc";

fn reaches(project: &Value, destination: &Value) -> bool {
    project["spec"]["destinations"].as_array().unwrap().contains(destination)
}

/// What is wrong with the spec of an Application.
fn wrongs(spec: &Value, project: &Value) -> Vec<&'static str> {
    let path = repo_root().join(spec["source"]["path"].as_str().unwrap());
    let checks = [
        (spec["project"] == project["metadata"]["name"], "another project"),
        (project["spec"]["sourceRepos"].as_array().unwrap().contains(&spec["source"]["repoURL"]), "a foreign repository"),
        (reaches(project, &spec["destination"]), "a foreign destination"),
        (path.join("kustomization.yaml").is_file(), "no such folder"),
        (spec["syncPolicy"]["automated"] == json!({"prune": true, "selfHeal": true}), "not automated"),
    ];
    checks.into_iter().filter(|(fine, _)| !fine).map(|(_, wrong)| wrong).collect()
}

#[test]
fn a_single_site_is_an_application_of_the_project() {
    let (application, project) = (application(), project());
    if let Some(refusals) = schemas::refusals(&[application.clone(), project.clone()]) {
        assert_eq!(refusals, Vec::<String>::new());
    }
    assert_eq!(wrongs(&application["spec"], &project), Vec::<&str>::new());
    for (at, value, said) in [
        ("/spec/source/path", "edge-clusters/sites/edge-site-99", "no such folder"),
        ("/spec/source/repoURL", "https://git.example.com/acme/other.git", "a foreign repository"),
        ("/spec/destination/namespace", "kube-system", "a foreign destination"),
        ("/spec/project", "default", "another project"),
    ] {
        let mut broken = application.clone();
        *broken.pointer_mut(at).unwrap() = json!(value);
        assert_eq!(wrongs(&broken["spec"], &project), [said]);
    }
}

#[test]
fn the_project_admits_everything_that_the_sites_build() {
    let project = project();
    for (site, _) in sites() {
        let Some(objects) = built(&tree(), &site) else { return };
        for object in &objects {
            assert!(admits(&project, object), "{site}: {}", schemas::name(object));
        }
        let foreign = [
            ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", Value::Null),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", json!("models")),
            ("v1", "Secret", json!("models")),
            ("v1", "Namespace", Value::Null),
            ("apps/v1", "Deployment", json!("kube-system")),
        ];
        for (version, kind, namespace) in foreign {
            let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "evil", "namespace": namespace}});
            assert!(!admits(&project, &object), "{object}");
        }
    }
}

#[test]
fn the_project_admits_what_a_canary_by_route_needs() {
    for (version, kind) in [("route.openshift.io/v1", "Route"), ("gateway.networking.k8s.io/v1", "HTTPRoute")] {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "iris", "namespace": "models"}});
        assert!(admits(&project(), &object), "{kind}");
    }
}

#[test]
fn the_fleet_gets_for_every_site_what_a_single_site_gets() {
    let template = &application_set()["spec"]["template"];
    for (site, _) in sites() {
        let filled = template.to_string().replace("{{.name}}", site.as_str());
        let filled: Value = serde_json::from_str(&filled).unwrap();
        assert_eq!(wrongs(&filled["spec"], &project()), Vec::<&str>::new(), "{site}");
        if site.as_str() == "edge-site-01" {
            let single = application();
            assert_eq!(filled["spec"], single["spec"]);
            assert_eq!(filled["metadata"]["name"], single["metadata"]["name"]);
        }
    }
}

#[test]
fn the_fleet_moves_in_the_rings_of_fleet_yaml() {
    let set = application_set();
    assert_eq!(set["spec"]["goTemplateOptions"], json!(["missingkey=error"]));
    let generators = set["spec"]["generators"].as_array().unwrap();
    let placed = |generator: &Value| {
        let resource = &generator["clusterDecisionResource"];
        let group = &resource["labelSelector"]["matchLabels"]["cluster.open-cluster-management.io/decision-group-name"];
        assert_eq!(&resource["values"]["ring"], group);
        group.clone()
    };
    assert_eq!(generators.iter().map(placed).collect::<Vec<_>>(), rings());
    // The generator's facts come from the ConfigMap beside it.
    let maps = read("edge-clusters/gitops/fleet-applicationset.yaml");
    for generator in generators {
        one(&maps, "ConfigMap", generator["clusterDecisionResource"]["configMapRef"].as_str().unwrap());
    }
}

#[test]
fn rolling_sync_is_one_line_away_and_knows_every_ring() {
    let copy = temp_dir();
    kustomize::copy(&tree().join("gitops"), copy.path());
    let Some(plain) = build(copy.path()) else { return };
    assert!(all(&plain, "ApplicationSet")[0]["spec"]["strategy"].is_null());
    let file = copy.path().join("kustomization.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("# components:\n#   - rolling-sync", "components:\n  - rolling-sync")).unwrap();
    let objects = build(copy.path()).unwrap();
    let strategy = &all(&objects, "ApplicationSet")[0]["spec"]["strategy"];
    let steps = strategy["rollingSync"]["steps"].as_array().unwrap();
    let values = steps.iter().flat_map(|step| step["matchExpressions"][0]["values"].as_array().unwrap().clone());
    assert_eq!((strategy["type"].as_str(), values.collect::<Vec<_>>()), (Some("RollingSync"), rings()));
    let template = &all(&objects, "ApplicationSet")[0]["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["ring"], "{{.values.ring}}");
    let Some(refusals) = schemas::refusals(&objects) else { return };
    assert_eq!(refusals, Vec::<String>::new());
}

#[test]
fn the_placement_of_the_page_has_a_group_for_each_ring() {
    let page = std::fs::read_to_string(repo_root().join("docs/gitops.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let placement = blocks.flat_map(documents).find(|block| block["kind"] == "Placement").unwrap();
    let groups = placement["spec"]["decisionStrategy"]["groupStrategy"]["decisionGroups"].as_array().unwrap();
    assert_eq!(groups.iter().map(|group| group["groupName"].clone()).collect::<Vec<_>>(), rings());
    let set = application_set();
    let selected = &set["spec"]["generators"][0]["clusterDecisionResource"]["labelSelector"]["matchLabels"];
    assert_eq!(selected["cluster.open-cluster-management.io/placement"], placement["metadata"]["name"]);
    assert_eq!(set["metadata"]["namespace"], placement["metadata"]["namespace"]);
    let Some(refusals) = schemas::refusals(&[placement]) else { return };
    assert_eq!(refusals, Vec::<String>::new());
}
