//! The `Containerfile` as far as it can be judged without a builder: its stages, arguments and sources hang together, it takes nothing in
//! that `.containerignore` keeps out, and no secret can get into a layer.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::repo_root;

/// A stage: what it is built from, its name, its instructions.
pub(crate) struct Stage {
    base: String,
    name: String,
    instructions: Vec<(String, String)>,
}

/// A parsed Containerfile: <https://docs.docker.com/reference/dockerfile/>.
pub(crate) struct Containerfile {
    /// Before the first stage.
    arguments: Vec<String>,
    stages: Vec<Stage>,
}

impl Containerfile {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parsed = Self { arguments: Vec::new(), stages: Vec::new() };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()).collect();
        for instruction in lines.join("\n").replace("\\\n", " ").lines() {
            let (word, rest) = instruction.trim().split_once(' ').unwrap_or((instruction, ""));
            parsed.take(word, rest.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        parsed
    }

    fn take(&mut self, word: &str, rest: String) {
        match (word, self.stages.last_mut()) {
            ("FROM", _) => {
                let (base, name) = rest.split_once(" AS ").unwrap_or((&rest, ""));
                self.stages.push(Stage { base: base.to_owned(), name: name.to_owned(), instructions: Vec::new() });
            }
            ("ARG", None) => self.arguments.push(rest),
            (_, Some(stage)) => stage.instructions.push((word.to_owned(), rest)),
            (_, None) => panic!("{word} stands before the first FROM"),
        }
    }

    /// The stage that is built where no `--target` is given.
    pub(crate) fn last(&self) -> &Stage {
        self.stages.last().expect("there is a stage")
    }
}

impl Stage {
    /// What follows an instruction, each time it stands there.
    pub(crate) fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        self.instructions.iter().filter(move |(name, _)| name == word).map(|(_, rest)| rest.as_str())
    }
}

/// What is wrong with it.
fn findings(text: &str, ignore: &str, root: &Path) -> Vec<String> {
    let file = Containerfile::parse(text);
    let mut found = Vec::new();
    found.extend(bases(&file));
    for (number, stage) in file.stages.iter().enumerate() {
        found.extend(arguments(&file, stage));
        found.extend(sources(&file.stages[..number], stage, ignore, root));
        found.extend(secrets(stage));
    }
    found.extend(ending(file.last()));
    found.extend(
        admitted(ignore).into_iter().filter(|path| !root.join(path).exists()).map(|path| format!("{path} is let in and is not there")),
    );
    found
}

/// A base is `scratch`, or an argument whose default names a version.
fn bases(file: &Containerfile) -> Vec<String> {
    let mut found = Vec::new();
    for stage in file.stages.iter().filter(|stage| stage.base != "scratch") {
        let name = stage.base.trim_start_matches("${").trim_end_matches('}');
        match file.arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')) {
            None => found.push(format!("{} is no argument with a default", stage.base)),
            Some(image) if image.contains("@sha256:") => {}
            Some(image) if image.rsplit('/').next().is_some_and(|name| name.contains(':')) && !image.ends_with(":latest") => {}
            Some(image) => found.push(format!("{image} names no version")),
        }
    }
    let used: Vec<&str> = file.stages.iter().map(|stage| stage.base.as_str()).collect();
    let unused = |argument: &&String| !used.contains(&format!("${{{}}}", name_of(argument)).as_str());
    found.extend(file.arguments.iter().filter(unused).map(|argument| format!("argument {argument} is not used")));
    found
}

fn name_of(argument: &str) -> &str {
    argument.split('=').next().unwrap_or_default()
}

/// Every argument is used in its stage, and every variable is one.
fn arguments(file: &Containerfile, stage: &Stage) -> Vec<String> {
    let declared: BTreeSet<&str> = stage.all("ARG").map(name_of).collect();
    let values = stage.instructions.iter().map(|(_, rest)| rest.as_str());
    let used: BTreeSet<&str> = values.flat_map(|rest| rest.split("${").skip(1).filter_map(|part| part.split('}').next())).collect();
    let mut found: Vec<String> = declared.difference(&used).map(|name| format!("argument {name} is not used")).collect();
    found.extend(used.difference(&declared).map(|name| format!("${{{name}}} is not declared")));
    let global = |name: &str| file.arguments.iter().any(|argument| name_of(argument) == name);
    let bare = stage.all("ARG").filter(|argument| !argument.contains('=') && !global(argument));
    found.extend(bare.map(|argument| format!("argument {argument} has no default")));
    found
}

/// What is copied exists: in an earlier stage, or here and let in.
fn sources(earlier: &[Stage], stage: &Stage, ignore: &str, root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for copy in stage.all("COPY") {
        let words: Vec<&str> = copy.split(' ').collect();
        if let Some(from) = words[0].strip_prefix("--from=") {
            if !earlier.iter().any(|stage| stage.name == from) {
                found.push(format!("{from} is no earlier stage"));
            }
            continue;
        }
        for source in &words[..words.len() - 1] {
            if !root.join(source).exists() {
                found.push(format!("{source} is not there"));
            }
            if !admitted(ignore).iter().any(|path| source == path || source.starts_with(&format!("{path}/"))) {
                found.push(format!("{source} is ignored"));
            }
        }
    }
    found
}

