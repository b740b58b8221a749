//! What a new service is told beyond its model: replicas, resources, credentials, protocol.
//!
//! They stand in the service's base, which belongs to whoever runs the site; a patch that brings another image never touches them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::quantity::Quantity;
use crate::kserve::{Mode, Protocol, Runtime};
use crate::rollout::{RolloutError, SiteFacts, Style};

/// What a new service is told. The default leaves everything to the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How KServe runs it.
    pub mode: Mode,
    /// In which file its digest stands; `None` leaves it to the folder.
    pub style: Option<Style>,
    /// Its namespace, where none is asked for by name.
    pub namespace: Option<String>,
    /// The ServingRuntimes to choose from; empty: those that the platform ships.
    pub runtimes: Vec<String>,
    /// The fewest pods.
    pub min_replicas: Option<u32>,
    /// The most pods.
    pub max_replicas: Option<u32>,
    /// What decides between the two.
    pub scale: Option<Scale>,
    /// How clients talk to the model; `None` leaves it to the ServingRuntime.
    pub protocol: Option<Protocol>,
    /// Secrets by which nodes pull the image.
    pub pull_secrets: Vec<String>,
    /// The OpenShift AI connection that brings a pull secret: `opendatahub.io/connections`.
    pub connection: Option<String>,
    /// The pods' service account.
    pub service_account: Option<String>,
    /// Whether it is reached from outside the cluster.
    pub exposed: bool,
    /// How a new version takes the place of the old one.
    pub strategy: Strategy,
    /// What a pod's model server gets.
    pub resources: Resources,
    /// Further environment variables of the model server.
    pub env: BTreeMap<String, String>,
    /// Further arguments of the model server, after those of its ServingRuntime.
    pub args: Vec<String>,
}

/// What the number of pods follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// What is measured.
    pub metric: Metric,
    /// Its wanted value per pod: percent of the request, or a number of requests.
    pub target: Option<u32>,
}

/// What is measured: `scaleMetric`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// CPU, in percent of the request.
    Cpu,
    /// Memory, in percent of the request.
    Memory,
    /// Requests at the same time.
    Concurrency,
    /// Requests per second.
    Rps,
}

/// How a new version takes the place of the old one: `deploymentStrategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As the platform does: a new pod first, then the old one goes. Needs room for both.
    #[default]
    Platform,
    /// All old pods go before a new one starts.
    Recreate,
    /// One pod at a time goes, and a new one takes its place.
    InPlace,
}

/// What a pod's model server asks for and is limited to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPUs.
    pub cpu: Option<Quantity>,
    /// Memory.
    pub memory: Option<Quantity>,
    /// GPUs or other accelerators.
    pub gpus: u32,
}

impl Settings {
    /// What a site's facts say about a new service whose image is laid out for a server.
    ///
    /// A language model gets a GPU where nodes have some.
    pub fn of_site(facts: &SiteFacts, layout: Option<Runtime>) -> Self {
        let is_llm = matches!(layout, Some(Runtime::Vllm | Runtime::Huggingface));
        let settings = Self {
            mode: facts.mode,
            style: facts.style,
            namespace: facts.namespace.clone(),
            runtimes: facts.runtimes.clone(),
            pull_secrets: facts.pull_secret.iter().cloned().collect(),
            connection: facts.connection.clone(),
            exposed: facts.exposed,
            resources: Resources { gpus: u32::from(is_llm && facts.gpus > 0), ..Resources::default() },
            ..Self::default()
        };
        settings.fitted(facts)
    }

