//! A container's environment, and what Kubernetes expands from it.
//! <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>

use super::spec::{EnvFrom, EnvVar, KeyRef, Step};
use super::{Cluster, Files, Refused};

/// Name and value, in order; a later one of a name counts.
pub(crate) type Environment = Vec<(String, String)>;

/// `$(NAME)` becomes its value, `$$` a dollar; a name that is not there stays as it is written.
pub(crate) fn expand(text: &str, environment: &Environment) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        done.push_str(&rest[..at]);
        let (put, length) = expansion(&rest[at..], environment);
        done.push_str(&put);
        rest = &rest[at + length..];
    }
    done + rest
}

/// What stands at a dollar, and how long it was.
fn expansion(at_dollar: &str, environment: &Environment) -> (String, usize) {
    if at_dollar.starts_with("$$") {
        return ("$".to_owned(), 2);
    }
    let name = at_dollar.strip_prefix("$(").and_then(|rest| Some(rest.split_once(')')?.0));
    let Some(name) = name else { return ("$".to_owned(), 1) };
    let known = environment.iter().rev().find(|(known, _)| known == name);
    (known.map_or_else(|| format!("$({name})"), |(_, value)| value.clone()), name.len() + 3)
}

impl Cluster {
    /// The environment that a step says.
    pub(crate) fn environment(&self, of: &str, step: &Step) -> Result<Environment, Refused> {
        let mut environment = self.service_account.clone().unwrap_or_default().environment;
        for from in &step.env_from {
            environment.extend(self.all_of(of, from)?);
        }
        for variable in &step.env {
            if let Some(value) = self.value_of(of, variable, &environment)? {
                environment.push((variable.name.clone(), value));
            }
        }
        Ok(environment)
    }

    fn all_of(&self, of: &str, from: &EnvFrom) -> Result<Environment, Refused> {
        let (name, text) = (&from.secret_ref.name, |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned());
        match self.secrets.get(name) {
            Some(files) => Ok(files.iter().map(|(key, bytes)| (key.clone(), text(bytes))).collect()),
            None if from.secret_ref.optional => Ok(Environment::new()),
            None => Err(Refused(format!("{of}: CreateContainerConfigError: secret {name:?} not found"))),
        }
    }

    fn value_of(&self, of: &str, variable: &EnvVar, before: &Environment) -> Result<Option<String>, Refused> {
        let Some(from) = &variable.value_from else { return Ok(Some(expand(&variable.value, before))) };
        match (&from.secret_key_ref, &from.config_map_key_ref) {
            (Some(key), None) => content(of, "Secret", key, self.secrets.get(&key.name)),
            (None, Some(key)) => content(of, "ConfigMap", key, self.config_maps.get(&key.name)),
            _ => Err(Refused(format!("{of}: {} has no source that the runner knows", variable.name))),
        }
    }
}

fn content(of: &str, kind: &str, key: &KeyRef, files: Option<&Files>) -> Result<Option<String>, Refused> {
    let found = files.and_then(|files| files.get(&key.key));
    if found.is_none() && !key.optional {
        return Err(Refused(format!("{of}: CreateContainerConfigError: {kind} {:?} has no key {:?}", key.name, key.key)));
    }
    Ok(found.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

mod tests {
    use super::expand;

    #[test]
    fn a_variable_is_expanded_unless_it_is_unknown_or_escaped() {
        let environment = vec![("HOME".to_owned(), "/old".to_owned()), ("HOME".to_owned(), "/home".to_owned())];
        let texts = [
            ("$(HOME)/x", "/home/x"),
            ("$$(HOME) $$$(HOME)", "$(HOME) $/home"),
            ("$(OTHER) $HOME $", "$(OTHER) $HOME $"),
            ("$(", "$("),
            ("${HOME}", "${HOME}"),
        ];
        for (text, expanded) in texts {
            assert_eq!(expand(text, &environment), expanded);
        }
    }
}
