//! A Chromium of its own for each test, without a screen.

use std::{env, path::Path, process::Stdio, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    page::Page,
    protocol::{PATIENCE, Protocol},
};

/// Where it is looked for, when `CHROMIUM` does not say.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// What a test needs of it and nothing else: no screen, no calls home, and loopback alone.
const ARGUMENTS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--metrics-recording-only",
    // Names that end in .test are this machine, everything else is nowhere.
    "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--remote-debugging-port=0",
];

/// A browser that runs. Dropped, it ends.
pub struct Browser {
    protocol: Arc<Protocol>,
    _process: Child,
    _profile: TempDir,
}

/// Somebody with a browser profile of their own; their tabs share what is stored.
pub struct Person {
    protocol: Arc<Protocol>,
    context: String,
}

impl Browser {
    /// Starts the browser of `CHROMIUM`, or one of the usual names.
    pub async fn start() -> Self {
        let program = program();
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(&program);
        command.args(ARGUMENTS).arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        let mut process =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap_or_else(|error| {
                panic!("{program} does not start: {error}; install Chromium (Debian: apt install chromium), or set CHROMIUM")
            });
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let told = async {
            let mut said = Vec::new();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, url)) = line.split_once("DevTools listening on ") {
                    return url.to_owned();
                }
                said.push(line);
            }
            panic!("{program} has ended: {}", said.join("\n"))
        };
        let url = timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("{program} never listened"));
        // What it says later is read, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { protocol: Arc::new(Protocol::connect(&url).await), _process: process, _profile: profile }
    }

    /// A profile without a past.
    pub async fn person(&self) -> Person {
        let made = self.protocol.ask(None, "Target.createBrowserContext", json!({})).await.unwrap();
        Person { protocol: self.protocol.clone(), context: text(&made["browserContextId"]) }
    }
}

impl Person {
    /// A tab that shows this address.
    pub async fn open(&self, url: &str) -> Page {
        let wanted = json!({ "url": "about:blank", "browserContextId": self.context });
        let target = self.protocol.ask(None, "Target.createTarget", wanted).await.unwrap();
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.protocol.ask(None, "Target.attachToTarget", attach).await.unwrap();
        let page = Page::new(self.protocol.clone(), text(&session["sessionId"]), text(&target["targetId"]));
        for domain in ["Page.enable", "Runtime.enable", "Network.enable"] {
            page.tell(domain, json!({})).await;
        }
        page.go(url).await;
        page
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn program() -> String {
    if let Ok(program) = env::var("CHROMIUM") {
        return program;
    }
    let path = env::var("PATH").unwrap_or_default();
    let is_there = |name: &&&str| path.split(':').any(|folder| Path::new(folder).join(name).exists());
    NAMES.iter().find(is_there).unwrap_or(&NAMES[0]).to_string()
}
