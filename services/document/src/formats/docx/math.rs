//! Office Math as one line of text, close to the linear format that Word itself types: `a/(b+c)`, `x^2`, `√(y)`.

/// A formula under way: where each of its open groups began.
#[derive(Debug, Default)]
pub struct Math {
    groups: Vec<(usize, &'static str)>,
    depth: usize,
}

impl Math {
    /// An element begins; `out` is the text of the paragraph.
    pub fn open(&mut self, name: &str, out: &mut String) {
        match name {
            "oMath" => {
                self.depth += 1;
                if !out.is_empty() && !out.ends_with(char::is_whitespace) {
                    out.push(' ');
                }
            }
            _ if self.depth == 0 => {}
            "num" => self.groups.push((out.len(), "")),
            "den" => self.group(out, "/"),
            "sup" => self.group(out, "^"),
            "sub" => self.group(out, "_"),
            "rad" => self.group(out, "√"),
            "d" => self.groups.push((out.len(), "(")),
            _ => {}
        }
    }

    /// An element ends.
    pub fn close(&mut self, name: &str, out: &mut String) {
        match name {
            "oMath" => {
                self.depth = self.depth.saturating_sub(1);
                self.groups.clear();
            }
            "num" | "den" | "sup" | "sub" | "rad" | "d" if self.depth > 0 => {
                let Some((start, sign)) = self.groups.pop() else { return };
                let body = out.split_off(start.min(out.len()));
                if body.is_empty() && sign != "(" {
                    // An empty exponent or index: take its sign back.
                    out.truncate(out.len().saturating_sub(sign.len()));
                } else if sign == "(" || needs_brackets(&body) {
                    out.push('(');
                    out.push_str(&body);
                    out.push(')');
                } else {
                    out.push_str(&body);
                }
            }
            _ => {}
        }
    }

    fn group(&mut self, out: &mut String, sign: &'static str) {
        out.push_str(sign);
        self.groups.push((out.len(), sign));
    }
}

/// One name, one number or one bracketed whole stands for itself.
fn needs_brackets(body: &str) -> bool {
    let whole = body.starts_with('(') && body.ends_with(')') && body.matches('(').count() == 1;
    !whole && body.chars().count() > 1 && !body.chars().all(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(steps: &[&str]) -> String {
        let (mut math, mut out) = (Math::default(), String::new());
        math.open("oMath", &mut out);
        for step in steps {
            match (step.strip_prefix('<'), step.strip_prefix('>')) {
                (Some(name), _) => math.open(name, &mut out),
                (_, Some(name)) => math.close(name, &mut out),
                _ => out.push_str(step),
            }
        }
        math.close("oMath", &mut out);
        assert_eq!(math.depth, 0);
        out
    }

    #[test]
    fn fractions_powers_and_roots_are_one_line() {
        assert_eq!(linear(&["x=", "<num", "a", ">num", "<den", "b+c", ">den"]), "x=a/(b+c)");
        assert_eq!(linear(&["x", "<sub", "1", ">sub", "<sup", "-2", ">sup"]), "x_1^(-2)");
        assert_eq!(linear(&["<rad", "y+1", ">rad", "x", "<sup", ">sup"]), "√(y+1)x");
        assert_eq!(linear(&["<d", "k", ">d"]), "(k)");
    }
}
