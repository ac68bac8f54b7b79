//! The disk is full.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use plinth_tests::{Actor, Kernel, eventually};
use serde_json::json;
use tempfile::TempDir;

/// A file system of a few megabytes in memory, gone with the value.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where this user may not mount one.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = TempDir::with_prefix("plinth-disk-").expect("a temporary folder");
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves not a byte free. Returns what takes the room.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::options().create(true).append(true).open(&path).expect("a file");
        for size in [64 * 1024, 4096, 256, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.path()).status().ok();
    }
}

async fn create(owner: &Actor, slug: &str) -> u16 {
    let name = "x".repeat(100);
    owner.post("organizations", &json!({ "name": name, "slug": slug })).key(slug).send().await.status
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_reads_go_on_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(12) else {
        println!("skipped: mounting a small file system takes root");
        return;
    };
    let mut kernel = Kernel::setup().data_in(disk.path().join("data")).start();
    let owner = kernel.owner().await;
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let slug = format!("before-{number}");
        assert_eq!(create(&owner, &slug).await, 201);
        acknowledged.push(slug);
    }

    let filler = disk.fill();
    let mut refused = 0;
    for number in 0..600 {
        let slug = format!("during-{number}");
        match create(&owner, &slug).await {
            // What the write-ahead log had room for already.
            201 => acknowledged.push(slug),
            503 => refused += 1,
            other => panic!("a full disk is answered with {other}"),
        }
        if refused == 10 {
            break;
        }
    }
    assert_eq!(refused, 10, "the disk was never full: {} were written", acknowledged.len());
    let refusal = owner.post("organizations", &json!({ "name": "T", "slug": "refusal" })).send().await;
    refusal.refused(503, "unavailable");
    owner.get("organizations?limit=200").send().await.expect(200);
    owner.get("me").send().await.expect(200);
    kernel.get("/healthz").send().await.expect(200);

    std::fs::remove_file(filler).expect("room is made");
    eventually("writes work again", Duration::from_secs(5), async || {
        (create(&owner, "after").await == 201).then_some(())
    })
    .await;
    acknowledged.push("after".into());
    assert_eq!(
        slugs(&owner).await,
        sorted(acknowledged.clone()),
        "what was refused is not there, what was acknowledged is"
    );
    kernel.restart();
    assert_eq!(slugs(&owner).await, sorted(acknowledged));
    kernel.kill();
    drop(kernel);
}

async fn slugs(owner: &Actor) -> Vec<String> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = owner.get(&format!("organizations?limit=200{after}")).send().await.expect(200).json();
        found.extend(
            page["data"].as_array().expect("rows").iter().filter_map(|row| row["slug"].as_str().map(str::to_owned)),
        );
        if page["has_more"] != true {
            return sorted(found);
        }
        after = format!("&after={}", page["next"].as_str().expect("a cursor"));
    }
}

fn sorted(mut slugs: Vec<String>) -> Vec<String> {
    slugs.sort_unstable();
    slugs
}

#[tokio::test]
async fn a_kernel_that_finds_no_room_to_start_says_so() {
    let Some(disk) = SmallDisk::mount(1) else {
        println!("skipped: mounting a small file system takes root");
        return;
    };
    disk.fill();
    let output = Kernel::setup().data_in(disk.path().join("data")).start_refused();
    assert!([1, 4].contains(&output.code), "{output:?}");
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    assert!(!output.stderr.trim().is_empty());
}
