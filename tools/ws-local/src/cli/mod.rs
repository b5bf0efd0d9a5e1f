//! The command line of `ws-local`.

mod arguments;
mod ready_file;
mod token;

use std::{env, io, pin::pin, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use self::arguments::{Arguments, Command};
use crate::{
    console::{self, Console},
    dynamodb::DynamoDb,
    functions::watchdog,
    system::{self, RunningSystem},
};

/// A build in which Cargo compiles nothing takes less time than this.
const UNCHANGED_BUILD: Duration = Duration::from_secs(2);

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    // The watchdog is a second copy of this program, started with an undocumented argument.
    if env::args().nth(1).as_deref() == Some(watchdog::SUBCOMMAND) {
        watchdog::main();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Some(Command::Token(token)) => token::print(token),
        None => run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let console = Console::new();
    let runtime = tokio::runtime::Runtime::new().context("can't start")?;
    let served = runtime.block_on(serve(arguments, &console));
    // Does not wait for blocking tasks, such as a build.
    runtime.shutdown_background();
    console.finish();
    served
}

/// Runs the system until the first signal, then stops it. A second signal ends the program without
/// waiting for the stop.
async fn serve(arguments: Arguments, console: &Console) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::new()?;
    let (ready_file, only_dynamodb, host) = (arguments.ready_file.clone(), arguments.only_dynamodb, arguments.host);
    if let Some(file) = &ready_file {
        ready_file::remove(file)?;
    }
    let options = arguments.into_options(console.events())?;
    let start = async {
        if only_dynamodb {
            return system::start_dynamodb(&options).await.map(Served::DynamoDb);
        }
        let mut start = pin!(system::start(options));
        let running = match timeout(UNCHANGED_BUILD, start.as_mut()).await {
            Ok(running) => running?,
            Err(_) => {
                console.building();
                start.await?
            }
        };
        Ok(Served::System(Box::new(running)))
    };
    let served = tokio::select! {
        served = start => served?,
        () = shutdown.requested() => return Ok(()),
    };
    if let Some(file) = &ready_file {
        ready_file::write(file, &served.addresses())?;
    }
    match &served {
        Served::System(running) => console.ready(running, host),
        Served::DynamoDb(database) => console.ready_dynamodb(&database.url()),
    }
    shutdown.requested().await;
    console.stopping();
    if let Some(file) = &ready_file {
        ready_file::remove(file)?;
    }
    tokio::select! {
        () = served.stop() => {}
        () = shutdown.requested() => {}
    }
    Ok(())
}

enum Served {
    System(Box<RunningSystem>),
    DynamoDb(DynamoDb),
}

impl Served {
    /// The content of the ready file.
    fn addresses(&self) -> Value {
        match self {
            Self::System(running) => {
                let RunningSystem { page, websocket, dynamodb, lambda, .. } = &**running;
                json!({ "page": page, "websocket": websocket, "dynamodb": dynamodb, "lambda": lambda })
            }
            Self::DynamoDb(database) => json!({"dynamodb": database.url()}),
        }
    }

    async fn stop(self) {
        match self {
            Self::System(running) => running.stop().await,
            Self::DynamoDb(database) => database.stop().await,
        }
    }
}

/// The signals that end the program: Ctrl-C and SIGTERM.
struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
}

impl Shutdown {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
