//! The whole system: the tables, functions and API of a template, started and stopped together.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, ensure};
use tokio::net::TcpListener;

use crate::{
    dynamodb::{DynamoDb, Storage},
    event::EventSink,
    file_watch::FileWatch,
    functions::{FunctionOptions, Functions},
    gateway::{Gateway, GatewayOptions, Limits},
    lambda_api::LambdaApi,
    samconfig, secrets,
    template::{self, Stack},
};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The default port of DynamoDB. If it is taken, a free one is used.
const DYNAMODB_PORT: u16 = 8000;

/// The default port of Lambda's API, as of `sam local start-lambda`. If it is taken, a free one is used.
const LAMBDA_PORT: u16 = 3001;

/// The variable that sets the endpoint of DynamoDB in every AWS SDK.
const DYNAMODB_ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// What to run, and with which ports, storage and limits.
pub struct SystemOptions {
    /// The SAM template.
    pub template: PathBuf,
    /// Values of template parameters. They override the values in `samconfig.toml`.
    pub parameters: BTreeMap<String, String>,
    /// The environment of `samconfig.toml`; `default` if absent.
    pub environment: Option<String>,
    /// The port of the page, the sockets and `@connections`; 0 selects a free one.
    pub port: u16,
    /// The address that the gateway listens on, beside `127.0.0.1` and `::1`: some browsers look for `localhost` at the
    /// latter. On any address that is not loopback, every machine on the network can connect and call `@connections`.
    pub host: IpAddr,
    /// The port of DynamoDB; 0 selects a free one. `None` is 8000, or a free one if that is taken.
    pub dynamodb_port: Option<u16>,
    /// The address that DynamoDB listens on. There is no authentication: on any address except
    /// loopback, every machine on the network can read and write the tables.
    pub dynamodb_host: IpAddr,
    /// The port of Lambda's API, on loopback only: who reaches it can invoke every function. 0 selects a free one. `None` is
    /// 3001, or a free one if that is taken.
    pub lambda_port: Option<u16>,
    /// Where rows are stored.
    pub storage: Storage,
    /// How the functions are built and run.
    pub functions: FunctionOptions,
    /// The folder of the files served at `/`. `None` is the folder `web` beside the template, if there is one.
    pub web: Option<PathBuf>,
    /// Folder of the token issuer's key. The gateway serves the public key.
    pub issuer: Option<PathBuf>,
    /// API Gateway's quotas.
    pub limits: Limits,
    /// Receives every event.
    pub events: EventSink,
}

impl SystemOptions {
    /// Options for tests: free ports, rows in memory, no watching of the sources, events discarded.
    pub fn new(template: impl Into<PathBuf>) -> Self {
        Self {
            template: template.into(),
            parameters: BTreeMap::new(),
            environment: None,
            port: 0,
            host: LOOPBACK,
            dynamodb_port: Some(0),
            dynamodb_host: LOOPBACK,
            lambda_port: Some(0),
            storage: Storage::Memory,
            functions: FunctionOptions::default(),
            web: None,
            issuer: None,
            limits: Limits::default(),
            events: EventSink::default(),
        }
    }
}

/// A running system. Dropping it stops it at once; [`RunningSystem::stop`] closes its connections
/// first.
pub struct RunningSystem {
    /// The URL of the page for this machine: `http://127.0.0.1:PORT/`, or with the address of the option `host`.
    pub page: String,
    /// The URL that clients connect to: `ws://127.0.0.1:PORT/STAGE`.
    pub websocket: String,
    /// The endpoint of DynamoDB for an SDK or the AWS CLI.
    pub dynamodb: String,
    /// The endpoint of Lambda, to invoke functions with an SDK or the AWS CLI.
    pub lambda: String,
    /// The resolved template, with this machine's addresses in the functions' variables.
    pub stack: Stack,
    /// The template's functions.
    pub functions: Arc<Functions>,
    /// The template's API.
    pub gateway: Gateway,
    database: DynamoDb,
    _lambda_api: LambdaApi,
    _lock: Option<File>,
    _watch: Option<FileWatch>,
}

/// Starts only the template's tables, for functions that run elsewhere.
pub(crate) async fn start_dynamodb(options: &SystemOptions) -> anyhow::Result<DynamoDb> {
    start_tables(options, &read(options)?).await
}

