//! Requests for pages, and what is done to them.

/// The same request with other numbers in its query.
pub fn asked_for(target: &str, change: impl Fn(&str, i64) -> i64) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name @ ("limit" | "offset"), number)) => {
                format!("{name}={}", change(name, number.parse().expect("a number")))
            }
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

/// The limit and the offset of a page.
pub fn page_of(target: &str) -> (usize, usize) {
    let page = std::cell::Cell::new((usize::MAX, 0));
    asked_for(target, |name, number| {
        let (limit, offset) = page.get();
        let asked = usize::try_from(number).expect("a size");
        page.set(if name == "limit" { (asked, offset) } else { (limit, asked) });
        number
    });
    page.get()
}

/// The same request for a page that is no larger than this.
pub fn smaller(target: &str, largest: usize) -> String {
    asked_for(target, |name, number| match name {
        "limit" => number.min(largest as i64),
        _ => number,
    })
}

/// The same request for a later page, moved by so many objects.
pub fn moved(target: &str, by: i64) -> String {
    asked_for(target, |name, number| match name {
        "offset" if number > 0 => number + by,
        _ => number,
    })
}
