use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::*;

fn rng() -> SystemRandom {
    SystemRandom::new()
}

fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng().fill(&mut bytes).unwrap();
    bytes
}

fn masters() -> MasterKeys {
    MasterKeys::generate(&rng()).unwrap()
}

fn data_key() -> DataKey {
    DataKey::generate(&rng()).unwrap()
}

/// Every copy of `bytes` that differs in exactly one bit.
fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

#[test]
fn any_value_opens_with_its_context_and_names_its_key() {
    let key = data_key();
    for len in (0..130).chain([4095, 4096, 4097, 1 << 17]) {
        let (plaintext, context) = (random(len), random(len % 37));
        let sealed = key.seal(&rng(), &context, &plaintext).unwrap();
        assert_eq!(sealed.len(), 1 + 16 + 12 + len + 16);
        assert_eq!(key_id_of(&sealed), Some(key.id()));
        assert_eq!(key.open(&context, &sealed).unwrap(), plaintext);
    }
}

#[test]
fn the_same_value_never_looks_the_same_twice() {
    let key = data_key();
    let one = key.seal(&rng(), b"row", b"value").unwrap();
    let other = key.seal(&rng(), b"row", b"value").unwrap();
    assert_ne!(one, other);
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let key = data_key();
    let sealed = key.seal(&rng(), b"users/1/email", b"ann@example.com").unwrap();
    for (bit, flipped) in flips(&sealed).enumerate() {
        let error = key.open(b"users/1/email", &flipped).unwrap_err();
        match bit / 8 {
            0 => assert!(matches!(error, KeyError::Malformed(_)), "bit {bit}: {error}"),
            1..17 => {
                assert_eq!(error, KeyError::UnknownKey(key_id_of(&flipped).unwrap()), "bit {bit}");
            }
            _ => assert_eq!(error, KeyError::Tampered, "bit {bit}"),
        }
    }
}

#[test]
fn a_cut_or_extended_ciphertext_is_refused() {
    let key = data_key();
    let sealed = key.seal(&rng(), b"", b"ann@example.com").unwrap();
    for len in 0..sealed.len() {
        assert!(key.open(b"", &sealed[..len]).is_err(), "cut to {len}");
    }
    let mut longer = sealed;
    longer.push(0);
    assert_eq!(key.open(b"", &longer), Err(KeyError::Tampered));
    assert_eq!(key_id_of(&[]), None);
    assert_eq!(key_id_of(&longer[..16]), None);
}

#[test]
fn another_context_is_refused() {
    let key = data_key();
    let context = b"users/1/email".as_slice();
    let sealed = key.seal(&rng(), context, b"ann@example.com").unwrap();
    let others = flips(context).chain([vec![], context[..5].to_vec(), [context, b"x"].concat()]);
    for other in others {
        assert_eq!(key.open(&other, &sealed), Err(KeyError::Tampered), "{other:?}");
    }
}

#[test]
fn another_key_says_which_one_is_needed() {
    let (key, other) = (data_key(), data_key());
    let sealed = key.seal(&rng(), b"", b"value").unwrap();
    assert_eq!(other.open(b"", &sealed), Err(KeyError::UnknownKey(key.id())));
}

#[test]
fn a_wrapped_key_survives_storage_and_any_flipped_bit_is_refused() {
    let (masters, key) = (masters(), data_key());
    let sealed = key.seal(&rng(), b"", b"value").unwrap();
    let stored = key.wrap(&masters, &rng()).unwrap().into_bytes();
    let wrapped = WrappedKey::from_bytes(stored.clone()).unwrap();
    assert_eq!((wrapped.key_id(), wrapped.wrapping_key_id()), (key.id(), masters.active_id()));
    let back = DataKey::unwrap(&wrapped, &masters).unwrap();
    assert_eq!(back.open(b"", &sealed).unwrap(), b"value");

    for (bit, flipped) in flips(&stored).enumerate() {
        let opened = WrappedKey::from_bytes(flipped).and_then(|key| DataKey::unwrap(&key, &masters));
        assert!(opened.is_err(), "bit {bit}");
    }
    for len in 0..stored.len() {
        assert!(WrappedKey::from_bytes(stored[..len].to_vec()).is_err(), "cut to {len}");
    }
}

#[test]
fn a_wrapped_key_does_not_open_as_a_value() {
    let (parent, child) = (data_key(), data_key());
    let mut bytes = child.wrap_under(&parent, &rng()).unwrap().into_bytes();
    assert!(matches!(parent.open(b"", &bytes), Err(KeyError::Malformed(_))));
    // Not even when the first byte is made to lie: the header is authenticated.
    bytes[0] = 1;
    assert_eq!(parent.open(&bytes[17..33], &bytes), Err(KeyError::Tampered));
}

