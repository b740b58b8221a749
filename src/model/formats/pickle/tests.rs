use super::testing::{scanned, text};
use super::*;
use crate::model::lint::rules;

fn dangers(bytes: &[u8]) -> String {
    let scan = scanned(bytes);
    let found = findings("m.pkl", "", &scan);
    assert!(found.iter().all(|finding| finding.path.as_deref() == Some("m.pkl")));
    found.iter().filter(|finding| *finding.rule == rules::DANGEROUS_PICKLE).map(|finding| finding.what.clone()).collect()
}

/// Each is a way in which a scanner was got round, or one that follows from it.
#[test]
fn what_is_hidden_is_found() {
    let nested = [&b"cpickle\nloads\nB\x06\0\0\0cos\nx\n\x85R."[..]].concat();
    let cases: [(&str, Vec<u8>, &str); 22] = [
        ("the plain way", b"cos\nsystem\n(S'id'\ntR.".to_vec(), "byte 0 imports os.system"),
        ("INST instead of GLOBAL", b"(S'id'\nios\nsystem\n.".to_vec(), "byte 7 imports os.system"),
        ("OBJ", b"(cos\nsystem\nS'id'\no.".to_vec(), "byte 1 imports os.system"),
        ("STACK_GLOBAL", b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.".to_vec(), "byte 14 imports os.system"),
        ("strings of Python 2", b"U\x02osT\x06\0\0\0system\x93)R.".to_vec(), "imports os.system"),
        ("text lines", b"Vos\nS\"system\"\n\x93)R.".to_vec(), "imports os.system"),
        (
            "names from the memo, out of order",
            b"Vos\np2\n0Vsystem\np3\n0Vtorch\np0\n0VLongStorage\np1\n0g2\ng3\n\x93)R.".to_vec(),
            "imports os.system",
        ),
        // PUT 0 and 1, then MEMOIZE takes 2 and 3: https://github.com/mmaitre314/picklescan/issues/14
        ("PUT and MEMOIZE mixed", b"Vos\nq\x00Vsystem\nq\x01Vtorch\n\x94VTensor\n\x94h\x00h\x01\x93)R.".to_vec(), "imports os.system"),
        (
            "names between which others are pushed and popped",
            b"Vos\nVx\n0Vsystem\n(Vy\n10N0\x93)R.".to_vec(),
            "takes what is not on the stack",
        ),
        ("popped marks", b"Vos\nVx\n0Vsystem\n(Vy\n1N0\x93)R.".to_vec(), "imports os.system"),
        ("a duplicated name", b"Vos\n2\x93)R.".to_vec(), "imports os.os"),
        ("an escaped name", b"V\\u006fs\nVsystem\n\x93)R.".to_vec(), "imports something whose name cannot be told"),
        ("a name that is no text", b"K\x01Vsystem\n\x93)R.".to_vec(), "imports something whose name cannot be told"),
        ("a name longer than any", [b"V".to_vec(), vec![b'x'; 300], b"\nVsystem\n\x93.".to_vec()].concat(), "whose name cannot be told"),
        (
            "a missing memo entry",
            b"cos\nsystem\ng7\n.".to_vec(),
            "imports os.system; what follows cannot be looked into: byte 14: memo entry 7 does not exist",
        ),
        ("an extension code", b"\x80\x02\x82\x01)R.".to_vec(), "byte 2 imports by extension code 1"),
        ("an attribute set on a function", b"cnumpy\nprod\nN}Va\nVos\ns\x86b.".to_vec(), "changes numpy.prod itself"),
        ("an entry set in a module", b"cnumpy\nmodules\nVa\nVb\ns.".to_vec(), "changes numpy.modules itself"),
        ("a dotted name through another module", b"\x80\x04\x8c\x05numpy\x8c\x09os.system\x93)R.".to_vec(), "imports numpy.os.system"),
        ("a call of what a call gave", b"cnumpy\nprod\n)R)R.".to_vec(), "calls something whose name cannot be told"),
        ("a pickle in the pickle", nested, "imports pickle.loads"),
        ("a second pickle", b"N.cos\nsystem\n)R.".to_vec(), "byte 2 imports os.system"),
    ];
    for (how, bytes, expected) in cases {
        let found = dangers(&bytes);
        assert!(found.contains(expected), "{how}: {found:?}");
    }
}

/// Scanners that failed on these said nothing about what came before, and loaders run that.
#[test]
fn what_stands_before_a_defect_is_told_with_it() {
    for (tail, expected) in [
        (&b"\xff"[..], "byte 14: 0xff is no opcode"),
        (b"", "byte 13: the pickle is cut off"),
        (b"R", "`Reduce` takes what is not on the stack"),
        (b"X\xff\xff\xff\xffabc", "the pickle is cut off"),
        (b"\x80\x06", "protocol 6 is unknown"),
        (b"\x95\xff\xff\xff\xff\xff\xff\xff\xff", "a number of `Frame` cannot be read"),
        (b"p+1\n", "a number of `Put` cannot be read"),
        (b"(2", "`Dup` takes what is not on the stack"),
        (b"}(K\x01u", "`SetItems` takes what is not on the stack"),
    ] {
        let found = dangers(&[b"cposix\nsystem\n", tail].concat());
        assert!(found.starts_with("byte 0 imports posix.system; what follows cannot be looked into"), "{found}");
        assert!(found.contains(expected.split(": ").last().unwrap()), "{tail:?}: {found}");
    }
}

#[test]
fn bytes_behind_the_end_are_told() {
    let scan = scanned(b"N.garbage");
    assert_eq!((scan.streams, scan.defect.is_none()), (1, true));
    assert_eq!(dangers(b"N.garbage"), "byte 2 is behind the end of the pickle, and what follows is none: byte 9: the pickle is cut off");
    assert_eq!(dangers(b"N.N."), "");
    assert!(findings("m", "", &scanned(b"N.N."))[0].what.starts_with("2 pickles one after the other"));
    assert!(dangers(&b"N.".repeat(100)).contains("behind 64 pickles"));
}

#[test]
fn a_harmless_pickle_is_a_finding_and_no_danger() {
    let bytes = [b"\x80\x02ccollections\nOrderedDict\n)R}".to_vec(), text("a"), b"K\x01sb.".to_vec()].concat();
    let found = findings("m.pkl", "data.pkl", &scanned(&bytes));
    let told: Vec<_> = found.iter().map(|finding| (finding.rule.id, finding.what.as_str())).collect();
    assert_eq!(told, [("pickle", "data.pkl: pickle of protocol 2: imports collections.OrderedDict")]);
}

#[test]
fn an_unusual_import_is_named_first() {
    let found = findings("m.pkl", "", &scanned(b"cnumpy\ndtype\n0cmine\nNet\n)R."));
    assert_eq!(found[0].what, "pickle of protocol 0: imports mine.Net, which are not usual in models; imports numpy.dtype");
    assert_eq!(found.len(), 1);
}

#[test]
fn names_from_a_pickle_cannot_drive_a_terminal() {
    assert_eq!(dangers(b"cos\n\x1b[2J\n."), "byte 0 imports os.\\u{1b}[2J");
}

#[test]
fn tensors_are_counted_by_type() {
    let tensor = |kind: &str, size: &[u8]| {
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            format!("ctorch\n{kind}\n").into_bytes(),
            text("0"),
            text("cpu"),
            b"K\x06tQK\0(".to_vec(),
            size.to_vec(),
            b"t(K\x01t\x89N}tR0".to_vec(),
        ]
        .concat()
    };
    let bytes = [
        b"\x80\x02".to_vec(),
        tensor("FloatStorage", b"K\x02K\x03"),
        tensor("BFloat16Storage", b""),
        tensor("FloatStorage", b"K\x04"),
        tensor("Mystery", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f"),
        b"N.".to_vec(),
    ]
    .concat();
    let scan = scanned(&bytes);
    assert!(scan.defect.is_none(), "{:?}", scan.defect);
    assert_eq!(scan.tensors.count, 4);
    assert_eq!(scan.tensors.elements.into_iter().collect::<Vec<_>>(), [("bfloat16", 1), ("float32", 10)]);
}

/// Each costs its author little, and has an end for us.
#[test]
fn a_bomb_is_never_clean() {
    let flood = |opcodes: &[u8], count: usize| opcodes.repeat(count);
    let memo_bomb = (0..200_000_u32).flat_map(|n| [&b"r"[..], &n.to_le_bytes()[..]].concat()).collect::<Vec<_>>();
    let cases: [(&str, Vec<u8>); 12] = [
        ("marks", flood(b"(", 1_000_000)),
        ("duplicates", [b"N".to_vec(), flood(b"2", 1_000_000)].concat()),
        ("memo entries", [b"N".to_vec(), memo_bomb].concat()),
        ("a memo entry far away", [b"N".to_vec(), flood(b"r\xff\xff\xff\xff", 100_000), b".".to_vec()].concat()),
        ("memoized", [b"N".to_vec(), flood(b"\x94", 700_000)].concat()),
        ("nothing", flood(b"N0", 500_000)),
        ("tuples of tuples", [b"N".to_vec(), flood(b"\x852\x86", 300_000)].concat()),
        ("dicts", flood(b"}0", 300_000)),
        ("imports", (0..50_000).flat_map(|n| format!("cos\nf{n}\n0").into_bytes()).collect()),
        ("one import", flood(b"cos\nf\n0", 100_000)),
        ("a long line", [b"V".to_vec(), vec![b'x'; 8 << 20]].concat()),
        ("marks that are looked for", [flood(b"(", 200_000), flood(b"N", 50_000), flood(b"t(", 200_000)].concat()),
    ];
    for (how, bytes) in cases {
        let scan = scanned(&bytes);
        assert!(!scan.looks_clean() || how == "a memo entry far away", "{how}");
    }
}
