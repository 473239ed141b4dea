//! Login files as people hand them on: behind a byte order mark, as hexadecimal digits, in base64. Pure.

use zeroize::Zeroizing;

use crate::login::document::Document;
use crate::login::format::Format;
use crate::login::source::decode_base64;
use crate::login::splice::BYTE_ORDER_MARK;

/// The login file that is in a text: the text itself, or what it encodes. Windows' editors write a byte order mark, the
/// keychain of macOS prints a text with line breaks in hexadecimal, and secrets are often stored in base64.
pub fn unwrapped(text: Zeroizing<Vec<u8>>, format: Format) -> Zeroizing<Vec<u8>> {
    if is_plain(&text, format) {
        return text;
    }
    let forms = [
        without_mark(&text),
        decode_hex(&text),
        decode_base64(&text).and_then(|text| without_mark(&text).or(Some(text))),
    ];
    let is_document = |text: &Zeroizing<Vec<u8>>| Document::parse(text, format).is_ok();
    forms.into_iter().flatten().find(is_document).unwrap_or(text)
}

/// Whether a text begins like a file of this format. Decides without parsing, for the usual case.
pub fn is_plain(text: &[u8], format: Format) -> bool {
    match format {
        Format::Json | Format::Jsonc => matches!(text.trim_ascii_start().first(), Some(b'{' | b'/')),
        Format::Yaml => text.contains(&b':') && !text.starts_with(BYTE_ORDER_MARK),
    }
}

fn without_mark(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    text.strip_prefix(BYTE_ORDER_MARK).map(|rest| Zeroizing::new(rest.to_vec()))
}

/// Decodes hexadecimal digits, which may be wrapped. `None` if the text is something else.
fn decode_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    let mut high = None;
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let digit = digit(byte)?;
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => decoded.push(high | digit),
        }
    }
    high.is_none().then_some(decoded)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    const JSON: &str = "{\"token\":\"FAKE\"}";
    const YAML: &str = "host:\n    token: FAKE\n";

    fn hex(text: &str) -> String {
        let digits = |byte: u8| [byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16).unwrap());
        text.bytes().flat_map(digits).collect()
    }

    fn read(text: &[u8], format: Format) -> Vec<u8> {
        unwrapped(Zeroizing::new(text.to_vec()), format).to_vec()
    }

    #[test]
    fn every_form_is_unwrapped() {
        for (format, text) in [(Format::Json, JSON), (Format::Jsonc, JSON), (Format::Yaml, YAML)] {
            let marked = format!("\u{feff}{text}");
            let forms = [
                text.to_owned(),
                marked.clone(),
                hex(text),
                format!("{}\n", hex(text).to_uppercase()),
                STANDARD.encode(text),
                format!("{}\n", STANDARD.encode(text)),
                STANDARD.encode(&marked),
            ];
            for form in forms {
                assert_eq!(String::from_utf8_lossy(&read(form.as_bytes(), format)), text, "{format:?} {form}");
            }
        }
    }

    proptest! {
        /// What is no login in any form stays as it is, for the message about it.
        #[test]
        fn other_text_stays(text in "[ -~]{0,60}") {
            let read = read(text.as_bytes(), Format::Json);
            prop_assert!(read == text.as_bytes() || Document::parse(&read, Format::Json).is_ok());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, Format::Yaml);
            let _ = read(&bytes, Format::Json);
        }
    }
}
