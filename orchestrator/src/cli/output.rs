//! The one place that writes: data to standard output, talk to standard
//! error, and progress that is redrawn in place when a person watches a
//! terminal. Colours are taken out where they do not belong.

use std::io::{self, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;

use super::exit::Fault;
use crate::api::json;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    Table,
    /// JSON for scripts.
    Json,
}

/// Standard output and standard error, with what is in place on the latter.
pub struct Console {
    pub format: Format,
    /// Whether tables may be coloured.
    pub color: bool,
    data: Box<dyn Write>,
    talk: Box<dyn Write>,
    talk_color: bool,
    /// Whether talk may be redrawn in place.
    redraws: bool,
    /// Lines in place that the next talk has to wipe.
    in_place: usize,
}

impl Console {
    /// The console of this process.
    pub fn of_process(format: Format, color: clap::ColorChoice) -> Self {
        let choice = match color {
            clap::ColorChoice::Auto => ColorChoice::Auto,
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        };
        let data = AutoStream::new(io::stdout(), choice);
        let talk = AutoStream::new(io::stderr(), choice);
        Self {
            format,
            color: data.current_choice() != ColorChoice::Never,
            talk_color: talk.current_choice() != ColorChoice::Never,
            redraws: io::stderr().is_terminal() && talk.current_choice() != ColorChoice::Never,
            data: Box::new(data),
            talk: Box::new(talk),
            in_place: 0,
        }
    }

    /// A console that writes elsewhere, without colours.
    #[cfg(test)]
    pub fn of_writers(format: Format, data: Box<dyn Write>, talk: Box<dyn Write>) -> Self {
        Self {
            format,
            color: false,
            data,
            talk,
            talk_color: false,
            redraws: false,
            in_place: 0,
        }
    }

    /// Prints data.
    pub fn data(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        writeln!(self.data, "{text}")?;
        self.data.flush()
    }

    /// Prints a message of the API: its table for people, or its JSON.
    pub fn message(
        &mut self,
        name: &str,
        message: &impl prost::Message,
        table: impl FnOnce(bool) -> String,
    ) -> Result<(), Fault> {
        let text = match self.format {
            Format::Json => format!("{:#}", json::of(name, message)?),
            Format::Table => table(self.color),
        };
        Ok(self.data(&text)?)
    }

    /// Says something to the person.
    pub fn talk(&mut self, line: &str) -> io::Result<()> {
        self.clear()?;
        writeln!(self.talk, "{line}")?;
        self.talk.flush()
    }

    /// Whether standard error may be coloured.
    pub fn talk_color(&self) -> bool {
        self.talk_color
    }

    /// Whether [`Self::in_place`] shows anything.
    pub fn redraws(&self) -> bool {
        self.redraws
    }

    /// Shows lines that the next output replaces. Nothing unless the person
    /// watches a terminal.
    pub fn in_place(&mut self, lines: &[String]) -> io::Result<()> {
        if !self.redraws {
            return Ok(());
        }
        self.clear()?;
        let width = terminal_width();
        for line in lines {
            writeln!(self.talk, "{}", fitting(line, width))?;
        }
        self.in_place = lines.len();
        self.talk.flush()
    }

    /// Says why the command could not be carried out.
    pub fn fault(&mut self, fault: &Fault) {
        // Nowhere is left to say it when standard error is closed.
        let _ = self.try_fault(fault);
    }

    fn try_fault(&mut self, fault: &Fault) -> io::Result<()> {
        self.clear()?;
        if fault.what.is_empty() {
            return Ok(());
        }
        write!(self.talk, "{}", fault_text(fault))?;
        self.talk.flush()
    }

    fn clear(&mut self) -> io::Result<()> {
        if self.in_place > 0 {
            // Up to the first line in place, and everything below away.
            write!(self.talk, "\x1b[{}F\x1b[J", self.in_place)?;
            self.in_place = 0;
        }
        Ok(())
    }
}

fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(io::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|width| *width > 0)
        .unwrap_or(80)
}

/// What of a line fits into one row: a line that wraps could not be taken back.
fn fitting(line: &str, width: usize) -> String {
    let plain = anstream::adapter::strip_str(line).to_string();
    match plain.char_indices().nth(width.saturating_sub(1)) {
        Some((end, _)) => plain[..end].to_owned(),
        None => plain,
    }
}

/// The text of a fault: its places first, then what it comes to.
fn fault_text(fault: &Fault) -> String {
    let (red, cyan, plain) = ("\x1b[1;31m", "\x1b[36m", "\x1b[0m");
    let mut text = String::new();
    for place in &fault.places {
        text += &format!("{}: {}\n", place.at, place.what);
        if let Some(hint) = &place.hint {
            text += &format!("  {cyan}hint:{plain} {hint}\n");
        }
    }
    text += &format!("{red}error:{plain} {}\n", fault.what);
    if let Some(hint) = &fault.hint {
        text += &format!("{cyan}hint:{plain} {hint}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Place;

    #[derive(Clone, Default)]
    struct Written(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_script_reads_json_and_nothing_else() {
        let (data, talk) = (Written::default(), Written::default());
        let mut console = Console::of_writers(Format::Json, Box::new(data.clone()), Box::new(talk.clone()));
        console.talk("working").unwrap();
        console.in_place(&["1/2 running".to_owned()]).unwrap();
        let project = towline_proto::orchestrator::v1::Project {
            name: "shop".to_owned(),
            ..Default::default()
        };
        console
            .message("Project", &project, |_| "a table".to_owned())
            .unwrap();
        console.fault(&Fault::local("too late"));
        let json: serde_json::Value = serde_json::from_str(&data.text()).unwrap();
        assert_eq!(json["name"], "shop");
        assert!(talk.text().starts_with("working\n"));
        assert!(talk.text().contains("too late"));
    }

    #[test]
    fn a_line_in_place_never_wraps() {
        assert_eq!(fitting("\x1b[31mrolling\x1b[0m back", 80), "rolling back");
        assert_eq!(fitting("rolling back", 8), "rolling");
        assert_eq!(fitting("2/2 läuft", 8), "2/2 läu");
    }

    #[test]
    fn a_fault_names_every_place_and_the_next_step() {
        let mut fault = Fault::local("towline.yaml has 2 faults; nothing was applied");
        fault.places = vec![
            Place {
                at: "towline.yaml:3:5".to_owned(),
                what: "image `wep` is not declared".to_owned(),
                hint: Some("declared are: web, orders".to_owned()),
            },
            Place {
                at: "towline.yaml:9:1".to_owned(),
                what: "unknown key `servicez`".to_owned(),
                hint: None,
            },
        ];
        let text = anstream::adapter::strip_str(&fault_text(&fault)).to_string();
        assert_eq!(
            text,
            "towline.yaml:3:5: image `wep` is not declared\n\
             \x20 hint: declared are: web, orders\n\
             towline.yaml:9:1: unknown key `servicez`\n\
             error: towline.yaml has 2 faults; nothing was applied\n"
        );
    }
}
