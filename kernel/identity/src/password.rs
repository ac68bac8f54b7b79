//! Passwords: hashing with argon2id away from the async threads, and the rules for a new one.
//!
//! Invariants:
//!
//! * At most `threads` hashes run at once, so that a burst of sign-ins costs a known amount of memory
//!   (`threads × memory_kib`) and leaves the processor to others. A caller who hangs up while waiting costs nothing.
//! * [`PasswordHasher::verify`] does the same work whether the account exists or not.
//! * Stored hashes are PHC strings that carry their own parameters, so that parameters can change: an old hash still
//!   verifies, and the verdict asks for a new one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use ring::rand::SecureRandom;
use tokio::sync::Semaphore;

/// The largest password that is accepted, in bytes. Long enough for any passphrase, short enough for no attack.
pub const MAX_BYTES: usize = 1024;

/// A stored hash that asks for more memory than this is refused: it was not made here, and trying it could end the process.
const MAX_STORED_MEMORY_KIB: u32 = 1 << 20;
const SALT_LEN: usize = 16;

/// Lower case; a candidate is compared in lower case. Only what attackers try first, and what people take when a rule asks
/// for eight or more characters.
#[rustfmt::skip]
const COMMON: &[&str] = &[
    "00000000", "0123456789", "11111111", "111111111", "1111111111", "11223344", "112233445566", "12121212", "123123123",
    "123321123", "12341234", "1234512345", "12345678", "123456789", "1234567890", "12345678910", "123456789a", "12345678a",
    "1234abcd", "1234qwer", "123qwe123", "147258369", "1q2w3e4r", "1q2w3e4r5t", "1q2w3e4r5t6y", "1qaz2wsx", "1qaz2wsx3edc",
    "1qazxsw2", "22222222", "55555555", "66666666", "77777777", "87654321", "88888888", "987654321", "9876543210", "99999999",
    "a1b2c3d4", "a1234567", "a12345678", "a123456789", "aa123456", "aaaaaaaa", "abc12345", "abcd1234", "abcdefgh",
    "abcdefghi", "abcdefghij", "access14", "admin123", "admin1234", "admin12345", "administrator", "adminadmin", "alexander",
    "asdasdasd", "asdf1234", "asdfasdf", "asdfghjk", "asdfghjkl", "baseball", "basketball", "benjamin", "butterfly",
    "changeme", "changeme1", "changeme123", "charlotte", "chocolate", "christian", "christopher", "computer", "corvette",
    "danielle", "default1", "dragon123", "elizabeth", "einstein", "facebook", "football", "football1", "gfhjkmgfhjkm",
    "google123", "hello123", "hello1234", "helloworld", "hunter123", "iloveyou", "iloveyou1", "iloveyou2", "internet",
    "jennifer", "jonathan", "jordan23", "letmein1", "letmein123", "liverpool", "login123", "lovelove", "manchester",
    "maverick", "mercedes", "metallica", "michelle", "midnight", "minecraft", "monkey123", "mustang1", "nicholas",
    "operator", "p@ssw0rd", "p@ssword", "pa$$word", "passw0rd", "passpass", "password", "password!", "password0", "password01",
    "password1", "password1!", "password11", "password12", "password123", "password123!", "password1234", "password2",
    "password3", "passwort", "pokemon123", "princess", "princess1", "q1w2e3r4", "q1w2e3r4t5", "q1w2e3r4t5y6", "qazwsxedc",
    "qwaszx12", "qwe123qwe", "qweasdzxc", "qweqweqwe", "qwer1234", "qwerasdf", "qwerqwer", "qwerty11", "qwerty12",
    "qwerty123", "qwerty1234", "qwerty12345", "qwertyui", "qwertyuiop", "rangers1", "root1234", "rootroot", "samantha",
    "samsung1", "secret123", "security", "spiderman", "starwars", "steelers", "summer2023", "summer2024", "summer2025",
    "sunshine", "sunshine1", "superman", "swordfish", "test1234", "testtest", "thomas123", "trustno1", "undertaker",
    "user1234", "veronica", "victoria", "welcome1", "welcome123", "whatever", "william1", "winter2024", "winter2025",
    "wolverine", "xxxxxxxx", "zaq12wsx", "zaq1zaq1", "zxcvbnm1", "zxcvbnm123", "zzzzzzzz",
];

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("the password hashing parameters cannot be used: {0}")]
    Parameters(String),
    #[error("a stored password hash cannot be read: {0}; the account needs a password reset")]
    StoredHash(String),
    #[error("a password could not be hashed: {0}")]
    Hash(String),
    #[error("the system's random number generator failed")]
    Random,
}