/// Builds the functions, starts everything that the template describes, and returns when clients can connect.
pub async fn start(options: SystemOptions) -> anyhow::Result<RunningSystem> {
    let mut stack = read(&options)?;
    let listener = bind(options.host, options.port).await?;
    let port = listener.local_addr()?.port();
    let mut more_listeners = Vec::new();
    if !options.host.is_unspecified() {
        // If an address or its port is not free, `localhost` still works for a client that tries both.
        for host in [LOOPBACK, Ipv6Addr::LOCALHOST.into()] {
            if host != options.host {
                more_listeners.extend(bind(host, port).await);
            }
        }
    }
    let address = SocketAddr::new(if options.host.is_unspecified() { LOOPBACK } else { options.host }, port);
    let lock = options.storage.lock()?;
    secrets::resolve(&mut stack, &options.storage)?;
    let database = start_tables(&options, &stack).await?;
    localize(&mut stack, &address.to_string());

    let read_once = [options.template.clone(), samconfig::file(&options.template)];
    let watch = options.functions.watch.then(|| FileWatch::start(read_once, options.events.clone())).transpose()?;
    let mut function_options = options.functions;
    function_options.environment.entry(DYNAMODB_ENDPOINT.to_owned()).or_insert_with(|| database.url());
    let functions = Arc::new(Functions::start(&stack, function_options, options.events.clone()).await?);
    let gateway = GatewayOptions {
        limits: options.limits,
        web: web(options.web, &options.template)?,
        issuer: options.issuer,
        events: options.events,
        more_listeners,
    };
    let gateway = Gateway::start(listener, &stack, functions.clone(), gateway)?;
    let lambda_listener = bind_or_free(LOOPBACK, options.lambda_port, LAMBDA_PORT).await?;
    let lambda_api = LambdaApi::start(lambda_listener, &stack, functions.clone())?;
    Ok(RunningSystem {
        page: format!("http://{address}/"),
        websocket: format!("ws://{address}/{}", stack.api.stage),
        dynamodb: database.url(),
        lambda: lambda_api.url(),
        stack,
        functions,
        gateway,
        database,
        _lambda_api: lambda_api,
        _lock: lock,
        _watch: watch,
    })
}

impl RunningSystem {
    /// Closes the connections and runs their `$disconnect` functions, then stops the functions and DynamoDB.
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
    let listener = bind_or_free(options.dynamodb_host, options.dynamodb_port, DYNAMODB_PORT).await?;
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

/// Listens on `port`; without one, on the default port, or on a free one if that is taken.
async fn bind_or_free(host: IpAddr, port: Option<u16>, default: u16) -> anyhow::Result<TcpListener> {
    match port {
        Some(port) => bind(host, port).await,
        None => match bind(host, default).await {
            Ok(listener) => Ok(listener),
            Err(_) => bind(host, 0).await,
        },
    }
}

/// Replaces the API's address on AWS with its local address, in all environment variables of the
/// functions.
fn localize(stack: &mut Stack, address: &str) {
    let host = format!("{}.execute-api.{}.amazonaws.com", stack.api.api_id, stack.region);
    for value in stack.functions.values_mut().flat_map(|function| function.environment.values_mut()) {
        for (theirs, ours) in [("https", "http"), ("wss", "ws")] {
            *value = value.replace(&format!("{theirs}://{host}"), &format!("{ours}://{address}"));
        }
    }
}

fn web(wanted: Option<PathBuf>, template: &Path) -> anyhow::Result<Option<PathBuf>> {
    if let Some(folder) = wanted {
        ensure!(folder.is_dir(), "there is no folder {}", folder.display());
        return Ok(Some(folder));
    }
    Ok(Some(template.with_file_name("web")).filter(|folder| folder.is_dir()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::net::TcpStream;

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

    /// A project with prebuilt executables. None of them is started.
    fn project() -> (tempfile::TempDir, SystemOptions) {
        let directory = tempfile::tempdir().unwrap();
        let template = directory.path().join("template.yaml");
        let auction = include_str!("../tests/templates/auction.yaml");
        // Prebuilt functions must name their binaries, and this one doesn't.
        let unnamed = "Metadata:\n      BuildMethod: rust-cargolambda\n    Properties:\n      CodeUri: enter/\n";
        assert!(auction.contains(unnamed));
        fs::write(&template, auction.replace(unnamed, "Metadata: *rust\n")).unwrap();
        for binary in ["doorman", "bid"] {
            fs::create_dir(directory.path().join(binary)).unwrap();
            fs::write(directory.path().join(binary).join("bootstrap"), "").unwrap();
        }
        let mut options = SystemOptions::new(template);
        options.functions.prebuilt = Some(directory.path().to_owned());
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
    async fn the_gateway_listens_on_both_loopback_addresses_or_where_it_is_told() {
        let (_directory, options) = project();
        let running = start(options).await.unwrap();
        let port = running.gateway.address().port();
        // A machine without IPv6 has no ::1.
        if TcpListener::bind("[::1]:0").await.is_ok() {
            TcpStream::connect(("::1", port)).await.unwrap();
        }
        running.stop().await;

        let (_directory, options) = project();
        let running = start(SystemOptions { host: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..options }).await.unwrap();
        assert!(running.gateway.address().ip().is_unspecified());
        assert!(running.page.starts_with("http://127.0.0.1:"), "{}", running.page);
        TcpStream::connect(("127.0.0.1", running.gateway.address().port())).await.unwrap();
        running.stop().await;
    }

    #[tokio::test]
    async fn given_parameters_replace_those_of_samconfig() {
        let (directory, mut options) = project();
        let config = "[default.deploy.parameters]\nparameter_overrides = 'Stage=config LogLevel=config'";
        fs::write(directory.path().join("samconfig.toml"), config).unwrap();
        options.parameters.insert("Stage".to_owned(), "given".to_owned());
        let stack = read(&options).unwrap();
        assert_eq!(stack.api.stage, "given");
        assert_eq!(stack.functions["EnterFunction"].environment["LOG_LEVEL"], "config");
    }
}
