//! Just enough of Rust's grammar to see imports and the ends of functions; no parser, no dependency.

/// The text with every comment, string and character literal blanked out; lines and columns stay where they were.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match literal_end(&bytes[at..], at > 0 && is_word(bytes[at - 1])) {
            Some(length) => at + length,
            None => {
                at += 1;
                continue;
            }
        };
        code[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end;
    }
    String::from_utf8(code).unwrap_or_default()
}

/// The length of a comment or literal that begins here.
fn literal_end(rest: &[u8], in_word: bool) -> Option<usize> {
    match rest {
        [b'/', b'/', ..] => Some(find(rest, 0, b"\n").unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(block_comment(rest)),
        [b'"', ..] => Some(quoted(rest, 1)),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 1),
        [b'b', b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 2),
        [b'\'', b'\\', ..] => Some(find(rest, 3, b"'").map_or(rest.len(), |end| end + 1)),
        [b'\'', ..] => character(rest),
        _ => None,
    }
}

fn find(rest: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    (from..rest.len()).find(|at| rest[*at..].starts_with(what))
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8], prefix: usize) -> Option<usize> {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    Some(find(rest, prefix + hashes + 1, &end).map_or(rest.len(), |at| at + end.len()))
}

/// `'x'`, but not the lifetime `'x`.
fn character(rest: &[u8]) -> Option<usize> {
    let width = match rest.get(1)? {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    };
    (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where a whole word stands.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    let whole = move |at: &usize| {
        let behind = at + word.len();
        (*at == 0 || !is_word(bytes[at - 1])) && bytes.get(behind).is_none_or(|byte| !is_word(*byte))
    };
    code.match_indices(word).map(|(at, _)| at).filter(whole)
}

/// Whether code names a library: as the start of a path, or in a `use`.
pub fn names_crate(code: &str, name: &str) -> bool {
    words(code, name).any(|at| {
        let (before, behind) = (code[..at].trim_end(), &code[at + name.len()..]);
        let starts = !before.ends_with("::") || before.ends_with(" ::");
        starts && (behind.starts_with("::") || before.ends_with("use") || before.ends_with("extern crate"))
    })
}

/// Every top module that a file's code names, through `crate::` or by climbing with `super::`.
pub fn rooms_named(path: &str, code: &str) -> Vec<String> {
    let mut named: Vec<String> = words(code, "crate").flat_map(|at| heads(&code[at + 5..])).collect();
    let climbs = words(code, "super").filter(|at| !code[..*at].ends_with("super::"));
    for at in climbs {
        let chain = code[at..].split("::").take_while(|part| *part == "super").count();
        let inline = usize::from(code[..at].contains("mod tests {"));
        if chain >= depth(path) + inline {
            named.extend(heads(&code[at + chain * 7 - 2..]));
        }
    }
    named.sort();
    named.dedup();
    named
}

/// How many modules deep a file's code stands: `src/a/b.rs` and `src/a/b/mod.rs` two.
fn depth(path: &str) -> usize {
    let parts = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    parts.split('/').count()
}

/// The first names behind `crate` or `super`: one of `::name`, several of `::{a::b, c}`.
fn heads(rest: &str) -> Vec<String> {
    let Some(rest) = rest.strip_prefix("::") else { return Vec::new() };
    let name =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.trim_start().strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut start, mut found) = (0i32, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
        if c == '}' && start == at + 1 {
            break;
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The functions with a body: name, and lines from `fn` to the closing brace.
pub fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name: String =
            code[at + 2..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if let (false, Some(length)) = (name.is_empty(), body_end(&code[at..])) {
            found.push((name, code[at..at + length].lines().count()));
        }
    }
    found
}

/// The end of the body that belongs to the signature here; none when a semicolon ends it first.
fn body_end(code: &str) -> Option<usize> {
    let (mut braces, mut others) = (0i32, 0i32);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others -= 1,
            ';' if braces == 0 && others == 0 => return None,
            '{' if others == 0 || braces > 0 => braces += 1,
            '}' if braces > 0 => {
                braces -= 1;
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}
