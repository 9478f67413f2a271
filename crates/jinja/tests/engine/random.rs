//! Random templates: alike or refused where Jinja2 can be asked, and in any case within the
//! bounds, the same each time, and without a panic.

use std::collections::BTreeMap;

use meshagent_jinja::Reason;
use serde_json::{Value, json};

use super::{Values, ask, render};

/// The most bytes that a template may render to.
const MOST: usize = 4 * 1024 * 1024;

/// A small deterministic source of choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % bound
    }

    fn of<'a>(&mut self, options: &[&'a str]) -> &'a str {
        options[self.below(options.len())]
    }

    /// One of several between semicolons.
    fn one(&mut self, options: &'static str) -> &'static str {
        let options: Vec<_> = options.split(';').collect();
        self.of(&options)
    }

    fn atom(&mut self) -> String {
        self.one(
            "name;n;empty;multi;uni;missing;x;y;m;ns.a;loop.index;caller;i;1;2;\
             0;-3;2.5;10;'a';'b c';'';'é';none;true;false;[];[1, 2, 3];\
             ['b', 'A', 'c'];(1, 'x');{'a': 1, 'b': 'x'};{};[[1, 2], [3]];\
             [{'a': 2}, {'a': 1}];range(4);1e3;0.1",
        )
        .to_owned()
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.atom();
        }
        let inner = |this: &mut Self| this.expression(depth - 1);
        match self.below(16) {
            0 | 1 => self.atom(),
            2 | 3 => {
                let operator = self.one("+;-;*;/;//;%;~;==;!=;<;<=;>;>=;in;not in;and;or");
                format!("{} {operator} {}", inner(self), inner(self))
            }
            4 => format!("({})", inner(self)),
            14 => format!(
                "{} {} {} {} {}",
                inner(self),
                self.of(&["<", "==", "in", "!="]),
                inner(self),
                self.of(&[">=", "==", "not in", "<"]),
                inner(self)
            ),
            15 => format!(
                "m({})",
                self.one(";1;x;1, 2;1, 2, 3;y=4;x=1, y=2;*[1, 2];**{'y': 1};caller=1",)
            ),
            5 => format!("not {}", inner(self)),
            6 => format!("{} if {} else {}", inner(self), inner(self), inner(self)),
            7 => format!("({})[{}]", inner(self), inner(self)),
            8 => format!(
                "({})[{}:{}{}]",
                inner(self),
                self.of(&["", "1", "-2", "5"]),
                self.of(&["", "2", "-1", "0"]),
                self.of(&["", ":2", ":-1"])
            ),
            9 => format!(
                "{} is {}",
                inner(self),
                self.one(
                    "defined;not none;string;number;odd;iterable;mapping;sequence;lower;\
             in [1, 'a'];eq 1;divisibleby 2;true;float;integer",
                )
            ),
            10 => format!(
                "({}).{}",
                inner(self),
                self.one(
                    "upper();lower();split();split(' ', 1);strip();title();a;b;items();\
             get('a');replace('a', 'z');startswith('a');find('b');splitlines();\
             zfill(4);isdigit();join(['x', 'y']);count('a');center(9, '*');\
             capitalize();rsplit(None, 1)",
                )
            ),
            _ => format!(
                "{}|{}",
                inner(self),
                self.one(
                    "upper;lower;title;capitalize;trim;length;first;last;list;join;\
             join('-');default('d');default('d', true);int;float;string;tojson;\
             tojson(2);e;replace('a', 'b');indent(2);indent(2, true);sort;\
             sort(reverse=true);unique|list;reverse|list;map('string')|list;\
             select|list;select('odd')|list;reject('none')|list;sum;min;max;abs;\
             round;round(1);batch(2)|list;slice(2)|list;truncate(6);\
             truncate(6, true, '.');wordcount;wordwrap(4);center(7);urlencode;\
             dictsort;items|list;format;format(1);striptags;\
             map(attribute='a')|list;groupby('a');xmlattr;filesizeformat;safe;\
             forceescape;count;pprint;selectattr('a')|list;sort(attribute='a');\
             int(5);reverse",
                )
            ),
        }
    }

    fn statement(&mut self, depth: usize) -> String {
        let dash = |this: &mut Self| this.of(&["", "", "", "", "-", "+"]);
        let (open, close) = (dash(self), dash(self));
        match self.below(if depth == 0 { 5 } else { 18 }) {
            0 => self
                .of(&[
                    "text", " a\n", "\n", "  ", "{ x }", "é\r\n", "\"'", "#}", "}}", "{", "%}",
                    "-%}",
                ])
                .to_owned(),
            1 => self
                .of(&[
                    "{# note #}",
                    "{#- note -#}",
                    "{% raw %}{{ x }}{% endraw %}",
                    "{%- raw -%} {% {%- endraw -%} ",
                ])
                .to_owned(),
            2 | 3 => format!("{{{{{open} {} {}}}}}", self.expression(2), self.of(&["", "", "-"])),
            4 => format!("{{%{open} set {} = {} {close}%}}", self.target(), self.expression(1)),
            5 => format!(
                "{{%{open} if {} {close}%}}{}{{% elif {} %}}{}{{% else %}}{}{{% endif %}}",
                self.expression(1),
                self.body(depth - 1),
                self.expression(0),
                self.body(depth - 1),
                self.body(depth - 1)
            ),
            6 => format!("{{% if {} %}}{}{{% endif %}}", self.expression(1), self.body(depth - 1)),
            7 | 8 => {
                let filter =
                    self.of(&["", "", " if i", " if loop", " recursive", " if i recursive"]);
                let field = self.one(
                    "index;index0;first;last;length;revindex;previtem;nextitem;depth;\
             changed(i);changed(x);cycle('a', 'b');revindex0",
                );
                let target = self.of(&["i", "i", "i", "x", "i, x"]);
                format!(
                    "{{%{open} for {target} in {}{filter} {close}%}}{}{{{{ loop.{field} }}}}{{% else %}}{}{{% endfor %}}",
                    self.expression(1),
                    self.body(depth - 1),
                    self.body(depth - 1)
                )
            }
            9 => format!(
                "{{% for i in [[1, [2]], 3] recursive %}}{}{{{{ loop(i) if i is iterable else i }}}}{{% endfor %}}",
                self.body(depth - 1)
            ),
            10 => format!(
                "{{%{open} set x {}{close}%}}{}{{% endset %}}",
                self.of(&["", "", "| upper ", "| replace('a', 'b') | trim "]),
                self.body(depth - 1)
            ),
            11 | 12 => format!(
                "{{% macro m({}) {close}%}}{}{{{{ {} }}}}{{% endmacro %}}",
                self.of(&["", "x", "x, y='d'", "x, y=x", "x=n, y=m", "x, caller=none"]),
                self.body(depth - 1),
                self.of(&["y", "x", "caller()", "varargs", "kwargs", "caller(1)", "caller"]),
            ),
            13 => format!(
                "{{% call{} m({}) %}}{}{{% endcall %}}",
                self.of(&["", "", "(x)", "(x, y=1)"]),
                self.of(&["", "1", "x, y"]),
                self.body(depth - 1)
            ),
            14 => format!(
                "{{% with {} %}}{}{{% endwith %}}",
                self.of(&["", "x = 1", "x = y, y = x", "n = x", "x = n, i = x"]),
                self.body(depth - 1)
            ),
            15 => format!(
                "{{% set ns = namespace(a={}) %}}{}",
                self.expression(1),
                self.body(depth - 1)
            ),
            16 => format!("{{% print {}, x %}}", self.expression(1)),
            _ => format!("{{% filter upper {close}%}}{}{{% endfilter %}}", self.body(depth - 1)),
        }
    }

    fn target(&mut self) -> String {
        self.of(&["x", "x", "y", "n", "i", "x, y", "(x, y)", "ns.a", "m"]).to_owned()
    }

    fn body(&mut self, depth: usize) -> String {
        (0..1 + self.below(3)).map(|_| self.statement(depth)).collect()
    }
}

