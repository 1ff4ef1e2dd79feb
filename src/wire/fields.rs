//! A flat JSON object as a request's body: texts, numbers and lists of texts. Never prints what it holds, and wipes it when it goes.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroize;

/// The fields of an object. Fields nobody asks for are ignored, one that is given twice is refused.
pub struct FieldsJson(BTreeMap<String, FieldJson>);

/// A field's value.
pub enum FieldJson {
    /// A text.
    Text(String),
    /// A whole number, as its digits.
    Number(String),
    /// A list of texts.
    List(Vec<String>),
    /// `null`, which is like a field that is not given.
    Null,
    /// Anything else.
    Other,
}

impl FieldsJson {
    /// Reads a body; none when it is not such an object. The reason is not told: it could quote a password.
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// A field's value.
    pub fn field(&self, name: &str) -> Option<&FieldJson> {
        self.0.get(name).filter(|value| !matches!(value, FieldJson::Null))
    }

    /// The names that are given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Drop for FieldsJson {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let FieldJson::Text(text) = value {
                text.zeroize();
            }
        }
    }
}

impl<'de> Deserialize<'de> for FieldsJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = FieldsJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldsJson, A::Error> {
                let mut fields = FieldsJson(BTreeMap::new());
                while let Some(name) = map.next_key::<String>()? {
                    if fields.0.insert(name, map.next_value()?).is_some() {
                        return Err(A::Error::custom("a field is repeated"));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for FieldJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Field)
    }
}

struct Field;

impl<'de> Visitor<'de> for Field {
    type Value = FieldJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<FieldJson, E> {
        Ok(FieldJson::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<FieldJson, E> {
        Ok(FieldJson::Number(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<FieldJson, E> {
        Ok(FieldJson::Number(number.to_string()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<FieldJson, E> {
        Ok(FieldJson::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<FieldJson, E> {
        Ok(FieldJson::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<FieldJson, E> {
        Ok(FieldJson::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FieldJson, A::Error> {
        let (mut texts, mut is_text) = (Vec::new(), true);
        while let Some(value) = seq.next_element::<FieldJson>()? {
            match value {
                FieldJson::Text(text) => texts.push(text),
                _ => is_text = false,
            }
        }
        Ok(if is_text { FieldJson::List(texts) } else { FieldJson::Other })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldJson, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(FieldJson::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_flat_objects() {
        let body = br#"{"a":"x","n":30,"l":["r","s"],"z":null,"t":true,"o":{"a":1},"m":["r",{}]}"#;
        let fields = FieldsJson::parse(body).expect("an object");
        let text = |name| match fields.field(name) {
            Some(FieldJson::Text(text) | FieldJson::Number(text)) => text.clone(),
            Some(FieldJson::List(list)) => list.join("+"),
            Some(_) => "other".to_owned(),
            None => "none".to_owned(),
        };
        let read: Vec<String> = ["a", "n", "l", "z", "t", "o", "m", "y"].into_iter().map(text).collect();
        assert_eq!(read, ["x", "30", "r+s", "none", "other", "other", "other", "none"]);
        for wrong in [&b"username=a"[..], b"[]", b"1", b"{\"a\":1", br#"{"a":"x","a":"y"}"#, b"{} x"] {
            assert!(FieldsJson::parse(wrong).is_none(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
