use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const BDF: &str = "0000:01:00.0";

fn device(bdf: &str) -> String {
    format!("sys/bus/pci/devices/{bdf}")
}

/// A host with one NVMe controller, whose disk `nvme0n1` has a partition, and that is bound to vfio-pci and isolated.
struct Tree {
    folder: TempDir,
    host: Host,
}

impl Tree {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host {
            sys: folder.path().join("sys"),
            proc: folder.path().join("proc"),
        };
        let tree = Self { folder, host };
        tree.function(BDF, "0x010802", Some("vfio-pci"));
        tree.put(
            "proc/self/mountinfo",
            "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
        );
        tree.put(
            "proc/swaps",
            "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n",
        );
        tree
    }

    /// A function of the group 7.
    fn function(&self, bdf: &str, class: &str, driver: Option<&str>) {
        let folder = device(bdf);
        self.put(&format!("{folder}/class"), class);
        self.put("sys/kernel/iommu_groups/7/type", "DMA");
        self.link(
            "sys/kernel/iommu_groups/7",
            &format!("{folder}/iommu_group"),
        );
        self.link(&folder, &format!("sys/kernel/iommu_groups/7/devices/{bdf}"));
        if let Some(driver) = driver {
            self.bind(bdf, driver);
        }
    }

    fn bind(&self, bdf: &str, driver: &str) {
        let at = format!("sys/bus/pci/drivers/{driver}");
        self.put(&format!("{at}/new_id"), "");
        let link = format!("{}/driver", device(bdf));
        let _ = fs::remove_file(self.folder.path().join(&link));
        self.link(&at, &link);
    }

    /// Has Linux's own driver show `nvme0n1` and a partition of it; `entry` is what stands below the controller.
    fn disk(&self, entry: &str) {
        self.bind(BDF, "nvme");
        self.put(&format!("{}/nvme/nvme0/{entry}/dev", device(BDF)), "259:0");
        self.put("sys/block/nvme0n1/dev", "259:0\n");
        self.put("sys/block/nvme0n1/nvme0n1p1/dev", "259:1\n");
        self.put("sys/block/nvme0n1/queue/rotational", "0");
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(self.folder.path().join(target), path).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    fn check(&self) -> Result<u32, VfioError> {
        self.host.check(BDF.parse().unwrap())
    }

    /// Why the function is refused, in one line.
    fn refused(&self) -> String {
        let told = self.check().unwrap_err().to_string();
        assert!(!told.contains('\n'), "{told}");
        told
    }
}

#[test]
fn a_function_that_is_bound_and_isolated_is_taken() {
    let tree = Tree::new();
    assert_eq!(tree.check().unwrap(), 7);
}

#[test]
fn what_is_not_there_or_no_nvme_controller_is_refused() {
    let tree = Tree::new();
    let absent = tree.host.check("0000:02:00.0".parse().unwrap());
    assert!(absent.unwrap_err().to_string().contains("lspci"));
    tree.put(&format!("{}/class", device(BDF)), "0x030000\n");
    assert!(tree.refused().contains("its class is 0x030000"));
}

#[test]
fn a_disk_with_a_mounted_file_system_is_refused_and_nobody_is_told_how_to_take_it() {
    for (line, expected) in [
        (
            "30 1 259:1 / /home rw - ext4 /dev/nvme0n1p1 rw",
            "nvme0n1p1 is mounted at /home",
        ),
        (
            "30 1 259:0 / /mnt rw,a master:1 - xfs /dev/root rw",
            "nvme0n1 is mounted at /mnt",
        ),
        // A file system that has a device number of its own.
        (
            "30 1 0:25 /@ / rw shared:1 - btrfs /dev/nvme0n1p1 rw",
            "nvme0n1p1 is mounted at /",
        ),
    ] {
        let tree = Tree::new();
        tree.disk("nvme0n1");
        tree.put("proc/self/mountinfo", &format!("{line}\n"));
        let told = tree.refused();
        assert!(told.contains("in use") && told.contains(expected), "{told}");
        assert!(!told.contains("unbind"), "{told}");
    }
}

#[test]
fn a_disk_that_is_found_by_several_ways_is_known_by_its_one_name() {
    let tree = Tree::new();
    tree.disk("nvme0c3n1");
    tree.put(
        "proc/self/mountinfo",
        "30 1 259:1 / /home rw - ext4 /dev/nvme0n1p1 rw\n",
    );
    assert!(tree.refused().contains("mounted at /home"));
}

#[test]
fn swap_space_and_a_part_of_something_else_are_refused() {
    let tree = Tree::new();
    tree.disk("nvme0n1");
    tree.put(
        "proc/swaps",
        "Filename Type\n/dev/nvme0n1p1 partition 1 0 -2\n",
    );
    assert!(tree.refused().contains("nvme0n1p1 is swap space"));
    let tree = Tree::new();
    tree.disk("nvme0n1");
    tree.put("sys/block/nvme0n1/nvme0n1p1/holders/dm-0/dev", "253:0");
    assert!(tree.refused().contains("nvme0n1p1 is a part of dm-0"));
}

#[test]
fn another_driver_is_told_with_what_binds_the_right_one() {
    let tree = Tree::new();
    tree.disk("nvme0n1");
    let told = tree.refused();
    for part in [
        "bound to nvme,",
        "driverctl set-override 0000:01:00.0 vfio-pci",
        "echo 0000:01:00.0 > /sys/bus/pci/devices/0000:01:00.0/driver/unbind",
    ] {
        assert!(told.contains(part), "{told}");
    }
    tree.remove(&format!("{}/driver", device(BDF)));
    let told = tree.refused();
    assert!(
        told.contains("no driver") && !told.contains("unbind"),
        "{told}"
    );
}

#[test]
fn without_isolation_nothing_is_taken() {
    let tree = Tree::new();
    tree.remove(&format!("{}/iommu_group", device(BDF)));
    assert!(tree.refused().contains("intel_iommu=on"));
}

#[test]
fn others_in_the_group_must_be_out_of_the_way() {
    let tree = Tree::new();
    tree.function("0000:00:1c.0", "0x060400", Some("pcieport"));
    tree.function("0000:01:00.1", "0x010601", None);
    tree.function("0000:01:00.2", "0x010601", Some("vfio-pci"));
    assert_eq!(tree.check().unwrap(), 7);
    tree.function("0000:02:00.0", "0x020000", Some("e1000e"));
    assert!(
        tree.refused()
            .contains("group 7 with 0000:02:00.0 (e1000e)")
    );
}

#[test]
fn names_of_disks_are_told_from_other_entries() {
    for (entry, expected) in [
        ("nvme0n1", Some("nvme0n1")),
        ("nvme12c3n4", Some("nvme12n4")),
        ("nvme0", None),
        ("ng0n1", None),
        ("nvme_x", None),
        ("hwmon1", None),
    ] {
        assert_eq!(disk_name(entry).as_deref(), expected);
    }
}
