//! No file is so long that it has several reasons to change, and no function so long, or so deep,
//! that it cannot be read at once.

use std::path::Path;

use syn::parse::{Parse, ParseStream, discouraged::Speculative};
use syn::visit::{self, Visit};

/// How many lines a file may have.
const OF_A_FILE: usize = 600;

/// How many lines a function may have.
const OF_A_FUNCTION: usize = 100;

/// How many blocks may stand in each other in a function; a deeper one says why in a comment
/// `// deep: …` right above it, and no other has one.
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

/// A function.
#[derive(Debug)]
struct Function {
    name: String,
    /// How many blocks stand in each other in it.
    depth: usize,
    /// Whether a comment above it says why it is deep.
    says_why: bool,
}

/// The functions of a file, with how deep they are.
#[derive(Default)]
struct Depths {
    found: Vec<Function>,
    /// How deep it is here, and at most, of each function that stands around this place.
    around: Vec<(usize, usize)>,
    /// Calls of macros that hold code and could not be read.
    unread: Vec<String>,
}

impl Depths {
    fn function(
        &mut self,
        (name, attributes): (&syn::Ident, &[syn::Attribute]),
        below: impl FnOnce(&mut Self),
    ) {
        self.around.push((0, 0));
        below(self);
        let (_, depth) = self.around.pop().expect("a function");
        let is_why = |it: &syn::Attribute| match &it.meta {
            syn::Meta::NameValue(syn::MetaNameValue { value: syn::Expr::Lit(text), .. }) => {
                let text = &text.lit;
                matches!(text, syn::Lit::Str(text) if text.value().starts_with(" deep: "))
            }
            _ => false,
        };
        let says_why = attributes.iter().any(is_why);
        self.found.push(Function { name: name.to_string(), depth, says_why });
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
        self.function((&item.sig.ident, &item.attrs), |it| visit::visit_item_fn(it, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function((&item.sig.ident, &item.attrs), |it| visit::visit_impl_item_fn(it, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function((&item.sig.ident, &item.attrs), |it| visit::visit_trait_item_fn(it, item));
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
    fn visit_expr_async(&mut self, it: &'ast syn::ExprAsync) {
        self.block(|depths| depths.visit_block(&it.block));
    }

    fn visit_expr_unsafe(&mut self, it: &'ast syn::ExprUnsafe) {
        self.block(|depths| depths.visit_block(&it.block));
    }

    /// What stands in a macro is code as well, where it is not the macro itself.
    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        if it.path.is_ident("macro_rules") {
            return;
        }
        let is_select = it.path.segments.last().is_some_and(|last| last.ident == "select");
        if is_select && let Ok(Arms { asked, done }) = it.parse_body() {
            asked.iter().for_each(|asked| self.visit_expr(asked));
            self.block(|depths| done.iter().for_each(|done| depths.visit_expr(done)));
        } else if !is_select && let Ok(read) = it.parse_body_with(values) {
            read.iter().for_each(|value| self.visit_expr(value));
        } else if !is_select && let Ok(read) = it.parse_body_with(syn::Block::parse_within) {
            read.iter().for_each(|statement| self.visit_stmt(statement));
        } else if is_select || it.parse_body_with(has_code).unwrap_or(true) {
            self.unread.push(it.tokens.to_string());
        }
    }
}

/// The arms of a `select!`.
struct Arms {
    /// What is waited for, and whether it is.
    asked: Vec<syn::Expr>,
    /// What is done then.
    done: Vec<syn::Expr>,
}

impl Parse for Arms {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arms = Self { asked: Vec::new(), done: Vec::new() };
        if input.peek(syn::Ident) && input.peek2(syn::Token![;]) {
            input.parse::<syn::Ident>()?;
            input.parse::<syn::Token![;]>()?;
        }
        while !input.is_empty() {
            if input.parse::<Option<syn::Token![else]>>()?.is_none() {
                syn::Pat::parse_multi_with_leading_vert(input)?;
                input.parse::<syn::Token![=]>()?;
                arms.asked.push(input.parse()?);
                if input.parse::<Option<syn::Token![,]>>()?.is_some() {
                    input.parse::<syn::Token![if]>()?;
                    arms.asked.push(input.parse()?);
                }
            }
            input.parse::<syn::Token![=>]>()?;
            arms.done.push(match input.peek(syn::token::Brace) {
                // What follows a block is the next arm.
                true => syn::Expr::Block(syn::ExprBlock {
                    attrs: Vec::new(),
                    label: None,
                    block: input.parse()?,
                }),
                false => input.parse()?,
            });
            input.parse::<Option<syn::Token![,]>>()?;
        }
        Ok(arms)
    }
}

/// The values that a macro is given: those of `format!`, of `matches!`, of `vec![_; _]`.
fn values(input: ParseStream<'_>) -> syn::Result<Vec<syn::Expr>> {
    let mut values = Vec::new();
    while !input.is_empty() {
        let ahead = input.fork();
        if let Ok(value) = ahead.parse() {
            input.advance_to(&ahead);
            values.push(value);
        } else {
            syn::Pat::parse_multi_with_leading_vert(input)?;
        }
        if input.parse::<Option<syn::Token![if]>>()?.is_some() {
            values.push(input.parse()?);
        }
        if !input.is_empty() && input.parse::<Option<syn::Token![;]>>()?.is_none() {
            input.parse::<syn::Token![,]>()?;
        }
    }
    Ok(values)
}

/// Whether a macro is given code: whether a word that begins a block is among what it is given.
fn has_code(input: ParseStream<'_>) -> syn::Result<bool> {
    fn within(mut at: syn::buffer::Cursor<'_>) -> bool {
        while !at.eof() {
            if let Some((inside, _, _, after)) = at.any_group() {
                if within(inside) {
                    return true;
                }
                at = after;
            } else if let Some((word, after)) = at.ident() {
                let words = ["async", "for", "if", "loop", "match", "unsafe", "while"];
                if words.iter().any(|it| word == it) {
                    return true;
                }
                at = after;
            } else {
                let Some((_, after)) = at.token_tree() else { return false };
                at = after;
            }
        }
        false
    }
    input.step(|at| {
        let mut rest = *at;
        while let Some((_, after)) = rest.token_tree() {
            rest = after;
        }
        Ok((within(*at), rest))
    })
}

/// The functions of a text, and the calls of macros in it that could not be read. A comment that
/// says why a function is deep is read as what documents it, so that it belongs to that one.
fn depths(text: &str) -> Depths {
    let text = text.replace("// deep: ", "/// deep: ");
    let mut depths = Depths::default();
    depths.visit_file(&syn::parse_file(&text).expect("Rust"));
    depths
}

#[test]
fn no_function_is_deeper_than_can_be_followed() {
    let (mut deeper, mut needless, mut unread, mut count) = (vec![], vec![], vec![], 0);
    for (file, text) in sources() {
        if file.ends_with("tests.rs") {
            continue;
        }
        let depths = depths(&text);
        count += depths.found.len();
        unread.extend(depths.unread.iter().map(|call| format!("{file}: {call}")));
        for Function { name, depth, says_why } in depths.found {
            match (depth > DEEP, says_why) {
                (true, false) => deeper.push(format!("{file} {name}: {depth}")),
                (false, true) => needless.push(format!("{file} {name}: {depth}")),
                _ => {}
            }
        }
    }
    assert!(count > 3_000, "only {count} functions were found");
    assert!(unread.is_empty(), "macros whose code is not read: {unread:#?}");
    assert!(deeper.is_empty(), "deeper than {DEEP}: {deeper:#?}");
    assert!(needless.is_empty(), "not deep, whatever they say: {needless:#?}");
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
        impl B {
            fn three(&self) { loop { loop { loop {} } } }
        }
        fn of_match() { match a { B => { c }, D if e => if f { g } else { h } } }
        fn with_one_in_it() { loop { fn inner() { while a { loop {} } } } }
        fn of_blocks() { async move { unsafe { a } } }
        fn of_select() {
            tokio::select! {
                biased;
                Some(_) = a.next(), if b => match c {
                    D => e,
                },
                f = async { loop {} } => { if g { h } }
                else => break,
            }
        }
        fn of_values() { assert!(a, \"{}\", if b { c } else { loop {} }); matches!(d, E { .. } if f) }
        fn of_statements() { thread_local! { static A: B = C; } d! { if e { f } else { g } } }
        fn of_data() { json!({\"a\": [1, null]}) }
        fn of_what_is_unread() { a! { @ if b } }
        #[cfg(test)]
        mod tests { fn none() { loop {} } }
    ";
    let Depths { found, unread, .. } = depths(text);
    let told: Vec<String> = found.iter().map(|it| format!("{} {}", it.name, it.depth)).collect();
    let expected = [
        "flat 0",
        "three 3",
        "three 3",
        "of_match 2",
        "inner 2",
        "with_one_in_it 1",
        "of_blocks 2",
        "of_select 2",
        "of_values 2",
        "of_statements 1",
        "of_data 0",
        "of_what_is_unread 0",
    ];
    assert_eq!(told, expected);
    let why: Vec<usize> =
        found.iter().enumerate().filter(|(_, it)| it.says_why).map(|(at, _)| at).collect();
    assert_eq!(why, [1], "the comment is that of the function below it");
    assert_eq!(unread, ["@ if b"]);
}
