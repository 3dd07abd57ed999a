//! XML as returns have it: elements and text, escaped as they are written, and never two roots.

use std::io;

/// Elements deeper than this are in no return.
const DEPTH_MAX: usize = 32;

/// Writes elements to bytes; what is opened must be closed in turn.
#[derive(Debug)]
pub struct Xml<W> {
    out: W,
    open: Vec<&'static str>,
    prefix: &'static str,
}

impl<W: io::Write> Xml<W> {
    /// Begins a document whose elements all have this namespace prefix, such as `ns:`.
    ///
    /// # Errors
    /// If the bytes cannot be written; so for all of its functions.
    pub fn begin(mut out: W, prefix: &'static str) -> io::Result<Self> {
        out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        Ok(Self { out, open: Vec::new(), prefix })
    }

    /// Elements without a document around them, as they stand inside one.
    pub fn within(out: W, prefix: &'static str) -> Self {
        Self { out, open: Vec::new(), prefix }
    }

    /// Opens an element.
    ///
    /// # Errors
    /// Also if it would be too deep.
    pub fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> io::Result<()> {
        if DEPTH_MAX <= self.open.len() {
            return Err(io::Error::other("XML elements are nested too deeply"));
        }
        self.line()?;
        write!(self.out, "<{}{name}", self.prefix)?;
        for (attribute, value) in attributes {
            write!(self.out, " {attribute}=\"")?;
            escape(&mut self.out, value)?;
            self.out.write_all(b"\"")?;
        }
        self.out.write_all(b">")?;
        self.open.push(name);
        Ok(())
    }

    /// Closes the element that was opened last.
    ///
    /// # Errors
    /// Also if none is open.
    pub fn close(&mut self) -> io::Result<()> {
        let name = self.open.pop().ok_or_else(|| io::Error::other("no XML element is open"))?;
        self.line()?;
        write!(self.out, "</{}{name}>", self.prefix)
    }

    /// An element with nothing but text in it.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.line()?;
        write!(self.out, "<{}{name}>", self.prefix)?;
        escape(&mut self.out, text)?;
        write!(self.out, "</{}{name}>", self.prefix)
    }

    /// An element with nothing in it.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn empty(&mut self, name: &str) -> io::Result<()> {
        self.line()?;
        write!(self.out, "<{}{name}/>", self.prefix)
    }

    /// Bytes that are elements already, written by [`Xml::within`].
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn raw(&mut self, elements: &[u8]) -> io::Result<()> {
        self.out.write_all(elements)
    }

    /// Ends the document.
    ///
    /// # Errors
    /// Also if an element is still open.
    pub fn end(mut self) -> io::Result<W> {
        if !self.open.is_empty() {
            return Err(io::Error::other("an XML element is still open"));
        }
        self.out.write_all(b"\n")?;
        Ok(self.out)
    }

    /// Each element on its own line, so that two versions can be compared by eye.
    fn line(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")
    }
}

/// Text as it can stand in an element or between double quotation marks. What XML cannot carry is left out; white space
/// becomes a space.
fn escape(out: &mut impl io::Write, text: &str) -> io::Result<()> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -:./_".contains(&byte)) {
        return out.write_all(text.as_bytes());
    }
    for character in text.chars() {
        match character {
            '&' => out.write_all(b"&amp;")?,
            '<' => out.write_all(b"&lt;")?,
            '>' => out.write_all(b"&gt;")?,
            '"' => out.write_all(b"&quot;")?,
            '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' => out.write_all(b" ")?,
            other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => {}
            other => write!(out, "{other}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn document(text: &str) -> String {
        let mut xml = Xml::begin(Vec::new(), "ns:").unwrap();
        xml.open("Root", &[("xmlns:ns", "urn:example"), ("note", text)]).unwrap();
        xml.text("Name", text).unwrap();
        xml.empty("Nothing").unwrap();
        xml.close().unwrap();
        String::from_utf8(xml.end().unwrap()).unwrap()
    }

    #[test]
    fn elements_are_closed_as_they_were_opened() {
        assert_eq!(
            document("a & <b>\u{1}"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ns:Root xmlns:ns=\"urn:example\" note=\"a &amp; &lt;b&gt;\">\n\
             <ns:Name>a &amp; &lt;b&gt;</ns:Name>\n<ns:Nothing/>\n</ns:Root>\n"
        );
        let mut xml = Xml::begin(Vec::new(), "").unwrap();
        assert!(xml.close().is_err());
        xml.open("A", &[]).unwrap();
        assert!(xml.end().is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_document(text in any::<String>()) {
            let whole = document(&text);
            let parsed = roxmltree::Document::parse(&whole).unwrap();
            let name = parsed.root_element().first_element_child().unwrap();
            let kept: String = text
                .chars()
                .map(|c| if matches!(c, '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}') { ' ' } else { c })
                .filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))
                .collect();
            prop_assert_eq!(name.text().unwrap_or_default(), kept.as_str());
            prop_assert_eq!(parsed.root_element().attribute("note").unwrap(), kept.as_str());
        }
    }
}
