//! Comma-separated values (RFC 4180): a reader that names the line of a fault, and a writer that no spreadsheet runs.

use std::io;

/// A line of a file that somebody gives us is never longer.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// A whole organisation directory has fewer lines.
pub const ROWS_MAX: usize = 2_000_000;

/// Why a text is no table. Shows no value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CsvError {
    /// A column that is needed is not in the first line.
    #[error("line 1: there is no column \"{0}\"")]
    NoColumn(&'static str),
    /// A line has more or fewer cells than the first.
    #[error("line {line}: {found} cells where the first line has {expected}")]
    Cells {
        /// Which line, from 1.
        line: usize,
        /// How many cells it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A quotation mark that is not closed, or stands inside a cell without quotation marks.
    #[error("line {0}: a quotation mark is not where it can be")]
    Quotation(usize),
    /// More than [`LINE_BYTES_MAX`].
    #[error("line {0}: longer than {LINE_BYTES_MAX} bytes")]
    TooLong(usize),
    /// More than [`ROWS_MAX`].
    #[error("more than {ROWS_MAX} lines")]
    TooMany,
    /// Not UTF-8.
    #[error("it is not UTF-8 text")]
    Text,
}

/// A row, and the line on which it begins, from 1.
pub type Row = (usize, Vec<String>);

/// Reads a table whose first line names its columns: the wanted columns of each row, in the order in which they are
/// wanted. Other columns are passed over, empty lines too; names of columns are compared without case and spaces
/// around them.
///
/// # Errors
/// Says on which line what is wrong.
pub fn read(bytes: &[u8], wanted: &[&'static str]) -> Result<Vec<Row>, CsvError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CsvError::Text)?;
    let mut rows = rows(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter();
    let (_, head) = rows.next().unwrap_or_default();
    let place = |name: &'static str| {
        head.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name)).ok_or(CsvError::NoColumn(name))
    };
    let places: Vec<usize> = wanted.iter().map(|name| place(name)).collect::<Result<_, _>>()?;
    rows.map(|(line, cells)| {
        if cells.len() != head.len() {
            return Err(CsvError::Cells { line, found: cells.len(), expected: head.len() });
        }
        let chosen = places.iter().map(|place| cells.get(*place).cloned().unwrap_or_default());
        Ok((line, chosen.collect()))
    })
    .collect()
}

/// Every row that is not empty, the first too.
fn rows(text: &str) -> Result<Vec<Row>, CsvError> {
    let mut rows = Vec::new();
    let mut reader =
        Reader { line: 1, begun: 1, bytes: 0, cells: Vec::new(), cell: String::new(), at: At::Start };
    for character in text.chars() {
        if let Some(row) = reader.take(character)? {
            rows.push(row);
        }
        if ROWS_MAX < rows.len() {
            return Err(CsvError::TooMany);
        }
    }
    rows.extend(reader.end()?);
    Ok(rows)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum At {
    /// Before a cell's first character.
    Start,
    Plain,
    Quoted,
    /// After a quotation mark in a quoted cell: its end, or the first of two.
    Closing,
}

struct Reader {
    line: usize,
    begun: usize,
    bytes: usize,
    cells: Vec<String>,
    cell: String,
    at: At,
}

impl Reader {
    fn take(&mut self, character: char) -> Result<Option<Row>, CsvError> {
        self.bytes += character.len_utf8();
        if LINE_BYTES_MAX < self.bytes {
            return Err(CsvError::TooLong(self.begun));
        }
        let is_end = character == '\n' && self.at != At::Quoted;
        match (self.at, character) {
            (At::Start, '"') => self.at = At::Quoted,
            (At::Quoted, '"') => self.at = At::Closing,
            (At::Closing, '"') => {
                self.cell.push('"');
                self.at = At::Quoted;
            }
            (At::Quoted, other) => self.cell.push(other),
            (_, ',') => self.close(),
            (_, '\r' | '\n') => {}
            (At::Start | At::Plain, other) if other != '"' => {
                self.cell.push(other);
                self.at = At::Plain;
            }
            _ => return Err(CsvError::Quotation(self.line)),
        }
        self.line += usize::from(character == '\n');
        Ok(if is_end { self.row() } else { None })
    }

    fn close(&mut self) {
        self.cells.push(std::mem::take(&mut self.cell));
        self.at = At::Start;
    }

    fn row(&mut self) -> Option<Row> {
        let is_empty = self.cells.is_empty() && self.cell.is_empty() && self.at == At::Start;
        self.close();
        let cells = std::mem::take(&mut self.cells);
        let begun = std::mem::replace(&mut self.begun, self.line);
        self.bytes = 0;
        (!is_empty).then_some((begun, cells))
    }

    fn end(&mut self) -> Result<Option<Row>, CsvError> {
        if self.at == At::Quoted { Err(CsvError::Quotation(self.line)) } else { Ok(self.row()) }
    }
}

/// Writes one line. A cell that a spreadsheet would take for a formula gets an apostrophe before it; control
/// characters become spaces.
///
/// # Errors
/// If the bytes cannot be written.
pub fn write<'a>(out: &mut impl io::Write, cells: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    for (number, cell) in cells.into_iter().enumerate() {
        if number != 0 {
            out.write_all(b",")?;
        }
        write_cell(out, cell)?;
    }
    out.write_all(b"\r\n")
}