#[test]
fn a_key_under_a_parent_opens_only_with_that_parent() {
    let (parent, stranger, child) = (data_key(), data_key(), data_key());
    let sealed = child.seal(&rng(), b"person", b"Ann").unwrap();
    let wrapped = child.wrap_under(&parent, &rng()).unwrap();
    let back = DataKey::unwrap_under(&wrapped, &parent).unwrap();
    assert_eq!(back.open(b"person", &sealed).unwrap(), b"Ann");
    let unknown = KeyError::UnknownKey(parent.id());
    assert_eq!(DataKey::unwrap_under(&wrapped, &stranger).unwrap_err(), unknown);
    assert_eq!(DataKey::unwrap(&wrapped, &masters()).unwrap_err(), unknown);
}

#[test]
fn rotation_drill() {
    let mut masters = masters();
    let first = masters.active_id();
    let key = data_key();
    let sealed = key.seal(&rng(), b"row", b"value").unwrap();
    let old = key.wrap(&masters, &rng()).unwrap();
    assert_eq!(old.rewrap(&masters, &rng()).unwrap(), None);

    let second = masters.rotate(&rng()).unwrap();
    assert_eq!(masters.ids().collect::<Vec<_>>(), [first, second]);
    assert_eq!(masters.active_id(), second);
    assert!(DataKey::unwrap(&old, &masters).is_ok(), "the old master key still unwraps");
    let new = old.rewrap(&masters, &rng()).unwrap().expect("wrapped by a key that is not active");
    assert_eq!((new.wrapping_key_id(), new.key_id()), (second, key.id()));

    assert_eq!(masters.retire(second, 0), Err(KeyError::ActiveKey(second)));
    assert_eq!(masters.retire(first, 3), Err(KeyError::StillInUse { id: first, wrapped: 3 }));
    masters.retire(first, 0).unwrap();
    assert_eq!(masters.retire(first, 0), Err(KeyError::UnknownKey(first)));

    assert_eq!(DataKey::unwrap(&old, &masters).unwrap_err(), KeyError::UnknownKey(first));
    assert_eq!(old.rewrap(&masters, &rng()), Err(KeyError::UnknownKey(first)));
    let after = DataKey::unwrap(&new, &masters).unwrap();
    assert_eq!(after.open(b"row", &sealed).unwrap(), b"value", "values are never rewritten");
}

#[test]
fn nothing_secret_is_printed() {
    let (masters, key) = (masters(), data_key());
    let text = masters.to_text();
    let secret = text.split("\"key\":\"").nth(1).unwrap().split('"').next().unwrap();
    let source = MasterKeySource::Environment { variable: "KEYS".to_owned(), text: text.clone() };
    let wrapped = key.wrap(&masters, &rng()).unwrap();
    let printed = format!("{masters:?} {key:?} {wrapped:?} {source:?}");
    assert!(!printed.contains(secret), "{printed}");
    assert!(printed.contains(&masters.active_id().to_string()), "ids are no secret");
}

#[test]
fn the_text_form_round_trips() {
    let mut keys = masters();
    let wrapped = data_key().wrap(&keys, &rng()).unwrap();
    keys.rotate(&rng()).unwrap();
    let read = MasterKeys::from_text(&format!("\n{}\n", *keys.to_text()), "a test").unwrap();
    assert_eq!(read.active_id(), keys.active_id());
    assert!(read.ids().eq(keys.ids()));
    assert!(DataKey::unwrap(&wrapped, &read).is_ok());
}

#[test]
fn a_broken_text_is_refused_without_being_quoted() {
    let keys = masters();
    let id = keys.active_id();
    let good = keys.to_text();
    let entry = good.split('[').nth(1).unwrap().trim_end_matches("]}").to_owned();
    let other = masters().active_id().to_string();
    let text = |active: &str, keys: &str| format!("{{\"version\":1,\"active\":\"{active}\",\"keys\":[{keys}]}}");
    let cases = [
        (String::new(), "line 1 column 0"),
        ("\"c2VjcmV0\"".to_owned(), "expected {\"version\":1"),
        (good.replace("\"version\":1", "\"version\":7"), "version 7"),
        (good.replace("\"keys\"", "\"extra\":1,\"keys\""), "line 1 column"),
        (text(&other, &entry), "`active` names a key that is not in `keys`"),
        (text("nonsense", &entry), "`active` is not a UUID"),
        (text(&id.to_string(), ""), "`active` names a key"),
        (text(&id.to_string(), &format!("{entry},{entry}")), "same id"),
        (text("x", "{\"id\":\"y\",\"key\":\"\"}"), "the id of key 1"),
        (text(&id.to_string(), &format!("{{\"id\":\"{id}\",\"key\":\"c2VjcmV0\"}}")), "32 bytes in base64"),
    ];
    for (broken, reason) in cases {
        let error = MasterKeys::from_text(&broken, "a test").unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("a test"), "{broken}: {error}");
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}