    /// The same, but old pods go first where the site has no GPU to spare for a new pod beside them: with the platform's strategy the new
    /// pod would wait for ever (<https://github.com/opendatahub-io/kserve/issues/1822>).
    #[must_use]
    pub fn fitted(self, facts: &SiteFacts) -> Self {
        let pods = u64::from(self.min_replicas.unwrap_or(1)) + 1;
        let wanted = pods * u64::from(self.resources.gpus);
        let is_short = facts.gpus > 0 && wanted > u64::from(facts.nodes) * u64::from(facts.gpus);
        if is_short && self.mode == Mode::Standard && self.strategy == Strategy::Platform {
            return Self { strategy: Strategy::Recreate, ..self };
        }
        self
    }
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Concurrency, Self::Rps];

    /// As in `scaleMetric`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Concurrency => "concurrency",
            Self::Rps => "rps",
        }
    }

    /// The mode that can measure it: a HorizontalPodAutoscaler knows cpu and memory, Knative's autoscaler counts requests
    /// (`validateScalingHPACompExtension`, `validateScalingKPACompExtension` of kserve/kserve).
    pub fn mode(self) -> Mode {
        match self {
            Self::Cpu | Self::Memory => Mode::Standard,
            Self::Concurrency | Self::Rps => Mode::Knative,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scale {
    type Err = RolloutError;

    /// Takes `cpu`, `cpu=80`, `concurrency=10`.
    fn from_str(text: &str) -> Result<Self, RolloutError> {
        let unknown = || RolloutError::UnknownWord {
            what: "scale metric",
            text: text.chars().take(100).collect(),
            known: "cpu, memory, concurrency, rps, each with or without a target such as cpu=80",
        };
        let (name, target) = text.split_once('=').map_or((text, None), |(name, target)| (name, Some(target)));
        let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name).ok_or_else(unknown)?;
        let target = target.map(|target| target.parse().map_err(|_| unknown())).transpose()?;
        Ok(Self { metric, target })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn facts(more: &str) -> SiteFacts {
        SiteFacts::parse(Path::new("site.yaml"), &format!("version: 1\nkserve: rhoai-3.5\n{more}")).unwrap()
    }

    #[test]
    fn a_site_says_what_its_new_services_get() {
        let facts = facts("namespace: models\nexposed: true\npullSecret: quay\nconnection: oci\nruntimes: [kserve-ovms]\n");
        let settings = Settings::of_site(&facts, Some(Runtime::Ovms));
        assert_eq!((settings.namespace.as_deref(), settings.exposed), (Some("models"), true));
        assert_eq!((settings.pull_secrets, settings.connection), (vec!["quay".to_owned()], Some("oci".to_owned())));
        assert_eq!(settings.runtimes, ["kserve-ovms"]);
        assert_eq!((settings.resources.gpus, settings.strategy), (0, Strategy::Platform));
    }

    #[test]
    fn old_pods_go_first_where_no_gpu_is_to_spare() {
        for (nodes, gpus, layout, strategy) in [
            (1, 1, Runtime::Vllm, Strategy::Recreate),
            (1, 2, Runtime::Vllm, Strategy::Platform),
            (2, 1, Runtime::Huggingface, Strategy::Platform),
            (1, 1, Runtime::Ovms, Strategy::Platform),
            (1, 0, Runtime::Vllm, Strategy::Platform),
        ] {
            let facts = facts(&format!("nodes: {nodes}\ngpus: {gpus}\n"));
            assert_eq!(Settings::of_site(&facts, Some(layout)).strategy, strategy, "{nodes} {gpus} {layout}");
        }
        let one = facts("gpus: 1\n");
        let asked = |strategy| Settings { strategy, resources: Resources { gpus: 1, ..Resources::default() }, ..Settings::default() };
        assert_eq!(asked(Strategy::InPlace).fitted(&one).strategy, Strategy::InPlace);
        let knative = Settings { mode: Mode::Knative, ..asked(Strategy::Platform) };
        assert_eq!(knative.fitted(&one).strategy, Strategy::Platform);
    }

    #[test]
    fn reads_a_metric_with_and_without_a_target() {
        assert_eq!("cpu=80".parse::<Scale>().unwrap(), Scale { metric: Metric::Cpu, target: Some(80) });
        assert_eq!("rps".parse::<Scale>().unwrap(), Scale { metric: Metric::Rps, target: None });
        for text in ["", "cpu=", "cpu=80%", "load=1", "cpu=-1"] {
            assert!(text.parse::<Scale>().unwrap_err().hint().unwrap().contains("rps"), "{text}");
        }
    }
}