/// The rule that a new password breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("the password has {found} characters; use at least {min}")]
    TooShort { min: usize, found: usize },
    #[error("the password has {found} bytes; use at most {MAX_BYTES}")]
    TooLong { found: usize },
    #[error("the password is the e-mail address; choose another one")]
    IsEmail,
    #[error("the password is one of the most common ones and would be guessed at once; choose another one")]
    Common,
}

impl RuleError {
    /// A stable name for clients.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "password_too_short",
            Self::TooLong { .. } => "password_too_long",
            Self::IsEmail => "password_is_email",
            Self::Common => "password_common",
        }
    }
}

/// Checks a new password. Length counts characters, since that is what people see and count.
pub fn check_rules(password: &str, email: &str, min_characters: usize) -> Result<(), RuleError> {
    // Before anything walks over it: this is the one input here without another bound.
    if password.len() > MAX_BYTES {
        return Err(RuleError::TooLong { found: password.len() });
    }
    let found = password.chars().count();
    if found < min_characters {
        return Err(RuleError::TooShort { min: min_characters, found });
    }
    let lower = password.trim().to_lowercase();
    if lower == email.trim().to_lowercase() {
        return Err(RuleError::IsEmail);
    }
    if COMMON.contains(&lower.as_str()) {
        return Err(RuleError::Common);
    }
    Ok(())
}

/// What a verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub matches: bool,
    /// The password is right and its hash was made with other parameters than those in force: hash it anew now that the
    /// clear text is at hand.
    pub needs_rehash: bool,
}

/// Hashes and verifies passwords. Clones share the limit.
#[derive(Clone)]
pub struct PasswordHasher {
    argon: Argon2<'static>,
    running: Arc<Semaphore>,
    workspaces: Arc<Workspaces>,
    /// The hash of a password that nobody has, verified against when there is no account.
    dummy: Arc<str>,
}

impl PasswordHasher {
    /// `memory_kib` and `iterations` are the cost of one hash, `threads` is how many are computed at once. A hash itself
    /// uses one lane, as it runs on one thread.
    pub fn new(memory_kib: u32, iterations: u32, threads: usize) -> Result<Self, PasswordError> {
        if threads == 0 || threads > Semaphore::MAX_PERMITS {
            return Err(PasswordError::Parameters("threads must be at least 1".to_owned()));
        }
        if memory_kib > MAX_STORED_MEMORY_KIB {
            let reason = format!("memory_kib must be at most {MAX_STORED_MEMORY_KIB}");
            return Err(PasswordError::Parameters(reason));
        }
        let params = Params::new(memory_kib, iterations, 1, Some(Params::DEFAULT_OUTPUT_LEN))
            .map_err(|error| PasswordError::Parameters(error.to_string()))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // Its password need not be secret: the verdict for a missing account is "no" whatever the comparison says.
        let workspaces = Arc::new(Workspaces::default());
        let dummy = hash(&argon, &workspaces, &[0; SALT_LEN], "")?.into();
        Ok(Self { argon, running: Arc::new(Semaphore::new(threads)), workspaces, dummy })
    }

