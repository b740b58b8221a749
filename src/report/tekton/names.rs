//! Which results there are, and which verb writes which. Tasks declare the same names, and tests compare the two.
//!
//! Chains knows some by their ends (<https://tekton.dev/docs/chains/slsa-provenance/#type-hinting>): `IMAGE_URL` with `IMAGE_DIGEST`,
//! and `IMAGES`, are what a task made; the object `MODEL_ARTIFACT_INPUTS` is what it made it of.

/// A result, and how much it matters.
#[derive(Debug, PartialEq, Eq)]
pub struct TektonResult {
    /// Its name: the name of the file, and that of the Task's declaration.
    pub name: &'static str,
    /// How Tekton declares it.
    pub kind: Kind,
    /// When it is left out.
    pub weight: Weight,
    /// What it says, for people.
    pub what: &'static str,
}

/// The type of a declared result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `type: string`.
    String,
    /// `type: object` with the properties `uri` and `digest`.
    Artifact,
}

/// Which results are left out first where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// First: told by the log as well.
    Light,
    /// Next: a convenience, and to be had from the image.
    Middling,
    /// Last: what lineage is made of.
    Heavy,
    /// Never: without it nothing can go on.
    Vital,
}

impl Kind {
    /// What stands for nothing. Tekton fails a task whose object is no object.
    pub fn nothing(self) -> &'static str {
        match self {
            Self::String => "",
            Self::Artifact => r#"{"uri":"","digest":""}"#,
        }
    }

    /// Tekton's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Artifact => "object",
        }
    }
}

macro_rules! results {
    ($($name:ident $kind:ident $weight:ident $what:literal;)+) => {
        $(
            #[doc = $what]
            pub const $name: &TektonResult =
                &TektonResult { name: stringify!($name), kind: Kind::$kind, weight: Weight::$weight, what: $what };
        )+
        /// All results there are.
        pub const RESULTS: &[&TektonResult] = &[$($name),+];
    };
}

results! {
    IMAGE_URL String Vital "The image with its tag, without a digest";
    IMAGE_DIGEST String Vital "The digest of the image: that of its index";
    IMAGE_REF String Vital "The repository and the digest: this image and no other";
    IMAGES String Middling "The index and the image of each platform, REPOSITORY@DIGEST, separated by commas";
    BASE_IMAGE_REF String Middling "What lies below the model; empty for modelcar's own shell";
    BASE_IMAGE_DIGEST String Middling "The digest of what lies below the model; empty for modelcar's own shell";
    MODEL_ARTIFACT_INPUTS Artifact Heavy "Where the model is from, and its digest";
    SBOM_BLOB_URL String Middling "The attested bill of materials, REPOSITORY@DIGEST; empty where there is none";
    FINDINGS String Heavy "How many findings there are";
    MODEL_FORMAT String Heavy "The format of the model; empty where it cannot be read";
    MODEL_PATH String Vital "Where the model lies now";
    SOURCE_URI String Heavy "Where the model is from";
    SOURCE_DIGEST String Heavy "The digest of what was fetched";
    COMMIT String Vital "The commit; empty where nothing had to change";
    BRANCH String Heavy "The branch that the commit is on";
    PULL_REQUEST String Heavy "The address of the pull request; empty where there is none";
    SITES String Light "The sites that have it now, separated by commas";
    REGISTERED_MODEL_ID String Heavy "The id of the registered model";
    MODEL_VERSION_ID String Heavy "The id of the version";
    MODEL_ARTIFACT_ID String Heavy "The id of the artifact";
    OUTCOME String Vital "passed or failed";
    MAX_DIFFERENCE String Light "The largest difference between an answer and what was expected";
}

/// What every verb tells that puts an image into a registry.
const STORED: &[&TektonResult] = &[IMAGE_URL, IMAGE_DIGEST, IMAGE_REF, IMAGES, BASE_IMAGE_REF, BASE_IMAGE_DIGEST, MODEL_ARTIFACT_INPUTS];
const BUILT: &[&TektonResult] =
    &[IMAGE_URL, IMAGE_DIGEST, IMAGE_REF, IMAGES, BASE_IMAGE_REF, BASE_IMAGE_DIGEST, MODEL_ARTIFACT_INPUTS, SBOM_BLOB_URL];
const SHIPPED: &[&TektonResult] =
    &[IMAGE_URL, IMAGE_DIGEST, IMAGE_REF, IMAGES, BASE_IMAGE_REF, BASE_IMAGE_DIGEST, MODEL_ARTIFACT_INPUTS, SBOM_BLOB_URL, COMMIT];
const ROLLED_OUT: &[&TektonResult] = &[COMMIT, BRANCH, PULL_REQUEST, SITES];

/// The verbs that write results, and which.
pub const VERBS: &[(&str, &[&TektonResult])] = &[
    ("build", BUILT),
    ("push", STORED),
    ("copy", STORED),
    ("replace", STORED),
    ("ship", SHIPPED),
    ("sign", &[IMAGE_URL, IMAGE_DIGEST, IMAGE_REF, SBOM_BLOB_URL]),
    ("verify", &[IMAGE_URL, IMAGE_DIGEST, IMAGE_REF]),
    ("lint", &[FINDINGS, MODEL_FORMAT]),
    ("fetch", &[MODEL_PATH, SOURCE_URI, SOURCE_DIGEST, MODEL_ARTIFACT_INPUTS]),
    ("deploy", ROLLED_OUT),
    ("update", ROLLED_OUT),
    ("promote", ROLLED_OUT),
    ("rollback", ROLLED_OUT),
    ("set-app", ROLLED_OUT),
    ("register", &[REGISTERED_MODEL_ID, MODEL_VERSION_ID, MODEL_ARTIFACT_ID]),
    ("smoke-test", &[OUTCOME, MAX_DIFFERENCE]),
];

/// What a verb writes; nothing for one that writes no results.
pub fn of_verb(verb: &str) -> &'static [&'static TektonResult] {
    VERBS.iter().find(|(known, _)| *known == verb).map_or(&[], |(_, results)| results)
}

/// The value of an [`Kind::Artifact`]: `{"uri":…,"digest":…}`. Chains takes digests such as `sha256:…`.
pub fn artifact(uri: &str, digest: &str) -> String {
    format!(r#"{{"uri":{},"digest":{}}}"#, serde_json::Value::from(uri), serde_json::Value::from(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_is_written_by_some_verb_and_named_once() {
        for result in RESULTS {
            assert!(VERBS.iter().any(|(_, of)| of.contains(result)), "{}", result.name);
            assert_eq!(RESULTS.iter().filter(|other| other.name == result.name).count(), 1);
        }
        assert!(of_verb("inspect").is_empty());
    }

    #[test]
    fn what_names_the_image_or_the_commit_is_never_left_out() {
        for name in ["IMAGE_URL", "IMAGE_DIGEST", "IMAGE_REF", "COMMIT"] {
            assert_eq!(RESULTS.iter().find(|result| result.name == name).unwrap().weight, Weight::Vital, "{name}");
        }
    }

    #[test]
    fn an_artifact_is_an_object_of_two_strings_also_where_nothing_is_known() {
        assert_eq!(artifact("s3://b/m\"", "sha256:ab"), r#"{"uri":"s3://b/m\"","digest":"sha256:ab"}"#);
        assert_eq!(artifact("", ""), Kind::Artifact.nothing());
    }
}