fn write_cell(out: &mut impl io::Write, cell: &str) -> io::Result<()> {
    let is_formula = |text: &str| text.trim_start().starts_with(['=', '+', '-', '@', '|', '%', '\u{ff1d}']);
    let clean = |character: char| if character.is_control() { ' ' } else { character };
    let is_plain =
        cell.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b',' || byte == b' ');
    if is_plain && !is_formula(cell) {
        return out.write_all(cell.as_bytes());
    }
    let cleaned: String = cell.chars().map(clean).collect();
    let guard = if is_formula(&cleaned) { "'" } else { "" };
    write!(out, "\"{guard}{}\"", cleaned.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut out = Vec::new();
        write(&mut out, cells.iter().copied()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reads_the_wanted_columns_in_the_wanted_order() {
        let text =
            "\u{feff}Name, Code ,other\r\n\"Hall, \"\"old\"\"\r\nannexe\",Y99901,1\r\n\r\nPlain,Y99902,2";
        let rows = read(text.as_bytes(), &["code", "name"]).unwrap();
        assert_eq!(rows[0], (2, vec!["Y99901".to_owned(), "Hall, \"old\"\r\nannexe".to_owned()]));
        assert_eq!(rows[1], (5, vec!["Y99902".to_owned(), "Plain".to_owned()]));
    }

    #[test]
    fn names_the_line_of_a_fault() {
        assert_eq!(read(b"a,b\n1,2", &["c"]), Err(CsvError::NoColumn("c")));
        assert_eq!(read(b"", &["c"]), Err(CsvError::NoColumn("c")));
        assert_eq!(read(b"a,b\n1,2\n1\n", &["a"]), Err(CsvError::Cells { line: 3, found: 1, expected: 2 }));
        assert_eq!(read(b"a\nx\"y\n", &["a"]), Err(CsvError::Quotation(2)));
        assert_eq!(read(b"a\n\"x\n\n", &["a"]), Err(CsvError::Quotation(4)));
        assert_eq!(read(b"a\n\xff", &["a"]), Err(CsvError::Text));
        let long = format!("a\n{}", "x".repeat(LINE_BYTES_MAX + 1));
        assert_eq!(read(long.as_bytes(), &["a"]), Err(CsvError::TooLong(2)));
    }

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(
            line(&["=1+1", "-5", "@x", "\t=1", "a,b", "6\"", "SW1A 1AA", ""]),
            "\"'=1+1\",\"'-5\",\"'@x\",\"' =1\",\"a,b\",\"6\"\"\",SW1A 1AA,\r\n"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_one_line_and_reads_back(cells in prop::collection::vec(any::<String>(), 1..6)) {
            let mut text = (0..cells.len()).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",");
            text.push_str("\r\n");
            let row = line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(row.matches('\n').count(), 1);
            text.push_str(&row);
            let back = rows(&text).unwrap();
            let expected: Vec<String> = cells
                .iter()
                .map(|cell| cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
                .collect();
            if expected.len() == 1 && expected[0].is_empty() {
                return Ok(());
            }
            for (found, wanted) in back[1].1.iter().zip(&expected) {
                prop_assert!(found == wanted || found.strip_prefix('\'') == Some(wanted));
                prop_assert!(!found.starts_with(['=', '+', '-', '@']));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let rows = read(&bytes, &["a"]).map(|rows| rows.len()).unwrap_or_default();
            prop_assert!(rows <= bytes.len());
        }
    }
}
