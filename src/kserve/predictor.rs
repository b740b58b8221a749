//! Names of predictors. KServe builds the names of Deployments, Services and labels from them, and Kubernetes limits those.

use crate::oci::Digest;

/// The longest label value of Kubernetes.
const MAX_LABEL: usize = 63;
/// What KServe adds to the names of service and predictor: pods are labelled `app: isvc.SERVICE-PREDICTOR-predictor`
/// (`deployment_reconciler.go`, `GetRawServiceLabel`), the longest of all names that it builds.
const AROUND: usize = "isvc.".len() + "-".len() + "-predictor".len();
/// How much of a digest tells two versions of a model apart: 32 bits, and at least 16 where the service's name is long.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=8;

/// The name of the predictor that runs an image of a service: `m`, as a name starts with a letter, and the first digits of the digest that
/// are not taken. The name says which image it is, and a canary keeps it, and its pods, when it is promoted.
///
/// `None` where the service's name leaves no room: it has more than 42 characters.
pub fn predictor_name(service: &str, digest: &Digest, taken: &[&str]) -> Option<String> {
    let room = MAX_LABEL.checked_sub(AROUND + "m".len() + service.len())?;
    let hex = digest.hex();
    let count = Some(room.min(*DIGITS.end())).filter(|count| DIGITS.contains(count))?;
    let mut names = (0..=hex.len().checked_sub(count)?).filter_map(|at| Some(format!("m{}", hex.get(at..at + count)?)));
    names.find(|name| !taken.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_into_every_label_that_kserve_makes_of_it() {
        let digest = Digest::of(b"model");
        for length in 1..=63 {
            let service = "x".repeat(length);
            let Some(name) = predictor_name(&service, &digest, &[]) else {
                assert!(length > 42, "{length}");
                continue;
            };
            assert!(length <= 42, "{length}");
            assert!(format!("isvc.{service}-{name}-predictor").len() <= 63, "{length}");
            assert!(name.starts_with('m') && digest.hex().starts_with(&name[1..]) && name.len() >= 5, "{name}");
        }
        assert_eq!(predictor_name("iris", &digest, &[]).unwrap().len(), 9);
    }

    #[test]
    fn names_are_digests_and_never_the_same_twice() {
        let digest = Digest::of(b"v2");
        let (first, hex) = (predictor_name("iris", &digest, &[]).unwrap(), digest.hex());
        assert_eq!(first, format!("m{}", &hex[..8]));
        assert_eq!(predictor_name("iris", &digest, &[&first]).unwrap(), format!("m{}", &hex[1..9]));
    }

    #[test]
    fn the_same_image_has_the_same_name_and_another_has_another() {
        let name = |image: &[u8]| predictor_name("iris", &Digest::of(image), &[]).unwrap();
        assert_eq!(name(b"v1"), name(b"v1"));
        assert_ne!(name(b"v1"), name(b"v2"));
    }
}
