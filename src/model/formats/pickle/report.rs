//! What a scan means for the person who packs the model.

use super::file::Carrier;
use super::scan::Scan;
use crate::model::lint::{Finding, rules};

/// The findings about one file; `inside` names the part of it that the pickle is: ` data.pkl in it`.
pub(in crate::model) fn findings(path: &str, inside: &str, scan: &Scan) -> Vec<Finding> {
    let mut found = vec![Finding::at(&rules::PICKLE, path, format!("{}{}", prefix(inside), summary(scan)))];
    if !scan.looks_clean() {
        found.push(Finding::at(&rules::DANGEROUS_PICKLE, path, format!("{}{}", prefix(inside), dangers(scan))));
    }
    found
}

/// The findings about a file that is a pickle as a whole, whether it could be looked into or not.
pub(in crate::model) fn file_findings(path: &str, carrier: Carrier, scan: Option<&Scan>) -> Vec<Finding> {
    match (scan, carrier) {
        (Some(scan), _) => findings(path, "", scan),
        (None, Carrier::Opaque(compression)) => opaque(
            path,
            &format!("compressed with {compression}, so it cannot be looked into: it may import anything; zlib or none can be"),
        ),
        (None, Carrier::Tar) => opaque(path, "a tar file as PyTorch wrote before 0.1.10: it cannot be looked into and may import anything"),
        (None, _) => Vec::new(),
    }
}

/// The findings about a pickle that cannot be looked into. Leave to pack pickles is none to pack this one: nobody knows what it runs.
pub(in crate::model) fn opaque(path: &str, what: &str) -> Vec<Finding> {
    [&rules::PICKLE, &rules::DANGEROUS_PICKLE].map(|rule| Finding::at(rule, path, what)).to_vec()
}

fn prefix(inside: &str) -> String {
    if inside.is_empty() { String::new() } else { format!("{inside}: ") }
}

fn summary(scan: &Scan) -> String {
    let imports = scan.imports.summary();
    match scan.streams {
        0 => format!("pickle without an end: {imports}"),
        1 => format!("pickle of protocol {}: {imports}", scan.protocol),
        count => format!("{count} pickles one after the other: {imports}"),
    }
}

fn dangers(scan: &Scan) -> String {
    let mut parts = scan.imports.dangers().to_vec();
    match scan.imports.more_dangers() {
        0 => {}
        more => parts.push(format!("and {more} more")),
    }
    if let Some(defect) = &scan.defect {
        parts.push(format!("what follows cannot be looked into: {defect}"));
    }
    parts.join("; ")
}
