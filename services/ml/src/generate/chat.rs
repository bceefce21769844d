//! Chat templates: how messages become the text that a model was trained on. A model brings its own template, written
//! for Jinja; here it finds what transformers offers it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;

/// Steps that a template may take: a thousand messages need some 50,000. It ends one that would not.
const FUEL: u64 = 20_000_000;
/// Bytes of a template.
const MOST: usize = 1 << 20;
const NAME: &str = "chat_template";

/// What stands in `tokenizer_config.json`, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TokenizerConfig {
    chat_template: Option<Templates>,
    bos_token: Option<Special>,
    eos_token: Option<Special>,
    unk_token: Option<Special>,
    pad_token: Option<Special>,
    sep_token: Option<Special>,
    cls_token: Option<Special>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<Named>),
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    template: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Special {
    Text(String),
    Added { content: String },
}

/// A model's template with its special tokens.
pub struct Chat {
    environment: Environment<'static>,
    specials: BTreeMap<&'static str, String>,
}

impl TokenizerConfig {
    /// The text of the token that begins a text.
    pub fn begin(&self) -> Option<&str> {
        self.bos_token.as_ref().map(Special::text)
    }

    fn template(&self) -> Option<&str> {
        match self.chat_template.as_ref()? {
            Templates::One(text) => Some(text),
            Templates::Named(all) => {
                all.iter().find(|one| one.name == "default").map(|one| one.template.as_str())
            }
        }
    }

    fn specials(&self) -> BTreeMap<&'static str, String> {
        let all = [
            ("bos_token", &self.bos_token),
            ("eos_token", &self.eos_token),
            ("unk_token", &self.unk_token),
            ("pad_token", &self.pad_token),
            ("sep_token", &self.sep_token),
            ("cls_token", &self.cls_token),
        ];
        all.into_iter().filter_map(|(name, token)| Some((name, token.as_ref()?.text().to_owned()))).collect()
    }
}

impl Special {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Added { content: text } => text,
        }
    }
}

impl Chat {
    /// The template in a file of its own, else the one of `tokenizer_config.json`; nothing where there is none.
    ///
    /// # Errors
    /// Where it is no template.
    pub fn new(file: Option<String>, config: &TokenizerConfig) -> Result<Option<Self>, String> {
        let Some(text) = file.or_else(|| config.template().map(str::to_owned)) else { return Ok(None) };
        if text.len() > MOST {
            return Err(format!("the chat template has {} bytes; at most {MOST}", text.len()));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| e.to_string())?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(as_python_writes);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", |said: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, said))
        });
        environment
            .add_template_owned(NAME, without_generation_tags(&text))
            .map_err(|e| format!("the chat template: {}", in_short(&e)))?;
        Ok(Some(Self { environment, specials: config.specials() }))
    }

    /// The prompt of a chat, up to where the model's answer begins.
    ///
    /// # Errors
    /// What the template objects to.
    pub fn prompt(&self, messages: &[Value], now: Timestamp) -> Result<String, String> {
        let clock = move |format: String| -> Result<String, Error> {
            let now = now.to_zoned(jiff::tz::TimeZone::UTC);
            jiff::fmt::strtime::format(&format, &now)
                .map_err(|e| Error::new(ErrorKind::InvalidOperation, e.to_string()))
        };
        let context = context! {
            messages,
            tools => Value::from(()),
            documents => Value::from(()),
            add_generation_prompt => true,
            strftime_now => Value::from_function(clock),
            ..Value::from(self.specials.clone())
        };
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(context))
            .map_err(|e| format!("the model's chat template refuses the messages: {}", in_short(&e)))
    }
}

fn in_short(error: &Error) -> String {
    let text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("{text} (line {line})"),
        None => text,
    }
}

