use fs_err as fs;

use super::report::read_report;
use super::*;
use crate::rollout::status::difference::Difference;
use crate::rollout::{SiteFacts, SiteState};

const KUBECTL: &str = include_str!("../../../testdata/running/kubectl.json");
const ARGO: &str = include_str!("../../../testdata/running/argocd.json");
const WORK: &str = include_str!("../../../testdata/running/acm-work.json");

fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

/// A GitOps folder with one site and one model of digest 1; `canary` is the digest of one that gets a tenth.
fn tree(canary: Option<char>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sites/edge-01/models");
    fs::create_dir_all(&folder).unwrap();
    let canary = canary.map(|canary| {
        let uri = format!("oci://quay.io/acme/iris@{}", digest(canary));
        format!("  canary:\n    - trafficPercent: 10\n      predictor: {{name: v2, model: {{storageUri: '{uri}'}}}}\n")
    });
    let head = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: iris\n  annotations: {io.modelcar/image: 'quay.io/acme/iris:v1'}\n";
    let uri = format!("oci://quay.io/acme/iris@{}", digest('1'));
    let text = format!("{head}spec:\n  predictor: {{model: {{storageUri: '{uri}'}}}}\n{}", canary.unwrap_or_default());
    fs::write(folder.join("iris.yaml"), text).unwrap();
    dir
}

fn site(facts: Option<SiteFacts>) -> Site {
    Site { name: "edge-01".parse().unwrap(), facts }
}

fn status_of(tree: &Path, report: Option<(&str, bool)>, families: &Families) -> SiteStatus {
    let site = site(None);
    let mut fleet = Fleet::default();
    if let Some((text, is_own)) = report {
        let own = is_own.then_some(&site.name);
        fleet.add(std::slice::from_ref(&site.name), own, read_report(text.as_bytes()).unwrap());
    }
    site_status(tree, &site, &History::default(), &fleet, families)
}

fn service(uri_digest: char, ready: &str) -> String {
    format!(
        r#"{{"kind":"InferenceService","metadata":{{"name":"iris","namespace":"models"}},
            "spec":{{"predictor":{{"model":{{"storageUri":"oci://quay.io/acme/iris@{}"}}}}}},
            "status":{{"conditions":[{{"type":"Ready","status":"{ready}"}}]}}}}"#,
        digest(uri_digest)
    )
}

/// A pod of the model: what its spec pins, what its node reports, whether it takes requests.
fn pod(told: Option<char>, id: Option<char>, ready: &str) -> String {
    let image = told.map_or_else(|| "quay.io/acme/iris:v1".to_owned(), |told| format!("quay.io/acme/iris@{}", digest(told)));
    let id = id.map(|id| format!("quay.io/acme/iris@{}", digest(id))).unwrap_or_default();
    format!(
        r#"{{"kind":"Pod","metadata":{{"namespace":"models","labels":{{"serving.kserve.io/inferenceservice":"iris"}}}},
            "spec":{{"containers":[{{"name":"modelcar","image":"{image}"}}]}},
            "status":{{"conditions":[{{"type":"Ready","status":"{ready}"}}],"containerStatuses":[{{"name":"modelcar","imageID":"{id}"}}]}}}}"#
    )
}

/// An index of digest 1 with the manifest of digest a.
fn family() -> Families {
    use crate::oci::{Descriptor, ImageIndex, Platform, RawManifest, media_type};
    use crate::store::layout::LayoutStore;
    use crate::store::{Access, Store as _};
    let dir = tempfile::tempdir().unwrap();
    let store = LayoutStore::open(dir.path(), Access::Write).unwrap();
    let mut families = Families::default();
    let child = RawManifest::image(&crate::oci::ImageManifest::new(Descriptor::of(media_type::CONFIG, b"{}"), Vec::new())).unwrap();
    store.put_blob(&Descriptor::of(media_type::CONFIG, b"{}"), &b"{}".to_vec()).unwrap();
    store.put_manifest(&child, &crate::oci::ManifestRef::Digest(child.digest())).unwrap();
    let index = RawManifest::index(&ImageIndex::new(vec![child.descriptor().on(Platform::linux("amd64"))])).unwrap();
    store.put_manifest(&index, &crate::oci::ManifestRef::Tag("v1".to_owned())).unwrap();
    families.learn(&store, index.digest()).unwrap();
    families.learn(&store, child.digest()).unwrap();
    assert_eq!(families.compare(index.digest(), child.digest()), Sameness::Same);
    assert_eq!(families.compare(child.digest(), index.digest()), Sameness::Same);
    assert_eq!(families.compare(index.digest(), digest('9')), Sameness::Other);
    assert_eq!(families.compare(digest('9'), child.digest()), Sameness::Unknown);
    families.known(digest('1'), [digest('a')]);
    families
}

/// What it is called, the canary, the reports, what is known of indexes, and the drift.
type Case<'a> = (&'a str, Option<char>, Vec<String>, &'a Families, &'a str);

