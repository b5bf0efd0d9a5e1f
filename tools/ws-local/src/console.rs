//! `Console`: the program's standard output.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use crate::{
    event::{Event, EventSink},
    system::RunningSystem,
    template::Stack,
};

/// Prints lines on its own thread, so that a blocked terminal does not block the system.
#[derive(Debug)]
pub(crate) struct Console {
    lines: Sender<Option<String>>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Console {
    pub(crate) fn new() -> Self {
        let (lines, queue) = mpsc::channel::<Option<String>>();
        let thread = thread::spawn(move || {
            let mut output = io::stdout();
            while let Ok(Some(line)) = queue.recv() {
                // An error means that the reader has ended (`| head`). The system continues to
                // serve.
                let _ = writeln!(output, "{line}");
            }
        });
        Self { lines, stopping: Arc::default(), thread }
    }

    /// Prints one line per event that matters to a developer.
    pub(crate) fn events(&self) -> EventSink {
        let (lines, stopping) = (self.lines.clone(), Arc::clone(&self.stopping));
        EventSink::new(move |event| {
            // Ctrl-C reaches the processes, too.
            let expected = stopping.load(Ordering::Relaxed) && matches!(event, Event::ProcessEnded { .. });
            if let Some(line) = line(&event).filter(|_| !expected) {
                print(&lines, line);
            }
        })
    }

    /// Cargo shows its own progress on standard error.
    pub(crate) fn building(&self) {
        print(&self.lines, "Building the functions; the first build takes a few minutes.".to_owned());
    }

    pub(crate) fn ready(&self, running: &RunningSystem, host: IpAddr) {
        let RunningSystem { page, websocket, dynamodb, lambda, stack, .. } = running;
        let mut addresses =
            format!("  page       {page}\n  WebSocket  {websocket}\n  DynamoDB   {dynamodb}\n  Lambda     {lambda}");
        if let Some(settings) = authorizer_settings(stack) {
            let _ = write!(addresses, "\n  authorizer {settings}");
        }
        if !host.is_loopback() {
            let port = running.gateway.address().port();
            let _ = write!(
                addresses,
                "\n\nWarning: every machine that reaches port {port} can open the page, connect as the authorizer allows, and call @connections."
            );
        }
        let routes = routes(stack);
        print(&self.lines, format!("\n{addresses}\n\n{routes}\nReady; Ctrl-C stops everything."));
    }

    pub(crate) fn ready_dynamodb(&self, url: &str) {
        print(&self.lines, format!("\n  DynamoDB   {url}\n\nReady; Ctrl-C stops it."));
    }

    /// From now on the end of a process is not printed, because it is expected.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        print(&self.lines, "Stopping.".to_owned());
    }

    /// Waits until all lines are printed.
    pub(crate) fn finish(self) {
        // Both errors mean that the thread has ended already.
        let _ = self.lines.send(None);
        let _ = self.thread.join();
    }
}

/// Prints an error and its causes as one line on standard error.
pub(crate) fn error(error: &anyhow::Error) {
    // Ignore errors: if standard error is closed, the error can't be reported.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}

fn print(lines: &Sender<Option<String>>, line: String) {
    // Ignore errors: they mean that the printing thread has ended. The system continues to serve.
    let _ = lines.send(Some(line));
}

fn line(event: &Event) -> Option<String> {
    match event {
        Event::Request(request) => Some(request.to_string()),
        Event::Printed { process, line } => Some(format!("[{}] {line}", process.function)),
        // A function that runs too long is killed, too; the line of its request says so.
        Event::ProcessEnded { was_killed: true, .. } => None,
        Event::ProcessEnded { process, reason, .. } => {
            Some(format!("[{}] process {} ended: {reason}", process.function, process.process))
        }
        Event::Rebuilt(functions) if functions.is_empty() => None,
        Event::Rebuilt(functions) => Some(format!("rebuilt {}", functions.join(", "))),
        Event::NeedsRestart(file) => Some(format!("{} has changed; restart to use it", file.display())),
        Event::BuildFailed(reason) => Some(format!("the build failed; the functions stay as they were: {reason}")),
        Event::InvocationQueued { .. }
        | Event::InvocationEnded { .. }
        | Event::InvocationSent { .. }
        | Event::ProcessStarted(_)
        | Event::ProcessReady { .. } => None,
    }
}

/// The variables of the authorizer that have a value, because they decide who can connect.
fn authorizer_settings(stack: &Stack) -> Option<String> {
    let authorizer = &stack.functions[&stack.api.authorizer.as_ref()?.function];
    let settings = authorizer.environment.iter().filter(|(_, value)| !value.is_empty());
    Some(settings.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
}

/// The table of routes: key, function, and whether the client gets the function's response.
fn routes(stack: &Stack) -> String {
    let routes = &stack.api.routes;
    let width = routes.keys().map(|key| key.chars().count()).max().unwrap_or_default();
    let mut table = String::new();
    let authorizer = stack.api.authorizer.as_ref();
    for (key, route) in routes {
        let authorizer = authorizer.filter(|_| key == "$connect");
        let before = authorizer.map(|authorizer| format!("{}, then ", authorizer.function)).unwrap_or_default();
        let replies = if route.replies { ", replies" } else { "" };
        // Writing to a string can't fail.
        let _ = writeln!(table, "  {key:width$}  {before}{}{replies}", route.function);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::{event::ProcessRef, template};

    #[test]
    fn what_a_function_prints_carries_its_name() {
        let process = || ProcessRef { function: "Greeter".into(), process: 7 };
        let printed = Event::Printed { process: process(), line: "hello".into() };
        assert_eq!(line(&printed).as_deref(), Some("[Greeter] hello"));
        let ended =
            |was_killed| Event::ProcessEnded { process: process(), was_killed, reason: "exit status: 1".into() };
        assert_eq!(line(&ended(false)).as_deref(), Some("[Greeter] process 7 ended: exit status: 1"));
        assert_eq!(line(&ended(true)), None, "an old process that is replaced is no crash");
        assert_eq!(line(&Event::Rebuilt(vec!["A".into(), "B".into()])).as_deref(), Some("rebuilt A, B"));
        assert_eq!(line(&Event::Rebuilt(Vec::new())), None);
        assert_eq!(line(&Event::ProcessStarted(process())), None);
    }

    #[test]
    fn the_table_of_routes_shows_which_function_handles_each() {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates/auction.yaml");
        let stack = template::load(&template, &BTreeMap::new()).unwrap();
        assert_eq!(
            routes(&stack),
            "  $connect     DoormanFunction, then EnterFunction\n  \
               $default     BidFunction\n  \
               $disconnect  EnterFunction\n  \
               listBids     BidFunction\n  \
               placeBid     BidFunction, replies\n"
        );
    }
}
