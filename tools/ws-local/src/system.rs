//! The whole system: the template's tables, functions and API, started together and stopped together.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, ensure};
use tokio::net::TcpListener;

use crate::{
    dynamodb::{DynamoDb, Storage},
    functions::{FunctionOptions, Functions, Notice},
    gateway::{self, Gateway, Limits, Record},
    samconfig,
    template::{self, Stack},
};

/// This machine and nobody else.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where DynamoDB serves unless it is told, or finds the port taken.
const DYNAMODB_PORT: u16 = 8000;

/// The variable by which every AWS SDK finds another DynamoDB than AWS's.
const DYNAMODB_ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// What to run, and how it differs from AWS.
pub struct SystemOptions {
    /// The SAM template.
    pub template: PathBuf,
    /// Values for its parameters, above those of `samconfig.toml`.
    pub parameters: BTreeMap<String, String>,
    /// Which environment of `samconfig.toml` counts.
    pub environment: Option<String>,
    /// Of the page, the sockets and `@connections`; 0 takes a free one.
    pub port: u16,
    /// Of DynamoDB; 0 takes a free one. None is 8000, or a free one if that is taken.
    pub dynamodb_port: Option<u16>,
    /// What DynamoDB listens on. It asks nobody who they are, so beyond this machine it is open to everybody there.
    pub dynamodb_host: IpAddr,
    /// Where rows are kept.
    pub storage: Storage,
    /// How the functions are built and run.
    pub functions: FunctionOptions,
    /// Files that are served at `/`; the folder `web` beside the template where it is not said.
    pub web: Option<PathBuf>,
    /// The folder with the key of an issuer of tokens, whose public half the gateway serves.
    pub issuer: Option<PathBuf>,
    /// What API Gateway allows.
    pub limits: Limits,
    /// Is told of everything that happens.
    pub observer: Observer,
}

impl SystemOptions {
    /// What suits a test: free ports, rows in memory, nobody watching the sources or the events.
    pub fn new(template: impl Into<PathBuf>) -> Self {
        Self {
            template: template.into(),
            parameters: BTreeMap::new(),
            environment: None,
            port: 0,
            dynamodb_port: Some(0),
            dynamodb_host: LOOPBACK,
            storage: Storage::Memory,
            functions: FunctionOptions::default(),
            web: None,
            issuer: None,
            limits: Limits::default(),
            observer: Arc::new(|_| {}),
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The gateway has dealt with something.
    Gateway(Record),
    /// A function's process said or did something.
    Function(Notice),
}

/// Is told of each event in the task where it happens, so it must not block.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// A system that runs. Dropped, it ends at once; [`RunningSystem::stop`] ends it in good order.
pub struct RunningSystem {
    /// Address of the page.
    pub page: String,
    /// Address that clients connect to: `ws://127.0.0.1:PORT/STAGE`.
    pub websocket: String,
    /// What an SDK or the `aws` program takes as DynamoDB's endpoint.
    pub dynamodb: String,
    /// The template, with the addresses of this machine in its variables.
    pub stack: Stack,
    /// The functions and their processes.
    pub functions: Arc<Functions>,
    /// What answers clients.
    pub gateway: Gateway,
    database: DynamoDb,
    _lock: Option<File>,
}

/// Starts the template's tables alone, for functions that something else runs.
pub async fn start_dynamodb(options: &SystemOptions) -> anyhow::Result<DynamoDb> {
    start_tables(options, &read(options)?).await
}

/// Starts everything that the template describes, and returns when clients can connect.
pub async fn start(options: SystemOptions) -> anyhow::Result<RunningSystem> {
    let mut stack = read(&options)?;
    let listener = bind(LOOPBACK, options.port).await?;
    let address = listener.local_addr()?;
    let lock = options.storage.lock()?;
    let database = start_tables(&options, &stack).await?;
    localize(&mut stack, &address.to_string());

    let observer = Arc::clone(&options.observer);
    let mut function_options = options.functions;
    function_options.environment.entry(DYNAMODB_ENDPOINT.to_owned()).or_insert_with(|| database.url());
    let notices = Arc::new(move |notice| observer(Event::Function(notice)));
    let functions = Arc::new(Functions::start(&stack, function_options, notices).await?);
    let observer = options.observer;
    let gateway = gateway::Options {
        limits: options.limits,
        web: web(options.web, &options.template)?,
        issuer: options.issuer,
        recorder: Arc::new(move |record| observer(Event::Gateway(record))),
    };
    let gateway = Gateway::start(listener, &stack, functions.clone(), gateway)?;
    Ok(RunningSystem {
        page: format!("http://{address}/"),
        websocket: format!("ws://{address}/{}", stack.api.stage),
        dynamodb: database.url(),
        stack,
        functions,
        gateway,
        database,
        _lock: lock,
    })
}

impl RunningSystem {
    /// Closes the connections, whose `$disconnect`s still run, then stops the functions and DynamoDB.
    pub async fn stop(self) {
        self.gateway.stop().await;
        self.functions.stop().await;
        self.database.stop().await;
    }
}

impl fmt::Debug for RunningSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningSystem")
            .field("page", &self.page)
            .field("websocket", &self.websocket)
            .field("dynamodb", &self.dynamodb)
            .finish_non_exhaustive()
    }
}