/// transformers marks what the model says by a tag of its own, `generation`, which changes nothing of the text.
fn without_generation_tags(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        out += before;
        let Some(end) = tag.find("%}") else { break };
        let inner = &tag[2..end];
        let word = inner.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        match word {
            "generation" => out += &format!("{{%{}%}}", inner.replace(word, "if true")),
            "endgeneration" => out += &format!("{{%{}%}}", inner.replace(word, "endif")),
            _ => out += &tag[..end + 2],
        }
        rest = &tag[end + 2..];
    }
    out + rest
}

/// `True`, `False` and `None` are written as Python does.
fn as_python_writes(
    out: &mut minijinja::Output<'_>,
    state: &mut minijinja::State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    let word = match (value.is_none(), bool::try_from(value.clone())) {
        (true, _) => Some("None"),
        (_, Ok(yes)) if value.kind() == minijinja::value::ValueKind::Bool => {
            Some(if yes { "True" } else { "False" })
        }
        _ => None,
    };
    match word {
        Some(word) => out.write_str(word).map_err(Error::from),
        None => minijinja::escape_formatter(out, state, value),
    }
}

/// As Python's `json.dumps(value, ensure_ascii=False)`: blanks after `,` and `:`, and nothing escaped for HTML.
fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent = options.get::<Option<usize>>("indent")?;
    // What else json.dumps takes is accepted; it changes nothing that templates rely on.
    for other in ["ensure_ascii", "separators", "sort_keys"] {
        options.get::<Option<Value>>(other)?;
    }
    options.assert_all_used()?;
    let bad = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let mut out = Vec::new();
    match indent {
        Some(width) => {
            let blanks = vec![b' '; width.min(16)];
            let pretty = serde_json::ser::PrettyFormatter::with_indent(&blanks);
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, pretty)).map_err(bad)?;
        }
        None => {
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced)).map_err(bad)?
        }
    }
    String::from_utf8(out).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, messages: &str) -> Result<String, String> {
        let config =
            serde_json::from_str(r#"{"bos_token":"<s>","eos_token":{"content":"</s>","lstrip":false}}"#);
        let chat = Chat::new(Some(template.to_owned()), &config.unwrap())?.unwrap();
        let messages: Vec<Value> = serde_json::from_str(messages).unwrap();
        chat.prompt(&messages, "2026-11-21T12:00:00Z".parse().unwrap())
    }

    const HI: &str = r#"[{"role":"user","content":" Hi <b> "}]"#;

    #[test]
    fn messages_tokens_and_the_date_are_there() {
        let template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m['content'].strip() }}{{ eos_token }}{% endfor %}\
                        {% if add_generation_prompt and tools is none %}{{ strftime_now('%d %b %Y') }}{% endif %}";
        assert_eq!(render(template, HI).unwrap(), "<s>[user]Hi <b></s>21 Nov 2026");
    }

    #[test]
    fn what_a_template_objects_to_is_said() {
        let refused = render("{{ raise_exception('roles must alternate') }}", HI).unwrap_err();
        assert!(refused.contains("roles must alternate (line 1)"), "{refused}");
        assert!(render("{% for x in %}", HI).unwrap_err().starts_with("the chat template:"));
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(render(endless, HI).unwrap_err().contains("fuel"));
    }

    #[test]
    fn of_named_templates_the_default_is_taken_and_none_is_no_mistake() {
        let named =
            r#"{"chat_template":[{"name":"tools","template":"a"},{"name":"default","template":"b"}]}"#;
        let chat = Chat::new(None, &serde_json::from_str(named).unwrap()).unwrap().unwrap();
        assert_eq!(chat.prompt(&[], Timestamp::UNIX_EPOCH).unwrap(), "b");
        assert!(Chat::new(None, &TokenizerConfig::default()).unwrap().is_none());
    }

    #[test]
    fn the_tag_that_marks_answers_is_left_out() {
        let template =
            "{% for m in messages %}{%- generation -%} {{ m.content }} {%- endgeneration %}{% endfor %}";
        assert_eq!(render(template, HI).unwrap(), " Hi <b> ");
    }
}
