use super::*;
use crate::rollout::ModelFormat;

fn passes(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Passed(_) => Some(true),
        Outcome::Failed { .. } => Some(false),
        Outcome::Skipped(_) | Outcome::Forced { .. } => None,
    }
}

fn image(size: u64) -> ImageFacts {
    let image: Reference = "quay.io/acme/iris:v1".parse().unwrap();
    let annotations = Annotations::from([(FORMAT.to_owned(), "onnx".to_owned())]);
    ImageFacts { image: image.pinned(Digest::of(b"v1")), platforms: vec![Platform::linux("amd64")], size, is_packed: false, annotations }
}

fn service(format: &str, layout: Runtime, delivery: Delivery, generation: Generation) -> Service {
    Service {
        delivery,
        format: ModelFormat { name: format.to_owned(), version: None },
        layout: Some(layout),
        ..Service::new("iris".parse().unwrap(), image(1).image, generation)
    }
}

#[test]
fn a_mirror_without_the_image_fails_and_one_that_is_away_is_told() {
    let image: Reference = "quay.io/acme/iris:v1".parse().unwrap();
    let mirror = |has| vec![MirrorFacts { name: "edge:5000/acme/iris".to_owned(), has }];
    for (mirrors, expected, said) in [
        (vec![], Some(true), "v1 is sha256:"),
        (mirror(Ok(true)), Some(true), "edge:5000/acme/iris has it"),
        (mirror(Ok(false)), Some(false), "does not have it"),
        (mirror(Err("timed out\u{1b}[2J".to_owned())), Some(true), "was not asked: timed out\u{fffd}"),
    ] {
        let outcome = resolve(&image, Digest::of(b"v1"), &mirrors);
        assert_eq!(passes(&outcome), expected, "{outcome:?}");
        assert!(outcome.detail().contains(said), "{outcome:?}");
    }
}

#[test]
fn a_signature_counts_only_of_somebody_who_is_named() {
    let judged = |refusals: &[&str]| SignatureFacts::Judged {
        consumers: vec![Consumer::OpenShift],
        signers: vec!["4HPw".to_owned()],
        refusals: refusals.iter().map(|text| (*text).to_owned()).collect(),
        fix: Some("sign it".to_owned()),
    };
    assert_eq!(signature(&judged(&[])), Outcome::Passed("openshift by 4HPw".to_owned()));
    assert_eq!(signature(&judged(&["no signature", "b"])), Outcome::failed("no signature (and 1 more)", "sign it"));
    let Outcome::Failed { fix, .. } = signature(&SignatureFacts::Nobody) else { panic!() };
    assert!(fix.contains("--key cosign.pub") && fix.contains("verify.keys"), "{fix}");
}

#[test]
fn every_platform_of_the_site_needs_an_image() {
    let platforms = |words: &[&str]| words.iter().map(|word| word.parse::<Platform>().unwrap()).collect::<Vec<_>>();
    for (site, image, expected) in [
        (&[][..], &["linux/amd64"][..], None),
        (&["linux/amd64"], &["linux/amd64", "linux/arm64"], Some(true)),
        (&["linux/arm64"], &["linux/arm64/v8"], Some(true)),
        (&["linux/amd64", "linux/arm64"], &["linux/amd64"], Some(false)),
        (&["linux/amd64"], &[], Some(false)),
    ] {
        let outcome = platform(&platforms(site), &platforms(image));
        assert_eq!(passes(&outcome), expected, "{outcome:?}");
    }
}

#[test]
fn a_site_loads_a_model_only_with_a_runtime_that_it_has_and_that_opens_it() {
    use Delivery::{Modelcar, Native};
    let facts = |runtimes: &str| {
        let text = format!("version: 1\nkserve: rhoai-3.5\nruntimes: [{runtimes}]\n");
        SiteFacts::parse("site.yaml".as_ref(), &text).unwrap()
    };
    let annotations = |external: bool| {
        let mut all = image(1).annotations;
        all.extend(external.then(|| (format!("{FACT_PREFIX}external-data"), "model.data".to_owned())));
        all
    };
    let (ovms, mlserver) = (Runtime::Ovms, Runtime::Mlserver);
    let (old, new) = (Generation::Rhoai2_25, Generation::Rhoai3_5);
    for (format, layout, delivery, generation, runtimes, named, external, expected, said) in [
        ("onnx", ovms, Modelcar, new, "", Some("kserve-ovms"), false, Some(true), "onnx by kserve-ovms"),
        ("onnx", ovms, Modelcar, new, "kserve-ovms", Some("kserve-ovms"), false, Some(true), "kserve-ovms"),
        ("onnx", ovms, Modelcar, new, "mlserver-runtime", Some("kserve-ovms"), false, Some(false), "it has mlserver-runtime"),
        ("onnx", ovms, Modelcar, new, "", Some("mlserver-runtime"), false, Some(false), "wants the folders of mlserver"),
        ("onnx", ovms, Modelcar, old, "", Some("kserve-ovms"), true, Some(false), "OpenVINO Model Server 2025.2"),
        ("onnx", ovms, Modelcar, new, "", Some("kserve-ovms"), true, Some(true), "onnx by kserve-ovms"),
        ("xgboost", mlserver, Modelcar, Generation::V0_20, "", Some("kserve-mlserver"), false, Some(false), "MLServer does not open"),
        ("xgboost", mlserver, Native, Generation::V0_20, "", Some("kserve-mlserver"), false, Some(true), "xgboost by"),
        ("huggingface", Runtime::Vllm, Modelcar, new, "", None, false, Some(true), "the one that KServe selects"),
    ] {
        let site = facts(runtimes);
        let outcome = runtime(&service(format, layout, delivery, generation), &annotations(external), Some(&site), named);
        assert_eq!(passes(&outcome), expected, "{format} on {generation}: {outcome:?}");
        assert!(outcome.detail().contains(said), "{outcome:?}");
    }
    let plain = runtime(&service("unknown", ovms, Modelcar, new), &Annotations::new(), None, None);
    assert_eq!(passes(&plain), None);
}

