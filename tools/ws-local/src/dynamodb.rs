//! `DynamoDb`: the tables of a stack, served by dynoxide from a file or from memory.
//!
//! dynoxide uses SQLite's WAL mode. An acknowledged write is in the log, so it survives if the
//! process is killed. The next start reads the log.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use dynoxide::Database;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time};

use crate::template::Table;

/// How often expired rows are deleted. DynamoDB itself promises deletion only "within a few days".
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long [`DynamoDb::stop`] waits for running requests.
const STOPPING: Duration = Duration::from_secs(5);

/// Where the tables are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory, until the process ends.
    Memory,
    /// In this folder, which is created if it is missing.
    Directory(PathBuf),
}

impl Storage {
    /// Reserves the folder for one system until the returned file is dropped. Two systems would
    /// each find the other's connections in the tables and treat them as gone. A program that
    /// serves only the tables needs no lock.
    pub(crate) fn lock(&self) -> anyhow::Result<Option<File>> {
        let Self::Directory(directory) = self else { return Ok(None) };
        let folder = directory.display();
        fs::create_dir_all(directory)
            .with_context(|| format!("can't make the folder {folder}; give --data another folder, or --memory"))?;
        let file = File::create(directory.join("lock"))
            .with_context(|| format!("can't write in {folder}; give --data another folder, or --memory"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                bail!("another ws-local uses {folder}; stop it, or give --data another folder, or --memory")
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("can't lock {folder}")),
        }
    }
}

/// A running DynamoDB. Dropping it refuses further requests; [`DynamoDb::stop`] also waits for the running ones.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), String>>,
    sweeper: Sweeper,
}

impl DynamoDb {
    /// Opens the storage, creates the tables that are missing, and serves on `listener`.
    pub(crate) async fn start(listener: TcpListener, storage: &Storage, tables: &[Table]) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let database = open(storage)?;
        for table in tables {
            ensure_table(&database, table, storage).with_context(|| format!("table {}", table.name))?;
        }
        let sweeper = Sweeper(tokio::spawn(sweep(database.clone())));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async {
            // The server stops when a message arrives or the sender is dropped.
            let _ = stopped.await;
        }));
        Ok(Self { address, stop, server, sweeper })
    }

    /// The endpoint for an SDK.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the running requests, then closes the storage.
    pub(crate) async fn stop(self) {
        drop(self.sweeper);
        // An error means that the server has ended already.
        let _ = self.stop.send(());
        // After the time-out, the running requests are dropped. The file stays consistent, as after
        // a kill.
        let _ = time::timeout(STOPPING, self.server).await;
    }
}

#[derive(Debug)]
struct Sweeper(JoinHandle<()>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn sweep(database: Database) {
    let mut interval = time::interval(SWEEP_EVERY);
    loop {
        interval.tick().await;
        let database = database.clone();
        // A failed sweep is repeated in a minute. Readers must skip expired rows anyway, as on AWS.
        let _ = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
    }
}

fn open(storage: &Storage) -> anyhow::Result<Database> {
    match storage {
        Storage::Memory => Ok(Database::memory()?),
        Storage::Directory(directory) => {
            fs::create_dir_all(directory).with_context(|| format!("can't make the folder {}", directory.display()))?;
            let file = file_in(directory);
            let path = file.to_str().context("the data folder's name is not UTF-8")?;
            Database::new(path).map_err(|error| {
                let error = anyhow!(error);
                let is_damaged = format!("{error:#}").contains("not a valid SQLite database");
                let advice = match is_damaged {
                    true => "it is damaged; delete it to start with empty tables",
                    false => "give --data a folder with free space on a disk of this machine, or --memory",
                };
                error.context(format!("can't open {path}; {advice}"))
            })
        }
    }
}

fn file_in(directory: &Path) -> PathBuf {
    directory.join("dynamodb.sqlite")
}

/// Creates the table if it is missing, and sets its TTL.
fn ensure_table(database: &Database, table: &Table, storage: &Storage) -> anyhow::Result<()> {
    let name = json!({"TableName": table.name});
    if database.get_table_metadata(&table.name)?.is_none() {
        database.create_table(serde_json::from_value(table.create.clone())?)?;
    } else {
        let stored = database.describe_table(serde_json::from_value(name.clone())?)?;
        let stored = &serde_json::to_value(stored)?["Table"];
        if keys(stored) != keys(&table.create) {
            let Storage::Directory(directory) = storage else { bail!("the template declares it twice") };
            let file = file_in(directory);
            bail!(
                "its keys differ from those of the stored table; delete {} to start with empty tables",
                file.display()
            );
        }
    }
    let stored = serde_json::to_value(database.describe_time_to_live(serde_json::from_value(name)?)?)?;
    let stored = stored["TimeToLiveDescription"]["AttributeName"].as_str();
    let wanted = table.ttl_attribute.as_deref();
    // DynamoDB accepts a different TTL attribute only after the current one is disabled.
    let disable = stored.filter(|_| stored != wanted).map(|attribute| (attribute, false));
    let enable = wanted.filter(|_| stored != wanted).map(|attribute| (attribute, true));
    for (attribute, enabled) in disable.into_iter().chain(enable) {
        let request = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": enabled},
        });
        database.update_time_to_live(serde_json::from_value(request)?).map_err(|error| anyhow!("its TTL: {error}"))?;
    }
    Ok(())
}

/// Properties of a table that can't change after its creation: the keys of the table and of its
/// indexes, with their types.
fn keys(table: &Value) -> BTreeSet<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let kind = |name: &Value| {
        let definitions = list(&table["AttributeDefinitions"]);
        let found = definitions.iter().find(|definition| definition["AttributeName"] == *name);
        found.map_or(Value::Null, |definition| definition["AttributeType"].clone())
    };
    let describe = |index: &Value, schema: &Value| {
        let keys = list(schema).into_iter();
        keys.map(|key| format!("{index} {} {} {}", key["AttributeName"], key["KeyType"], kind(&key["AttributeName"])))
            .collect::<Vec<_>>()
    };
    let mut keys = BTreeSet::from_iter(describe(&Value::Null, &table["KeySchema"]));
    for indexes in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        for index in list(&table[indexes]) {
            keys.extend(describe(&index["IndexName"], &index["KeySchema"]));
        }
    }
    keys
}

#[cfg(test)]
mod tests;
