//! The options of the command line, and the system options that they select.

use std::{
    env,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use clap::{Parser, Subcommand};

use super::token::TokenArguments;
use crate::{
    dynamodb::Storage, event::EventSink, functions::FunctionOptions, gateway::Limits, samconfig, system::SystemOptions,
};

/// Runs a SAM WebSocket project on this machine: API Gateway, Lambda and DynamoDB, as its template describes them.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// The SAM template
    #[arg(long, value_name = "FILE", default_value = "template.yaml")]
    template: PathBuf,
    /// Value of a template parameter; replaces the one in samconfig.toml; can be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = samconfig::pair)]
    parameters: Vec<(String, String)>,
    /// Environment in samconfig.toml [default: default]
    #[arg(long, value_name = "NAME")]
    config_env: Option<String>,
    /// Port of the page and the sockets; 0 selects a free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Address that the page and the sockets listen on; set it, for example to 0.0.0.0, if phones, containers or other
    /// machines need them
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(super) host: IpAddr,
    /// Port of DynamoDB; 0 selects a free one [default: 8000, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    dynamodb_port: Option<u16>,
    /// Address that DynamoDB listens on; set it if containers or other machines need the tables
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    dynamodb_host: IpAddr,
    /// Port of Lambda's API, which invokes functions for SDKs and the AWS CLI; 0 selects a free one [default: 3001, or a free
    /// one if that is taken]
    #[arg(long, value_name = "PORT")]
    lambda_port: Option<u16>,
    /// Serve only the template's tables
    #[arg(long, conflicts_with_all = ["release", "web"])]
    pub(super) only_dynamodb: bool,
    /// Keep rows in memory; they are lost when the program ends
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Folder for the rows, the token issuer's key and the template's secrets
    #[arg(long, value_name = "DIR", default_value = ".local")]
    data: PathBuf,
    /// Build the functions with --release
    #[arg(long)]
    release: bool,
    /// Don't rebuild the functions when a source file changes
    #[arg(long)]
    no_watch: bool,
    /// Folder of the files served at / [default: `web` beside the template, if there is one]
    #[arg(long, value_name = "DIR")]
    web: Option<PathBuf>,
    /// Write the addresses to this file, as JSON, when clients can connect
    #[arg(long, value_name = "FILE")]
    pub(super) ready_file: Option<PathBuf>,
    /// Close connections that were idle for this time [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle_timeout: Option<Duration>,
    /// Close connections that are open for this time [default: 7200]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    connection_timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a token (JWT) for a user, signed with the key in the data folder. The first call makes the key. While the
    /// system runs, it serves the public key at /.well-known/jwks.json
    Token(TokenArguments),
}

impl Arguments {
    pub(super) fn into_options(self, events: EventSink) -> anyhow::Result<SystemOptions> {
        let functions = FunctionOptions {
            release: self.release,
            watch: !self.no_watch,
            watchdog: Some(env::current_exe().context("can't find this program's own file")?),
            ..FunctionOptions::default()
        };
        let quotas = Limits::default();
        Ok(SystemOptions {
            template: self.template,
            parameters: self.parameters.into_iter().collect(),
            environment: self.config_env,
            port: self.port,
            host: self.host,
            dynamodb_port: self.dynamodb_port,
            dynamodb_host: self.dynamodb_host,
            lambda_port: self.lambda_port,
            storage: if self.memory { Storage::Memory } else { Storage::Directory(self.data.clone()) },
            functions,
            web: self.web,
            issuer: Some(self.data),
            limits: Limits {
                idle: self.idle_timeout.unwrap_or(quotas.idle),
                connection: self.connection_timeout.unwrap_or(quotas.connection),
                ..quotas
            },
            events,
        })
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
    use std::{fmt::Write, path::Path};

    use clap::CommandFactory;

    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        Arguments::try_parse_from([&["ws-local"], words].concat()).map_err(|error| error.to_string())
    }

    fn options(words: &[&str]) -> SystemOptions {
        parse(words).unwrap().into_options(EventSink::default()).unwrap()
    }

    #[test]
    fn without_arguments_the_project_in_the_current_folder_runs() {
        let options = options(&[]);
        assert_eq!(options.template, Path::new("template.yaml"));
        assert_eq!((options.port, options.dynamodb_port), (3000, None));
        assert_eq!(options.storage, Storage::Directory(".local".into()));
        assert_eq!(options.limits.idle, Duration::from_secs(600));
        let functions = options.functions;
        assert!(functions.watch && !functions.release && functions.watchdog.is_some());
    }

    #[test]
    fn arguments_change_what_runs() {
        let options = options(&[
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
        assert!(parse(&["token", ""]).is_err());
        assert!(parse(&["--memory", "token", "alice"]).is_err());
    }

    /// The README's table of the options of a command.
    fn table(command: &clap::Command) -> String {
        let mut table = "| option | meaning |\n|---|---|\n".to_owned();
        for argument in command.get_arguments() {
            let names = argument.get_value_names().unwrap_or_default();
            let value = names.iter().filter(|_| argument.get_action().takes_values()).map(|name| format!(" {name}"));
            let value: String = value.collect();
            let option = match argument.get_long() {
                Some(long) => format!("--{long}{value}"),
                None => value.trim_start().to_owned(),
            };
            let help = argument.get_help().unwrap();
            let default = argument.get_default_values().first().filter(|_| argument.get_action().takes_values());
            let default = default.map(|default| format!(" [default: {}]", default.display())).unwrap_or_default();
            writeln!(table, "| `{option}` | {help}{default} |").unwrap();
        }
        table
    }

    #[test]
    fn the_readme_documents_every_option() {
        let readme = include_str!("../../README.md");
        let command = Arguments::command();
        for table in [table(&command), table(command.find_subcommand("token").unwrap())] {
            assert!(readme.contains(&table), "the README lacks this table:\n{table}");
        }
    }
}
