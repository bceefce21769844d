//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Tasks a second from submit to result, beside the floor of the same three stored hops.
    Throughput,
    /// Submit to result at a fixed arrival rate, beside the floor's.
    Latency,
    /// Throughput with one trace in a hundred exported, beside none.
    Tracing,
    /// Resident memory over many tasks.
    Memory,
    /// Model calls: the four below.
    Models,
    /// What the openai-proxy adds to a call, whole and in pieces.
    ModelLatency,
    /// Model calls a second, beside LiteLLM where it is there.
    ModelThroughput,
    /// Resident memory of the openai-proxy over many calls and broken streams.
    ModelMemory,
    /// Budgets of many tenants on replicas that are killed.
    ModelBudgets,
    /// The ml service: the four below.
    Ml,
    /// Embeddings a second, beside sentence-transformers and LitServe.
    MlEmbeddings,
    /// What the platform adds to the forward pass of one short text.
    MlLatency,
    /// Tokens a second in the shape of Qwen3-0.6B, beside transformers.
    MlGeneration,
    /// Resident memory of the ml service over many texts.
    MlMemory,
    /// The vector indexer: the three below.
    Vectors,
    /// Its graph beside hnswlib, in process: recall, searches and a build's cost in CPU time, filters.
    VectorsSearch,
    /// Upserts and searches a second through the platform, latency at a fixed rate.
    VectorsPlatform,
    /// Documents through all services, into a collection: who takes the processor.
    VectorsIngest,
}

impl What {
    fn is_ml(self) -> bool {
        matches!(self, Self::MlEmbeddings | Self::MlLatency | Self::MlGeneration | Self::MlMemory)
    }

    fn is_vectors(self) -> bool {
        matches!(self, Self::VectorsSearch | Self::VectorsPlatform | Self::VectorsIngest)
    }

    fn is_models(self) -> bool {
        matches!(self, Self::ModelLatency | Self::ModelThroughput | Self::ModelMemory | Self::ModelBudgets)
    }
}

/// What an acknowledgement survives (docs/durability.md).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// The death of the server's process.
    #[default]
    Default,
    /// A power cut: written to the disk before it is acknowledged, in atomic batches.
    Fsync,
    /// The loss of one server of three.
    Replicated,
}

/// Measures a stack of Tasklane: nats-server, router and generic worker, started for it. Every figure is only given
/// where each task ended well, once.
#[derive(Debug, Clone, Parser)]
#[command(name = "tasklane-loadtest", version)]
pub struct Args {
    /// What to measure; all of it but the ml service and vectors where nothing is said.
    #[arg(value_enum)]
    pub what: Vec<What>,
    /// Tasks of one throughput round.
    #[arg(long, default_value_t = 100_000)]
    pub tasks: usize,
    /// Rounds of each kind, alternating; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Tasks that are submitted and unanswered at once.
    #[arg(long, default_value_t = 4_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=20_000))]
    pub in_flight: usize,
    /// Tasks a second of the latency measurement.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Length of the latency measurement of each kind, all rounds together.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// Tasks of the memory measurement.
    #[arg(long, default_value_t = 1_000_000)]
    pub memory_tasks: usize,
    /// Model calls a second of the latency measurement, each way.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub model_rate: u32,
    /// Connections of a throughput round of model calls.
    #[arg(long, default_value_t = 64, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    pub connections: usize,
    /// Model calls of the memory measurement.
    #[arg(long, default_value_t = 500_000)]
    pub model_calls: usize,
    /// Streams of the memory measurement that break off.
    #[arg(long, default_value_t = 10_000)]
    pub broken_streams: usize,
    /// Tenants that spend their budgets.
    #[arg(long, default_value_t = 100, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    pub tenants: usize,
    /// How often a replica is killed while they do.
    #[arg(long, default_value_t = 24)]
    pub kills: usize,
    /// The LiteLLM to start; else as scripts/setup.sh says.
    #[arg(long, value_name = "PATH")]
    pub litellm: Option<PathBuf>,
    /// Texts of a round of embeddings.
    #[arg(long, default_value_t = 1_024, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(64..=100_000))]
    pub ml_texts: usize,
    /// Short texts of a round of the ml service's latency.
    #[arg(long, default_value_t = 200, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(4..=100_000))]
    pub ml_calls: usize,
    /// Requests of the ml service's memory measurement.
    #[arg(long, default_value_t = 100_000)]
    pub ml_requests: usize,
    /// The Python with sentence-transformers and LitServe; else as scripts/setup.sh says.
    #[arg(long, value_name = "PATH")]
    pub ml_python: Option<PathBuf>,
    /// Vectors that are searched.
    #[arg(long, default_value_t = 50_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1_000..=2_000_000))]
    pub vector_rows: usize,
    /// Vectors from `PREFIX.rows.f32` and `PREFIX.questions.f32`, which `peers/vectors.py` makes; else they are drawn.
    #[arg(long, value_name = "PREFIX")]
    pub vectors: Option<PathBuf>,
    /// Searches of a round through the platform.
    #[arg(long, default_value_t = 20_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(100..=10_000_000))]
    pub vector_searches: usize,
    /// Searches a second where their latency is measured.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub vector_rate: u32,
    /// Documents of the ingestion.
    #[arg(long, default_value_t = 1_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub ingest_count: usize,
    /// A folder of documents to ingest; else they are written for it.
    #[arg(long, value_name = "DIR")]
    pub ingest_documents: Option<PathBuf>,
    /// The Python with hnswlib; else as scripts/setup.sh says.
    #[arg(long, value_name = "PATH")]
    pub vector_python: Option<PathBuf>,
    /// What else LiteLLM is told, for example `--litellm-args=--run_granian`.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub litellm_args: Vec<String>,
    /// What an acknowledgement survives.
    #[arg(long, value_enum, default_value = "default")]
    pub durability: Durability,
    /// Few tasks, one round: shows that it works, measures nothing.
    #[arg(long)]
    pub quick: bool,
    /// Writes the report as JSON too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Measures a stack that runs already (throughput and latency; its processes' CPU is not known).
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// The server to start; else TASKLANE_TEST_NATS_SERVER, else as scripts/setup.sh says.
    #[arg(long, value_name = "PATH", env = "TASKLANE_TEST_NATS_SERVER")]
    pub nats_server: Option<PathBuf>,
    /// The folder of the services to start; else the one that this program lies in.
    #[arg(long, value_name = "PATH")]
    pub services: Option<PathBuf>,
}

