//! QEMU's monitor: what happens to a device from outside, as an engineer at the machine would do it (the QEMU Machine
//! Protocol: an object of JSON in each line).

use std::io::{self, BufRead, BufReader, Error, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lines about events that may come before an answer.
const MOST_EVENTS: usize = 1000;

/// A handle to the monitor of a controller's QEMU. It stays good while QEMU is started anew.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    connection: Arc<Mutex<Option<BufReader<UnixStream>>>>,
}

impl Monitor {
    /// Executes a command of the protocol with these arguments, and gives what it returns.
    pub fn execute(&self, command: &str, arguments: &Value) -> io::Result<Value> {
        let mut connection = self.lock();
        let connection = connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        execute(connection, command, arguments)
    }

    /// Speaks over `stream` from now on.
    pub(super) fn connect(&self, stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut connection = BufReader::new(stream);
        // The greeting comes first, and nothing else is possible before capabilities are agreed on.
        hear(&mut connection)?;
        execute(&mut connection, "qmp_capabilities", &json!({}))?;
        *self.lock() = Some(connection);
        Ok(())
    }

    /// QEMU has gone.
    pub(super) fn disconnect(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<BufReader<UnixStream>>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn execute(
    connection: &mut BufReader<UnixStream>,
    command: &str,
    arguments: &Value,
) -> io::Result<Value> {
    let line = format!(
        "{}\n",
        json!({ "execute": command, "arguments": arguments })
    );
    connection.get_mut().write_all(line.as_bytes())?;
    for _ in 0..MOST_EVENTS {
        let mut said = hear(connection)?;
        if let Some(answer) = said.get_mut("return") {
            return Ok(answer.take());
        }
        if let Some(error) = said.get("error") {
            let why = error["desc"].as_str().unwrap_or("it does not say why");
            return Err(Error::other(format!("{command}: {why}")));
        }
    }
    Err(Error::other(format!(
        "{command}: it tells of nothing but events"
    )))
}

/// The next line.
fn hear(connection: &mut BufReader<UnixStream>) -> io::Result<Value> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(Error::other("it has gone"));
    }
    serde_json::from_str(&line).map_err(Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREETING: &str = "{\"QMP\": {}}\n{\"return\": {}}\n";

    fn connected(said: &str) -> (Monitor, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(GREETING.as_bytes()).unwrap();
        let monitor = Monitor::default();
        monitor.connect(ours).unwrap();
        theirs.write_all(said.as_bytes()).unwrap();
        (monitor, theirs)
    }

    #[test]
    fn an_answer_may_come_after_events() {
        let (monitor, qemu) = connected("{\"event\": \"STOP\"}\n{\"return\": 7}\n");
        let answer = monitor.execute("qom-get", &json!({ "path": "/machine" }));
        assert_eq!(answer.unwrap(), 7);
        let mut asked = BufReader::new(qemu).lines().map(Result::unwrap);
        assert!(asked.next().unwrap().contains("qmp_capabilities"));
        let asked: Value = serde_json::from_str(&asked.next().unwrap()).unwrap();
        assert_eq!(asked["execute"], "qom-get");
        assert_eq!(asked["arguments"]["path"], "/machine");
    }

    #[test]
    fn a_refusal_nonsense_and_silence_are_errors() {
        let refused = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such device\"}}\n";
        for (said, why) in [(refused, "x: no such device"), ("so what\n", "line 1")] {
            let (monitor, _qemu) = connected(said);
            let error = monitor.execute("x", &json!({})).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        let (monitor, qemu) = connected("");
        drop(qemu);
        assert!(monitor.execute("x", &json!({})).is_err());
        monitor.disconnect();
        let error = monitor.execute("x", &json!({})).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    }
}