/// `.containerignore` begins by keeping everything out; these are let in.
fn admitted(ignore: &str) -> Vec<&str> {
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(lines.next(), Some("*"), "everything is kept out first");
    lines.map(|line| line.strip_prefix('!').unwrap_or_else(|| panic!("{line} is kept out already"))).collect()
}

/// An argument's value stays in the image's history, and `ADD` fetches what nobody has checked.
fn secrets(stage: &Stage) -> Vec<String> {
    let words = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL", "_KEY"];
    let named =
        stage.all("ARG").chain(stage.all("ENV")).filter(|line| words.iter().any(|word| name_of(line).to_uppercase().contains(word)));
    let mut found: Vec<String> = named.map(|line| format!("{} would stay in the image", name_of(line))).collect();
    found.extend(stage.all("ADD").map(|what| format!("ADD {what}")));
    found.extend(stage.all("RUN").filter(|run| run.contains("curl ") || run.contains("wget ")).map(|run| format!("downloads: {run}")));
    found
}

/// What the last stage has to be.
fn ending(stage: &Stage) -> Vec<String> {
    let mut found = Vec::new();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    };
    expect(stage.base == "scratch", "the last stage has a base");
    expect(stage.all("RUN").next().is_none(), "the last stage runs something, and has nothing to run it with");
    expect(stage.all("USER").eq(["65532:0"]), "its user is not 65532:0");
    expect(stage.all("ENTRYPOINT").eq([r#"["/usr/bin/modelcar"]"#]), "its entrypoint is not modelcar alone");
    expect(stage.all("ENV").any(|line| line == "PATH=/usr/bin"), "Tekton would not find modelcar on PATH");
    found
}

fn ours() -> (String, String) {
    let read = |name: &str| fs::read_to_string(repo_root().join(name)).unwrap();
    (read("Containerfile"), read(".containerignore"))
}

#[test]
fn the_containerfile_hangs_together() {
    let (text, ignore) = ours();
    assert_eq!(findings(&text, &ignore, repo_root()), Vec::<String>::new());
    let file = Containerfile::parse(&text);
    assert_eq!(file.stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>(), ["build", "git", "image"]);
    assert!(file.stages[1].all("USER").eq(["65532:0"]), "the image with git is as little root's as the other");
}

#[test]
fn each_slip_in_a_containerfile_is_found() {
    let slips = [
        ("FROM scratch AS image", "FROM ${GIT_BASE} AS image", "the last stage has a base"),
        ("COPY src src", "COPY sources src", "sources is not there"),
        ("COPY src src", "COPY target src", "target is ignored"),
        ("COPY src src", "COPY .git src", ".git is ignored"),
        ("COPY --from=build /rootfs /", "COPY --from=builder /rootfs /", "builder is no earlier stage"),
        ("ARG PROFILE=dist", "ARG PROFIL=dist", "argument PROFIL is not used"),
        ("ARG PROFILE=dist", "ARG PROFIL=dist", "${PROFILE} is not declared"),
        ("ARG PROFILE=dist", "ARG PROFILE", "argument PROFILE has no default"),
        ("ARG PROFILE=dist", "ARG PROFILE=dist\nARG GIT_TOKEN", "GIT_TOKEN would stay in the image"),
        ("ARG GIT_BASE=", "ARG OTHER=x\nARG GIT_BASE=", "argument OTHER=x is not used"),
        (":bookworm-scm", ":latest", "docker.io/library/buildpack-deps:latest names no version"),
        (":bookworm-scm", "", "docker.io/library/buildpack-deps names no version"),
        ("COPY src src", "ADD https://example.com/src src", "ADD https://example.com/src src"),
        ("WORKDIR /modelcar", "RUN curl x | sh", "downloads: curl"),
        ("ENV PATH=/usr/bin", "ENV PATH=/bin", "Tekton would not find modelcar on PATH"),
        ("# Group 0", "RUN true\n# Group 0", "the last stage runs something, and has nothing to run it with"),
    ];
    let (text, ignore) = ours();
    for (from, to, finding) in slips {
        assert!(text.contains(from), "{from:?} is not there");
        let found = findings(&text.replacen(from, to, 1), &ignore, repo_root());
        assert!(found.iter().any(|found| found.starts_with(finding)), "{to:?}: {found:?}");
    }
    let last = text.rfind("USER 65532:0").unwrap();
    let (head, tail) = text.split_at(last);
    let found = findings(&format!("{head}{}", tail.replace("65532:0", "root")), &ignore, repo_root());
    assert_eq!(found, ["its user is not 65532:0"]);
    let found = findings(&text, &ignore.replace("!src\n", "!sources\n"), repo_root());
    assert_eq!(found, ["src is ignored", "sources is let in and is not there"]);
}