impl Args {
    /// The command line with `--quick` applied.
    pub fn read() -> Self {
        Self::parse().quickened()
    }

    fn quickened(mut self) -> Self {
        if self.quick {
            self.tasks = self.tasks.min(2_000);
            self.rounds = 1;
            self.rate = self.rate.min(200);
            self.seconds = 1;
            self.memory_tasks = self.memory_tasks.min(4_000);
            self.model_calls = self.model_calls.min(2_000);
            self.broken_streams = self.broken_streams.min(80);
            self.tenants = self.tenants.min(6);
            self.kills = self.kills.min(2);
            self.ml_texts = self.ml_texts.min(64);
            self.ml_calls = self.ml_calls.min(8);
            self.ml_requests = self.ml_requests.min(400);
            self.vector_rows = self.vector_rows.min(6_000);
            self.vector_searches = self.vector_searches.min(500);
            self.ingest_count = self.ingest_count.min(30);
        }
        self
    }

    /// Whether something is to be measured.
    pub fn wants(&self, what: What) -> bool {
        // The ml service's others are gigabytes that not everybody has, and vectors want programs that only examples
        // are: they are measured where they are named.
        let group = match what {
            _ if what.is_ml() => Some(What::Ml),
            _ if what.is_vectors() => Some(What::Vectors),
            _ if what.is_models() => Some(What::Models),
            _ => None,
        };
        let all = self.what.is_empty() && !what.is_ml() && !what.is_vectors();
        let whole = group.is_some_and(|group| self.what.contains(&group));
        all || whole || self.what.contains(&what)
    }

    /// Length of one latency round.
    pub fn latency_round(&self) -> Duration {
        Duration::from_secs(self.seconds.max(1)) / self.rounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_means_everything() {
        let args = Args::try_parse_from(["x"]).unwrap();
        assert!(args.wants(What::Memory) && args.wants(What::Throughput));
        let args = Args::try_parse_from(["x", "latency", "--quick"]).unwrap().quickened();
        assert!(args.wants(What::Latency) && !args.wants(What::Memory));
        assert!(!args.wants(What::ModelLatency));
        let models = Args::try_parse_from(["x", "models"]).unwrap();
        assert!(models.wants(What::ModelBudgets) && !models.wants(What::Memory));
        assert!(!models.wants(What::MlMemory) && !Args::try_parse_from(["x"]).unwrap().wants(What::MlMemory));
        let ml = Args::try_parse_from(["x", "ml"]).unwrap();
        assert!(ml.wants(What::MlMemory) && ml.wants(What::MlEmbeddings) && !ml.wants(What::ModelMemory));
        let vectors = Args::try_parse_from(["x", "vectors"]).unwrap();
        assert!(vectors.wants(What::VectorsSearch) && !vectors.wants(What::MlMemory));
        assert!(
            !ml.wants(What::VectorsPlatform)
                && !Args::try_parse_from(["x"]).unwrap().wants(What::VectorsPlatform)
        );
        assert_eq!((args.tasks, args.rounds, args.latency_round()), (2_000, 1, Duration::from_secs(1)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in [["x", "--rounds=0"], ["x", "--in-flight=0"], ["x", "--rate=0"], ["x", "speed"]] {
            assert!(Args::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
