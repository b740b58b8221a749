use super::*;
use crate::oci::Digest;

const KUBECTL: &[u8] = include_bytes!("../../../../testdata/running/kubectl.json");
const YAML: &[u8] = include_bytes!("../../../../testdata/running/kubectl.yaml");
const ARGO: &[u8] = include_bytes!("../../../../testdata/running/argocd.json");
const VIEWS: &[u8] = include_bytes!("../../../../testdata/running/acm-views.json");
const WORK: &[u8] = include_bytes!("../../../../testdata/running/acm-work.json");
const SEARCH: &[u8] = include_bytes!("../../../../testdata/running/acm-search.json");

/// What is said, in a line each: whose, what, and the first digit of each digest.
fn told(text: &[u8]) -> Vec<String> {
    let digit = |digest: Digest| digest.hex()[..1].to_owned();
    let image = |image: &SeenImage| {
        let told = image.told.as_ref().and_then(|told| told.digest().copied()).map_or_else(|| "-".to_owned(), digit);
        format!("{told}{}", image.digest.map(|digest| format!("={}", digit(digest))).unwrap_or_default())
    };
    let images = |images: &[SeenImage]| images.iter().map(image).collect::<Vec<_>>().join(" ");
    let seen = |seen: &Seen| match seen {
        Seen::Service(service) => {
            let told: Vec<_> = service.told.iter().filter_map(|told| told.digest().copied()).map(digit).collect();
            format!("service {}/{} {} {:?}", service.namespace, service.name, told.join(" "), service.ready)
        }
        Seen::Pod(pod) => format!("pod {:?} [{}] [{}] {}", pod.service, images(&pod.models), images(&pod.others), pod.ready),
        Seen::Images(all) => format!("images {}", images(all)),
        Seen::Sync(words) => words.clone(),
    };
    let line = |sighting: &Sighting| {
        let all: Vec<_> = sighting.seen.iter().map(seen).collect();
        format!("{}: {}", sighting.site.first().map_or("here", String::as_str), all.join(" | "))
    };
    read_report(text).unwrap().iter().map(line).collect()
}

#[test]
fn reads_what_kubectl_prints() {
    assert_eq!(
        told(KUBECTL),
        [
            "here: service models/iris 1 3 Some(true)",
            "here: pod Some(\"iris\") [1=a] [9=9] true",
            "here: pod Some(\"iris\") [3=3] [9=9] true",
            "here: pod None [] [5=5] true",
        ]
    );
}

#[test]
fn reads_image_volumes_fetched_models_and_llms_in_yaml() {
    assert_eq!(
        told(YAML),
        [
            "here: service models/churn 1 Some(false)",
            "here: pod Some(\"churn\") [1=a] [-=9] false",
            "here: pod Some(\"silero\") [1] [-] true",
            "here: service models/granite 1 Some(true)",
        ]
    );
}

#[test]
fn reads_argo_cds_applications() {
    assert_eq!(
        told(ARGO),
        [
            "edge-01: service models/iris  Some(true) | images 1 3 9 5 | Synced, Healthy",
            "edge-02: service models/iris  Some(false) | images 4 | OutOfSync, Progressing",
        ]
    );
}

#[test]
fn reads_what_acm_brings_to_the_hub() {
    assert_eq!(told(VIEWS), ["edge-01: service models/iris 1 Some(true)"]);
    assert_eq!(told(WORK), ["edge-01: service models/iris 1 Some(true)"]);
    assert_eq!(told(SEARCH), ["edge-01: pod Some(\"iris\") [1] [-] true"]);
}

#[test]
fn a_list_of_lists_a_single_object_and_several_documents_are_reports_too() {
    let one = r#"{"kind":"InferenceService","metadata":{"name":"a"}}"#;
    for (text, count) in [
        (one.to_owned(), 1),
        (format!("[{one},{one}]"), 2),
        (format!(r#"{{"items":[{{"kind":"List","items":[{one}]}}]}}"#), 1),
        ("kind: InferenceService\nmetadata: {name: a}\n---\nkind: InferenceService\nmetadata: {name: b}\n".to_owned(), 2),
        ("- kind: InferenceService\n  metadata: {name: a}\n".to_owned(), 1),
        (String::new(), 0),
        (r#"{"items":[]}"#.to_owned(), 0),
        ("just words\n".to_owned(), 0),
    ] {
        assert_eq!(read_report(text.as_bytes()).unwrap().len(), count, "{text}");
    }
}

#[test]
fn a_canary_with_requests_that_is_not_ready_makes_the_service_not_ready() {
    let text = |percent: u8, ready: bool| {
        format!(
            r#"{{"kind":"InferenceService","metadata":{{"name":"a"}},"status":{{"conditions":[{{"type":"Ready","status":"True"}}],
               "canaryStatuses":[{{"name":"b","ready":{ready},"trafficPercent":{percent}}}]}}}}"#
        )
    };
    for (percent, ready, expected) in [(10, true, true), (10, false, false), (0, false, true)] {
        let said = read_report(text(percent, ready).as_bytes()).unwrap();
        assert!(matches!(&said[0].seen[..], [Seen::Service(service)] if service.ready == Some(expected)), "{percent} {ready}");
    }
}

