//! What the fuzz target calls: any bytes go in; nothing panics, and what was read is written and read alike.

use super::{DateOrder, Letter, read, write};

/// Reads bytes as a letter, writes it, and reads it again.
///
/// # Panics
/// If the letter is another after that.
pub fn kettering(data: &[u8]) {
    let Ok(letter) = read(data) else { return };
    for order in [DateOrder::DayMonth, DateOrder::MonthDay] {
        let Ok(again) = read(&write(&letter, order)) else { continue };
        assert_eq!(again.patient.family_name, letter.patient.family_name, "a letter changes on its way");
        assert_eq!(again.texts.len(), letter.texts.len(), "a letter changes on its way");
        let Letter { message_id, .. } = again;
        assert_eq!(message_id, letter.message_id, "a letter changes on its way");
    }
}
