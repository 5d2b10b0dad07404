//! Tables without borders: a heading, and rows that `awk` can read as well.

use comfy_table::{Attribute, Cell, Color, Table, presets::NOTHING};

use super::show::Tone;

/// One cell: its text (which may have several lines) and its tone.
pub struct Entry {
    text: String,
    tone: Tone,
}

impl Entry {
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

impl From<String> for Entry {
    fn from(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<&str> for Entry {
    fn from(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// The text of a table, without a line break at its end.
pub fn table(heading: &[&str], rows: Vec<Vec<Entry>>, color: bool) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.style_text_only();
    if color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(
        heading
            .iter()
            .map(|text| Cell::new(text).add_attribute(Attribute::Bold)),
    );
    for row in rows {
        table.add_row(row.into_iter().map(cell));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn cell(entry: Entry) -> Cell {
    let cell = Cell::new(entry.text);
    match entry.tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Busy => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red),
    }
}
