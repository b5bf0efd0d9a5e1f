//! The command line of `ws-local`.

use std::{
    env, fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    console::{self, Console, Printer},
    dynamodb::{DynamoDb, Storage},
    functions::{FunctionOptions, watchdog},
    gateway::Limits,
    issuer::Issuer,
    samconfig,
    system::{self, RunningSystem, SystemOptions},
};

/// Runs a SAM WebSocket project on this machine: API Gateway, Lambda and DynamoDB, as its template describes them.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The SAM template
    #[arg(long, value_name = "FILE", default_value = "template.yaml")]
    template: PathBuf,
    /// A value for a parameter of the template, above samconfig.toml's; can be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = samconfig::pair)]
    parameters: Vec<(String, String)>,
    /// The environment in samconfig.toml [default: default]
    #[arg(long, value_name = "NAME")]
    config_env: Option<String>,
    /// Port of the page and the sockets; 0 takes a free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Port of DynamoDB; 0 takes a free one [default: 8000, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    dynamodb_port: Option<u16>,
    /// Address that DynamoDB listens on, where containers or other machines are to reach it
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    dynamodb_host: IpAddr,
    /// Serve the template's tables and nothing else
    #[arg(long, conflicts_with_all = ["release", "web"])]
    only_dynamodb: bool,
    /// Keep rows in memory, and forget them at the end
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Folder that the rows are kept in
    #[arg(long, value_name = "DIR", default_value = ".local")]
    data: PathBuf,
    /// Build the functions with --release
    #[arg(long)]
    release: bool,
    /// Don't build anew when a source file changes
    #[arg(long)]
    no_watch: bool,
    /// Folder of files served at / [default: `web` beside the template, if it is there]
    #[arg(long, value_name = "DIR")]
    web: Option<PathBuf>,
    /// Write the addresses here, as JSON, once clients can connect
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Close connections that were idle for so long [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle_timeout: Option<Duration>,
    /// Close connections that are so old [default: 7200]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    connection_timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints a token (a JWT) of a user, signed with a key of this machine, which is made if need be. Its public half is
    /// at /.well-known/jwks.json while the system runs
    Token(TokenArguments),
}

#[derive(Debug, Args)]
struct TokenArguments {
    /// Whose token
    user: String,
    /// The claim that holds the user
    #[arg(long, value_name = "NAME", default_value = "sub")]
    claim: String,
    /// The claim `iss`
    #[arg(long, default_value = "ws-local")]
    issuer: String,
    /// The claim `aud`
    #[arg(long, default_value = "ws-local")]
    audience: String,
    /// When it expires
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    expires_in: u32,
    /// Folder that the key is kept in
    #[arg(long, value_name = "DIR", default_value = ".local")]
    data: PathBuf,
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    // A second copy of this program that sees to the processes of the first, should that be killed.
    if env::args().nth(1).as_deref() == Some(watchdog::SUBCOMMAND) {
        watchdog::main();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::Token(token)) => print_token(&token),
        None => run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn print_token(arguments: &TokenArguments) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let mut claims = serde_json::json!({
        "iss": arguments.issuer,
        "aud": arguments.audience,
        "iat": now,
        "exp": now + u64::from(arguments.expires_in),
    });
    claims[&arguments.claim] = arguments.user.as_str().into();
    println!("{}", Issuer::open(&arguments.data)?.token(&claims));
    Ok(())
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let console = Console::new();
    let runtime = tokio::runtime::Runtime::new().context("can't start")?;
    let served = runtime.block_on(serve(arguments, console.printer()));
    // A blocking task, such as a build, is not waited for.
    runtime.shutdown_background();
    console.finish();
    served
}

/// Runs the system until it is told to stop; a second time during the stop ends it at once.
async fn serve(arguments: Arguments, printer: Printer) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    let (ready_file, only_dynamodb) = (arguments.ready_file.clone(), arguments.only_dynamodb);
    if let Some(file) = &ready_file {
        forget(file)?;
    }
    let options = options(arguments, &printer)?;
    let start = async {
        if only_dynamodb {
            return system::start_dynamodb(&options).await.map(Served::DynamoDb);
        }
        printer.starting();
        system::start(options).await.map(|running| Served::Everything(Box::new(running)))
    };
    let served = tokio::select! {
        served = start => served?,
        () = stop.asked() => return Ok(()),
    };
    if let Some(file) = &ready_file {
        announce(&served, file).with_context(|| format!("can't write {}", file.display()))?;
    }
    match &served {
        Served::Everything(running) => printer.ready(running),
        Served::DynamoDb(database) => printer.ready_dynamodb(&database.url()),
    }
    stop.asked().await;
    printer.stopping();
    if let Some(file) = &ready_file {
        forget(file)?;
    }
    tokio::select! {
        () = served.stop() => {}
        () = stop.asked() => {}
    }
    Ok(())
}

