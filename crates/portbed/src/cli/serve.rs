//! The options of `portbed serve`.

use std::path::PathBuf;

use clap::Args;
use nvme_model::Fault;

use super::options::fault;
use super::profile::{Selection, SelectionError, goes_together};
use crate::machine::PortOptions;
use crate::report::Verdict;
use crate::serve::{Setup, serve};
use crate::timeline::Timeline;

/// The options of a device for others.
#[derive(Args, Debug)]
pub struct ServeOptions {
    /// The socket that clients connect to
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Which controller the model is: a name, keys of the device with values, or both, separated by commas; see `portbed
    /// profiles`
    #[arg(long, value_name = "NAME|K=V,...", default_value = "hmb")]
    profile: String,
    /// Something that the device does wrong, and when: MATCH:BEHAVIOUR[:WHEN[,WHEN]]; may be repeated; see `portbed profiles`
    #[arg(long = "fault", value_name = "MATCH:BEHAVIOUR[:WHEN]", value_parser = fault)]
    faults: Vec<Fault>,
    /// A raw disk image behind the first namespace, which clients read and write
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
    /// End when the first client has left
    #[arg(long)]
    once: bool,
}

impl ServeOptions {
    /// Serves until it is to end; or why it cannot.
    pub fn serve(&self) -> Result<Verdict, String> {
        let setup = self.setup().map_err(|why| why.to_string())?;
        serve(&setup, &Timeline::stdout()).map_err(|why| why.to_string())
    }

    fn setup(&self) -> Result<Setup, SelectionError> {
        let Selection {
            mut device,
            qemu,
            port,
            registry,
        } = Selection::parse(&self.profile)?;
        if qemu.is_some() || port != PortOptions::default() || !registry.is_empty() {
            return Err(SelectionError::OtherController {
                given: self.profile.clone(),
                controller: "model of `portbed serve`",
                hint: "it has keys of the device only, and no port driver and no registry",
            });
        }
        if let Some(fault) = self.faults.iter().find(|fault| fault.needs_port_driver()) {
            return Err(SelectionError::Fault {
                spec: fault.spec().to_owned(),
                why: "only a port driver tells of that moment, and here is none",
            });
        }
        device.faults.clone_from(&self.faults);
        goes_together(self.disk.as_deref(), &device)?;
        Ok(Setup {
            socket: self.socket.clone(),
            device,
            disk: self.disk.clone(),
            once: self.once,
        })
    }
}
