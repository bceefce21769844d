//! What the tests of the service share: a pool of real children, and documents made on the spot.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::path::PathBuf;

use tasklane_document::config::DocumentConfig;
use tasklane_document::formats::pdf::library;
use tasklane_document::sandbox::{Sandbox, SandboxConfig};
use tasklane_document::service::sandbox_config;

/// A configuration whose children are the service's real binary.
pub fn config() -> SandboxConfig {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tasklane-document"));
    SandboxConfig { children: 1, ..sandbox_config(&DocumentConfig::default(), program) }
}

/// A pool of one child.
pub async fn sandbox() -> Sandbox {
    Sandbox::start(config()).await.unwrap()
}

/// Whether PDFs can be read here; says so where they cannot.
pub fn has_pdfium(test: &str) -> bool {
    let found = library::find("").is_some();
    if !found {
        println!("{test}: skipped, no PDFium library was found (the set-up fetches it)");
    }
    found
}

/// A PDF in which every page shows `lines`; `trailer` is added to its trailer, `extra` to its objects.
pub fn pdf(pages: usize, lines: &[&str], trailer: &str, extra: &str) -> Vec<u8> {
    let mut content = String::from("BT /F1 12 Tf 14 TL 72 720 Td");
    for line in lines {
        write!(content, " ({line}) Tj T*").unwrap();
    }
    content.push_str(" ET");
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        String::new(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut kids = String::new();
    for page in 0..pages {
        let number = 4 + page * 2;
        write!(kids, "{number} 0 R ").unwrap();
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            number + 1
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    objects[1] = format!("<< /Type /Pages /Kids [{kids}] /Count {pages} >>");
    if !extra.is_empty() {
        objects.push(extra.to_owned());
    }
    let mut file = String::from("%PDF-1.7\n");
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        writeln!(file, "{} 0 obj\n{object}\nendobj", index + 1).unwrap();
    }
    let start = file.len();
    writeln!(file, "xref\n0 {}\n0000000000 65535 f ", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    let size = objects.len() + 1;
    writeln!(file, "trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF").unwrap();
    file.into_bytes()
}

/// A PDF that needs a password: its standard security handler accepts no empty one.
pub fn encrypted_pdf() -> Vec<u8> {
    let key = "11".repeat(32);
    let handler = format!("<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{key}> /U <{key}> >>");
    pdf(
        1,
        &["secret"],
        "/Encrypt 6 0 R /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]",
        &handler,
    )
}

/// A Word document whose main part is `parts` one after the other.
pub fn docx<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("[Content_Types].xml", options).unwrap();
    archive
        .write_all(
            br#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#,
        )
        .unwrap();
    archive.start_file("word/document.xml", options).unwrap();
    for part in parts {
        archive.write_all(part).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// What opens and closes the main part of a Word document.
pub const DOCX_HEAD: &[u8] = br#"<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>"#;
/// The end of it.
pub const DOCX_TAIL: &[u8] = b"</w:body></w:document>";