    /// The PHC string to store for a password.
    pub fn hash(
        &self,
        rng: &dyn SecureRandom,
        password: String,
    ) -> impl Future<Output = Result<String, PasswordError>> + Send + use<> {
        // Drawn before the future exists, so that the future does not hold the generator and can move between threads.
        let mut salt = [0; SALT_LEN];
        let drawn = rng.fill(&mut salt).map_err(|_| PasswordError::Random);
        let hasher = self.clone();
        async move {
            drawn?;
            let (argon, workspaces) = (hasher.argon.clone(), hasher.workspaces.clone());
            hasher.run(move || hash(&argon, &workspaces, &salt, &password)).await
        }
    }

    /// Compares a candidate with the stored PHC string; `None` is an account that does not exist or has no password, which
    /// takes as long as a wrong password.
    pub async fn verify(&self, stored: Option<&str>, candidate: String) -> Result<Verdict, PasswordError> {
        let exists = stored.is_some();
        let phc = stored.unwrap_or(&self.dummy).to_owned();
        let (argon, workspaces) = (self.argon.clone(), self.workspaces.clone());
        let verdict = self.run(move || verify(&argon, &workspaces, &phc, &candidate)).await?;
        Ok(Verdict { matches: verdict.matches && exists, needs_rehash: verdict.needs_rehash && exists })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let running = Arc::clone(&self.running);
        let permit = running.acquire_owned().await.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work and not by the caller: a caller who hangs up does not make room before the work has ended.
            let _permit = permit;
            work()
        });
        done.await.map_err(|error| PasswordError::Hash(error.to_string()))?
    }
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("params", self.argon.params()).finish_non_exhaustive()
    }
}

/// The memory that hashes are computed in. It is used again and again: what is given back to the allocator by one thread
/// after another stays with each of them, and a burst of sign-ins would cost many times what is in use at once.
#[derive(Default)]
struct Workspaces(Mutex<Vec<Vec<Block>>>);

impl Workspaces {
    fn with<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut memory = free.unwrap_or_default();
        if memory.len() < blocks {
            memory = vec![Block::default(); blocks];
        }
        let result = work(&mut memory[..blocks]);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        result
    }
}

fn compute(
    argon: &Argon2<'_>,
    workspaces: &Workspaces,
    password: &str,
    salt: &[u8],
    length: usize,
) -> Result<Output, PasswordError> {
    let mut out = vec![0; length];
    let computed = workspaces.with(argon.params().block_count(), |memory| {
        argon.hash_password_into_with_memory(password.as_bytes(), salt, &mut out, memory)
    });
    computed.map_err(|error| PasswordError::Hash(error.to_string()))?;
    Output::new(&out).map_err(|error| PasswordError::Hash(error.to_string()))
}

fn hash(argon: &Argon2<'_>, workspaces: &Workspaces, salt: &[u8], password: &str) -> Result<String, PasswordError> {
    let failed = |error: argon2::password_hash::Error| PasswordError::Hash(error.to_string());
    let text = SaltString::encode_b64(salt).map_err(failed)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon.params()).map_err(failed)?,
        salt: Some(text.as_salt()),
        hash: Some(compute(argon, workspaces, password, salt, Params::DEFAULT_OUTPUT_LEN)?),
    };
    Ok(hash.to_string())
}

