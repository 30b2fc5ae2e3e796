//! `portbed bench`: what a request costs, image beside image.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde_json::{Value, json};

use super::options::MOST_CPUS;
use crate::report::Verdict;

/// The options of a comparison.
#[derive(Args, Debug)]
pub struct BenchOptions {
    /// The images to compare, instead of the project's own alone, which is built first
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Of how many requests of each kind the instructions are counted
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    count: u64,
    /// Virtual processors of each run, 1 to 128
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=MOST_CPUS))]
    cpus: u32,
    /// Write the table as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A kind of requests: its name, the options of `portbed io` that make it, and what it needs of the controller.
struct Workload {
    name: &'static str,
    options: &'static [&'static str],
    profile: &'static str,
}

/// The kinds that are compared. Requests are alike, or the table would compare the mixtures.
const WORKLOADS: [Workload; 8] = [
    Workload {
        name: "4 KiB read, one at a time",
        options: &["--rw", "randread", "--bs", "4K"],
        profile: "",
    },
    Workload {
        name: "4 KiB read, 32 at a time",
        options: &["--rw", "randread", "--bs", "4K", "--qd", "32"],
        profile: "",
    },
    Workload {
        name: "the same, completed by 8",
        options: &["--rw", "randread", "--bs", "4K", "--qd", "32"],
        profile: ",group=8",
    },
    Workload {
        name: "the same, completed by 16",
        options: &["--rw", "randread", "--bs", "4K", "--qd", "32"],
        profile: ",group=16",
    },
    Workload {
        name: "4 KiB write, one at a time",
        options: &["--rw", "randwrite", "--bs", "4K"],
        profile: "",
    },
    Workload {
        name: "4 KiB write, 32 at a time",
        options: &["--rw", "randwrite", "--bs", "4K", "--qd", "32"],
        profile: "",
    },
    Workload {
        name: "128 KiB read, 32 pages apart",
        options: &["--rw", "randread", "--bs", "128K"],
        profile: "",
    },
    Workload {
        name: "1 MiB read, 256 pages apart",
        options: &["--rw", "randread", "--bs", "1M"],
        profile: "",
    },
];

/// The controller: without a Host Memory Buffer, of which requests know nothing, and with room for the largest transfer.
const PROFILE: &str = "plain,mdts=2M,capacity=16M";

impl BenchOptions {
    /// Measures every image: the table for people, and whether every run passed.
    pub fn run(&self) -> Result<(String, Verdict), String> {
        let images = if self.images.is_empty() {
            vec![wdk_linux::image().map_err(|why| why.to_string())?.sys]
        } else {
            self.images.clone()
        };
        let mut table = Vec::new();
        let mut verdict = Verdict::Pass;
        for workload in &WORKLOADS {
            for image in &images {
                let cost = measure(image, workload, self.count, self.cpus)?;
                if cost.is_none() {
                    verdict = Verdict::Fail;
                }
                table.push(json!({
                    "workload": workload.name,
                    "image": image.to_string_lossy(),
                    "cost": cost,
                }));
            }
        }
        if let Some(path) = &self.json {
            let json = serde_json::to_vec_pretty(&table).map_err(|why| why.to_string())?;
            std::fs::write(path, json).map_err(|why| format!("{}: {why}", path.display()))?;
        }
        Ok((text(&table), verdict))
    }
}

/// What a request of `workload` costs the driver `image`, as the report of a run of its own has it; nothing where that failed.
fn measure(
    image: &Path,
    workload: &Workload,
    count: u64,
    cpus: u32,
) -> Result<Option<Value>, String> {
    let folder = tempfile::tempdir().map_err(|why| why.to_string())?;
    let report = folder.path().join("report.json");
    let program = std::env::current_exe().map_err(|why| why.to_string())?;
    let count = count.to_string();
    let output = Command::new(program)
        .args(["io", "--uniform", "--cpus", &cpus.to_string(), "--profile"])
        .arg(format!("{PROFILE}{}", workload.profile))
        .arg("--driver")
        .arg(image)
        .args(["--ios", &count, "--count", &count, "--report"])
        .arg(&report)
        .args(workload.options)
        .stdin(Stdio::null())
        .output()
        .map_err(|why| why.to_string())?;
    if let Some(why) = super::refusal(&output) {
        return Err(why);
    }
    if !output.status.success() {
        return Ok(None);
    }
    let report = std::fs::read(&report).map_err(|why| why.to_string())?;
    let report: Value = serde_json::from_slice(&report).map_err(|why| why.to_string())?;
    Ok(Some(report["cost"].clone()))
}

/// The table for people.
fn text(table: &[Value]) -> String {
    let mut text = String::from(
        "a request                     build  start  interrupt    DPC  instructions  writes  reads  calls  lines  image\n",
    );
    for row in table {
        let (name, image) = (&row["workload"], &row["image"]);
        let (name, image) = (name.as_str().unwrap_or(""), image.as_str().unwrap_or(""));
        let cost = &row["cost"];
        if cost.is_null() {
            let _ = writeln!(text, "{name:<28}  the run failed: {image}");
            continue;
        }
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let part = |part: &str| number(&cost["instructions"][part]);
        let _ = writeln!(
            text,
            "{name:<28} {:>6.0} {:>6.0} {:>10.0} {:>6.0} {:>13.1} {:>7.2} {:>6.2} {:>6.2} {:>6.0}  {image}",
            part("build"),
            part("start"),
            part("interrupt"),
            part("dpc"),
            number(&cost["instructions_per_io"]),
            number(&cost["mmio_writes_per_io"]),
            number(&cost["mmio_reads_per_io"]),
            number(&cost["port_calls_per_io"]),
            number(&cost["shared_lines"]),
        );
    }
    text
}