async fn load(path: &Path) -> Result<MasterKeys, SourceError> {
    MasterKeySource::File(path.to_owned()).load(&rng()).await
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn the_key_file_is_made_once_and_only_its_owner_can_reach_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.keys");
    let first = load(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(load(&path).await.unwrap().active_id(), first.active_id());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays behind");
}

#[test]
fn processes_that_start_at_once_agree_on_one_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.keys");
    let start = std::sync::Barrier::new(8);
    let (start, path) = (&start, &path);
    let ids: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(move || {
                    start.wait();
                    super::file::load_or_create(path, &rng()).unwrap().active_id()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_key_file_that_others_can_reach_is_refused_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.keys");
    load(&path).await.unwrap();
    for bad in [0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o610] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(bad)).unwrap();
        let error = load(&path).await.unwrap_err();
        assert!(matches!(&error, SourceError::Permissions { mode, .. } if *mode == bad), "{error}");
        let fix = format!("chmod 600 {}", path.display());
        assert!(error.to_string().contains(&fix), "{error}");
    }
    for good in [0o600, 0o400] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(good)).unwrap();
        assert!(load(&path).await.is_ok(), "{good:o}");
    }
}

#[tokio::test]
async fn a_rotated_set_replaces_the_file_and_keeps_links_and_mode() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real.keys");
    let link = folder.path().join("link.keys");
    symlink(&real, &link).unwrap();
    std::fs::write(&real, masters().to_text().as_bytes()).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o400)).unwrap();

    let source = MasterKeySource::File(link.clone());
    let mut keys = source.load(&rng()).await.unwrap();
    let second = keys.rotate(&rng()).unwrap();
    source.save(&keys).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(mode(&real), 0o600);
    let read = load(&real).await.unwrap();
    assert_eq!((read.active_id(), read.ids().count()), (second, 2));
}

#[tokio::test]
async fn a_key_file_that_is_no_key_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.keys");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(load(&path).await, Err(SourceError::Text { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"", "an empty file may be a lost key set: it is never overwritten");

    let missing = folder.path().join("no/such/folder/master.keys");
    let error = load(&missing).await.unwrap_err();
    assert!(matches!(&error, SourceError::Io { .. }), "{error}");
    assert!(error.to_string().contains("no/such/folder"), "{error}");
}

#[tokio::test]
async fn environment_text_loads_and_cannot_be_saved() {
    let mut keys = masters();
    let source = MasterKeySource::Environment { variable: "KEYS".to_owned(), text: keys.to_text() };
    assert_eq!(source.load(&rng()).await.unwrap().active_id(), keys.active_id());
    keys.rotate(&rng()).unwrap();
    let error = source.save(&keys).unwrap_err();
    assert!(error.to_string().contains("environment variable KEYS"), "{error}");

    let empty = MasterKeySource::Environment { variable: "KEYS".to_owned(), text: Zeroizing::new(String::new()) };
    assert!(empty.load(&rng()).await.is_err(), "an absent set is never made up");
}

async fn run(argv: &[&str], limit: Duration) -> Result<MasterKeys, SourceError> {
    let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
    MasterKeySource::Command { argv, limit }.load(&rng()).await
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_command_gives_the_keys_it_prints() {
    let keys = masters();
    let loaded = run(&["printf", "%s", &keys.to_text()], LONG).await.unwrap();
    assert_eq!(loaded.active_id(), keys.active_id());
}

#[tokio::test]
async fn a_failing_command_shows_its_standard_error_and_never_its_output() {
    let script = "echo c2VjcmV0; echo 'vault is sealed' >&2; head -c 100000 /dev/zero >&2; exit 3";
    let error = run(&["sh", "-c", script], LONG).await.unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("vault is sealed"), "{error}");
    assert!(!error.contains("c2VjcmV0"), "{error}");
    assert!(error.len() < 4096, "the standard error is cut");

    let error = run(&["sh", "-c", "echo c2VjcmV0"], LONG).await.unwrap_err();
    assert!(matches!(&error, SourceError::Text { .. }) && !error.to_string().contains("c2VjcmV0"), "{error}");
    assert!(matches!(run(&[], LONG).await, Err(SourceError::EmptyCommand)));
    let missing = run(&["/no/such/program"], LONG).await.unwrap_err();
    assert!(missing.to_string().contains("/no/such/program"), "{missing}");
}

#[tokio::test]
async fn a_hanging_command_is_given_up_even_when_its_child_holds_the_pipe() {
    // The command never ends within the test, so the limit can be as short as the scheduler allows.
    for script in ["exec sleep 5", "sleep 5 & exit 0"] {
        let error = run(&["sh", "-c", script], Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, SourceError::CommandTimedOut { .. }), "{error}");
        assert!(error.to_string().contains("0.05 s"), "{error}");
    }
}