/// Templates of a seed, and values for them. `MESHAGENT_TEST_SEED` and
/// `MESHAGENT_TEST_TEMPLATES` ask for others.
fn templates() -> (Vec<String>, Values) {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let seed = number("MESHAGENT_TEST_SEED").unwrap_or(20_260_322);
    let count = number("MESHAGENT_TEST_TEMPLATES").unwrap_or(4_000);
    println!("{count} templates of seed {seed}");
    let mut choices = Choices(seed);
    let of = |choices: &mut Choices, number: u64| match number % 4 {
        0 => choices.body(3),
        1 => choices.body(2),
        _ => choices.statement(1),
    };
    let values = json!({
        "name": "Hello World",
        "n": "3",
        "empty": "",
        "multi": "line one\nline two\n\nlast",
        "uni": "Grüße, 世界",
    });
    let Value::Object(values) = values else { panic!("values are an object") };
    ((0..count).map(|number| of(&mut choices, number)).collect(), values)
}

#[test]
fn random_templates_render_as_jinja2_renders_them_or_not_at_all() {
    let (templates, values) = templates();
    let batch = templates.iter().map(|template| json!([template, values])).collect();
    let Some(theirs) = ask(&batch) else { return };
    let theirs = theirs["answers"].as_array().expect("a list");
    let (mut alike, mut failed, mut refused) = (0, 0, BTreeMap::<String, usize>::new());
    let mut faults = Vec::new();
    for (template, theirs) in templates.iter().zip(theirs) {
        match (render(template, &values), theirs["text"].as_str()) {
            (Ok(ours), Some(theirs)) if ours == theirs => alike += 1,
            (Err(_), None) => failed += 1,
            // What is refused is refused by name; anything else that fails alone is a fault.
            (Err(error), Some(_)) if error.reason == Reason::Refused => {
                *refused.entry(error.message).or_default() += 1;
            }
            (ours, _) => faults.push(format!("{template:?}: ours {ours:?}, theirs {theirs}")),
        }
    }
    println!("{alike} alike, {failed} fail in both, refused: {refused:#?}");
    faults.sort_by_key(String::len);
    let count = faults.len();
    faults.truncate(40);
    assert!(faults.is_empty(), "{count} differ:\n{}", faults.join("\n"));
    assert!(alike > templates.len() / 5, "too few templates render: {alike}");
}

#[test]
fn random_templates_stay_within_the_bounds() {
    let (templates, values) = templates();
    for (number, template) in templates.iter().enumerate() {
        let rendered = render(template, &values);
        assert_eq!(rendered, render(template, &values), "{template:?}");
        let lines = template.replace("\r\n", "\n").split('\n').count() as u64;
        match rendered {
            Ok(text) => assert!(text.len() <= MOST, "{template:?}"),
            Err(error) => assert!(error.line.is_none_or(|line| line <= lines), "{template:?}"),
        }
        // Whatever is cut off or mixed up is told, and nothing else.
        let cut = template.floor_char_boundary(number % (template.len() + 1));
        let other = &templates[(number * 7 + 1) % templates.len()];
        for broken in [&template[..cut], &template[cut..], &format!("{}{other}", &template[..cut])]
        {
            let _ = render(broken, &values);
        }
    }
}
