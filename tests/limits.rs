//! No file is so long that it has several reasons to change, and no function so long, or so deep,
//! that it cannot be read at once.

use std::path::Path;

use syn::visit::{self, Visit};

/// How many lines a file may have.
const OF_A_FILE: usize = 600;

/// How many lines a function may have.
const OF_A_FUNCTION: usize = 100;

/// How many blocks may stand in each other in a function; a deeper one says why in a comment
/// `// deep: …` above it.
const DEEP: usize = 5;

/// The files of the program and of its crates, with their texts.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = std::fs::read_dir(root.join("crates")).expect("crates").flatten();
    files(crates.map(|entry| entry.path().join("src")).chain([root.join("src")]).collect())
}

/// The files of the tests, with their texts.
fn tests() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = std::fs::read_dir(root.join("crates")).expect("crates").flatten();
    files(crates.map(|entry| entry.path().join("tests")).chain([root.join("tests")]).collect())
}

/// The files of folders, with their texts.
fn files(folders: Vec<std::path::PathBuf>) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = folders.into_iter().filter(|folder| folder.exists());
    let entries = folders.flat_map(walkdir::WalkDir::new).map(|entry| entry.expect("a folder"));
    let paths = entries.map(walkdir::DirEntry::into_path);
    let sources = paths.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let named = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file");
        (path.strip_prefix(root).expect("below the root").display().to_string(), text)
    };
    sources.map(named).collect()
}

/// The functions of a text with the number of their lines. The text is as `cargo fmt` leaves
/// it: a function ends at the first brace that stands as far in as its name's line.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let Some((before, after)) = code.split_once("fn ") else { continue };
        let is_qualifier = |word: &str| {
            ["const", "async", "unsafe", "extern"].contains(&word) || word.starts_with("pub")
        };
        // `pub(in super::super)` is two words.
        let mut words = before.split(' ').filter(|word| !word.is_empty() && !word.ends_with(')'));
        if !words.all(is_qualifier) {
            continue;
        }
        let is_end = |line: &&str| {
            let rest = line.strip_prefix(indent).unwrap_or_default();
            rest == "}" || (!rest.starts_with([' ', ')']) && rest.ends_with([';', '}']))
        };
        let length = lines[index..].iter().position(is_end).map_or(1, |last| last + 1);
        let name = after.split(['(', '<']).next().unwrap_or_default();
        found.push((name.to_owned(), length));
    }
    found
}

#[test]
fn files_and_functions_can_be_read_at_once() {
    let mut longer = Vec::new();
    let (mut count_of_files, mut count_of_functions) = (0, 0);
    for (file, text) in tests() {
        let lines = text.lines().count();
        if lines > OF_A_FILE {
            longer.push((file, lines));
        }
    }
    for (file, text) in sources() {
        count_of_files += 1;
        let lines = text.lines().count();
        if lines > OF_A_FILE {
            longer.push((file.clone(), lines));
        }
        // Tables of cases are as long as they are.
        let own = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        if file.ends_with("tests.rs") {
            continue;
        }
        for (name, lines) in functions(own) {
            count_of_functions += 1;
            if lines > OF_A_FUNCTION {
                longer.push((format!("{file} {name}"), lines));
            }
        }
    }
    assert!(count_of_files > 300 && count_of_functions > 3_000, "the source was not found");
    assert!(longer.is_empty(), "longer than {OF_A_FILE} or {OF_A_FUNCTION} lines: {longer:#?}");
}

#[test]
fn functions_are_found_wherever_they_stand() {
    let text = "pub fn a() -> u8 {\n    1\n}\n\nimpl A {\n    pub(in super::super) async fn b(\n        c: u8,\n    ) -> u8\n    where\n        u8: Copy,\n    {\n        let d = || {\n            1\n        };\n        c\n    }\n\n    fn e() {}\n    fn f(self);\n}\n\nconst fn g<T>() {\n}\n";
    let told: Vec<String> =
        functions(text).iter().map(|(name, lines)| format!("{name} {lines}")).collect();
    assert_eq!(told, ["a 3", "b 11", "e 1", "f 1", "g 2"]);
}

/// The functions of a file, with how deep they are.
#[derive(Default)]
struct Depths {
    found: Vec<(String, usize)>,
    /// How deep it is here, and at most, of each function that stands around this place.
    around: Vec<(usize, usize)>,
}

impl Depths {
    fn function(&mut self, name: &syn::Ident, below: impl FnOnce(&mut Self)) {
        self.around.push((0, 0));
        below(self);
        let (_, most) = self.around.pop().expect("a function");
        self.found.push((name.to_string(), most));
    }