async fn start_tables(options: &SystemOptions, stack: &Stack) -> anyhow::Result<DynamoDb> {
    let listener = bind_dynamodb(options.dynamodb_host, options.dynamodb_port).await?;
    DynamoDb::start(listener, &options.storage, &stack.tables).await.context("DynamoDB did not start")
}

fn read(options: &SystemOptions) -> anyhow::Result<Stack> {
    let mut parameters = samconfig::parameter_overrides(&options.template, options.environment.as_deref())?;
    parameters.extend(options.parameters.clone());
    Ok(template::load(&options.template, &parameters)?)
}

async fn bind(host: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    let taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    TcpListener::bind((host, port)).await.map_err(|error| match taken(&error) {
        true => anyhow::anyhow!("port {port} is taken by another program; stop that, or choose another port"),
        false => anyhow::Error::new(error).context(format!("can't listen on {host}:{port}")),
    })
}

async fn bind_dynamodb(host: IpAddr, port: Option<u16>) -> anyhow::Result<TcpListener> {
    match port {
        Some(port) => bind(host, port).await,
        None => match bind(host, DYNAMODB_PORT).await {
            Ok(listener) => Ok(listener),
            // Nobody asked for that one.
            Err(_) => bind(host, 0).await,
        },
    }
}

/// Lets variables that hold the API's address on AWS hold its address here.
fn localize(stack: &mut Stack, address: &str) {
    let host = format!("{}.execute-api.{}.amazonaws.com", stack.api.api_id, stack.region);
    for value in stack.functions.values_mut().flat_map(|function| function.environment.values_mut()) {
        for (theirs, ours) in [("https", "http"), ("wss", "ws")] {
            *value = value.replace(&format!("{theirs}://{host}"), &format!("{ours}://{address}"));
        }
    }
}

fn web(asked: Option<PathBuf>, template: &Path) -> anyhow::Result<Option<PathBuf>> {
    if let Some(folder) = asked {
        ensure!(folder.is_dir(), "there is no folder {}", folder.display());
        return Ok(Some(folder));
    }
    Ok(Some(template.with_file_name("web")).filter(|folder| folder.is_dir()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_address_on_aws_becomes_the_address_here() {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates/auction.yaml");
        let mut stack = template::load(&template, &BTreeMap::new()).unwrap();
        localize(&mut stack, "127.0.0.1:3000");
        assert_eq!(stack.functions["BidFunction"].environment["PUSH"], "http://127.0.0.1:3000/live");
        assert_eq!(stack.functions["BidFunction"].environment["BIDS_TABLE"], "BidsTable");
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = other.local_addr().unwrap().port();
        let error = bind(LOOPBACK, port).await.unwrap_err();
        let expected = format!("port {port} is taken by another program; stop that, or choose another port");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_folder_web_beside_the_template_is_served() {
        let directory = tempfile::tempdir().unwrap();
        let template = directory.path().join("template.yaml");
        assert_eq!(web(None, &template).unwrap(), None);
        fs::create_dir(directory.path().join("web")).unwrap();
        assert_eq!(web(None, &template).unwrap(), Some(directory.path().join("web")));
        let missing = web(Some(directory.path().join("pages")), &template).unwrap_err();
        assert!(missing.to_string().starts_with("there is no folder"), "{missing}");
    }

    /// A project whose functions run elsewhere, and its template.
    fn project() -> (tempfile::TempDir, SystemOptions) {
        let directory = tempfile::tempdir().unwrap();
        let template = directory.path().join("template.yaml");
        fs::write(&template, include_str!("../tests/templates/auction.yaml")).unwrap();
        let options = SystemOptions::new(template);
        (directory, options)
    }

    #[tokio::test]
    async fn a_system_has_the_addresses_and_tables_of_its_template() {
        let (_directory, options) = project();
        let running = start(options).await.unwrap();
        assert!(running.websocket.starts_with("ws://127.0.0.1:") && running.websocket.ends_with("/live"));
        assert_eq!(running.page, format!("http://{}/", running.gateway.address()));
        assert_ne!(running.dynamodb, running.page);
        running.stop().await;
    }

    #[tokio::test]
    async fn values_that_are_asked_for_come_before_those_of_samconfig() {
        let (directory, mut options) = project();
        let config = "[default.deploy.parameters]\nparameter_overrides = 'Stage=config LogLevel=config'";
        fs::write(directory.path().join("samconfig.toml"), config).unwrap();
        options.parameters.insert("Stage".to_owned(), "asked".to_owned());
        let stack = read(&options).unwrap();
        assert_eq!(stack.api.stage, "asked");
        assert_eq!(stack.functions["EnterFunction"].environment["LOG_LEVEL"], "config");
    }
}
