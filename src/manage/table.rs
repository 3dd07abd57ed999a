//! Columns and colours on a terminal.

use std::io::{self, Write};

use crate::flow::words;

/// What a word's colour says, besides the word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    Plain,
    Good,
    Attention,
    Bad,
}

/// One cell of a table.
pub(super) struct Cell {
    text: String,
    tone: Tone,
    is_number: bool,
}

impl Cell {
    /// Text, made safe for a terminal.
    pub(super) fn text(text: &str) -> Self {
        Self { text: words::line(text), tone: Tone::Plain, is_number: false }
    }

    pub(super) fn number(number: u64) -> Self {
        Self { text: words::grouped(number), tone: Tone::Plain, is_number: true }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    pub(super) fn toned(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// Text in its tone's colour, where colours are wanted.
pub(super) fn paint(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => 32,
        Tone::Attention => 33,
        Tone::Bad => 31,
    };
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Writes rows below their heads, each column as wide as its widest cell; nothing if there are no rows.
pub(super) fn table(
    heads: &[&str],
    mut rows: Vec<Vec<Cell>>,
    colour: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let aligned = |(head, below): (&&str, &Cell)| Cell { is_number: below.is_number, ..Cell::text(head) };
    let top = heads.iter().zip(first).map(aligned).collect();
    rows.insert(0, top);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            let text = paint(&cell.text, cell.tone, colour);
            line += &if cell.is_number { format!("{padding}{text}  ") } else { format!("{text}{padding}  ") };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