fn verify(argon: &Argon2<'_>, workspaces: &Workspaces, phc: &str, candidate: &str) -> Result<Verdict, PasswordError> {
    let unreadable = |error: &dyn fmt::Display| PasswordError::StoredHash(error.to_string());
    let stored = PasswordHash::new(phc).map_err(|error| unreadable(&error))?;
    let params = Params::try_from(&stored).map_err(|error| unreadable(&error))?;
    if params.m_cost() > MAX_STORED_MEMORY_KIB {
        return Err(unreadable(&format!("it asks for {} KiB of memory", params.m_cost())));
    }
    // Without these nothing could ever match, which is not the same as a wrong password.
    let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else {
        return Err(unreadable(&"it has no salt or no hash"));
    };
    let algorithm = Algorithm::try_from(stored.algorithm).map_err(|error| unreadable(&error))?;
    let version = stored.version.map_or(Ok(Version::V0x13), Version::try_from).map_err(|error| unreadable(&error))?;
    let mut buffer = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut buffer).map_err(|error| unreadable(&error))?;
    let current = argon.params();
    let same = algorithm == Algorithm::Argon2id
        && stored.version == Some(Version::V0x13.into())
        && (params.m_cost(), params.t_cost(), params.p_cost(), params.output_len())
            == (current.m_cost(), current.t_cost(), current.p_cost(), current.output_len());
    let by_stored = Argon2::new(algorithm, version, params);
    // Outputs are compared in constant time.
    let matches = compute(&by_stored, workspaces, candidate, salt, expected.len())? == expected;
    Ok(Verdict { matches, needs_rehash: matches && !same })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::{Duration, Instant};

    use ring::rand::SystemRandom;

    use super::*;

    fn hasher(memory_kib: u32, iterations: u32, threads: usize) -> PasswordHasher {
        PasswordHasher::new(memory_kib, iterations, threads).unwrap()
    }

    async fn hashed(hasher: &PasswordHasher, password: &str) -> String {
        hasher.hash(&SystemRandom::new(), password.to_owned()).await.unwrap()
    }

    const RIGHT: Verdict = Verdict { matches: true, needs_rehash: false };
    const WRONG: Verdict = Verdict { matches: false, needs_rehash: false };

    #[tokio::test]
    async fn the_right_password_matches_and_others_do_not() {
        let hasher = hasher(64, 1, 2);
        let phc = hashed(&hasher, "correct horse").await;
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        assert_ne!(phc, hashed(&hasher, "correct horse").await, "salted");
        assert_eq!(hasher.verify(Some(&phc), "correct horse".to_owned()).await.unwrap(), RIGHT);
        for wrong in ["", "correct horse ", "Correct horse", "correct hors"] {
            assert_eq!(hasher.verify(Some(&phc), wrong.to_owned()).await.unwrap(), WRONG, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn nothing_matches_a_missing_account() {
        let hasher = hasher(64, 1, 2);
        for candidate in ["", "x"] {
            assert_eq!(hasher.verify(None, candidate.to_owned()).await.unwrap(), WRONG, "{candidate:?}");
        }
    }

    #[tokio::test]
    async fn a_missing_account_takes_as_long_as_a_wrong_password() {
        let hasher = hasher(8 * 1024, 2, 1);
        let phc = hashed(&hasher, "correct horse").await;
        let (mut existing, mut missing) = (Duration::MAX, Duration::MAX);
        // The fastest of several runs is the cost of the work itself, whatever else the machine does.
        for _ in 0..7 {
            let start = Instant::now();
            hasher.verify(Some(&phc), "wrong".to_owned()).await.unwrap();
            existing = existing.min(start.elapsed());
            let start = Instant::now();
            hasher.verify(None, "wrong".to_owned()).await.unwrap();
            missing = missing.min(start.elapsed());
        }
        let ratio = missing.as_secs_f64() / existing.as_secs_f64();
        assert!((0.5..2.0).contains(&ratio), "missing {missing:?}, existing {existing:?}");
    }

    #[tokio::test]
    async fn changed_parameters_ask_for_a_new_hash_of_a_right_password_only() {
        let old = hasher(64, 1, 1);
        let phc = hashed(&old, "correct horse").await;
        for new in [hasher(128, 1, 1), hasher(64, 2, 1)] {
            let right = new.verify(Some(&phc), "correct horse".to_owned()).await.unwrap();
            assert_eq!(right, Verdict { matches: true, needs_rehash: true });
            assert_eq!(new.verify(Some(&phc), "wrong".to_owned()).await.unwrap(), WRONG);
            let renewed = hashed(&new, "correct horse").await;
            assert_eq!(new.verify(Some(&renewed), "correct horse".to_owned()).await.unwrap(), RIGHT);
        }
    }

    #[tokio::test]
    async fn an_older_argon_variant_verifies_and_asks_for_a_new_hash() {
        let hasher = hasher(64, 1, 1);
        let older = Argon2::new(Algorithm::Argon2i, Version::V0x13, hasher.argon.params().clone());
        let salt = SaltString::encode_b64(&[7; SALT_LEN]).unwrap();
        let phc = argon2::PasswordHasher::hash_password(&older, b"correct horse", &salt).unwrap().to_string();
        let verdict = hasher.verify(Some(&phc), "correct horse".to_owned()).await.unwrap();
        assert_eq!(verdict, Verdict { matches: true, needs_rehash: true });
    }

    #[tokio::test]
    async fn an_unreadable_or_excessive_hash_is_an_error_and_no_mismatch() {
        let hasher = hasher(64, 1, 1);
        let phc = hashed(&hasher, "correct horse").await;
        let excessive = phc.replace("m=64", "m=4294967295");
        for broken in ["", "secret", "$argon2id$v=19$m=64", "$2b$12$abcdefghijklmnopqrstuv", &excessive] {
            let error = hasher.verify(Some(broken), "correct horse".to_owned()).await.unwrap_err();
            assert!(matches!(error, PasswordError::StoredHash(_)), "{broken}: {error}");
        }
    }

    #[tokio::test]
    async fn no_more_hashes_run_at_once_than_allowed() {
        let hasher = hasher(64, 1, 2);
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (hasher, running, most) = (hasher.clone(), Arc::clone(&running), Arc::clone(&most));
                tokio::spawn(async move {
                    let argon =
                        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(4096, 1, 1, None).unwrap());
                    let work = move || {
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        let phc = hash(&argon, &Workspaces::default(), &[0; SALT_LEN], "x");
                        running.fetch_sub(1, SeqCst);
                        phc
                    };
                    hasher.run(work).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(most.load(SeqCst) <= 2, "{most:?} at once");
    }

    #[tokio::test]
    async fn a_caller_who_hangs_up_does_not_make_room_before_the_work_ends() {
        let hasher = hasher(64, 1, 1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let caller = tokio::spawn({
            let hasher = hasher.clone();
            async move {
                let work = move || {
                    started.send(()).unwrap();
                    ended.recv().map_err(|error| PasswordError::Hash(error.to_string()))
                };
                hasher.run(work).await
            }
        });
        has_started.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.running.available_permits(), 0, "the work still runs");
        end.send(()).unwrap();
        assert_eq!(hasher.verify(None, "x".to_owned()).await.unwrap(), WRONG, "and then makes room");
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for (memory_kib, iterations, threads) in [(7, 1, 1), (64, 0, 1), (64, 1, 0), (u32::MAX, 1, 1)] {
            let error = PasswordHasher::new(memory_kib, iterations, threads).unwrap_err();
            assert!(matches!(error, PasswordError::Parameters(_)), "{error}");
        }
    }

    #[test]
    fn each_rule_says_which_one_it_is() {
        let check = |password: &str| check_rules(password, "Ann.Lee@Example.com", 8);
        assert_eq!(check("correct horse"), Ok(()));
        assert_eq!(check("1234567"), Err(RuleError::TooShort { min: 8, found: 7 }));
        assert_eq!(check("ääääääää"), Ok(()), "characters count, not bytes");
        assert_eq!(check("äääääää"), Err(RuleError::TooShort { min: 8, found: 7 }));
        assert_eq!(check(&"x".repeat(1024)), Ok(()));
        assert_eq!(check(&"ä".repeat(513)), Err(RuleError::TooLong { found: 1026 }));
        assert_eq!(check("ann.lee@example.COM"), Err(RuleError::IsEmail));
        assert_eq!(check("PassWord123"), Err(RuleError::Common));
        assert_eq!(RuleError::Common.code(), "password_common");
    }

    #[test]
    fn the_list_is_in_the_form_it_is_compared_in() {
        for common in COMMON {
            assert_eq!(*common, common.trim().to_lowercase());
            assert_eq!(check_rules(common, "a@b.c", 1), Err(RuleError::Common), "{common}");
        }
    }
}
