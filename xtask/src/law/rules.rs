//! The law itself, as data. A pattern is a room's folder, or `folder/*` for every room in that folder.

/// Who may use a library directly.
pub struct Library {
    pub name: &'static str,
    pub users: &'static [&'static str],
    pub reason: &'static str,
}

impl Library {
    /// The library and what belongs to it, such as `wasmtime-wasi`.
    pub fn covers(&self, library: &str) -> bool {
        library.strip_prefix(self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

pub const LIBRARIES: &[Library] = &[
    Library {
        name: "wasmtime",
        users: &["kernel/plugin-host"],
        reason: "so that limits and grants are enforced in one place and nobody else waits for its build",
    },
    Library {
        name: "axum",
        users: &[
            "kernel/gateway",
            "kernel/identity",
            "kernel/domains/*",
            "kernel/server",
            "kernel/testkit",
            "kernel/bench",
        ],
        reason: "since what lies below the edge knows nothing of HTTP",
    },
    Library {
        name: "sea-orm",
        users: &["kernel/store", "kernel/identity", "kernel/domains/*"],
        reason: "since queries belong into a room's store.rs, behind the tenant transaction",
    },
    Library {
        name: "sqlx",
        users: &["kernel/store", "kernel/testkit", "kernel/server", "kernel/bench"],
        reason: "since raw SQL has no tenant in its constructor",
    },
    Library {
        name: "reqwest",
        users: &["sdk/client", "kernel/identity", "kernel/plugin-host", "kernel/bus", "kernel/domains/notifications"],
        reason: "since what leaves the process passes an egress rule",
    },
];

/// The rooms that one room may use, and those its tests may use besides.
#[derive(Debug)]
pub struct Below {
    rooms: &'static [&'static str],
    tests: &'static [&'static str],
}

impl Below {
    pub fn allows(&self, room: &str) -> bool {
        self.rooms.iter().any(|pattern| matches(pattern, room))
    }

    pub fn allows_in_tests(&self, room: &str) -> bool {
        self.tests.iter().any(|pattern| matches(pattern, room))
    }

    pub fn explain(&self) -> String {
        if self.rooms.is_empty() {
            return "stands alone and uses no crate of the workspace".into();
        }
        format!("may use {}", self.rooms.join(", "))
    }
}

const TESTKIT: &[&str] = &["kernel/testkit"];

/// Direction: every room with what lies below it. `None` for a room the law does not know.
///
/// Rooms of `kernel/domains` speak by events; the few direct calls between them are listed one by one.
pub fn rooms_below(room: &str) -> Option<Below> {
    const DOMAIN: &[&str] = &["kernel/gateway", "kernel/bus", "kernel/store", "kernel/core", "sdk/api"];
    const DOMAIN_WITH_CATALOG: &[&str] =
        &["kernel/gateway", "kernel/bus", "kernel/store", "kernel/core", "sdk/api", "kernel/domains/catalog"];
    let (rooms, tests): (&'static [&'static str], &'static [&'static str]) = match room {
        "sdk/api" | "sdk/rust" | "xtask" => (&[], &[]),
        "sdk/client" => (&["sdk/api"], &[]),
        "admin-tui" | "tests" => (&["sdk/client", "sdk/api"], &[]),
        "kernel/core" => (&["sdk/api"], TESTKIT),
        "kernel/store" | "kernel/plugin-host" => (&["kernel/core", "sdk/api"], TESTKIT),
        "kernel/bus" => (&["kernel/store", "kernel/core", "sdk/api"], TESTKIT),
        "kernel/testkit" => (&["kernel/gateway", "kernel/bus", "kernel/store", "kernel/core", "sdk/api"], &[]),
        "kernel/gateway" => (&["kernel/bus", "kernel/store", "kernel/core", "sdk/api"], TESTKIT),
        "kernel/identity" => (DOMAIN, TESTKIT),
        "kernel/domains/orders" | "kernel/domains/billing" | "kernel/domains/provisioning" => {
            (DOMAIN_WITH_CATALOG, TESTKIT)
        }
        _ if matches("kernel/domains/*", room) => (DOMAIN, TESTKIT),
        "kernel/server" => (
            &[
                "kernel/core",
                "kernel/store",
                "kernel/bus",
                "kernel/gateway",
                "kernel/identity",
                "kernel/plugin-host",
                "kernel/domains/*",
                "sdk/api",
            ],
            &["kernel/testkit", "sdk/client"],
        ),
        // Measures whatever there is; nothing depends on it.
        "kernel/bench" => (&["kernel/*", "kernel/domains/*", "sdk/*"], &[]),
        _ => return None,
    };
    Some(Below { rooms, tests })
}

/// Whether a room is meant by a pattern.
pub fn matches(pattern: &str, room: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(folder) => room
            .strip_prefix(folder)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|name| !name.is_empty() && !name.contains('/')),
        None => pattern == room,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_one_folder_deep() {
        assert!(matches("kernel/domains/*", "kernel/domains/orders"));
        assert!(!matches("kernel/domains/*", "kernel/domains"));
        assert!(!matches("kernel/domains/*", "kernel/domains/orders/deep"));
        assert!(!matches("kernel/domains/*", "kernel/domains-old/orders"));
        assert!(matches("kernel/store", "kernel/store") && !matches("kernel/store", "kernel/store2"));
    }

    #[test]
    fn a_library_covers_its_family_only() {
        let sqlx = LIBRARIES.iter().find(|law| law.name == "sqlx").unwrap();
        assert!(sqlx.covers("sqlx") && sqlx.covers("sqlx-core") && !sqlx.covers("sqlxmq"));
    }
}
