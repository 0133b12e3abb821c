//! The service documents in force, signed for the kiosks.

use contract::{Operations, SecretKey, ServiceDocument, ServiceDocumentError, SignedServiceDocument};

/// Why the service catalogue is invalid.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A document does not parse or breaks a rule of the service-document language.
    #[error("service document {number} is invalid")]
    Document {
        /// Position of the document, counted from 1.
        number: usize,
        /// What is wrong with the document.
        #[source]
        cause: ServiceDocumentError,
    },
    /// Two documents have the same service id.
    #[error("service id {0} occurs in two documents")]
    DuplicateId(String),
}

/// The service documents (事项文件) in force, parsed and signed.
pub(crate) struct SignedCatalogue(Vec<(ServiceDocument, SignedServiceDocument)>);

impl SignedCatalogue {
    pub(crate) fn sign_documents(
        texts: &[String],
        operations: &Operations,
        key: &SecretKey,
    ) -> Result<Self, CatalogueError> {
        let mut documents: Vec<(ServiceDocument, SignedServiceDocument)> = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            let checked = ServiceDocument::parse(text).and_then(|document| {
                document.check_calls(text, operations)?;
                Ok(document)
            });
            let document = checked.map_err(|cause| CatalogueError::Document { number: at + 1, cause })?;
            if documents.iter().any(|(other, _)| other.id == document.id) {
                return Err(CatalogueError::DuplicateId(document.id));
            }
            let signature = key.sign(&SignedServiceDocument::to_be_signed(text));
            documents.push((document, SignedServiceDocument { text: text.clone(), signature }));
        }
        Ok(Self(documents))
    }

    pub(crate) fn document(&self, service: &str) -> Option<&ServiceDocument> {
        self.0.iter().map(|(document, _)| document).find(|document| document.id == service)
    }

    /// All documents, parsed and signed.
    pub(crate) fn documents(&self) -> impl Iterator<Item = (&ServiceDocument, &SignedServiceDocument)> {
        self.0.iter().map(|(document, signed)| (document, signed))
    }
}