#[test]
fn a_pod_that_has_ended_or_is_leaving_says_nothing() {
    for more in [r#""metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"status":{}"#, r#""status":{"phase":"Failed"}"#] {
        assert_eq!(read_report(format!(r#"{{"kind":"Pod","spec":{{}},{more}}}"#).as_bytes()).unwrap(), []);
    }
}

#[test]
fn the_digest_of_a_config_is_no_digest_of_an_image() {
    let id = format!("sha256:{}", "a".repeat(64));
    assert_eq!(SeenImage::of(Some("quay.io/a/b:v1"), Some(&id)).digest, None);
    let pulled = format!("docker-pullable://quay.io/a/b@{id}");
    assert_eq!(SeenImage::of(None, Some(&pulled)).digest, Some(id.parse().unwrap()));
}

#[test]
fn members_of_the_wrong_kind_are_passed_over() {
    for text in [
        r#"{"kind":7}"#,
        r#"{"kind":"InferenceService","metadata":[]}"#,
        r#"{"kind":"InferenceService","metadata":{"name":7}}"#,
        r#"{"kind":"Pod","spec":{"containers":{"a":1},"volumes":7},"status":[],"metadata":{"labels":[1]}}"#,
        r#"{"kind":"Application","status":{"summary":{"images":[1,{}]},"resources":[7,{"kind":7}],"sync":7}}"#,
        r#"{"kind":"ManagedClusterView","metadata":{"namespace":"a"},"status":{"result":"x"}}"#,
        r#"{"kind":"ManifestWork","metadata":{"namespace":"a"},"status":{"resourceStatus":{"manifests":[{"resourceMeta":7}]}}}"#,
        r#"{"items":{"a":{"items":[1,"x",null]}}}"#,
        r#"{"kind":"Pod","cluster":"a","image":7}"#,
    ] {
        let said = read_report(text.as_bytes()).unwrap();
        let names_a_service = |seen: &Seen| matches!(seen, Seen::Service(_) | Seen::Sync(_));
        assert!(!said.iter().any(|sighting| sighting.seen.iter().any(names_a_service)), "{text}: {said:?}");
    }
}

#[test]
fn views_in_views_end() {
    let mut text = r#"{"kind":"InferenceService","metadata":{"name":"a"}}"#.to_owned();
    for _ in 0..20 {
        text = format!(r#"{{"kind":"ManagedClusterView","metadata":{{"namespace":"a"}},"status":{{"result":{text}}}}}"#);
    }
    assert_eq!(read_report(text.as_bytes()).unwrap(), []);
}

#[test]
fn what_no_cluster_prints_is_refused() {
    let deep = |open: &str, close: &str, times| format!("{}{}", open.repeat(times), close.repeat(times));
    let large = format!(r#"{{"items":[{{"kind":"Pod","x":"{}"}}]}}"#, "x".repeat(5 << 20));
    let long = format!(r#"{{"kind":"Pod","x":[{}0]}}"#, "0,".repeat(1 << 20));
    for (text, reason) in [
        ("{\"items\":[".to_owned(), "JSON"),
        (deep("[", "]", 100_000), "JSON"),
        (deep("{\"items\":[", "]}", 1000), "JSON"),
        (deep("{\"a\":", "}", 1000), "JSON"),
        (large, "JSON"),
        (long, "JSON"),
        ("a: [\n".to_owned(), "YAML"),
        (format!("a: {}", deep("[", "]", 10_000)), "YAML"),
        ("a: &a [x]\nb: [*a, *a]\n".to_owned(), "YAML"),
        (format!("a: {}", "x".repeat(9 << 20)), "larger"),
    ] {
        let error = read_report(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}: {}", &text[..50.min(text.len())]);
    }
}

#[test]
fn ten_megabytes_are_read_object_by_object() {
    let pod = r#"{"kind":"Pod","spec":{"containers":[{"name":"modelcar","image":"quay.io/a/b:v1"}]},"metadata":{}},"#;
    let text = format!(r#"{{"kind":"List","items":[{}{{}}]}}"#, pod.repeat((10 << 20) / pod.len()));
    assert!(read_report(text.as_bytes()).unwrap().len() > 90_000);
    let many = format!("[{}{{}}]", "{},".repeat(300_000));
    assert!(read_report(many.as_bytes()).unwrap_err().to_string().contains("JSON"));
}

#[test]
fn no_name_moves_a_cursor_or_ends_a_line() {
    let text = r#"[{"kind":"InferenceService","metadata":{"name":"a\u001b[2Jb\nc","namespace":"x\r"}},
        {"kind":"Application","metadata":{"name":"a\u202e"},"status":{"sync":{"status":"\u001b"}}}]"#;
    let shown = format!("{:?}", told(text.as_bytes()).concat().chars().filter(|c| c.is_control() || *c == '\u{202e}').collect::<Vec<_>>());
    assert_eq!(shown, "[]");
}
