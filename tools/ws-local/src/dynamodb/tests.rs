//! Rows and tables across restarts.

use super::*;

/// A table `name` with a text key, a numeric range key and an index.
fn table(name: &str, range: &str, ttl: Option<&str>) -> Table {
    let create = json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": range, "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": range, "AttributeType": "N"},
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "byRange",
            "KeySchema": [{"AttributeName": range, "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }],
    });
    Table { name: name.to_owned(), create, ttl_attribute: ttl.map(str::to_owned) }
}

async fn start(storage: &Storage, tables: &[Table]) -> anyhow::Result<DynamoDb> {
    DynamoDb::start(TcpListener::bind("127.0.0.1:0").await?, storage, tables).await
}

fn put(database: &Database, ends_at: &str) {
    let item = json!({"id": {"S": "a"}, "n": {"N": "1"}, "endsAt": {"N": ends_at}});
    let request = json!({"TableName": "Rows", "Item": item});
    database.put_item(serde_json::from_value(request).unwrap()).unwrap();
}

fn count(database: &Database) -> Value {
    let request = serde_json::from_value(json!({"TableName": "Rows", "Select": "COUNT"})).unwrap();
    serde_json::to_value(database.scan(request).unwrap()).unwrap()["Count"].clone()
}

#[tokio::test]
async fn tables_and_rows_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(directory.path().join("new/folder"));
    let tables = [table("Rows", "n", Some("endsAt")), table("Others", "n", None)];
    start(&storage, &tables).await.unwrap().stop().await;
    put(&open(&storage).unwrap(), "99999999999");
    let again = start(&storage, &tables).await.unwrap();
    assert!(again.url().starts_with("http://127.0.0.1:"));
    again.stop().await;
    assert_eq!(count(&open(&storage).unwrap()), 1);
}

#[tokio::test]
async fn rows_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(directory.path().join("living"));
    start(&storage, &[table("Rows", "n", None)]).await.unwrap().stop().await;
    let database = open(&storage).unwrap();
    put(&database, "1");
    // Copy the files while the database is open: a kill leaves them in this state.
    let killed = directory.path().join("killed");
    fs::create_dir(&killed).unwrap();
    for file in fs::read_dir(directory.path().join("living")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), killed.join(file.file_name())).unwrap();
    }
    assert_eq!(count(&open(&Storage::Directory(killed)).unwrap()), 1);
}

#[tokio::test]
async fn a_table_with_other_keys_names_the_file_to_delete() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(directory.path().to_owned());
    start(&storage, &[table("Rows", "n", None)]).await.unwrap().stop().await;
    let error = start(&storage, &[table("Rows", "m", None)]).await.unwrap_err();
    let file = file_in(directory.path());
    let expected = format!(
        "table Rows: its keys differ from those of the stored table; delete {} to start with empty tables",
        file.display()
    );
    assert_eq!(format!("{error:#}"), expected);
}

#[test]
fn expired_rows_go_and_the_attribute_can_change() {
    let database = Database::memory().unwrap();
    ensure_table(&database, &table("Rows", "n", Some("other")), &Storage::Memory).unwrap();
    ensure_table(&database, &table("Rows", "n", Some("endsAt")), &Storage::Memory).unwrap();
    put(&database, "1");
    assert_eq!(database.sweep_ttl().unwrap(), 1);
    ensure_table(&database, &table("Rows", "n", None), &Storage::Memory).unwrap();
    put(&database, "1");
    assert_eq!(database.sweep_ttl().unwrap(), 0);
    assert_eq!(count(&database), 1);
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(file_in(directory.path()), "this is not a database, but it is long enough to be read").unwrap();
    let error = start(&Storage::Directory(directory.path().to_owned()), &[]).await.unwrap_err();
    assert!(format!("{error:#}").contains("dynamodb.sqlite; it is damaged; delete it"), "{error:#}");
}

#[test]
fn a_folder_serves_one_system_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(directory.path().to_owned());
    let first = storage.lock().unwrap();
    let error = storage.lock().unwrap_err();
    assert!(error.to_string().contains("another ws-local uses"), "{error:#}");
    drop(first);
    storage.lock().unwrap();
}
