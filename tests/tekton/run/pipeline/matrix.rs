//! `matrix`: a TaskRun for every combination. <https://tekton.dev/docs/pipelines/matrix/>

use std::collections::BTreeMap;

use super::spec::Matrix;
use crate::tekton::run::spec::Param;
use crate::tekton::run::substitute::Variables;
use crate::tekton::run::{ParamValue, Refused, refuse};

/// Tekton's default for one matrix.
const MOST: usize = 256;

type Combination = BTreeMap<String, ParamValue>;

/// All combinations in Tekton's order: later parameters turn slower; an empty array leaves none.
pub(super) fn combinations(place: &str, matrix: &Matrix, known: &Variables) -> Result<Vec<Combination>, Refused> {
    let mut all = vec![Combination::new()];
    for param in &matrix.params {
        let ParamValue::List(items) = known.in_value(&param.value) else {
            refuse!("{place}: parameters of type array only are allowed, but param {:?} in the matrix is of another", param.name);
        };
        all = items.iter().flat_map(|item| all.iter().map(|known| with(known, &param.name, item))).collect();
    }
    let included: Vec<Combination> = matrix.include.iter().map(|include| of_params(&include.params, known)).collect();
    let all = if matrix.params.is_empty() { included } else { with_included(all, &included) };
    if all.len() > MOST {
        refuse!("{place}: a matrix of {} combinations is out of bounds, {MOST} are allowed", all.len());
    }
    Ok(all)
}

fn with(known: &Combination, name: &str, item: &str) -> Combination {
    let mut more = known.clone();
    more.insert(name.to_owned(), item.into());
    more
}

fn of_params(params: &[Param], known: &Variables) -> Combination {
    params.iter().map(|param| (param.name.clone(), known.in_value(&param.value))).collect()
}

/// An `include` adds to the combinations that it agrees with; one that has a value of its own for a parameter is a combination more.
fn with_included(mut all: Vec<Combination>, included: &[Combination]) -> Vec<Combination> {
    for own in included {
        let agrees = |known: &Combination| own.iter().all(|(name, value)| known.get(name).is_none_or(|other| other == value));
        all.iter_mut().filter(|known| agrees(known)).for_each(|known| known.extend(own.clone()));
    }
    for own in included {
        let shares = |known: &Combination| own.iter().any(|(name, value)| known.get(name) == Some(value));
        if !own.is_empty() && !all.iter().any(shares) {
            all.push(own.clone());
        }
    }
    all
}

mod tests {
    use super::combinations;
    use crate::tekton::run::substitute::Variables;
    use serde_json::{Value, json};

    fn fanned(matrix: Value) -> Value {
        let mut known = Variables::default();
        known.value("params", "SITES", &["a", "b"].into());
        known.value("params", "NONE", &[].into());
        json!(combinations("task t", &serde_json::from_value(matrix).unwrap(), &known).unwrap())
    }

    #[test]
    fn every_item_meets_every_other() {
        let params = json!([{"name": "S", "value": "$(params.SITES[*])"}, {"name": "M", "value": ["x", "y"]}]);
        let expected = json!([{"S": "a", "M": "x"}, {"S": "b", "M": "x"}, {"S": "a", "M": "y"}, {"S": "b", "M": "y"}]);
        assert_eq!(fanned(json!({"params": params})), expected);
        assert_eq!(fanned(json!({"params": [{"name": "S", "value": "$(params.NONE[*])"}]})), json!([]));
    }

    #[test]
    fn includes_add_to_what_they_agree_with_or_are_one_more() {
        let include = |params: Value| json!({"name": "i", "params": params});
        let same = include(json!([{"name": "S", "value": "a"}, {"name": "F", "value": "f"}]));
        let other = include(json!([{"name": "S", "value": "c"}]));
        let matrix = json!({"params": [{"name": "S", "value": "$(params.SITES[*])"}], "include": [same, other.clone()]});
        assert_eq!(fanned(matrix), json!([{"S": "a", "F": "f"}, {"S": "b"}, {"S": "c"}]));
        assert_eq!(fanned(json!({"include": [other]})), json!([{"S": "c"}]));
    }

    #[test]
    fn more_than_256_combinations_are_refused() {
        let items: Vec<String> = (0..257).map(|number| number.to_string()).collect();
        let matrix = serde_json::from_value(json!({"params": [{"name": "S", "value": items}]})).unwrap();
        let refused = combinations("task t", &matrix, &Variables::default()).unwrap_err().to_string();
        assert_eq!(refused, "task t: a matrix of 257 combinations is out of bounds, 256 are allowed");
    }
}
