//! What is filled into a form's fields: it is not part of the page's text.

use pdfium_render::prelude::{PdfFormField, PdfPage, PdfPageAnnotationCommon};

use super::geometry::Rect;
use super::glyphs::{Direction, Word, downwards};

/// Fields of one page that are looked at.
const MAX_FIELDS: usize = 5_000;

/// The values of the text and choice fields of a page, each where its field stands.
pub(super) fn values(page: &PdfPage) -> Vec<Word> {
    page.annotations()
        .iter()
        .take(MAX_FIELDS)
        .filter_map(|annotation| {
            let value = match annotation.as_form_field()? {
                PdfFormField::Text(field) if !field.is_password() => field.value(),
                PdfFormField::ComboBox(field) => field.value(),
                _ => None,
            }?;
            let text = value.split_whitespace().collect::<Vec<_>>().join(" ");
            let place = downwards(&annotation.bounds().ok()?);
            (!text.is_empty()).then(|| word(text, place))
        })
        .collect()
}

fn word(text: String, place: Rect) -> Word {
    // A field of several lines is as high as all of them; its type is not.
    let size = place.height().clamp(6.0, 11.0);
    Word { text, place, size, bold: false, mono: false, direction: Direction::Right }
}
