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
    let opaque = |what: &str| vec![Finding::at(&rules::PICKLE, path, what)];
    match (scan, carrier) {
        (Some(scan), _) => findings(path, "", scan),
        (None, Carrier::Opaque(compression)) => {
            opaque(&format!("compressed with {compression}, so it cannot be looked into: it may import anything"))
        }
        (None, Carrier::Tar) => opaque("a tar file as PyTorch wrote before 0.1.10: it cannot be looked into and may import anything"),
        (None, _) => Vec::new(),
    }
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
