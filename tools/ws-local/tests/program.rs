//! Tests of the program as a developer starts it: messages, exit status and ready file. The
//! functions come from the fixture project.

#[allow(dead_code, reason = "other tests use the rest")]
mod project;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt};
use project::Project;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::{connect_async, tungstenite::Message};
use ws_local::issuer::Issuer;

const AUCTION: &str = include_str!("templates/auction.yaml");

/// The auction template, with its functions' code in the fixture project.
fn auction() -> String {
    let folder = Project::shared().folder;
    let [all, enter] = ["", "/enter"].map(|package| format!("CodeUri: {}{package}\n", folder.display()));
    AUCTION.replace("CodeUri: .\n", &all).replace("CodeUri: enter/\n", &enter)
}

/// `ws-local` in a folder with this template, on free ports.
fn program(template: &str, arguments: &[&str]) -> (TempDir, Command) {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("template.yaml"), template).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ws-local"));
    command.current_dir(project.path()).args(["--dynamodb-port", "0"]).args(arguments);
    (project, command)
}

fn refusal(template: &str, arguments: &[&str]) -> String {
    let (_project, mut command) = program(template, arguments);
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    let message = String::from_utf8(stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

/// A running program. Dropping it kills the program, for example when a test fails.
struct Started {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Started {
    fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Reads the output up to the line that contains `text`.
    fn until(&mut self, text: &str) -> String {
        let mut read = String::new();
        while !read.lines().last().is_some_and(|line| line.contains(text)) {
            assert_ne!(self.output.read_line(&mut read).unwrap(), 0, "no {text:?} in {read}");
        }
        read
    }

    fn terminate(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        status.code()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // An error means that the program has already ended, as in a test that passes.
        let _ = self.child.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_a_reply_and_the_console_shows_everything() {
    let arguments = ["--port", "0", "--memory", "--ready-file", "ready.json"];
    let (project, command) = program(&auction(), &arguments);
    let ready = project.path().join("ready.json");
    std::fs::write(&ready, "of an earlier run").unwrap();
    let mut program = Started::new(command);

    let printed = program.until("Ready");
    assert!(printed.contains("authorizer DOORS=guarded LOG_LEVEL=debug"), "{printed}");
    let addresses: Value = serde_json::from_str(&std::fs::read_to_string(&ready).unwrap()).unwrap();
    for name in ["page", "websocket", "dynamodb"] {
        assert!(printed.contains(addresses[name].as_str().unwrap()), "{name} is not in {printed}");
    }
    assert!(printed.contains("placeBid     BidFunction, replies"), "{printed}");

    let url = format!("{}?ticket=1", addresses["websocket"].as_str().unwrap());
    let (mut socket, _) = connect_async(url).await.unwrap();
    socket.send(Message::text(r#"{"kind":"placeBid","sum":7}"#)).await.unwrap();
    let reply = socket.next().await.unwrap().unwrap();
    assert_eq!(reply.to_text().unwrap(), r#"{"kind":"placeBid","sum":7}"#);
    program.until("placeBid 200");

    assert_eq!(program.terminate(), Some(0));
    assert!(!ready.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_in_the_readme_echoes_a_message() {
    let readme = include_str!("../README.md");
    let template = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let code_uri = format!("CodeUri: {}", Project::shared().folder.join("bid").display());
    assert!(template.contains("CodeUri: .,"));
    let template = template.replace("CodeUri: .", &code_uri);
    let (project, command) = program(&template, &["--port", "0", "--memory", "--ready-file", "ready.json"]);
    let mut program = Started::new(command);
    program.until("Ready");
    let addresses = std::fs::read_to_string(project.path().join("ready.json")).unwrap();
    let addresses: Value = serde_json::from_str(&addresses).unwrap();
    let (mut socket, _) = connect_async(addresses["websocket"].as_str().unwrap()).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().to_text().unwrap(), "hello");
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn rows_are_kept_in_the_data_folder() {
    let (project, command) = program(&auction(), &["--port", "0", "--data", "kept"]);
    let mut program = Started::new(command);
    program.until("Ready");
    assert_eq!(program.terminate(), Some(0));
    assert!(project.path().join("kept/dynamodb.sqlite").exists());
}

#[test]
fn a_token_is_printed_and_nothing_else() {
    let (_project, mut command) = program(&auction(), &[]);
    let mut token = Command::new(command.get_program());
    token.current_dir(command.get_current_dir().unwrap());
    token.args(["token", "李雷", "--issuer", "https://issuer.example/", "--claim", "name", "--expires-in", "60"]);
    let first = String::from_utf8(token.output().unwrap().stderr).unwrap();
    assert_eq!(
        first,
        "Made a new key, .local/issuer.pk8. Its tokens are valid for a system that runs with --data .local.\n"
    );
    let Output { status, stdout, stderr } = token.output().unwrap();
    assert!(status.success() && stderr.is_empty());
    let printed = String::from_utf8(stdout).unwrap();
    let parts: Vec<&str> = printed.strip_suffix('\n').unwrap().split('.').collect();
    assert_eq!(parts.len(), 3);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://issuer.example/"), &json!("ws-local")));
    assert_eq!(claims["name"], "李雷");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);

    // Start the system in the same folder. It must serve the public key.
    command.args(["--port", "0", "--memory", "--ready-file", "ready.json"]);
    let folder = command.get_current_dir().unwrap().to_owned();
    let mut program = Started::new(command);
    program.until("Ready");
    let issuer = Issuer::open(&folder.join(".local")).unwrap();
    let addresses: Value = serde_json::from_slice(&std::fs::read(folder.join("ready.json")).unwrap()).unwrap();
    let address = addresses["page"].as_str().unwrap().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET /.well-known/jwks.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.contains(&issuer.jwks().to_string()), "{response}");
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn a_changed_template_or_configuration_is_announced_once() {
    let (project, command) = program(&auction(), &["--port", "0", "--memory"]);
    let mut program = Started::new(command);
    program.until("Ready");
    // Saved without a change, and a file that does not matter.
    std::fs::write(project.path().join("template.yaml"), auction()).unwrap();
    std::fs::write(project.path().join("notes.txt"), "new").unwrap();
    for (file, content) in [("template.yaml", auction() + "# New\n"), ("samconfig.toml", "version = 0.1\n".to_owned())]
    {
        let draft = project.path().join("draft");
        std::fs::write(&draft, &content).unwrap();
        std::fs::rename(&draft, project.path().join(file)).unwrap();
        let printed = program.until("restart");
        assert_eq!(printed, format!("{file} has changed; restart to use it\n"));
        std::fs::write(project.path().join(file), content + "# Newer\n").unwrap();
    }
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn a_system_that_the_network_reaches_says_so() {
    let (_project, command) = program(&auction(), &["--port", "0", "--memory", "--host", "0.0.0.0"]);
    let mut program = Started::new(command);
    let printed = program.until("Ready");
    assert!(printed.contains("Warning: every machine that reaches port "), "{printed}");
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn only_the_tables_are_served_with_only_dynamodb() {
    let arguments = ["--only-dynamodb", "--dynamodb-host", "0.0.0.0", "--memory", "--ready-file", "ready.json"];
    let (project, command) = program(AUCTION, &arguments);
    let mut program = Started::new(command);
    let printed = program.until("Ready");
    let ready = project.path().join("ready.json");
    let addresses: Value = serde_json::from_str(&std::fs::read_to_string(&ready).unwrap()).unwrap();
    let url = addresses["dynamodb"].as_str().unwrap();
    assert!(url.starts_with("http://0.0.0.0:") && printed.contains(url), "{printed}");
    assert_eq!(addresses.as_object().unwrap().len(), 1);
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(program.terminate(), Some(0));
    assert!(!ready.exists());
}

#[test]
fn an_error_is_one_message_and_exit_status_1() {
    let message = refusal(&AUCTION.replace("!Ref BidsTable", "!Ref BidTable"), &["--port", "0", "--memory"]);
    assert!(message.starts_with("error: template.yaml:"), "{message}");
    assert!(message.contains("Resources.BidFunction.Properties.Environment.Variables.BIDS_TABLE"), "{message}");

    let message = refusal(AUCTION, &["--template", "nowhere.yaml"]);
    assert!(message.contains("the template nowhere.yaml can't be read: No such file"), "{message}");

    let message = refusal(AUCTION, &["--parameter", "Doors=ajar", "--memory"]);
    assert!(message.contains("\"ajar\" is refused: it must be one of guarded, open"), "{message}");

    let (project, mut command) = program(AUCTION, &["--port", "0", "--data", "file"]);
    std::fs::write(project.path().join("file"), "").unwrap();
    let message = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(message.contains("can't make the folder file; give --data another folder, or --memory"), "{message}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let message = refusal(AUCTION, &["--port", &port, "--memory"]);
    assert!(message.contains(&format!("port {port} is taken by another program")), "{message}");
}
