//! Internet messages (RFC 5322, MIME): headers as metadata, the body as text, what is attached by name.

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::sink::Sink;
use super::{html, text};
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// Attachments that are named.
const MAX_ATTACHMENTS: usize = 100;

/// How deep attached messages are read.
const MAX_NESTING: usize = 4;

/// Reads a message. Attachments are listed; attached messages are read too.
///
/// # Errors
/// `Corrupt` where there is no message.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let message = MessageParser::default()
        .parse(bytes)
        .ok_or_else(|| DocError::corrupt("eml", "it has no header fields"))?;
    let mut sink = Sink::new("eml", limits);
    for (key, value) in fields(&message) {
        sink.meta(key, &value);
    }
    sink.meta("message_id", message.message_id().unwrap_or_default());
    write(&message, 0, limits, &mut sink)?;
    Ok(sink.finish())
}

fn fields(message: &Message<'_>) -> Vec<(&'static str, String)> {
    let all = [
        ("title", message.subject().map(str::to_owned)),
        ("from", message.from().map(addresses)),
        ("to", message.to().map(addresses)),
        ("cc", message.cc().map(addresses)),
        ("reply_to", message.reply_to().map(addresses)),
        ("created", message.date().map(mail_parser::DateTime::to_rfc3339)),
    ];
    all.into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// `Name <address>, ...`
fn addresses(list: &Address<'_>) -> String {
    let written = list.iter().filter_map(|address| match (address.name(), address.address()) {
        (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
        (name, address) => name.or(address).map(str::to_owned),
    });
    written.collect::<Vec<_>>().join(", ")
}

fn write(
    message: &Message<'_>,
    nesting: usize,
    limits: &Limits,
    sink: &mut Sink<'_>,
) -> Result<(), DocError> {
    if let Some(subject) = message.subject() {
        sink.heading(1 + nesting, subject);
    }
    if nesting > 0 {
        let fields = fields(message).into_iter().filter(|(key, _)| *key != "title");
        let lines: Vec<String> = fields.map(|(key, value)| format!("{key}: {value}")).collect();
        sink.paragraph(&lines.join("\n"));
    }
    // HTML keeps headings, lists and tables; a text part beside it says the same with less.
    let html_first = message.html_bodies().any(|part| matches!(part.body, PartType::Html(_)));
    if html_first {
        message.html_bodies().try_for_each(|part| body(part, limits, sink))?;
    } else {
        message.text_bodies().try_for_each(|part| body(part, limits, sink))?;
    }
    attachments(message, nesting, limits, sink)
}

fn body(part: &MessagePart<'_>, limits: &Limits, sink: &mut Sink<'_>) -> Result<(), DocError> {
    match &part.body {
        PartType::Html(page) => {
            let mut read = html::extract(page.as_bytes(), limits).or_else(|error| match error {
                DocError::Empty => Ok(Document::new("html")),
                other => Err(other),
            })?;
            read.warnings.clear();
            sink.append(read);
        }
        PartType::Text(body) => {
            sink.close_list();
            text::paragraphs(body, sink);
        }
        _ => {}
    }
    Ok(())
}

fn attachments(
    message: &Message<'_>,
    nesting: usize,
    limits: &Limits,
    sink: &mut Sink<'_>,
) -> Result<(), DocError> {
    let mut names = Vec::new();
    let mut messages = Vec::new();
    for part in message.attachments() {
        match &part.body {
            PartType::Message(inner) if nesting < MAX_NESTING => messages.push(inner),
            // Inline pictures of an HTML body are no attachments to a reader.
            PartType::InlineBinary(_) if part.content_id().is_some() => {}
            _ => names.push(attachment(part)),
        }
    }
    if !names.is_empty() {
        let more = names.len().saturating_sub(MAX_ATTACHMENTS);
        names.truncate(MAX_ATTACHMENTS);
        if nesting == 0 {
            sink.meta("attachments", &names.join(", "));
        }
        sink.paragraph("Attachments:");
        names.iter().for_each(|name| sink.item(0, false, name));
        sink.close_list();
        if more > 0 {
            sink.warn(&format!("{more} more attachments are not named"));
        }
    }
    messages.into_iter().try_for_each(|inner| write(inner, nesting + 1, limits, sink))
}

/// `report.pdf (application/pdf, 1234 bytes)`
fn attachment(part: &MessagePart<'_>) -> String {
    let name = part.attachment_name().unwrap_or("unnamed");
    let kind = part.content_type().map_or_else(
        || "application/octet-stream".to_owned(),
        |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("*")),
    );
    format!("{name} ({kind}, {} bytes)", part.contents().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::to_markdown;

    const MAIL: &str = "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\nTo: a@example.org, B <b@example.org>\r\n\
        Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n\
        --y\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain text\r\n--y\r\nContent-Type: text/html\r\n\r\n\
        <p>rich <b>text</b></p><ul><li>one</li></ul>\r\n--y--\r\n--x\r\nContent-Type: application/pdf\r\n\
        Content-Disposition: attachment; filename=report.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--x--\r\n";

    #[test]
    fn the_rich_body_headers_and_attachments_are_read() {
        let document = extract(MAIL.as_bytes(), &Limits::default()).expect("mail");
        assert_eq!(document.metadata["from"], "Jörg <joerg@example.org>");
        assert_eq!(document.metadata["to"], "a@example.org, B <b@example.org>");
        assert_eq!(document.metadata["created"], "2003-07-01T10:52:37+02:00");
        assert_eq!(
            to_markdown(&document).text,
            "# Grüße\n\nrich text\n\n- one\n\nAttachments:\n\n- report.pdf (application/pdf, 3 bytes)"
        );
    }

    #[test]
    fn a_plain_message_and_an_attached_one_are_read() {
        let plain = "From: a@b.c\r\nSubject: Hi\r\n\r\nOne.\r\n\r\nTwo.\r\n";
        let document = extract(plain.as_bytes(), &Limits::default()).expect("mail");
        assert_eq!(to_markdown(&document).text, "# Hi\n\nOne.\n\nTwo.");
        let outer = format!(
            "From: x@y.z\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n\
             --q\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--q\r\nContent-Type: message/rfc822\r\n\r\n{plain}\r\n--q--\r\n"
        );
        let document = extract(outer.as_bytes(), &Limits::default()).expect("mail");
        assert_eq!(
            to_markdown(&document).text,
            "# Fwd\n\nSee below.\n\n## Hi\n\nfrom: a@b.c\n\nOne.\n\nTwo."
        );
    }
}
