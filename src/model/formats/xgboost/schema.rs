//! What is read of an XGBoost document, in either of its encodings. The schema is
//! <https://github.com/dmlc/xgboost/blob/master/doc/model.schema>.

use std::io::{Read, Seek};

use super::error::XgboostError;
use super::json::Json;
use super::legacy;
use super::token::{Token, Tokens};
use super::ubjson::Ubjson;
use crate::model::formats::files::Sample;
use crate::model::formats::input::Input;

/// Bytes of a member's name that are compared.
const MAX_KEY: usize = 64;

/// What an XGBoost model says about itself. Texts are the file's own, cut but not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XgboostModel {
    /// `JSON`, `UBJSON` or `binary`.
    pub form: &'static str,
    /// The version of XGBoost that wrote it.
    pub version: Vec<String>,
    /// `binary:logistic`.
    pub objective: String,
    /// `gbtree`, `gblinear`, `dart`.
    pub booster: String,
    /// How many features a row has.
    pub features: String,
    /// Classes, 0 for two and for regression.
    pub classes: String,
    /// Outputs of one row.
    pub targets: String,
    /// Trees.
    pub trees: String,
    /// The global bias.
    pub base_score: String,
    /// The features' names.
    pub feature_names: Sample,
    /// The features' types: `q`, `i`, `c`.
    pub feature_types: Sample,
}

impl XgboostModel {
    /// Reads a model of any form in constant memory; its trees are stepped over.
    ///
    /// # Errors
    /// [`XgboostError`] with byte and reason.
    pub fn read(input: impl Read + Seek) -> Result<Self, XgboostError> {
        let mut input = Input::new(input)?;
        match form(&mut input)? {
            Form::Json => document("JSON", &mut Json::new(input)),
            Form::Ubjson => document("UBJSON", &mut Ubjson::new(input)),
            Form::Binary => legacy::read(&mut input),
        }
    }

    /// Whether a file that begins with these bytes is one, as far as can be told.
    pub(super) fn starts(head: &[u8]) -> bool {
        let Ok(mut input) = Input::new(std::io::Cursor::new(head)) else { return false };
        match form(&mut input) {
            Ok(Form::Json) => has_learner(&mut Json::new(input)),
            Ok(Form::Ubjson) => has_learner(&mut Ubjson::new(input)),
            Ok(Form::Binary) => legacy::read(&mut input).is_ok(),
            Err(_) => false,
        }
    }
}

enum Form {
    Json,
    Ubjson,
    Binary,
}

/// Both encodings begin with `{`: after it JSON has space or a quote, UBJSON the type of a length or the end. As XGBoost tells them apart.
fn form<R: Read + Seek>(input: &mut Input<R>) -> Result<Form, XgboostError> {
    let first = input.byte()?;
    let second = input.peek()?;
    input.seek(0)?;
    Ok(match (first, second) {
        (b'{', Some(b'i' | b'U' | b'I' | b'l' | b'L')) => Form::Ubjson,
        (b'{' | b' ' | b'\t' | b'\n' | b'\r', _) => Form::Json,
        _ => Form::Binary,
    })
}

/// Whether the outermost object has a member `learner`, as far as the document goes.
fn has_learner(tokens: &mut dyn Tokens) -> bool {
    let mut depth = 0;
    while let Ok(token) = tokens.next() {
        match token {
            Token::BeginObject | Token::BeginArray => depth += 1,
            Token::EndObject | Token::EndArray => depth -= 1,
            Token::Key if depth == 1 && tokens.text() == "learner" => return tokens.next().is_ok_and(|next| next == Token::BeginObject),
            Token::End => return false,
            _ => {}
        }
    }
    false
}

fn document(form: &'static str, tokens: &mut dyn Tokens) -> Result<XgboostModel, XgboostError> {
    let mut model = XgboostModel { form, ..XgboostModel::default() };
    let mut path = Path::default();
    loop {
        match tokens.next()? {
            Token::BeginObject | Token::BeginArray => path.enter(),
            Token::EndObject | Token::EndArray => path.leave(),
            Token::Key => path.name(&tokens.text()),
            Token::Leaf if path.is_wanted() => model.set(&path.text, tokens),
            Token::Leaf | Token::Other => {}
            Token::End => break,
        }
    }
    tracing::debug!(form, bytes = tokens.at(), "read an XGBoost document");
    if model.features.is_empty() {
        return Err(XgboostError::NotAModel { missing: "learner/learner_model_param/num_feature" });
    }
    Ok(model)
}

impl XgboostModel {
    fn set(&mut self, path: &str, tokens: &dyn Tokens) {
        let text = tokens.text();
        match path {
            "/version/" => self.version.push(text),
            "/learner/objective/name" => self.objective = text,
            "/learner/gradient_booster/name" => self.booster = text,
            "/learner/learner_model_param/num_feature" => self.features = text,
            "/learner/learner_model_param/num_class" => self.classes = text,
            "/learner/learner_model_param/num_target" => self.targets = text,
            "/learner/learner_model_param/base_score" => self.base_score = text,
            "/learner/feature_names/" => self.feature_names.push(&text),
            "/learner/feature_types/" => self.feature_types.push(&text),
            // dart wraps the same model once more
            "/learner/gradient_booster/model/gbtree_model_param/num_trees"
            | "/learner/gradient_booster/gbtree/model/gbtree_model_param/num_trees" => self.trees = text,
            _ => {}
        }
        self.version.truncate(3);
    }
}

/// Where in the document a value is: `/learner/objective/name`, and `/version/` for every item of a list.
#[derive(Default)]
struct Path {
    text: String,
    /// How long the text is at each level that is open.
    levels: Vec<usize>,
}

impl Path {
    fn enter(&mut self) {
        self.text.push('/');
        self.levels.push(self.text.len());
    }

    fn leave(&mut self) {
        self.levels.pop();
        let parent = self.levels.last().copied().unwrap_or(0);
        self.text.truncate(parent);
    }

    fn name(&mut self, key: &str) {
        let level = self.levels.last().copied().unwrap_or(0);
        self.text.truncate(level);
        self.text.extend(key.chars().take(MAX_KEY));
    }

    /// Millions of numbers are not.
    fn is_wanted(&self) -> bool {
        self.levels.len() <= 6
    }
}
