//! What is answered: `OK:` with the tracking id, or a fault that says whose it is.

use crate::codec::xml::escape;

/// ITK error codes (code system 2.16.840.1.113883.2.1.3.2.4.17.268).
const CODE_SYSTEM: &str = "2.16.840.1.113883.2.1.3.2.4.17.268";
/// The message is at fault, and will be again.
const INVALID_MESSAGE: &str = "1000";
/// The receiver is at fault for now.
const PROCESSING_ERROR_RETRYABLE: &str = "2100";

/// The answer to a message that is durable. `id` names this answer.
pub fn accepted(id: &str, service: &str, message_id: &str, tracking_id: &str) -> String {
    let body = format!(
        "<itk:SimpleMessageResponse xmlns:itk=\"urn:nhs-itk:ns:201005\">OK:{}</itk:SimpleMessageResponse>",
        escape(tracking_id)
    );
    envelope(id, &format!("{service}Response"), message_id, &body)
}

/// The answer to a message that is not. `permanent`: the message must be mended first; else it may come again as it
/// is. `text` says why, without content.
pub fn fault(id: &str, message_id: &str, tracking_id: &str, permanent: bool, text: &str) -> String {
    let (who, said, code) = if permanent {
        (
            "soap:Client",
            "A client related error has occurred, see detail element for further information",
            INVALID_MESSAGE,
        )
    } else {
        (
            "soap:Server",
            "A server related error has occurred: send the message again later",
            PROCESSING_ERROR_RETRYABLE,
        )
    };
    let body = format!(
        "<soap:Fault><faultcode>{who}</faultcode><faultstring>{said}</faultstring><detail>\
         <itk:ToolkitErrorInfo xmlns:itk=\"urn:nhs-itk:ns:201005\"><itk:ErrorID>{}</itk:ErrorID>\
         <itk:ErrorCode codeSystem=\"{CODE_SYSTEM}\">{code}</itk:ErrorCode><itk:ErrorText>{}</itk:ErrorText>\
         <itk:ErrorDiagnosticText>{}</itk:ErrorDiagnosticText></itk:ToolkitErrorInfo></detail></soap:Fault>",
        escape(id),
        escape(text),
        escape(tracking_id),
    );
    envelope(id, "http://www.w3.org/2005/08/addressing/soap/fault", message_id, &body)
}

fn envelope(id: &str, action: &str, relates_to: &str, body: &str) -> String {
    let relates_to = match relates_to {
        "" => String::new(),
        id => format!("<wsa:RelatesTo>{}</wsa:RelatesTo>", escape(id)),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:wsa=\"http://www.w3.org/2005/08/addressing\"><soap:Header><wsa:MessageID>{}</wsa:MessageID>\
         <wsa:Action>{}</wsa:Action>{relates_to}</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>\n",
        escape(id),
        escape(action),
    )
}
