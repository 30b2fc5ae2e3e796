//! The options of `portbed serve`.

use std::path::PathBuf;

use clap::Args;

use super::profile::{Selection, SelectionError};
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
            device,
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
        Ok(Setup {
            socket: self.socket.clone(),
            device,
            disk: self.disk.clone(),
            once: self.once,
        })
    }
}
