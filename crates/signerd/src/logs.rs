//! Logs: one JSON object a line on standard error, without secrets, statements or transactions.

use std::{fmt, io};

use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Json, JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// Writes every line as JSON, and into each that this is an insecure development process, if it is one. A root span would
/// not reach the tasks that others spawn.
#[derive(Debug)]
struct Lines {
    json: Format<Json>,
    is_development: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    Format<Json>: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if !self.is_development {
            return self.json.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.json.format_event(context, Writer::new(&mut line), event)?;
        let rest = line.strip_prefix('{').ok_or(fmt::Error)?;
        write!(writer, "{{\"insecure-dev\":true,{rest}")
    }
}

/// A subscriber that writes lines from level `info` on. There is no switch for more: what dependencies write below it
/// holds messages of the wire.
pub fn subscriber<W>(is_development: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let json = tracing_subscriber::fmt::format().json().flatten_event(true);
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_writer(writer)
        .fmt_fields(JsonFields::new())
        .event_format(Lines { json, is_development })
        .finish()
}

/// Starts to log on standard error. The first call of a process counts.
pub fn start(is_development: bool) {
    let started = tracing::subscriber::set_global_default(subscriber(is_development, io::stderr));
    if started.is_err() {
        tracing::debug!("logs were started before");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(is_development: bool) -> Vec<serde_json::Value> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(is_development, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(bundle = 3, "started \"quoted\"");
            tracing::info_span!("call", id = 7).in_scope(|| tracing::warn!("inside"));
            tracing::debug!("too much");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_line_of_a_development_process_says_so() {
        let lines = lines(true);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line["insecure-dev"] == true), "{lines:?}");
        assert_eq!(
            (&lines[0]["message"], &lines[0]["bundle"]),
            (&"started \"quoted\"".into(), &3.into())
        );
    }

    #[test]
    fn other_processes_do_not() {
        let lines = lines(false);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.get("insecure-dev").is_none()), "{lines:?}");
        assert_eq!(
            (&lines[1]["level"], &lines[1]["message"]),
            (&"WARN".into(), &"inside".into())
        );
    }
}
