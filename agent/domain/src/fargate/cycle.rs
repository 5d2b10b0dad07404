//! Whether containers wait for each other in a circle.

/// Names on one circle, in its order; `None` when there is none. `edges` are
/// (waiting, waited for).
pub(super) fn find<'a>(names: &[&'a str], edges: &[(&'a str, &'a str)]) -> Option<Vec<&'a str>> {
    let mut cleared: Vec<&str> = Vec::new();
    for name in names {
        let mut path = Vec::new();
        if let Some(circle) = walk(name, edges, &mut path, &mut cleared) {
            return Some(circle);
        }
    }
    None
}

fn walk<'a>(
    at: &'a str,
    edges: &[(&'a str, &'a str)],
    path: &mut Vec<&'a str>,
    cleared: &mut Vec<&'a str>,
) -> Option<Vec<&'a str>> {
    if cleared.contains(&at) {
        return None;
    }
    if let Some(start) = path.iter().position(|seen| *seen == at) {
        return Some(path.split_off(start));
    }
    path.push(at);
    for (_, next) in edges.iter().filter(|(from, _)| *from == at) {
        if let Some(circle) = walk(next, edges, path, cleared) {
            return Some(circle);
        }
    }
    path.pop();
    cleared.push(at);
    None
}
