//! The image config: <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Annotations, Digest, Platform};

/// An image config, in the member order of the specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339; never "now".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The platform of the image.
    #[serde(flatten)]
    pub platform: Platform,
    /// How a container of the image runs.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ContainerConfig,
    /// The uncompressed layers.
    pub rootfs: RootFs,
    /// A line for each layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub history: Vec<History>,
}

/// The run-time part of an [`ImageConfig`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user`, `uid`, `uid:gid`.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub user: String,
    /// `KEY=value` lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// Must be empty for KServe's modelcar delivery, which sets only `args`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The default arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Where the process starts.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "null_is_default")]
    pub working_dir: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "Annotations::is_empty", deserialize_with = "null_is_default")]
    pub labels: Annotations,
}

/// The layers of an image, uncompressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digest of each layer's uncompressed tar, lowest first.
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// How a layer came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339; never "now".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command or reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// True where the entry has no layer of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// Docker writes `"Env": null` and `"Labels": null` where Go has an empty list or map.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dockers_nulls_as_nothing() {
        let json = r#"{"architecture":"amd64","os":"linux","config":{"User":null,"Env":null,"Cmd":null,"Entrypoint":null,"Labels":null,
            "WorkingDir":null},"history":null,"rootfs":{"type":"layers","diff_ids":[]},"docker_version":"20"}"#;
        let config: ImageConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config, ImageConfig { platform: Platform::linux("amd64"), ..ImageConfig::default() });
        let nothing: ImageConfig = serde_json::from_str(&json.replacen("{\"User\"", "null,\"x\":{\"User\"", 1)).unwrap();
        assert_eq!(nothing, config);
    }
}