#[test]
fn drift_is_told_from_everything_that_looks_like_it() {
    let (none, known) = (Families::default(), family());
    let list = |objects: &[String]| format!(r#"{{"items":[{}]}}"#, objects.join(","));
    let cases: &[Case<'_>] = &[
        ("nothing there", None, vec![], &none, "not running"),
        ("as told, by index", None, vec![pod(Some('1'), Some('1'), "True")], &none, "in step"),
        ("as told, the node names its platform", None, vec![pod(Some('1'), Some('a'), "True")], &none, "in step"),
        ("by tag, the node names its platform", None, vec![pod(None, Some('a'), "True")], &none, "unknown (platform digest)"),
        ("the same, looked up", None, vec![pod(None, Some('a'), "True")], &known, "in step"),
        ("by tag, the index", None, vec![pod(None, Some('1'), "True")], &none, "in step"),
        ("by tag, something else, looked up", None, vec![pod(None, Some('4'), "True")], &known, "drifted"),
        ("something else", None, vec![pod(Some('4'), Some('4'), "True")], &none, "drifted"),
        ("something else, and the service knows", None, vec![service('1', "False"), pod(Some('4'), Some('4'), "True")], &none, "rolling"),
        ("something else, and so the service", None, vec![service('4', "True"), pod(Some('4'), Some('4'), "True")], &none, "drifted"),
        ("not ready", None, vec![pod(Some('1'), None, "False")], &none, "rolling"),
        ("old and new", None, vec![pod(Some('1'), None, "True"), pod(Some('4'), None, "True")], &none, "rolling"),
        ("no image at all", None, vec![pod(None, None, "True")], &none, "unknown (no digest reported)"),
        ("only the service", None, vec![service('1', "True")], &none, "in step"),
        ("only the service, on its way", None, vec![service('1', "False")], &none, "rolling"),
        ("only the service, told another", None, vec![service('4', "True")], &none, "drifted"),
        ("canary runs", Some('3'), vec![pod(Some('1'), None, "True"), pod(Some('3'), None, "True")], &none, "in step"),
        ("canary is missing", Some('3'), vec![pod(Some('1'), None, "True")], &none, "rolling"),
        ("only the canary runs", Some('3'), vec![pod(Some('3'), None, "True")], &none, "rolling"),
    ];
    for (what, canary, objects, families, expected) in cases {
        let tree = tree(*canary);
        let status = status_of(tree.path(), Some((&list(objects), true)), families);
        assert_eq!(status.models[0].drift.to_string(), *expected, "{what}");
    }
}

#[test]
fn a_site_that_nobody_reported_on_is_not_judged() {
    let tree = tree(None);
    let model = &status_of(tree.path(), None, &Families::default()).models[0];
    assert_eq!((model.drift, &model.running), (Drift::Unreported, &None));
    assert_eq!(model.wanted.as_ref().unwrap().image.to_string(), "quay.io/acme/iris:v1");
}

#[test]
fn what_a_hub_knows_is_joined_with_git() {
    for (report, canary, expected) in [
        (KUBECTL, Some('3'), "in step"),
        (ARGO, Some('3'), "in step"),
        (ARGO, None, "rolling"),
        (WORK, None, "in step"),
        (WORK, Some('3'), "in step"),
    ] {
        let tree = tree(canary);
        let status = status_of(tree.path(), Some((report, report == KUBECTL)), &Families::default());
        assert_eq!(status.models[0].drift.to_string(), expected, "{}", &report[..200]);
        assert_eq!(status.models.len(), 1);
    }
}

#[test]
fn a_hub_that_shows_single_objects_says_nothing_about_others() {
    let tree = tree(None);
    let other = WORK.replace("\"name\": \"iris\"", "\"name\": \"churn\"");
    let status = status_of(tree.path(), Some((&other, false)), &Families::default());
    let states: Vec<_> = status.models.iter().map(|model| (model.name.as_str(), model.drift.to_string())).collect();
    assert_eq!(states, [("churn", "extra".to_owned()), ("iris", "unknown (not in the report)".to_owned())]);
}

#[test]
fn what_is_not_in_git_is_extra_unless_it_is_somebody_elses() {
    let tree = tree(None);
    let foreign = |namespace: &str| service('1', "True").replace("iris", "other").replace("models", namespace);
    let report = format!("[{},{},{}]", service('1', "True"), foreign("models"), foreign("theirs"));
    let names = |facts: Option<SiteFacts>| {
        let site = site(facts);
        let mut fleet = Fleet::default();
        fleet.add(std::slice::from_ref(&site.name), Some(&site.name), read_report(report.as_bytes()).unwrap());
        let status = site_status(tree.path(), &site, &History::default(), &fleet, &Families::default());
        status.models.into_iter().map(|model| (model.name, model.drift.to_string())).collect::<Vec<_>>()
    };
    let named = |names: &[(&str, &str)]| names.iter().map(|(name, drift)| ((*name).to_owned(), (*drift).to_owned())).collect::<Vec<_>>();
    assert_eq!(names(None), named(&[("iris", "in step"), ("other", "extra")]), "one line, though in two namespaces");
    let facts = |text: &str| SiteFacts::parse(Path::new("site.yaml"), &format!("version: 1\nkserve: '0.20'\nnamespace: {text}\n")).unwrap();
    assert_eq!(names(Some(facts("models"))), named(&[("iris", "in step"), ("other", "extra")]));
    assert_eq!(names(Some(facts("theirs"))), named(&[("iris", "not running"), ("other", "extra")]));
    assert_eq!(names(Some(facts("empty"))), named(&[("iris", "not running")]));
}

#[test]
fn a_site_is_found_in_the_names_that_people_give_applications() {
    let sites: Vec<SiteName> = ["edge-1", "edge-1-b", "core"].map(|name| name.parse().unwrap()).into();
    let site_of = |names: &[&str]| {
        let mut fleet = Fleet::default();
        let sighting = report::Sighting { site: names.iter().map(|name| (*name).to_owned()).collect(), ..report::Sighting::default() };
        let strange = fleet.add(&sites, None, vec![sighting]);
        let found = sites.iter().find(|site| fleet.site(site).is_some()).map(|site| site.as_str().to_owned());
        assert_eq!(strange == 1, found.is_none());
        found
    };
    for (names, expected) in [
        (&["edge-1"][..], Some("edge-1")),
        (&["edge-1-models"], Some("edge-1")),
        (&["edge-1-b-models"], Some("edge-1-b")),
        (&["models-core"], Some("core")),
        (&["edge-1-models", "core"], Some("core")),
        (&["edge-10"], None),
        (&["hardcore"], None),
        (&[], None),
    ] {
        assert_eq!(site_of(names).as_deref(), expected, "{names:?}");
    }
}

#[test]
fn an_application_is_compared_by_its_repository() {
    let site = site(None);
    let runs = |report: &str| {
        let mut fleet = Fleet::default();
        fleet.add(std::slice::from_ref(&site.name), Some(&site.name), read_report(report.as_bytes()).unwrap());
        fleet.site(&site.name).unwrap().clone()
    };
    let image = |digit: char| -> Reference { format!("quay.io/acme/iris-console@{}", digest(digit)).parse().unwrap() };
    let (kubectl, empty) = (runs(KUBECTL), runs("[]"));
    let drift = |image: &Reference, runs: &SiteRuns| drift::of_app(image, runs, &Families::default()).to_string();
    assert_eq!(drift(&image('5'), &kubectl), "in step");
    assert_eq!(drift(&image('6'), &kubectl), "drifted");
    assert_eq!(drift(&"quay.io/acme/other:v1".parse().unwrap(), &kubectl), "not running");
    assert_eq!(drift(&image('5'), &empty), "unknown (not in the report)", "a list without pods");
    assert_eq!(drift(&"quay.io/acme/iris-console:v1".parse().unwrap(), &kubectl), "drifted", "the cluster pins what Git does not");
}

#[test]
fn an_annotation_of_another_digest_is_not_believed() {
    let tree = tree(None);
    let path = tree.path().join("sites/edge-01/models/iris.yaml");
    let text = fs::read_to_string(&path).unwrap().replace("iris:v1'", &format!("iris:v1@{}'", digest('9')));
    fs::write(&path, text).unwrap();
    let status = status_of(tree.path(), None, &Families::default());
    assert_eq!(status.models[0].wanted.as_ref().unwrap().image.tag(), None);
}

#[test]
fn a_site_that_cannot_be_read_is_told_and_hides_no_other() {
    let tree = tree(None);
    fs::write(tree.path().join("sites/edge-01/models/bad.yaml"), "{{ .Values.x }}").unwrap();
    let status = status_of(tree.path(), None, &Families::default());
    assert!(status.problem.unwrap().contains("bad.yaml"));
    assert_eq!(status.models.len(), 1);
}

#[test]
fn two_sites_differ_in_what_they_are_told_and_not_in_names() {
    let (one, two) = (tree(None), tree(Some('3')));
    let name = "edge-01".parse().unwrap();
    let (one, two) = (read_state(one.path(), &name).unwrap(), read_state(two.path(), &name).unwrap());
    let mut renamed = one.clone();
    renamed.models[0].image = Some("quay.io/acme/iris:v1.0.0".parse().unwrap());
    for (old, new, expected) in [
        (&one, &one, "same"),
        (&one, &renamed, "same"),
        (&one, &two, "differs"),
        (&one, &SiteState::default(), "only a"),
        (&SiteState::default(), &one, "only b"),
    ] {
        let difference = Difference::of_states(("a", "b"), old, new);
        assert_eq!(difference.rows[0].state, expected);
        assert_eq!(difference.differs(), expected != "same");
    }
    for (now, expected, differs) in
        [(Some(digest('1')), "same", Some(false)), (Some(digest('2')), "update waiting", Some(true)), (None, "no tag is known", None)]
    {
        let row = Difference::of_tag(&one.models[0], now);
        assert_eq!((row.state.as_str(), row.differs), (expected, differs));
    }
}
