//! Reads the log as it stands and computes its chain anew, from the columns alone.

use std::collections::HashMap;

use plinth_store::Store;
use ring::digest;
use rusqlite::{Connection, OpenFlags};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::support::*;

#[derive(Debug)]
pub struct Stored {
    pub position: i64,
    id: Vec<u8>,
    pub tenant: Vec<u8>,
    pub subject: String,
    pub version: i64,
    kind: String,
    time: i64,
    actor: String,
    impersonator: Option<Vec<u8>>,
    correlation: Option<String>,
    origin: Option<String>,
    data: String,
    hash: Vec<u8>,
}

/// All events of a SQLite file, in their order.
pub fn read(path: &std::path::Path) -> Vec<Stored> {
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut query = file
        .prepare(
            "select position, id, tenant, subject, version, kind, time, actor, impersonator, correlation, origin, data, hash \
             from events order by position",
        )
        .unwrap();
    let rows = query.query_map([], |row| {
        Ok(Stored {
            position: row.get(0)?,
            id: row.get(1)?,
            tenant: row.get(2)?,
            subject: row.get(3)?,
            version: row.get(4)?,
            kind: row.get(5)?,
            time: row.get(6)?,
            actor: row.get(7)?,
            impersonator: row.get(8)?,
            correlation: row.get(9)?,
            origin: row.get(10)?,
            data: row.get(11)?,
            hash: row.get(12)?,
        })
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// The position of the first event that does not follow from the one before it, or of a head that is not the last.
pub fn first_break(path: &std::path::Path) -> Option<i64> {
    let mut last: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let mut end = 0_i64;
    for event in read(path) {
        let previous = last.get(&event.tenant).map(Vec::as_slice).unwrap_or_default();
        if hash(previous, &event) != event.hash {
            return Some(event.position);
        }
        end = event.position;
        last.insert(event.tenant, event.hash);
    }
    // The database remembers the last position that was given: a log that ends before it was cut.
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let given = file.query_row("select seq from sqlite_sequence where name = 'events'", [], |row| row.get(0));
    (given.unwrap_or(0) != end).then_some(-1)
}

fn hash(previous: &[u8], event: &Stored) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut field = |value: &[u8]| {
        bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(value);
    };
    field(previous);
    field(&event.id);
    field(&event.tenant);
    field(event.subject.as_bytes());
    field(&event.version.to_be_bytes());
    field(event.kind.as_bytes());
    field(&event.time.to_be_bytes());
    field(event.actor.as_bytes());
    field(event.impersonator.as_deref().unwrap_or_default());
    field(event.correlation.as_deref().unwrap_or_default().as_bytes());
    field(event.origin.as_deref().unwrap_or_default().as_bytes());
    field(event.data.as_bytes());
    digest::digest(&digest::SHA256, &bytes).as_ref().to_vec()
}

/// The versions of every subject, in the order of their numbers, on either database.
pub async fn versions(store: &Store) -> HashMap<(Uuid, String), Vec<i64>> {
    let tx = store.read_system(cause()).await.unwrap();
    let query = sql(&tx, "select tenant, subject, version from events order by version", []);
    let mut versions: HashMap<_, Vec<i64>> = HashMap::new();
    for row in tx.query_all_raw(query).await.unwrap() {
        let subject = (row.try_get_by(0).unwrap(), row.try_get_by(1).unwrap());
        versions.entry(subject).or_default().push(row.try_get_by(2).unwrap());
    }
    versions
}

/// Every subject has each version from 1 on, once.
pub async fn assert_no_gaps(store: &Store) {
    for (subject, versions) in versions(store).await {
        let wanted: Vec<i64> = (1..=i64::try_from(versions.len()).unwrap()).collect();
        assert_eq!(versions, wanted, "{subject:?}");
    }
}
