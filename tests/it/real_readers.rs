//! What we push, the tools of the field read: skopeo, umoci, oci-client, oras for Python; and onnxruntime gives the same answer.

use std::fs;
use std::path::Path;

use crate::support::registry::Registry;
use crate::support::{modelcar, need, need_python, repo_root, run, stdout_of, temp_dir};

/// Runs a model on a fixed input and prints its outputs.
const PREDICT: &str = "
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
feed = {i.name: (numpy.arange(6, dtype=numpy.float32).reshape(3, 2) / 3) for i in session.get_inputs()}
print([value.tolist() if hasattr(value, 'tolist') else value for value in session.run(None, feed)])
";

fn iris() -> std::path::PathBuf {
    repo_root().join("testdata/models/iris/logreg_iris.onnx")
}

fn push(registry: &Registry, home: &Path, name: &str) -> String {
    let reference = format!("{}/{name}", registry.host);
    let printed = stdout_of(modelcar(home).args(["build", "-q", "--push", "-t", &reference]).arg(iris()));
    printed.trim().to_owned()
}

#[test]
fn skopeo_and_umoci_unpack_what_was_pushed_and_onnxruntime_runs_it() {
    let (Some(registry), Some(skopeo), Some(umoci)) = (Registry::start(), need("skopeo"), need("umoci")) else { return };
    let home = temp_dir();
    push(&registry, home.path(), "models/iris:v1");
    let source = format!("docker://{}/models/iris:v1", registry.host);

    let inspected = stdout_of(std::process::Command::new(&skopeo).args(["inspect", "--tls-verify=false", &source]));
    assert!(inspected.contains("\"Architecture\": \"amd64\""), "{inspected}");

    let layout = home.path().join("layout");
    run(std::process::Command::new(&skopeo)
        .args(["copy", "--all", "--src-tls-verify=false", &source])
        .arg(format!("oci:{}:v1", layout.display())));
    // umoci 0.4 knows no index: the amd64 image alone.
    let one = home.path().join("one");
    run(std::process::Command::new(&skopeo)
        .args(["copy", "--override-arch=amd64", "--override-os=linux", "--src-tls-verify=false", &source])
        .arg(format!("oci:{}:v1", one.display())));
    let bundle = home.path().join("bundle");
    run(std::process::Command::new(&umoci).args(["unpack", "--rootless", "--image"]).arg(format!("{}:v1", one.display())).arg(&bundle));
    let unpacked = bundle.join("rootfs/models/1/model.onnx");
    assert_eq!(fs::read(&unpacked).unwrap(), fs::read(iris()).unwrap());

    let Some(python) = need_python() else { return };
    let predict = |model: &Path| stdout_of(std::process::Command::new(&python).args(["-c", PREDICT]).arg(model));
    let expected = predict(&iris());
    assert!(expected.contains('['), "{expected}");
    assert_eq!(predict(&unpacked), expected);
}

#[test]
fn oci_client_reads_the_same_digests() {
    use oci_client::client::{ClientConfig, ClientProtocol};
    use oci_client::{Client, Reference, secrets::RegistryAuth};

    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let pinned = push(&registry, home.path(), "models/iris:v1");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
        let reference: Reference = format!("{}/models/iris:v1", registry.host).parse().unwrap();
        let (_, digest) = client.pull_manifest(&reference, &RegistryAuth::Anonymous).await.unwrap();
        assert!(pinned.ends_with(&digest), "{pinned} {digest}");
        let (manifest, _, config) = client.pull_manifest_and_config(&reference, &RegistryAuth::Anonymous).await.unwrap();
        assert_eq!(manifest.layers.len(), 2);
        assert!(config.contains("diff_ids"), "{config}");
    });
}

#[test]
fn oras_for_python_reads_every_layer() {
    let (Some(registry), Some(python)) = (Registry::start(), need_python()) else { return };
    let home = temp_dir();
    push(&registry, home.path(), "models/iris:v1");
    let script = "
import sys, hashlib, oras.client
client = oras.client.OrasClient(insecure=True, hostname=sys.argv[1])
container = client.get_container(sys.argv[1] + '/models/iris:v1')
index = client.get_manifest(container, ['application/vnd.oci.image.index.v1+json'])
manifest = client.get_manifest(client.get_container(sys.argv[1] + '/models/iris@' + index['manifests'][0]['digest']))
for layer in manifest['layers']:
    blob = client.get_blob(container, layer['digest'])
    assert 'sha256:' + hashlib.sha256(blob.content).hexdigest() == layer['digest']
print(len(manifest['layers']), index['mediaType'])
";
    let printed = stdout_of(std::process::Command::new(python).args(["-c", script, &registry.host]));
    assert_eq!(printed.trim(), "2 application/vnd.oci.image.index.v1+json");
}

#[test]
fn pull_and_extract_give_the_files_back() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let pinned = push(&registry, home.path(), "models/iris:v1");
    let (layout, model) = (home.path().join("layout"), home.path().join("model"));

    let pulled = stdout_of(modelcar(home.path()).args(["pull", "-q", &pinned]).arg(&layout));
    assert_eq!(pulled.trim().rsplit('@').next(), pinned.rsplit('@').next());
    run(modelcar(home.path()).args(["extract", "-q"]).arg(format!("oci:{}", layout.display())).arg(&model));
    assert_eq!(fs::read(model.join("1/model.onnx")).unwrap(), fs::read(iris()).unwrap());

    let refused = modelcar(home.path()).args(["extract", "-q", &pinned]).arg(&model).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "a folder that holds something is never written into");
}
