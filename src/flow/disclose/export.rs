//! A record's summary as a document for another place: an International Patient Summary in FHIR R4.

use crate::{
    access::policy::Deed,
    codec::fhir::r4::{self, Author, Ids, Reading, Withheld},
};

use super::{Closed, OpenId, Records, Viewer};

impl Records {
    /// The summary of an open record, as `application/fhir+json`. What is sensitive stays behind, and is counted.
    ///
    /// # Errors
    /// As for [`Records::view`].
    pub async fn export(&self, who: &Viewer, id: OpenId) -> Result<Vec<u8>, Closed> {
        let shown = self.view(who, id, Deed::ExportSummary).await?;
        let ids = Ids::new(self.secret);
        let author =
            Author { name: self.organisation.name.clone(), organisation: self.organisation.ods_code.clone() };
        let base = format!("urn:polygate:{}", self.hub.identity().id);
        let written = tokio::task::spawn_blocking(move || {
            let withheld: Vec<Withheld> = shown
                .withheld
                .iter()
                .map(|(why, count)| Withheld {
                    kind: None,
                    system: String::new(),
                    count: Some(*count),
                    why: why.text(),
                })
                .collect();
            let reading = Reading::new(&shown.record, &withheld, &base, &ids);
            r4::write(&r4::summary(&reading, &author, shown.record.at))
        });
        written.await.map_err(|_| Closed::Failed("the program has failed"))
    }
}
