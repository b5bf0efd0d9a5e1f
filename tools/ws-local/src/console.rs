//! Everything that `ws-local` prints.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use crate::{
    functions::Notice,
    system::{Event, RunningSystem},
    template::Stack,
};

/// Prints lines in a thread of its own, so that a terminal that is held back holds back nothing else.
#[derive(Debug)]
pub struct Console {
    lines: Sender<Option<String>>,
    thread: JoinHandle<()>,
}

/// Hands events to a [`Console`].
#[derive(Debug, Clone)]
pub struct Printer {
    lines: Sender<Option<String>>,
    stopping: Arc<AtomicBool>,
}

impl Console {
    /// Prints to standard output.
    pub fn new() -> Self {
        let (lines, waiting) = mpsc::channel::<Option<String>>();
        let thread = thread::spawn(move || {
            let mut output = io::stdout();
            while let Ok(Some(line)) = waiting.recv() {
                // Where nobody reads any more (`| head`) the system still serves.
                let _ = writeln!(output, "{line}");
            }
        });
        Self { lines, thread }
    }

    /// For whoever has events to print.
    pub fn printer(&self) -> Printer {
        Printer { lines: self.lines.clone(), stopping: Arc::default() }
    }

    /// Prints what is still waiting.
    pub fn finish(self) {
        // An error says that the thread has ended, which is what is wanted.
        let _ = self.lines.send(None);
        let _ = self.thread.join();
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Printer {
    /// One line for what happened, if it is worth one.
    pub fn event(&self, event: &Event) {
        let expected = self.stopping.load(Ordering::Relaxed) && matches!(event, Event::Function(Notice::Ended(..)));
        if let Some(line) = line(event).filter(|_| !expected) {
            self.print(line);
        }
    }

    /// Where everything is, once it can be used.
    pub fn ready(&self, running: &RunningSystem) {
        self.print(format!(
            "\n  page       {}\n  WebSocket  {}\n  DynamoDB   {}\n\n{}\nReady; Ctrl-C stops everything.",
            running.page,
            running.websocket,
            running.dynamodb,
            routes(&running.stack)
        ));
    }

    /// Where the tables are, once they can be used.
    pub fn ready_dynamodb(&self, url: &str) {
        self.print(format!("\n  DynamoDB   {url}\n\nReady; Ctrl-C stops it."));
    }

    /// The functions may have to be built first, which shows Cargo's own progress.
    pub fn starting(&self) {
        self.print("Starting; the first build of the functions takes a few minutes.".to_owned());
    }

    /// From now on the end of a process is nothing to tell.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.print("Stopping.".to_owned());
    }

    fn print(&self, line: String) {
        // Nobody prints any more, which is no reason to stop serving.
        let _ = self.lines.send(Some(line));
    }
}

/// The one message of a program that could not do its work, with its causes.
pub fn error(error: &anyhow::Error) {
    // There is nowhere else to say it.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}

fn line(event: &Event) -> Option<String> {
    match event {
        Event::Gateway(record) => Some(record.to_string()),
        Event::Function(notice) => match notice {
            Notice::Printed(origin, text) => Some(format!("[{}] {text}", origin.function)),
            Notice::Ended(origin, how) => {
                Some(format!("[{}] process {} ended: {how}", origin.function, origin.process))
            }
            Notice::Rebuilt(functions) if functions.is_empty() => None,
            Notice::Rebuilt(functions) => Some(format!("rebuilt {}", functions.join(", "))),
            Notice::BuildFailed(why) => Some(format!("the build failed, and the old functions stay: {why}")),
            Notice::Asked(..) | Notice::Done(_) | Notice::Started(_) | Notice::Ready(..) | Notice::Given(..) => None,
        },
    }
}

/// The table of routes: key, function, and whether its answer goes back to the caller.
fn routes(stack: &Stack) -> String {
    let routes = &stack.api.routes;
    let width = routes.keys().map(|key| key.chars().count()).max().unwrap_or_default();
    let mut table = String::new();
    let authorizer = stack.api.authorizer.as_ref();
    for (key, route) in routes {
        let before = authorizer.filter(|_| key == "$connect");
        let before = before.map(|authorizer| format!("{}, then ", authorizer.function)).unwrap_or_default();
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
    use crate::{functions::Origin, template};

    #[test]
    fn what_a_function_prints_carries_its_name() {
        let origin = || Origin { function: "Greeter".into(), process: 7 };
        let of = |notice| line(&Event::Function(notice));
        assert_eq!(of(Notice::Printed(origin(), "hello".into())).as_deref(), Some("[Greeter] hello"));
        assert_eq!(
            of(Notice::Ended(origin(), "exit status: 1".into())).as_deref(),
            Some("[Greeter] process 7 ended: exit status: 1")
        );
        assert_eq!(of(Notice::Rebuilt(vec!["A".into(), "B".into()])).as_deref(), Some("rebuilt A, B"));
        assert_eq!(of(Notice::Rebuilt(Vec::new())), None);
        assert_eq!(of(Notice::Started(origin())), None);
    }

    #[test]
    fn the_table_of_routes_shows_who_answers() {
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