#[test]
fn a_missing_runtime_is_told_the_one_that_reads_the_same_folders() {
    let outcome = absent(
        &service("onnx", Runtime::Ovms, Delivery::Modelcar, Generation::V0_20),
        &["kserve-sklearnserver".to_owned(), "kserve-openvino".to_owned()],
        Some("kserve-ovms"),
    );
    let Some(Outcome::Failed { fix, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(fix, "`--serving-runtime kserve-openvino` reads the same folders");
}

#[test]
fn a_delivery_is_there_or_is_told_what_is() {
    assert_eq!(passes(&delivery(Generation::V0_20, Delivery::Native)), Some(true));
    let Outcome::Failed { fix, .. } = delivery(Generation::V0_17, Delivery::Native) else { panic!() };
    assert!(fix.contains("--delivery modelcar"), "{fix}");
}

/// kserve.md §2.2 and §2.3.
#[test]
fn requests_are_split_only_where_kserve_can() {
    use CanaryBy::{Kserve, Route};
    let ground = |generation, mode, runs| CanaryGround { generation, mode, nodes: Some(1), gpus: 1, runs };
    let (knative, standard) = (Mode::Knative, Mode::Standard);
    for (generation, mode, by, percent, runs, expected, said) in [
        (Generation::V0_17, knative, Kserve, 10, true, Some(true), "canaryTrafficPercent"),
        (Generation::V0_20, standard, Kserve, 10, true, Some(true), "10 % by spec.canary; the only node has one GPU"),
        (Generation::Rhoai3_5, standard, Kserve, 0, true, Some(true), "no pod yet"),
        (Generation::V0_17, standard, Kserve, 10, true, Some(false), "KServe 0.17 splits no requests in mode `standard`"),
        (Generation::Rhoai3_4, standard, Kserve, 10, true, Some(false), "OpenShift AI 3.4 splits no requests"),
        (Generation::Rhoai3_4, standard, Route, 10, true, Some(true), "weighted route"),
        (Generation::V0_20, standard, Kserve, 10, false, Some(false), "nothing to split from"),
    ] {
        let outcome = canary(Some(CanaryRequest { percent, by }), &ground(generation, mode, runs));
        assert_eq!(passes(&outcome), expected, "{outcome:?}");
        assert!(outcome.detail().contains(said), "{outcome:?}");
    }
    assert_eq!(passes(&canary(None, &ground(Generation::V0_15, standard, false))), None);
}

#[test]
fn old_and_new_have_to_fit_together() {
    for (bytes, budget, expected) in [
        (1 << 30, Some("2Gi"), Some(true)),
        ((1 << 30) + 1, Some("2Gi"), Some(false)),
        (u64::MAX, Some("40Gi"), Some(false)),
        (1 << 30, None, None),
    ] {
        let outcome = disk(&image(bytes), budget.map(|text| text.parse().unwrap()));
        assert_eq!(passes(&outcome), expected, "{outcome:?}");
    }
    let packed = ImageFacts { is_packed: true, ..image(1000) };
    assert_eq!(disk(&packed, Some(ByteSize(1 << 20))).detail(), "twice at least 1000 of 1Mi");
}

#[test]
fn a_name_leaves_room_for_the_predictors_host() {
    let model: ServiceName = "a-name-of-thirty-characters-xx".parse().unwrap();
    for (namespace, expected) in
        [(None, true), (Some("models"), true), (Some("twenty-two-characters1"), true), (Some("twenty-three-characters"), false)]
    {
        let outcome = name(&model, namespace);
        assert_eq!(passes(&outcome), Some(expected), "{outcome:?}");
    }
}

#[test]
fn what_a_plan_refuses_for_the_sites_kserve_is_a_row() {
    let unsupported = Generation::V0_17.supports(Delivery::Native).unwrap_err();
    let (check, outcome) = row_of(&unsupported.into()).unwrap();
    assert_eq!((check, passes(&outcome)), (Check::Delivery, Some(false)));
    assert!(row_of(&RolloutError::Templated { path: "x".into() }).is_none());
}