    fn block(&mut self, below: impl FnOnce(&mut Self)) {
        if let Some((now, most)) = self.around.last_mut() {
            *now += 1;
            *most = (*now).max(*most);
        }
        below(self);
        if let Some((now, _)) = self.around.last_mut() {
            *now -= 1;
        }
    }
}

impl<'ast> Visit<'ast> for Depths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Tables of cases are as they are.
        let is_test = |it: &syn::Attribute| {
            let word = it.meta.require_list().map(|list| list.tokens.to_string());
            it.path().is_ident("cfg") && word.is_ok_and(|word| word == "test")
        };
        if !item.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, |it| visit::visit_item_fn(it, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, |it| visit::visit_impl_item_fn(it, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig.ident, |it| visit::visit_trait_item_fn(it, item));
    }

    /// What follows an `else if` is no deeper than what follows the `if`.
    fn visit_expr_if(&mut self, it: &'ast syn::ExprIf) {
        self.visit_expr(&it.cond);
        self.block(|depths| depths.visit_block(&it.then_branch));
        match it.else_branch.as_ref().map(|(_, other)| &**other) {
            Some(syn::Expr::If(other)) => self.visit_expr_if(other),
            Some(other) => self.block(|depths| depths.visit_expr(other)),
            None => {}
        }
    }

    fn visit_expr_match(&mut self, it: &'ast syn::ExprMatch) {
        self.visit_expr(&it.expr);
        self.block(|depths| it.arms.iter().for_each(|arm| depths.visit_arm(arm)));
    }

    fn visit_expr_for_loop(&mut self, it: &'ast syn::ExprForLoop) {
        self.visit_expr(&it.expr);
        self.block(|depths| depths.visit_block(&it.body));
    }

    fn visit_expr_while(&mut self, it: &'ast syn::ExprWhile) {
        self.visit_expr(&it.cond);
        self.block(|depths| depths.visit_block(&it.body));
    }

    fn visit_expr_loop(&mut self, it: &'ast syn::ExprLoop) {
        self.block(|depths| depths.visit_block(&it.body));
    }

    fn visit_expr_closure(&mut self, it: &'ast syn::ExprClosure) {
        match &*it.body {
            syn::Expr::Block(_) => self.block(|depths| depths.visit_expr(&it.body)),
            body => self.visit_expr(body),
        }
    }
}

/// The functions of a text, with how many blocks stand in each other in them.
fn depths(text: &str) -> Vec<(String, usize)> {
    let mut depths = Depths::default();
    depths.visit_file(&syn::parse_file(text).expect("Rust"));
    depths.found
}

/// Whether a comment above a function says why it is deep.
fn says_why(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let is_it = |line: &&str| {
        let rest = line.split_once(&format!("fn {name}")).map(|(_, rest)| rest);
        rest.is_some_and(|rest| rest.starts_with(['(', '<']))
    };
    let above = |at: usize| lines[..at].iter().rev().take_while(|line| !line.trim().is_empty());
    let places = lines.iter().enumerate().filter(|(_, line)| is_it(line)).map(|(at, _)| at);
    places.into_iter().any(|at| above(at).any(|line| line.trim().starts_with("// deep: ")))
}

#[test]
fn no_function_is_deeper_than_can_be_followed() {
    let (mut deeper, mut count) = (Vec::new(), 0);
    for (file, text) in sources() {
        if file.ends_with("tests.rs") {
            continue;
        }
        for (name, depth) in depths(&text) {
            count += 1;
            if depth > DEEP && !says_why(&text, &name) {
                deeper.push(format!("{file} {name}: {depth}"));
            }
        }
    }
    assert!(count > 3_000, "only {count} functions were found");
    assert!(deeper.is_empty(), "deeper than {DEEP}: {deeper:#?}");
}

#[test]
fn depths_are_counted_by_what_stands_in_what() {
    let text = "
        fn flat() { let a = b.map(|c| c + 1); }
        impl A {
            // deep: it is.
            fn three(&self) {
                if a { b } else if c { for d in e { f.map(|g| { h }) } } else { i }
            }
        }
        fn of_match() { match a { B => { c }, D if e => if f { g } else { h } } }
        fn with_one_in_it() { loop { fn inner() { while a { loop {} } } } }
        #[cfg(test)]
        mod tests { fn none() { loop {} } }
    ";
    let told: Vec<String> =
        depths(text).iter().map(|(name, depth)| format!("{name} {depth}")).collect();
    assert_eq!(told, ["flat 0", "three 3", "of_match 2", "inner 2", "with_one_in_it 1"]);
    assert!(says_why(text, "three") && !says_why(text, "flat"));
}
