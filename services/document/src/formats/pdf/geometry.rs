//! Boxes in reading direction: x grows to the right, y grows downwards, in points.

/// An upright box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    /// Left edge.
    pub x0: f32,
    /// Right edge.
    pub x1: f32,
    /// Upper edge.
    pub y0: f32,
    /// Lower edge.
    pub y1: f32,
}

impl Rect {
    /// The smallest box around both.
    pub fn union(self, other: Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            x1: self.x1.max(other.x1),
            y0: self.y0.min(other.y0),
            y1: self.y1.max(other.y1),
        }
    }

    /// The smallest box around all; `None` for none.
    pub fn around(boxes: impl IntoIterator<Item = Self>) -> Option<Self> {
        boxes.into_iter().reduce(Self::union)
    }

    /// Whether the boxes share a point.
    pub fn touches(self, other: Self) -> bool {
        self.x0 <= other.x1 && other.x0 <= self.x1 && self.y0 <= other.y1 && other.y0 <= self.y1
    }

    /// Width.
    pub fn width(self) -> f32 {
        self.x1 - self.x0
    }

    /// Height.
    pub fn height(self) -> f32 {
        self.y1 - self.y0
    }

    /// How much of the lower of two boxes stands beside the other, 0 to 1.
    pub fn beside(self, other: Self) -> f32 {
        let shared = self.y1.min(other.y1) - self.y0.max(other.y0);
        let lower = self.height().min(other.height());
        if lower > 0.0 { (shared / lower).max(0.0) } else { 0.0 }
    }
}

/// The median; 0 of nothing.
pub(super) fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
