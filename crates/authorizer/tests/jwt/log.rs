//! `Log`: captures what is logged, to check that it contains no token.

use std::{
    io,
    sync::{Arc, Mutex},
};

/// Captures what this thread logs at any level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || log.clone());
        tracing::subscriber::set_default(lines.finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Checks that `log` contains no part of a token that is long enough to exclude coincidence.
#[track_caller]
pub(crate) fn assert_absent(log: &str, token: &str, attack: &str) {
    for part in token.split('.').filter(|part| part.len() >= 16) {
        assert!(!log.contains(&part[..16]), "{attack}: a part of the token is logged: {log}");
    }
}
