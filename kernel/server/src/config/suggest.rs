//! "Did you mean": the known key nearest to one that is not known.

use super::schema::{self, KEYS};

/// The key that was probably meant by the dotted `path`.
pub(super) fn key(path: &[String]) -> Option<String> {
    let written = path.join(".");
    let last = path.last()?;
    // A third of a word may be wrong; more would suggest anything for short words.
    let tolerance = 1.max(last.chars().count() / 3);
    let mut best: Option<(usize, usize, String)> = None;
    for candidate in candidates(path) {
        let name = candidate.rsplit('.').next().unwrap_or(&candidate);
        let whole = distance(&written, &candidate);
        // The right key in the wrong section, or an abbreviation in the right one, is as good as one slip.
        let score = if name == last || is_abbreviation(&written, &candidate) { whole.min(1) } else { whole };
        if score <= tolerance && best.as_ref().is_none_or(|(s, w, _)| (score, whole) < (*s, *w)) {
            best = Some((score, whole, candidate));
        }
    }
    best.map(|(_, _, candidate)| candidate)
}

/// The section that was probably meant.
pub(super) fn section(path: &[String]) -> Option<String> {
    let mut sections: Vec<String> = candidates(path)
        .filter_map(|key| key.rsplit_once('.').map(|(section, _)| section.to_owned()))
        .chain([schema::PROVIDERS.to_owned()])
        .collect();
    sections.dedup();
    nearest(&path.join("."), sections.iter().map(String::as_str)).map(str::to_owned)
}

/// The word at most a third of whose letters differ.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(&word.to_lowercase(), candidate), candidate))
        .filter(|(far, candidate)| *far <= 1.max(candidate.chars().count() / 3))
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// All keys, those of providers under the name that `path` gives.
fn candidates(path: &[String]) -> impl Iterator<Item = String> {
    let provider = schema::provider_of(path).map(str::to_owned);
    KEYS.iter().filter_map(move |key| {
        if !key.pattern.contains('*') {
            return Some(key.pattern.to_owned());
        }
        let provider = provider.as_deref()?;
        Some(key.pattern.replace('*', provider))
    })
}

/// `server.tls.certificate` for `server.tls.cert`, or the other way round.
fn is_abbreviation(written: &str, candidate: &str) -> bool {
    let (Some((section, a)), Some((other, b))) = (written.rsplit_once('.'), candidate.rsplit_once('.')) else {
        return false;
    };
    section == other && a.len().min(b.len()) >= 3 && (a.starts_with(b) || b.starts_with(a))
}

/// Insertions, deletions, replacements and swaps of neighbours between two texts.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut current = vec![i];
        for j in 1..=b.len() {
            let replaced = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut cost = replaced.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(before[j - 2] + 1);
            }
            current.push(cost);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}
