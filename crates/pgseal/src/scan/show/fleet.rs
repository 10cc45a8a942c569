//! Many servers in two lines: how many, how fast, how good.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::report::Report;

/// What stands below the last of them; nothing where there was one alone.
pub(crate) fn summary(reports: &[Report], took: Duration) -> Option<String> {
    if reports.len() < 2 {
        return None;
    }
    let answered = reports.iter().filter(|report| report.scanned.reachable()).count();
    let connections: u32 = reports.iter().map(|report| report.scanned.known.connections).sum();
    let mut grades: BTreeMap<String, usize> = BTreeMap::new();
    for grade in reports.iter().filter_map(|report| report.grade) {
        *grades.entry(grade.letter().to_string()).or_default() += 1;
    }
    let grades: Vec<String> = grades.iter().map(|(letter, count)| format!("{letter} {count}")).collect();
    let graded =
        if grades.is_empty() { "nobody graded".to_owned() } else { format!("grade {}", grades.join(", ")) };
    Some(format!(
        "{} targets in {:.2} s ({:.1} a second): {answered} answered, {} did not; {graded}; {connections} connections",
        reports.len(),
        took.as_secs_f64(),
        rate(reports.len(), took),
        reports.len() - answered,
    ))
}

fn rate(count: usize, took: Duration) -> f64 {
    let count = u32::try_from(count).map_or(f64::MAX, f64::from);
    count / took.as_secs_f64().max(0.001)
}