/// What was asked for, once it runs.
enum Served {
    Everything(Box<RunningSystem>),
    DynamoDb(DynamoDb),
}

impl Served {
    fn addresses(&self) -> serde_json::Value {
        match self {
            Self::Everything(running) => serde_json::json!({
                "page": running.page,
                "websocket": running.websocket,
                "dynamodb": running.dynamodb,
            }),
            Self::DynamoDb(database) => serde_json::json!({ "dynamodb": database.url() }),
        }
    }

    async fn stop(self) {
        match self {
            Self::Everything(running) => running.stop().await,
            Self::DynamoDb(database) => database.stop().await,
        }
    }
}

fn options(arguments: Arguments, printer: &Printer) -> anyhow::Result<SystemOptions> {
    let printer = printer.clone();
    let functions = FunctionOptions {
        release: arguments.release,
        watch: !arguments.no_watch,
        watchdog: Some(env::current_exe().context("can't find this program's own file")?),
        ..FunctionOptions::default()
    };
    let usual = Limits::default();
    Ok(SystemOptions {
        template: arguments.template,
        parameters: arguments.parameters.into_iter().collect(),
        environment: arguments.config_env,
        port: arguments.port,
        dynamodb_port: arguments.dynamodb_port,
        dynamodb_host: arguments.dynamodb_host,
        storage: if arguments.memory { Storage::Memory } else { Storage::Directory(arguments.data.clone()) },
        functions,
        web: arguments.web,
        issuer: Some(arguments.data.clone()),
        limits: Limits {
            idle: arguments.idle_timeout.unwrap_or(usual.idle),
            connection: arguments.connection_timeout.unwrap_or(usual.connection),
            ..usual
        },
        observer: Arc::new(move |event| printer.event(&event)),
    })
}

/// Ctrl-C or SIGTERM.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Writes the addresses in one step, so that no one reads half of them.
fn announce(served: &Served, file: &Path) -> io::Result<()> {
    let draft = file.with_extension(format!("{}.draft", std::process::id()));
    fs::write(&draft, served.addresses().to_string())?;
    fs::rename(draft, file)
}

/// Removes the addresses of an earlier run, or of one that ends.
fn forget(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds above 0 is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        Arguments::try_parse_from([&["ws-local"], words].concat()).map_err(|error| error.to_string())
    }

    fn parsed(words: &[&str]) -> SystemOptions {
        let console = Console::new();
        options(parse(words).unwrap(), &console.printer()).unwrap()
    }

    #[test]
    fn without_arguments_a_project_runs_where_it_is() {
        let options = parsed(&[]);
        assert_eq!(options.template, Path::new("template.yaml"));
        assert_eq!((options.port, options.dynamodb_port), (3000, None));
        assert_eq!(options.storage, Storage::Directory(".local".into()));
        assert_eq!(options.limits.idle, Duration::from_secs(600));
        let functions = options.functions;
        assert!(functions.watch && !functions.release && functions.watchdog.is_some());
    }

    #[test]
    fn arguments_change_what_runs() {
        let options = parsed(&[
            "--parameter",
            "A=1",
            "--parameter",
            "B=x=y",
            "--memory",
            "--port",
            "0",
            "--dynamodb-port",
            "0",
            "--idle-timeout",
            "0.5",
            "--connection-timeout",
            "3",
        ]);
        assert_eq!(options.parameters["B"], "x=y");
        assert_eq!(options.storage, Storage::Memory);
        assert_eq!((options.port, options.dynamodb_port), (0, Some(0)));
        assert_eq!(options.limits.idle, Duration::from_millis(500));
        assert_eq!(options.limits.connection, Duration::from_secs(3));
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert!(parse(&["--parameter", "A"]).unwrap_err().contains("`A` is not NAME=VALUE"));
        assert!(parse(&["--idle-timeout", "0"]).unwrap_err().contains("above 0"));
        assert!(parse(&["--memory", "--data", "x"]).is_err());
        assert!(parse(&["--port", "70000"]).is_err());
        assert!(parse(&["token"]).is_err());
        assert!(parse(&["--memory", "token", "alice"]).is_err());
    }

    #[test]
    fn the_ready_file_of_an_earlier_run_goes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ready.json");
        fs::write(&file, "old").unwrap();
        forget(&file).unwrap();
        forget(&file).unwrap();
        assert!(!file.exists());
    }
}
