//! Flags as rclone and rest-server take them, which is not how clap does: flags of other backends pass, before and behind REMOTE.
//!
//! Promises: a flag that is not known is named, not obeyed; the word behind it is its value only where another word is left
//! to be REMOTE. Never: guesses the value of a flag that we know.

/// What is known of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Takes a value.
    Valued,
    /// On, unless it says `=false`.
    Switch,
    /// Another program's, and takes a value.
    ForeignValued,
    /// Another program's switch.
    ForeignSwitch,
    /// Never heard of.
    Unknown,
}

impl Kind {
    /// The kind of the first of these lists that has `name`.
    pub fn of(name: &str, lists: &[(Self, &[&str])]) -> Self {
        lists.iter().find(|(_, names)| names.contains(&name)).map_or(Self::Unknown, |(kind, _)| *kind)
    }
}

/// What was typed, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// Known flags in their order, with what they were given.
    flags: Vec<(String, String)>,
    /// The others, as they were typed.
    pub ignored: Vec<String>,
    /// Words that are no flags.
    pub words: Vec<String>,
}

/// What is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A flag lacks its value.
    #[error("--{0} needs a value")]
    NoValue(String),
    /// A switch has a value that is none.
    #[error("--{0} is true or false, not {1:?}")]
    NoSwitch(String, String),
    /// A flag that takes one value was given several.
    #[error("--{0} is given twice")]
    Twice(String),
}

impl Typed {
    /// Sorts words.
    pub fn sort(words: &[String], kind: fn(&str) -> Kind) -> Result<Self, Wrong> {
        let (mut typed, mut maybe) = (Self::default(), Vec::new());
        let mut rest = words.iter().peekable();
        while let Some(word) = rest.next() {
            if word == "--" {
                typed.words.extend(rest.by_ref().cloned());
                break;
            }
            let Some(flag) = word.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                typed.words.push(word.clone());
                continue;
            };
            let long = flag.strip_prefix('-').unwrap_or(flag);
            let (name, inline) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let kind = kind(name);
            let value = match (kind, inline) {
                (_, Some(value)) => Some(value.to_owned()),
                (Kind::Valued | Kind::ForeignValued, None) => {
                    Some(rest.next().cloned().ok_or_else(|| Wrong::NoValue(name.to_owned()))?)
                }
                _ => None,
            };
            match kind {
                Kind::Valued | Kind::Switch => {
                    typed.flags.push((name.to_owned(), value.unwrap_or_else(|| "true".to_owned())));
                }
                _ => typed.ignored.push(word.split('=').next().unwrap_or_default().to_owned()),
            }
            if kind == Kind::Unknown && inline.is_none() {
                maybe.extend(rest.next_if(|next| !next.starts_with('-')).cloned());
            }
        }
        // `--unknown X REMOTE`: X is its value; `--unknown REMOTE`: it is not.
        if typed.words.is_empty() {
            typed.words.extend(maybe.pop());
        }
        Ok(typed)
    }

    /// Adds what the environment says, `PREFIX_FLAG_NAME`, for flags that were not typed.
    pub fn with_environment(mut self, prefix: &str, names: &[&str], env: impl Fn(&str) -> Option<String>) -> Self {
        for name in names {
            let variable = format!("{prefix}_{}", name.replace('-', "_").to_uppercase());
            let value = env(&variable).filter(|value| !value.is_empty());
            if let Some(value) = value.filter(|_| !self.has(name)) {
                self.flags.push(((*name).to_owned(), value));
            }
        }
        self
    }

    /// Whether a flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(held, _)| held == name)
    }

    /// Everything that a flag was given.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.flags.iter().filter(|(held, _)| held == name).map(|(_, value)| value.clone()).collect()
    }

    /// The one value of a flag; an empty one is none, as with rclone.
    pub fn one(&self, name: &str) -> Result<Option<String>, Wrong> {
        let mut all = self.all(name);
        match all.len() {
            0 | 1 => Ok(all.pop().filter(|value| !value.is_empty())),
            _ => Err(Wrong::Twice(name.to_owned())),
        }
    }

    /// Whether a switch is on; the last word counts.
    pub fn is_on(&self, name: &str) -> Result<bool, Wrong> {
        match self.all(name).pop().as_deref() {
            None => Ok(false),
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
            Some(other) => Err(Wrong::NoSwitch(name.to_owned(), other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Kind {
        match name {
            "addr" => Kind::Valued,
            "stdio" | "append-only" => Kind::Switch,
            "bwlimit" => Kind::ForeignValued,
            "v" => Kind::ForeignSwitch,
            _ => Kind::Unknown,
        }
    }

    fn sorted(line: &str) -> Result<Typed, Wrong> {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('∅', "")).collect();
        Typed::sort(&words, kind)
    }

    #[test]
    fn remote_is_found_among_foreign_flags() {
        for (line, remote, ignored) in [
            ("--stdio --b2-hard-delete photos", "photos", 1),
            ("--stdio --b2-hard-delete --drive-use-trash=false photos", "photos", 2),
            ("--stdio --b2-hard-delete ∅", "", 1),
            ("photos --addr :0 --unknown 7", "photos", 1),
            ("--unknown 7 photos", "photos", 1),
            ("--bwlimit 1M photos", "photos", 1),
            ("-v --bwlimit 1M --b2-hard-delete photos", "photos", 3),
            ("--stdio -- -odd", "-odd", 0),
            ("--stdio ./data", "./data", 0),
        ] {
            let typed = sorted(line).expect(line);
            assert_eq!(typed.words, [remote], "{line}");
            assert_eq!(typed.ignored.len(), ignored, "{line}: {:?}", typed.ignored);
        }
        assert_eq!(sorted("--stdio a b").expect("two").words.len(), 2);
    }

    #[test]
    fn switches_are_on_off_or_wrong() {
        let on = |line: &str| sorted(line).and_then(|typed| typed.is_on("append-only"));
        assert_eq!(on("x"), Ok(false));
        assert_eq!(on("--append-only x"), Ok(true));
        assert_eq!(on("-append-only x"), Ok(true), "Go takes one dash too");
        assert_eq!(on("--append-only=false x"), Ok(false));
        assert_eq!(on("--append-only=yes x"), Err(Wrong::NoSwitch("append-only".to_owned(), "yes".to_owned())));
        assert_eq!(sorted("x --addr"), Err(Wrong::NoValue("addr".to_owned())));
    }

    #[test]
    fn the_environment_speaks_where_nobody_typed() {
        let env = |name: &str| (name == "RCLONE_ADDR").then(|| ":1".to_owned());
        let addr = |line: &str| sorted(line).expect("fine").with_environment("RCLONE", &["addr"], env).all("addr");
        assert_eq!(addr("x"), [":1"]);
        assert_eq!(addr("--addr :2 --addr :3 x"), [":2", ":3"]);
    }
}
