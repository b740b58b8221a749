//! Which fields of a step and of a volume take variables.
//! <https://tekton.dev/docs/pipelines/variables/#fields-that-accept-variable-substitutions>

use super::Refused;
use super::spec::{Item, NamedSource, Step, Volume, When};
use super::substitute::{Variables, refuse_leftovers};

/// What a Task must have declared itself; `steps` is known only when they ran.
const OF_TASK: [&str; 7] = ["params", "results", "workspaces", "context", "tasks", "step", "finally"];

impl Step {
    /// Puts variables in.
    pub(crate) fn put(&mut self, known: &Variables) {
        for text in [&mut self.name, &mut self.image].into_iter().chain(&mut self.working_dir).chain(&mut self.on_error) {
            *text = known.in_text(text);
        }
        self.command = known.in_words(&self.command);
        self.args = known.in_words(&self.args);
        for variable in &mut self.env {
            variable.value = known.in_text(&variable.value);
            let from = variable.value_from.iter_mut();
            for key in from.flat_map(|from| from.secret_key_ref.iter_mut().chain(&mut from.config_map_key_ref)) {
                (key.name, key.key) = (known.in_text(&key.name), known.in_text(&key.key));
            }
        }
        self.env_from.iter_mut().for_each(|from| from.secret_ref.name = known.in_text(&from.secret_ref.name));
        for mount in &mut self.volume_mounts {
            for text in [&mut mount.name, &mut mount.mount_path].into_iter().chain(&mut mount.sub_path) {
                *text = known.in_text(text);
            }
        }
        self.when.iter_mut().for_each(|when| when.put(known));
    }

    /// Refuses what no variable replaced.
    pub(crate) fn refuse_leftovers(&self, of: &str) -> Result<(), Refused> {
        let place = format!("{of}, step {}", self.name);
        let of_env = self.env.iter().map(|variable| &variable.value);
        let of_mounts = self.volume_mounts.iter().flat_map(|mount| [&mount.name, &mount.mount_path].into_iter().chain(&mount.sub_path));
        let texts = [&self.name, &self.image].into_iter().chain(&self.working_dir).chain(&self.command).chain(&self.args);
        let of_secrets = self.env_from.iter().map(|from| &from.secret_ref.name);
        texts.chain(of_env).chain(of_secrets).chain(of_mounts).try_for_each(|text| refuse_leftovers(&place, text, &OF_TASK))
    }
}

impl When {
    pub(crate) fn put(&mut self, known: &Variables) {
        self.input = known.in_text(&self.input);
        self.values = known.in_words(&self.values);
    }
}

impl Volume {
    pub(crate) fn put(&mut self, known: &Variables) {
        self.name = known.in_text(&self.name);
        if let Some(secret) = &mut self.secret {
            secret.secret_name = known.in_text(&secret.secret_name);
            put_items(&mut secret.items, known);
        }
        self.config_map.iter_mut().for_each(|source| put_named(source, known));
        self.persistent_volume_claim.iter_mut().for_each(|claim| claim.claim_name = known.in_text(&claim.claim_name));
        for source in self.projected.iter_mut().flat_map(|projected| &mut projected.sources) {
            // the items of a projected source take none
            source.secret.iter_mut().chain(&mut source.config_map).for_each(|named| named.name = known.in_text(&named.name));
            source.service_account_token.iter_mut().for_each(|token| token.audience = known.in_text(&token.audience));
        }
    }

    pub(crate) fn refuse_leftovers(&self, of: &str) -> Result<(), Refused> {
        let text = serde_json::to_string(self).unwrap();
        refuse_leftovers(&format!("{of}, volume {}", self.name), &text, &OF_TASK)
    }
}

fn put_named(source: &mut NamedSource, known: &Variables) {
    source.name = known.in_text(&source.name);
    put_items(&mut source.items, known);
}

fn put_items(items: &mut Option<Vec<Item>>, known: &Variables) {
    for item in items.iter_mut().flatten() {
        (item.key, item.path) = (known.in_text(&item.key), known.in_text(&item.path));
    }
}
