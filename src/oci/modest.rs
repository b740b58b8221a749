//! Documents that are small on the wire and large in memory.

/// Members and elements of one document: many times what an index of 4096 manifests with annotations has.
const MAX_PARTS: usize = 1 << 18;

/// Whether a JSON document has so few parts that it can be parsed. Each `"a":"",` of seven bytes becomes a hundred in a map, so that
/// 4 MiB of them would be 60 MiB. Commas and colons inside strings count too, which is close enough.
pub fn is_modest(json: &[u8]) -> bool {
    json.iter().filter(|byte| matches!(byte, b',' | b':')).take(MAX_PARTS + 1).count() <= MAX_PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_members_and_elements() {
        let list = |elements: usize| format!("[{}0]", "0,".repeat(elements));
        assert!(is_modest(list(MAX_PARTS).as_bytes()));
        assert!(!is_modest(list(MAX_PARTS + 1).as_bytes()));
        assert!(!is_modest(format!("{{{}}}", r#""a":"","#.repeat(MAX_PARTS / 2 + 1)).as_bytes()));
        assert!(is_modest(" ".repeat(4 << 20).as_bytes()));
    }
}
