//! The text form of a master key set, the same in the key file, in the environment and from a command:
//!
//! ```json
//! {"version":1,"active":"<uuid>","keys":[{"id":"<uuid>","key":"<32 bytes in base64>"}]}
//! ```
//!
//! A parse error says where and what, never the text itself: the text is the secret.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use super::cipher::KeyBytes;
use super::master::MasterKey;
use super::{MasterKeys, SourceError};

const VERSION: u32 = 1;
const HOW_TO: &str =
    "expected {\"version\":1,\"active\":\"<uuid>\",\"keys\":[{\"id\":\"<uuid>\",\"key\":\"<base64 of 32 bytes>\"}]}";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    active: String,
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    key: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl MasterKeys {
    /// Reads a key set; `origin` names the source in errors.
    pub fn from_text(text: &str, origin: &str) -> Result<Self, SourceError> {
        parse(text).map_err(|reason| SourceError::Text { origin: origin.to_owned(), reason })
    }

    /// The set as one line of text, secret keys included: for the file, or for an operator who keeps the keys elsewhere.
    pub fn to_text(&self) -> Zeroizing<String> {
        let document = Document {
            version: VERSION,
            active: self.active_id().to_string(),
            keys: self
                .keys()
                .iter()
                .map(|key| Entry { id: key.id.to_string(), key: BASE64.encode(key.bytes.expose()) })
                .collect(),
        };
        // Room for the whole text from the start: a growing buffer would leave copies of keys behind.
        let mut text = Zeroizing::new(Vec::with_capacity(128 + 160 * document.keys.len()));
        serde_json::to_writer(&mut *text, &document).expect("strings and numbers always serialise");
        let text = String::from_utf8(std::mem::take(&mut *text)).expect("JSON is UTF-8");
        Zeroizing::new(text)
    }
}

fn parse(text: &str) -> Result<MasterKeys, String> {
    // The message of the JSON parser may quote the input, its position does not.
    let document: Document = serde_json::from_str(text.trim())
        .map_err(|error| format!("line {} column {}: {HOW_TO}", error.line(), error.column()))?;
    if document.version != VERSION {
        return Err(format!("version {} is not known, this program reads version {VERSION}", document.version));
    }
    let keys = document.keys.iter().enumerate().map(parse_entry).collect::<Result<Vec<_>, _>>()?;
    let active = Uuid::parse_str(&document.active).map_err(|_| "`active` is not a UUID".to_owned())?;
    MasterKeys::from_parts(keys, active).map_err(str::to_owned)
}

fn parse_entry((position, entry): (usize, &Entry)) -> Result<MasterKey, String> {
    let id = Uuid::parse_str(&entry.id).map_err(|_| format!("the id of key {} is not a UUID", position + 1))?;
    let bytes = BASE64.decode(entry.key.as_bytes()).map(Zeroizing::new).ok();
    let bytes = bytes
        .and_then(|bytes| KeyBytes::copy_of(&bytes))
        .ok_or_else(|| format!("key {id} is not 32 bytes in base64; `openssl rand -base64 32` makes one"))?;
    Ok(MasterKey { id, bytes })
}
