//! Rotary positions: how fast each pair of a head's numbers turns, with the scalings that models are stretched by.
//! Pure. Su et al. 2021 (arXiv:2104.09864); YaRN: Peng et al. 2023 (arXiv:2309.00071); `llama3` as Llama 3.1's.

use std::f64::consts::PI;

use serde::Deserialize;

/// `rope_parameters`, or `rope_scaling` with `rope_theta` beside it in older files.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RawRope {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    attention_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    truncate: Option<bool>,
    partial_rotary_factor: Option<f64>,
}

/// How positions are written into queries and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// How far each pair turns from one token to the next.
    pub turns: Vec<f32>,
    /// What queries and keys are multiplied by on the way.
    pub scale: f64,
}

impl RawRope {
    /// New files have one section, older ones two places.
    pub fn merged(new: Option<&Self>, old: Option<&Self>, theta: Option<f64>) -> Self {
        let mut all = new.or(old).cloned().unwrap_or_default();
        all.rope_theta = all.rope_theta.or(theta);
        all
    }

    /// The turns of a head of `head` numbers, for a model made for `context` tokens.
    ///
    /// # Errors
    /// What is missing or not supported.
    pub fn read(&self, head: usize, context: usize) -> Result<Rope, String> {
        if self.partial_rotary_factor.is_some_and(|part| (part - 1.0).abs() > f64::EPSILON) {
            return Err("partial_rotary_factor other than 1 is not supported".into());
        }
        let base = self.rope_theta.unwrap_or(10_000.0);
        if base.is_nan() || base <= 1.0 {
            return Err(format!("rope_theta is {base}"));
        }
        let plain: Vec<f64> = (0..head / 2).map(|i| base.powf(-2.0 * i as f64 / head as f64)).collect();
        let (turns, scale) = match self.rope_type.as_deref().unwrap_or("default") {
            "default" => (plain, 1.0),
            "linear" => {
                let factor = self.needed("factor", self.factor)?;
                (plain.iter().map(|turn| turn / factor).collect(), 1.0)
            }
            "llama3" => (self.llama3(&plain)?, 1.0),
            "yarn" => self.yarn(&plain, base, head, context)?,
            other => return Err(format!("rope_type `{other}` is not supported")),
        };
        Ok(Rope { turns: turns.into_iter().map(|turn| turn as f32).collect(), scale })
    }

    fn needed(&self, what: &str, value: Option<f64>) -> Result<f64, String> {
        let kind = self.rope_type.as_deref().unwrap_or_default();
        value.filter(|value| *value > 0.0).ok_or_else(|| format!("rope_type `{kind}` wants `{what}` above 0"))
    }

    /// Slow turns are stretched, fast ones are not, and those between a little.
    fn llama3(&self, plain: &[f64]) -> Result<Vec<f64>, String> {
        let factor = self.needed("factor", self.factor)?;
        let low = self.needed("low_freq_factor", self.low_freq_factor)?;
        let high = self.needed("high_freq_factor", self.high_freq_factor)?;
        let known = self.needed("original_max_position_embeddings", self.original_max_position_embeddings)?;
        Ok(plain
            .iter()
            .map(|&turn| {
                let length = 2.0 * PI / turn;
                if length > known / low {
                    turn / factor
                } else if length < known / high {
                    turn
                } else {
                    let share = (known / length - low) / (high - low);
                    (1.0 - share) * turn / factor + share * turn
                }
            })
            .collect())
    }

    /// A ramp between stretched and plain turns, over the pairs that turn `beta_slow` to `beta_fast` times in the
    /// length the model was first made for; and a sharper attention for the longer text.
    fn yarn(&self, plain: &[f64], base: f64, head: usize, context: usize) -> Result<(Vec<f64>, f64), String> {
        let known = self.needed("original_max_position_embeddings", self.original_max_position_embeddings)?;
        let factor = self.factor.unwrap_or(context as f64 / known);
        let sharper = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
        let scale = self.attention_factor.unwrap_or_else(|| match (self.mscale, self.mscale_all_dim) {
            (Some(one), Some(all)) if one != 0.0 && all != 0.0 => sharper(one) / sharper(all),
            _ => sharper(1.0),
        });
        let dimension =
            |rotations: f64| head as f64 * (known / (rotations * 2.0 * PI)).ln() / (2.0 * base.ln());
        let (mut low, mut high) =
            (dimension(self.beta_fast.unwrap_or(32.0)), dimension(self.beta_slow.unwrap_or(1.0)));
        if self.truncate.unwrap_or(true) {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(head as f64 - 1.0));
        if low == high {
            high += 0.001;
        }
        let turns = plain.iter().enumerate().map(|(i, turn)| {
            let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
            turn / factor * ramp + turn * (1.0 - ramp)
        });
        Ok((turns.collect(), scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_files_say_the_same() {
        let new: RawRope =
            serde_json::from_str(r#"{"rope_type":"linear","rope_theta":500.0,"factor":4}"#).unwrap();
        let old: RawRope = serde_json::from_str(r#"{"type":"linear","factor":4}"#).unwrap();
        let a = RawRope::merged(Some(&new), None, None).read(8, 64).unwrap();
        let b = RawRope::merged(None, Some(&old), Some(500.0)).read(8, 64).unwrap();
        assert_eq!(a, b);
        assert_eq!(a.turns[0], 0.25);
        assert_eq!(a.turns.len(), 4);
    }

    #[test]
    fn what_a_scaling_needs_is_asked_for() {
        let raw: RawRope = serde_json::from_str(r#"{"rope_type":"llama3","factor":8}"#).unwrap();
        assert!(raw.read(8, 64).unwrap_err().contains("low_freq_factor"));
    }
}
